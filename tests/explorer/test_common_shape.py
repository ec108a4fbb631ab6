# SPDX-License-Identifier: Apache-2.0
"""Errors of shapes that all devices share, in the means over devices."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine import devices
from engine.tiles import Tile
from explorer.experiments import schedules
from explorer.fitting.likelihood import candidates
from explorer.fitting.likelihood.common_noise import CommonNoise, _judged, common_noise
from explorer.fitting.likelihood.common_shape import errors_of_shapes
from explorer.fitting.likelihood.device_fit import DeviceFit, fit_device
from explorer.fitting.likelihood.effects import Single
from explorer.fitting.likelihood.fit import prepare
from explorer.fitting.likelihood.parameters import held, parameter, widened
from explorer.fitting.measured import Measured
from explorer.fitting.trace import pulse_trace


def straight(slope: float, error: float, common: tuple[str, ...] = ("shape",)) -> CommonNoise:
    """Return five devices whose level moves by ``slope`` with a shape that is known to ``error``."""
    candidate = SimpleNamespace(
        common=common, common_shown=(), natural=lambda x: x, effects=(Single("level"),), curved=False
    )
    names = ["level", "shape"]
    objective = SimpleNamespace(
        names=names, candidate=candidate, held={},
        outward=lambda u: {n: np.atleast_2d(u)[:, k] for k, n in enumerate(names)},
    )  # fmt: skip
    fits = [DeviceFit(candidate, objective, np.array([z, 0.5]), np.diag([0.01, 0.0]), 0.0, True)
            for z in (0.9, 1.1, 1.0, 1.2, 0.8)]  # fmt: skip
    follows = [np.array([[slope], [1.0]]) for _ in fits]
    return CommonNoise(["shape"], np.array([0.5]), np.array([[error**2]]), fits, follows)


def test_mean_has_the_error_of_the_shape_besides_its_own():
    """All levels move alike: the error is exactly slope times error of the shape, in squares."""
    made = {"level": parameter("level", 1.0, 0.07, "w", "level", signed=True)}
    found = errors_of_shapes(made, straight(-2.0, 0.03), {"level": ("w", "level")})
    assert found["level"].stderr == pytest.approx(math.hypot(0.07, 0.06), rel=1e-6)
    assert found["level"].value == 1.0


def test_class_without_common_shapes_keeps_its_errors():
    made = {"level": parameter("level", 1.0, 0.07, "w", "level", signed=True)}
    assert errors_of_shapes(made, straight(-2.0, 0.03, common=()), {"level": ("w", "level")}) == {}


@pytest.mark.parametrize("value", [2.0, -2.0])
@pytest.mark.parametrize("signed", [True, False])
def test_widened_is_the_parameter_of_the_larger_error(value, signed):
    one, both = (parameter("w_max", value, e, "w", "", signed=signed) for e in (0.3, 0.5))
    found = widened(one, 0.4)
    assert (found.stderr, found.low, found.high) == pytest.approx((both.stderr, both.low, both.high), rel=1e-12)


def test_widened_of_a_much_larger_error_has_ends_that_are_numbers():
    found = widened(parameter("dw_min", 0.2, 0.1, "w", "step", signed=False), 1e5)
    assert 0 < found.low < 1e-100
    assert 1e100 < found.high < np.inf


def test_widened_says_when_the_number_is_not_determined_any_more():
    p = parameter("dw_min", 1.0, 0.2, "w", "", signed=False)
    assert p.determined
    found = widened(p, 0.4)
    assert not found.determined
    assert "not determined" in found.note


def test_held_parameter_stays_as_it_is():
    p = held("w_max", 1.0, "w", "", "no reading comes near it")
    assert widened(p, 0.4) is p


def test_curves_follow_the_shape_as_a_search_finds_them():
    """Six exponential devices of 641 readings that reach their bounds, seed 4; amplitudes moved by 0.01 either way.

    Within 15 %: the expected information is not the observed one, which the readings of one device make by some 10 %.
    """
    values = {"dw_min": 0.03, "up_down": 0.1, "A_up": 0.3, "A_down": 0.25, "gamma_up": 2.0, "gamma_down": 2.5,
              "w_max": 0.7, "w_min": -0.7, "dw_min_std": 0.3, "write_noise_std": 0.3, "a": 0.5, "b": 0.0}  # fmt: skip
    device = devices.get("exp_step")(**values, dw_min_dtod=0.2, up_down_dtod=0.05, w_max_dtod=0.05, w_min_dtod=0.05)
    tile = Tile(6, 1, device, seed=4)
    tile.set_weights(torch.full((6, 1), -0.6))
    first, ways = tile.weights[:, 0].numpy().copy(), schedules.ramps(640, 160)
    read = tile.pulse(ways).apparent[:, :, 0].numpy()
    traces = [pulse_trace(f"d{i}", 1, np.concatenate([[0], ways]), np.concatenate([[first[i]], read[:, i]]))
              for i in range(6)]  # fmt: skip
    bench = prepare(Measured(tuple(traces), "1", "simulated").normalise(-1, 1, -1, 1), "keep").bench
    options = {**bench.common(), "top": True, "bottom": True}
    pairs = zip(bench.devices, bench.scenes, strict=True)
    together = common_noise([fit_device(candidates.get("exp_step")(scene, **options), d) for d, scene in pairs])
    move = np.array([0.01 * (n in ("A_up", "A_down")) for n in together.names])
    for fit, follow in zip(together.fits, together.follows, strict=True):
        at = [fit.objective.names.index(n) for n in ("s_up", "s_down")]
        ends = [_judged(replace(fit), together.names, together.psi + way * move).fit.u for way in (1, -1)]
        assert (ends[0] - ends[1])[at] / 2 == pytest.approx((follow @ move)[at], rel=0.15)

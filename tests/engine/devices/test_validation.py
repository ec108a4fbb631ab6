# SPDX-License-Identifier: Apache-2.0
"""Every range of docs/physics/devices.md is enforced, and the message names the parameter (T40)."""

import numpy as np
import pytest

from engine import devices
from engine.devices.exp_step import ExpStep
from engine.devices.linear_step import LinearStep
from engine.devices.lookup_table import LookupTable
from engine.devices.piecewise_step import PiecewiseStep
from engine.devices.pow_step import PowStep
from engine.devices.pow_step_reference import PowStepReference
from engine.devices.soft_bounds import SoftBounds
from engine.devices.soft_bounds_pmax import SoftBoundsPmax
from engine.errors import ParameterError
from engine.quantity import Flag, Quantity, Table
from engine.tiles import IOParameters, UpdateParameters

TINY = 1e-6
# Parameter: (a value just inside, a value just outside) for each end; the ends of docs/physics/devices.md, section 2.1.
FADING = {"diffusion": [(0.0, -TINY)], "lifetime": [(0.0, -TINY), (0.0, -1.0)]}
DRIFT = {"drift_t_0": [(TINY, 0.0), (TINY, -TINY)], "drift_reset_tol": [(0.0, -TINY)]}
SPREAD = {
    **FADING,
    **DRIFT,
    "dw_min_dtod": [(0.0, -TINY)],
    "dw_min_std": [(0.0, -TINY), (1000.0, -1.0)],
    "up_down_dtod": [(0.0, -TINY)],
    "w_max_dtod": [(0.0, -TINY)],
    "w_min_dtod": [(0.0, -TINY)],
    "corrupt_devices_prob": [(0.0, -TINY), (1.0, 1 + TINY)],
    "corrupt_devices_range": [(0.0, -TINY)],
    "drift_wg_ratio": [(TINY, 0.0), (TINY, -TINY)],
    **{n: [(0.0, -TINY)] for n in ("diffusion_dtod", "lifetime_dtod", "reset_dtod", "reset_std", "drift_nu_dtod",
                                   "drift_nu_std", "drift_w_noise_std")},
}  # fmt: skip
COMMON = SPREAD | {
    "dw_min": [(TINY, 0.0), (TINY, -TINY)],
    "up_down": [(1 - TINY, 1.0), (-1 + TINY, -1.0), (0.0, 1.5)],
}
HARD = COMMON | {"w_max": [(0.0, -TINY)], "w_min": [(0.0, TINY)]}
SOFT = COMMON | {"w_max": [(TINY, 0.0), (TINY, -TINY)], "w_min": [(-TINY, 0.0), (-TINY, TINY)]}
WRITTEN = {"write_noise_std": [(0.0, -TINY)]}
REFERENCED = {"reference_std": [(0.0, -TINY)]}
POWER = {
    "pow_gamma": [(TINY, 0.0), (TINY, -TINY)],
    "pow_gamma_dtod": [(0.0, -TINY)],
    "pow_up_down": [(1.0, 1 + TINY), (-1.0, -1 - TINY)],
    "pow_up_down_dtod": [(0.0, -TINY)],
}
DIGITAL = FADING | {"dw_min": [(TINY, 0.0), (TINY, -TINY)], "reset_std": [(0.0, -TINY)]}
RANGES = {
    "constant_step": HARD,
    "linear_step": HARD | WRITTEN | {n: [(0.0, -TINY)] for n in ("gamma_up_dtod", "gamma_down_dtod", "reverse_offset")},
    "soft_bounds": SOFT | WRITTEN | {"reverse_offset": [(0.0, -TINY)]},
    "soft_bounds_reference": SOFT
    | WRITTEN
    | REFERENCED
    | {n: [(0.0, -TINY)] for n in ("slope_up_dtod", "slope_down_dtod")},
    "soft_bounds_pmax": SPREAD
    | WRITTEN
    | {"p_max": [(1, 0), (2, -1)], "alpha": [(TINY, 0.0), (TINY, -TINY)], "reverse_offset": [(0.0, -TINY)]},
    "pow_step": HARD | WRITTEN | POWER,
    "pow_step_reference": HARD | REFERENCED | POWER,
    "piecewise_step": HARD | WRITTEN,
    "lookup_table": HARD | WRITTEN,
    "exp_step": HARD | WRITTEN | {n: [(0.0, -TINY)] for n in ("dw_min_std_add", "dw_min_std_slope")},
    "ideal": DIGITAL,
    "floating_point": DIGITAL | DRIFT,
}
CASES = [(stem, name, *pair) for stem, table in RANGES.items() for name, pairs in table.items() for pair in pairs]


def parameters(kind: type) -> list[tuple[str, str]]:
    """Return (device, parameter) of all parameters of one kind."""
    return [(s, n) for s in devices.names() for n in devices.get(s).fields() if type(devices.get(s).param[n]) is kind]


NUMBERS, FLAGS, TABLES = parameters(Quantity), parameters(Flag), parameters(Table)


@pytest.mark.parametrize(("stem", "name", "inside", "outside"), CASES)
def test_range_ends_where_the_specification_says(stem, name, inside, outside):
    cls = devices.get(stem)
    assert getattr(cls(**{name: inside}), name) == inside
    with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name} = .*allowed: .*\. \w.*\.$"):
        cls(**{name: outside})
    device = cls()
    with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name} = "):
        setattr(device, name, outside)
    assert getattr(device, name) == cls.param[name].default


def test_every_bounded_parameter_is_in_the_table_above():
    for stem, name in [pair for pair in NUMBERS if pair[0] in RANGES]:
        bounded = devices.get(stem).describe(name)["bounds"] not in (None, (None, None))
        assert bounded == (name in RANGES[stem]), f"{stem}.{name}"


NO_NUMBERS = [float("nan"), float("inf"), float("-inf"), "0.1", None, True, [0.1], np.array([0.1]), 1j]
NO_FLAGS = [1, 0, "true", None, 0.5]


@pytest.mark.parametrize(("stem", "name"), NUMBERS)
def test_number_that_is_none_is_refused(stem, name):
    cls = devices.get(stem)
    for wrong in NO_NUMBERS:
        with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name} = "):
            cls(**{name: wrong})


@pytest.mark.parametrize(("stem", "name"), FLAGS)
def test_flag_that_is_none_is_refused(stem, name):
    cls = devices.get(stem)
    for wrong in NO_FLAGS:
        with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name} = .*True, False"):
            cls(**{name: wrong})


NO_TABLES = [None, 0.1, True, "0.1", (0.1,), {0: 0.1}, []]
NO_ENTRIES = [None, float("nan"), float("inf"), "0.1", True, [0.1], 1j, 1e39]


@pytest.mark.parametrize(("stem", "name"), TABLES)
def test_table_that_is_none_is_refused(stem, name):
    cls = devices.get(stem)
    for wrong in NO_TABLES:
        with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name} = "):
            cls(**{name: wrong})
    for wrong in NO_ENTRIES:
        with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name}\[1\] = "):
            cls(**{name: [0.1, wrong]})


@pytest.mark.parametrize("name", ["spread_up", "spread_down"])
def test_negative_spread_in_a_table_is_refused(name):
    with pytest.raises(ParameterError, match=rf"^LookupTable\.{name}\[1\] = -0.1 w: .*not below 0"):
        LookupTable(**{name: [0.1, -0.1]})


@pytest.mark.parametrize("stem", [s for s in devices.names() if "lifetime" in devices.get(s).fields()])
@pytest.mark.parametrize("lifetime", [1e-3, 0.5, 1.0])
def test_lifetime_of_up_to_one_batch_is_refused(stem, lifetime):
    """aihwkit switches such a decay off on ideal tiles and jumps on others."""
    cls = devices.get(stem)
    with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.lifetime = .* batches: is too short"):
        cls(lifetime=lifetime)
    assert cls(lifetime=1.5).lifetime == 1.5


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (PowStep, {"pow_gamma": 130.0}),
        (PowStepReference, {"pow_gamma": 1e4}),
        (PiecewiseStep, {"dw_min": 1e-20, "piecewise_up": [1e-20], "piecewise_down": [1.0]}),
    ],
)
def test_step_lost_in_single_precision_is_refused(cls, values):
    with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.granularity = .* w: is lost in single precision"):
        cls(**values)


def test_piecewise_lists_of_different_length_are_refused():
    with pytest.raises(ParameterError, match=r"^PiecewiseStep\.piecewise_up, piecewise_down have 2 and 3 nodes"):
        PiecewiseStep(piecewise_up=[1.0, 2.0], piecewise_down=[1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ({"range_min": 0.5, "range_max": 0.5}, r"range_max = 0.5 w: must lie above range_min"),
        ({"range_min": 0.5, "range_max": -0.5}, r"range_max = -0.5 w: must lie above range_min"),
        ({"range_min": 0.1, "range_max": 0.5, "alpha": 0.05}, r": this curve needs bounds .* enclose 0"),
        ({"p_max": 1, "alpha": 1e-37, "range_min": -100.0, "range_max": 100.0}, r": w_max of this curve = .*single"),
        ({"p_max": 10.5}, r"p_max = 10.5 pulses: must be a whole number"),
    ],
)
def test_measured_curve_that_no_device_follows_is_refused(curve, message):
    with pytest.raises(ParameterError, match=r"^SoftBoundsPmax\.?" + message):
        SoftBoundsPmax(**curve)


@pytest.mark.parametrize("value", [np.float32(0.25), np.float64(0.25), np.int64(0)])
def test_numpy_numbers_become_plain_ones(value):
    device = SoftBounds(dw_min_std=value)
    assert type(device.values()["dw_min_std"]) in (int, float)


@pytest.mark.parametrize("cls", [LinearStep, SoftBounds])
@pytest.mark.parametrize("direction", ["reverse_up", "reverse_down"])
def test_reversed_step_with_additive_noise_is_refused(cls, direction):
    with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.mult_noise = False: .*multiplicative"):
        cls(mult_noise=False, **{direction: True})


def test_log_normal_spread_beyond_single_precision_is_refused():
    assert SoftBounds(dw_min_dtod=10.0, dw_min_dtod_log_normal=True).dw_min_dtod == 10
    assert SoftBounds(dw_min_dtod=11.0).dw_min_dtod == 11
    with pytest.raises(ParameterError, match=r"^SoftBounds\.dw_min_dtod = 11: is too wide .*allowed: 0 .. 10"):
        SoftBounds(dw_min_dtod=11.0, dw_min_dtod_log_normal=True)


@pytest.mark.parametrize("wrong", [float("inf"), float("-inf"), float("nan"), 0, 1001, 31.5, "31", None, True])
def test_train_length_that_is_none_is_refused(wrong):
    with pytest.raises(ParameterError, match=r"^UpdateParameters\.desired_bl = "):
        UpdateParameters(desired_bl=wrong)


@pytest.mark.parametrize("wrong", [np.array(["none", "none"]), np.str_("other"), None, 1, True, ["none"]])
def test_option_that_is_none_is_refused(wrong):
    with pytest.raises(ParameterError, match=r"^IOParameters\.noise_management = "):
        IOParameters(noise_management=wrong)


def test_exp_step_without_a_positive_step_is_refused():
    with pytest.raises(ParameterError, match=r"^ExpStep\.A_up, A_down = 2, 3: no step is positive"):
        ExpStep(A_up=2.0, A_down=3.0, gamma_up=0.0, gamma_down=0.0)


@pytest.mark.parametrize("stem", devices.names())
def test_unknown_parameter_names_near_misses(stem):
    cls = devices.get(stem)
    name = cls.fields()[0]
    wrong = f"{name}m"
    for attempt in (lambda: cls(**{wrong: 1.0}), lambda: setattr(cls(), wrong, 1.0), lambda: cls().copy(**{wrong: 1})):
        with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{wrong}: .*Did you mean .*'{name}'"):
            attempt()


def test_unknown_device_names_near_misses():
    with pytest.raises(ParameterError, match=r"device = 'soft_bound': unknown .*Did you mean 'soft_bounds'"):
        devices.get("soft_bound")

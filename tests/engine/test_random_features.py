# SPDX-License-Identifier: Apache-2.0
"""Kernels by random features, digital and on tiles."""

import pytest
import torch
from layer_cases import EXACT, randn

from engine.errors import ParameterError, ShapeError
from engine.nn import AnalogLinear, RandomFeatures
from engine.nn.random_features import KERNELS, SAMPLINGS, directions, exact_kernel

X = 0.4 * randn(12, 8, seed=2)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_products_of_features_approach_the_kernel(kernel, sampling):
    """8192 rows, seed 5: an entry's standard error is at most sqrt(2/8192) = 0.016 of it, for steps; limit 1.6 of that.

    64 inputs of length about 0.7: structured rows are close to normal, positive features have no heavy tail.
    """
    x = 0.09 * randn(12, 64, seed=2)
    z = RandomFeatures(64, 8192, kernel, sampling, gamma=0.5, seed=5)(x)
    exact = exact_kernel(x, x, kernel, gamma=0.5)
    assert ((z @ z.T - exact).norm() / exact.norm()).item() < 0.025


def test_error_falls_with_the_root_of_the_rows():
    """Mean over ten draws of independent rows: 16 times the rows, a quarter of the error; 30 % for ten draws."""
    exact = exact_kernel(X, X, gamma=0.5)

    def error(rows: int) -> float:
        features = [RandomFeatures(8, rows, "rbf", "rff", gamma=0.5, seed=s)(X) for s in range(10)]
        return sum(((z @ z.T - exact).norm() / exact.norm()).item() for z in features) / 10

    assert error(64) / error(1024) == pytest.approx(4, rel=0.3)


def test_orthogonal_rows_are_orthogonal_within_a_block():
    rows = directions(16, 32, "orf", seed=1).double()
    for block in rows.split(16):
        unit = block / block.norm(dim=1, keepdim=True)
        torch.testing.assert_close(unit @ unit.T, torch.eye(16).double(), atol=1e-5, rtol=0)
    assert not torch.equal(rows[:16], rows[16:])


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_entries_have_mean_0_and_variance_1(sampling):
    """6e4 entries: 5 standard errors are 0.02 of the mean and 0.03 of the variance."""
    rows = directions(64, 1024, sampling, seed=3)
    assert abs(rows.mean().item()) < 0.02
    assert rows.var().item() == pytest.approx(1, abs=0.03)


def test_truncated_rows_stay_within_three():
    assert directions(64, 256, "rff", truncate=True).abs().max().item() <= 3
    assert directions(64, 256, "rff").abs().max().item() > 3


def test_rows_on_exact_tiles_give_the_digital_features():
    digital, analog = (RandomFeatures(8, 32, gamma=0.5, config=config, seed=4) for config in (None, EXACT))
    assert isinstance(analog.projection, AnalogLinear)
    torch.testing.assert_close(analog(X), digital(X), atol=1e-5, rtol=1e-5)
    assert not any(p.requires_grad for p in analog.parameters())


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((0, 4), ShapeError, "RandomFeatures.inputs = 0"),
        ((4, 1.5), ShapeError, "RandomFeatures.features = 1.5"),
        ((4, 4, "rbff"), ParameterError, "RandomFeatures.kernel = 'rbff': is unknown"),
        ((4, 4, "rbf", "qmc"), ParameterError, "RandomFeatures.sampling = 'qmc': is unknown"),
    ],
)
def test_wrong_features_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        RandomFeatures(*arguments)
    with pytest.raises(ParameterError, match=r"RandomFeatures.gamma = 0"):
        RandomFeatures(4, 4, gamma=0)

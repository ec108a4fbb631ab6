# SPDX-License-Identifier: Apache-2.0
"""The kernels that work on the devices and vectors of many chips at once: bits of their definitions."""

import pytest
import torch
from programmed_tiles import STANDARD

from engine import chip_ops, ops
from engine.tiles import IOParameters

PERIPHERIES = {
    "standard": STANDARD,
    "default": IOParameters(),
    "phases": IOParameters(mv_type="pos_neg_separate", w_read_asymmetry_dtod=0.1, out_noise_std=0.1),
    "perfect": IOParameters(is_perfect=True),
    "input noise": IOParameters(inp_noise=0.05, inp_sto_round=True),
}


@pytest.mark.parametrize("rows", [1, 2, 3, 6])
def test_draws_are_those_of_each_seed_and_element(rows):
    normals = chip_ops.device_draws([5, 6], rows, 131, "normal")
    uniforms = chip_ops.device_draws([5, 6], rows, 131, "uniform")
    for k, seed in enumerate((5, 6)):
        for row in range(rows):
            place = seed, "construction", 0, 131, row // 4
            assert torch.equal(normals[k, row], ops.element_normals(*place)[row % 4])
            assert torch.equal(uniforms[k, row], ops.element_uniforms(*place)[row % 4])


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize(
    ("form", "finish"),
    [("plain", lambda v: v), ("floored", lambda v: v.clamp(min=0)), ("folded", torch.abs)],
)
def test_errors_are_mean_and_spread_of_the_normals(form, finish, each):
    size = (2, 3, 100) if each else (3, 100)
    mean, spread = torch.randn(size), torch.rand(size)
    xi = chip_ops.device_draws([5, 6], 3, 100, "normal")
    found = chip_ops.device_draws([5, 6], 3, 100, form, mean=mean, spread=spread)
    assert torch.equal(found, finish(mean + spread * xi))


def test_a_read_after_drift_is_its_formula():
    """To two units in the last place of the exponential, whose own error is 3e-7."""
    g, nu, q = (torch.rand(2, 4, 9, 11) for _ in range(3))
    xi = chip_ops.device_draws([1, 2], 4, 99, "normal").reshape(g.shape)
    exact = (g.double() * torch.exp(-0.1 * nu.double() * 3.0)) * (1 + 5.0 * q * xi).double()
    found = chip_ops.drifted_read(g, 0.1 * nu, q, 3.0, 5.0, [1, 2])
    assert (found - exact.clamp(min=0)).abs().max() <= 1e-6 * exact.abs().max()
    combined = chip_ops.drifted_read(g, 0.1 * nu, q, 3.0, 5.0, [1, 2], [1.0, -1.0, 3.0, -3.0])
    assert combined == pytest.approx((found[:, 0] - found[:, 1]) + 3 * (found[:, 2] - found[:, 3]), abs=2e-5)
    quiet = chip_ops.drifted_read(g, 0.1 * nu, q, 3.0, 5.0, None)
    assert (quiet - g.double() * torch.exp(-0.3 * nu.double())).abs().max() <= 1e-6


@pytest.mark.parametrize("io", PERIPHERIES.values(), ids=PERIPHERIES.keys())
@pytest.mark.parametrize("shared", [False, True])
def test_products_of_all_chips_are_those_of_each(io, shared):
    weights, x = 0.2 * torch.randn(3, 40, 70), torch.randn(100, 70)
    x = x if shared else torch.stack([x, 2 * x, -x])
    factors = torch.rand(3, 40)
    seeds = [1, 2, 3], [4, 5, 6], [0, 7, 9]
    found = chip_ops.ChipProducts(io.pack(), *seeds, factors=factors)(weights, x)
    for k, (seed, lines, first) in enumerate(zip(*seeds, strict=True)):
        alone = ops.Product(io.pack(), False, seed, lines, first)(weights[k], x if shared else x[k])[0]
        assert torch.equal(found[k], alone * factors[k])


@pytest.mark.parametrize("io", PERIPHERIES.values(), ids=PERIPHERIES.keys())
def test_lines_driven_alone_have_the_bits_of_the_whole_product(io):
    weights, one = 0.2 * torch.randn(2, 40, 70), torch.eye(70)
    seeds = [1, 2], [4, 5], [0, 0]
    whole = chip_ops.ChipProducts(io.pack(), *seeds)(weights, one)
    assert torch.equal(chip_ops.ChipProducts(io.pack(), *seeds, one_hot=True)(weights, one), whole)

# SPDX-License-Identifier: Apache-2.0
"""The kernels that work on the devices and vectors of many chips at once: bits of their definitions."""

import pytest
import torch
from programmed_tiles import STANDARD

from engine import chip_ops, ops
from engine.devices.ideal import Ideal
from engine.inference import program
from engine.nn.conv import AnalogConv, AnalogConv1d, AnalogConv2d
from engine.product_call import Product
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, TileConfig

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
        alone = Product(io.pack(), False, seed, lines, first)(weights[k], x if shared else x[k])[0]
        assert torch.equal(found[k], alone * factors[k])


@pytest.mark.parametrize("io", PERIPHERIES.values(), ids=PERIPHERIES.keys())
def test_products_on_chips_have_the_same_bits_by_all_instruction_sets(io, instruction_set):
    """Outputs that fill no panel of sixteen, inputs that fill no register, and a last part with too few vectors."""
    weights, x = 0.2 * torch.randn(3, 40, 70), torch.randn(100, 70)
    found = []
    for name in ops.build_info()["isa_available"]:
        instruction_set(name)
        found.append(chip_ops.ChipProducts(io.pack(), [1, 2, 3], [4, 5, 6], [0, 7, 9])(weights, x))
    assert all(torch.equal(one, found[0]) for one in found)


@pytest.mark.parametrize("io", PERIPHERIES.values(), ids=PERIPHERIES.keys())
def test_lines_driven_alone_have_the_bits_of_the_whole_product(io):
    weights, one = 0.2 * torch.randn(2, 40, 70), torch.eye(70)
    seeds = [1, 2], [4, 5], [0, 0]
    whole = chip_ops.ChipProducts(io.pack(), *seeds)(weights, one)
    assert torch.equal(chip_ops.ChipProducts(io.pack(), *seeds, one_hot=True)(weights, one), whole)


def test_reading_shares_and_sums_are_their_formulas():
    """Shares to three units in the last place of the power, whose own error is 3e-7; sums as torch adds them."""
    g, numbers = 30 * torch.rand(2, 2, 9, 11), {"factor": 0.0088, "least": 1e-3, "most": 0.2}
    g[0, 0, 0] = 0
    exact = (0.0088 / ((g.double() / 25) ** 0.65).clamp(min=1e-3)).clamp(max=0.2)
    found = chip_ops.read_shares(g, g_max=25.0, exponent=0.65, **numbers)
    assert ((found - exact).abs() <= 2e-6 * exact).all()
    y = torch.randn(3, 40, 21)
    assert chip_ops.size_sums(y) == pytest.approx(y.double().abs().sum(1), rel=1e-12)
    assert chip_ops.combined(g, [0.5, -0.5]) == pytest.approx(0.5 * (g[:, 0] - g[:, 1]), abs=4e-6)


CONVOLUTIONS = {
    "square": (2, {"kernel_size": 3, "padding": 1}),
    "strided": (2, {"kernel_size": 3, "stride": 2, "padding": 1, "bias": False}),
    "single pixels": (2, {"kernel_size": 1, "stride": 2}),
    "dilated": (2, {"kernel_size": (5, 3), "dilation": 2, "padding": (4, 0)}),
    "reflected": (2, {"kernel_size": 3, "padding": 2, "padding_mode": "reflect"}),
    "grouped": (2, {"kernel_size": 3, "groups": 2, "padding": "same"}),
    "one axis": (1, {"kernel_size": 4, "padding": "same"}),
}


@pytest.mark.parametrize(("axes", "settings"), CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_a_convolution_on_chips_has_the_bits_of_its_unfolded_patches(axes, settings, monkeypatch):
    """Column scales, input ranges, and tiles of 100 lines at most, so that some layers are split."""
    mapping = MappingParameters(weight_scaling_omega=1.0, weight_scaling_columnwise=True, max_input_size=100)
    config = TileConfig(Ideal(), STANDARD, mapping=mapping, input_range=InputRangeParameters(enable=True))
    layer = (AnalogConv1d, AnalogConv2d)[axes - 1](16, 6, config=config, **settings).eval()
    x = 4 * torch.randn(3, 16, *(11, 9)[:axes])
    chips = program(layer, chips=2, seed=1)
    folded = chips.drift_to(60.0)(x)
    monkeypatch.setattr(AnalogConv, "_folds_on_chips", lambda self, x: False)
    assert torch.equal(folded, chips.drift_to(60.0)(x))


def test_tanh_is_torchs_within_two_units_in_the_last_place(threads):
    """A million normals of standard deviation 2, seed 0: kernel and torch are off by 2.5 and 0.5 units at most."""
    x = 2 * torch.randn(1_000_003, generator=torch.Generator().manual_seed(0))
    threads(1)
    found, exact = chip_ops.tanh(x), torch.tanh(x)
    assert ((found - exact).abs() / (torch.nextafter(exact.abs(), torch.tensor(2.0)) - exact.abs())).max() <= 2
    threads(3)
    assert torch.equal(chip_ops.tanh(x), found)
    assert chip_ops.tanh(torch.tensor([float("nan"), -float("inf")])).isnan().tolist() == [True, False]


def test_an_activation_is_that_of_the_finished_outputs():
    weights, x, factors, offsets = 0.2 * torch.randn(3, 10, 70), torch.randn(50, 70), torch.rand(3, 10), torch.rand(10)
    seeds, after = ([1, 2, 3], [4, 5, 6], [0, 0, 0]), {"factors": factors, "offsets": offsets}
    plain = chip_ops.ChipProducts(STANDARD.pack(), *seeds, **after)(weights, x)
    found = chip_ops.ChipProducts(STANDARD.pack(), *seeds, **after, then="tanh")(weights, x)
    assert torch.equal(found, chip_ops.tanh(plain))

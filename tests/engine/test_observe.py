# SPDX-License-Identifier: Apache-2.0
"""What is told of converters after a product is what they did in it, and the error estimate keeps to its formula."""

import numpy as np
import pytest
import torch

from engine.devices.ideal import Ideal
from engine.tiles import IOParameters, Tile
from engine.tiles import reference as reference_module
from engine.tiles.estimate import SOURCES, error_powers
from engine.tiles.observe import input_bits, input_scales, observe
from engine.tiles.reference import Draws, analog_product

VECTORS, OUT, IN = 12, 30, 40
EFFECTS = [
    {},
    {"noise_management": "max"},
    {"noise_management": "constant", "nm_thres": 1.0},
    {"noise_management": "average_abs_max"},
    {"noise_management": "abs_max_np_sum"},
    {"noise_management": "none", "inp_bound": 0.7},
    {"out_bound": 1.0},
    {"out_bound": 1.0, "bound_management": "none"},
    {"out_bound": 0.3, "bound_management": "iterative_worst_case"},
    {"out_bound": 0.3, "bm_test_negative_bound": False},
    {"out_bound": 1.0, "inp_sto_round": True, "out_sto_round": True, "inp_noise": 0.05},
    {"mv_type": "pos_neg_separate", "out_bound": 1.0, "w_noise": 0.02},
    {"inp_res": 254.0, "out_res": 0.01, "out_asymmetry": 0.1, "out_scale": -2.0},
]


def operands(seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    source = np.random.default_rng(seed)
    x = torch.tensor(source.normal(size=(VECTORS, IN)), dtype=torch.float32)
    x[5] = 0
    return torch.tensor(source.uniform(-0.5, 0.5, (OUT, IN)), dtype=torch.float32), x


def seen(io: IOParameters, weights: torch.Tensor, x: torch.Tensor):
    tile = Tile(*weights.shape, Ideal(), io, seed=7)
    tile.set_weights(weights)
    y = tile.forward(x)
    average = io.moved_average(0.0, x)
    return observe(io, x, y, tile.rounds, draws=Draws(7, 7, 0, "forward"), average=average), tile.rounds


def codes_made(monkeypatch, io: IOParameters, weights: torch.Tensor, x: torch.Tensor) -> list[list[torch.Tensor]]:
    """Return for each vector what the reference's DAC and ADC gave in turn, not yet limited; round after round."""
    made: list[torch.Tensor] = []
    convert = reference_module.codes

    def recorded(*args):
        made.append(convert(*args))
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(reference_module, "codes", recorded)
        rows = []
        for k in range(len(x)):
            made.clear()
            average = io.moved_average(0.0, x)
            analog_product(weights, x[k : k + 1], io, seed=7, construction_seed=7, first_step=k, average=average)
            rows.append(list(made))
    return rows


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda e: "-".join(map(str, e)) or "default")
def test_codes_told_are_those_of_the_reference(monkeypatch, effect):
    """480 inputs and 360 outputs in single and double precision: at most one may lie on its code's edge."""
    io = IOParameters(**effect)
    weights, x = operands()
    told, rounds = seen(io, weights, x)
    wrong_in, wrong_out = 0, 0
    for k, made in enumerate(codes_made(monkeypatch, io, weights, x)):
        if not made:
            assert rounds[k] == 0
            assert told.scale[k] == 0
            continue
        dac, adc = made[-2:]
        n_in, n_out = 0.5 / _share(io.inp_res), 0.5 / _share(io.out_res)
        wrong_in += int((told.input_codes[k] != dac.clamp(-n_in, n_in).trunc()).sum())
        wrong_in += int((told.input_clipped[k] != (dac.abs() > n_in * (1 + 1e-9))).sum())
        wrong_out += int((told.output_codes[k] != adc.clamp(-n_out, n_out)).sum())
        beyond = adc.abs() > n_out * (1 + 1e-9)
        at_end = adc.abs() >= n_out * (1 - 1e-9)
        assert (told.output_clipped[k] >= beyond).all()  # an output on the end code counts where nobody looked
        assert (told.output_clipped[k] <= at_end).all()
    assert wrong_in <= 1
    assert wrong_out <= 1


def _share(resolution: float) -> float:
    return 1 / resolution if resolution > 1 else resolution


def test_clipped_outputs_of_managed_vectors_are_none():
    weights, x = operands()
    told, rounds = seen(IOParameters(out_bound=1.0, out_noise=0.0), weights, x)
    assert rounds.max() > 1
    assert not told.output_clipped.any()
    unmanaged, _ = seen(IOParameters(out_bound=1.0, out_noise=0.0, bound_management="none"), weights, x)
    assert unmanaged.output_clipped.any()


def test_clipping_of_a_digital_sum_is_told_only_where_bounds_are_managed():
    weights, x = operands()
    digital = {"mv_type": "pos_neg_separate_digital_sum", "out_bound": 1.0}
    assert seen(IOParameters(**digital, bound_management="none"), weights, x)[0].output_clipped is None
    assert not seen(IOParameters(**digital), weights, x)[0].output_clipped.any()


def test_converters_that_are_off_have_no_codes():
    weights, x = operands()
    told, _ = seen(IOParameters(inp_res=0, out_res=0, out_bound=0.5, bound_management="none"), weights, x)
    assert told.input_codes.isnan().all()
    assert told.output_codes.isnan().all()
    assert told.output_clipped.any()
    perfect, _ = seen(IOParameters(is_perfect=True), weights, x)
    assert perfect.input_codes.isnan().all()
    assert not perfect.output_clipped.any()


@pytest.mark.parametrize(
    ("inp_res", "reduction", "bits"), [(1 / 126, 1.0, 5.97728), (1 / 126, 4.0, 3.97728), (0.0, 2.0, np.inf)]
)
def test_input_bits_is_log2_of_codes_over_reduction(inp_res, reduction, bits):
    found = input_bits(IOParameters(inp_res=inp_res), torch.tensor([reduction]))
    assert found.item() == pytest.approx(bits, abs=1e-5)  # five decimals are written above


def test_input_scales_of_constant_and_maximum():
    x = torch.tensor([[2.0, -3.0], [-1.0, -2.0]])
    assert input_scales(IOParameters(), x).tolist() == [3.0, 2.0]
    assert input_scales(IOParameters(nm_thres=2.5), x).tolist() == [2.5, 2.0]
    assert input_scales(IOParameters(noise_management="max"), x).tolist() == [2.0, 0.0]
    assert input_scales(IOParameters(noise_management="constant"), x).tolist() == [1.0, 1.0]


ALONE = {
    "DAC rounding": {"inp_res": 1 / 30},
    "input noise": {"inp_noise": 0.05},
    "weight noise": {"w_noise": 0.05, "w_noise_type": "pcm_read"},
    "output noise": {"out_noise": 0.1, "out_noise_std": 0.5},
    "ADC rounding": {"out_res": 1 / 126, "out_sto_round": True},
}


@pytest.mark.parametrize("digital", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_error_of_one_source_alone_is_the_estimate(source, digital):
    """Seed 7, 400 vectors by 64 outputs, of which the input's errors share 64 draws each: 4 % is about 4 sigma."""
    off = {"inp_res": 0.0, "out_res": 0.0, "out_noise": 0.0, "bound_management": "none"}
    phases = {"mv_type": "pos_neg_separate_digital_sum"} if digital else {}
    io = IOParameters(**off | ALONE[source] | phases)
    draw = np.random.default_rng(1)
    weights = torch.tensor(draw.normal(0, 0.2, (64, 64)), dtype=torch.float32)
    x = torch.tensor(draw.normal(size=(400, 64)), dtype=torch.float32)
    tile = Tile(64, 64, Ideal(), io, seed=7)
    tile.set_weights(weights)
    measured = (tile.forward(x) - x @ weights.T).double().square().mean().item()
    found = error_powers(io, weights, x, input_scales(io, x))
    assert [name for name, power in found.items() if power] == [source]
    assert measured == pytest.approx(found[source], rel=0.04)

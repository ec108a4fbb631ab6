# SPDX-License-Identifier: Apache-2.0
"""Input ranges from data, as the specification of inference has them."""

import pytest
import torch

from engine.nn import AnalogLinear, calibrate
from engine.tiles import InputRangeParameters, TileConfig

RANGES = InputRangeParameters(enable=True)


def found(batches: list[torch.Tensor], method: str, **others: float) -> float:
    layer = AnalogLinear(5, 3, config=TileConfig("idealized_symmetric", input_range=RANGES))
    return calibrate(layer, batches, method, **others)[""].item()


@pytest.mark.inference_conformance("I64")
def test_methods_on_growing_batches_are_in_the_peers_order():
    """Four batches 200 x 5 of N(0, 1) times 1 .. 4; the peer's 7.53, 5.59, 7.60, 13.15 with another seed.

    Expected of moving_std 3 * 2.5, of moving_quantile 2.576 * 2.5 less what 1000 draws miss; 10 %.
    """
    generator = torch.Generator().manual_seed(4)
    batches = [k * torch.randn(200, 5, generator=generator) for k in (1, 2, 3, 4)]
    std, quantile = found(batches, "moving_std"), found(batches, "moving_quantile", quantile=0.99)
    cached, largest = found(batches, "cache_quantile", quantile=0.99), found(batches, "max")
    assert std == pytest.approx(7.5, rel=0.1)
    assert quantile == pytest.approx(2.576 * 2.5, rel=0.1)
    assert quantile < cached < largest
    everything = torch.cat(batches).abs().flatten()
    assert cached == pytest.approx(everything.quantile(0.99).item(), rel=0.15)  # 1000 of 4000, ten above the quantile


@pytest.mark.inference_conformance("I64")
def test_one_sided_negative_inputs_have_the_quantile_of_their_magnitude():
    """Fewer inputs than are kept: exact up to one sample, 5 %."""
    x = -torch.rand(190, 5, generator=torch.Generator().manual_seed(1))
    wanted = x.abs().flatten().quantile(0.99).item()
    assert found([x], "cache_quantile", quantile=0.99) == pytest.approx(wanted, rel=0.05)

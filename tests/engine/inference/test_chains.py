# SPDX-License-Identifier: Apache-2.0
"""Chains of layers on chips: what is one, and that they give the bits of any other way to run a model."""

import pytest
import torch
from programmed_tiles import PERFECT, STANDARD
from torch import nn

from engine.devices.ideal import Ideal
from engine.inference import program
from engine.inference.chain import chain_of
from engine.nn import convert
from engine.tiles import MappingParameters, TileConfig


class Wrapped(nn.Module):
    """A model of its own that does what a chain does."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def analog(model: nn.Module, largest: int = 6) -> nn.Module:
    mapping = MappingParameters(weight_scaling_omega=1.0, max_input_size=largest, max_output_size=5)
    return convert(model, TileConfig(Ideal(), STANDARD, PERFECT, mapping=mapping)).eval()


def seeded(make) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return make().eval()


CHAINS = {
    "tanh": lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)),
    "twice": lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Tanh(), nn.Linear(5, 3), nn.Tanh()),
    "split": lambda: nn.Sequential(nn.Linear(6, 11), nn.Tanh(), nn.Linear(11, 7), nn.ReLU()),
    "nested": lambda: nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(6, 5), nn.GELU()), nn.Linear(5, 3)),
    "no bias": lambda: nn.Sequential(nn.Linear(6, 5, bias=False), nn.Tanh(), nn.Linear(5, 3, bias=False)),
    "one layer": lambda: nn.Linear(6, 5),
}


@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS.keys())
@pytest.mark.parametrize("shape", [(7, 6), (4, 3, 6)])
def test_a_chain_gives_the_bits_of_vmap_and_of_chips_one_by_one(make, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    if isinstance(make()[0] if isinstance(make(), nn.Sequential) else None, nn.Flatten):
        x = x.reshape(len(x), -1)[:, :6]
    model = analog(seeded(make))
    chips = program(model, chips=4, seed=2).drift_to(3600.0)
    assert chain_of(model) is not None
    found = chips(x)
    wrapped = program(Wrapped(model), chips=4, seed=2)
    assert chain_of(wrapped.model) is None
    for tile, other in zip(chips.tiles.values(), wrapped.tiles.values(), strict=True):
        tile.vectors = [0] * 4
        other.seeds, other.draws = tile.seeds, tile.draws  # seeds follow names, which the wrapper changes
        other.__post_init__()
    assert torch.equal(wrapped.drift_to(3600.0)(x), found)
    assert wrapped.batched
    chips.batched = False
    assert torch.equal(chips.drift_to(3600.0)(x), found)


def test_groups_of_chips_give_the_same_bits():
    model, x = analog(seeded(CHAINS["tanh"])), torch.randn(9, 6)
    chips = program(model, chips=5)
    found = chips.drift_to(1.0)(x)
    chips.chips_at_once = 2
    assert torch.equal(chips.drift_to(1.0)(x), found)


NO_CHAINS = {
    "convolution": lambda: nn.Sequential(nn.Conv1d(2, 3, 2), nn.Flatten(), nn.Linear(6, 2)),
    "flatten behind": lambda: nn.Sequential(nn.Linear(6, 4), nn.Flatten(), nn.Linear(8, 2)),
    "softmax": lambda: nn.Sequential(nn.Linear(6, 4), nn.Softmax(0)),
    "a model of its own": lambda: Wrapped(nn.Linear(6, 4)),
}


@pytest.mark.parametrize("make", NO_CHAINS.values(), ids=NO_CHAINS.keys())
def test_other_models_are_no_chains(make):
    assert chain_of(analog(seeded(make), largest=512)) is None


def test_a_model_with_hooks_is_no_chain_and_they_see_one_chip():
    model, seen = analog(seeded(CHAINS["tanh"])), []
    handle = model[1].register_forward_hook(lambda layer, given, found: seen.append(found.shape))
    found = program(model, chips=3)(torch.zeros(2, 6))
    handle.remove()
    assert found.shape == (3, 2, 3)
    assert set(seen) == {(2, 5)}


def test_shorter_inputs_are_refused_with_their_shape():
    with pytest.raises(Exception, match="got shape"):
        program(analog(seeded(CHAINS["tanh"])), chips=2)(torch.zeros(2, 5))

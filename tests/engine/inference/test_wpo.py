# SPDX-License-Identifier: Apache-2.0
"""Programming schemes: the expected error against sampling and the peer, and a small search."""

import pytest
import torch
from programmed_tiles import GOLDEN, PERFECT, fixed_tile, programmed, recipe

from engine.errors import ParameterError
from engine.inference.converters.custom_pair import CustomPair
from engine.inference.converters.dual_pair import DualPair
from engine.inference.converters.single_pair import SinglePair
from engine.inference.noise.pcm import Pcm
from engine.inference.noise.reram_cmo import ReramCmo
from engine.inference.wpo import WpoSettings, distribution, expected_error, optimise

TIMES = (1.0, 3600.0, 86400.0)
BASELINES = {"single": SinglePair(), "dual_1_1": DualPair(f_lst=[1.0, 1.0]), "dual_1_3": DualPair(f_lst=[1.0, 3.0])}


def sampled_error(converter, chips: int = 4) -> float:
    w, _ = fixed_tile()
    tile = programmed(w, recipe("pcm", converter, "ideal_readout"), chips=chips, io=PERFECT)
    total = 0.0
    for t in TIMES:
        tile.drift_to(t)
        error = tile.alpha.double()[:, None, None] * tile.weights - w
        total += (100 * error**2 / w.abs().max() ** 2).mean().item()
    return total / len(TIMES)


@pytest.mark.parametrize(("key", "converter"), BASELINES.items(), ids=BASELINES.keys())
def test_expected_error_is_that_of_sampled_chips_and_near_the_peers(key, converter):
    """Four chips of 65,536 weights: sampling is below 1 %; the peer reads through converters and merges pairs: 3 %."""
    w, _ = fixed_tile()
    found = expected_error(converter, Pcm(), *distribution(w), TIMES)
    assert found == pytest.approx(sampled_error(converter), rel=0.01)
    assert found == pytest.approx(GOLDEN["peer"]["wpo_baseline_TNMSE"][key], rel=0.03)


def test_a_small_search_gains_on_one_pair_and_its_tables_hold_when_sampled():
    """Two pairs of free significance against one pair; what the search promises is what chips show."""
    w, _ = fixed_tile()
    seen: list[float] = []
    result = optimise(
        w[:64], Pcm(), WpoSettings(pairs=2, bins=4, popsize=4, generations=3, margin=0.9),
        progress=lambda best: seen.append(best) or False,
    )  # fmt: skip
    assert isinstance(result.converter, CustomPair)
    assert result.gain > 0.3
    assert seen == result.history
    assert sampled_error(result.converter) == pytest.approx(result.error, rel=0.06)  # another part of the tile
    back = result.converter.to_weights(*result.converter.to_conductances(w))
    assert (back - w).abs().max() < 1e-4


def test_a_search_ends_when_asked():
    w, _ = fixed_tile()
    result = optimise(w[:32], Pcm(), WpoSettings(bins=3, popsize=4, generations=50), progress=lambda best: True)
    assert len(result.history) == 1


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda w: optimise(w, ReramCmo()), r"wpo\.noise = 'ReramCmo': has no closed form"),
        (lambda w: optimise(w, Pcm(), f_lst=[1.0]), r"wpo\.f_lst = \[1\.0\]: does not fit the pairs"),
        (lambda w: optimise(torch.zeros(4, 4), Pcm()), r"wpo\.weights"),
        (lambda w: WpoSettings(pairs=0), r"WpoSettings\.pairs = 0"),
    ],
)
def test_what_cannot_be_searched_is_refused(ask, said):
    with pytest.raises(ParameterError, match=said):
        ask(fixed_tile()[0])

# SPDX-License-Identifier: Apache-2.0
"""Weights as conductances: there and back, states, references, and what cancels."""

import numpy as np
import pytest

from engine.errors import ParameterError
from engine.tiles.encodings import DifferentialPair, OffsetEncoding

RANGE = {"g_min": 2e-6, "g_max": 22e-6, "w_max": 0.5}
EVERY = [
    DifferentialPair(**RANGE),
    DifferentialPair(**RANGE, style="two_sided"),
    OffsetEncoding(**RANGE),
    OffsetEncoding(**RANGE, reference="digital"),
    OffsetEncoding(**RANGE, signed=False),
]
ALL = pytest.mark.parametrize("encoding", EVERY, ids=["pair", "two-sided", "offset", "digital", "dummy"])


def weights_for(encoding, shape=(6, 9)):
    low = -0.5 if getattr(encoding, "signed", True) else 0.0
    return np.random.default_rng(1).uniform(low, 0.5, shape)


@ALL
def test_encoding_there_and_back_gives_the_weights(encoding):
    w = weights_for(encoding)
    arrays = encoding.arrays(w)
    assert min(g.min() for g in arrays) >= 2e-6 * (1 - 1e-12)
    assert max(g.max() for g in arrays) <= 22e-6 * (1 + 1e-12)
    np.testing.assert_allclose(encoding.weights(arrays), w, atol=1e-14)


@ALL
def test_encoding_currents_carry_the_product(encoding):
    w = weights_for(encoding)
    x = np.random.default_rng(2).uniform(-1, 1, (4, 9))
    currents = [x @ g.T for g in encoding.arrays(w)]
    got = encoding.difference(currents, x.sum(1, keepdims=True)) / encoding.siemens_per_weight
    np.testing.assert_allclose(got, x @ w.T, atol=1e-13)


@pytest.mark.parametrize(
    ("encoding", "levels"),
    [
        (DifferentialPair(states=16), 31),
        (DifferentialPair(states=16, style="two_sided"), 16),
        (OffsetEncoding(states=16), 15),
        (OffsetEncoding(states=15), 15),
        (OffsetEncoding(states=16, signed=False), 16),
    ],
)
def test_encoding_states_give_that_many_weights(encoding, levels):
    low = 0.0 if not getattr(encoding, "signed", True) else -1.0
    w = np.linspace(low, 1, 4000)[None]  # zero itself is not among them: half way between two states of a device
    got = encoding.weights(encoding.arrays(w))
    found = np.unique(got.round(9))
    assert len(found) == levels
    assert found[-1] == 1
    assert 0 in found or (encoding.title == "Differential pair" and encoding.style == "two_sided")
    # Half a spacing of the difference, from the nearest of equally spaced weights.
    assert np.abs(got - w).max() <= 0.5 * np.diff(found).max() + 1e-9


def test_encoding_states_are_equally_spaced_conductances():
    (g,) = OffsetEncoding(states=5, g_min=1e-6, g_max=9e-6, reference="digital").arrays([np.linspace(-1, 1, 101)])
    np.testing.assert_allclose(np.unique(g.round(12)), [1e-6, 3e-6, 5e-6, 7e-6, 9e-6])


def test_pair_common_error_cancels_but_offset_needs_its_reference_column():
    # All conductances of a chip drift by the same sum: pairs and a column of the same devices do not see it.
    w = weights_for(EVERY[0])
    for encoding, error in ((EVERY[0], 0.0), (EVERY[2], 0.0), (EVERY[3], 1e-6)):
        moved = [g + 1e-6 for g in encoding.arrays(w)]
        expected = w + error / encoding.siemens_per_weight
        np.testing.assert_allclose(encoding.weights(moved), expected, atol=1e-13)


def test_dummy_column_removes_what_a_finite_on_off_ratio_adds():
    w = weights_for(EVERY[4])
    encoding = OffsetEncoding(g_min=2.5e-6, g_max=25e-6, w_max=0.5, signed=False)
    (g,) = encoding.arrays(w)
    x = np.random.default_rng(3).uniform(0, 1, (4, 9))
    bare = (x @ g.T)[:, :-1] / encoding.siemens_per_weight
    assert np.abs(bare - x @ w.T).min() > 0.05
    corrected = bare - (x @ g.T)[:, -1:] / encoding.siemens_per_weight
    np.testing.assert_allclose(corrected, x @ w.T, atol=1e-13)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: DifferentialPair(g_min=30e-6), r"DifferentialPair.g_min = 3e-05 S: leaves no range"),
        (lambda: OffsetEncoding(states=2), r"OffsetEncoding.states = 2: is too few"),
        (lambda: DifferentialPair(states=1), r"DifferentialPair.states = 1: is too few"),
        (lambda: DifferentialPair().arrays([[1.5]]), r"weights = 1\.5: is beyond the range"),
        (lambda: OffsetEncoding(signed=False).arrays([[-0.5]]), r"weights = -0\.5: must not be negative"),
    ],
)
def test_encoding_wrong_values_refused_by_name(call, text):
    with pytest.raises(ParameterError, match=text):
        call()

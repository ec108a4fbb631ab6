# SPDX-License-Identifier: Apache-2.0
"""Random numbers: published vectors, the rule that maps counters to draws, moments, independence."""

import itertools
import zlib

import judge
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine import ops
from engine.devices.constant_step import ConstantStep
from engine.errors import ParameterError
from engine.rng import derive_seed
from engine.tiles import Tile, UpdateParameters

ONES = 0xFFFFFFFF
# Known answers for philox4x32-10 from Random123 (the generator's authors), file kat_vectors.
PUBLISHED = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),  # digits of pi
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
# The same file's vectors for philox4x32-7, which updates use.
PUBLISHED_7 = [
    ((0, 0, 0, 0), (0, 0), (0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48)),
    ((ONES,) * 4, (ONES,) * 2, (0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662)),
    (PUBLISHED[2][0], PUBLISHED[2][1], (0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A)),
]
words32 = st.integers(0, ONES)


def philox(key: int, counter: tuple[int, ...], rounds: int = 10) -> tuple[int, ...]:
    """Philox4x32 a second time, in whole numbers of Python, from the paper's definition."""
    c, k = list(counter), [key & ONES, key >> 32]
    for _ in range(rounds):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & ONES, (a >> 32) ^ c[3] ^ k[1], a & ONES]
        k = [(k[0] + 0x9E3779B9) & ONES, (k[1] + 0xBB67AE85) & ONES]
    return tuple(c)


def draw(seed: int, stream: str, step: int, count: int = 1_000_000) -> np.ndarray:
    return ops.normals(seed, stream, step, count).astype(float)


@pytest.mark.parametrize(("rounds", "answers"), [(10, PUBLISHED), (7, PUBLISHED_7)])
def test_philox_published_counter_gives_published_words(rounds, answers):
    for counter, key, words in answers:
        assert ops.philox(key[0] | key[1] << 32, counter, rounds) == words


@given(key=st.integers(0, 2**64 - 1), counter=st.tuples(words32, words32, words32, words32))
def test_philox_any_counter_equals_second_implementation(key, counter):
    assert ops.philox(key, counter) == philox(key, counter)
    assert ops.philox(key, counter, 7) == philox(key, counter, 7)


@pytest.mark.parametrize(("stream", "step"), [("forward_output", 0), ("update_cycle", 5), ("pulse_write", 2**33 + 7)])
def test_normals_follow_the_stated_rule(stream, step):
    """Element e of a step is Box-Muller on Philox words of counter (0, e, step, stream << 24 | step >> 32)."""
    seed, stream_number = 2**40 + 3, ops.STREAMS[stream]
    expected = []
    for element in range(100):
        counter = (0, element, step & ONES, stream_number << 24 | step >> 32)
        words = philox(seed, counter)
        for radius_word, direction_word in (words[:2], words[2:]):
            expected += box_muller(radius_word, direction_word)
    # Radius and angle have 24 bits in single precision: errors of 2^-24 at a radius below 6.7 move a draw by 1e-6.
    np.testing.assert_allclose(ops.normals(seed, stream, step, 400), expected, atol=1e-6)


def box_muller(radius_word: int, direction_word: int) -> list[float]:
    """Return two normals: 31 bits of radius and one of side; 32 bits of angle, the last of them also the axis."""
    radius = np.sqrt(-2 * np.log((radius_word & 0x7FFFFFFF | 1) / 2**31))
    angle = (direction_word - (direction_word >> 31 << 32)) / 2**31 * np.pi / 4
    along = radius * np.cos(angle) * (-1 if radius_word >> 31 else 1)
    across = radius * np.sin(angle)
    return [across, along] if direction_word & 1 else [along, across]


def test_update_draws_follow_the_stated_rule():
    """One certain pulse of pure noise at each of 130 devices: draw 64 b + 16 k + l is number k of call 16 b + l."""
    seed, step, columns = 2**40 + 3, 1000.0, 130
    quiet = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
    device = ConstantStep(dw_min=step, dw_min_std=1.0, w_max=1e7, w_min=-1e7, **quiet)
    tile = Tile(1, columns, device, update=UpdateParameters(desired_bl=1), seed=seed)
    tile.update(torch.ones(1, columns), torch.ones(1, 1), 1e9)
    got = -tile.weights.numpy()[0] / step - 1.0
    number = ops.STREAMS["update_cycle"] << 24
    expected = []
    for n in range(columns):
        call, k = n // 64 * 16 + n % 16, n // 16 % 4
        words = philox(seed, (call, 0, 0, number), 7)
        expected.append(box_muller(*words[k // 2 * 2 : k // 2 * 2 + 2])[k % 2])
    np.testing.assert_allclose(got, expected, atol=2e-6)  # a weight of up to 7 steps has 24 bits: 5e-7 of a step


def test_normals_longer_request_starts_with_the_shorter_one():
    short, long = ops.normals(3, "set_write", 0, 1001), ops.normals(3, "set_write", 0, 5000)
    np.testing.assert_array_equal(short, long[:1001])


@pytest.mark.parametrize("seed", [0, 1, 2**62 + 11])
def test_normals_moments_are_those_of_the_standard_normal(seed):
    """N = 1e6; standard errors 1/sqrt(N), sqrt(2/N), sqrt(6/N), sqrt(24/N) of the first four moments."""
    z = draw(seed, "forward_output", 3)
    n = z.size
    assert abs(z.mean()) < judge.Z / np.sqrt(n)
    assert abs(z.var() - 1) < judge.Z * np.sqrt(2 / n)
    assert abs(stats.skew(z)) < judge.Z * np.sqrt(6 / n)
    assert abs(stats.kurtosis(z)) < judge.Z * np.sqrt(24 / n)
    assert stats.kstest(z[:100_000], "norm").pvalue > 1e-4
    beyond = 2 * stats.norm.sf(4.0)
    assert abs((np.abs(z) > 4).mean() - beyond) < judge.Z * np.sqrt(beyond / n)
    assert np.abs(z).max() < 6.7  # 31 bits of uniform cannot give more


def test_normals_of_different_streams_steps_and_seeds_are_uncorrelated():
    """N = 2e5 each; correlation of independent draws has standard error 1/sqrt(N)."""
    n = 200_000
    sets = {(s, 0, 1): draw(1, s, 0, n) for s in ops.STREAMS}
    sets |= {("forward_output", k, 1): draw(1, "forward_output", k, n) for k in (1, 2, 2**32)}
    sets |= {("forward_output", 0, k): draw(k, "forward_output", 0, n) for k in (0, 2, 2**32 + 1)}
    for (a, x), (b, y) in itertools.combinations(sets.items(), 2):
        judge.correlation(x, y, 0.0, within=judge.Z / np.sqrt(n), what=f"{a} with {b}")


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 8, 64])
def test_normals_within_a_stream_are_uncorrelated(lag):
    """N = 1e6: draws and their squares (Box-Muller pairs share a radius and an angle)."""
    z = draw(5, "pulse_cycle", 0)
    for values in (z, z * z):
        judge.correlation(values[:-lag], values[lag:], 0.0, within=judge.Z / np.sqrt(z.size), what=f"lag {lag}")


def test_stream_numbers_are_all_different():
    assert len(set(ops.STREAMS.values())) == len(ops.STREAMS)


def test_derive_seed_follows_the_stated_rule():
    """Numbers are part of the result: a saved seed must give the same children in every later version."""

    def child(seed: int, number: int, kind: int) -> int:
        words = philox(seed, (number & ONES, number >> 32, kind, ops.STREAMS["derive"] << 24))
        return (words[0] | words[1] << 32) & (2**63 - 1)

    assert derive_seed(7, 2**40 + 3) == child(7, 2**40 + 3, 2)
    assert derive_seed(0, "layer", "0.weight") == child(child(0, zlib.crc32(b"layer"), 1), zlib.crc32(b"0.weight"), 1)
    assert derive_seed(7) == 7


def test_derive_seed_every_path_differs():
    paths = (
        [(i,) for i in range(3000)] + [(str(i),) for i in range(3000)] + [(i, j) for i in range(50) for j in range(50)]
    )
    paths += [("layer", i) for i in range(1000)] + [(f"layer{i}",) for i in range(1000)] + [(2**32 + 1,), (2**62,)]
    assert len({derive_seed(1, *p) for p in paths}) == len(paths)


@given(seed=st.integers(0, 2**63 - 1), part=st.integers(0, 2**63 - 1) | st.text())
def test_derive_seed_any_path_is_a_valid_seed_and_repeats(seed, part):
    child = derive_seed(seed, part)
    assert 0 <= child < 2**63
    assert child == derive_seed(seed, part)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, "1", None])
def test_derive_seed_invalid_seed_is_refused(seed):
    with pytest.raises(ParameterError, match=r"seed = .*whole number.*2\^63-1"):
        derive_seed(seed)
    if not isinstance(seed, str):
        with pytest.raises(ParameterError, match="whole number"):
            derive_seed(0, seed)

# SPDX-License-Identifier: Apache-2.0
"""Weights to conductances and back."""

import pytest
import torch
from programmed_tiles import GOLDEN

from engine.errors import ParameterError
from engine.inference import converters
from engine.inference.converters.custom_pair import CustomPair
from engine.inference.converters.dual_pair import DualPair
from engine.inference.converters.n_pair import NPair
from engine.inference.converters.single_device import SingleDevice
from engine.inference.converters.single_pair import SinglePair

TABLES = GOLDEN["formula"]["converters"]
A = TABLES["custom_A"]
W = torch.tensor(TABLES["W"])
CUSTOM_A = CustomPair.of(A["f_lst"], A["g_lst"], g_min=A["g_min"], g_max=A["g_max"])
ALL = {
    "single": SinglePair(), "single 5..25": SinglePair(g_min=5.0), "dual": DualPair(f_lst=[1.0, 3.0]),
    "three": NPair(f_lst=[1.0, 2.0, 3.0], g_min=0.1, g_max=15.0), "custom": CUSTOM_A, "device": SingleDevice(),
    "symmetric": SingleDevice(symmetric=True), "custom default": CustomPair(),
}  # fmt: skip


def test_every_converter_is_found():
    assert converters.names() == ["custom_pair", "dual_pair", "n_pair", "single_device", "single_pair"]


@pytest.mark.inference_conformance("I1")
@pytest.mark.parametrize(
    ("name", "key", "slices"),
    [
        ("single", "single_0_25_second_row", {"g_plus": 0, "g_minus": 1}),
        ("single 5..25", "single_5_25_second_row", {"g_plus": 0, "g_minus": 1}),
        ("dual", "dual_f_1_3_0_25_second_row", {"g_plus_1": 0, "g_plus_2": 2}),
        ("three", "npair_f_1_2_3_0.1_15_second_row", {"g_plus_1": 0, "g_plus_2": 2, "g_plus_3": 4}),
        ("custom", "custom_A", {"g_plus": 0, "g_minus": 1}),
    ],
)
def test_conductances_are_those_of_the_table(name, key, slices):
    """To 1e-4 uS, the table's digits; custom table A has three, hence 6e-4 there."""
    g, _ = ALL[name].to_conductances(W)
    wanted = TABLES[key].get("second_row", TABLES[key])
    for row, k in slices.items():
        assert g[k, 1].tolist() == pytest.approx(wanted[row], abs=6e-4 if name == "custom" else 1e-4)


@pytest.mark.inference_conformance("I1")
def test_single_device_conductances_are_those_of_the_table():
    g, _ = SingleDevice().to_conductances(W)
    wanted = TABLES["single_device_9_88.2"]
    assert g[0].tolist() == [
        pytest.approx(wanted["first_row"], abs=1e-4),
        pytest.approx(wanted["second_row"], abs=1e-4),
    ]


@pytest.mark.inference_conformance("I2")
@pytest.mark.parametrize("converter", ALL.values(), ids=ALL.keys())
@pytest.mark.parametrize("kind", ["normal", "zero", "outlier"])
def test_round_trip_is_exact(converter, kind):
    """To 1e-6 of the largest weight: a few roundings of single precision on top of each other."""
    w = torch.randn(256, 256, generator=torch.Generator().manual_seed(1))
    if kind == "zero":
        w = torch.zeros(256, 256)
    if kind == "outlier":
        w[3, 5] = 100.0
    g, scale = converter.to_conductances(w)
    assert g.min() >= converter.g_min * (1 - 1e-6)
    assert g.max() <= converter.g_max * (1 + 1e-6)
    assert (converter.to_weights(g, scale) - w).abs().max() <= 1e-6 * max(w.abs().max().item(), 1.0)


@pytest.mark.inference_conformance("I3")
@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: CustomPair.of([1.0], [[0.0, 9.0, 25.0], [25.0, 0.0, 0.0]]), r"CustomPair\.g_lst.*read back as"),
        (lambda: CustomPair.of([1.0], [[0.0, 25.0], [25.0, 0.0, 0.0]]), r"CustomPair\.g_lst.*length"),
        (lambda: CustomPair.of([1.0, 2.0], [[0.0, 25.0], [25.0, 0.0]]), r"CustomPair\.g_lst.*4 tables"),
        (lambda: CustomPair.of([1.0], [[0.0, 26.0], [26.0, 0.0]]), r"CustomPair\.g_lst\[1\] = 26 uS"),
        (lambda: CustomPair.of([0.0], [[0.0, 25.0], [25.0, 0.0]]), r"CustomPair\.f_lst\[0\] = 0"),
        (lambda: CustomPair.of([1.0], [[5.0, 5.0], [5.0, 5.0]]), r"CustomPair\.g_lst.*hold no weight"),
        (lambda: NPair(f_lst=[1.0, -1.0]), r"NPair\.f_lst\[1\] = -1"),
        (lambda: DualPair(f_lst=[1.0]), r"DualPair\.f_lst"),
        (lambda: SinglePair(g_min=25.0), r"SinglePair\.g_min = 25 uS.*below g_max"),
    ],
)
def test_tables_that_do_not_fit_are_refused_by_name(make, named):
    with pytest.raises(ParameterError, match=named):
        make()


def test_a_table_that_cannot_be_inverted_is_taken_when_asked():
    CustomPair.of([1.0], [[0.0, 9.0, 25.0], [25.0, 0.0, 0.0]], invertibility_test=False)


@pytest.mark.inference_conformance("I4")
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.3, -2.0])
def test_equal_weights_on_single_devices_are_finite_and_read_back(symmetric, value):
    converter = SingleDevice(symmetric=symmetric)
    g, scale = converter.to_conductances(torch.full((3, 4), value))
    assert g.isfinite().all()
    assert converter.to_weights(g, scale) == pytest.approx(value, abs=2e-7 * max(abs(value), 1))
    if not symmetric:
        assert g == pytest.approx((9.0 + 88.2) / 2, abs=1e-4)

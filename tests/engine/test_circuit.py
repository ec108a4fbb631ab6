# SPDX-License-Identifier: Apache-2.0
"""Circuits composed to a product: exact with all parts off, each part as it is alone, and all together."""

import circuit_tables
import numpy as np
import pytest
import torch

from engine.errors import ParameterError, ShapeError
from engine.tiles import IOParameters
from engine.tiles.circuit import PARTS, Circuit, CircuitArray, CircuitOptions, error_budget
from engine.tiles.converters import IdealConverter, RampConverter, SarConverter
from engine.tiles.encodings import DifferentialPair, OffsetEncoding
from engine.tiles.faults import StuckFaults
from engine.tiles.nmpu import Nmpu, best_shift
from engine.tiles.reference import analog_product
from engine.tiles.slicing import Slicing, noise_gain
from engine.tiles.wires import KINDS, WireModel

RANGE = {"g_min": 1e-6, "g_max": 25e-6}
ENCODINGS = [
    DifferentialPair(**RANGE),
    DifferentialPair(**RANGE, style="two_sided"),
    OffsetEncoding(**RANGE),
    OffsetEncoding(**RANGE, reference="digital"),
]


def case(outs=8, ins=32, batch=10, seed=0, low=-1.0):
    rng = np.random.default_rng(seed)
    return rng.uniform(low, 1, (outs, ins)), rng.uniform(-1, 1, (batch, ins))


def everything(**changes) -> Circuit:
    """Return a circuit in which every part has errors."""
    parts = {
        "encoding": DifferentialPair(**RANGE, states=32),
        "slicing": Slicing(weight_bits=8, weight_slice_bits=4, input_bits=8, input_slice_bits=4),
        "faults": StuckFaults(p_low=0.01, p_high=0.005),
        "wires": WireModel(kind="nodal", source_resistance=20.0),
        "converter": SarConverter(bits=8, full_scale=10.0, capacitor_std=0.02, offset_std=0.5),
        "nmpu": Nmpu(activation="none", scale_bits=10),
    }
    return Circuit(**(parts | changes))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("subtract", ["analog", "digital"])
def test_circuit_all_parts_off_equals_the_ideal_product(encoding, subtract):
    w, x = case()
    circuit = Circuit(encoding=encoding, options=CircuitOptions(subtract=subtract, x_max=2.0, spares=3))
    np.testing.assert_allclose(CircuitArray(w, circuit)(2 * x), 2 * x @ w.T, atol=1e-12)


@pytest.mark.parametrize("part", PARTS)
def test_circuit_with_one_part_off_differs_and_all_off_is_ideal(part):
    w, x = case()
    full = everything()
    y = CircuitArray(w, full, seed=3)(x)
    assert np.abs(CircuitArray(w, full.without(part), seed=3)(x) - y).max() > 1e-3
    np.testing.assert_allclose(CircuitArray(w, full.without(*PARTS), seed=3)(x), x @ w.T, atol=1e-12)
    # A part alone is what is left when all others are off; the processing alone has no codes to work on.
    alone = full.only(part) if part != "nmpu" else full.only("converter", "nmpu")
    assert CircuitArray(w, alone, seed=3).report(x)["relative_error"] > 1e-4


@pytest.mark.tile_conformance("T57")
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("weight_slice", "input_slice"), [(1, 1), (3, 2), (7, 7), (15, 4)])
def test_circuit_slices_of_whole_numbers_equal_their_product(encoding, weight_slice, input_slice):
    rng = np.random.default_rng(57)
    w, x = rng.integers(-127, 128, (6, 20)) / 127, rng.integers(-127, 128, (5, 20)) / 127
    slicing = Slicing(weight_bits=8, weight_slice_bits=weight_slice, input_bits=8, input_slice_bits=input_slice)
    y = CircuitArray(w, Circuit(encoding=encoding, slicing=slicing)).product(x)
    np.testing.assert_allclose(y, x @ w.T, atol=1e-12)


def test_circuit_ideal_converter_equals_the_tiles_reference():
    w, x = case()
    circuit = Circuit(converter=IdealConverter(bits=6, full_scale=4.0))
    io = IOParameters(
        noise_management="none", bound_management="none", inp_bound=0.0, out_bound=4.0, out_res=1 / 62, out_noise=0.0
    )
    want, _ = analog_product(torch.tensor(w), torch.tensor(x), io)
    np.testing.assert_allclose(CircuitArray(w, circuit).product(x), want.numpy(), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_circuit_wires_equal_both_arrays_of_the_pair_solved_alone(kind):
    w, x = case()
    wires = WireModel(kind=kind, column_resistance=5.0, sweeps=30)
    encoding = DifferentialPair(**RANGE)
    plus, minus = (wires.solve(g, x).currents for g in encoding.arrays(w))
    got = CircuitArray(w, Circuit(encoding=encoding, wires=wires)).product(x)
    np.testing.assert_allclose(got, (plus - minus) / 24e-6, rtol=1e-9)
    assert 1e-3 < np.abs(got - x @ w.T).max() < 1


def test_circuit_fast_wires_of_positive_weights_equal_the_tiles_reference():
    w, x = case(low=0.0)
    encoding = OffsetEncoding(g_min=0.0, signed=False, w_max=1.0)
    circuit = Circuit(encoding=encoding, wires=WireModel(kind="fast", column_resistance=20.0))
    io = IOParameters(
        noise_management="none", bound_management="none", inp_bound=0.0, out_bound=0.0, out_noise=0.0,
        ir_drop=1.0, ir_drop_g_ratio=1 / (20 * 25e-6),
    )  # fmt: skip
    want, _ = analog_product(torch.tensor(w), torch.tensor(x), io)
    np.testing.assert_allclose(CircuitArray(w, circuit).product(x), want.numpy(), atol=1e-12)


def test_circuit_slices_with_wires_equal_each_slice_solved_alone():
    w, x = case()
    wires = WireModel(kind="nodal", column_resistance=5.0, row_resistance=5.0)
    slicing = Slicing(weight_bits=7, weight_slice_bits=2)
    array = CircuitArray(w, Circuit(slicing=slicing, wires=wires, encoding=DifferentialPair(**RANGE)))
    assert len(array.slices) == 3
    got = 0
    for k, piece in enumerate(array.slices):
        plus, minus = (wires.solve(g, x).currents for g in piece.arrays)
        got = got + 4**k * (plus - minus) / 24e-6
    np.testing.assert_allclose(array.product(x), got * 3 / 63, rtol=1e-9)


def test_circuit_wire_solution_is_that_of_one_array():
    w, x = case()
    array = CircuitArray(w, Circuit(wires=WireModel(kind="nodal"), options=CircuitOptions(x_max=2.0)))
    solution = array.wires(x, array=1)
    assert solution.column_voltages.shape == solution.row_voltages.shape == (10, 8, 32)
    assert np.abs(solution.row_voltages).max() <= 0.5 * np.abs(x).max()


@pytest.mark.tile_conformance("T58")
@pytest.mark.parametrize("input_slice", [1, 2, 7])
def test_circuit_noise_of_phases_grows_by_the_sum_of_squares(input_slice):
    # 400 vectors times 20 columns, seed 58: the relative standard error of a variance is 1.6 %; limit 3 of them.
    converter = RampConverter(bits=14, full_scale=40.0, noise_std=20.0)
    slicing = Slicing(input_bits=8, input_slice_bits=input_slice)
    array = CircuitArray(np.zeros((20, 4)), Circuit(slicing=slicing, converter=converter), seed=58)
    phases = -(-7 // input_slice)
    lsb = converter.step * (2**input_slice - 1) / 127
    noise = array.product(np.zeros((400, 4)))
    assert noise.var() == pytest.approx(noise_gain(phases, input_slice) * lsb**2 * (400 + 1 / 12), rel=0.05)


def test_circuit_split_batch_gives_the_same_bits():
    w, x = case()
    converter = SarConverter(bits=8, full_scale=10.0, capacitor_std=0.02, noise_std=2.0, sharing=4)
    circuit = everything(converter=converter)
    array = CircuitArray(w, circuit, seed=4)
    parts = [array(x[:3]), array(x[3:], first=3)]
    np.testing.assert_array_equal(array(x), np.concatenate(parts))
    np.testing.assert_array_equal(array(x), CircuitArray(w, circuit, seed=4)(x))
    assert (array(x) != CircuitArray(w, circuit, seed=5)(x)).any()


def test_circuit_digital_subtraction_has_the_noise_of_two_converters():
    # 4000 x 8 conversions, seed 6: limit 4.5 standard errors.
    converter = RampConverter(bits=14, full_scale=10.0, noise_std=10.0)
    stds = []
    for subtract in ("analog", "digital"):
        circuit = Circuit(converter=converter, options=CircuitOptions(subtract=subtract))
        stds.append(CircuitArray(np.full((8, 4), 0.5), circuit, seed=6).product(np.full((4000, 4), 0.3)).std())
    assert stds[1] / stds[0] == pytest.approx(np.sqrt(2), rel=4.5 / np.sqrt(32_000))


def test_circuit_repair_and_placement_reduce_the_error_of_stuck_devices():
    # Weights of spread 0.2; 5 % of the devices low, 1 % high. Mean and spread were measured over seeds 0-7; limit 3.
    w = np.clip(np.random.default_rng(7).normal(size=(64, 64)) * 0.2, -1, 1)
    x = np.random.default_rng(8).uniform(-1, 1, (200, 64))
    errors = []
    for repair, spares in (("none", 0), ("partner", 0), ("placement", 0), ("placement", 16)):
        options = CircuitOptions(repair=repair, spares=spares)
        circuit = Circuit(DifferentialPair(**RANGE), faults=StuckFaults(p_low=0.05, p_high=0.01), options=options)
        errors.append(CircuitArray(w, circuit, seed=7).report(x)["relative_error"])
    mean, spread = np.array([0.705, 0.297, 0.108, 0.036]), np.array([0.029, 0.028, 0.028, 0.004])
    assert (np.abs(errors - mean) < 3 * spread).all()


def test_circuit_processing_stays_within_the_units_bound_of_the_ideal():
    w, x = case(batch=200)
    bias = np.linspace(-2, 2, 8)
    unit = Nmpu(scale_bits=10)
    converter = IdealConverter(bits=8, full_scale=16.0)
    array = CircuitArray(w, Circuit(converter=converter, nmpu=unit, options=CircuitOptions(out_step=0.25)), bias=bias)
    codes = array.codes(x)
    np.testing.assert_array_equal(codes, np.rint(x @ w.T / converter.step))
    error = array(x) - np.maximum(codes * converter.step + bias, 0)
    shift = best_shift(unit, np.full(8, converter.step / 0.25), bias / 0.25)
    assert shift == 2  # 0.5 * 2^2 = 2 of at most 8, 8 * 2^2 = 32 of at most 64
    assert np.abs(error).max() <= unit.copy(shift=shift).error_bound(127) * 0.25
    np.testing.assert_array_equal(array.ideal(x), np.maximum(x @ w.T + bias, 0))
    assert array.report(x)["relative_error"] < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_circuit_no_vectors_gives_no_outputs(kind):
    circuit = everything(wires=WireModel(kind=kind))
    assert CircuitArray(np.zeros((3, 4)), circuit)(np.empty((0, 4))).shape == (0, 3)


def test_circuit_takes_tensors():
    w, x = case()
    y = CircuitArray(torch.tensor(w), everything())(torch.tensor(x))
    np.testing.assert_array_equal(y, CircuitArray(w, everything())(x))


def test_report_tells_errors_clips_and_stuck_devices():
    w, x = case(batch=100)
    converter = IdealConverter(bits=8, full_scale=2.0)
    circuit = Circuit(converter=converter, faults=StuckFaults(p_low=0.25, counts="exact"))
    report = CircuitArray(w, circuit, seed=1).report(x)
    assert report["stuck"] == 0.25
    assert 0.2 < report["clipped"] < 0.8
    assert report["snr"] == pytest.approx(-20 * np.log10(report["relative_error"]))
    ideal = CircuitArray(w).report(x)
    assert ideal["relative_error"] < 1e-15
    assert ideal["slope"] == pytest.approx(1)


def test_report_of_a_converter_has_the_error_of_its_step():
    # 2000 x 8 outputs, seed 9: uniform within a step; limit 4.5 standard errors (1.6 %).
    w, x = case(batch=2000, seed=9)
    converter = IdealConverter(bits=10, full_scale=16.0)
    report = CircuitArray(w, Circuit(converter=converter)).report(x)
    size = np.sqrt(((x @ w.T) ** 2).mean())
    assert report["relative_error"] == pytest.approx(converter.step / np.sqrt(12) / size, rel=0.016)


def test_budget_of_parts_adds_up_in_squares():
    w, x = case(outs=16, ins=64, batch=200)
    budget = error_budget(w, everything(slicing=Slicing(input_bits=6)), x, seed=3)
    assert list(budget) == [*PARTS, "all"]
    parts = [budget[p] for p in PARTS if p != "converter"]  # the converter is in the processing's
    # Stuck devices dominate, the rest is nearly independent of them. Weights in slices would break this: a stuck
    # device of the top slice counts more than one that holds the whole weight.
    assert budget["all"] == pytest.approx(np.sqrt(np.sum(np.square(parts))), rel=0.1)
    assert min(parts) > 1e-3


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: Circuit(nmpu=Nmpu()), ParameterError, "Circuit.nmpu = 'on': takes codes"),
        (lambda: Circuit(encoding=Slicing()), ParameterError, "Circuit.encoding = .*is of another kind"),
        (lambda: Circuit(encoding=OffsetEncoding(), options=CircuitOptions(repair="partner")), ParameterError,
         "Circuit.options.repair = 'partner': needs pairs"),
        (lambda: Circuit(encoding=OffsetEncoding(reference="digital"), converter=IdealConverter()), ParameterError,
         "Circuit.options.subtract = 'analog': does not fit a digital reference"),
        (lambda: Circuit(encoding=OffsetEncoding(reference="digital"), converter=IdealConverter(), nmpu=Nmpu(),
                         options=CircuitOptions(subtract="digital")), ParameterError, "Circuit.encoding.reference"),
        (lambda: Circuit().without("wire"), ParameterError, "Circuit.without = 'wire': is not a part"),
        (lambda: CircuitArray([[1.5]]), ParameterError, r"weights = 1\.5: is beyond the range"),
        (lambda: CircuitArray([[0.5]]).product([[1.5]]), ParameterError, r"inputs = 1\.5: is beyond the range"),
        (lambda: CircuitArray([[0.5]]).product([[1.0, 1.0]]), ShapeError, "inputs: got shape"),
        (lambda: CircuitArray([[0.5]]).codes([[1.0]]), ParameterError, "Circuit.converter = None: is off"),
        (lambda: CircuitArray([[0.5]]).processed([[1.0]]), ParameterError, "Circuit.nmpu = None: is off"),
        (lambda: CircuitArray([[0.5]], Circuit(converter=IdealConverter(bits=2), nmpu=Nmpu())), ParameterError,
         "scales = 10: do not fit with any shift"),
        (lambda: CircuitArray([[0.5]], Circuit(converter=IdealConverter(bits=2), nmpu=Nmpu(),
                                               options=CircuitOptions(fit_shift=False))), ParameterError,
         "scale or offset of an output = 10: does not fit"),
    ],
)  # fmt: skip
def test_circuit_wrong_parts_refused_by_name(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_page_of_parameters_is_current():
    """Run `python tools/circuit_tables.py` after changing a parameter."""
    assert circuit_tables.PAGE.read_text(encoding="utf-8") == circuit_tables.render()

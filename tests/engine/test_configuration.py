# SPDX-License-Identifier: Apache-2.0
"""Any configuration: valid values construct, pack, round-trip and run; invalid ones raise ParameterError only."""

import json
import string

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from engine import devices, ops, presets
from engine.devices import Device
from engine.errors import ParameterError
from engine.quantity import Choice, Flag, Quantity, Table
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, Tile, TileConfig, UpdateParameters

MODELS = [*map(devices.get, devices.names()), IOParameters, InputRangeParameters, MappingParameters, UpdateParameters]
# Any number one can think of for a device; beyond are legal numbers whose products single precision cannot hold.
SMALL, LARGE = 1e-9, 1e3
IN_TIME = ops.time_schema()["time"] + ops.time_schema()["drift"]
few = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])


def numbers(field: Quantity, reach: float = LARGE):
    """Values inside a number's hard bounds."""
    low, high = field.bounds or (None, None)
    low, high = (-reach if low is None else low), (reach if high is None else high)
    closed = field.inclusive_bounds
    if field.integer:
        return st.integers(int(low), int(high))
    return st.floats(low, high, exclude_min=not closed[0], exclude_max=not closed[1]).filter(
        lambda v: v == 0 or abs(v) > SMALL
    )


def value_of(field):
    if isinstance(field, Quantity):
        return numbers(field)
    if isinstance(field, Table):
        low = -LARGE if field.lowest is None else field.lowest
        return st.lists(st.floats(low, LARGE).filter(lambda v: v == 0 or abs(v) > SMALL), min_size=1, max_size=5)
    return st.booleans() if isinstance(field, Flag) else st.sampled_from(field.objects)


def made_to_fit(values: dict) -> dict:
    """Repair what is fine alone but not together; the rules are tested in devices/test_validation.py."""
    if values.get("reverse_up") or values.get("reverse_down"):
        values["mult_noise"] = True
    if values.get("dw_min_dtod_log_normal"):
        values["dw_min_dtod"] = min(values["dw_min_dtod"], 10.0)
    if "A_up" in values:
        values["A_up"] = -abs(values["A_up"])  # a negative A never takes the step below its scale
        values |= {n: float(np.clip(values[n], -5, 5)) for n in ("a", "b", "gamma_up", "gamma_down")}
    if 0 < values.get("lifetime", 0) <= 1:
        values["lifetime"] += 1.0
    if "piecewise_up" in values:
        nodes = min(len(values[n]) for n in ("piecewise_up", "piecewise_down"))
        values |= {n: values[n][:nodes] for n in ("piecewise_up", "piecewise_down")}
    if "pow_gamma" in values:
        values["pow_gamma"] = min(values["pow_gamma"], 50.0)  # 0.5^50 of dw_min is the step at the middle
    if "range_max" in values:  # a curve from below to above zero always has bounds that enclose it
        values |= {"range_min": -abs(values["range_min"]) - 0.01, "range_max": abs(values["range_max"]) + 0.01}
    if values.get("weight_scaling_omega") == 0.0:
        values |= {"weight_scaling_columnwise": False, "weight_scaling_lr_compensation": False}
    if values.get("out_scaling_columnwise"):
        values["learn_out_scaling"] = True
    if values.get("noise_management") == "abs_max":
        values["inp_bound"] = 1.0
    return values


@st.composite
def valid(draw, cls):
    """A model of class ``cls`` with any subset of its parameters set to any legal values."""
    chosen = draw(st.lists(st.sampled_from(cls.fields()), unique=True))
    values = made_to_fit(cls().values() | {n: draw(value_of(cls.param[n])) for n in chosen})
    try:
        return cls(**values)
    except ParameterError:  # a rule of a class that is not known here
        reject()


device = st.sampled_from(devices.names()).flatmap(lambda stem: valid(devices.get(stem)))


@few
@given(device=device)
def test_any_device_packs_in_compiled_order(device):
    packed, values = device.pack(), device.physical_values()
    schema = ops.schema(device.header())
    assert packed.dtype == np.float32
    assert np.isfinite(packed).all()
    numbers, rest = np.split(packed, [len(schema["params"])])
    for name, value in zip(schema["params"], numbers, strict=True):
        assert value == np.float32(values[name])
        assert values[name] == getattr(device, name, values[name])
    for name in schema["tables"]:  # each behind its length
        table, rest = rest[: int(rest[0]) + 1], rest[int(rest[0]) + 1 :]
        np.testing.assert_array_equal(table, np.float32([len(values[name]), *values[name]]))
    assert rest.size == 0


@few
@given(device=device)
def test_any_device_packs_its_processes_in_time(device):
    """A class that lacks a parameter has that process switched off."""
    off = {"drift_t_0": 1.0, "drift_wg_ratio": 1.0}
    for kind, packed in zip(("time", "drift"), device.pack_time(), strict=True):
        expected = [float(getattr(device, n, off.get(n, 0.0))) for n in ops.time_schema()[kind]]
        assert packed == expected


@few
@given(device=device)
def test_any_device_round_trips_through_every_written_form(device):
    assert device.copy() == device
    assert Device.from_dict(json.loads(json.dumps(device.to_dict()))) == device
    assert presets.loads(presets.dumps(device, title="any")).device == device
    space: dict = {}
    exec(device.to_snippet(), space)
    assert space["device"] == device


@few
@given(device=device, seed=st.integers(0, 2**63 - 1))
def test_any_device_lives_in_a_tile_without_leaving_its_bounds(device, seed):
    tile = Tile(3, 5, device, seed=seed)
    tile.pulse([1, -1, 1, 1, 1, -1, -1, -1])
    tile.update(torch.ones(2, 5), -torch.ones(2, 3), 0.01)
    assert torch.isfinite(tile.hidden).all()
    if device.pulsed:
        low, high = (torch.as_tensor(b) for b in device.cell_range(tile.cells))
        slack = 1e-6 * tile.cells["reference"].abs().max() if "reference" in tile.cells else 0.0
        assert (tile.hidden >= low - slack).all()
        assert (tile.hidden <= high + slack).all()


@few
@given(device=device)
def test_any_device_has_derived_numbers_or_says_none(device):
    assert device.granularity > 0
    assert device.n_states >= 0
    low, high = device.range
    assert low <= high
    point = device.symmetry_point()
    assert point is None or low <= point <= high
    assert device.nominal().nominal() == device.nominal()


@few
@given(
    device=device,
    io=st.tuples(valid(IOParameters), valid(IOParameters)),
    update=valid(UpdateParameters),
    mapping=valid(MappingParameters),
    ranges=valid(InputRangeParameters),
)
def test_any_tile_configuration_round_trips_and_runs(device, io, update, mapping, ranges):
    config = TileConfig(device, *io, update, mapping, ranges)
    other = TileConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert other == config
    assert other.differences(config.to_dict()) == {}
    tile = Tile.from_config(2, 3, other)
    assert torch.isfinite(tile.forward(torch.tensor([[0.5, -1.0, 0.0]]))).all()
    assert torch.isfinite(tile.backward(torch.tensor([[0.5, -1.0]]))).all()


junk = st.one_of(
    st.none(),
    st.text(),
    st.booleans(),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.complex_numbers(),
    st.lists(st.floats(), max_size=2),
    st.binary(),
    st.just(np.array([1.0, 2.0])),
    st.just(object()),
)


@few
@given(data=st.data(), cls=st.sampled_from(MODELS), wrong=junk)
def test_value_of_the_wrong_kind_raises_parameter_error_only(data, cls, wrong):
    name = data.draw(st.sampled_from(cls.fields()))
    field = cls.param[name]
    assume(not (isinstance(field, Flag) and isinstance(wrong, bool)))
    assume(not (isinstance(field, Choice) and isinstance(wrong, str) and wrong in field.objects))
    numbers = isinstance(wrong, (list, np.ndarray)) and len(wrong) and np.isfinite(wrong).all()
    assume(not (isinstance(field, Table) and numbers))
    with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name}(\[\d+\])? = "):
        cls(**{name: wrong})


@few
@given(data=st.data(), cls=st.sampled_from(MODELS))
def test_number_outside_its_bounds_raises_parameter_error_only(data, cls):
    bounded = [n for n in cls.fields() if isinstance(cls.param[n], Quantity) and cls.param[n].bounds]
    name = data.draw(st.sampled_from(bounded))
    field = cls.param[name]
    low, high = field.bounds
    closed = field.inclusive_bounds
    ends = []
    if low is not None:
        ends.append(st.floats(max_value=low, exclude_max=closed[0], allow_nan=False))
    if high is not None:
        ends.append(st.floats(min_value=high, exclude_min=closed[1], allow_nan=False))
    with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name} = "):
        cls(**{name: data.draw(st.one_of(ends))})


@few
@given(data=st.data(), cls=st.sampled_from([*map(devices.get, devices.names()), IOParameters]))
def test_any_double_is_packed_exactly_enough_or_refused(data, cls):
    """What single precision cannot hold (1e300, 1e-300) must not become infinity or zero on the way to the kernels."""
    name = data.draw(st.sampled_from([n for n in cls.fields() if isinstance(cls.param[n], Quantity)]))
    value = data.draw(numbers(cls.param[name], reach=1.7e308) | st.sampled_from([1e39, 1e-46, 3.4e38, -1e39]))
    try:
        model = cls(**{name: value})
    except ParameterError:
        return  # a refused value is fine, whatever it is; other exceptions are not
    packed = np.array(model.pack(), np.float64)
    if isinstance(model, Device):
        packed = np.concatenate([packed, *model.pack_time()])
    assert np.isfinite(packed).all()
    converted = isinstance(model, Device) and name in set(cls.fields()) - set(cls.packed()) - set(IN_TIME)
    assert converted or np.isclose(packed, value, rtol=1e-6, atol=0).any()


@pytest.mark.parametrize("value", [1e39, 1e-46, 1e300])
@pytest.mark.parametrize(("cls", "name"), [(devices.get("soft_bounds"), "w_max"), (IOParameters, "out_bound")])
def test_number_beyond_single_precision_is_refused(cls, name, value):
    with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name} = .*does not fit single precision"):
        cls(**{name: value})


@given(name=st.text(string.ascii_lowercase + "_", min_size=1))
def test_unknown_parameter_raises_parameter_error_only(name):
    for cls in MODELS:
        if name in cls.fields() or name == "name":
            continue
        with pytest.raises(ParameterError, match=rf"^{cls.__name__}\.{name}: there is no such parameter"):
            cls(**{name: 1.0})


plain = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
written = st.fixed_dictionaries({}, optional={"device": st.sampled_from(devices.names()) | plain, "parameters": plain})


@given(data=written | plain)
def test_device_from_any_data_is_a_device_or_a_parameter_error(data):
    try:
        found = Device.from_dict(data)
    except ParameterError:
        return
    assert isinstance(found, Device)


toml_values = st.sampled_from(
    ['"soft_bounds"', '"no_such"', "3", "true", "[]", "{}", "nan", "inf", "1979-05-27", '{ value = 1.0, unit = "w" }',
     "{ value = 0.3 }", '{ value = "x", unit = "w" }', '{ unit = "w" }', "[1, 2]", '[{ title = "t" }]', '"""x"""']
)  # fmt: skip
toml_keys = st.sampled_from(
    ["device", "title", "note", "source", "not_modelled", "parameters", "parameters.dw_min", "parameters.w_max",
     "parameters.mult_noise", "parameters.name", "parameters.nonsense", "parameters.dw_min.value"]
)  # fmt: skip


@given(lines=st.lists(st.tuples(toml_keys, toml_values), max_size=3), head=st.booleans(), noise=st.text(max_size=10))
def test_preset_from_any_text_is_a_preset_or_a_parameter_error(lines, head, noise):
    body = "\n".join(f"{k} = {v}" for k, v in lines)
    for text in ('device = "soft_bounds"\n' * head + body, noise):
        try:
            found = presets.loads(text, "mine")
        except ParameterError:
            continue
        assert isinstance(found.device, Device)
        assert isinstance(found.title, str)

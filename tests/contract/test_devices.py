# SPDX-License-Identifier: Apache-2.0
"""What every device class keeps, also one that is added tomorrow: no list of devices stands here."""

import json
import shutil
import subprocess
from pathlib import Path

import any_device
import numpy as np
import pytest
import torch

from engine import devices, ops, presets
from engine.devices import Device
from engine.errors import BuildError, ParameterError
from engine.quantity import Quantity
from engine.tiles import Tile

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "engine" / "csrc"
STEMS = devices.names()
PULSED = [s for s in STEMS if devices.get(s).pulsed]
PARAMETERS = [(s, n) for s in STEMS for n in devices.get(s).fields()]
NUMBERS = [(s, n) for s, n in PARAMETERS if isinstance(devices.get(s).param[n], Quantity)]


def inside(value: float, bounds, closed) -> bool:
    low, high = bounds or (None, None)
    above = low is None or (value >= low if closed[0] else value > low)
    below = high is None or (value <= high if closed[1] else value < high)
    return above and below


def test_every_header_has_a_class_and_every_class_a_header():
    """A class that converts its parameters may share another's header."""
    headers = sorted(h.stem for h in (CSRC / "devices").glob("*.h"))
    assert headers == sorted(ops.build_info()["devices"])
    assert set(headers) == {devices.get(s).header() for s in STEMS}
    assert set(headers) <= set(STEMS)


@pytest.mark.parametrize("stem", STEMS)
def test_device_parameters_are_those_of_the_header(stem):
    cls = devices.get(stem)
    schema = ops.schema(cls.header())
    cls.compare_with_header()
    assert sorted([*schema["params"], *schema["tables"]]) == sorted(cls.packed())
    assert set(cls().physical_values()) == set(cls.packed())
    assert set(cls.packed()) <= set(cls.fields()) or cls.header() != stem
    in_time = ops.time_schema()
    assert set(cls.fields()) - set(cls.packed()) <= {*in_time["time"], *in_time["drift"]} or cls.header() != stem
    assert len(set(schema["params"])) == len(schema["params"])
    assert schema["has_write_noise"] == ("write_noise_std" in cls.fields())
    assert {"dwmin_up", "dwmin_down"} <= set(schema["cells"])
    assert {"max_bound", "min_bound"} <= set(schema["cells"]) or not cls.pulsed


def test_class_whose_parameters_differ_from_the_header_is_refused_with_both_names():
    class Wrong(devices.get(STEMS[0])):
        extra = Quantity(1.0)

        @classmethod
        def stem(cls):
            return STEMS[0]

    with pytest.raises(BuildError, match=rf"Wrong: parameters differ from engine/csrc/devices/{STEMS[0]}.h .*'extra'"):
        Wrong.compare_with_header()


@pytest.mark.parametrize("stem", STEMS)
def test_device_has_title_formula_and_text(stem):
    cls = devices.get(stem)
    assert cls.title
    assert cls.formula
    assert len(cls.__doc__.strip().splitlines()[0]) > 10
    assert cls.stem() == stem
    assert "".join(w.capitalize() for w in stem.split("_")) == cls.__name__


def test_titles_are_all_different():
    assert len({devices.get(s).title for s in STEMS}) == len(STEMS)


@pytest.mark.parametrize(("stem", "name"), PARAMETERS)
def test_parameter_has_unit_source_text_and_group(stem, name):
    told = devices.get(stem).describe(name)
    for key in ("unit", "source", "doc", "group", "kind"):
        assert told[key], key
    assert told["doc"].endswith(".")
    assert told["doc"][0].isupper()


@pytest.mark.parametrize(("stem", "name"), NUMBERS)
def test_number_has_default_and_slider_inside_its_hard_bounds(stem, name):
    told = devices.get(stem).describe(name)
    low, high = told["softbounds"]
    assert low < high
    for value in (told["default"], low, high):
        assert inside(value, told["bounds"], told["inclusive_bounds"]) or value in told["bounds"]
    assert inside(told["default"], told["bounds"], told["inclusive_bounds"])
    if told["log"]:
        assert low > 0


@pytest.mark.parametrize(("stem", "name"), NUMBERS)
def test_number_accepts_both_ends_of_its_slider(stem, name):
    cls = devices.get(stem)
    for value in cls.describe(name)["softbounds"]:
        if inside(value, cls.describe(name)["bounds"], cls.describe(name)["inclusive_bounds"]):
            assert getattr(cls(**{name: value}), name) == value


@pytest.mark.parametrize("stem", STEMS)
def test_defaults_construct_and_give_derived_numbers(stem):
    device = devices.get(stem)()
    assert 0 < device.granularity < 1
    assert device.n_states > 1
    assert device.nominal().nominal() == device.nominal()
    point, (low, high) = device.symmetry_point(), device.range
    assert point is None or low <= point <= high
    assert (device.step(np.linspace(-0.5, 0.5, 11), 1) >= 0).all()
    assert (device.step_noise(np.linspace(-0.5, 0.5, 11), -1) >= 0).all()


@pytest.mark.parametrize("stem", STEMS)
def test_nominal_cell_is_that_of_a_nominal_tile(stem):
    device = devices.get(stem)()
    tile = Tile(2, 2, device.nominal(), seed=5)
    for name, value in device.nominal_cell().items():
        assert (tile.cells[name] == np.float32(value)).all(), name


@pytest.mark.parametrize("stem", PULSED)
def test_bounds_hold_under_10000_noisy_pulses(stem):
    """Default spread, noise of five steps, random directions; a hidden state is a number inside its device's bounds."""
    device = any_device.make(stem, dw_min_std=5.0)
    tile = Tile(8, 8, device, seed=3)
    hidden = tile.pulse(np.random.default_rng(4).choice([-1, 1], (10_000, 8, 8))).hidden
    low, high = (torch.as_tensor(b) for b in device.cell_range(tile.cells))
    assert torch.isfinite(hidden).all()
    assert (hidden >= low - 1e-7).all()  # a subtracted reference is rounded once more
    assert (hidden <= high + 1e-7).all()
    assert (hidden.std(0) > 0).all()


@pytest.mark.parametrize("stem", STEMS)
def test_same_seed_same_bits_other_seed_other_devices(stem):
    def life(seed: int):
        tile = Tile(5, 6, devices.get(stem)(), seed=seed)
        tile.pulse([1, 1, -1])
        tile.update(torch.ones(1, 6), torch.ones(1, 5), 0.01)
        return [*tile.cells.values(), tile.hidden, tile.weights, tile.forward(torch.ones(1, 6))]

    for one, two in zip(life(1), life(1), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(life(1)[-1], life(2)[-1])


@pytest.mark.parametrize("stem", STEMS)
def test_up_pulses_raise_and_down_pulses_lower_the_mean_weight(stem):
    """Pulses from zero on 2500 default devices."""
    device = devices.get(stem)()
    tile = Tile(50, 50, device, seed=2)
    assert tile.pulse([1] * 20, 20).hidden.mean() > 5 * device.granularity
    assert tile.pulse([-1] * 40, 40).hidden.mean() < -2 * device.granularity


@pytest.mark.parametrize("stem", STEMS)
def test_update_goes_downhill(stem):
    """Mean change of 2500 default devices against the sign of d x."""
    tile = Tile(50, 50, devices.get(stem)(), seed=2)
    tile.update(torch.ones(1, 50), torch.ones(1, 50), 0.02)
    assert tile.hidden.mean() < -0.005
    tile.update(torch.ones(2, 50), -torch.ones(2, 50), 0.02)
    assert tile.hidden.mean() > 0.003


def every_other_value(stem: str) -> Device:
    """Return a device with no number at its default, and no flag where they fit together."""
    cls, values = devices.get(stem), {}
    for name, default in cls().values().items():
        told = cls.describe(name)
        if told["kind"] == "flag":
            values[name] = not default
        elif told["kind"] == "table":
            values[name] = any_device.table_entries(default)
        elif told["kind"] == "number":
            low, high = told["softbounds"]
            values[name] = next(v for v in (low + 0.3 * (high - low), low + 0.6 * (high - low)) if v != default)
    try:
        return cls(**values)
    except ParameterError:  # flags that exclude each other: numbers alone
        return cls(**{n: v for n, v in values.items() if not isinstance(v, bool)})


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("make", [lambda s: devices.get(s)(), every_other_value], ids=["defaults", "changed"])
def test_written_forms_give_an_equal_device(stem, make):
    device = make(stem)
    assert Device.from_dict(json.loads(json.dumps(device.to_dict()))) == device
    assert device.copy() == device
    text = presets.dumps(device, title="A title", note="A note", source="a table")
    found = presets.loads(text, "mine")
    assert found.device == device
    assert (found.title, found.note) == ("A title", "A note")
    assert set(found.parameter_sources) == set(device.fields())
    space: dict = {}
    exec(device.to_snippet(), space)
    assert space["device"] == device
    assert type(space["device"]) is type(device)


@pytest.mark.parametrize("stem", STEMS)
def test_snippet_of_defaults_is_short(stem):
    cls = devices.get(stem)
    assert cls().to_snippet() == f"from engine.devices.{stem} import {cls.__name__}\n\ndevice = {cls.__name__}()\n"


SHARED = ("kernels/crosspoint.h", "kernels/line.h")  # of the kernels' headers, those that a GPU's kernels include
HEADERS = sorted(p.relative_to(CSRC).as_posix() for p in CSRC.rglob("*.h"))


@pytest.fixture(scope="session")
def compiler() -> str:
    found = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
    if found is None:
        pytest.skip("no C++ compiler (g++, c++ or clang++) on the path")
    return found


@pytest.mark.parametrize("header", HEADERS)
def test_header_compiles_alone(header, compiler, tmp_path):
    """Each header includes what it uses, and warns about nothing."""
    source = tmp_path / "alone.cpp"
    source.write_text(f'#include "{header}"\n#include "{header}"\n')
    flags = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
    flags += ["-Wno-unknown-pragmas", "-Wno-unused-parameter"]  # without OpenMP the number of threads is not used
    if header.startswith("cuda/"):  # CUDA's words for a host compiler
        flags += ["-include", str(ROOT / "tests" / "cuda" / "emulator" / "grid.h")]
    done = subprocess.run([compiler, *flags, f"-I{CSRC}", str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("header", [h for h in HEADERS if not h.startswith("kernels/") or h in SHARED])
def test_device_header_uses_no_host_library(header):
    """The physics must also compile under a GPU run-time compiler, which has no host headers."""
    text = (CSRC / header).read_text()
    system = [line for line in text.splitlines() if line.lstrip().startswith("#include <")]
    assert system == []
    assert "std::" not in text


@pytest.mark.parametrize(
    "path", sorted(p for p in CSRC.rglob("*") if p.suffix in (".h", ".cpp", ".cu")), ids=lambda p: p.name
)
def test_source_starts_with_its_licence(path):
    assert path.read_text().startswith("// SPDX-License-Identifier: Apache-2.0\n")

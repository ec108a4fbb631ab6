# SPDX-License-Identifier: Apache-2.0
"""Devices in Python: the same life as a compiled device, from a file, an entry point or a notebook cell.

The twin `python_soft_bounds.py` gets the compiled device's random numbers, so the two agree up to rounding in single
precision: 2e-6 of the weight range after a few hundred pulses, which soft bounds do not amplify.
"""

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from python_soft_bounds import PythonSoftBounds

from engine import devices
from engine.devices.python_device import PythonDevice
from engine.devices.soft_bounds import SoftBounds
from engine.errors import BuildError, ParameterError
from engine.tiles import Tile, UpdateParameters
from engine.tiles.update import PULSE_TYPES

NOISY = {"dw_min": 0.01, "up_down": 0.1, "dw_min_std": 0.5, "write_noise_std": 3.0}
IN_TIME = {"diffusion": 0.01, "diffusion_dtod": 0.3, "lifetime": 20.0, "lifetime_dtod": 0.3, "reset": 0.05,
           "reset_dtod": 0.02, "drift_nu": 0.1, "drift_nu_dtod": 0.3, "drift_nu_std": 0.1}  # fmt: skip
SHAPE = (13, 37)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Register the twin for the test only: other tests collect the registry."""
    monkeypatch.setattr(devices, "_CLASSES", dict(devices._CLASSES))
    devices.register(PythonSoftBounds)


def twins(**values) -> tuple[Tile, Tile]:
    """Return the same tile with the compiled and with the Python device."""
    update, shape = values.pop("update", None), values.pop("shape", SHAPE)
    return tuple(
        Tile(*shape, cls(**NOISY | values), update=update, seed=3, count_pulses=True)
        for cls in (SoftBounds, PythonSoftBounds)
    )


def assert_alike(one: Tile, other: Tile) -> None:
    torch.testing.assert_close(one.hidden, other.hidden, rtol=0, atol=2e-6)
    torch.testing.assert_close(one.weights, other.weights, rtol=0, atol=2e-6)
    for a, b in zip(one.pulse_counts, other.pulse_counts, strict=True):
        assert torch.equal(a, b)


def samples(count: int = 4, shape: tuple[int, int] = SHAPE) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, shape[1], generator=generator)
    x[0], x[1:, ::3] = 0.0, 0.0  # a silent sample and silent columns
    return x, 0.3 * torch.randn(count, shape[0], generator=generator)


def test_python_draws_are_those_of_the_compiled_device():
    compiled, python = twins(**IN_TIME)
    assert set(python.cells) == set(compiled.cells) - {"slope_up", "slope_down"}
    for name, cell in python.cells.items():
        torch.testing.assert_close(cell, compiled.cells[name], rtol=1e-6, atol=0)


@pytest.mark.parametrize("per_device", [False, True])
def test_python_pulses_follow_the_compiled_device(per_device):
    shape = (300, *SHAPE) if per_device else (300,)
    sequence = np.random.default_rng(1).choice([-1, 0, 1], shape).astype(np.int8)
    compiled, python = twins()
    one, two = compiled.pulse(sequence, 7), python.pulse(sequence, 7)
    assert one.hidden.shape == two.hidden.shape
    torch.testing.assert_close(one.hidden, two.hidden, rtol=0, atol=2e-6)
    torch.testing.assert_close(one.apparent, two.apparent, rtol=0, atol=2e-6)
    assert_alike(compiled, python)


def test_python_pulse_sequence_split_equals_the_whole():
    whole, parts = twins()[1], twins()[1]
    sequence = [1, 1, -1, 1, 0, -1, 1, 1, 1]
    trace = whole.pulse(sequence)
    pieces = [parts.pulse(sequence[a:b]) for a, b in ((0, 2), (2, 7), (7, 9))]
    assert torch.equal(torch.cat([p.apparent for p in pieces]), trace.apparent)


@pytest.mark.parametrize("pulse_type", PULSE_TYPES)
def test_python_updates_follow_the_compiled_device(pulse_type):
    compiled, python = twins(update=UpdateParameters(pulse_type=pulse_type))
    for tile in (compiled, python):
        tile.update(*samples(), 0.1)
        tile.update(*samples(2), 0.02)
    assert_alike(compiled, python)
    assert compiled.hidden.abs().max() > 0.01


def test_python_updates_with_long_trains_follow_the_compiled_device():
    compiled, python = twins(update=UpdateParameters(desired_bl=100))
    for tile in (compiled, python):
        tile.update(*samples(), 5.0)
    assert compiled.pulse_counts[0].max() > 31
    assert_alike(compiled, python)


@pytest.mark.parametrize(
    ("columns", "length", "rate"),
    [(1024, 31, 0.002), (1100, 31, 0.002), (2049, 31, 0.1), (1100, 200, 20.0)],
)
def test_python_updates_of_wide_rows_follow_the_compiled_device(columns, length, rate):
    """Rows of one to three blocks; few pulses, many, and more than the kernel draws for at once."""
    shape = (2, columns)
    compiled, python = twins(shape=shape, update=UpdateParameters(desired_bl=length, update_bl_management=False))
    for tile in (compiled, python):
        tile.update(*samples(3, shape), rate)
    counts = sum(compiled.pulse_counts)
    assert counts.sum() > 0
    if length == 200:
        assert counts.max() > 100
    assert_alike(compiled, python)


PROCESSES = {
    "decay": lambda t: t.decay(0.7, skip_last_column=True),
    "diffusion": lambda t: t.diffuse(),
    "reset": lambda t: t.reset_columns(30, 20, 0.5),
    "drift": lambda t: [t.drift(5.0), t.drift(7.0), t.pulse([1, 0]), t.drift(2.0)],
    "clip": lambda t: t.clip(),
    "end of batch": lambda t: t.end_batch(),
    "write": lambda t: t.set_weights(torch.linspace(-1, 1, SHAPE[0] * SHAPE[1]).reshape(SHAPE)),
}


@pytest.mark.parametrize("process", PROCESSES)
def test_python_processes_in_time_follow_the_compiled_device(process):
    """After updates and pulses, twice."""
    compiled, python = twins(**IN_TIME)
    for tile in (compiled, python):
        tile.update(*samples(), 0.1)
        for _ in range(2):
            PROCESSES[process](tile)
        tile.pulse([1])
    assert_alike(compiled, python)


def test_python_derived_numbers_are_those_of_the_compiled_device():
    compiled, python = SoftBounds(**NOISY), PythonSoftBounds(**NOISY)
    w = np.linspace(-0.6, 0.6, 13)
    for way in (1, -1):
        np.testing.assert_allclose(python.step(w, way), compiled.step(w, way), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(python.step_noise(w, way), compiled.step_noise(w, way), rtol=1e-6, atol=1e-9)
    assert python.symmetry_point() == pytest.approx(compiled.symmetry_point(), abs=4e-6)
    assert (python.granularity, python.n_states) == (compiled.granularity, compiled.n_states)
    one, two = (t.device.symmetry_points({n: c[:, 0].numpy() for n, c in t.cells.items()}) for t in twins())
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_python_parameter_of_its_own_acts():
    fast = Tile(1, 1, PythonSoftBounds(boost=2.0).nominal())
    assert fast.pulse([1]).hidden.item() == pytest.approx(0.002, rel=1e-6)


def test_python_tile_resumes_bit_for_bit_and_copies():
    tile = twins(**IN_TIME)[1]

    def live(t: Tile) -> list[torch.Tensor]:
        t.update(*samples(), 0.1)
        t.pulse([1, -1, 1])
        t.end_batch()
        t.drift(3.0)
        return [t.hidden.clone(), t.weights.clone(), *(n.clone() for n in t.pulse_counts), t.forward(samples()[0])]

    live(tile)
    resumed = Tile(*SHAPE, PythonSoftBounds(**NOISY | IN_TIME), seed=99)
    resumed.load_state_dict(tile.state_dict())
    other = Tile(*SHAPE, "capacitor_14nm_2018")
    other.load_state_dict(tile.state_dict(), config="saved")
    twin = copy.deepcopy(tile)
    expected = live(tile)
    for found in (resumed, other, twin):
        for a, b in zip(live(found), expected, strict=True):
            assert torch.equal(a, b)


def test_python_layer_trains():
    from engine.nn import AnalogLinear
    from engine.optim import AnalogSGD
    from engine.tiles import TileConfig

    layer = AnalogLinear(6, 3, config=TileConfig(PythonSoftBounds(**NOISY)))
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    before = layer.tile.hidden.clone()
    layer(torch.ones(4, 6)).sum().backward()
    optimizer.step()
    assert (layer.tile.hidden - before).mean() < 0


def test_python_response_experiment_runs_from_its_dict():
    from explorer.experiments import Experiment
    from explorer.experiments.pulse_response import PulseResponse

    experiment = PulseResponse(device=PythonSoftBounds(boost=1.5), n_devices=5, n_pulses=40, seed=1)
    again = Experiment.from_dict(json.loads(json.dumps(experiment.to_dict())))
    one, two = experiment.run(), again.run()
    assert again.device == experiment.device
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].values, two[name].values)


# -- where devices come from -----------------------------------------------------------------------------------


def test_registered_class_of_another_with_the_same_name_is_refused():
    class SoftBounds(PythonDevice):
        title = "An impostor"

    with pytest.raises(ParameterError, match=r"device 'soft_bounds': there is one already, SoftBounds .*Rename it"):
        devices.register(SoftBounds)
    assert devices.get("soft_bounds").title != "An impostor"


def test_class_of_a_notebook_cell_can_be_run_again():
    for title in ("First", "Second"):

        class FromACell(PythonDevice):
            pass

        FromACell.title = title
        FromACell.__module__ = "__main__"
        devices.register(FromACell)
    assert devices.get("from_a_cell").title == "Second"


def test_device_without_its_own_step_says_what_to_write():
    class Empty(PythonDevice):
        granularity = 0.1

    with pytest.raises(NotImplementedError, match=r"Empty.draw: a Python device must define it"):
        Tile(2, 2, Empty())

    class NoSize(PythonDevice):
        pass

    with pytest.raises(NotImplementedError, match=r"NoSize.granularity: every device must define it"):
        Tile(2, 2, NoSize())


HERE = Path(__file__).parent
USE = """
import json, sys
import numpy as np
from engine import devices, presets
from engine.tiles import Tile
from explorer.experiments.pulse_response import PulseResponse
device = devices.get("python_soft_bounds")(boost=1.5)
space = {}
exec(device.to_snippet(), space)
ds = PulseResponse(device=device, n_devices=3, n_pulses=10).run()
print(json.dumps({
    "named": "python_soft_bounds" in devices.names(),
    "snippet": space["device"] == device,
    "preset": presets.loads(presets.dumps(device, title="mine")).device == device,
    "shape": list(Tile(2, 3, device).pulse([1, 1]).hidden.shape),
    "devices": ds.sizes["device"],
    "plugin": devices.get("from_a_package").title,
}))
"""


PLUGIN = """
from engine.devices.python_device import PythonDevice

class FromAPackage(PythonDevice):
    title = "From a package"
"""


def installed_package(folder: Path) -> Path:
    """Write what an installed package with a device leaves in its site folder."""
    (folder / "device_package.py").write_text(PLUGIN)
    about = folder / "device_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: device-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ohmscape.devices]\nany_name = device_package\n")
    return folder


def python_with(files, code: str, site: Path = HERE) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OHMSCAPE_DEVICES": os.pathsep.join(map(str, files)), "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=HERE.parents[2]
    )


def test_devices_from_a_file_and_from_a_package_are_there_in_every_process(tmp_path):
    done = python_with([HERE / "python_soft_bounds.py"], USE, installed_package(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    plugin = found.pop("plugin")
    assert found == {"named": True, "snippet": True, "preset": True, "shape": [2, 2, 3], "devices": 3}
    assert plugin == "From a package"


BAD_FILES = {
    "halving.py": ("class Halving(", r"halving.py: cannot be imported (SyntaxError: "),
    "needs_more.py": ("import no_such_module", r"needs_more.py: cannot be imported (ModuleNotFoundError: "),
    "nothing.py": ("x = 1", r"nothing.py: holds no device"),
    "json.py": ("x = 1", r"json.py: has the name of another module"),
    "notes.txt": ("x = 1", r": is no Python file"),
    "impostor.py": (
        "from engine.devices.python_device import PythonDevice\nclass SoftBounds(PythonDevice):\n    title = 'x'",
        r"device 'soft_bounds': there is one already",
    ),
}


@pytest.mark.parametrize("name", [*BAD_FILES, "absent.py"])
def test_bad_device_file_gives_one_clear_error(name, tmp_path):
    """What, where, and what to do; no module of that name is left behind."""
    text, message = BAD_FILES.get(name, ("", r": is no Python file"))
    before = dict(sys.modules)
    if name in BAD_FILES:
        (tmp_path / name).write_text(text)
    with pytest.raises((BuildError, ParameterError), match=re.escape(message)) as caught:
        devices.register_file(tmp_path / name)
    told = str(caught.value)
    assert told.startswith("device ")
    assert "\n" not in told
    assert "allowed: " in told or told.endswith("Correct the file.")
    assert sys.modules.get(Path(name).stem) is before.get(Path(name).stem)


def test_command_with_a_bad_device_file_says_so_in_its_last_line(tmp_path):
    (tmp_path / "halving.py").write_text("class Halving(")
    code = "from explorer.cli import main; import sys; sys.exit(main(['presets']))"
    done = python_with([HERE / "python_soft_bounds.py", tmp_path / "halving.py"], code)
    assert done.returncode != 0
    assert "halving.py: cannot be imported (SyntaxError: " in done.stderr.strip().splitlines()[-1]

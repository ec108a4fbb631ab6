# SPDX-License-Identifier: Apache-2.0
"""What a model costs, predicted from shapes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from layer_cases import EXACT, NOISY, configured, randn
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from engine import presets
from engine.errors import CapacityError, ParameterError
from engine.nn import analog_layers, convert, summary
from engine.nn import convert as conversion
from engine.nn.memory import available_memory, tile_bytes
from engine.optim import AnalogSGD
from engine.tiles import Tile, TileConfig, UpdateParameters

TILES = {"max_input_size": 32, "max_output_size": 16}


class Mixed(nn.Module):
    """A layer of every way to count vectors; takes images ``(batch, 3, 8, 8)``."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, groups=3)
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.attention = nn.MultiheadAttention(10, 2, batch_first=True)
        self.norm = nn.LayerNorm(10)
        self.cell = nn.GRUCell(10, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.conv(x).flatten(2).transpose(1, 2)
        x, _ = self.lstm(x)
        x = self.norm(self.attention(x[:, :4], x, x)[0])
        h = self.cell(self.cell(x[:, 0]).repeat(1, 3)[:, :10])
        return self.head(h)


def test_vectors_and_tiles_are_those_of_a_real_pass():
    """Every tile's own count of products, for three samples."""
    model, x = Mixed(), randn(3, 3, 8, 8)
    config = configured(NOISY, **TILES)
    costs = {layer.name: layer for layer in summary(model, x, config).layers}
    twin = convert(model, config)
    twin(x)
    for name, cost in costs.items():
        cores = [c for n, c in analog_layers(twin).items() if n == name or n.startswith(f"{name}.")]
        assert cost.tiles == [tuple(t.weights.shape) for core in cores for t in core.tiles]
        counted = sum(t.state_dict()["steps"]["forward"] for core in cores for t in core.tiles)
        assert cost.mvms == counted / 3, name
    assert costs["norm"].tiles == []
    assert costs["norm"].parameters == 20


def test_costs_of_the_analog_model_are_those_of_the_digital_one():
    model, x = Mixed(), randn(3, 3, 8, 8)
    config = configured(NOISY, **TILES)
    before, after = summary(model, x, config), summary(convert(model, config), x)
    assert before.to_dict() == after.to_dict()
    assert json.loads(json.dumps(after.to_dict()))["batch"] == 3


def test_digital_model_without_a_configuration_has_no_tiles():
    costs = summary(Mixed(), randn(3, 3, 8, 8))
    assert all(layer.tiles == [] and layer.mvms == 0 for layer in costs.layers)
    assert sum(layer.parameters for layer in costs.layers) == sum(p.numel() for p in Mixed().parameters())


def test_excluded_layers_stay_digital():
    costs = summary(Mixed(), randn(3, 3, 8, 8), EXACT, exclude=["lstm"])
    assert [layer.name for layer in costs.layers if not layer.tiles] == ["lstm", "norm"]


def test_utilisation_is_of_tiles_of_the_largest_size():
    costs = summary(nn.Linear(40, 20), torch.zeros(2, 40), configured(EXACT, **TILES))
    assert costs.layers[0].tiles == [(10, 20)] * 4
    assert costs.layers[0].utilisation == pytest.approx(800 / (4 * 32 * 16))
    assert summary(nn.Linear(40, 20), torch.zeros(2, 40), EXACT).layers[0].utilisation == 1


@pytest.mark.parametrize(
    ("config", "slots"),
    [
        (TileConfig("idealized_symmetric"), 31),
        (TileConfig("idealized_symmetric", update=UpdateParameters(desired_bl=7)), 7),
        (TileConfig("idealized_symmetric", update=UpdateParameters(pulse_type="none_with_device")), 0),
        (EXACT, 0),
    ],
)
def test_slots_are_those_of_the_longest_trains(config, slots):
    costs = summary(nn.Conv1d(2, 3, 3), torch.zeros(2, 2, 10), config)
    assert costs.layers[0].slots == 8 * slots
    assert costs.layers[0].mvms == 8


def test_packed_sequences_are_counted_without_their_padding():
    packed = pack_sequence([torch.zeros(5, 3), torch.zeros(2, 3)])
    costs = summary(nn.LSTM(3, 4), (packed, (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))), EXACT)
    assert costs.batch * costs.layers[0].mvms == 14


@pytest.mark.parametrize("name", ["idealized_symmetric", "reram_exp_hfo2_2018", "capacitor_14nm_2018"])
def test_bytes_of_tiles_are_those_of_their_arrays(name):
    tile = Tile(6, 7, name)
    tile.update(torch.ones(1, 7), torch.ones(1, 6), 0.1)
    tile.end_batch()
    arrays = [
        tile.hidden,
        tile.weights,
        *tile._arrays.cells.values(),
        *(tile._time.cells.values() if tile._time else ()),
    ]
    assert tile_bytes(presets.load(name), 42) == sum(a.nbytes for a in arrays)


def test_prediction_takes_no_memory():
    """A hundred billion weights: shapes only."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(350_000, 350_000), nn.ReLU(), nn.Linear(350_000, 10))
        x = torch.empty(4, 350_000)
    costs = summary(model, x, configured(EXACT, max_input_size=50_000, max_output_size=50_000))
    assert costs.tile_bytes == 16 * (350_000**2 + 3_500_000)
    with pytest.raises(CapacityError, match=r"summary.peak_bytes = .* GiB: .*Keep '0' digital \(1825.4 GiB of tiles\)"):
        costs.require_memory(64 << 30)


def test_too_large_a_batch_is_refused_with_the_largest_that_fits():
    costs = summary(nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU()), torch.empty(1000, 3, 64, 64, device="meta"), EXACT)
    with pytest.raises(CapacityError, match=r"a training step of 1000 samples does not fit .*batches of at most \d+\."):
        costs.require_memory(1 << 30)
    batch = costs.largest_batch(1 << 30)
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU())
    summary(model, torch.empty(batch, 3, 64, 64, device="meta"), EXACT).require_memory(1 << 30)
    with pytest.raises(CapacityError):
        summary(model, torch.empty(batch + 2, 3, 64, 64, device="meta"), EXACT).require_memory(1 << 30)


def test_memory_of_a_model_that_fits_passes():
    summary(Mixed(), randn(3, 3, 8, 8), EXACT).require_memory()
    free = available_memory()
    assert free is None or free > 1 << 20


def test_convert_refuses_tiles_that_will_not_fit(monkeypatch):
    monkeypatch.setattr(sys.modules[conversion.__module__], "available_memory", lambda: 10_000)
    with pytest.raises(
        CapacityError, match=r"convert.model = 156.2 KiB of tiles: more than is free \(allowed: 9.8 KiB\)"
    ):
        convert(nn.Linear(100, 100), EXACT)


def test_summary_leaves_the_model_and_its_hooks():
    model = Mixed()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    summary(model, randn(3, 3, 8, 8), EXACT)
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    assert not any(m._forward_hooks for m in model.modules())


_MODELS = {
    "perceptron": (
        "nn.Sequential(nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))",
        (2048, 1024),
    ),
    "convolutions": (
        "nn.Sequential(nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 8, 3), nn.Flatten(),"
        "nn.Linear(8 * 28 * 28, 10))",
        (48, 3, 32, 32),
    ),
    "encoder": ("nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)", (96, 32, 128)),
}
_STEP = """
import ctypes, sys, torch
from torch import nn
from engine.nn import convert, summary
from engine.optim import AnalogSGD
from engine.tiles import TileConfig
torch.set_num_threads(1)
def peak():
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
def forget_peak():
    open("/proc/self/clear_refs", "w").write("5")
def build():
    return {model}
config = TileConfig("idealized_symmetric")
def step(x):
    model = convert(build(), config)
    optimizer = AnalogSGD(model.parameters(), 0.01)
    model(x).square().sum().backward()
    optimizer.step()
step(torch.randn(1, *{shape}[1:]))  # whatever is loaded late
x = torch.randn({shape})
predicted = summary(build(), x, config).peak_bytes
ctypes.CDLL(None).malloc_trim(0)  # or the step would take again what the first one left
forget_peak()
before = peak()
step(x)
print(predicted, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize("kind", _MODELS)
def test_predicted_memory_is_no_less_and_not_much_more_than_what_a_process_takes(kind):
    """One step, the kernel's own record of the peak, by an allocator that gives back at once what is freed.

    Four runs: perceptron 1.36, convolutions 1.02, encoder 1.51, each to 0.005. A forecast that refuses may be too high,
    not too low; 1.6 leaves what these models need.
    """
    model, shape = _MODELS[kind]
    script = _STEP.format(model=model, shape=shape)
    giving_back = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ | giving_back
    )
    predicted, taken = map(int, done.stdout.split())
    assert taken > 40 << 20
    assert 1.0 <= predicted / taken <= 1.6, f"predicted {predicted}, taken {taken}"


def test_training_after_a_summary_is_the_same():
    """It draws no random number and moves no stream."""
    weights, digital = [], nn.LSTM(5, 4)
    for look in (False, True):
        model, state = convert(digital, NOISY, seed=3), torch.get_rng_state()
        if look:
            summary(model, torch.zeros(2, 3, 5))
        assert torch.equal(torch.get_rng_state(), state)
        model(randn(2, 3, 5))[0].sum().backward()
        AnalogSGD(model.parameters(), 0.1).step()
        weights.append(torch.cat([core.weight.detach().flatten() for core in analog_layers(model).values()]))
    assert torch.equal(*weights)


def test_input_without_samples_is_refused():
    with pytest.raises(ParameterError, match=r"summary.sample_input = \('int',\): has no samples"):
        summary(Mixed(), (3,), EXACT)

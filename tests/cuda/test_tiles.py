# SPDX-License-Identifier: Apache-2.0
"""Tiles, layers and Python devices on a GPU: moved, saved, refused; where there is none, through the emulator."""

import copy
import importlib.util
import time
from pathlib import Path

import lives
import pytest
import torch
import xarray as xr

from engine.cuda import program
from engine.cuda.arrays import GpuArrays, i64, pointer, u32, u64
from engine.errors import ShapeError, StateError
from engine.nn import AnalogLinear, analog_layers, convert
from engine.optim import AnalogSGD
from engine.tiles import MappingParameters, Tile, TileConfig

SHAPE = (4, 9)
PYTHON_DEVICE = Path(__file__).resolve().parents[1] / "engine" / "devices" / "python_soft_bounds.py"


def moved(tile: Tile, where: str) -> Tile:
    """Move a tile; in the emulator, where both places are the CPU, only its kernels change."""
    tile._place(tile.state_dict(), torch.device(where, 0) if where == "cuda" else torch.device(where))
    return tile


def python_device():
    spec = importlib.util.spec_from_file_location("python_soft_bounds_on_a_gpu", PYTHON_DEVICE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PythonSoftBounds(dw_min=0.02, write_noise_std=1.0, diffusion=0.01, lifetime=50.0, drift_nu=0.05)


def test_tile_that_moves_in_the_middle_of_its_life_has_the_bits_of_one_that_stays(place):
    stays, moves = (Tile(*SHAPE, lives.device_of("soft_bounds"), seed=3, count_pulses=True) for _ in range(2))
    ours = [act(stays) for act in (lives.write, lives.pulses, lives.updates, lives.in_time)]
    theirs = [act(moves) for act in (lives.write, lives.pulses)]
    with place() as where:
        moved(moves, where)
        assert isinstance(moves._arrays, GpuArrays)
        theirs.append(lives.updates(moves))
        on_gpu = moves.state_dict()
    moved(moves, "cpu")
    assert not isinstance(moves._arrays, GpuArrays)
    theirs.append(lives.in_time(moves))
    for one, other in zip(ours, theirs, strict=True):
        lives.assert_same_bits(one, other)
    assert torch.equal(stays.pulse_counts[0], moves.pulse_counts[0])
    back = Tile(*SHAPE, lives.device_of("soft_bounds"), seed=5)
    back.load_state_dict(on_gpu)
    lives.assert_same_bits({"w": ours[2]["apparent updated"]}, {"w": back.weights})


def test_copy_of_a_tile_on_a_gpu_stays_there_and_goes_on_alike(place):
    with place() as where:
        tile = Tile(*SHAPE, lives.device_of("exp_step"), seed=3, torch_device=where)
        lives.updates(tile)
        twin = copy.deepcopy(tile)
        assert isinstance(twin._arrays, GpuArrays)
        assert twin.torch_device == tile.torch_device
        lives.assert_same_bits(lives.updates(tile), lives.updates(twin))


def test_python_device_on_a_gpu_has_the_bits_of_the_cpu(place):
    """Tensor code throughout, with the kernels' random numbers and coincidences."""

    def life(where: str) -> lives.Found:
        tile = Tile(*SHAPE, python_device(), seed=7, count_pulses=True, torch_device=where)
        found = lives.construct(tile) | lives.write(tile) | lives.pulses(tile) | lives.updates(tile)
        return found | lives.in_time(tile) | dict(zip(("up", "down"), tile.pulse_counts, strict=True))

    ours = life("cpu")
    with place() as where:
        theirs = life(where)
    lives.assert_same_bits(ours, theirs)
    assert int(ours["up"].sum()) > 20


def test_product_on_a_gpu_is_refused_rather_than_computed_elsewhere(place):
    with place() as where:
        tile = Tile(*SHAPE, torch_device=where)
        with pytest.raises(StateError, match=r"Tile.forward: the product is not computed on a GPU yet"):
            tile.forward(torch.zeros(1, 9, device=where))
        with pytest.raises(StateError, match=r"Tile.backward: .*tile.to\('cpu'\)"):
            tile.backward(torch.zeros(1, 4, device=where))


def test_array_on_another_device_than_the_tile_is_refused():
    tile = Tile(*SHAPE)
    with pytest.raises(ShapeError, match=r"x: got torch.float32 on meta, expected torch.float32 on cpu.*\.cpu\(\)"):
        tile.update(torch.zeros(1, 9, device="meta"), torch.zeros(1, 4), 0.1)


def test_array_on_the_cpu_is_refused_by_a_tile_on_a_gpu(a_gpu):
    tile = Tile(*SHAPE, torch_device=a_gpu)
    with pytest.raises(ShapeError, match=r"x: got torch.float32 on cpu, expected torch.float32 on cuda:0"):
        tile.update(torch.zeros(1, 9), torch.zeros(1, 4), 0.1)


def test_tile_on_a_gpu_names_it(a_gpu):
    assert "torch_device='cuda:0'" in repr(Tile(*SHAPE, torch_device=a_gpu))


def test_layer_moves_to_a_gpu_and_back_with_its_parameter(a_gpu):
    layer = AnalogLinear(9, 4, config=TileConfig(lives.device_of("soft_bounds")))
    weight, before = layer.weight, layer.weight.detach().clone()
    layer.to(a_gpu)
    assert layer.weight is weight
    assert weight.device.type == layer.bias.device.type == layer.tile.torch_device.type == "cuda"
    assert weight.data_ptr() == layer.tile.weights.data_ptr()
    layer.cpu()
    assert torch.equal(layer.weight.detach(), before)
    assert layer.weight.data_ptr() == layer.tile.weights.data_ptr()


def test_split_and_nested_layers_move_to_a_gpu_and_back_with_their_scales(a_gpu):
    mapping = MappingParameters(max_input_size=4, weight_scaling_omega=0.4, learn_out_scaling=True)
    config = TileConfig(lives.device_of("soft_bounds"), mapping=mapping)
    model = convert(torch.nn.LSTM(9, 4), config)
    before = [p.detach().clone() for p in model.parameters()] + [b.clone() for b in model.buffers()]
    model.to(a_gpu)
    assert {t.device.type for t in [*model.parameters(), *model.buffers()]} == {"cuda"}
    for core in analog_layers(model).values():
        assert all(w.data_ptr() == w.tile.weights.data_ptr() for w in core.analog_weights.values())
    model.cpu()
    after = [p.detach() for p in model.parameters()] + list(model.buffers())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_layer_whose_tile_has_moved_is_trained_there(place):
    """What the optimizer does with waiting samples; the product itself is not computed on a GPU yet."""

    def trained(where: str, move: bool) -> torch.Tensor:
        layer = AnalogLinear(9, 4, config=TileConfig(lives.device_of("soft_bounds")), seed=2)
        optimizer = AnalogSGD(layer.parameters(), lr=0.1)
        if move:
            moved(layer.tile, where)
            layer.weight.data = layer.tile.weights
        x, d = (v.to(where) for v in lives.samples((4, 9), 5))
        layer.weight.pending.append((x, d))
        optimizer.step()
        return layer.weight.detach().cpu().clone()

    ours = trained("cpu", move=False)
    with place() as where:
        assert torch.equal(ours, trained(where, move=True))


def test_kernels_run_on_the_current_stream(a_gpu):
    """A tile's work waits for what came before it on the stream that is current, and nothing else."""
    tile = Tile(256, 256, lives.device_of("soft_bounds"), seed=3, torch_device=a_gpu)
    reference = Tile(256, 256, lives.device_of("soft_bounds"), seed=3)
    x, d = lives.samples((256, 256), 8)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        tile.update(x.to(a_gpu), d.to(a_gpu), 0.1)
    stream.synchronize()
    reference.update(x, d, 0.1)
    assert torch.equal(tile.weights.cpu(), reference.weights)


def test_cached_machine_code_loads_in_milliseconds(a_gpu, tmp_path, monkeypatch):
    """From disk to a kernel that has run, without compiling: 20 ms are asked for."""
    from engine.cuda.driver import DriverLauncher  # needs a driver when it is made

    monkeypatch.setenv("OHMSCAPE_CUDA_CACHE", str(tmp_path))
    common, out = program.common_program(), torch.empty(4, 8, device=a_gpu)
    given = [u64(1), u32(17), u64(0), i64(8), u32(0), u32(1), pointer(out)]
    for attempt in range(2):
        launcher = DriverLauncher(torch.device("cuda", 0))
        began = time.perf_counter()
        launcher.launch(common, "ohm_draws", 1, 32, given)
        torch.cuda.synchronize()
        taken = time.perf_counter() - began
        assert attempt == 0 or taken < 0.1


def test_pulse_response_on_a_gpu_is_that_of_the_cpu(place, monkeypatch):
    """What the device lab shows."""
    pulse_response = pytest.importorskip("explorer.experiments.pulse_response", exc_type=ImportError)

    def response() -> xr.Dataset:
        device = lives.device_of("exp_step")
        return pulse_response.PulseResponse(device=device, n_devices=20, n_pulses=30, seed=3).compute(
            lambda *_, **__: None
        )

    monkeypatch.setattr(pulse_response, "preferred", lambda: "cpu")
    ours = response()
    with place() as where:
        monkeypatch.setattr(pulse_response, "preferred", lambda: where)
        theirs = response()
    xr.testing.assert_identical(ours, theirs)

# SPDX-License-Identifier: Apache-2.0
"""The command ``ohmscape info``."""

import json

import pytest

from engine.errors import CapacityError, PackageError
from engine.nn import Summary
from explorer import cli

SOURCE = """
import torch
def build():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 10))
model = build()
tokens = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 2))
number = 3
def nothing():
    return None
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(SOURCE, encoding="utf-8")
    path.with_suffix(".py.txt").write_text(SOURCE, encoding="utf-8")
    return path


def test_info_of_a_network_prints_a_line_for_each_layer(capsys):
    assert cli.main(["info", "mlp-digits", "--max-input-size", "32", "--max-output-size", "32"]) == 0
    shown = capsys.readouterr().out
    assert "layer  kind    parameters  tiles  largest  used [%]  products  slots  tile memory" in shown
    assert "0      Linear        4160      4  32x32         100         4     31" in shown
    assert "4810 parameters on 6 tiles; for each sample 6 products and at most 62 slots of pulses" in shown
    assert "training step of 8: " in shown


@pytest.mark.parametrize("name", ["build", "model"])
def test_info_of_a_file_takes_a_function_or_a_module(source, name, capsys):
    arguments = ["info", f"{source}:{name}", "--input", "1x8x8", "--device", "ecram_li_2018", "--json", "-"]
    assert cli.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert [layer["kind"] for layer in found["layers"]] == ["Conv2d", "Linear"]
    assert found["layers"][0]["mvms"] == 36
    assert found["device"] == "ecram_li_2018"
    assert found["peak_bytes"] > found["tile_bytes"] > 0


def test_info_of_a_model_of_tokens(source, capsys):
    assert cli.main(["info", f"{source}:tokens", "--input", "7", "--integers", "--exclude", "0", "--json", "-"]) == 0
    assert [layer["mvms"] for layer in json.loads(capsys.readouterr().out)["layers"]] == [0, 7]


def test_info_of_a_model_that_does_not_fit_fails_with_advice(source, capsys):
    assert cli.main(["info", f"{source}:build", "--input", "1x8x8", "--batch", "1000000000"]) == 1
    printed = capsys.readouterr()
    assert "training step of 1000000000" in printed.out
    assert "does not fit" in printed.err
    assert "Take batches of at most" in printed.err
    assert issubclass(CapacityError, MemoryError)
    assert Summary([], 1).peak_bytes == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["mlp-digit"], "network = 'mlp-digit': unknown"),
        (["{source}:build"], "--input: {source}:build does not say what it takes"),
        (["{source}:build", "--input", "1x8x"], "--input = '1x8x': is no shape of a sample"),
        (["{source}:bild", "--input", "1x8x8"], "the file has no 'bild' (allowed: a name in it). Did you mean 'build'"),
        (["{source}:nothing", "--input", "1x8x8"], "gives NoneType (allowed: a torch.nn.Module"),
        (["{source}:number", "--input", "1x8x8"], "gives int (allowed: a torch.nn.Module"),
        (["{source}.txt:build", "--input", "1"], "is no Python file"),
        (["nowhere.py:build", "--input", "1"], "there is no file 'nowhere.py'"),
        (["{source}:build", "--input", "1x8x8", "--batch", "0"], "--batch = 0: must be a whole number"),
    ],
)
def test_wrong_argument_is_one_line(source, arguments, named, capsys):
    assert cli.main(["info", *(a.format(source=source) for a in arguments)]) == 1
    printed = capsys.readouterr()
    assert named.format(source=source) in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""


def test_info_of_a_full_size_network_counts_its_tiles(capsys):
    from explorer import networks

    try:
        networks.get_scored("minilm-l6").probe()
    except PackageError as problem:
        pytest.skip(str(problem))
    assert cli.main(["info", "minilm-l6", "--json", "-"]) == 0
    costs = json.loads(capsys.readouterr().out)
    assert sum(len(layer["tiles"]) for layer in costs["layers"]) == 36

# SPDX-License-Identifier: Apache-2.0
"""The commands that run an experiment: the same numbers as in a script, options made from the parameters."""

import argparse
import json

import numpy as np
import pytest

from engine import presets
from engine.errors import ParameterError
from explorer import cli, figures, results
from explorer.cli import parameters
from explorer.experiments import Experiment, get, names
from explorer.experiments.pulse_response import PulseResponse
from explorer.experiments.training import Training

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def parse(cls: type[Experiment], *arguments: str) -> argparse.Namespace:
    """Options of one experiment as the command line reads them."""
    parser = argparse.ArgumentParser()
    parameters.add_experiment(parser, cls)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


# --- options from parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_options_defaults_give_the_experiments_own_defaults(name):
    cls = get(name)
    if "device" not in cls.parameters():
        pytest.skip(f"{name} has no device, so it is no command of this kind")
    made = parameters.experiment(parse(cls, "ecram_li_2018"), cls)
    assert made == cls(device=presets.load("ecram_li_2018"))


@pytest.mark.parametrize(
    ("text", "values"), [("0.1,0.2", [0.1, 0.2]), ("[0.1, 2e-3]", [0.1, 0.002]), ("[0.1]", [0.1]), ("1,", [1])]
)
def test_options_set_table_takes_numbers_with_commas(text, values):
    made = parameters.experiment(parse(PulseResponse, "lookup_table", "--set", f"mean_up={text}"), PulseResponse)
    assert made.device.mean_up == values


def test_options_set_table_with_a_word_is_refused():
    with pytest.raises(ParameterError, match="mean_up"):
        parameters.experiment(parse(PulseResponse, "lookup_table", "--set", "mean_up=0.1,b"), PulseResponse)


def test_options_set_device_nested_and_own_parameters():
    made = parameters.experiment(
        parse(Training, "ecram_li_2018", "--seeds", "3", "--no-baseline", "--lr", "0.05", "--seed", "7",
              "--set", "dw_min=0.004", "--set", "mult_noise=false", "--set", "forward.out_noise=0.01"),
        Training,
    )  # fmt: skip
    assert (made.n_seeds, made.baseline, made.lr, made.seed) == (3, False, 0.05, 7)
    assert made.device == presets.load("ecram_li_2018").copy(dw_min=0.004, mult_noise=False)
    assert made.forward == Training().forward.copy(out_noise=0.01)
    assert made.backward == Training().backward


def test_options_list_of_directions_is_a_custom_schedule():
    options = parse(PulseResponse, "ideal", "--schedule", "custom", "--directions", "1,1,-1,0")
    assert parameters.experiment(options, PulseResponse).pulses().tolist() == [1, 1, -1, 0]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("dw_min", "is no assignment"),
        ("=1", "is no assignment"),
        ("dw_mn=1", "Did you mean 'dw_min'"),
        ("dw_min=-1", r"dw_min = -1 w: is outside its bounds"),
        ("dw_min=big", r"dw_min = 'big' w: must be a number"),
        ("dw_min=nan", r"must not be NaN"),
        ("dw_min=0.1,0.2", r"dw_min = \[0.1, 0.2\] w: must be a number"),
        ("forwad.out_noise=1", "Did you mean 'forward'"),
        ("forward.nois=1", "there is no such parameter"),
    ],
)
def test_set_that_breaks_a_rule_says_which(assignment, message):
    with pytest.raises(ParameterError, match=message):
        parameters.experiment(parse(Training, "ecram_li_2018", "--set", assignment), Training)


def test_device_from_toml_file_equals_the_exported_one(tmp_path):
    device = presets.load("ecram_li_2018").copy(dw_min=0.003)
    path = tmp_path / "mine.toml"
    path.write_text(presets.dumps(device, title="mine"))
    assert parameters.device(str(path)) == device


def test_device_from_class_name_has_its_defaults():
    assert parameters.device("soft_bounds") == type(parameters.device("soft_bounds"))()


def test_device_unknown_suggests_a_near_one():
    with pytest.raises(ParameterError, match="Did you mean 'idealized_symmetric'"):
        parameters.device("idealised_symmetric")


# --- response -------------------------------------------------------------------------------------------------


def test_response_equals_the_experiment_in_a_script(tmp_path):
    target = tmp_path / "r.json"
    arguments = ["response", "reram_exp_hfo2_2018", "--devices", "30", "--pulses", "60", "--seed", "5"]
    assert cli.main([*arguments, "--json", str(target), "--png", str(tmp_path / "r.png")]) == 0
    shown = json.loads(target.read_text())
    ds = PulseResponse(device=presets.load("reram_exp_hfo2_2018"), n_devices=30, n_pulses=60, seed=5).run()
    np.testing.assert_array_equal(np.array(shown["band"], np.float32), ds.band.values)
    assert shown["content_id"] == ds.attrs["content_id"]
    assert Experiment.from_dict(shown["experiment"]).n_devices == 30
    assert (tmp_path / "r.png").read_bytes().startswith(PNG_SIGNATURE)


def test_response_other_seed_gives_other_bands(capsys):
    bands = []
    for seed in ("1", "2"):
        arguments = ["response", "ecram_li_2018", "--devices", "5", "--pulses", "10", "--seed", seed, "--json", "-"]
        assert cli.main(arguments) == 0
        bands.append(json.loads(capsys.readouterr().out)["band"])
    assert bands[0] != bands[1]


def test_response_save_keeps_the_run(capsys):
    assert cli.main(["response", "ideal", "--devices", "2", "--pulses", "4", "--save", "--json", "-"]) == 0
    run_id = json.loads(capsys.readouterr().out)["run_id"]
    assert results.load(run_id).sizes["device"] == 2
    assert results.info(run_id).label == "response ideal"


def test_response_png_into_missing_folder_fails_in_one_line(tmp_path, capsys):
    arguments = ["response", "ideal", "--devices", "2", "--pulses", "4", "--png", str(tmp_path / "no" / "x.png")]
    assert cli.main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "No such file or directory" in line


# --- train ----------------------------------------------------------------------------------------------------


def test_train_json_has_mean_and_each_seed_as_in_a_script(tmp_path):
    target = tmp_path / "t.json"
    arguments = ["train", "reram_exp_hfo2_2018", "--network", "mlp-digits", "--seeds", "2", "--epochs", "1"]
    assert cli.main([*arguments, "--json", str(target)]) == 0
    shown = json.loads(target.read_text())
    ds = Training(device=presets.load("reram_exp_hfo2_2018"), n_seeds=2, epochs=1).run()
    expected = ds.accuracy.sel(kind="analog").isel(epoch=-1).values
    np.testing.assert_array_equal(shown["per_seed"], expected)
    assert shown["test_accuracy"] == pytest.approx(expected.mean(), rel=1e-12)  # one mean of two float64
    np.testing.assert_array_equal(shown["baseline"]["per_seed"], ds.accuracy.sel(kind="baseline").isel(epoch=-1))
    assert shown["seconds_per_epoch"] > 0
    assert expected[0] != expected[1]


def test_train_without_baseline_has_none(capsys):
    assert cli.main(["train", "reram_exp_hfo2_2018", "--epochs", "1", "--no-baseline", "--json", "-"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["baseline"] is None
    assert shown["test_accuracy_std"] is None  # one seed has no spread


def test_train_table_names_device_and_floating_point(capsys):
    assert cli.main(["train", "reram_exp_hfo2_2018", "--epochs", "1", "--set", "dw_min=0.002"]) == 0
    shown = capsys.readouterr().out
    assert "reram_exp_hfo2_2018, dw_min=0.002 [%]" in shown
    assert "floating point [%]" in shown
    assert "time per epoch" in shown


@pytest.mark.parametrize(
    ("option", "value", "status"),
    [("--epochs", "0", 1), ("--epochs", "1.5", 1), ("--lr", "nan", 1), ("--lr", "fast", 2), ("--network", "vgg", 2)],
)
def test_train_wrong_value_is_one_line(option, value, status, capsys):
    try:
        code = cli.main(["train", "ideal", option, value])
    except SystemExit as leaving:  # argparse itself refuses what is no number or no option
        code = leaving.code
    assert code == status
    assert len(capsys.readouterr().err.splitlines()) == 1


# --- figure ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def response_figure():
    ds = PulseResponse(device=presets.load("ecram_li_2018"), n_devices=40, n_pulses=100, seed=1).run()
    return ds, figures.pulse_response(ds, "ecram_li_2018")


def test_figure_every_axis_has_a_unit_or_counts(response_figure):
    _, figure = response_figure
    labels = [label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())]
    assert len(labels) == 6
    assert all("[w]" in label or label in ("pulses", "devices") for label in labels)


def test_figure_nominal_curve_is_the_datasets(response_figure):
    ds, figure = response_figure
    (line,) = [line for line in figure.axes[0].lines if line.get_label().startswith("nominal")]
    np.testing.assert_array_equal(line.get_ydata(), ds.nominal.values)


def test_figure_device_without_symmetry_point_says_so():
    ds = PulseResponse(device=parameters.device("ideal"), n_devices=3, n_pulses=4).run()
    figure = figures.pulse_response(ds, "ideal")
    assert any("no device has a symmetry point" in text.get_text() for text in figure.axes[2].texts)
    assert figures.png(figure).startswith(PNG_SIGNATURE)

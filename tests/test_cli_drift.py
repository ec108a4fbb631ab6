# SPDX-License-Identifier: Apache-2.0
"""``ohmscape drift``: the table is the experiment's, files are written, mistakes are one line."""

from __future__ import annotations

import json

import pytest

from explorer.cli import main
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.scenario import Scenario

SMALL = ["drift", "mlp-digits", "--chips", "3", "--samples", "60", "--times", "1s,1d"]


def test_table_json_and_picture_are_those_of_the_experiment(tmp_path, capsys):
    out, png = tmp_path / "drift.json", tmp_path / "drift.png"
    assert main([*SMALL, "--compensation", "global,none", "--json", str(out), "--png", str(png)]) == 0
    told = json.loads(out.read_text())
    scenarios = [Scenario(title="pcm, global"), Scenario(title="pcm, none", compensation="none")]
    ds = DriftAccuracy(n_chips=3, samples=60, times=[1.0, 86400.0], scenarios=scenarios).run()
    assert told["scenarios"]["pcm, none"]["accuracy_mean"] == ds.accuracy_mean.sel(scenario="pcm, none").values.tolist()
    assert told["digital_accuracy"] == float(ds.digital_accuracy)
    assert told["experiment"]["class"] == "DriftAccuracy"
    assert png.read_bytes()[:4] == b"\x89PNG"
    text = capsys.readouterr().out
    assert f"{round(100 * float(ds.accuracy_mean[0, 1]), 2):.5g}" in text
    assert "1 d" in text


def test_parameters_reach_devices_and_periphery(tmp_path):
    out = tmp_path / "drift.json"
    more = ["--noise", "hermes_two", "--adc-bits", "5", "--dac-bits", "0", "--set", "drift_scale=0.5", "--set",
            "forward.out_noise=0.1", "--converter", "dual_pair", "--input-range", "calibrated"]  # fmt: skip
    assert main([*SMALL, *more, "--json", str(out)]) == 0
    (scenario,) = json.loads(out.read_text())["experiment"]["parameters"]["scenarios"]
    assert scenario["noise"]["kind"] == "hermes_two"
    assert scenario["noise"]["parameters"]["drift_scale"] == 0.5
    assert scenario["forward"]["out_res"] == pytest.approx(1 / 30)
    assert scenario["forward"]["inp_res"] == 0
    assert scenario["forward"]["out_noise"] == 0.1
    assert scenario["converter"]["parameters"]["g_max"] == 20.7
    assert scenario["input_range"] == "calibrated"


def test_svg_is_drawn_where_its_name_says_so(tmp_path):
    svg = tmp_path / "drift.svg"
    assert main([*SMALL, "--png", str(svg)]) == 0
    assert b"<svg" in svg.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["mlp-digit"], "Did you mean 'mlp-digits'"), (["mlp-digits", "--times", "1s,soon"], "'soon': is no time"),
     (["mlp-digits", "--times", "7"], "Write 7s for seconds"), (["mlp-digits", "--noise", "pmc"], "pcm"),
     (["mlp-digits", "--compensation", "globl"], "global"), (["mlp-digits", "--adc-bits", "1"], "--adc-bits"),
     (["mlp-digits", "--chips", "0"], "n_chips"), (["mlp-digits", "--set", "drft_scale=1"], "drift_scale"),
     (["no.py:Net"], "there is no file")],
)  # fmt: skip
def test_mistake_is_one_line_that_says_what_to_do(arguments, words, capsys):
    assert main(["drift", *arguments]) == 1
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1

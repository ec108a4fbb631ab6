# SPDX-License-Identifier: Apache-2.0
"""The fit studio without a browser: what is read, mapped, fitted and handed on; the report; trainings on draws."""

from __future__ import annotations

import json
import re
import tomllib

import numpy as np
import pytest
from kept_jobs import KeptJobs

from engine import presets
from engine.errors import ParameterError
from explorer import fit_report
from explorer.cli import main
from explorer.experiments.fit_response import FitResponse
from explorer.experiments.posterior_training import PosteriorTraining, parts
from explorer.fitting import ResponseFit
from explorer.interchange import aihwkit
from explorer.labs import link
from explorer.labs.fit_studio import FitStudio
from explorer.labs.state import DeviceState

UP = 1 - np.exp(-np.arange(1, 41) / 15)
DIRECTION = np.repeat([1, -1], 40)


def readings(bad: int | None = None) -> bytes:
    """Return a long file of one device, 40 up and 40 down pulses, seed 0; one row may be bad."""
    rng = np.random.default_rng(0)
    value = np.concatenate([UP, UP[::-1] - 0.02]) + 0.01 * rng.standard_normal(80)
    rows = [f"{i},{d},{v:.5f}" for i, (d, v) in enumerate(zip(DIRECTION, value, strict=True), 1)]
    if bad is not None:
        rows[bad] = "x,y,z"
    return "\n".join(["pulse,polarity,G (uS)", *rows]).encode()


@pytest.fixture
def studio() -> FitStudio:
    return FitStudio(runner=KeptJobs())


@pytest.fixture(scope="module")
def fitted():
    """A fit of one class, with its experiment."""
    experiment = FitResponse(model="soft_bounds", n_simulated=20)
    return experiment, experiment.run()


# ------------------------------------------------------------------------------------------------------- input


def test_file_is_read_mapped_and_offered_to_the_fit(studio):
    studio.data.take("mine.csv", readings())
    assert studio.data.normalised.measured.unit == "S"
    assert not studio.fits.start.disabled
    assert studio.data.roles["value"].value == 3
    assert "G (uS)" in studio.data.table.object
    assert not studio.data.empty.visible


def test_rejected_rows_are_listed_with_line_and_reason(studio):
    studio.data.take("mine.csv", readings(bad=10))
    assert "1 row was left out" in studio.data.rejected_note.object
    assert "<td>12</td>" in studio.data.rejected.object
    assert len(studio.data.normalised.measured.traces[0]) + len(studio.data.normalised.measured.traces[-1]) >= 79


def test_choice_of_columns_reads_the_file_anew(studio):
    text = readings().decode().replace("polarity", "foo").replace("G (uS)", "bar")
    studio.data.take("mine.csv", text.encode())
    studio.data.roles["value"].value = 3
    assert studio.data.normalised is None or studio.data.normalised.measured.unit == "1"
    studio.data.roles["direction"].value = 2
    assert studio.data.normalised.measured.traces[0].direction.tolist() == DIRECTION.tolist()


def test_unit_and_voltage_apply_to_what_was_read(studio):
    studio.data.take("mine.csv", readings().replace(b" (uS)", b""))
    studio.data.unit.value = "uA"
    assert studio.data.voltage.box.visible
    assert studio.data.normalised.measured.summary().high == pytest.approx(1e-5, rel=0.2)


def test_bad_file_says_why_and_shows_no_data(studio):
    studio.data.take("mine.csv", b"\x89PNG\r\n\x1a\n1234")
    assert "a PNG image" in studio.data.problem.object
    assert studio.data.normalised is None
    assert studio.fits.start.disabled


def test_second_file_is_merged_where_that_is_asked_for(studio):
    up, down = ("\n".join(["rmp1", *(f"{v:.4f}" for v in part)]).encode() for part in (UP, UP[::-1]))
    studio.data.take("set.csv", up)
    studio.data.take("reset.csv", down)
    assert studio.data.normalised is None or studio.data.normalised.measured.source_name == "reset.csv"
    studio.data.take("set.csv", up)
    studio.data.merge.value = True
    studio.data.take("reset.csv", down)
    summary = studio.data.normalised.measured.summary()
    assert (summary.n_cycles, summary.n_up_pulses, summary.n_down_pulses) == (1, 40, 40)


def test_example_reads(studio):
    studio.data.example.clicks += 1
    assert studio.data.normalised.measured.summary().n_devices == 3


# --------------------------------------------------------------------------------------------------------- fit


def test_fit_sends_readings_and_map_to_a_job(studio):
    studio.data.take("mine.csv", readings(bad=10))
    studio.fits.model.value = "soft_bounds"
    studio.fits.run()
    (experiment,) = studio.fits.box.runner.submitted
    assert experiment.source_name == "mine.csv"
    sent, shown = experiment.normalised(), studio.data.normalised
    assert (sent.g_lo, sent.g_hi) == (shown.g_lo, shown.g_hi)
    np.testing.assert_array_equal(sent.measured.traces[0].value, shown.measured.traces[0].value)
    for name in ("rejected", "warnings", "sha256", "format_name"):  # a page that comes back shows them again
        assert getattr(sent.measured, name) == getattr(shown.measured, name), name
    assert [row.row for row in sent.measured.rejected] == [12]
    assert "is not run here" in studio.fits.box.problem.object


def test_result_shows_parameters_residuals_and_what_to_do_with_it(studio, fitted):
    experiment, ds = fitted
    studio.fits._done(ds, experiment)
    assert studio.fits.fit.model == "soft_bounds"
    assert "w_max" in studio.fits.parameters.object
    assert len(studio.fits.qq.source.data["normal"]) == 99
    assert len(studio.fits.overlay.points.data["pulse"]) == ds.sizes["pulse"]
    assert studio.use.view.visible
    assert not studio.fits.stale.visible
    assert studio.data.normalised is not None  # the readings of a job that is come back to


def test_result_of_other_readings_is_marked_as_stale(studio, fitted):
    experiment, ds = fitted
    studio.fits._done(ds, experiment)
    studio.data.take("mine.csv", readings())
    assert studio.fits.stale.visible


def test_link_opens_the_fitted_device_in_the_device_lab(studio, fitted):
    studio.fits._done(fitted[1], fitted[0])
    text = re.search(r'state=([\w.\-]+)"', studio.use.lab.object).group(1)
    state = DeviceState()
    assert link.restore(state, text) == ""
    assert state.device == studio.fits.fit.device()


def test_files_hold_the_device(studio, fitted):
    studio.fits._done(fitted[1], fitted[0])
    preset = studio.use._preset().getvalue().decode()
    assert presets.loads(preset).device == studio.fits.fit.device()
    assert studio.fits.fit.data_hash in preset
    assert "covariance" in tomllib.loads(preset).get("fit", {}) or "covariance" in preset
    code = studio.use._code().getvalue().decode()
    assert aihwkit.read(code).device.w_max == studio.fits.fit.device().w_max
    assert b"Verdict" in studio.use._report().getvalue()


# ------------------------------------------------------------------------------------------------------ report


def test_report_needs_nothing_from_outside_and_escapes_the_file_name(fitted):
    _, ds = fitted
    page = fit_report.html(ds, summary="<script>alert(1)</script>", warnings=["a & b"])
    assert "<script>alert(1)</script>" not in page
    assert "a &amp; b" in page
    assert "<script src" not in page
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)  # Bokeh's own text names addresses
    assert not re.findall(r'(?:src|href)="', markup)
    fit = FitResponse.fit_of(ds)
    for word in (fit.data_hash, "95 % interval", "SHA-256", "torch version", "autocorrelation"):
        assert word in page


def test_command_writes_report_preset_and_json(tmp_path, capsys):
    file, report, preset, result = (tmp_path / n for n in ("m.csv", "r.html", "p.toml", "r.json"))
    file.write_bytes(readings(bad=10))
    arguments = ["fit", str(file), "--model", "soft_bounds", "--simulated", "10", "--report", str(report),
                 "--preset", str(preset), "--json", str(result)]  # fmt: skip
    assert main(arguments) == 0
    told = json.loads(result.read_text())
    assert told["rejected"][0].startswith("row 12 column")
    assert told["result"]["source_name"] == "m.csv"
    assert told["file_sha256"] in report.read_text()
    assert "row 12 column" in capsys.readouterr().out
    assert presets.loads(preset.read_text()).device.stem() == "soft_bounds"


def test_command_refuses_a_bad_row_where_it_is_told_to(tmp_path, capsys):
    file = tmp_path / "m.csv"
    file.write_bytes(readings(bad=10))
    assert main(["fit", str(file), "--strict"]) == 1
    assert "m.csv row 12" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------- posterior


def test_parts_take_the_variance_apart():
    """4,000 sets of 4 chips, seed 5: the parts are known to 3 %, four standard errors are 12 %."""
    rng = np.random.default_rng(5)
    accuracy = 0.8 + 0.03 * rng.standard_normal((4000, 1)) + 0.02 * rng.standard_normal((4000, 4))
    found = parts(accuracy)
    assert found["measurement"] == pytest.approx(0.03, rel=0.12)
    assert found["chip"] == pytest.approx(0.02, rel=0.12)
    assert found["both"] == pytest.approx((0.03**2 + 0.02**2) ** 0.5, rel=0.12)
    assert np.isnan(parts(accuracy[:, :1])["chip"])


def test_training_on_draws_has_an_accuracy_for_each_set_and_chip(fitted):
    fit = FitResponse.fit_of(fitted[1])
    experiment = PosteriorTraining(fit=fit.to_json(), n_draws=2, n_chips=1, epochs=1)
    heard = []
    ds = experiment.run(lambda fraction, message="", **payload: heard.append(fraction))
    assert ds.accuracy.shape == (2, 1)
    assert (ds.accuracy > 0.3).all()  # ten digits: 0.1 by chance
    assert ds.attrs["digital_accuracy"] > 0.7
    assert heard == sorted(heard)
    assert ds.value.sel(parameter="w_max").std() > 0


def test_text_that_is_no_fit_is_refused():
    with pytest.raises(ParameterError, match="is no fit"):
        PosteriorTraining(fit="{}").check()
    assert ResponseFit.from_json(PosteriorTraining().response_fit().to_json()).model == "soft_bounds"

# SPDX-License-Identifier: Apache-2.0
"""Retention from file to noise model without a browser: what is read, refused, fitted, written, opened, printed."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from kept_jobs import KeptJobs

from engine.errors import ParameterError
from engine.inference import noise
from engine.inference.noise.log_time_relaxation import LogTimeRelaxation
from explorer import retention_report
from explorer.cli import main
from explorer.experiments.base import Cancelled
from explorer.experiments.fit_retention import FitRetention
from explorer.fitting import MeasuredDataError
from explorer.fitting.retention import Bake, TimeSeries, noise_file, read_retention
from explorer.fitting.retention.analysis import ARRHENIUS, SPECTRUM, analyse, laws_of
from explorer.fitting.retention.bake import factor, fit_bake
from explorer.fitting.retention.example import as_csv, example
from explorer.fitting.retention.packed import pack, unpack
from explorer.fitting.retention.report import Report, curve_error
from explorer.labs import link
from explorer.labs.drift_state import DriftState
from explorer.labs.fit_studio import FitStudio


def baked(n: int = 400, temperatures: tuple[float, ...] = (25.0, 85.0, 150.0)) -> Bake:
    """Return devices whose spread follows 0.4 eV, seed 6."""
    rng, t = np.random.default_rng(6), np.array(temperatures)
    g = np.repeat(rng.uniform(50, 100, n)[:, None], t.size, axis=1)
    spread = 0.5 * np.sqrt(0.3 + 0.7 * np.exp(-0.4 / 8.617e-5 * (1 / (t + 273.15) - 1 / (t[0] + 273.15))))
    return Bake(g, g + spread * rng.standard_normal(g.shape), np.full(g.shape, 3600.0), t, "bake")


@pytest.fixture(scope="module")
def fitted():
    """The example's experiment and its result."""
    experiment = FitRetention(readings=pack(example()))
    return experiment, experiment.run()


@pytest.fixture
def studio() -> FitStudio:
    return FitStudio(runner=KeptJobs())


# ------------------------------------------------------------------------------------------------------- reading


def test_measurement_survives_the_way_to_a_job():
    for data in (example(), baked(), TimeSeries(np.ones((2, 2048)), 400.0, "series")):
        back = unpack(pack(data))
        assert type(back) is type(data)
        assert back.words() == data.words()
    np.testing.assert_allclose(unpack(pack(example())).g_us, example().g_us, rtol=1e-7)  # seven digits of float32
    with pytest.raises(MeasuredDataError, match="no packed measurement"):
        unpack("nonsense")


def test_table_of_several_temperatures_is_a_bake():
    data = baked()
    lines = ["cell,temperature,time,G (uS)"]
    for d, (b, a) in enumerate(zip(data.before_us, data.after_us, strict=True)):
        for k, t in enumerate(data.temperature_c):
            lines += [f"c{d},{t},0,{b[k]:.6f}", f"c{d},{t},3600,{a[k]:.6f}"]
    read = read_retention("\n".join(lines).encode(), "b.csv")
    assert isinstance(read, Bake)
    assert read.temperature_c.tolist() == [25.0, 85.0, 150.0]
    np.testing.assert_allclose(
        np.sort(read.after_us, axis=0), np.sort(data.after_us, axis=0), atol=6e-7
    )  # six decimals
    with pytest.raises(MeasuredDataError, match="one before and one after"):
        read_retention("\n".join(lines[:-1]).encode(), "b.csv")


def test_devices_that_miss_a_read_keep_their_times():
    lines = as_csv(example()).splitlines()
    kept = [line for line in lines if not line.startswith("d1,") or ",10," not in line]
    read = read_retention("\n".join(kept).encode(), "r.csv")
    assert read.times_s.tolist() == [0.0, 0.1, 1.0, 10.0, 1e3, 1e5]
    assert np.isnan(read.g_us[:, 3]).sum() == 1


def changed(column: int, text: str, row: int = 9) -> bytes:
    """Return the example as a table with one cell changed."""
    lines = as_csv(example()).splitlines()
    cells = lines[row].split(",")
    cells[column] = text
    return "\n".join([*lines[:row], ",".join(cells), *lines[row + 1 :]]).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n1234", "a PNG image"),
        (b"up,down\n0.1,0.9\n0.3,0.7\n", "device_id of r.csv"),
        (changed(3, "nan"), "row 10 column 'G (uS)'"),
        (changed(3, "-3"), "= '-3 uS'"),
        (changed(3, "x"), "must be a number"),
        (changed(2, "0.1"), "is a second read of device d2 at the same time"),
        ("\n".join(as_csv(example()).splitlines()[:2]).encode(), "two times or more"),
        (as_csv(example()).replace("G (uS)", "G (S)").encode(), "Say the unit of the readings"),
        (as_csv(example()).replace("G (uS)", "G (uA)").encode(), "a current needs the voltage"),
        (as_csv(example()).replace("G (uS)", "G (1)").encode(), "plain numbers are no conductances"),
    ],
)
def test_table_that_breaks_a_rule_is_refused_in_one_line(content, words):
    with pytest.raises(MeasuredDataError) as caught:
        read_retention(content, "r.csv")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_units_of_one_kind_may_differ_from_row_to_row_others_not():
    lines = as_csv(example()).replace("G (uS)", "G,unit").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    nano = [[*r[:3], f"{1e3 * float(r[3])}", "nS"] if k % 2 else [*r, "uS"] for k, r in enumerate(rows)]
    read = read_retention("\n".join([lines[0], *map(",".join, nano)]).encode(), "r.csv")
    np.testing.assert_allclose(np.sort(read.g_us, axis=0), np.sort(example().g_us, axis=0), atol=6e-6)  # five decimals
    mixed = [[*r, "ohm" if k % 2 else "uS"] for k, r in enumerate(rows)]
    with pytest.raises(MeasuredDataError, match="units of different kinds"):
        read_retention("\n".join([lines[0], *map(",".join, mixed)]).encode(), "r.csv")


def test_small_negative_reading_is_an_offset_a_large_one_an_error():
    assert read_retention(changed(3, "-0.1"), "r.csv").g_us.min() == pytest.approx(-0.1)


# --------------------------------------------------------------------------------------------------------- fits


def test_result_is_the_same_after_its_way_as_json(fitted):
    report = FitRetention.report_of(fitted[1])
    assert Report.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False))).to_dict() == report.to_dict()
    assert report.best.stem == "log_time_diffusion"
    assert "4 of 4 middle levels" in report.verdict
    assert "Nothing is said of times after 1e+05 s" in report.verdict
    tau = next(p for p in report.best.parameters if p.name == "tau")
    assert tau.low < 0.01 < tau.high  # the example's
    assert tau.low * tau.high == pytest.approx(tau.value**2)  # even on a logarithmic scale


def test_dataset_holds_curves_bands_residuals_and_predictions(fitted):
    ds = fitted[1]
    assert ds.spread_fit.dims == ("law", "level", "curve_time")
    best = ds.sel(law="log_time_diffusion")
    assert (best.spread_error > 0).all()
    assert np.abs(best.spread_residual).max() < 4  # 40 residuals in standard errors
    error = best.predicted / ds.spread[:, -1] - 1
    assert (np.abs(error) < 0.2).all()  # standard error of a spread of 150 devices: 5.8 %, three of them


def test_band_is_the_error_of_the_curve_by_its_parameters():
    """At each temperature ln spread is linear in b0: its band alone is spread/2 times the error of b0."""
    fit = fit_bake(baked())
    whole = curve_error(fit.fit, lambda v: fit.spread_with(v, fit.g_us, 25.0))
    draws = np.random.default_rng(8).multivariate_normal(
        [fit.values[n] for n in fit.fit.var_names], fit.fit.covar, 4000
    )
    near = [fit.spread_with(dict(zip(fit.fit.var_names, d, strict=True)), fit.g_us, 25.0) for d in draws]
    # 4,000 draws, seed 8: a standard deviation to 1.1 %; curvature beyond the slopes adds some per cent
    np.testing.assert_allclose(whole, np.std(near, axis=0), rtol=0.15)


def test_bake_and_read_noise_have_laws_of_their_own():
    report, ds = analyse(baked())
    assert [law.stem for law in report.laws] == [ARRHENIUS]
    assert report.best.noise is None
    assert ds.spread_fit.dims == ("level", "curve_temperature")
    values = {p.name: p.value for p in report.best.parameters}
    fit = fit_bake(baked())
    assert factor(values, report.lowest_c, 85.0, 25.0) == pytest.approx(fit.factor(85.0, 25.0))
    rng = np.random.default_rng(7)
    series, curves = analyse(TimeSeries(50 + 0.1 * rng.standard_normal((3, 4096)), 100.0, "series"))
    assert series.laws[0].stem == SPECTRUM
    assert len(series.devices) == 3
    assert curves.spectrum.sizes["device"] == 3
    with pytest.raises(MeasuredDataError, match="is not one for bake"):
        analyse(baked(), "power_law")
    assert next(iter(laws_of("relaxation").values())) == "auto"


def test_fit_stops_where_it_is_told_to():
    def stop(share: float, words: str = "", **payload) -> None:
        if words == "tails":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        FitRetention().run(stop)


# ---------------------------------------------------------------------------------------------------------- use


def test_noise_model_file_holds_the_model_its_source_and_errors(fitted):
    report = FitRetention.report_of(fitted[1])
    text = noise_file.write(report)
    model = noise_file.read(text)
    assert isinstance(model, LogTimeRelaxation)
    assert model == noise.made(report.best.noise, "noise")
    for word in (report.source, "stderr", "interval_95", "data_sha256", "verdict"):
        assert word in text
    with pytest.raises(ParameterError, match="is no TOML"):
        noise_file.read("a = = 1")
    with pytest.raises(ParameterError, match=r"noise: is missing"):
        noise_file.read("a = 1")
    with pytest.raises(MeasuredDataError, match="one time only"):
        noise_file.write(analyse(baked())[0])


def test_page_reads_fits_and_opens_the_drift_lab(studio, fitted):
    studio.retention.take("mine.csv", as_csv(example()).encode())
    assert "1200 devices" in studio.retention.summary.object
    assert not studio.laws.start.disabled
    studio.laws.run()
    (sent,) = studio.laws.box.runner.submitted
    assert sent.data().words() == studio.retention.data.words()
    studio.laws._done(fitted[1], fitted[0])
    assert studio.noise.view.visible
    assert "tau" in studio.laws.parameters.object
    assert len(studio.laws.figures.residuals.source.data["x"]) == 80  # 8 levels, 5 times, mean and spread
    assert noise_file.read(studio.noise._file().getvalue().decode()).times[-1] == 1e5
    text = re.search(r'state=([\w.\-]+)"', studio.noise.lab.object).group(1)
    state = DriftState()
    assert link.restore(state, text) == ""
    assert state.scenario.noise == noise.made(FitRetention.report_of(fitted[1]).best.noise, "noise")
    assert state.time <= 1e5


def test_page_of_another_law_shows_and_saves_that_one(studio, fitted):
    studio.laws._done(fitted[1], fitted[0])  # come back to
    assert studio.retention.data is not None
    studio.laws.chosen.value = "power_law"
    assert studio.laws.law.stem == "power_law"
    assert "mu_offset" in studio.laws.parameters.object
    assert b'noise = "pcm"' in studio.noise._file().getvalue()
    studio.laws.levels.value = 3
    assert len(studio.laws.figures.spread.points[0].data["x"]) == 5
    assert len(studio.laws.figures.spread.points[1].data["x"]) == 0


def test_page_of_a_single_level_takes_a_result_without_the_law_on_show(studio, fitted):
    studio.laws._done(fitted[1], fitted[0])
    studio.laws.levels.value = 3
    other = FitRetention(readings=pack(example()), law="power_law")
    studio.laws._done(other.run(), other)
    assert studio.laws.law.stem == "power_law"
    assert len(studio.laws.figures.spread.points[1].data["x"]) == 5  # five levels again


def test_page_marks_a_result_of_other_readings_and_says_what_is_wrong(studio, fitted):
    studio.laws._done(fitted[1], fitted[0])
    assert not studio.laws.stale.visible
    studio.retention.take("bad.csv", changed(3, "-3"))
    assert "0 uS or more" in studio.retention.problem.object
    assert studio.laws.start.disabled
    assert studio.laws.stale.visible
    studio.retention.take("mine.csv", as_csv(example()).encode())
    assert not studio.retention.problem.visible


def test_page_of_a_bake_gives_the_factor_of_hotter_chips(studio):
    experiment = FitRetention(readings=pack(baked()))
    studio.laws._done(experiment.run(), experiment)
    assert not studio.noise.file.visible
    assert studio.noise.hot.visible
    studio.noise.temperature.value = 25.0
    assert "drift_scale = 1<" in studio.noise.factor.object
    assert list(studio.laws.model.options.values()) == [ARRHENIUS]


# ------------------------------------------------------------------------------------------------------- report


def markup(page: str) -> str:
    """Return a page without its scripts: Bokeh's own text names addresses."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_report_needs_nothing_from_outside_and_holds_what_was_found(fitted):
    page = retention_report.html(fitted[1])
    assert "<script src" not in page
    assert not re.findall(r'(?:src|href)="', markup(page))
    report = FitRetention.report_of(fitted[1])
    for word in (report.verdict, "Diffusion in log time, fitted to", "power law (PCM)", "95 % interval", "tau",
                 "SHA-256", "torch version", "Mean change", "Residuals by level", "predicted from the earlier ones",
                 "log_time_relaxation"):  # fmt: skip
        assert word in page, word
    assert "read_voltage_v" not in page  # the readings are conductances by now


def test_report_escapes_the_name_of_the_file():
    named = replace(example(), source="<img src=x>.csv")
    page = markup(retention_report.html(FitRetention(readings=pack(named), law="power_law").run()))
    assert "<img" not in page
    assert "&lt;img src=x&gt;.csv" in page


def test_report_of_bake_and_read_noise_has_their_plots_and_no_noise_model():
    page = markup(retention_report.html(FitRetention(readings=pack(baked())).run()))
    assert "Measured and fitted over temperature" in page
    assert "No noise model" in page
    rng = np.random.default_rng(7)
    series = TimeSeries(50 + 0.1 * rng.standard_normal((3, 4096)), 100.0, "series")
    page = markup(retention_report.html(FitRetention(readings=pack(series)).run()))
    assert "Spectra and fitted powers" in page
    assert "Residuals" not in page
    assert page.count(" µS</span>") == 3  # a device each in the legend


def test_page_saves_the_report_of_the_law_on_show(studio, fitted):
    studio.laws._done(fitted[1], fitted[0])
    studio.laws.chosen.value = "power_law"
    assert "<h1>Power law (PCM), fitted to" in studio.noise._page().getvalue().decode()


# ------------------------------------------------------------------------------------------------------ command


def test_command_writes_a_noise_model_that_drift_takes(tmp_path, capsys):
    file, model, result, page = (tmp_path / n for n in ("r.csv", "n.toml", "r.json", "r.html"))
    file.write_text(as_csv(example()))
    arguments = ["retention", str(file), "--law", "log_time_diffusion", "--noise", str(model), "--json", str(result),
                 "--report", str(page)]  # fmt: skip
    assert main(arguments) == 0
    told = json.loads(result.read_text())
    assert told["result"]["sha256"] in page.read_text()
    assert math.isclose(told["result"]["laws"][0]["parameters"][4]["value"], 0.0083, rel_tol=0.05)
    assert "readings" not in told["experiment"]["parameters"]
    assert "tau = " in capsys.readouterr().out
    assert main(["drift", "mlp-digits", "--noise", str(model), "--chips", "2", "--samples", "20", "--times", "1s"]) == 0
    assert capsys.readouterr().out.splitlines()[3].startswith("n ")
    assert main(["retention", str(file), "--column", "value=foo"]) == 1
    assert "there is no such column" in capsys.readouterr().err

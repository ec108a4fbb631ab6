# SPDX-License-Identifier: Apache-2.0
"""Accuracy over drift time: same chips in every scenario, intervals, forecasts, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import stats

from engine.errors import CapacityError, ParameterError
from engine.inference import noise as noises
from engine.tiles import IOParameters
from engine.tiles.faults import StuckFaults
from explorer import networks
from explorer.experiments import Cancelled, Experiment
from explorer.experiments.chips import Setting, batch_size, forecast
from explorer.experiments.drift_accuracy import DriftAccuracy, absolute
from explorer.experiments.levels import levels
from explorer.experiments.scenario import Scenario
from explorer.experiments.spread import mean, paired

YEAR = 3.1536e7
EXACT = {"prog_noise_scale": 0.0, "read_noise_scale": 0.0, "drift_scale": 0.0}


def exact(**more) -> Scenario:
    """Return a scenario in which nothing is wrong but what is named."""
    return Scenario(
        title="exact", noise=noises.get("pcm")(**EXACT | more), forward=IOParameters(is_perfect=True),
        compensation="none",
    )  # fmt: skip


@pytest.fixture(scope="module")
def ds():
    scenarios = [Scenario(), Scenario(title="none", compensation="none"), exact()]
    return DriftAccuracy(n_chips=6, times=[0.0, 1.0, YEAR], scenarios=scenarios, seed=5).run()


def test_exact_scenario_scores_as_floating_point_at_every_time(ds):
    assert (ds.accuracy.sel(scenario="exact") == ds.digital_accuracy).all()
    assert float(ds.digital_accuracy) == networks.get("mlp-digits").score(networks.get("mlp-digits").trained())
    np.testing.assert_allclose(ds.slope.sel(scenario="exact"), 1, atol=1e-6)  # float32 conductances
    np.testing.assert_allclose(ds.error.sel(scenario="exact"), 0, atol=1e-6)


def test_scenarios_run_on_the_same_chips(ds):
    """Only the compensation differs: programmed and drifted weights are the same numbers."""
    for name in ("programmed_sample", "drifted_sample", "target_sample", "drifted_histogram"):
        np.testing.assert_array_equal(ds[name].sel(scenario="PCM"), ds[name].sel(scenario="none"))
    assert (ds.alpha.sel(scenario="none") == 1).all()


def test_compensation_makes_up_for_the_mean_decay(ds):
    """An ideal read-out finds mean |W|, whose decay is that of the slope to 2 %; a noisy one is 4 % short (5)."""
    late = ds.sel(scenario="PCM", time=YEAR)
    np.testing.assert_allclose(late.alpha * late.slope, 0.96, atol=0.03)
    exact = Scenario(compensation="ideal_readout")
    one = DriftAccuracy(n_chips=2, samples=20, times=[YEAR], scenarios=[exact]).run()
    np.testing.assert_allclose(one.alpha * one.slope, 1, atol=0.02)
    assert (late.error < ds.error.sel(scenario="none", time=YEAR)).all()
    assert (late.dispersion > ds.dispersion.sel(scenario="PCM", time=0)).all()


def test_chip_is_the_same_whatever_else_is_asked(ds):
    one = DriftAccuracy(n_chips=2, times=[YEAR], scenarios=[Scenario()], seed=5).run()
    np.testing.assert_array_equal(one.accuracy.sel(scenario="PCM", time=YEAR),
                                  ds.accuracy.sel(scenario="PCM", time=YEAR)[:2])  # fmt: skip


def test_reads_differ_and_programming_stays():
    ds = DriftAccuracy(n_chips=2, n_read=3, times=[YEAR], samples=90).run()
    assert ds.accuracy.sizes["read"] == 3
    assert len(np.unique(ds.accuracy[0, 0, 0])) > 1


def test_summary_is_that_of_the_scores(ds):
    scores = ds.accuracy.mean("read").sel(scenario="PCM", time=YEAR).values
    told = ds.sel(scenario="PCM", time=YEAR)
    low, high = stats.t.interval(0.95, 5, scores.mean(), stats.sem(scores))
    assert float(told.accuracy_mean) == pytest.approx(scores.mean())
    assert float(told.accuracy_half_width) == pytest.approx((high - low) / 2)
    assert [float(told.accuracy_low), float(told.accuracy_high)] == pytest.approx(list(np.quantile(scores, [0.1, 0.9])))


def test_histograms_count_every_weight(ds):
    weights = 64 * 64 + 64 * 10
    assert (ds.target_histogram.sum("bin") == weights).all()
    assert (ds.programmed_histogram.sum("bin") == 6 * weights).all()
    assert (ds.drifted_histogram.sum("bin") == 6 * weights).all()


def test_interval_of_one_chip_is_unknown_and_paired_ones_are_narrow():
    assert np.isnan(mean(np.array([0.9])).half_width)
    rng = np.random.default_rng(0)
    base = rng.normal(0.9, 0.05, 50)
    other = base + rng.normal(0.01, 0.001, 50)
    assert paired(other, base).half_width < 0.1 * mean(other).half_width


def test_interval_covers_the_true_mean_as_often_as_it_says():
    """2000 samples of 5 chips, seed 1: 95 % ± 4 standard errors of a share, √(0.95·0.05/2000) = 0.5 %."""
    drawn = np.random.default_rng(1).normal(0.9, 0.03, (2000, 5))
    found = [mean(one) for one in drawn]
    covered = np.mean([m.low <= 0.9 <= m.high for m in found])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_levels_are_those_of_the_formula():
    """4000 devices a level, seed 2: means to 5 standard errors, deviations to 5/√(2·4000) = 5.6 %."""
    model = noises.get("pcm")()
    found = levels(model, [0.0], seed=2)
    at = slice(5, None)  # well above zero, where nothing is cut off
    target = torch.from_numpy(found.target[at])
    read = target * model.read_share(target) * model.read_growth(0.0)
    sigma = (model.programming_sigma(target) ** 2 + read**2).sqrt().numpy()
    assert (np.abs(found.mean[0, at] - found.target[at]) < 5 * sigma / np.sqrt(4000)).all()
    np.testing.assert_allclose(found.std[0, at], sigma, rtol=5 / np.sqrt(8000))


def test_scenario_round_trips_and_names_what_is_wrong():
    one = Scenario(noise="hermes_one", converter=None, compensation="per_column", faults=StuckFaults(p_high=0.01),
                   repair=True, input_range="calibrated")  # fmt: skip
    assert Scenario.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    assert one.copy(title="other") != one
    with pytest.raises(ParameterError, match="pcm"):
        Scenario(noise="pmc")
    with pytest.raises(ParameterError, match="title"):
        Scenario(title=" ")
    with pytest.raises(ParameterError, match=r"g_max.*Make both the same"):
        Scenario(noise="hermes_one", converter="single_pair")


@pytest.mark.parametrize(
    ("values", "words"),
    [({"network": "mlp-digit"}, "mlp-digits"), ({"times": [3.0, 1.0]}, "does not ascend"),
     ({"times": [1e-9]}, "1 ms to 100 y"), ({"scenarios": []}, "is empty"),
     ({"scenarios": [Scenario(), Scenario()]}, "two are called 'PCM'"), ({"n_chips": 0}, "outside its bounds")],
)  # fmt: skip
def test_experiment_refuses_what_it_cannot_run(values, words):
    with pytest.raises(ParameterError, match=words):
        DriftAccuracy(**values)


def test_memory_forecast_grows_with_chips_and_names_how_many_fit():
    one, many = (forecast("mlp-digits", Scenario(), chips) for chips in (1, 100))
    assert one < many < 200 * one
    setting = Setting("mlp-digits", 1000, 0, 0)
    setting.require_memory([Scenario()], available=10**12)
    with pytest.raises(CapacityError, match=r"n_chips = 1000 chips: need .* Take at most \d+ chips"):
        setting.require_memory([Scenario()], available=int(3.5 * one))
    assert batch_size("mlp-digits", 10**9) == 1


def test_progress_tells_scores_while_others_are_on_their_way():
    seen = []
    DriftAccuracy(n_chips=2, samples=50, times=[1.0, YEAR]).run(lambda f, m="", **told: seen.append((f, m, told)))
    told = [t for _, _, t in seen if "mean" in t]
    assert [t["at"] for t in told] == [0, 1]
    assert told[0]["low"] <= told[0]["mean"] <= told[0]["high"]
    assert any("1 y" in m for _, m, _ in seen)


def test_run_stops_between_two_batches():
    def stop(fraction, message="", **told):
        if fraction > 0.3:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        DriftAccuracy(n_chips=2, samples=50).run(stop)


def test_times_without_statistics_are_left_out_and_none_at_all_is_refused():
    """The tables of measured relaxation end at 100,000 s."""
    scenario = Scenario(noise="log_time_relaxation")
    ds = DriftAccuracy(n_chips=2, samples=20, times=[1.0, 86400.0, YEAR], scenarios=[scenario]).run()
    assert ds.accuracy_mean.notnull().values.tolist() == [[True, True, False]]
    assert ds.level_mean.notnull().all("level").values.tolist() == [[True, True, False]]
    with pytest.raises(ParameterError, match="extrapolate"):
        DriftAccuracy(times=[YEAR], scenarios=[scenario])


def test_network_of_a_file_runs_from_another_folder(tmp_path, monkeypatch):
    text = "from explorer.networks.mlp_digits import MlpDigits\n\n\nclass Own(MlpDigits):\n    pass\n"
    (tmp_path / "own.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    named = absolute("own.py:Own")
    monkeypatch.chdir("/")
    ds = DriftAccuracy(network=named, n_chips=2, samples=40, times=[1.0]).run()
    same = DriftAccuracy(n_chips=2, samples=40, times=[1.0]).run()
    np.testing.assert_array_equal(ds.accuracy, same.accuracy)
    assert Experiment.from_dict(json.loads(ds.attrs["experiment"])).network == named
    assert absolute("mlp-digits") == "mlp-digits"

# SPDX-License-Identifier: Apache-2.0
"""A fit as an experiment: readings as text or from a file, the result out of the dataset again."""

import json

import numpy as np
import pytest
from synthetic_ramps import Device, ramps

from engine.errors import ParameterError
from explorer.experiments import Cancelled, Experiment
from explorer.experiments.fit_response import FitResponse
from explorer.fitting import MeasuredDataError
from explorer.results import netcdf

SOFT = Device(dw_min=0.02, up_down=0.2, w_max=1.1, w_min=-0.9, dw_min_std=0.5, write_noise_std=1.0)
MAPPED = {"g_lo": -1.0, "g_hi": 1.0, "model": "soft_bounds", "n_simulated": 20}


@pytest.fixture(scope="module")
def text() -> str:
    return ramps(SOFT, 100, cycles=2, seed=2).to_csv()


def test_readings_as_text_and_from_a_file_give_the_same_fit(text, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    one = FitResponse(readings=text, **MAPPED).run()
    other = FitResponse(path=str(path), **MAPPED).run()
    fit = FitResponse.fit_of(one)
    assert FitResponse.fit_of(other).values == fit.values
    assert abs(fit.values["w_max"] - 1.1) < 4 * fit.parameters["w_max"].stderr
    assert fit.held_out is not None
    assert FitResponse.ranking_of(one) is None
    assert one.value.sel(parameter="w_max") == fit.values["w_max"]
    np.testing.assert_allclose(np.diag(one.correlation), 1.0, atol=1e-12)


def test_ranking_comes_back_from_the_dataset(text):
    ds = FitResponse(readings=text, **{**MAPPED, "model": "auto"}).run()
    ranking = FitResponse.ranking_of(ds)
    assert [e.stem for e in ranking.entries] == list(ds.model_rank.values)
    assert ds.attrs["verdict"] == ranking.verdict
    assert FitResponse.fit_of(ds).model == ranking.entries[0].stem


def test_result_survives_the_file_format_of_results(text):
    ds = FitResponse(readings=text, **MAPPED).run()
    assert FitResponse.fit_of(netcdf.from_bytes(netcdf.to_bytes(ds))).to_dict() == FitResponse.fit_of(ds).to_dict()


def test_experiment_with_readings_travels_as_json(text):
    one = FitResponse(readings=text, **MAPPED)
    assert Experiment.from_dict(json.loads(one.to_json())) == one


def test_fit_is_cancelled_between_devices():
    def stop(fraction, message="", **payload):
        if "device" in message:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        FitResponse(model="linear_step").run(stop)


def test_text_and_path_together_and_files_that_are_not_there_are_refused(text, tmp_path):
    with pytest.raises(ParameterError, match="given as text as well"):
        FitResponse(readings=text, path="a.csv")
    with pytest.raises(MeasuredDataError, match="cannot be opened"):
        FitResponse(path=str(tmp_path / "nowhere.csv")).run()

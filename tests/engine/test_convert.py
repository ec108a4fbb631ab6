# SPDX-License-Identifier: Apache-2.0
"""Conversion of whole models: rules, reports, the way back, checkpoints of every kind of layer.

Tolerance of a perfect model against its digital form: 1e-5, some layers of products of up to some hundred terms.
"""

import copy
import json

import pytest
import torch
from layer_cases import EXACT, NOISY, configured, layer_state, randn, through_a_file
from torch import nn

from engine.errors import ParameterError, ShapeError, StateError
from engine.nn import (
    AnalogConv1d,
    AnalogLinear,
    AnalogLSTM,
    AnalogMultiheadAttention,
    analog_layers,
    conversion_report,
    convert,
    load_state,
    to_digital,
)
from engine.nn.core import AnalogCore
from engine.optim import AnalogSGD

SPLIT = {"max_input_size": 9, "max_output_size": 13, "weight_scaling_omega": 0.5}


class Everything(nn.Module):
    """A layer of every kind that has an analog form, and some that have none; takes token numbers ``(batch, time)``."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.conv = nn.Sequential(nn.Conv1d(6, 6, 3, padding=1, groups=6), nn.Conv1d(6, 8, 1), nn.BatchNorm1d(8))
        self.lstm = nn.LSTM(8, 4, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(8, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.cell = nn.LSTMCell(8, 5)
        self.up = nn.ConvTranspose1d(8, 8, 2)
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(5, 3)

    def forward(self, tokens):
        x = self.conv(self.embedding(tokens).transpose(1, 2)).transpose(1, 2)
        x, _ = self.gru(self.lstm(x)[0])
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = self.up(x.transpose(1, 2)).mean(2)
        return self.head(self.cell(x)[0]) * self.scale


def build(cls=Everything, seed: int = 1, *args) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(*args)


TOKENS = torch.arange(12).reshape(2, 6) % 11


def steps(model: nn.Module, first: int, count: int) -> list[torch.Tensor]:
    optimizer, outputs = AnalogSGD(model.parameters(), 0.05), []
    for k in range(first, first + count):
        optimizer.zero_grad()
        y = model((TOKENS + k) % 11)
        (y - 1).square().sum().backward()
        optimizer.step()
        outputs.append(y.detach())
    return outputs


def all_equal(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# -- every kind of layer ---------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T46")
@pytest.mark.parametrize("mapping", [{}, SPLIT, {"digital_bias": False}], ids=str)
def test_perfect_model_computes_and_learns_as_the_digital_one(mapping):
    """1e-4 after three steps of 0.05."""
    model = build()
    twin = convert(model, configured(EXACT, **mapping))
    ours = steps(twin, 0, 3)
    rule = torch.optim.SGD(model.parameters(), 0.05)
    for k, y in enumerate(ours):
        rule.zero_grad()
        expected = model((TOKENS + k) % 11)
        (expected - 1).square().sum().backward()
        rule.step()
        torch.testing.assert_close(y, expected.detach(), rtol=1e-5 if k == 0 else 1e-4, atol=1e-5 if k == 0 else 1e-4)


def test_convert_leaves_the_original_and_replaces_every_kind():
    model = build()
    before = [p.detach().clone() for p in model.parameters()]
    twin = convert(model, EXACT)
    assert isinstance(twin.conv[0], AnalogConv1d)
    assert isinstance(twin.lstm, AnalogLSTM)
    assert isinstance(twin.attention, AnalogMultiheadAttention)
    assert isinstance(twin.up, nn.ConvTranspose1d)
    steps(twin, 0, 1)
    assert all_equal([p.detach() for p in model.parameters()], before)
    assert len({core.tiles[0].seed for core in analog_layers(twin).values()}) == len(analog_layers(twin))


@pytest.mark.tile_conformance("T61")
@pytest.mark.parametrize("mapping", [{}, SPLIT], ids=["whole", "split"])
@pytest.mark.parametrize("load", [load_state, lambda m, s: m.load_state_dict(s)], ids=["load_state", "load_state_dict"])
def test_resumed_model_of_every_kind_is_bit_equal(mapping, load):
    config = configured(NOISY, **mapping)
    whole, first = (convert(build(), config, seed=5) for _ in range(2))
    outputs = steps(whole, 0, 3)
    steps(first, 0, 2)
    resumed = convert(build(Everything, 9), config, seed=77)
    load(resumed, through_a_file(first.state_dict()))
    assert all_equal(steps(resumed, 2, 1), outputs[2:])
    assert all_equal(layer_state(resumed), layer_state(whole))
    assert torch.equal(resumed.eval()(TOKENS), whole.eval()(TOKENS))


def test_deep_copy_of_every_kind_lives_on_alone_and_equal():
    model = convert(build(), configured(NOISY, **SPLIT), seed=5)
    steps(model, 0, 1)
    twin = copy.deepcopy(model)
    before = layer_state(model)
    copied = steps(twin, 1, 1)
    assert all_equal(layer_state(model), before)
    assert all_equal(steps(model, 1, 1), copied)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_moving_a_nested_layer_to_where_it_is_keeps_its_tiles(kind):
    layer = convert(kind(4, 3), EXACT)
    tiles = [core.tile for core in analog_layers(layer).values()]
    moved = layer.to("cpu").float()
    assert all(core.tile is tile for core, tile in zip(analog_layers(moved).values(), tiles, strict=True))
    with pytest.raises(StateError, match=r"cannot become torch\.float64"):
        layer.double()


def test_cast_of_a_mixed_model_is_refused_before_a_layer_has_changed():
    """Digital layers stand before and after the analog ones; so it is for copies; a digital form can be cast."""
    model = convert(build(), EXACT)
    for twin in (model, copy.deepcopy(model)):
        with pytest.raises(StateError, match=r"cannot become torch\.float64"):
            twin.double()
        assert {p.dtype for p in twin.parameters()} == {torch.float32}
        assert twin.to("cpu") is twin
    assert {p.dtype for p in to_digital(model).double().parameters()} == {torch.float64}


# -- and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapping", [{}, SPLIT, {"digital_bias": False, "learn_out_scaling": True}], ids=str)
def test_to_digital_gives_back_the_model(mapping):
    """1e-6: weights were divided and multiplied by their scale."""
    model = build().eval()
    model.lstm.requires_grad_(False)
    back = to_digital(convert(model, configured(EXACT, **mapping)))
    assert [type(m) for m in back.modules()] == [type(m) for m in model.modules()]
    assert {type(p) for p in back.parameters()} == {nn.Parameter}
    for (name, one), (other_name, other) in zip(back.named_parameters(), model.named_parameters(), strict=True):
        assert name == other_name
        assert one.requires_grad == other.requires_grad
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    assert str(back) == str(model)
    assert not back.training


def test_to_digital_takes_what_was_learned_and_leaves_the_analog_model():
    model = convert(build(), configured(EXACT, **SPLIT, learn_out_scaling=True))
    steps(model, 0, 2)
    before = layer_state(model)
    back = to_digital(model).eval()
    torch.testing.assert_close(back(TOKENS), model.eval()(TOKENS), rtol=1e-5, atol=1e-5)
    assert all_equal(layer_state(model), before)
    assert list(back.state_dict()) == list(build().state_dict())


def test_attention_with_other_sizes_of_keys_goes_there_and_back():
    layer = nn.MultiheadAttention(8, 2, kdim=5, vdim=7)
    back = to_digital(convert(layer, EXACT))
    assert all_equal(back.parameters(), layer.parameters())


def test_class_of_layers_without_a_form_in_torch_is_named():
    with pytest.raises(ParameterError, match=r"to_digital\.0 = 'AnalogCore': has no form in torch"):
        to_digital(nn.Sequential(AnalogCore(4, 3, config=EXACT)))


# -- rules -----------------------------------------------------------------------------------------------------


def kinds(model: nn.Module) -> dict[str, bool]:
    """Return for each line of the report whether it is analog."""
    return {entry.name: entry.analog for entry in conversion_report(model).entries}


def test_rules_by_class_and_name_choose_configurations_and_what_stays_digital():
    rules = {nn.Conv1d: NOISY, "conv.1": None, "head": configured(EXACT, max_input_size=2), nn.GRU: None}
    model = convert(build(), EXACT, rules=rules, exclude=["cell"])
    assert model.conv[0].tiles[0].config == NOISY
    assert type(model.conv[1]) is nn.Conv1d
    assert len(model.head.tiles) == 3
    assert type(model.gru) is nn.GRU
    assert type(model.cell) is nn.LSTMCell
    assert isinstance(model.lstm, AnalogLSTM)


def test_pattern_of_a_container_fits_all_inside_and_earlier_patterns_win():
    model = nn.ModuleDict({"body": nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}), "top": nn.Linear(2, 2)})
    assert kinds(convert(model, EXACT, exclude="body")) == {"body.a": False, "body.b": False, "top": True}
    ruled = convert(model, EXACT, rules={"body.b": NOISY, "body": None, "*": EXACT})
    assert kinds(ruled) == {"body.a": False, "body.b": True, "top": True}
    assert ruled["body"]["b"].tile.config == NOISY


def test_exclude_goes_before_a_rule_with_the_same_pattern():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert kinds(convert(model, EXACT, rules={"1": NOISY}, exclude=["1"])) == {"0": True, "1": False}


class Scaled(nn.Linear):
    """A linear layer of the user's own."""


def test_subclass_stays_digital_unless_a_rule_names_it():
    model = nn.Sequential(Scaled(4, 3), nn.Linear(3, 2))
    entry = conversion_report(convert(model, EXACT)).digital[0]
    assert entry.reason == "a subclass of Linear; a rule for Scaled itself converts it as Linear"
    assert type(convert(model, EXACT, rules={Scaled: EXACT})[0]) is AnalogLinear


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ({"hed": None}, r"convert.rules = 'hed': fits no layer .*Did you mean 'head'"),
        ({"up": EXACT}, r"convert.rules = 'up': fits no layer that can be analog"),
        ({nn.Embedding: EXACT}, r"convert.rules = 'Embedding': has no analog form"),
        ({nn.Linear: "reram"}, r"convert.rules: .*is no rule .*a TileConfig or None"),
        ({3: None}, r"convert.rules: 3 to None is no rule"),
    ],
)
def test_rule_without_effect_is_refused(rules, named):
    with pytest.raises(ParameterError, match=named):
        convert(build(), EXACT, rules=rules)


def test_model_whose_layers_are_all_excluded_is_refused_with_the_reasons():
    with pytest.raises(ParameterError, match=r"has no layer that can be analog.*0 kept digital by the rule '\*'"):
        convert(nn.Sequential(nn.Linear(2, 2)), EXACT, exclude=["*"])


# -- report ----------------------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T62")
def test_report_names_every_layer_and_why_it_is_digital():
    model = build()
    report = conversion_report(convert(model, EXACT, exclude=["head"]))
    assert {e.name: e.kind for e in report.analog} == {
        "conv.0": "AnalogConv1d",
        "conv.1": "AnalogConv1d",
        "lstm": "AnalogLSTM",
        "gru": "AnalogGRU",
        "attention": "AnalogMultiheadAttention",
        "cell": "AnalogLSTMCell",
    }
    assert {e.name: e.reason for e in report.digital} == {
        "": "has parameters of its own; whether it multiplies by them is not known",
        "embedding": "looks rows up, multiplies nothing",
        "conv.2": "scales and shifts, multiplies by no matrix",
        "up": "has no analog form yet",
        "head": "kept digital by the rule 'head'",
    }
    assert sum(e.parameters for e in report.entries) == sum(p.numel() for p in model.parameters())
    layers = (model.conv[0], model.conv[1], model.lstm, model.gru, model.attention, model.cell)
    on_tiles = sum(p.numel() for layer in layers for p in layer.parameters() if p.dim() > 1)
    assert report.share == pytest.approx(on_tiles / sum(p.numel() for p in model.parameters()))
    assert json.loads(json.dumps(report.to_dict()))["layers"][0]["reason"].startswith("has parameters of its own")
    assert "embedding: Embedding, 66 parameters, digital: looks rows up" in str(report)


@pytest.mark.tile_conformance("T62")
@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (lambda: nn.LSTM(4, 6, proj_size=2), "has projected outputs (proj_size)"),
        (lambda: nn.MultiheadAttention(4, 2, add_zero_attn=True), "adds keys of its own (add_bias_kv, add_zero_attn)"),
        (lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True), "adds keys of its own (add_bias_kv, add_zero_attn)"),
        (lambda: nn.Linear(4, 6).half(), "is torch.float16, tiles are torch.float32"),
        (lambda: nn.Bilinear(2, 3, 4), "has no analog form yet"),
        (lambda: nn.utils.spectral_norm(nn.Linear(4, 4)), "has hooks, which a new layer would lose"),
        (
            lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
            "has parametrized weights",
        ),
    ],
)
def test_layer_that_cannot_be_analog_stays_with_a_reason(layer, reason):
    model = convert(nn.ModuleList([layer(), nn.Linear(2, 2)]), EXACT)
    assert conversion_report(model).digital[0].reason == reason
    assert type(model[0]).__name__ == type(layer()).__name__


def test_report_of_an_unconverted_model_says_so():
    entries = {e.name: (e.analog, e.reason) for e in conversion_report(build()).entries}
    assert entries["lstm"] == (False, "not converted")
    assert entries["up"] == (False, "has no analog form yet")
    assert conversion_report(build()).share == 0


# -- what must not happen silently -----------------------------------------------------------------------------


def test_weight_shared_with_an_embedding_is_refused_with_the_way_out():
    model = nn.ModuleDict(
        {"tokens": nn.Embedding(11, 6), "head": nn.Linear(6, 11, bias=False), "more": nn.Linear(6, 6)}
    )
    model["head"].weight = model["tokens"].weight
    with pytest.raises(ParameterError, match=r"layers tokens, head share one weight.*exclude 'head'"):
        convert(model, EXACT)
    twin = convert(model, EXACT, exclude=["head"])
    assert twin["head"].weight is twin["tokens"].weight


def test_frozen_parameters_stay_frozen():
    model = build()
    model.lstm.requires_grad_(False)
    model.conv[1].weight.requires_grad_(False)
    twin = convert(model, EXACT)
    assert not any(p.requires_grad for p in twin.lstm.parameters())
    assert not twin.conv[1].weight.requires_grad
    assert twin.conv[1].bias.requires_grad
    before = [p.detach().clone() for p in twin.lstm.parameters()]
    steps(twin, 0, 1)
    assert all_equal([p.detach() for p in twin.lstm.parameters()], before)


@pytest.mark.parametrize("exclude", [(), ("layers.*.self_attn",)], ids=["all", "attention digital"])
def test_encoder_of_torch_is_not_evaluated_past_its_tiles(exclude):
    """In evaluation torch's encoder multiplies by the weights itself where it can; converted ones must not."""
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, dropout=0.0)
    model = nn.TransformerEncoder(layer, 2).eval()
    twin = convert(model, EXACT, exclude=exclude)
    padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
    x = randn(2, 5, 8)
    expected = model(x, src_key_padding_mask=padding).detach()
    with torch.no_grad():
        y = twin(x, src_key_padding_mask=padding)
    torch.testing.assert_close(y[~padding], expected[~padding], rtol=1e-5, atol=1e-5)
    counts = [core.tile.state_dict()["steps"]["forward"] for core in analog_layers(twin).values()]
    assert counts == [10] * (4 if exclude else 12)  # linear1 and linear2, and four projections, of two layers


def test_decoder_of_torch_computes_the_same():
    model = nn.Transformer(8, 2, 1, 1, 12, dropout=0.0, batch_first=True).eval()
    twin = convert(model, EXACT)
    assert all(e.analog for e in conversion_report(twin).entries if "norm" not in e.name)
    x, y = randn(2, 5, 8), randn(2, 4, 8, seed=1)
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    with torch.no_grad():
        got, expected = (m(x, y, tgt_mask=mask, tgt_is_causal=True) for m in (twin, model))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


class LinearAttention(nn.Module):
    """Attention of linear layers and arithmetic, as model libraries write it, with a pre-norm and a tied head."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 8)
        self.norm = nn.LayerNorm(8)
        self.query, self.key, self.value, self.output = (nn.Linear(8, 8) for _ in range(4))
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens):
        x = self.tokens(tokens)
        h = self.norm(x)
        heads = [layer(h).unflatten(-1, (2, 4)).transpose(1, 2) for layer in (self.query, self.key, self.value)]
        x = x + self.output(nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        return self.head(x + self.down(nn.functional.gelu(self.up(x))))


@pytest.mark.parametrize("mapping", [{}, SPLIT], ids=["whole", "split"])
def test_transformer_of_linear_layers_converts_as_it_is(mapping):
    model = build(LinearAttention)
    twin = convert(model, configured(EXACT, **mapping), exclude=["head"])
    y, expected = twin(TOKENS), model(TOKENS)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    assert sorted(e.name for e in conversion_report(twin).digital) == ["head", "norm", "tokens"]
    assert twin.head.weight is twin.tokens.weight
    losses = []
    optimizer = AnalogSGD(twin.parameters(), 0.1)
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(twin(TOKENS).flatten(0, 1), TOKENS.roll(-1, 1).flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_weight_used_outside_of_its_layer_is_refused_by_the_optimizer():
    layer = AnalogLinear(4, 3, config=EXACT)
    (layer(randn(2, 4)).sum() + layer.weight.square().sum()).backward()
    with pytest.raises(StateError, match=r"analog weight has a gradient.*take it out of the loss"):
        AnalogSGD(layer.parameters(), 0.1).step()


def test_layer_referred_to_from_a_list_is_replaced_there_too():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(2, 2)
            self.order = [self.first]

    model = convert(Listed(), EXACT)
    assert model.order[0] is model.first
    assert isinstance(model.first, AnalogLinear)


def test_model_with_layers_on_another_device_is_refused():
    with pytest.raises(ShapeError, match=r"expected torch\.float32 on cpu"):
        convert(nn.Linear(4, 3, device="meta"), EXACT)

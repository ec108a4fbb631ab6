# SPDX-License-Identifier: Apache-2.0
"""A transformer of full size: MiniLM-L6, which turns sentences into vectors, scored on word similarity."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from explorer.networks import safetensors
from explorer.networks.base import Exam, ScoredNetwork, spaced
from explorer.networks.packages import LEE_BACKGROUND, MINILM, WORDSIM_353
from explorer.networks.wordpiece import WordPiece

_WIDTH, _INNER, _HEADS, _LAYERS = 384, 1536, 12, 6
_VOCABULARY, _POSITIONS, _SEGMENTS = 30522, 512, 2
_EPS = 1e-12

_NAMES = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "segments": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
}
_BLOCK_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}


class Block(nn.Module):
    """Self-attention and two linear layers, normalised after each sum (J. Devlin et al., arXiv:1810.04805)."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(_WIDTH, _WIDTH) for _ in range(4))
        self.attention_norm = nn.LayerNorm(_WIDTH, _EPS)
        self.widen, self.narrow = nn.Linear(_WIDTH, _INNER), nn.Linear(_INNER, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH, _EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the states after this block, ``(N, steps, 384)`` as before it."""
        x = self.attention_norm(x + self.out(self._mixed(x)))
        return self.norm(x + self.narrow(nn.functional.gelu(self.widen(x))))

    def _mixed(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (_heads(layer(x)) for layer in (self.query, self.key, self.value))
        shares = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1)
        return (shares @ value).transpose(1, 2).flatten(2)


def _heads(x: torch.Tensor) -> torch.Tensor:
    """Return ``(N, steps, width)`` as ``(N, heads, steps, width / heads)``."""
    return x.unflatten(-1, (_HEADS, -1)).transpose(1, 2)


class SentenceEncoder(nn.Module):
    """Tokens ``(N, steps)``, all texts of one length, to unit vectors ``(N, 384)``: the mean over the last states."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(_VOCABULARY, _WIDTH)
        self.positions = nn.Embedding(_POSITIONS, _WIDTH)
        self.segments = nn.Embedding(_SEGMENTS, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH, _EPS)
        self.blocks = nn.Sequential(*(Block() for _ in range(_LAYERS)))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the vectors."""
        places = torch.arange(tokens.shape[1])
        x = self.words(tokens) + self.positions(places) + self.segments.weight[0]
        return nn.functional.normalize(self.blocks(self.norm(x)).mean(1), dim=-1)


class MiniLM(ScoredNetwork):
    """MiniLM-L6, 22.6 M parameters of which 36 linear layers with 10.6 M become analog; the rest stays digital.

    W. Wang et al., arXiv:2002.10957; fine-tuned for sentences as all-MiniLM-L6-v2. Embeddings, layer norms and
    products inside attention are digital; the pooler, which takes no part in mean pooling, is left out.
    Score: Spearman's correlation between cosines and the mean human judgement of the 353 pairs of words of WordSim-353
    (L. Finkelstein et al., ACM TOIS 20, 116, 2002).
    """

    name = "minilm-l6"
    title = "MiniLM-L6 on WordSim-353"
    measure = "Spearman correlation"
    full_size = True
    digital_score = 0.729
    score_tolerance = 0.001  # the reference has three digits

    def trained(self) -> nn.Module:
        """Return the encoder with the package's weights, in evaluation mode."""
        kept = safetensors.read(MINILM.path() / "model.safetensors")
        model = SentenceEncoder()
        model.load_state_dict({own: kept[theirs] for own, theirs in map(_renamed, model.state_dict())})
        return model.eval()

    def probe(self) -> tuple[torch.Tensor, ...]:
        """Return the tokens of the first words of one length."""
        words, _, _ = _pairs()
        return (next(iter(_by_length(words).values()))[1][:32],)

    def exam(self, samples: int = 0, batch: int = 0) -> Exam:
        """Return the words, those of one length together, and Spearman's correlation over the pairs (the samples)."""
        from scipy.stats import spearmanr

        words, pairs, judged = _pairs()
        chosen = spaced(len(pairs), samples)
        asked = set(pairs[chosen].flatten().tolist())
        groups = [part for group in _by_length(words).values() for part in _parts(*group, asked, batch)]

        def judge(outputs: Sequence[torch.Tensor]) -> float:
            vectors = torch.zeros(len(words), _WIDTH)
            for (places, _), found in zip(groups, outputs, strict=True):
                vectors[places] = found
            cosines = (vectors[pairs[chosen, 0]] * vectors[pairs[chosen, 1]]).sum(-1)
            return float(spearmanr(cosines.numpy(), [judged[k] for k in chosen.tolist()]).statistic)

        return Exam([tokens for _, tokens in groups], judge)

    def strings(self) -> list[torch.Tensor]:
        """Return tokens ``(N, steps)`` of both words of every pair, 706 in all, those of one length together."""
        words, pairs, _ = _pairs()
        place_of = pairs.flatten()
        return [tokens[(place_of[:, None] == places).nonzero()[:, 1]] for places, tokens in _by_length(words).values()]

    def texts(self) -> dict[int, torch.Tensor]:
        """Return tokens ``(N, steps)`` of texts without labels, by number of steps, none of them to be scored.

        The words of 300 news items of the Australian Broadcasting Corporation (M. D. Lee, B. Pincombe, M. Welsh, CogSci
        2005; the corpus's background part) that do not occur in WordSim-353, and all runs of four of its words.
        """
        return _training_texts()


@functools.cache
def _training_texts() -> dict[int, torch.Tensor]:
    scored = {word.lower() for word in _pairs()[0]}
    text = LEE_BACKGROUND.path().read_text(encoding="latin-1").lower()
    words = [w for w in re.findall("[a-z]+", text) if w not in scored]
    runs = [" ".join(words[k : k + 4]) for k in range(0, len(words) - 3, 4)]
    found = _by_length((*dict.fromkeys(w for w in words if len(w) > 2), *dict.fromkeys(runs)))
    return {steps: tokens for steps, (_, tokens) in found.items()}


def _parts(places: torch.Tensor, tokens: torch.Tensor, asked: set[int], batch: int) -> Iterator[tuple]:
    """Yield places and tokens of the words that are asked for, so many at a time."""
    wanted = torch.tensor([place in asked for place in places.tolist()])
    places, tokens = places[wanted], tokens[wanted]
    if len(places):
        yield from zip(places.split(batch or len(places)), tokens.split(batch or len(places)), strict=True)


def _renamed(name: str) -> tuple[str, str]:
    """Return the name of an entry of the state and its name in the package's file."""
    parts = name.split(".")
    if parts[0] == "blocks":
        return name, f"encoder.layer.{parts[1]}.{_BLOCK_NAMES[parts[2]]}.{parts[3]}"
    return name, f"{_NAMES[parts[0]]}.{parts[1]}"


@functools.cache
def _pairs() -> tuple[tuple[str, ...], torch.Tensor, list[float]]:
    """Return all words, the pairs ``(353, 2)`` as places among them, and the judgements 0..10."""
    lines = WORDSIM_353.path().read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    words = tuple(dict.fromkeys(word for row in rows for word in row[:2]))
    place = {word: k for k, word in enumerate(words)}
    return words, torch.tensor([[place[a], place[b]] for a, b, _ in rows]), [float(row[2]) for row in rows]


@functools.cache
def _by_length(words: tuple[str, ...]) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Return places and tokens ``(N, steps)`` of the words, by number of steps: no padding, hence no mask."""
    pieces = WordPiece.from_file(MINILM.path() / "vocab.txt")
    found: dict[int, list[tuple[int, list[int]]]] = {}
    for place, word in enumerate(words):
        tokens = pieces.tokens(word)
        found.setdefault(len(tokens), []).append((place, tokens))
    return {
        steps: (torch.tensor([p for p, _ in group]), torch.tensor([t for _, t in group]))
        for steps, group in found.items()
    }

# SPDX-License-Identifier: Apache-2.0
"""Words to the pieces of a vocabulary."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

START, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"


class WordPiece:
    """Splits text at spaces and punctuation, then each word into its longest known pieces, from the left.

    Lower case without accents, as BERT's uncased vocabularies want it (J. Devlin et al., arXiv:1810.04805; Y. Wu et
    al., arXiv:1609.08144, section 4.1). Chinese characters, which BERT takes one by one, are not split.

    Examples
    --------
    >>> pieces = WordPiece({p: k for k, p in enumerate(["[CLS]", "[SEP]", "[UNK]", "mem", "##ris", "##tor", "!"])})
    >>> pieces.tokens("Memristor!")
    [0, 3, 4, 5, 6, 1]
    """

    def __init__(self, vocabulary: dict[str, int]):
        self.vocabulary = vocabulary

    @classmethod
    def from_file(cls, path: Path) -> WordPiece:
        """Read a vocabulary with one piece a line."""
        lines = path.read_text(encoding="utf-8").splitlines()
        return cls({piece: number for number, piece in enumerate(lines)})

    def tokens(self, text: str) -> list[int]:
        """Return the numbers of a text's pieces, with the marks of start and end."""
        pieces = [piece for word in _words(text) for piece in self._pieces(word)]
        return [self.vocabulary[piece] for piece in (START, *pieces, END)]

    def _pieces(self, word: str) -> list[str]:
        found, first = [], 0
        while first < len(word):
            tries = (("##" if first else "") + word[first:last] for last in range(len(word), first, -1))
            piece = next((p for p in tries if p in self.vocabulary), None)
            if piece is None:
                return [UNKNOWN]
            found.append(piece)
            first += len(piece) - (2 if first else 0)
        return found


def _words(text: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFD", text.lower())
    plain = "".join(c for c in plain if unicodedata.category(c) != "Mn")
    for part in plain.split():
        yield from "".join(f" {c} " if _alone(c) else c for c in part).split()


def _alone(character: str) -> bool:
    """Return whether a character is a word of its own: punctuation, and of the symbols those of ASCII."""
    kind = unicodedata.category(character)[0]
    return kind == "P" or (kind == "S" and character.isascii())

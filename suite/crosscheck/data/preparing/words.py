"""Bags of words: which of the most frequent training words occur in a text.

Whatever decides the stored bits stands in this file, so that `recipe` changes with it.
"""

# Rename and reword nothing here without need: `recipe` names what is packed after this code, docstrings
# included, and where it changes all texts are packed anew.

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

SIZE = 1000  # words in the vocabulary, V; a multiple of 8 fills whole bytes
WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)*")  # ASCII alone: no table of Unicode that changes with Python


def words(text: str) -> list[str]:
    """Lower-cased words of a text, `don't` as one of them; what is neither letter nor digit parts them."""
    return WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def bags(train: Sequence[str], *others: Sequence[str]) -> list[np.ndarray]:
    """Each split by the words of the training split, as `presence`: nothing is learnt from the others."""
    known = vocabulary(train)
    return [presence(texts, known) for texts in (train, *others)]


def vocabulary(texts: Iterable[str]) -> list[str]:
    """The `SIZE` most frequent words, or all if fewer; of equally frequent ones those first in spelling."""
    counts = Counter(word for text in texts for word in words(text))
    return sorted(counts, key=lambda word: (-counts[word], word))[:SIZE]


def presence(texts: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Whether text i contains word j of `known`, eight words a byte, uint8 [N, SIZE / 8]."""
    column = {word: index for index, word in enumerate(known)}
    there = np.zeros((len(texts), SIZE), bool)
    for row, text in zip(there, texts, strict=True):
        row[[column[word] for word in words(text) if word in column]] = True
    return np.packbits(there, axis=-1)


@functools.cache
def recipe() -> str:
    """Eight hexadecimal digits that change with this file, comments aside; they name what it has packed."""
    code = ast.unparse(ast.parse(Path(__file__).read_text("utf-8")))
    return hashlib.sha256(code.encode()).hexdigest()[:8]

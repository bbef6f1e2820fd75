"""Inputs among which the smallest failing one is sought: logits and labels, those of small logits first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from crosscheck.audit.judging import numbers_as_typed

Rows = tuple[np.ndarray, np.ndarray]
SIZES = (0, 1, 2, 5, 10, 16, 17, 20, 50, 90, 100, 1000, 10000)
SHAPES = ((1, 0, 0), (-1, 0, 0), (0, 1, -1), (1, 1, 1), (-1, -1, -1))
HARD, SOFT = ((1, 0, 0), (0, 1, 0)), ((0.5, 0.125, 0.375),)


def paired(shapes: Any, labels: Any) -> Rows:
    """Every shape of a row at every size, with every row of labels; the smallest sizes first."""
    pairs = [(size * np.array(shape, float), label) for size in SIZES for label in labels for shape in shapes]
    z, y = zip(*pairs, strict=True)
    return np.array(z), np.array(y, float)


@functools.cache
def of_classes() -> Rows:
    """Three classes, hard and soft labels."""
    return paired(SHAPES, HARD + SOFT)


@functools.cache
def of_hard_classes() -> Rows:
    return paired(SHAPES, HARD)


@functools.cache
def of_two_labels() -> Rows:
    """Two labels that do not exclude each other."""
    return paired(((1, 0), (-1, 0), (1, -1), (0, 1)), ((1, 0), (0, 1), (1, 1), (0.25, 0.875)))


@functools.cache
def of_outcomes() -> Rows:
    """The four outcomes of two labels, (0, 0) … (1, 1)."""
    shapes = ((1, 0, 0, 0), (0, 1, 0, 0), (0, -1, 0, 0), (0, 0, 1, -1), (1, 1, 1, 1))
    return paired(shapes, ((0, 0), (0, 1), (1, 0), (1, 1)))


def typed(function: str, labels: str) -> Callable[[Any, Any, Mapping[str, float], str], str]:
    """How a call is written: with rows of "labels", with class "numbers", or with "none"."""

    def text(y: Any, z: Any, arguments: Mapping[str, float], dtype: str) -> str:
        of_labels = {
            "labels": f"[{numbers_as_typed(y)}], ",
            "numbers": f"[{int(np.argmax(y))}], ",
            "none": "",
        }
        options = "".join(f", {name}={value}" for name, value in arguments.items())
        logits = f"keras.ops.array([{numbers_as_typed(z)}], {dtype!r})"
        return f"{function}({of_labels[labels]}{logits}{options})"

    return text

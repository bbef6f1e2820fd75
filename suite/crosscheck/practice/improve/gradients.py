"""The exercise on execution paths: what is left of the gradient of confident mistakes, path by path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck.paths import HEADS, ExecutionPath, grid, oracle
from crosscheck.paths.probing import probe

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
MISTAKES = 1  # of each seed
NEAREST, FURTHEST = 5, 41  # nats by which they are wrong
Loss = Callable[[Any, Any], Any]


def paths_of(head: str) -> tuple[ExecutionPath, ...]:
    """Every mode of this backend with every policy, behind a head.

    Raises:
        ValueError: where the grid has no such head.
    """
    if head not in HEADS:
        raise ValueError(f"`head` is one of {', '.join(HEADS)}, not {head!r}")
    every = grid(["binary"], keras.backend.backend(), policies=POLICIES)
    return tuple(path for path in every if path.head == head and path.implementation == "keras class")


def mistakes(seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels of confident mistakes, [R · M] each: whole numbers, which bfloat16 can hold."""
    drawn = [np.random.default_rng([seed, 4]) for seed in seeds]
    y = np.concatenate([rng.integers(0, 2, MISTAKES) for rng in drawn]).astype("float64")
    size = np.concatenate([rng.integers(NEAREST, FURTHEST, MISTAKES) for rng in drawn])
    return np.where(y == 1, -size, size).astype("float64"), y


def kept(head: str, loss: Loss, seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """The smallest share of a mistake's gradient that is left, over its mistakes, [R], by path."""
    z, y = mistakes(seeds)
    exact = oracle("binary", z, y).gradient
    shares = {}
    for path in paths_of(head):
        ratio = np.nan_to_num(probe(path, z, y, loss=loss).gradient / exact, nan=0.0)
        closeness = 1 - np.abs(1 - ratio)  # a gradient twice as large is as wrong as none
        shares[str(path)] = closeness.reshape(len(seeds), MISTAKES).min(-1)
    return shares


def try_out(head: str, loss: Loss) -> None:
    """Prints what is left of the gradient on each path."""
    for path, share in kept(head, loss, range(4)).items():
        print(f"{share.min():8.3g}  {path}")

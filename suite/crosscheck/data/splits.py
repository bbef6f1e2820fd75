"""Splits of a real set at random, one a seed, so that seeds differ in their examples too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FLOOR = 0.1  # of a pixel's spread: one that is all but always black must not be blown up


class Splits(NamedTuple):
    """S splits: x is float32 [S, N, D], y is [S, N] or [S, N, K]."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def random_splits(x: np.ndarray, y: np.ndarray, seeds: Sequence[int], train: int, test: int) -> Splits:
    """Draw for each seed the examples to train on and those that are held out.

    Features are standardised by the mean and spread, plus `FLOOR`, of the examples to train on.

    Args:
        x: [N, D].
        y: [N] or [N, K].
        seeds: S of them.
        train, test: number of examples each.

    Raises:
        ValueError: if there are fewer than train + test examples.
    """
    if len(x) < train + test:
        raise ValueError(f"{train} + {test} examples were asked for, and there are {len(x)}.")
    order = np.array([np.random.default_rng(seed).permutation(len(x))[: train + test] for seed in seeds])
    trained, held_out = order[:, :train], order[:, train:]
    mean, spread = x[trained].mean(1, keepdims=True), x[trained].std(1, keepdims=True) + FLOOR
    return Splits((x[trained] - mean) / spread, y[trained], (x[held_out] - mean) / spread, y[held_out])


def averaged(x: np.ndarray, shape: Sequence[int], side: int) -> np.ndarray:
    """Grey images [N, H · W] as the means of square blocks, on the largest grid of at most `side` a side.

    Raises:
        ValueError: for images that are not square and grey, or that no whole blocks of that size fill.
    """
    height, width, channels = shape
    block = -(-height // side)
    if height != width or channels != 1 or height % block:
        raise ValueError(f"Images of shape {tuple(shape)} cannot be averaged to a grid of {side} a side.")
    blocks = x.reshape(-1, height // block, block, width // block, block)
    return blocks.mean((2, 4)).reshape(len(x), -1)

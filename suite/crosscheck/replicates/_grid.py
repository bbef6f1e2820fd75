"""Settings times seeds, as replicates of one run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np


def grid(seeds: Sequence[int], **settings: Sequence[Any]) -> tuple[list[int], dict[str, np.ndarray]]:
    """Returns the seeds and settings of R = S · Π|values| replicates: every combination under every seed.

    Seeds run fastest, so that `[R]` numbers reshape to `(*lengths of the settings, S)`.

    Args:
        seeds: S of them.
        settings: the values of each setting.

    >>> import keras
    >>> from crosscheck.replicates import Replicates
    >>> seeds, rates = grid([1, 2], learning_rate=[0.1, 0.01], weight_decay=[0.0, 1e-4])
    >>> seeds, rates["learning_rate"][[0, 2, 4]]
    ([1, 2, 1, 2, 1, 2, 1, 2], array([0.1 , 0.1 , 0.01]))
    >>> build = lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> replicas = Replicates(build, seeds, paired=True)
    >>> optimizer = keras.optimizers.AdamW(1.0, weight_decay=0.1)
    >>> replicas.compile(optimizer, "sparse_categorical_crossentropy", optimizer_arguments=rates)
    """
    combinations = list(itertools.product(*settings.values()))
    columns = zip(*combinations, strict=True) if settings else ()
    vectors = {
        name: np.repeat(np.array(column), len(seeds)) for name, column in zip(settings, columns, strict=True)
    }
    return list(seeds) * len(combinations), vectors

"""Keras' callbacks over replicates."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from crosscheck.replicates.core import Replicates

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
SCALAR = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.ModelCheckpoint)


class Callbacks:
    """Calls each callback once, with logs of [R] arrays; an `EarlyStopping` once a replicate, with its own.

    Raises:
        ValueError: for a callback that needs a single model's numbers, or hooks into batches, which run
            inside the compiled program.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], replicates: Replicates, epochs: int):
        self.shared, self.single = [], []
        for callback in callbacks:
            refuse(callback)
            if isinstance(callback, keras.callbacks.EarlyStopping):
                members = [Member(replicates, r) for r in range(len(replicates))]
                self.single += [(r, copy.copy(callback), member) for r, member in enumerate(members)]
            else:
                callback.set_model(replicates)
                self.shared.append(callback)
        self.watch = bool(callbacks)
        for _, callback, member in self.single:
            callback.set_model(member)
        for callback in [*self.shared, *(callback for _, callback, _ in self.single)]:
            callback.set_params({"epochs": epochs})

    def call(self, hook: str, *args: Any, logs: Mapping[str, Any] | None = None) -> None:
        for callback in self.shared:
            getattr(callback, hook)(*args, logs)
        for r, callback, member in self.single:
            if not member.stop_training or hook == "on_train_end":
                mine = logs and {name: float(v[r] if np.ndim(v) else v) for name, v in logs.items()}
                getattr(callback, hook)(*args, mine)


class Member:
    """What a callback of a single model may see and do of replicate r."""

    metrics: Sequence[Any] = ()

    def __init__(self, replicates: Replicates, r: int):
        self.replicates, self.r, self.started = replicates, r, False

    @property
    def optimizer(self) -> keras.Optimizer:
        return self.replicates.optimizer

    @property
    def stop_training(self) -> bool:
        return not self.replicates.active[self.r]

    @stop_training.setter
    def stop_training(self, stop: bool) -> None:
        if stop:
            self.replicates.active[self.r] = False

    def get_weights(self) -> list[np.ndarray]:
        return self.replicates.member_weights(self.r)

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        self.replicates.set_member_weights(self.r, weights)


def refuse(callback: keras.callbacks.Callback) -> None:
    name = type(callback).__name__
    if isinstance(callback, SCALAR):
        raise ValueError(
            f"`callbacks`: {name} compares the numbers of one model; here logs hold one a replicate."
        )
    hooked = [
        hook
        for hook in BATCH_HOOKS
        if getattr(type(callback), hook) is not getattr(keras.callbacks.Callback, hook)
    ]
    if hooked:
        raise ValueError(
            f"`callbacks`: {name} hooks into batches ({', '.join(hooked)}), which run inside one program."
        )

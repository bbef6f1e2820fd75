"""Keras' callbacks over replicates."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
SCALAR = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.ModelCheckpoint)


class Trained(Protocol):
    """What callbacks see and change of the replicates they watch.

    Attributes:
        optimizer: that of all replicates.
        active: which replicates go on training, [R] of bool.
    """

    optimizer: keras.Optimizer | None
    active: np.ndarray

    def __len__(self) -> int: ...

    def member_weights(self, r: int) -> list[np.ndarray]: ...

    def set_member_weights(self, r: int, weights: Sequence[np.ndarray]) -> None: ...


class Callbacks:
    """Calls each callback once, with logs of [R] arrays; an `EarlyStopping` once a replicate, with its own.

    Raises:
        ValueError: for a callback that needs a single model's numbers, or hooks into batches, which run
            inside the compiled program.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], replicates: Trained, epochs: int):
        self.shared: list[keras.callbacks.Callback] = []
        self.single: list[tuple[int, keras.callbacks.Callback, Member]] = []
        for callback in callbacks:
            refuse(callback)
            if isinstance(callback, keras.callbacks.EarlyStopping):
                members = [Member(replicates, r) for r in range(len(replicates))]
                self.single += [(r, copy.copy(callback), member) for r, member in enumerate(members)]
            else:
                callback.set_model(replicates)
                self.shared.append(callback)
        self.any = bool(callbacks)
        for _, callback, member in self.single:
            callback.set_model(member)
        for callback in [*self.shared, *(callback for _, callback, _ in self.single)]:
            callback.set_params({"epochs": epochs})

    def call(self, hook: str, *args: Any, logs: Mapping[str, Any] | None = None) -> None:
        """Calls a hook, such as "on_epoch_end", of every callback whose replicate has not stopped."""
        for callback in self.shared:
            getattr(callback, hook)(*args, logs)
        for r, callback, member in self.single:
            if not member.stop_training or hook == "on_train_end":
                mine = logs and {name: float(v[r] if np.ndim(v) else v) for name, v in logs.items()}
                getattr(callback, hook)(*args, mine)


class Member:
    """Replicate r as a callback of a single model sees it."""

    metrics: Sequence[Any] = ()

    def __init__(self, replicates: Trained, r: int):
        self.replicates, self.r = replicates, r

    @property
    def optimizer(self) -> keras.Optimizer | None:
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
    """Raises a ValueError for a callback that cannot watch replicates; see `Callbacks`."""
    name = type(callback).__name__
    if isinstance(callback, SCALAR):
        raise ValueError(
            f"`callbacks`: {name} compares the numbers of one model; the logs of replicates hold one each."
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

"""Keras' callbacks over replicates."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np

TRAIN_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
TEST_HOOKS = ("on_test_batch_begin", "on_test_batch_end", "on_predict_batch_begin", "on_predict_batch_end")
KERAS = keras.callbacks
Callback: TypeAlias = keras.callbacks.Callback
# Those that watch numbers or files of one model: each replicate has its own.
SINGLE = (
    KERAS.EarlyStopping,
    KERAS.ModelCheckpoint,
    KERAS.ReduceLROnPlateau,
    KERAS.TensorBoard,
    KERAS.TerminateOnNaN,
)
REFUSED = (KERAS.BackupAndRestore, KERAS.SwapEMAWeights)


class Trained(Protocol):
    """What callbacks see and change of the replicates they watch.

    Attributes:
        optimizer: that of all replicates.
        active: which replicates go on training, [R] of bool.
        stop_training: whether all of them stop.
        rates: the learning rate of each.
    """

    active: np.ndarray
    stop_training: bool

    @property
    def optimizer(self) -> keras.Optimizer | None: ...

    @property
    def rates(self) -> Any: ...

    def __len__(self) -> int: ...

    def member(self, r: int) -> keras.Model: ...

    def member_weights(self, r: int) -> list[np.ndarray]: ...

    def set_member_weights(self, r: int, weights: Sequence[np.ndarray]) -> None: ...


class Callbacks:
    """Calls each callback once, with logs of [R] arrays; those of `SINGLE` once a replicate, with its own.

    So is a `LearningRateScheduler` where learning rates differ, for it may go on from the rate that it finds.

    A `ModelCheckpoint` writes each replicate's file, `best.keras` as `best-3.keras` for replicate 3, and a
    `TensorBoard` each replicate's folder; a `CSVLogger` has a column for each replicate.

    Args:
        callbacks: as given to `fit`.
        replicates: what they watch.
        epochs, steps: how many there are to be.

    Attributes:
        any: whether there is a callback.
        in_batches: whether one hooks into batches.

    Raises:
        ValueError: for a callback that needs a single model.
    """

    def __init__(self, callbacks: Sequence[Callback], replicates: Trained, epochs: int, steps: int):
        self.shared: list[Callback] = []
        self.single: list[tuple[int, Callback, Member]] = []
        self.replicates = replicates
        single = (*SINGLE, KERAS.LearningRateScheduler) if own_rates(callbacks, replicates) else SINGLE
        for callback in callbacks:
            refuse(callback)
            sets_rates = isinstance(callback, (KERAS.ReduceLROnPlateau, KERAS.LearningRateScheduler))
            if sets_rates and isinstance(callback, single):
                refuse_several_rates(callback, replicates.optimizer)
            if isinstance(callback, single):
                members = [Member(replicates, r) for r in range(len(replicates))]
                self.single += [(r, own(callback, r), member) for r, member in enumerate(members)]
            else:
                callback.set_model(replicates)
                self.shared.append(callback)
        self.any = bool(callbacks)
        self.in_batches = any(hooks(callback, TRAIN_HOOKS) for callback in callbacks)
        for _, callback, member in self.single:
            callback.set_model(member)
        for callback in [*self.shared, *(callback for _, callback, _ in self.single)]:
            callback.set_params({"epochs": epochs, "steps": steps, "verbose": 0})

    def call(self, hook: str, *args: Any, logs: dict[str, Any] | None = None) -> None:
        """Calls a hook, such as "on_epoch_end", of every callback whose replicate has not stopped."""
        for callback in self.shared:
            columns = logs is not None and isinstance(callback, KERAS.CSVLogger)
            getattr(callback, hook)(*args, in_columns(logs or {}) if columns else logs)
        mine: dict[int, dict[str, float]] = {}
        known = set(logs or ())
        for r, callback, member in self.single:
            if not member.stopped or hook == "on_train_end":
                if logs is not None and r not in mine:
                    mine[r] = {name: plain(v[r] if np.ndim(v) else v) for name, v in logs.items()}
                getattr(callback, hook)(*args, mine.get(r))
        for r, values in mine.items():  # what callbacks have put into these
            assert logs is not None
            for name in set(values) - known:
                logs.setdefault(name, np.full(len(self.replicates), np.nan))[r] = values[name]
        for _, _, member in self.single:
            member.stopped = not self.replicates.active[member.r]


class Member:
    """Replicate r as a callback of a single model sees it."""

    metrics: Sequence[Any] = ()
    layers: Sequence[Any] = ()

    def __init__(self, replicates: Trained, r: int):
        self.replicates, self.r, self.stopped = replicates, r, not replicates.active[r]

    @property
    def optimizer(self) -> MemberOptimizer:
        return MemberOptimizer(self.replicates, self.r)

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

    def save(self, path: Any, *args: Any, **options: Any) -> None:
        self.replicates.member(self.r).save(path, *args, **options)

    def save_weights(self, path: Any, *args: Any, **options: Any) -> None:
        self.replicates.member(self.r).save_weights(path, *args, **options)


class MemberOptimizer:
    """The optimiser as a callback of replicate r sees it: its own learning rate, all else shared."""

    def __init__(self, replicates: Trained, r: int):
        self.__dict__.update(replicates=replicates, r=r)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.replicates.optimizer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "learning_rate":
            raise AttributeError(f"A callback of one replicate can set its `learning_rate`, not `{name}`.")
        self.replicates.rates.set_one(self.r, value)

    @property
    def learning_rate(self) -> Any:
        return self.replicates.rates.one(self.r)


def own(callback: Callback, r: int) -> Callback:
    """Returns replicate r's own copy of a callback; what it writes goes to a file or folder of its own."""
    mine = copy.copy(callback)
    if isinstance(mine, KERAS.ModelCheckpoint):
        path = Path(mine.filepath)
        suffix = "".join(path.suffixes[-2:]) if path.name.endswith(".weights.h5") else path.suffix
        mine.filepath = str(path.with_name(f"{path.name.removesuffix(suffix)}-{r}{suffix}"))
    if isinstance(mine, KERAS.TensorBoard):
        mine.log_dir, mine.write_graph = str(Path(mine.log_dir) / f"replicate-{r}"), False
    return mine


def own_rates(callbacks: Sequence[Callback], replicates: Trained) -> bool:
    """Returns whether replicates have, or may come to have, learning rates that differ."""
    reducing = any(isinstance(callback, KERAS.ReduceLROnPlateau) for callback in callbacks)
    return reducing or bool(replicates.rates and replicates.rates.differ())


def plain(number: Any) -> Any:
    """Returns a number as Keras logs it, or the numbers of a metric that has several."""
    return float(number) if np.ndim(number) == 0 else number


def in_columns(logs: Mapping[str, Any]) -> dict[str, float]:
    """Returns logs of [R] arrays as one number each: `loss` as `loss_0`, `loss_1`, …"""
    return {
        f"{name}_{r}" if np.ndim(value) else name: plain(number)
        for name, value in logs.items()
        for r, number in enumerate(np.atleast_1d(value))
    }


def hooks(callback: Callback, names: Sequence[str]) -> list[str]:
    """Returns which of these hooks a callback takes: by its class, or set on it as `LambdaCallback` does.

    Callbacks of Keras that save or write by epochs hook into batches for nothing then.
    """
    if "epoch" in (getattr(callback, "save_freq", None), getattr(callback, "update_freq", None)):
        return []
    return [
        name
        for name in names
        if getattr(type(callback), name) is not getattr(Callback, name) or name in vars(callback)
    ]


def refuse_several_rates(callback: Callback, optimizer: Any) -> None:
    """Raises a ValueError for a callback that would set several learning rates of each replicate."""
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        raise ValueError(
            f"`callbacks`: {type(callback).__name__} would set a learning rate in each optimiser of a "
            "MultiOptimizer, for each replicate its own. "
            'Replicates(…, mode="fit") trains the replicates by `fit`, one after the other.'
        )


def refuse(callback: Callback) -> None:
    """Raises a ValueError for a callback that cannot watch replicates; see `Callbacks`."""
    name = type(callback).__name__
    if isinstance(callback, REFUSED):
        raise ValueError(
            f"`callbacks`: {name} keeps the weights of a single model, and replicates have one each."
        )
    hooked = hooks(callback, TEST_HOOKS)
    if hooked:
        raise ValueError(
            f"`callbacks`: {name} hooks into batches of an evaluation ({', '.join(hooked)}), which run "
            "inside one program."
        )

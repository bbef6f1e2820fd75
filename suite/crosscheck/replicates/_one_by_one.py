"""Replicates trained by Keras' own `fit`, one after the other: whatever a model's training is, it is that."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck.replicates._callbacks import SINGLE, own
from crosscheck.replicates._compiled import Compiled
from crosscheck.replicates._data import Data
from crosscheck.replicates._history import History
from crosscheck.replicates._initial import build_under, frozen_as, values_of
from crosscheck.replicates._plan import Plan

Order = Callable[[np.ndarray, int], np.ndarray]


class OneByOne:
    """R models, each compiled and trained by Keras; arguments and methods as of `Together`."""

    rates = None

    def __init__(
        self,
        model: keras.Model,
        build: Callable[[], keras.Model],
        seeds: Sequence[int],
        weights: Sequence[np.ndarray],
        compiled: Compiled,
        planned: Callable[[int], Plan],
    ):
        self.plan, self.template = planned(32), model
        self.models = [build_under(build, seed) for seed in seeds]
        for r, mine in enumerate(self.models):
            compiled.compile_own(mine, r)
        self.set_weights(weights)

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets the weights of all models, [R, …] each."""
        for r, model in enumerate(self.models):
            for variable, value in zip(model.variables, weights, strict=True):
                variable.assign(value[r])

    def weights(self) -> list[np.ndarray]:
        """Returns the weights of all models, [R, …] each, in the order of `model.variables`."""
        members = map(self.member_weights, range(len(self.models)))
        return [np.stack(values) for values in zip(*members, strict=True)]

    def member_weights(self, r: int) -> list[np.ndarray]:
        """Returns the weights of replicate r, in the order of `model.variables`."""
        return values_of(self.models[r])

    def optimizer_values(self) -> list[np.ndarray]:
        """Raises a NotImplementedError: the state of a training of its own is not ours to keep."""
        raise NotImplementedError('With mode="fit" save each replicate by itself: `member(r).save(path)`.')

    def fit(
        self,
        data: Data,
        order: Order,
        batch_size: int,
        epochs: range,
        steps: int | None,
        callbacks: Sequence[keras.callbacks.Callback],
        held_out: Data | None,
        active: np.ndarray,
        options: Mapping[str, Any],
    ) -> History:
        """Trains each model for these epochs, with its own copy of every callback; others as of `fit`."""
        histories: list[dict[str, list[float]]] = [{} for _ in self.models]
        for r in np.flatnonzero(active):
            places = functools.partial(place_of_one, order, int(r))
            batches = Ordered(data, int(r), places, batch_size, epochs, steps)
            mine: list[keras.callbacks.Callback] = [TakesOrder(batches)]
            stopped_by: list[keras.callbacks.Callback] = []
            for callback in callbacks:
                mine += [own(copy.copy(callback), int(r)), Notes(callback, stopped_by)]
            validation = held_out.cut(0, held_out.n, int(r)) if held_out else None
            epoch = {"initial_epoch": epochs.start, "epochs": epochs.stop}
            frozen_as(self.models[r], self.template).fit(
                batches,
                shuffle=False,
                verbose=0,
                callbacks=mine,
                validation_data=validation,
                **epoch,
                **options,
            )
            histories[r] = self.models[r].history.history
            active[r] = not any(isinstance(callback, SINGLE) for callback in stopped_by[:1])
        return joined(histories, epochs)

    def evaluate(
        self, data: Data, batch_size: int, order: Order, active: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns loss and metrics of every replicate, [R] each."""
        results = []
        for r, model in enumerate(self.models):
            x, y, sample_weight = data.cut(0, data.n, r)
            options = {"sample_weight": sample_weight, "batch_size": batch_size}
            results.append(model.evaluate(x, y, verbose=0, return_dict=True, **options))
        return {name: np.array([result[name] for result in results]) for name in results[0]}

    def predict(self, data: Data, batch_size: int) -> Any:
        """Returns the outputs of every replicate, [R, N, …]."""
        outputs = [
            model.predict(data.cut(0, data.n, r)[0], batch_size=batch_size, verbose=0)
            for r, model in enumerate(self.models)
        ]
        return keras.tree.map_structure(lambda *arrays: np.stack(arrays), *outputs)


class Ordered(keras.utils.PyDataset):
    """The batches of replicate r, in the order of the epoch that was last begun."""

    def __init__(
        self,
        data: Data,
        r: int,
        order: Callable[[int], np.ndarray],
        batch_size: int,
        epochs: range,
        steps: int | None,
    ):
        super().__init__()
        self.data, self.r, self.order, self.batch_size = data, r, order, batch_size
        self.batches = -(-data.n // batch_size) if steps is None else steps
        self.begin(epochs.start)

    def begin(self, epoch: int) -> None:
        """Has the batches come in the order of an epoch."""
        self.places = self.order(epoch)

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, i: int) -> tuple[Any, ...]:
        which = self.places[i * self.batch_size : (i + 1) * self.batch_size]
        x, y, sample_weight = self.data.examples(which, self.r)
        parts = (x, y) if sample_weight is None else (x, y, sample_weight)
        # Keras' `PyDataset` takes tuples of arrays, and no lists.
        return tuple(tuple(part) if isinstance(part, list) else part for part in parts)


class TakesOrder(keras.callbacks.Callback):
    """Begins each epoch of `Ordered`; Keras tells a data set of epochs, but not which one."""

    def __init__(self, batches: Ordered):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.begin(epoch)


class Notes(keras.callbacks.Callback):
    """Notes a callback in a list, where training stops after it and not before it."""

    def __init__(self, callback: keras.callbacks.Callback, stopped_by: list[keras.callbacks.Callback]):
        super().__init__()
        self.callback, self.stopped_by = callback, stopped_by

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.model.stop_training:
            self.stopped_by.append(self.callback)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.on_train_batch_end(epoch)


def place_of_one(order: Order, r: int, epoch: int) -> np.ndarray:
    """Returns the order in which replicate r takes the examples in an epoch, [N]."""
    return order(np.array([r]), epoch)[0]


def joined(histories: Sequence[dict[str, list[float]]], epochs: range) -> History:
    """Returns the histories of all replicates as one; NaN once a replicate has stopped."""
    names = list(dict.fromkeys(name for history in histories for name in history))
    length = max((len(values) for history in histories for values in history.values()), default=0)
    history = History(list(epochs)[:length])
    for name in names:
        shape = max((np.shape(history[name])[1:] for history in histories if name in history), key=len)
        columns = np.full((length, len(histories), *shape), np.nan)
        for r, values in enumerate(histories):
            if name in values:
                columns[: len(values[name]), r] = values[name]
        history.history[name] = columns
    return history

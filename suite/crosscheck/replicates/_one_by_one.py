"""Replicates trained by Keras' own `fit`, one after the other: whatever a model's training is, it is that."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck.replicates._callbacks import own
from crosscheck.replicates._compiled import Compiled
from crosscheck.replicates._data import Data
from crosscheck.replicates._history import History
from crosscheck.replicates._initial import build_under

Order = Callable[[np.ndarray, int], np.ndarray]


class OneByOne:
    """R models, each compiled and trained by Keras.

    Args:
        build: as of `Replicates`.
        seeds: one a replicate.
        compiled: what `Replicates.compile` was told.
    """

    def __init__(self, build: Callable[[], keras.Model], seeds: Sequence[int], compiled: Compiled):
        self.models = [build_under(build, seed) for seed in seeds]
        for r, model in enumerate(self.models):
            compiled.compile_own(model, r)

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets the weights of all models, [R, …] each."""
        for r, model in enumerate(self.models):
            for variable, value in zip(model.variables, weights, strict=True):
                variable.assign(value[r])

    def weights(self, r: int) -> list[np.ndarray]:
        """Returns the weights of replicate r, in the order of `model.variables`."""
        return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in self.models[r].variables]

    def fit(
        self,
        data: Data,
        order: Order,
        batch_size: int,
        epochs: range,
        callbacks: Sequence[keras.callbacks.Callback],
        held_out: Data | None,
        steps: int | None,
        active: np.ndarray,
        **options: Any,
    ) -> History:
        """Trains each model for these epochs, with its own copy of every callback; arguments as of `Fit`."""
        histories: list[dict[str, list[float]]] = []
        for r, model in enumerate(self.models):
            if not active[r]:
                histories.append({})
                continue
            batches = Ordered(data, r, lambda epoch, r=r: order(np.array([r]), epoch)[0], batch_size, epochs, steps)
            mine = [TakesOrder(batches), *(own(copy.copy(callback), r) for callback in callbacks)]
            validation = held_out.cut(0, held_out.n, r) if held_out else None
            seen = model.fit(
                batches, initial_epoch=epochs.start, epochs=epochs.stop, shuffle=False, verbose=0,
                callbacks=mine, validation_data=validation, **options,
            )
            histories.append(seen.history)
            active[r] = not getattr(model, "stop_training", False)
        return joined(histories, epochs)

    def evaluate(self, data: Data, batch_size: int) -> dict[str, np.ndarray]:
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
        return (x, y) if sample_weight is None else (x, y, sample_weight)


class TakesOrder(keras.callbacks.Callback):
    """Begins each epoch of `Ordered`; Keras tells a data set of epochs, but not which one."""

    def __init__(self, batches: Ordered):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.begin(epoch)


def joined(histories: Sequence[dict[str, list[float]]], epochs: range) -> History:
    """Returns the histories of all replicates as one; NaN once a replicate has stopped."""
    names = list(dict.fromkeys(name for history in histories for name in history))
    length = max((len(values) for history in histories for values in history.values()), default=0)
    history = History(list(epochs)[:length])
    for name in names:
        columns = np.full((length, len(histories)), np.nan)
        for r, values in enumerate(histories):
            columns[: len(values.get(name, ())), r] = values.get(name, ())
        history.history[name] = columns
    return history

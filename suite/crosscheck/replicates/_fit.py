"""The loop of `Replicates.fit`: epochs, callbacks, validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from crosscheck.replicates._callbacks import Callbacks
from crosscheck.replicates._data import Data
from crosscheck.replicates._history import History, orders
from crosscheck.replicates._program import Unstackable


class Validation(NamedTuple):
    """What is evaluated after epochs.

    Attributes:
        data: None for nothing.
        batch_size: examples at once.
        every: epochs from one evaluation to the next.
    """

    data: Data | None
    batch_size: int
    every: int


class Fit:
    """One call of `Replicates.fit`.

    Args:
        replicates: the `Replicates` that are trained.
        data: on what.
        batch_size, shuffle, steps: as of `Replicates.fit`.
        epochs: their numbers.
        further: gives the data of each epoch after the first, where they come in batches.
    """

    def __init__(
        self,
        replicates: Any,
        data: Data,
        batch_size: int,
        epochs: range,
        shuffle: bool,
        steps: int | None,
        further: Callable[[], Data] | None = None,
    ):
        self.replicates, self.data, self.batch_size, self.epochs = replicates, data, batch_size, epochs
        self.shuffle, self.steps, self.further = shuffle, steps, further

    def through(
        self, callbacks: Sequence[keras.callbacks.Callback], verbose: int, validation: Validation
    ) -> History:
        """Goes through the epochs, and returns their history."""
        replicates, history, last_logs = self.replicates, History(), None
        if verbose:
            print(f"{len(replicates)} replicates, {replicates.plan.mode}: {replicates.plan.why}")
        if replicates.plan.mode == "fit":
            return self.by_keras(callbacks, validation)
        replicates.engine.require_as_begun()
        replicates.engine.prepared(self.batch_size, self.data)
        held_out, batches = validation.data, -(-self.data.n // self.batch_size)
        listeners = Callbacks(callbacks, replicates, len(self.epochs), self.steps or batches)
        bar = keras.utils.Progbar(len(self.epochs), verbose=verbose, unit_name="epoch") if verbose else None
        replicates.stop_training = False
        began = replicates.active.copy()
        listeners.call("on_train_begin")
        # Blocks that nobody watches run through all epochs without waiting for one another.
        watched = listeners.any or bar or held_out or self.further
        stride = 1 if watched else max(len(self.epochs), 1)
        epoch = self.epochs.start
        while epoch < self.epochs.stop and replicates.active.any() and not replicates.stop_training:
            listeners.call("on_epoch_begin", epoch)
            active = replicates.active.copy()
            for logs in self.trained(range(epoch, epoch + stride), listeners):
                if held_out and (epoch + 1) % validation.every == 0:
                    listeners.call("on_test_begin")
                    as_it_stands = orders(replicates.seeds, held_out.n, shuffle=False)
                    options = (validation.batch_size, as_it_stands, replicates.active)
                    values = replicates.engine.evaluate(held_out, *options)
                    listeners.call("on_test_end", logs=values)
                    logs |= {f"val_{name}": value for name, value in values.items()}
                logs = {name: where_active(active, value) for name, value in logs.items()}
                listeners.call("on_epoch_end", epoch, logs=logs)
                history.append(epoch, logs)  # with what callbacks have put into the logs
                epoch += 1
                replicates.initial_epoch, last_logs = epoch, logs
                if bar:
                    bar.add(1, [(name, np.nanmean(value)) for name, value in logs.items()])
        replicates.engine.finalize(began)  # those that were stopped on the way too, as `fit` does
        listeners.call("on_train_end", logs=last_logs)
        return history

    def by_keras(self, callbacks: Sequence[keras.callbacks.Callback], validation: Validation) -> History:
        """Hands each replicate to Keras' own `fit`, and returns the history of all."""
        replicates, options = self.replicates, {}
        if validation.data:
            options = {"validation_batch_size": validation.batch_size, "validation_freq": validation.every}
        history = replicates.engine.fit(
            self.data,
            orders(replicates.seeds, self.data.n, self.shuffle),
            self.batch_size,
            self.epochs,
            self.steps,
            callbacks,
            validation.data,
            replicates.active,
            options,
        )
        replicates.initial_epoch = self.epochs.start + len(history.epoch)
        return history

    def trained(self, epochs: range, listeners: Callbacks) -> list[dict[str, np.ndarray]]:
        """Trains, and returns loss and metrics of every replicate, [R], after each of these epochs."""
        try:
            return self.tried(epochs, listeners)
        except Unstackable as refusal:  # by the first step, before anything was trained
            self.replicates.engine.fall_back(refusal)
            return self.tried(epochs, listeners)

    def tried(self, epochs: range, listeners: Callbacks) -> list[dict[str, np.ndarray]]:
        """The same as planned.

        Raises:
            Unstackable: the replicates turn out not to be stackable.
        """
        replicates, engine = self.replicates, self.replicates.engine
        blocks = engine.prepared(self.batch_size, self.data)
        engine.set_rates()
        if self.further and epochs.start > self.epochs.start:
            self.data = self.further()
        order = orders(replicates.seeds, self.data.n, self.shuffle)
        options = (order, replicates.active, True, self.steps)
        if not listeners.in_batches:
            return blocks.passes(self.data, self.batch_size, epochs, *options)
        logs: dict[str, np.ndarray] = {}
        batches, go = blocks.batch_by_batch(self.data, self.batch_size, epochs[0], *options)
        for i in range(batches):
            listeners.call("on_train_batch_begin", i)
            logs = go(i)
            listeners.call("on_train_batch_end", i, logs=logs)
            if replicates.stop_training or not replicates.active.any():
                break
            engine.set_rates()
        return [logs]


def where_active(active: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Returns a metric's numbers, [R], or [R, K] of one with a number for each class; NaN where stopped."""
    return np.where(active.reshape(-1, *[1] * (np.ndim(value) - 1)), value, np.nan)

"""What `Replicates` take in: arrays, structures of them, batches that are handed out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from crosscheck.replicates._checks import require_labels
from crosscheck.replicates._compiled import Compiled
from crosscheck.replicates._data import Data, weights_of_classes
from crosscheck.replicates._model import output_shape
from crosscheck.replicates._streams import Stream, is_stream


class Intake:
    """Makes the data of a call out of its arguments.

    Args:
        count: R.
        model: of the replicates' structure.
        compiled: what `Replicates.compile` was told.
    """

    def __init__(self, count: int, model: keras.Model, compiled: Compiled | None):
        self.count, self.model, self.compiled = count, model, compiled

    def checked(self, x: Any, y: Any, sample_weight: Any = None) -> Data:
        """Returns the data of a call.

        Raises:
            RuntimeError: if `compile` was not called.
            ValueError: if a shape does not fit, or labels mean nothing to the loss.
        """
        if self.compiled is None:
            raise RuntimeError("Call `compile(optimizer, loss)` first.")
        data = Data(self.count, self.model, x, y, sample_weight)
        require_labels(data, self.compiled.loss, output_shape(self.model))
        return data

    def weighted(self, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> Data:
        """Returns the data of a training, whose examples may be weighted by their classes.

        Raises:
            ValueError: as of `_checked`, or where both weights are given.
        """
        data = self.checked(x, y, sample_weight)
        if class_weight is None:
            return data
        if sample_weight is not None:
            raise ValueError("`class_weight` and `sample_weight` cannot both be given.")
        return self.checked(x, y, weights_of_classes(y, class_weight, "y" in data.own))

    def stream(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any, steps: int | None
    ) -> Callable[[], tuple[Data, int]]:
        """Returns a function that gives the data of the next epoch, and the size of a batch.

        Raises:
            ValueError: if labels or weights are given beside batches that hold them.
        """
        if y is not None or sample_weight is not None:
            raise ValueError("`x` hands out batches; they must hold `y` and `sample_weight` themselves.")
        batches = Stream(x, steps)

        def epoch() -> tuple[Data, int]:
            (x, y, weight), batch_size = batches.epoch()
            return self.weighted(x, y, weight, class_weight), batch_size

        return epoch

    def held_out(self, validation_data: Any) -> Data | None:
        """Returns what is evaluated after epochs, from a tuple of arrays or from batches."""
        if validation_data is None:
            return None
        if is_stream(validation_data):
            return self.checked(*Stream(validation_data, None).epoch()[0])
        return self.checked(*validation_data)

    def split(self, share: float, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
        """Returns the examples to train on, and the last `share` of all, as Keras holds them out."""
        data = Data(self.count, self.model, x, y, sample_weight)
        at = math.floor(data.n * (1 - share))
        if not 0 < at < data.n:
            raise ValueError(f"`validation_split` of {share} leaves no example on one side of {data.n}.")
        return data.cut(0, at), data.cut(at, data.n)

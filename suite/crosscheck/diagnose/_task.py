"""What a model is to predict, as far as a trial must know: its error, and what is had without any input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from scipy import special

from crosscheck.errors import UsageError

Kind = Literal["classes", "labels", "numbers"]


@dataclass(frozen=True)
class Task:
    """What the labels ask of an output.

    Attributes:
        kind: one class among several, labels that each hold or not (one is a binary task), or numbers.
        loss: of a batch, as the model was compiled with it; without penalties.
        width: units of the output.
        ignored: the label of places that do not count, or None.
    """

    kind: Kind
    loss: Callable[[Any, Any], Any]
    width: int
    ignored: int | None = None

    def loss_of(self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Returns the mean loss of outputs [N, …], by weights of rows [N]; ∞ where it is not finite."""
        if not np.isfinite(outputs).all():
            return np.inf
        if self.kind != "classes" and y.size == outputs.size:
            y = np.reshape(y, outputs.shape)  # as `compile` would, where a bare function would broadcast
        try:
            value = self.weighed(as_fit_gives(y), as_fit_gives(outputs), weights)
        except Exception:  # a loss of the user's own may refuse; then there is nothing to compare
            return np.nan
        return value if np.isfinite(value) else np.inf

    def weighed(self, y: Any, outputs: Any, weights: np.ndarray | None) -> float:
        """Returns the mean loss of finite outputs, by weights of rows where they differ."""
        if weights is None or np.ptp(weights) == 0:
            return float(np.mean(keras.ops.convert_to_numpy(self.loss(y, outputs))))
        weights = (weights / weights.mean()).astype("float32")
        if isinstance(self.loss, keras.losses.Loss):
            return float(np.mean(keras.ops.convert_to_numpy(self.loss(y, outputs, sample_weight=weights))))
        values = keras.ops.convert_to_numpy(self.loss(y, outputs))
        by_row = (
            values.reshape(len(weights), -1).mean(1) if len(np.atleast_1d(values)) == len(weights) else values
        )
        return float(np.mean(by_row * weights))

    def error_of(self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Returns the share of wrong decisions; NaN for numbers.

        Of labels that hold or not, a probability is cut at ½ and a logit at 0: the better of both counts.
        """
        if self.kind == "numbers":
            return np.nan
        if not np.isfinite(outputs).all():
            return 1.0
        if self.kind == "classes":
            classes, counted = classes_of(y, self.width), self.counted(y)
            wrong = outputs.argmax(-1).ravel()[counted] != classes[counted]
            return float(np.average(wrong, weights=self.of_places(y, weights)[counted]))
        true = np.reshape(y, outputs.shape) > 0.5
        wrong = [((outputs > cut) != true).reshape(len(y), -1).mean(1) for cut in (0.0, 0.5)]
        return min(float(np.average(rows, weights=weights)) for rows in wrong)

    def error_of_prior(self, y: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Returns the error of always deciding for what is most frequent; NaN for numbers."""
        if self.kind == "numbers":
            return np.nan
        if self.kind == "classes":
            return 1 - float(self.shares(y, weights).max())
        share = np.average(np.reshape(y, (len(y), -1)), 0, weights)
        return float(np.minimum(share, 1 - share).mean())

    def loss_of_prior(
        self, y: np.ndarray, shape: tuple[int, ...], weights: np.ndarray | None = None
    ) -> float:
        """Returns the least loss of one and the same output for every example: for cross-entropy, the
        entropy of the class frequencies.

        Args:
            y: the labels.
            shape: of the outputs, [N, …, K].
            weights: of the rows, [N].
        """
        constants = self.numbers(y, shape) if self.kind == "numbers" else self.constants(y, weights)
        rows = [np.broadcast_to(c, shape).astype("float32") for c in constants]
        values = [self.loss_of(y, outputs, weights) for outputs in rows]
        finite = [value for value in values if np.isfinite(value)]
        return min(finite, default=np.nan)

    def counted(self, y: np.ndarray) -> np.ndarray:
        """Returns which places have a class, [N]."""
        return classes_of(y, self.width) != (-1 if self.ignored is None else self.ignored)

    def of_places(self, y: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        """Returns the weight of every place that has a class or none, [N · places]."""
        places = classes_of(y, self.width).size
        return np.ones(places) if weights is None else np.repeat(weights, places // len(weights))

    def shares(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Returns the share of each class, [K]."""
        classes, counted = classes_of(y, self.width), self.counted(y)
        counts = np.bincount(classes[counted], self.of_places(y, weights)[counted], minlength=self.width)
        return counts / max(1e-30, counts.sum())

    def constants(self, y: np.ndarray, weights: np.ndarray | None = None) -> list[np.ndarray]:
        """Returns outputs that say the frequencies alone, as probabilities and as logits."""
        if self.kind == "classes":
            shares = self.shares(y, weights)
        else:
            repeated = None if weights is None else np.repeat(weights, y.size // self.width // len(weights))
            shares = np.average(np.reshape(y, (-1, self.width)).astype("float64"), 0, repeated)
        return [shares, np.log(inside(shares)), special.logit(inside(shares))]

    def numbers(self, y: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
        """Returns outputs that say where numbers lie: mean and median, and as a loss may read an output that
        squashes it itself, logits or logarithms of the mean; of ranks 0 … K, logits of reaching each.

        Raises:
            UsageError: for labels that a loss of one's own must read otherwise.
        """
        if y.size == np.prod(shape):
            columns = np.reshape(y, (-1, self.width)).astype("float64")
            mean = columns.mean(0)
            lies_inside = columns.min() >= 0 and columns.max() <= 1
            as_logits = [special.logit(inside(mean))] if lies_inside else []
            as_logarithms = [np.log(inside(mean, np.inf))] if columns.min() >= 0 else []
            return [mean, np.median(columns, 0), *as_logits, *as_logarithms]
        ranks = np.asarray(y).ravel()
        if y.size == np.prod(shape[:-1]) and np.isin(ranks, np.arange(self.width + 1)).all():
            reached = np.mean(ranks[:, None] > np.arange(self.width), 0)
            return [reached, special.logit(inside(reached))]
        raise UsageError(
            f"What is had without any input is not known: labels {list(y.shape)} to outputs {list(shape)}."
        )


def as_fit_gives(array: np.ndarray) -> Any:
    """Returns a tensor, real numbers in Keras' float type; a loss of one's own may know nothing else."""
    return keras.ops.convert_to_tensor(array, keras.config.floatx() if array.dtype.kind == "f" else None)


def inside(shares: np.ndarray, most: float = 1 - 1e-6) -> np.ndarray:
    """Returns shares of which the logit is finite, or the logarithm."""
    return np.clip(shares, 1e-6, most)


def classes_of(y: np.ndarray, width: int) -> np.ndarray:
    """Returns one class an example (or place), from integers or one-hot rows, [N]."""
    y = np.asarray(y)
    one_hot = y.ndim > 1 and y.shape[-1] == width
    return y.argmax(-1).ravel() if one_hot else np.round(y).astype("int64").ravel()


def row_weights(
    task: Task, y: np.ndarray, given: np.ndarray | None, of_classes: Mapping[Any, float] | None
) -> np.ndarray:
    """Returns the weight of every row in training, [N]; 1 where there is none, or one for every place."""
    if given is not None:
        return given.reshape(-1) if given.size == len(y) and np.sum(given) > 0 else np.ones(len(y))
    classes = classes_of(y.ravel() if y.size == len(y) else y, task.width)  # a column holds no one-hot row
    if not of_classes or task.kind == "numbers" or classes.size != len(y):
        return np.ones(len(y))
    return np.array([float(of_classes.get(int(c), 1.0)) for c in classes])


def task_of(y: np.ndarray, outputs: tuple[int, ...], loss: Any) -> Task:
    """Returns the task that labels y set an output of shape [N, …, K], under a loss as `compile` takes it."""
    width, function = int(outputs[-1]), keras.losses.get(loss)
    ignored = getattr(function, "ignore_class", None)
    counted = y if ignored is None else np.where(y == ignored, 0, y)
    return Task(kind_of(counted, outputs), function, width, ignored)


def kind_of(y: np.ndarray, outputs: tuple[int, ...]) -> Kind:
    """Returns what labels [N, …] are to outputs [N, …, K], by their shape and values alone."""
    width, places = int(outputs[-1]), int(np.prod([len(y), *outputs[1:-1]]))
    zero_or_one = bool(np.isin(y, (0, 1)).all())
    if width > 1 and y.size == places:
        return "classes" if are_classes(y, width) else "numbers"
    if width > 1 and zero_or_one and y.shape[-1:] == (width,) and bool(np.all(y.sum(-1) == 1)):
        return "classes"
    return "labels" if zero_or_one and y.size == places * width else "numbers"


def are_classes(y: np.ndarray, width: int) -> bool:
    """Returns whether all are whole numbers 0 … K − 1."""
    return bool(np.all(y == np.round(y)) and y.min() >= 0 and y.max() < width)

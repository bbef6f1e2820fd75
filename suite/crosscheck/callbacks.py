"""Callbacks that measure a model on examples of your choice, and put the numbers into Keras' own logs.

List them before the callbacks that read logs (`CSVLogger`, `TensorBoard`, `EarlyStopping`,
`ModelCheckpoint`): Keras calls callbacks in their order, and each sees what those before it have put into the
logs. Keras puts `History` last by itself. `EarlyStopping` needs its `mode`, "min" or "max", for Keras cannot
guess it from these names.

They work in `keras.Model.fit`, where logs hold numbers, and in `Replicates.fit`, where they hold one a
replicate, [R], and NaN for those that have stopped.
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.metrics import (
    beside,
    calibration_gap,
    columns,
    frequencies,
    gradient_size,
    hardest_share,
    negative_log_likelihood,
    probabilities,
    quiet_share,
    reason_for_nan,
)

__all__ = ["CalibrationMonitor", "Monitor", "SaturationMonitor"]


class Monitor(keras.callbacks.Callback):
    """Predicts the same examples at the end of each epoch. A subclass defines `numbers`, which are logged.

    Args:
        x: [N, …] as for `predict`. Calibration wants examples that the model is not trained on.
        y: labels: of a single output [N] or [N, 1], of K classes integers [N] or frequencies [N, K]. With
            `Replicates` also [R, N, …], each replicate's own.
        from_logits: whether the model gives logits. Logits taken for probabilities show as NaN, as labels do
            that are no classes 0…K−1; a warning says once which it is.
        prefix: put before each name in the logs. With "val_" TensorBoard shows them beside the validation's.
        batch_size: examples a prediction.

    Raises:
        ValueError: at the end of an epoch, if a name is in the logs already.
    """

    def __init__(self, x: Any, y: Any, from_logits: bool, prefix: str, batch_size: int):
        super().__init__()
        self.x, self.y, self.from_logits = x, np.asarray(y), from_logits
        self.prefix, self.batch_size = prefix, batch_size
        self.has_warned = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is None:
            return
        numbers = {self.prefix + name: value for name, value in self.numbers(*self.predicted()).items()}
        if clash := sorted(numbers.keys() & logs.keys()):
            raise ValueError(f"The logs have {', '.join(clash)} already: give the monitor another `prefix`.")
        if isinstance(self.model, keras.Model):
            logs |= {name: float(value) for name, value in numbers.items()}
        else:
            logs |= {name: np.where(self.model.active, value, np.nan) for name, value in numbers.items()}

    def predicted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns labels and probabilities, [..., N, K], and the surprise −ln p at each label, [..., N].

        K is 1 for a single output, and holds class 1. With `Replicates` the leading axis is R.
        """
        if isinstance(self.model, keras.Model):
            output, y = self.model.predict(self.x, self.batch_size, verbose=0), self.y
        else:
            output = self.model.predict(self.x, self.batch_size)
            y = beside(self.y, *output.shape[:2])
        labels, p = frequencies(y, output), probabilities(ops.convert_to_tensor(output), self.from_logits)
        logits = columns(ops.convert_to_tensor(output)) if self.from_logits else None
        surprise = negative_log_likelihood(labels, p, logits)
        y, p, surprise = (ops.convert_to_numpy(tensor).astype("float64") for tensor in (labels, p, surprise))
        self.warn_of_nan(y, p)
        first = int(output.shape[-1] == 1)
        return y[..., first:], p[..., first:], surprise

    def warn_of_nan(self, y: np.ndarray, p: np.ndarray) -> None:
        """Warns, once, of labels and predictions that became NaN, [..., N, K]."""
        reason = "" if self.has_warned else reason_for_nan(y, p)
        if reason:
            self.has_warned = True
            warnings.warn(f"{type(self).__name__}: {reason}", stacklevel=2)

    def numbers(self, y: np.ndarray, p: np.ndarray, surprise: np.ndarray) -> dict[str, np.ndarray]:
        """Returns what is logged, by name: a number, or one a replicate; arguments as of `predicted`."""
        raise NotImplementedError


class SaturationMonitor(Monitor):
    """Logs how cross-entropy's gradient concentrates on few examples.

    The names, after the prefix: `quiet`, the fraction of examples whose gradient ‖p − y‖ with respect to the
    logits is under 0.001 (`metrics.quiet_share`); and `hardest_share`, the share of the sum of these norms
    that the largest tenth carries (`metrics.hardest_share`).

    Args:
        x, y, from_logits, prefix, batch_size: as in `Monitor`.

    Raises:
        ValueError: at the end of an epoch, for fewer than 10 examples, or if a name is in the logs already.
    """

    def __init__(
        self, x: Any, y: Any, from_logits: bool = False, prefix: str = "saturation_", batch_size: int = 1024
    ):
        super().__init__(x, y, from_logits, prefix, batch_size)

    def numbers(self, y: np.ndarray, p: np.ndarray, surprise: np.ndarray) -> dict[str, np.ndarray]:
        size = gradient_size(y, p)
        return {"quiet": quiet_share(size), "hardest_share": hardest_share(size)}


class CalibrationMonitor(Monitor):
    """Logs how well the model's confidence agrees with how often it is right.

    The names, after the prefix: `ece`, the expected calibration error of the top label; `brier` (0…1 of a
    single output, 0…2 of K classes); `nll`, in nats; `confidence`, the mean probability of the top label;
    `accuracy`.

    Args:
        x, y, from_logits, prefix, batch_size: as in `Monitor`.
        bins: the number of equal-width bins of the calibration error.

    Raises:
        ValueError: at the end of an epoch, if a name is in the logs already.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        from_logits: bool = False,
        bins: int = 15,
        prefix: str = "calibration_",
        batch_size: int = 1024,
    ):
        super().__init__(x, y, from_logits, prefix, batch_size)
        self.bins = bins

    def numbers(self, y: np.ndarray, p: np.ndarray, surprise: np.ndarray) -> dict[str, np.ndarray]:
        squared = np.square(p - y).sum(-1)
        if y.shape[-1] == 1:
            y, p = (np.concatenate([1 - positive, positive], -1) for positive in (y, p))
        top = p.argmax(-1)[..., None]
        confidence, correct = (np.take_along_axis(values, top, -1)[..., 0] for values in (p, y))
        return {
            "ece": calibration_gap(confidence, correct, self.bins),
            "brier": squared.mean(-1),
            "nll": surprise.mean(-1),
            "confidence": confidence.mean(-1),
            "accuracy": correct.mean(-1),
        }

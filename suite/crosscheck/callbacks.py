"""Callbacks that watch a model on examples of your choice, and put what they see into Keras' own logs.

They come before the callbacks that read logs (`CSVLogger`, `TensorBoard`, `EarlyStopping`,
`ModelCheckpoint`): Keras calls callbacks in the order given, and hands each what those before it made of the
logs. `History` comes last by itself. For `EarlyStopping` name the `mode`, "min" or "max", which Keras cannot
guess.

They work in `keras.Model.fit`, where logs hold numbers, and in `Replicates.fit`, where they hold one a
replicate, [R], and NaN for those that have stopped.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.metrics.base import beside, columns, frequencies, probabilities
from crosscheck.metrics.calibration import calibration_gap
from crosscheck.metrics.likelihood import negative_log_likelihood
from crosscheck.metrics.saturation import gradient_size, hardest_share, quiet_share


class Monitor(keras.callbacks.Callback):
    """Predicts the same examples at the end of each epoch; a subclass says what is read off the predictions.

    Args:
        x: [N, …] as for `predict`; held-out examples, if calibration is to mean anything.
        y: labels: of a single output [N] or [N, 1], of K classes integers [N] or frequencies [N, K]. With
            `Replicates` also [R, N, …], each replicate's own.
        from_logits: whether the model gives logits. Logits taken for probabilities show as NaN.
        prefix: of the names in the logs. With "val_" TensorBoard puts them beside the validation's.
        batch_size: of predictions.
    """

    def __init__(self, x: Any, y: Any, from_logits: bool, prefix: str, batch_size: int):
        super().__init__()
        self.x, self.y, self.from_logits = x, np.asarray(y), from_logits
        self.prefix, self.batch_size = prefix, batch_size

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is None:
            return
        found = {self.prefix + name: value for name, value in self.numbers(*self.predicted()).items()}
        if clash := sorted(found.keys() & logs.keys()):
            raise ValueError(f"The logs have {', '.join(clash)} already: give the monitor another `prefix`.")
        alone = isinstance(self.model, keras.Model)
        moving = True if alone else self.model.active
        logs |= {name: float(v) if alone else np.where(moving, v, np.nan) for name, v in found.items()}

    def predicted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels and probabilities, [..., N, K], K ≥ 2, and the surprise −ln p at each label, [..., N].

        The leading axis is that of replicates, where there are any.
        """
        if isinstance(self.model, keras.Model):
            output, y = self.model.predict(self.x, self.batch_size, verbose=0), self.y
        else:
            output = self.model.predict(self.x, self.batch_size)
            y = beside(self.y, *output.shape[:2])
        labels, p = frequencies(y, output), probabilities(ops.convert_to_tensor(output), self.from_logits)
        logits = columns(ops.convert_to_tensor(output)) if self.from_logits else None
        surprise = negative_log_likelihood(labels, p, logits)
        y, p, surprise = (ops.convert_to_numpy(each).astype("float64") for each in (labels, p, surprise))
        first = output.shape[-1] == 1  # of a single output, class 1 alone
        return y[..., first:], p[..., first:], surprise

    def numbers(self, y: np.ndarray, p: np.ndarray, surprise: np.ndarray) -> dict[str, np.ndarray]:
        """What is logged, by name: a number, or one a replicate."""
        raise NotImplementedError


class SaturationMonitor(Monitor):
    """How cross-entropy's gradient concentrates on few examples; see `crosscheck.metrics.saturation`.

    Logs, with the prefix: `quiet`, the fraction of examples whose gradient ‖p − y‖ with respect to the logits
    is under 0.001; and `hardest_share`, the share of the sum of these norms that the largest tenth carries.

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
    """How honest the model's confidence is.

    Logs, with the prefix: `ece`, the expected calibration error of the top label; `brier` (0…1 of a single
    output, 0…2 of K classes); `nll`, in nats; `confidence`, the mean probability of the top label;
    `accuracy`.

    Args:
        x, y, from_logits, prefix, batch_size: as in `Monitor`.
        bins: of the calibration error, of equal width.

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
            y, p = (np.concatenate([1 - each, each], -1) for each in (y, p))
        top = p.argmax(-1)[..., None]
        confidence, correct = (np.take_along_axis(each, top, -1)[..., 0] for each in (p, y))
        return {
            "ece": calibration_gap(confidence, correct, self.bins),
            "brier": squared.mean(-1),
            "nll": surprise.mean(-1),
            "confidence": confidence.mean(-1),
            "accuracy": correct.mean(-1),
        }

"""What chance adds to a calibration error, and a squared error without it: of arrays, and as a metric."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.metrics._base import Examples, ProbabilityMetric, equal_width, member_of, one_of, positive
from crosscheck.metrics._calibration import BY_COLUMN, KINDS


def calibration_floor(probabilities: np.ndarray, bins: int = 15) -> np.ndarray:
    """Σ_b (n_b / N) √(2 p_b (1 − p_b) / (π n_b)): about the calibration error of a perfect predictor.

    Where nothing is wrong with a bin's mean confidence p_b, the share of its n_b examples that come true is
    still off by chance, by √(2/π) standard errors on the mean. `expected_calibration_error` adds up those
    distances, so that it does not fall below this even if every probability is right.

    Args:
        probabilities: [R, N, K], or [N, K].
        bins: number of equal-width bins B, over [0, 1].

    Returns:
        One number a replicate, [R], or a scalar.
    """
    confidence = probabilities.max(-1)
    member, n = bin_of(confidence, bins), confidence.shape[-1]
    floor = np.zeros(confidence.shape[:-1])
    for b in range(bins):
        inside = member == b
        count, mean = inside.sum(-1), np.where(inside, confidence, 0).sum(-1)
        mean = mean / np.maximum(count, 1)
        floor = floor + np.sqrt(2 * count * mean * (1 - mean) / np.pi) / n
    return floor


def squared_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> np.ndarray:
    """Σ_b (n_b / N) (accuracy_b − confidence_b)² of the top label, without the bias of the plug-in.

    Each square is estimated by the mean product of the gaps of two different examples in the bin, which
    chance does not raise. It is 0 on the mean of a predictor that is calibrated, and so comes out negative as
    often as not; √max(0, ·) is on the scale of the "l2" norm. A bin with one example counts nothing.

    Args:
        probabilities: [R, N, K], or [N, K].
        labels: the true classes, [N], or [R, N] with each replicate's own.
        bins: number of equal-width bins B, over [0, 1].

    Returns:
        One number a replicate, [R], or a scalar; at most 1.

    Source: Kumar, Liang & Ma 2019, section 4.1: their estimator, where all confidences in a bin are alike.
    """
    return squared_calibration_gap(probabilities.max(-1), probabilities.argmax(-1) == labels, bins)


def squared_calibration_gap(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> np.ndarray:
    """Returns the debiased squared calibration error of N confidences, as `squared_calibration_error`.

    Class by class, or label by label, it is that of each column: with p and y [N, K],
    `squared_calibration_gap(p.T, y.T).mean(-1)` is what `SquaredCalibrationError(kind="class_wise")` gives.

    Args:
        confidence: in [0, 1], [..., N].
        correct: how far each prediction came true, 0 to 1, [..., N].
        bins: number of equal-width bins B, over [0, 1].

    Returns:
        [...]; at most 1, and negative as often as not where all is calibrated.
    """
    gap = correct - confidence  # [..., N]
    member, total = bin_of(confidence, bins), np.zeros(gap.shape[:-1])
    for b in range(bins):
        inside = np.where(member == b, gap, 0)
        count = (member == b).sum(-1)
        pairs = np.square(inside.sum(-1)) - np.square(inside).sum(-1)  # Σ_{i ≠ j} gap_i gap_j
        total = total + count * pairs / np.maximum(count * (count - 1), 1)
    return total / gap.shape[-1]


def bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Returns the number of each confidence's bin (b/B, (b+1)/B]; that of NaN is of no meaning."""
    with np.errstate(invalid="ignore"):
        return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


@keras.saving.register_keras_serializable(package="crosscheck")
class SquaredCalibrationError(ProbabilityMetric):
    """Σ_b (n_b / N) (accuracy_b − confidence_b)², debiased and streaming in fixed memory.

    With gaps g = correct − confidence and weights w, each bin's square is estimated from pairs of different
    examples, ((Σ w g)² − Σ w² g²) / ((Σ w)² − Σ w²). The plug-in ((Σ w g) / Σ w)² is too large by the
    variance of the mean gap: some p (1 − p) / n. The estimate may be negative; √max(0, ·) is on the scale of
    `ExpectedCalibrationError(norm="l2")`. Bins are (b/B, (b+1)/B]; one with a single example counts nothing.
    A weight belongs to one example, and does not stand for copies of it: their scale is free.

    Args:
        bins: B.
        kind: "top_label", "class_wise" (the mean over classes), "positive_class", or "label_wise" (the mean
            over several labels, each of its own sigmoid), as in `ExpectedCalibrationError`.
        from_logits: whether predictions are logits.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    Raises:
        ValueError: for an unknown choice; at the first batch, for "positive_class" of more than two classes.

    Source: Kumar, Liang & Ma 2019, section 4.1.

    >>> metric = SquaredCalibrationError()
    >>> metric.update_state([0, 0, 0, 1], [[0.75, 0.25]] * 4)  # 75 % sure, 75 % right
    >>> round(float(metric.result()), 4)  # −p (1 − p) / (n − 1), where the plug-in is 0
    -0.0625
    """

    weight: Any
    weight_squares: Any
    gaps: Any
    gap_squares: Any

    def __init__(
        self,
        bins: int = 15,
        kind: str = "top_label",
        from_logits: bool = False,
        name: str = "squared_calibration_error",
        dtype: Any = None,
    ):
        self.bins, self.kind = positive("bins", bins), one_of("kind", kind, KINDS)
        super().__init__(from_logits=from_logits, name=name, dtype=dtype)
        self.edges = equal_width(bins)
        self.classes: int | None = None
        self.labels_apart = kind == "label_wise"
        if kind not in BY_COLUMN:
            self.start(1)

    def start(self, classes: int) -> None:
        """Makes the sums; where there is one for each class, the first batch tells how many."""
        self.add_sums((classes, self.bins), "weight", "weight_squares", "gaps", "gap_squares")
        self.classes = classes

    def accumulate(self, batch: Examples) -> None:
        confidence, accuracy = KINDS[self.kind](batch)  # [n, C]
        if self.classes is None:
            self.start(confidence.shape[-1])
        weight = member_of(confidence, *self.edges) * batch.weight[:, None, None]  # [n, C, bins]
        gap = weight * (accuracy - confidence)[..., None]
        sums = (
            (self.weight, weight),
            (self.weight_squares, ops.square(weight)),
            (self.gaps, gap),
            (self.gap_squares, ops.square(gap)),
        )
        for total, value in sums:
            total.assign(total + ops.sum(value, axis=0))

    def result(self) -> Any:
        if self.classes is None:
            return ops.full((), float("nan"), self.dtype)
        names = (self.weight, self.weight_squares, self.gaps, self.gap_squares)
        weight, weight_squares, gaps, gap_squares = (ops.convert_to_tensor(total) for total in names)
        pairs = ops.square(weight) - weight_squares
        paired = pairs > 1e-6 * ops.square(weight)  # by rounding a single example leaves a little
        square = (ops.square(gaps) - gap_squares) / ops.where(paired, pairs, ops.ones_like(pairs))
        square = ops.where(paired, square, 0 * gaps)  # no single example hides a NaN
        return ops.sum(weight * square) / ops.sum(weight[0]) / self.classes

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins, "kind": self.kind}

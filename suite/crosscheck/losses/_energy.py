"""Losses that see outliers: rows whose label is all zero. Margins on the energy, and outlier exposure.

The energy of an input is E = −ln Σ_k e^(z_k), so that cross-entropy is −z_y − E: adding any c(x) to all
logits moves E by −c and leaves cross-entropy, its gradient and every probability as they are. What
cross-entropy leaves free, the margins fix.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.losses._categorical import categorical_crossentropy
from crosscheck.losses._shared import LogitLoss, computed, in_shape, mean_over_labels


def energy(logits: Any, temperature: float = 1.0) -> Any:
    """−T ln Σ_k e^(z_k / T), the energy in nats (T = 1): [..., K] to [...].

    High where all logits are low. With T → 0 it is minus the largest logit.

    Args:
        logits: [..., K], finite.
        temperature: T > 0.

    Raises:
        ValueError: for a temperature that is not positive.

    Source: Liu et al. 2020, section 3.1.
    """
    if temperature <= 0:
        raise ValueError(f"`temperature` must be positive, not {temperature}.")
    return -temperature * ops.logsumexp(computed(logits) / temperature, axis=-1)


def outliers(y_true: Any, logits: Any) -> tuple[Any, Any]:
    """Returns which rows are outliers, as bool [...], and the logits as `computed`, [..., K]."""
    z = computed(logits)
    y = in_shape(ops.convert_to_tensor(y_true, dtype=z.dtype), z)
    return ops.all(ops.equal(y, 0), axis=-1), z


def energy_margin(y_true: Any, logits: Any, margin_in: Any, margin_out: Any) -> Any:
    """relu(E − m_in)² of an inlier, relu(m_out − E)² of an outlier: nats squared per example, [...].

    Arguments and errors as in `energy_margin_crossentropy`.
    """
    require_order(margin_in, margin_out)
    outside, z = outliers(y_true, logits)
    e = energy(z)
    low, high = (ops.convert_to_tensor(margin, dtype=z.dtype) for margin in (margin_in, margin_out))
    return ops.square(ops.relu(ops.where(outside, high - e, e - low)))


def uniform_crossentropy(y_true: Any, logits: Any) -> Any:
    """−(1/K) Σ_k ln softmax(z)_k of an outlier, 0 for an inlier: nats per example, [...]."""
    outside, z = outliers(y_true, logits)
    loss = ops.logsumexp(z, axis=-1) - mean_over_labels(z)
    return ops.where(outside, loss, ops.zeros_like(loss))


def inlier_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """`categorical_crossentropy` of an inlier, 0 for an outlier, smoothed or not: nats per example, [...]."""
    outside, z = outliers(y_true, logits)
    loss = categorical_crossentropy(y_true, z, label_smoothing)
    return ops.where(outside, ops.zeros_like(loss), loss)


@keras.saving.register_keras_serializable(package="crosscheck")
def energy_margin_crossentropy(
    y_true: Any,
    logits: Any,
    margin_in: Any,
    margin_out: Any,
    weight: Any = 0.1,
    label_smoothing: Any = 0.0,
) -> Any:
    """−ln softmax(z)_y + λ relu(E − m_in)² of an inlier; λ relu(m_out − E)² of an outlier.

    An example's value is its own and knows nothing of the batch, so reductions, sample weights and masks do
    as ever. Keras' default, the mean over all B rows, gives (1/B) (Σ_in CE + λ Σ_in … + λ Σ_out …). The
    published objective takes the mean over inliers and that over outliers apart: pass `role_weights(y)` as
    `sample_weight`, or keep as many outliers in a batch as inliers and double the learning rate.

    Args:
        y_true: one-hot or soft labels of inliers, all zero for outliers, [..., K].
        logits: [..., K], finite.
        margin_in: m_in, nats: inliers are pushed below it. `energy_margins` sets it by rule.
        margin_out: m_out, nats: outliers are pushed above it.
        weight: λ.
        label_smoothing: α in [0, 1]; of inliers alone.
            All of these are one number, or a tensor that broadcasts against the examples.

    Returns:
        Nats per example (the penalty is in nats squared), [...].

    Raises:
        ValueError: if labels and logits differ in shape; for m_in ≥ m_out where both are plain numbers.

    Source: Liu et al. 2020, section 3.2. Its text gives the two margins the wrong way round: the published
    runs have m_in = −23 and m_out = −5.
    """
    penalty = energy_margin(y_true, logits, margin_in, margin_out)
    scale = ops.convert_to_tensor(weight, dtype=penalty.dtype)
    return inlier_crossentropy(y_true, logits, label_smoothing) + scale * penalty


@keras.saving.register_keras_serializable(package="crosscheck")
def outlier_exposure_crossentropy(
    y_true: Any, logits: Any, weight: Any = 0.5, label_smoothing: Any = 0.0
) -> Any:
    """−ln softmax(z)_y of an inlier; λ times the cross-entropy from the uniform of an outlier.

    It pulls the softmax of outliers towards 1/K and says nothing of their energy.

    Args:
        y_true, logits, label_smoothing: as in `energy_margin_crossentropy`, and so is the reduction.
        weight: λ, one number or a tensor that broadcasts against the examples.

    Returns:
        Nats per example, [...].

    Raises:
        ValueError: if labels and logits differ in shape.

    Source: Hendrycks, Mazeika & Dietterich 2019, section 3.
    """
    exposure = uniform_crossentropy(y_true, logits)
    scale = ops.convert_to_tensor(weight, dtype=exposure.dtype)
    return inlier_crossentropy(y_true, logits, label_smoothing) + scale * exposure


class WeightedLoss(LogitLoss):
    """A `LogitLoss` with a weight λ ≥ 0 on what outliers add.

    Raises:
        ValueError: for a negative `weight`, and as `LogitLoss`.
    """

    def __init__(self, weight: float, **options: Any):
        super().__init__(**options)
        if weight < 0:
            raise ValueError(f"`weight` must not be negative, not {weight}.")
        self.weight = weight

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}


@keras.saving.register_keras_serializable(package="crosscheck")
class EnergyMarginCrossentropy(WeightedLoss):
    """`energy_margin_crossentropy` for `model.compile`: labels [..., K], all zero for outliers, and logits.

    Args:
        margin_in, margin_out: m_in < m_out, nats; `energy_margins` sets them from a trained model's energies.
        weight: λ, published as 0.1.
        label_smoothing, reduction, name, dtype: as in `LogitLoss`.

    Raises:
        ValueError: for m_in ≥ m_out, and as `WeightedLoss`.
    """

    def __init__(self, margin_in: float, margin_out: float, weight: float = 0.1, **options: Any):
        require_order(margin_in, margin_out)
        super().__init__(weight, **options)
        self.margin_in, self.margin_out = margin_in, margin_out

    def call(self, y_true: Any, y_pred: Any) -> Any:
        margins = (self.margin_in, self.margin_out)
        return energy_margin_crossentropy(y_true, y_pred, *margins, self.weight, self.label_smoothing)

    def get_config(self) -> dict[str, Any]:
        margins = {"margin_in": self.margin_in, "margin_out": self.margin_out}
        return {**super().get_config(), **margins}


@keras.saving.register_keras_serializable(package="crosscheck")
class OutlierExposureCrossentropy(WeightedLoss):
    """`outlier_exposure_crossentropy` for `model.compile`: labels and logits [..., K].

    Args:
        weight: λ, published as 0.5 for images.
        label_smoothing, reduction, name, dtype: as in `LogitLoss`.

    Raises:
        ValueError: as `WeightedLoss`.
    """

    def __init__(self, weight: float = 0.5, **options: Any):
        super().__init__(weight, **options)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return outlier_exposure_crossentropy(y_true, y_pred, self.weight, self.label_smoothing)


def require_order(margin_in: Any, margin_out: Any) -> None:
    """Raises a ValueError for m_in ≥ m_out where both are plain numbers, not tensors."""
    numbers = all(isinstance(margin, (int, float)) for margin in (margin_in, margin_out))
    if numbers and not margin_in < margin_out:
        raise ValueError(
            f"`margin_in` must be below `margin_out`, not {margin_in} and {margin_out}: inliers are pushed "
            "below the first, outliers above the second. (The text of Liu et al. 2020 has them swapped.)"
        )


def role_weights(y_true: np.ndarray) -> np.ndarray:
    """Returns sample weights under which the mean over rows is the mean over inliers plus that over outliers.

    N/N_in for inliers and N/N_out for outliers: over a whole set exactly, over a batch wherever it holds both
    in the set's proportion, and in expectation over random batches.

    Args:
        y_true: labels, all zero for outliers, [..., N, K].

    Returns:
        [..., N], as float32.

    Raises:
        ValueError: where inliers or outliers are missing.
    """
    outside = (np.asarray(y_true) == 0).all(-1)
    share = outside.mean(-1, keepdims=True)
    if not np.all((share > 0) & (share < 1)):
        raise ValueError("`y_true` must hold inliers and outliers, whose rows are all zero.")
    return np.where(outside, 1 / share, 1 / (1 - share)).astype("float32")


def energy_margins(inside: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m_in, m_out) by rule, from the energies of a model trained without outliers.

    m_in is the mean energy of the inliers. m_out is the mean energy of the auxiliary outliers, or three
    standard deviations of the inliers' energies above m_in, whichever is higher: so m_in < m_out also where
    outliers start lower than inliers. Nothing is tuned, and no test outlier is seen.

    Args:
        inside: energies of inliers that the model was not trained on, nats, [..., N].
        outside: energies of auxiliary outliers, nats, [..., M].

    Returns:
        Two arrays [...], nats.

    Raises:
        ValueError: if an energy is not finite, or all of the inliers' are the same.
    """
    inside, outside = np.asarray(inside, "float64"), np.asarray(outside, "float64")
    low, spread = inside.mean(-1), inside.std(-1)
    if not (np.isfinite(inside).all() and np.isfinite(outside).all() and np.all(spread > 0)):
        raise ValueError("Energies must be finite, and those of inliers must vary.")
    return low, np.maximum(outside.mean(-1), low + 3 * spread)

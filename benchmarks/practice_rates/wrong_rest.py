"""Canonical wrong solutions of the other exercises: Brier score, energy, joint labels, focal loss."""

from __future__ import annotations

from typing import Any

from keras import ops

from benchmarks.practice_rates.right import focal
from benchmarks.practice_rates.wrong_labels import EPSILON, as_logits, log_softmax_of
from crosscheck.calibration import focal_restored

# --- Brier -------------------------------------------------------------------------------------------------


def brier_mean(y: Any, z: Any) -> Any:
    return ops.mean(ops.square(ops.softmax(z, axis=-1) - as_logits(y, z)), axis=-1)


def brier_of_logits(y: Any, z: Any) -> Any:
    return ops.sum(ops.square(z - as_logits(y, z)), axis=-1)


def brier_of_sigmoids(y: Any, z: Any) -> Any:
    return ops.sum(ops.square(ops.sigmoid(z) - as_logits(y, z)), axis=-1)


def brier_unsquared(y: Any, z: Any) -> Any:
    return ops.sum(ops.abs(ops.softmax(z, axis=-1) - as_logits(y, z)), axis=-1)


def brier_root(y: Any, z: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(ops.softmax(z, axis=-1) - as_logits(y, z)), axis=-1))


def brier_true_class(y: Any, z: Any) -> Any:
    return ops.square(1 - ops.sum(ops.softmax(z, axis=-1) * as_logits(y, z), axis=-1))


def brier_overflowing(y: Any, z: Any) -> Any:
    e = ops.exp(z)
    return ops.sum(ops.square(e / ops.sum(e, axis=-1, keepdims=True) - as_logits(y, z)), axis=-1)


def brier_over_batch(y: Any, z: Any) -> Any:
    return ops.sum(ops.square(ops.softmax(z, axis=0) - as_logits(y, z)), axis=-1)


def brier_labels_cast(y: Any, z: Any) -> Any:
    y = ops.cast(ops.cast(y, "int32"), z.dtype)
    return ops.sum(ops.square(ops.softmax(z, axis=-1) - y), axis=-1)


def brier_softmax_twice(y: Any, z: Any) -> Any:
    p = ops.softmax(ops.softmax(z, axis=-1), axis=-1)
    return ops.sum(ops.square(p - as_logits(y, z)), axis=-1)


def brier_clipped(y: Any, z: Any) -> Any:
    p = ops.clip(ops.softmax(z, axis=-1), 1e-3, 1 - 1e-3)
    return ops.sum(ops.square(p - as_logits(y, z)), axis=-1)


# --- energy ------------------------------------------------------------------------------------------------


def energy_sign(z: Any, temperature: float = 1.0) -> Any:
    return temperature * ops.logsumexp(z / temperature, axis=-1)


def energy_overflowing(z: Any, temperature: float = 1.0) -> Any:
    return -temperature * ops.log(ops.sum(ops.exp(z / temperature), axis=-1))


def energy_unscaled(z: Any, temperature: float = 1.0) -> Any:
    return -ops.logsumexp(z / temperature, axis=-1)


def energy_outside_alone(z: Any, temperature: float = 1.0) -> Any:
    return -temperature * ops.logsumexp(z, axis=-1)


def energy_multiplied(z: Any, temperature: float = 1.0) -> Any:
    return -temperature * ops.logsumexp(z * temperature, axis=-1)


def energy_mean(z: Any, temperature: float = 1.0) -> Any:
    return -temperature * (ops.logsumexp(z / temperature, axis=-1) - ops.log(ops.cast(z.shape[-1], z.dtype)))


def energy_largest(z: Any, temperature: float = 1.0) -> Any:
    return -ops.max(z, axis=-1)


def energy_of_softmax(z: Any, temperature: float = 1.0) -> Any:
    """That of normalised logits is 0."""
    return -temperature * ops.logsumexp(ops.log_softmax(z / temperature, axis=-1), axis=-1)


def energy_over_batch(z: Any, temperature: float = 1.0) -> Any:
    return -temperature * ops.logsumexp(z / temperature, axis=0)


def energy_kept_axis(z: Any, temperature: float = 1.0) -> Any:
    return -temperature * ops.logsumexp(z / temperature, axis=-1, keepdims=True)


def energy_guarded(z: Any, temperature: float = 1.0) -> Any:
    """An ε in the logarithm: low logits seem never lower than −16."""
    return -temperature * ops.log(ops.sum(ops.exp(ops.minimum(z / temperature, 80)), axis=-1) + EPSILON)


# --- joint labels ------------------------------------------------------------------------------------------


def outcome(y: Any, places: list[int]) -> Any:
    return ops.sum(ops.cast(y, "int32") * ops.convert_to_tensor(places, dtype="int32"), axis=-1)


def rows_of(y: Any, z: Any, last_highest: bool = False) -> Any:
    places = [2**label for label in range(y.shape[-1])]
    return ops.one_hot(outcome(y, places if last_highest else places[::-1]), z.shape[-1], dtype=z.dtype)


def joint_reversed(y: Any, z: Any) -> Any:
    """The last label has the highest place."""
    return log_softmax_of(rows_of(y, z, last_highest=True), z)


def joint_clipped(y: Any, z: Any) -> Any:
    p = ops.clip(ops.softmax(z, axis=-1), EPSILON, 1 - EPSILON)
    return -ops.sum(rows_of(y, z) * ops.log(p), axis=-1)


def joint_log_of_softmax(y: Any, z: Any) -> Any:
    return -ops.sum(rows_of(y, z) * ops.log(ops.softmax(z, axis=-1)), axis=-1)


def joint_overflowing(y: Any, z: Any) -> Any:
    return ops.log(ops.sum(ops.exp(z), axis=-1)) - ops.sum(rows_of(y, z) * z, axis=-1)


def joint_independent(y: Any, z: Any) -> Any:
    """The first L logits as independent labels."""
    own, y = z[..., : y.shape[-1]], as_logits(y, z)
    return ops.sum(y * ops.softplus(-own) + (1 - y) * ops.softplus(own), axis=-1)


def joint_first_label(y: Any, z: Any) -> Any:
    return log_softmax_of(ops.one_hot(ops.cast(y[..., 0], "int32"), z.shape[-1], dtype=z.dtype), z)


def joint_counted(y: Any, z: Any) -> Any:
    """The number of labels that are 1 taken for the outcome."""
    return log_softmax_of(ops.one_hot(outcome(y, [1] * y.shape[-1]), z.shape[-1], dtype=z.dtype), z)


def joint_per_label(y: Any, z: Any) -> Any:
    return log_softmax_of(rows_of(y, z), z) / y.shape[-1]


def joint_sigmoids(y: Any, z: Any) -> Any:
    """A sigmoid an outcome, as if outcomes did not exclude each other."""
    rows = rows_of(y, z)
    return ops.sum(rows * ops.softplus(-z) + (1 - rows) * ops.softplus(z), axis=-1)


def joint_over_batch(y: Any, z: Any) -> Any:
    return -ops.sum(rows_of(y, z) * ops.log_softmax(z, axis=0), axis=-1)


def joint_mean(y: Any, z: Any) -> Any:
    return ops.mean(log_softmax_of(rows_of(y, z), z))


# --- focal -------------------------------------------------------------------------------------------------


def focal_by_probability(y: Any, z: Any, gamma: float = 2.0) -> Any:
    p = ops.softmax(z, axis=-1)
    return -ops.sum(as_logits(y, z) * ops.power(1 - p, gamma) * ops.log(p), axis=-1)


def focal_clipped(y: Any, z: Any, gamma: float = 2.0) -> Any:
    p = ops.clip(ops.softmax(z, axis=-1), EPSILON, 1 - EPSILON)
    return -ops.sum(as_logits(y, z) * ops.power(1 - p, gamma) * ops.log(p), axis=-1)


def focal_of_p(y: Any, z: Any, gamma: float = 2.0) -> Any:
    """Weighted by p, not by 1 − p."""
    log_p = ops.log_softmax(z, axis=-1)
    return -ops.sum(as_logits(y, z) * ops.exp(gamma * log_p) * log_p, axis=-1)


def focal_two_always(y: Any, z: Any, gamma: float = 2.0) -> Any:
    return focal(y, z, 2.0)


def focal_times_gamma(y: Any, z: Any, gamma: float = 2.0) -> Any:
    log_p = ops.log_softmax(z, axis=-1)
    return -ops.sum(as_logits(y, z) * gamma * -ops.expm1(log_p) * log_p, axis=-1)


def focal_stopped(y: Any, z: Any, gamma: float = 2.0) -> Any:
    """The weight as a constant: the value is right, the gradient is not."""
    log_p = ops.log_softmax(z, axis=-1)
    weight = ops.stop_gradient(ops.power(-ops.expm1(log_p), gamma))
    return -ops.sum(as_logits(y, z) * weight * log_p, axis=-1)


def focal_alpha(y: Any, z: Any, gamma: float = 2.0) -> Any:
    return 0.25 * focal(y, z, gamma)


def focal_mean(y: Any, z: Any, gamma: float = 2.0) -> Any:
    return focal(y, z, gamma) / z.shape[-1]


def focal_over_batch(y: Any, z: Any, gamma: float = 2.0) -> Any:
    log_p = ops.log_softmax(z, axis=0)
    return -ops.sum(as_logits(y, z) * ops.power(-ops.expm1(log_p), gamma) * log_p, axis=-1)


def focal_of_sum(y: Any, z: Any, gamma: float = 2.0) -> Any:
    """(1 − e^−CE)^γ CE: of hard labels the same, of soft ones not."""
    loss = log_softmax_of(as_logits(y, z), z)
    return ops.power(-ops.expm1(-loss), gamma) * loss


def inverse_none(z: Any, gamma: float = 2.0) -> Any:
    return z


def inverse_sharpened(z: Any, gamma: float = 2.0) -> Any:
    """A temperature of 1/(1 + γ), which is another curve."""
    return z * (1 + gamma)


def inverse_by_probability(z: Any, gamma: float = 2.0) -> Any:
    """The formula as it stands: 0/0 where p is 1."""
    p = ops.softmax(z, axis=-1)
    rest = 1 - p
    weight = ops.power(rest, gamma) - gamma * ops.power(rest, gamma - 1) * p * ops.log(p)
    return ops.log(p / weight)


def inverse_upside_down(z: Any, gamma: float = 2.0) -> Any:
    return 2 * ops.log_softmax(z, axis=-1) - focal_restored(z, gamma)


def inverse_normalised(z: Any, gamma: float = 2.0) -> Any:
    """Probabilities in place of logits."""
    return ops.softmax(focal_restored(z, gamma), axis=-1)


def inverse_two_always(z: Any, gamma: float = 2.0) -> Any:
    return focal_restored(z, 2.0)

"""Temperature scaling: logits divided by one number, fitted on held-out examples; and focal loss undone.

Temperature scaling brings confidence closer to how often the model is right, and changes no decision. For one
model, and for replicates::

    calibrated = calibrate(model, x_held_out, y_held_out)  # a Keras model of scaled logits

    temperatures = fit_temperature(replicas.predict(x_held_out), y_held_out)  # [R]
    calibrated = with_temperature(replicas.member(7), temperatures[7])

A model trained on focal loss is underconfident by a known law, which needs no held-out example to undo::

    logits = focal_restored(model.predict(x), gamma=2.0)
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from scipy import optimize, special

from crosscheck import losses
from crosscheck._keras import layer_behind
from crosscheck.metrics import beside, frequencies

__all__ = ["Temperature", "calibrate", "fit_temperature", "focal_restored", "with_temperature"]

REMEDY = (
    "Temperature scaling wants logits: build the model without an activation in its head and train it with "
    "`from_logits=True`. Of one that is trained, set the last layer's `activation` to "
    "`keras.activations.linear`. Of bare probabilities pass ln p, or ln(p / (1 − p)) of a single output."
)


def fit_temperature(logits: Any, labels: Any, replicates: bool = True) -> Any:
    """Returns the T > 0 at which softmax(z/T), or σ(z/T), gives the labels the greatest likelihood.

    The negative log-likelihood is convex in β = 1/T. Its slope Σ_n (E_β[z] − z_y), with E_β the mean over
    classes under softmax(βz), is found zero by Brent's method, in float64.

    Args:
        logits: [N, K], [N, 1] where binary, or [R, N, …] with one model each, as `Replicates.predict` gives
            them; of examples that the model was not trained on.
        labels: integers [N] or [N, 1]; one-hot or soft [N, K]; or [R, N, …] with each replicate's own. Where
            R = N, labels of that shape count as shared unless they have three axes.
        replicates: False where logits of more than two axes, [B, T, K] of sequences say, are one model's:
            every place then counts as an example. Shapes alone do not tell them from replicates'.

    Returns:
        T, or one of each replicate, [R].

    Raises:
        ValueError: if logits are not finite, are probabilities or all alike; if labels do not fit or hold one
            class only; and where no T > 0 is best: with every example right T → 0 is better and better, with
            logits that point away from the labels T → ∞ is. The message names the replicate.

    Source: Guo et al. 2017, section 4.2.

    >>> z = np.array([[4.0, 0.0]] * 4)  # 98 % sure
    >>> round(float(fit_temperature(z, [0, 0, 0, 1])), 4), round(4 / math.log(3), 4)  # 75 % right
    (3.641, 3.641)
    """
    z = np.asarray(logits, "float64")
    if z.ndim > 2 and not replicates:
        z, labels = as_examples(z, np.asarray(labels))
    if z.ndim == 2:
        return temperature_of(z, frequencies_of(labels, z))
    if z.ndim != 3:
        raise ValueError(
            f"`logits` must be [N, K] or [R, N, K], not {list(z.shape)}. Of one model that gives more axes, "
            "say `replicates=False`."
        )
    y = beside(np.asarray(labels), *z.shape[:2])
    temperatures = []
    for r in range(len(z)):
        try:
            temperatures.append(temperature_of(z[r], frequencies_of(y[r], z[r])))
        except ValueError as error:
            raise ValueError(f"Replicate {r}: {error}") from None
    return np.array(temperatures)


def as_examples(z: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits [B, …, K] as [N, K], and labels [B, …], [B, …, 1] or [B, …, K] with them.

    Raises:
        ValueError: if labels do not fit.
    """
    if labels.shape[: z.ndim - 1] != z.shape[:-1]:
        raise ValueError(f"`labels` {list(labels.shape)} and `logits` {list(z.shape)} do not fit.")
    dense = labels.ndim == z.ndim
    return z.reshape(-1, z.shape[-1]), labels.reshape(-1, labels.shape[-1]) if dense else labels.reshape(-1)


def frequencies_of(labels: Any, z: np.ndarray) -> np.ndarray:
    """Returns labels as frequencies of K ≥ 2 classes, [N, K].

    Raises:
        ValueError: where a label is no class, or all are one.
    """
    y = ops.convert_to_numpy(frequencies(np.asarray(labels), np.zeros(z.shape, "float32"))).astype("float64")
    if np.isnan(y).any():
        raise ValueError(f"`labels` must be classes of the {y.shape[-1]}, or frequencies of them.")
    if (y.mean(0) == 1).any():
        raise ValueError(
            f"`labels` hold one class only, {int(y.mean(0).argmax())}: hold out examples of others, too."
        )
    return y


def temperature_of(z: np.ndarray, y: np.ndarray) -> float:
    """Returns T of one model's logits [N, K] or [N, 1] and frequencies [N, K]; see `fit_temperature`."""
    check_logits(z)
    z = np.concatenate([np.zeros_like(z), z], -1) if z.shape[-1] == 1 else z
    z = z - z.max(-1, keepdims=True)
    scale = np.abs(z).max()
    if scale == 0:
        raise ValueError("`logits` of every example are all alike: there is nothing to scale.")
    u, target = z / scale, (y * z).sum() / scale

    def slope(beta: float) -> float:
        return float((special.softmax(beta * u, axis=-1) * u).sum() - target)

    if target == 0:
        raise ValueError(
            "Every example is right, and T → 0 is better and better: hold out more, or harder ones."
        )
    if slope(0.0) >= 0:
        raise ValueError("`logits` point away from the labels: no T > 0 is better than T → ∞, chance.")
    upper = 1.0
    while slope(upper) <= 0:
        upper *= 2
    return float(scale / optimize.brentq(slope, 0.0, upper, xtol=1e-15, rtol=1e-14))


def check_logits(z: np.ndarray) -> None:
    """Raises a ValueError for logits that are not finite, or look like probabilities."""
    if not np.isfinite(z).all():
        raise ValueError(f"`logits` must be finite; {int((~np.isfinite(z)).sum())} of them are not.")
    inside = (z >= 0).all() and (z <= 1).all()
    if inside and (z.shape[-1] == 1 or np.allclose(z.sum(-1), 1, atol=0.01)):
        raise ValueError(f"`logits` look like probabilities: all lie in [0, 1]. {REMEDY}")


@keras.saving.register_keras_serializable(package="crosscheck")
class Temperature(keras.layers.Layer):
    """Divides logits by T. Those in half precision become float32, for rounding could make ties of decisions.

    Args:
        temperature: T > 0.
        kwargs: as in `keras.layers.Layer`.

    Raises:
        ValueError: for a T that is no positive number.
    """

    def __init__(self, temperature: float = 1.0, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        if not 0 < temperature < float("inf"):
            raise ValueError(f"`temperature` must be a positive number, not {temperature}.")
        self.temperature = float(temperature)

    def call(self, logits: Any) -> Any:
        return losses.computed(logits) / self.temperature

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}


def with_temperature(model: keras.Model, temperature: float) -> keras.Model:
    """Returns a model that gives the model's logits divided by T, with the same weights; it is not compiled.

    Raises:
        ValueError: if the model has several outputs or ends in probabilities; the message says what to do.
    """
    outputs = getattr(model, "outputs", None)
    if outputs is None:  # a subclassed model has no graph to go on from
        return keras.Sequential([model, Temperature(temperature)])
    if len(outputs) != 1:
        raise ValueError(f"The model has {len(outputs)} outputs; each wants a temperature of its own.")
    last = last_layer(model)
    if gives_probabilities(last):
        raise ValueError(f'The model ends in probabilities, in layer "{last.name}". {REMEDY}')
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.input  # in the structure it is called with
    return keras.Model(inputs, Temperature(temperature)(outputs[0]))


def last_layer(model: keras.Model) -> keras.Layer:
    """Returns the layer that makes the model's output; where that is a model, the last one within it."""
    last = layer_behind(model.outputs[0])
    return last_layer(last) if getattr(last, "outputs", None) and isinstance(last, keras.Model) else last


def gives_probabilities(layer: keras.Layer) -> bool:
    """Returns whether the layer ends in a sigmoid or a softmax."""
    activations = (keras.activations.sigmoid, keras.activations.softmax)
    return isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) in activations


def calibrate(model: keras.Model, x: Any, y: Any = None, batch_size: int = 1024) -> keras.Model:
    """Returns the model with the temperature that fits held-out examples best.

    Args:
        model: a Keras model that gives logits, [N, K], or [B, T, K] of sequences and the like.
        x: held-out examples, as for `predict`; or, without y, batches of (x, y) as `fit` takes them: a
            `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch `DataLoader`.
        y: their labels, as in `fit_temperature`.
        batch_size: examples a prediction; batches are taken as they come.

    Raises:
        ValueError: as of `fit_temperature` and `with_temperature`; for batches without labels.
    """
    scaled = with_temperature(model, 1.0)  # refuses what gives none
    if y is None:
        logits, y = logits_and_labels(scaled, x)
    else:
        logits = scaled.predict(x, batch_size, verbose=0)
    return with_temperature(model, fit_temperature(logits, y, replicates=False))


def logits_and_labels(model: keras.Model, batches: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns a model's predictions and the labels, over batches of (x, y) or (x, y, weights).

    Raises:
        ValueError: for batches without labels.
    """
    indexed = isinstance(batches, keras.utils.PyDataset)
    logits, labels = [], []
    for batch in (batches[i] for i in range(len(batches))) if indexed else batches:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(tuple(batch) if isinstance(batch, list) else batch)
        if y is None:
            raise ValueError("`calibrate` wants labels: give `y`, or batches of (x, y).")
        logits.append(np.asarray(model.predict_on_batch(x)))
        labels.append(ops.convert_to_numpy(y))
    return np.concatenate(logits), np.concatenate(labels)


def focal_restored(logits: Any, gamma: float = 2.0) -> Any:
    """Returns logits of the probabilities that a model trained on focal loss has in mind.

    The expected focal loss −(1 − p)^γ ln p is least not at the true probabilities, but at flatter ones p,
    which tell the true ones:

        η_k ∝ p_k / ((1 − p_k)^γ − γ (1 − p_k)^(γ−1) p_k ln p_k)

    The order of the classes stays, and with it every decision. It serves Keras' binary and categorical focal
    loss, whatever one number α they are multiplied by; class balancing, label smoothing and class weights are
    not undone. All is computed in logarithms, so that no digit cancels at p near 0 or 1.

    Args:
        logits: [..., K], or [..., 1] where binary, of a model trained on focal loss.
        gamma: γ ≥ 0 of that loss; Keras' default is 2. At γ = 0 the logits stay, up to a constant.

    Returns:
        Logits in the same shape, in float64 if they came so, else in float32: ln η_k, or the log-odds of η.

    Raises:
        ValueError: for a γ that is negative or not a number.

    Source: Charoenphakdee et al. 2021, On focal loss for class-posterior probability estimation.

    >>> p = ops.convert_to_numpy(ops.sigmoid(focal_restored(np.array([[-0.82]]))))
    >>> round(float(p[0, 0]), 3)  # where the true chance is 0.1, focal loss predicts 0.306
    0.1
    """
    if not 0 <= gamma < float("inf"):
        raise ValueError(f"`gamma` must be a number from 0 on, not {gamma}.")
    z = losses.computed(logits)
    binary = z.shape[-1] == 1
    z = ops.concatenate([ops.zeros_like(z), z], axis=-1) if binary else z
    log_p, log_rest = log_shares(z)
    rest = ops.exp(log_rest)
    tiny = rest < keras.config.epsilon() ** 2  # where −ln p / (1 − p) is 1, and 1 − p may underflow
    surprise = ops.where(tiny, ops.ones_like(rest), -log_p / ops.where(tiny, ops.ones_like(rest), rest))
    log_eta = log_p - gamma * log_rest - ops.log1p(gamma * ops.exp(log_p) * surprise)
    if binary:
        return log_eta[..., 1:] - log_eta[..., :1]
    return log_shares(log_eta)[0]


def log_shares(z: Any) -> tuple[Any, Any]:
    """Returns ln p and ln (1 − p) of softmax(z) for logits [..., K ≥ 2], without cancellation.

    Only the greatest probability can be near 1; its 1 − p is summed over the others.
    """
    greatest = ops.one_hot(ops.argmax(z, axis=-1), z.shape[-1], dtype="bool")
    top = ops.max(z, axis=-1, keepdims=True)
    low = ops.where(greatest, ops.full_like(z, -float("inf")), z - top)
    second = ops.max(low, axis=-1, keepdims=True)
    others = second + ops.log(ops.sum(ops.exp(low - second), axis=-1, keepdims=True))  # over the greatest
    total = ops.log1p(ops.exp(others))
    log_p = ops.where(greatest, -total, z - top - total)
    small = ops.where(greatest, -ops.ones_like(z), log_p)  # not above ln ½
    log_rest = ops.where(greatest, others - total, ops.log1p(-ops.exp(small)))
    return log_p, log_rest

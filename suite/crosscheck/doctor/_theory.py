"""What a loss should be, of what a model predicts: values in float64, from the textbook's formulas."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import keras
import numpy as np

from crosscheck._keras import is_of_keras
from crosscheck.doctor._graph import first_line
from crosscheck.errors import UsageError
from crosscheck.losses import LogitLoss

Labels = Literal["one-hot", "classes", "column", "labels", "outcomes"]
NUMBERED: dict[str, tuple[int, ...]] = {
    "classes": (),
    "column": (1,),
}  # and their last axis
Value = Callable[..., float]
STEP = 1e-3  # of the central difference; the third derivative of every formula here is at most of order 1


@dataclass(frozen=True)
class Prediction:
    """What a model predicts at one place: ln p and ln(1 − p) of each output, [K]."""

    log_p: np.ndarray
    log_q: np.ndarray

    @property
    def p(self) -> np.ndarray:
        return np.exp(self.log_p)


@dataclass(frozen=True)
class Theory:
    """A loss in theory.

    Attributes:
        value: (labels [K], prediction, parameters) → loss.
        labels: the form in which it takes them.
        activation: what turns logits into what it is of: "softmax" or "sigmoid".
        takes_logits: whether it wants logits, or probabilities.
        parameters: of the value.
        ignored: the class that does not count, or None.
        axis: of the classes.
        fades: whether gradients of confident errors fade by its nature.
    """

    value: Value
    labels: Labels
    activation: str
    takes_logits: bool
    parameters: Mapping[str, Any] = field(default_factory=dict)
    ignored: int | None = None
    axis: int = -1
    fades: bool = False

    def __call__(self, y: np.ndarray, prediction: Prediction) -> float:
        return self.value(y, prediction, **self.parameters)


def crossentropy(y: np.ndarray, prediction: Prediction, label_smoothing: float = 0.0) -> float:
    """−Σ y ln p, of probabilities that are scaled to sum to 1."""
    total = np.logaddexp.reduce(prediction.log_p)
    smoothed = y * (1 - label_smoothing) + label_smoothing / len(y)
    return float(-np.sum(smoothed * (prediction.log_p - total)))


def focal(
    y: np.ndarray, prediction: Prediction, alpha: Any = 0.25, gamma: float = 2.0, label_smoothing: float = 0.0
) -> float:
    """−Σ α y (1 − p)^γ ln p, of probabilities that are scaled to sum to 1."""
    smoothed = y * (1 - label_smoothing) + label_smoothing / len(y)
    log_p = prediction.log_p - np.logaddexp.reduce(prediction.log_p)
    missed = np.exp(log_of_rest(log_p) * gamma)
    return float(-np.sum(np.asarray(alpha) * smoothed * missed * log_p))


def binary_crossentropy(y: np.ndarray, prediction: Prediction, label_smoothing: float = 0.0) -> float:
    """−y ln p − (1 − y) ln(1 − p), averaged over the outputs."""
    y = y * (1 - label_smoothing) + label_smoothing / 2
    return float(np.mean(-y * prediction.log_p - (1 - y) * prediction.log_q))


def binary_focal(
    y: np.ndarray,
    prediction: Prediction,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
) -> float:
    """(1 − p_t)^γ times cross-entropy; balanced, times y α + (1 − y)(1 − α)."""
    y = y * (1 - label_smoothing) + label_smoothing / 2
    p, q = np.exp(prediction.log_p), np.exp(prediction.log_q)
    missed = (y * q + (1 - y) * p) ** gamma
    weight = y * alpha + (1 - y) * (1 - alpha) if apply_class_balancing else 1.0
    return float(np.mean(weight * missed * (-y * prediction.log_p - (1 - y) * prediction.log_q)))


def divergence(y: np.ndarray, prediction: Prediction) -> float:
    """Σ y ln(y / p), with 0 ln 0 = 0."""
    happened = y > 0
    return float(np.sum(y[happened] * (np.log(y[happened]) - prediction.log_p[happened])))


def squared(y: np.ndarray, prediction: Prediction) -> float:
    """The mean of (p − y)²."""
    return float(np.mean(np.square(prediction.p - y)))


def absolute(y: np.ndarray, prediction: Prediction) -> float:
    """The mean of |p − y|."""
    return float(np.mean(np.where(y > 0.5, np.exp(prediction.log_q), prediction.p)))


def log_of_rest(log_p: np.ndarray) -> np.ndarray:
    """ln(1 − p) of each class, from ln p of all: no digit cancels where p is near 1."""
    if len(log_p) == 1:
        return np.array([-np.inf])
    top = int(np.argmax(log_p))
    with np.errstate(divide="ignore"):
        rest = np.log1p(-np.exp(np.minimum(log_p, 0)))
    rest[top] = np.logaddexp.reduce(np.delete(log_p, top))
    return rest


def softmax(logits: np.ndarray) -> Prediction:
    log_p = logits - np.logaddexp.reduce(logits)
    return Prediction(log_p, log_of_rest(log_p))


def sigmoid(logits: np.ndarray) -> Prediction:
    return Prediction(-np.logaddexp(0, -logits), -np.logaddexp(0, logits))


ACTIVATIONS = {"softmax": softmax, "sigmoid": sigmoid}
BY_NAME: dict[str, tuple[Value, Labels, str, bool]] = {  # value, labels, activation, whether it fades
    "binary_crossentropy": (binary_crossentropy, "labels", "sigmoid", False),
    "binary_focal_crossentropy": (binary_focal, "labels", "sigmoid", False),
    "categorical_crossentropy": (crossentropy, "one-hot", "softmax", False),
    "categorical_focal_crossentropy": (focal, "one-hot", "softmax", False),
    "sparse_categorical_crossentropy": (crossentropy, "classes", "softmax", False),
    "joint_crossentropy": (crossentropy, "outcomes", "softmax", False),
    "kl_divergence": (divergence, "one-hot", "softmax", False),
    "brier": (squared, "labels", "sigmoid", True),
    "categorical_brier": (squared, "one-hot", "softmax", True),
    "mean_squared_error": (squared, "labels", "sigmoid", True),
    "mean_absolute_error": (absolute, "labels", "sigmoid", True),
}
PARAMETERS = ("label_smoothing", "alpha", "gamma", "apply_class_balancing")
OF_PROBABILITIES = ("kl_divergence", "mean_squared_error", "mean_absolute_error")


def function_name(loss: Any) -> str:
    """`binary_crossentropy` for the function of this name and for objects of the class."""
    if isinstance(loss, LogitLoss):
        return type(loss).function.__name__
    function = getattr(loss, "fn", loss)
    return getattr(function, "__name__", type(loss).__name__)


def loss_name(loss: Any) -> str:
    """The name of a loss as a diagnosis shows it, with "from logits" where it is told to take them."""
    name = getattr(loss, "__name__", type(loss).__name__)
    return f"{name} from logits" if is_told_logits(loss) else name


def is_told_logits(loss: Any) -> bool:
    """Whether a loss takes logits by what it is: one of ours, or one with `from_logits`."""
    config = config_of(loss)
    return isinstance(loss, LogitLoss) or bool(config.get("from_logits"))


def config_of(loss: Any) -> dict[str, Any]:
    """The arguments of a loss that is an object; of a bound function too."""
    if hasattr(loss, "get_config"):
        try:
            return loss.get_config()
        except Exception:  # one of the user's own, which cannot tell
            return {}
    return dict(getattr(loss, "keywords", {}))


def is_known_by_name(loss: Any) -> bool:
    """Whether a loss is Keras' or ours, whose name tells what it is; a user's own may have any name."""
    function = getattr(loss, "fn", loss) if type(loss).__module__.startswith("keras.") else loss
    kind = function if hasattr(function, "__module__") and hasattr(function, "__name__") else type(function)
    module = getattr(kind, "__module__", "") or ""
    return isinstance(loss, LogitLoss) or module.startswith("crosscheck.") or is_of_keras(kind)


def theory_by_name(loss: Any) -> Theory | None:
    """The theory of a loss of Keras' or of ours; None for any other."""
    name = function_name(loss)
    if not is_known_by_name(loss) or name not in BY_NAME:
        return None
    value, labels, activation, fades = BY_NAME[name]
    config = config_of(loss)
    known = {k: config[k] for k in PARAMETERS if k in config and config[k] is not None}
    if value in (divergence, squared, absolute) and "label_smoothing" in known:
        known.pop("label_smoothing")
    return Theory(
        value,
        labels,
        activation,
        is_told_logits(loss),
        known,
        config.get("ignore_class"),
        config.get("axis") or -1,
        fades,
    )


def recognised(loss: Any, k: int, shape: tuple[int, ...]) -> Theory | None:
    """The theory that has a loss' values, of logits also on rows beyond [0, 1]; None if none has.

    Within [0, 1] alone a penalty on large logits is too small to be seen.

    Args:
        loss: (y_true, y_pred) → values.
        k: outputs.
        shape: of predictions, the classes last.
    """
    rng = np.random.default_rng(0)
    samples = [rng.dirichlet(np.full(k, 2.0)) if k > 1 else rng.uniform(0.1, 0.9, 1) for _ in range(4)]
    far = [rng.normal(0, 3, k) for _ in range(4)]
    for theory in candidates(k):
        rows = samples + far if theory.takes_logits else samples
        try:
            leaves_out = (
                k > 2 and theory.labels in NUMBERED and not counts_first(loss, theory, samples, shape)
            )
            classes = range(1, k) if leaves_out else range(max(k, 2))
            pairs = [
                (value_at(loss, theory, u, label, shape), exact(theory, u, label))
                for u, label in zip(rows, itertools.cycle(classes), strict=False)
            ]
        except Exception:  # it takes labels of another form
            continue
        values, theirs = np.array(pairs).T
        if np.isfinite(values).all() and np.abs(theirs).min() > 0:
            ratio = values / theirs
            if ratio.min() > 0 and np.ptp(ratio) < 1e-3 * ratio.max():
                return replace(theory, ignored=0) if leaves_out else theory
    return None


def counts_first(loss: Any, theory: Theory, samples: Sequence[np.ndarray], shape: tuple[int, ...]) -> bool:
    """Whether the loss of class 0 is a number that goes by the outputs: padding's is none, or always 0."""
    values = [value_at(loss, theory, u, 0, shape) for u in samples[:2]]
    return bool(np.isfinite(values).all()) and values[0] != values[1]


def candidates(k: int) -> Iterator[Theory]:
    """Yields what a loss of one's own may be, for k outputs."""
    smoothings: list[dict[str, Any]] = [{}, *({"label_smoothing": a} for a in (0.05, 0.1, 0.2))]
    focals: list[dict[str, Any]] = [{"gamma": g} for g in (2.0, 1.0, 3.0, 5.0, 0.5)]
    for takes_logits in (True, False):
        for parameters in smoothings:
            if k > 1:
                yield Theory(crossentropy, "classes", "softmax", takes_logits, parameters)
                yield Theory(crossentropy, "column", "softmax", takes_logits, parameters)
                yield Theory(crossentropy, "one-hot", "softmax", takes_logits, parameters)
            yield Theory(binary_crossentropy, "labels", "sigmoid", takes_logits, parameters)
        for parameters in focals:
            if k > 1:
                yield Theory(focal, "one-hot", "softmax", takes_logits, parameters)
                yield Theory(focal, "classes", "softmax", takes_logits, parameters)
            for balanced in (False, True):
                more = {**parameters, "apply_class_balancing": balanced}
                yield Theory(binary_focal, "labels", "sigmoid", takes_logits, more)


def exact(theory: Theory, u: np.ndarray, label: int) -> float:
    """The theory's value at outputs u with this label."""
    if theory.takes_logits:
        prediction = ACTIVATIONS[theory.activation](u)
    elif theory.activation == "softmax":
        prediction = softmax(np.log(u))
    else:
        prediction = Prediction(np.log(u), np.log1p(-u))
    return theory(row(len(u), label), prediction)


def value_at(loss: Any, theory: Theory, u: np.ndarray, label: int, shape: tuple[int, ...]) -> float:
    """The loss' mean value where the outputs are u everywhere."""
    out = np.broadcast_to(u, shape).astype("float32")
    y = row(len(u), label)
    if theory.labels in NUMBERED:
        labels: Any = np.full((*shape[:-1], *NUMBERED[theory.labels]), label, "int32")
    else:
        labels = np.broadcast_to(y, shape).astype("float32")
    value = loss(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(out))
    return float(np.mean(keras.ops.convert_to_numpy(value)))


def labels_taken(loss: Any, k: int, shape: tuple[int, ...]) -> str:
    """The labels that a loss of one's own can be called with: a `Labels`; "" for one output.

    Where it can be called with both rows and class numbers, its name tells; rows are none where it does not
    matter which of two classes they name.

    Raises:
        UsageError: where it can be called with neither.
    """
    if k < 2:
        return ""
    errors, taken, uneven = [], [], np.arange(1, k + 1) / np.arange(1, k + 1).sum()
    for form in ("one-hot", *NUMBERED):
        theory = Theory(crossentropy, cast(Labels, form), "softmax", True)
        try:
            values = [value_at(loss, theory, uneven, label, shape) for label in (1, min(k - 1, 2))]
            if np.isfinite(values).all() and (k == 2 or values[0] != values[1]):
                taken.append(form)
        except Exception as error:
            errors.append(first_line(error))
    if not taken and errors:
        raise UsageError(
            f"{function_name(loss)} can be called neither with rows of labels {shape} nor with class numbers "
            f"{shape[:-1]}: {errors[-1]} `crosscheck audit` says what such a loss takes."
        )
    numbered = [form for form in taken if form in NUMBERED]
    by_name = "sparse" in function_name(loss).lower()
    return numbered[0] if numbered and (by_name or taken[0] != "one-hot") else "one-hot"


def one_hot(k: int, i: int) -> np.ndarray:
    """A row of k numbers, 1 at i: a whole identity matrix of a vocabulary would take gigabytes."""
    return (np.arange(k) == i).astype(float)


def row(k: int, label: int) -> np.ndarray:
    """Labels of k outputs, of which the one named is 1; of a single one, the label itself."""
    return np.array([float(label > 0)]) if k == 1 else one_hot(k, label)


def slope(theory: Theory, y: np.ndarray, logits: Callable[[float], np.ndarray], kind: str, t: float) -> float:
    """dL/dt along a line of logits, of what the model predicts there: a softmax or a sigmoid of them."""
    above, below = (theory(y, ACTIVATIONS[kind](np.asarray(logits(t + h), float))) for h in (STEP, -STEP))
    return (above - below) / (2 * STEP)

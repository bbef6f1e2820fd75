"""Random sound losses: a formula of logits in one of its stable forms, changed as people change it.

Temperature, class weights, smoothing, a permutation of the labels, a focal factor, Brier's score mixed in; as
a class or a function, reduced by Keras or by itself; each with its formula in mpmath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops
from keras.src.backend import get_keras_mask  # there is no public way

from benchmarks.audit_rates.draws import Draw, Made
from crosscheck.audit.contract import KINDS, Kind
from crosscheck.audit.theories import Theory, class_brier, class_crossentropy, label_brier, label_crossentropy

K = 3
Values = Callable[[Any, Any], Any]  # labels and logits, checked and of one dtype, to one value a label or row

CLASS_FORMS: dict[str, Values] = {
    "log_softmax": lambda y, z: -ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1),
    "logsumexp less the true logit": lambda y, z: (
        ops.logsumexp(z, axis=-1) * ops.sum(y, axis=-1) - ops.sum(y * z, axis=-1)
    ),
    "logsumexp of differences": lambda y, z: ops.sum(
        y * ops.logsumexp(z[..., None, :] - z[..., :, None], axis=-1), axis=-1
    ),
    "largest logit taken off": lambda y, z: ops.sum(
        y
        * (
            ops.log(ops.sum(ops.exp(z - ops.max(z, axis=-1, keepdims=True)), axis=-1, keepdims=True))
            - (z - ops.max(z, axis=-1, keepdims=True))
        ),
        axis=-1,
    ),
}
LABEL_FORMS: dict[str, Values] = {
    "softplus twice": lambda y, z: y * ops.softplus(-z) + (1 - y) * ops.softplus(z),
    "softplus less y z": lambda y, z: ops.softplus(z) - y * z,
    "log_sigmoid": lambda y, z: -y * ops.log_sigmoid(z) - (1 - y) * ops.log_sigmoid(-z),
    "logsumexp with 0": lambda y, z: ops.logsumexp(ops.stack([ops.zeros_like(z), z]), axis=0) - y * z,
}


@dataclass(frozen=True)
class Recipe:
    """What a random loss computes: tensors by `values`, exactly by `formula`."""

    about: str
    kind: Kind
    values: Values
    formula: Theory


Change = Callable[[Draw, Recipe], Recipe]


def sound(draw: Draw) -> Made:
    """A random sound loss."""
    found = recipe(draw)
    shape = draw.among(("class", "class that smooths", "function", "class that reduces"))
    return wrapped(found, shape)


def recipe(draw: Draw, kinds: tuple[Kind, ...] = KINDS, changes: tuple[Change, ...] | None = None) -> Recipe:
    """A form of cross-entropy for labels of one of these kinds, with one of these changes."""
    kind = draw.among(kinds)
    classes = kind in ("categorical", "sparse")
    form = draw.among(tuple(CLASS_FORMS if classes else LABEL_FORMS))
    plain = (CLASS_FORMS if classes else LABEL_FORMS)[form]
    found = Recipe(form, kind, plain, theory(kind, class_crossentropy if classes else label_crossentropy))
    change = draw.among(changes or (CHANGES if classes else CHANGES[:4]))
    return change(draw, found)


def theory(kind: Kind, formula: Callable[..., Any]) -> Theory:
    exact = lambda z, y: formula(z, y, 0)
    return Theory(exact, "classes" if kind in ("categorical", "sparse") else "labels")


def plain(draw: Draw, of: Recipe) -> Recipe:
    return of


def tempered(draw: Draw, of: Recipe) -> Recipe:
    """Logits over a temperature."""
    t = draw.number(0.5, 4)
    colder = lambda z: [each / t for each in z] if isinstance(z, list) else z / t
    exact = Theory(lambda z, y: of.formula.formula(colder(z), y), of.formula.over)
    return Recipe(f"{of.about}, temperature {t}", of.kind, lambda y, z: of.values(y, z / t), exact)


def smoothed(draw: Draw, of: Recipe) -> Recipe:
    """Labels mixed with the uniform ones."""
    a = draw.number(0, 0.5)
    k = K if of.formula.over == "classes" else 2

    def mix(y: Any) -> Any:
        return [mix(each) for each in y] if isinstance(y, list) else y * (1 - a) + a / k

    exact = Theory(lambda z, y: of.formula.formula(z, mix(y)), of.formula.over)
    return Recipe(f"{of.about}, smoothed by {a}", of.kind, lambda y, z: of.values(mix(y), z), exact)


def mixed(draw: Draw, of: Recipe) -> Recipe:
    """Some of Brier's score added, which is bounded and smooth."""
    c = draw.number(0.25, 2)
    classes = of.formula.over == "classes"
    brier = class_brier if classes else label_brier

    def values(y: Any, z: Any) -> Any:
        miss = ops.square((ops.softmax(z, axis=-1) if classes else ops.sigmoid(z)) - y)
        return of.values(y, z) + c * (ops.sum(miss, axis=-1) if classes else miss)

    exact = Theory(lambda z, y: of.formula.formula(z, y) + c * brier(z, y), of.formula.over)
    return Recipe(f"{of.about}, with {c} of Brier's score", of.kind, values, exact)


def weighted(draw: Draw, of: Recipe) -> Recipe:
    """A weight for each class."""
    w = [draw.number(0.25, 4) for _ in range(K)]
    exact = Theory(
        lambda z, y: of.formula.formula(z, [a * b for a, b in zip(w, y, strict=True)]), of.formula.over
    )
    values = lambda y, z: of.values(y * ops.cast(ops.array(w), z.dtype), z)
    return Recipe(f"{of.about}, class weights {w}", of.kind, values, exact)


def permuted(draw: Draw, of: Recipe) -> Recipe:
    """Labels numbered in another order than the logits."""
    order = draw.among(((1, 2, 0), (2, 0, 1), (1, 0, 2)))
    exact = Theory(lambda z, y: of.formula.formula(z, [y[i] for i in order]), of.formula.over)
    values = lambda y, z: of.values(ops.take(y, ops.array(order), axis=-1), z)
    return Recipe(f"{of.about}, labels in the order {order}", of.kind, values, exact)


CHANGES: tuple[Change, ...] = (plain, tempered, smoothed, mixed, weighted, permuted)


def rows(kind: Kind, y: Any, z: Any) -> Any:
    """Labels in rows, in the dtype of z; what is no class has none and makes its example's loss NaN.

    Raises:
        ValueError: where labels and predictions do not pair.
    """
    if len(z.shape) < 2:
        raise ValueError("Predictions must have an axis for the labels.")
    y = ops.convert_to_tensor(y)
    if kind == "sparse":
        y = ops.squeeze(y, -1) if len(y.shape) == len(z.shape) and y.shape[-1] == 1 else y
        y = (
            y
            if keras.backend.is_int_dtype(keras.backend.standardize_dtype(y.dtype))
            else ops.cast(y, z.dtype)
        )
        if tuple(y.shape) != tuple(z.shape[:-1]):
            raise ValueError("Labels and predictions differ in shape.")
        hot = ops.cast(ops.equal(y[..., None], ops.cast(ops.arange(K), y.dtype)), z.dtype)
        known = ops.any(hot > 0, axis=-1, keepdims=True)
        return ops.where(known, hot, ops.cast(float("nan"), z.dtype))
    y = ops.expand_dims(y, -1) if kind == "binary" and len(y.shape) < len(z.shape) else y
    if tuple(y.shape) != tuple(z.shape):
        raise ValueError("Labels and predictions differ in shape.")
    return ops.cast(y, z.dtype)


def per_example(recipe: Recipe, y: Any, z: Any) -> Any:
    """[N] or [N, T]: the mean over labels."""
    z = ops.convert_to_tensor(z)
    low = keras.backend.standardize_dtype(z.dtype) in ("float16", "bfloat16")
    wide = ops.cast(z, "float32") if low else z
    found = recipe.values(rows(recipe.kind, y, wide), wide)
    return found if recipe.formula.over == "classes" else ops.mean(found, axis=-1)


def wrapped(of: Recipe, shape: str) -> Made:
    """As a class or a function."""
    about = f"{of.kind}, a {shape}: {of.about}"
    if shape == "function":
        return Made(about, lambda: function(of), of.kind, of.formula, False)
    base = {"class": Plain, "class that smooths": Smoothing, "class that reduces": Reducing}[shape]
    made = type("Loss", (base,), {"recipe": of})
    return Made(about, made, of.kind, of.formula, True)


def function(of: Recipe) -> Callable[[Any, Any], Any]:
    def random_loss(y_true: Any, y_pred: Any) -> Any:
        return per_example(of, y_true, y_pred)

    return random_loss


class Plain(keras.losses.Loss):
    """Tells its whole config."""

    recipe: Recipe

    def __init__(self, reduction="sum_over_batch_size", name=None, dtype=None):
        super().__init__(reduction=reduction, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return per_example(self.recipe, y_true, y_pred)


class Smoothing(Plain):
    """With a smoothing of its own, 0 by default, after Keras' convention."""

    def __init__(self, label_smoothing=0.0, **arguments):
        super().__init__(**arguments)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must lie in [0, 1], not {label_smoothing}.")
        self.label_smoothing = label_smoothing

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}

    def smooth(self, y: Any, k: int) -> Any:
        return y * (1 - self.label_smoothing) + self.label_smoothing / k

    def call(self, y_true: Any, y_pred: Any) -> Any:
        of = self.recipe
        k = K if of.formula.over == "classes" else 2
        return per_example(
            Recipe(of.about, of.kind, lambda y, z: of.values(self.smooth(y, k), z), of.formula),
            y_true,
            y_pred,
        )


class Reducing(Plain):
    """Weighs and reduces by itself, in float32 at least; masks are left to Keras."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if self.reduction is None or get_keras_mask(y_pred) is not None:
            return super().__call__(y_true, y_pred, sample_weight)
        wide = "float64" if self.dtype == "float64" else "float32"
        values = self.call(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred, dtype=wide))
        if sample_weight is not None:
            weight = ops.cast(ops.convert_to_tensor(sample_weight), values.dtype)
            values = values * (weight if len(weight.shape) == len(values.shape) else weight[..., None])
        return ops.sum(values) if self.reduction == "sum" else ops.mean(values)

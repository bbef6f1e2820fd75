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

from benchmarks.audit_rates.choices import Choices, RandomLoss
from crosscheck._keras import mask_of
from crosscheck.audit.contract import Kind
from crosscheck.audit.theories import (
    LossTheory,
    class_brier,
    class_crossentropy,
    label_brier,
    label_crossentropy,
)

K = 3
ALL: tuple[Kind, ...] = ("binary", "categorical", "sparse", "multilabel")
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
    """What a random loss computes: tensors by `values`, exactly by `theory`."""

    about: str
    kind: Kind
    values: Values
    theory: LossTheory


Change = Callable[[Choices, Recipe], Recipe]


def sound(choices: Choices) -> RandomLoss:
    """A random sound loss."""
    random_recipe = recipe(choices)
    shape = choices.one_of(("class", "class that smooths", "function", "class that reduces"))
    return as_loss(random_recipe, shape)


def recipe(
    choices: Choices, kinds: tuple[Kind, ...] = ALL, changes: tuple[Change, ...] | None = None
) -> Recipe:
    """A form of cross-entropy for labels of one of these kinds, with one of these changes."""
    kind = choices.one_of(kinds)
    classes = kind in ("categorical", "sparse")
    form = choices.one_of(tuple(CLASS_FORMS if classes else LABEL_FORMS))
    plain = (CLASS_FORMS if classes else LABEL_FORMS)[form]
    unchanged = Recipe(
        form, kind, plain, theory_of(kind, class_crossentropy if classes else label_crossentropy)
    )
    change = choices.one_of(changes or (CHANGES if classes else CHANGES[:4]))
    return change(choices, unchanged)


def theory_of(kind: Kind, formula: Callable[..., Any]) -> LossTheory:
    exact = lambda z, y: formula(z, y, 0)
    return LossTheory(exact, "classes" if kind in ("categorical", "sparse") else "labels")


def plain(choices: Choices, recipe: Recipe) -> Recipe:
    return recipe


def tempered(choices: Choices, recipe: Recipe) -> Recipe:
    """Logits over a temperature."""
    t = choices.number(0.5, 4)
    colder = lambda z: [logit / t for logit in z] if isinstance(z, list) else z / t
    exact = LossTheory(lambda z, y: recipe.theory.formula(colder(z), y), recipe.theory.over)
    return Recipe(
        f"{recipe.about}, temperature {t}", recipe.kind, lambda y, z: recipe.values(y, z / t), exact
    )


def smoothed(choices: Choices, recipe: Recipe) -> Recipe:
    """Labels mixed with the uniform ones."""
    a = choices.number(0, 0.5)
    of_classes = recipe.theory.over == "classes"

    def mix(y: Any) -> Any:
        if isinstance(y, list):
            return [label * (1 - a) + a / len(y) for label in y]
        return y * (1 - a) + a / (y.shape[-1] if of_classes else 2)

    exact = LossTheory(lambda z, y: recipe.theory.formula(z, mix(y)), recipe.theory.over)
    return Recipe(
        f"{recipe.about}, smoothed by {a}", recipe.kind, lambda y, z: recipe.values(mix(y), z), exact
    )


def mixed(choices: Choices, recipe: Recipe) -> Recipe:
    """Some of Brier's score added, which is bounded and smooth."""
    c = choices.number(0.25, 2)
    classes = recipe.theory.over == "classes"
    brier = class_brier if classes else label_brier

    def values(y: Any, z: Any) -> Any:
        miss = ops.square((ops.softmax(z, axis=-1) if classes else ops.sigmoid(z)) - y)
        return recipe.values(y, z) + c * (ops.sum(miss, axis=-1) if classes else miss)

    exact = LossTheory(lambda z, y: recipe.theory.formula(z, y) + c * brier(z, y), recipe.theory.over)
    return Recipe(f"{recipe.about}, with {c} of Brier's score", recipe.kind, values, exact)


def weighted(choices: Choices, recipe: Recipe) -> Recipe:
    """A weight for each class."""
    w = [choices.number(0.25, 4) for _ in range(K)]
    exact = LossTheory(
        lambda z, y: recipe.theory.formula(z, [a * b for a, b in zip(w, y, strict=True)]), recipe.theory.over
    )
    values = lambda y, z: recipe.values(y * ops.cast(ops.array(w), z.dtype), z)
    return Recipe(f"{recipe.about}, class weights {w}", recipe.kind, values, exact)


def permuted(choices: Choices, recipe: Recipe) -> Recipe:
    """Labels numbered in another order than the logits."""
    order = choices.one_of(((1, 2, 0), (2, 0, 1), (1, 0, 2)))
    exact = LossTheory(lambda z, y: recipe.theory.formula(z, [y[i] for i in order]), recipe.theory.over)
    values = lambda y, z: recipe.values(ops.take(y, ops.array(order), axis=-1), z)
    return Recipe(f"{recipe.about}, labels in the order {order}", recipe.kind, values, exact)


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
        one_hot = ops.cast(ops.equal(y[..., None], ops.cast(ops.arange(K), y.dtype)), z.dtype)
        is_class = ops.any(one_hot > 0, axis=-1, keepdims=True)
        return ops.where(is_class, one_hot, ops.cast(float("nan"), z.dtype))
    y = ops.expand_dims(y, -1) if kind == "binary" and len(y.shape) < len(z.shape) else y
    if tuple(y.shape) != tuple(z.shape):
        raise ValueError("Labels and predictions differ in shape.")
    return ops.cast(y, z.dtype)


def per_example(recipe: Recipe, y: Any, z: Any) -> Any:
    """[N] or [N, T]: the mean over labels."""
    z = ops.convert_to_tensor(z)
    is_half = keras.backend.standardize_dtype(z.dtype) in ("float16", "bfloat16")
    wide = ops.cast(z, "float32") if is_half else z
    losses = recipe.values(rows(recipe.kind, y, wide), wide)
    return losses if recipe.theory.over == "classes" else ops.mean(losses, axis=-1)


def as_loss(recipe: Recipe, shape: str) -> RandomLoss:
    """A loss that computes the recipe: a function, or one of the classes below."""
    about = f"{recipe.kind}, a {shape}: {recipe.about}"
    if shape == "function":
        return RandomLoss(about, lambda: function(recipe), recipe.kind, recipe.theory, False)
    base = {"class": Plain, "class that smooths": Smoothing, "class that reduces": Reducing}[shape]
    loss_class = type("Loss", (base,), {"recipe": recipe})
    return RandomLoss(about, loss_class, recipe.kind, recipe.theory, True)


def function(recipe: Recipe) -> Callable[[Any, Any], Any]:
    def random_loss(y_true: Any, y_pred: Any) -> Any:
        return per_example(recipe, y_true, y_pred)

    return random_loss


class Plain(keras.losses.Loss):
    """A class whose `get_config` holds every argument."""

    recipe: Recipe

    def __init__(self, reduction="sum_over_batch_size", name=None, dtype=None):
        super().__init__(reduction=reduction, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return per_example(self.recipe, y_true, y_pred)


class Smoothing(Plain):
    """A class with a `label_smoothing`, 0 by default, after Keras' convention."""

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
        recipe = self.recipe
        k = K if recipe.theory.over == "classes" else 2
        return per_example(
            Recipe(
                recipe.about, recipe.kind, lambda y, z: recipe.values(self.smooth(y, k), z), recipe.theory
            ),
            y_true,
            y_pred,
        )


class Reducing(Plain):
    """A class that weighs and reduces by itself, in float32 at least; masks are left to Keras."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if self.reduction in (None, "none") or mask_of(y_pred) is not None:
            return super().__call__(y_true, y_pred, sample_weight)
        wide = "float64" if self.dtype == "float64" else "float32"
        values = self.call(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred, dtype=wide))
        if sample_weight is not None:
            weight = ops.cast(ops.convert_to_tensor(sample_weight), values.dtype)
            values = values * ops.reshape(weight, (-1, *[1] * (len(values.shape) - 1)))
        return ops.sum(values) if self.reduction == "sum" else ops.mean(values)

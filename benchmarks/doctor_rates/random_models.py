"""Random models: a head that gives logits, what is behind it, a loss, a policy; sound, or with a fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.doctor_rates import mathematics as exact
from crosscheck import losses

L, S = keras.layers, keras.losses
Tail = Callable[[np.ndarray], np.ndarray]
POLICIES = ("float32", "float32", "float32", "mixed_bfloat16", "mixed_float16", "float64")


@dataclass
class Recipe:
    """A random model as it is put together.

    Attributes:
        family: "softmax" or "sigmoid", which the loss wants.
        units: logits.
        words: its parts, in words.
        shape, dtype: of its input.
        before: layers before the one of the logits.
        heads: the layers that make the logits; their outputs are averaged.
        behind: what follows.
        tail: the logits that are meant, of the head's.
        predicted: ln p and ln(1 − p) of these, as the model predicts.
        loss: as `compile` takes it; `value`, in theory; `labels`, their form.
        wrapper: how the model is put together.
    """

    family: str
    units: int
    policy: str = "float32"
    words: list[str] = field(default_factory=list)
    shape: tuple[int | None, ...] = (3,)
    dtype: str = "float32"
    before: list[Any] = field(default_factory=list)
    heads: list[Any] = field(default_factory=list)
    behind: list[Any] = field(default_factory=list)
    tail: Tail = lambda z: z
    predicted: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] = exact.of_softmax
    loss: Any = None
    value: Callable[..., float] = exact.class_crossentropy
    labels: str = "one-hot"
    wrapper: str = "functional"
    wide: int = 1  # how many rows of logits the head's bias holds

    def add(self, word: str, *layers: Any, tail: Tail | None = None) -> None:
        self.words.append(word)
        self.behind += layers
        if tail is not None:
            before = self.tail
            self.tail = lambda z: tail(before(z))

    def __str__(self) -> str:
        return f"{', '.join(self.words)}; {self.policy}, {self.wrapper}"


@keras.saving.register_keras_serializable(package="doctor_rates")
class Subclassed(keras.Model):
    """Calls layers one after another; it has no `get_config`."""

    def __init__(self, before, heads, behind):
        super().__init__()
        self.before, self.heads, self.behind = before, heads, behind

    def call(self, x):
        return chained(x, self.before, self.heads, self.behind)


class OwnStep(Subclassed):
    """A loss of its own that is Keras' times a number."""

    factor = 1.5

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.factor * super().compute_loss(x, y, y_pred, sample_weight, training)


class Capping(Subclassed):
    """A loss of its own that throws large errors away."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.minimum(super().compute_loss(x, y, y_pred, sample_weight, training), 4.0)


def chained(x: Any, before: Any, heads: Any, behind: Any) -> Any:
    for layer in before:
        x = layer(x)
    logits = [head(x) for head in heads]
    x = logits[0] if len(logits) == 1 else L.Average()(logits)
    for layer in behind:
        x = layer(x)
    return x


def build(recipe: Recipe) -> keras.Model:
    """The model, built and compiled."""
    parts = (recipe.before, recipe.heads, recipe.behind)
    if recipe.wrapper == "functional":
        i = keras.Input(recipe.shape, dtype=recipe.dtype)
        model: Any = keras.Model(i, chained(i, *parts))
    elif recipe.wrapper == "nested":
        i = keras.Input(recipe.shape, dtype=recipe.dtype)
        within = keras.Model(i, chained(i, *parts))
        j = keras.Input(recipe.shape, dtype=recipe.dtype)
        model = keras.Model(j, within(j))
    else:
        kind = {"subclassed": Subclassed, "own step": OwnStep, "capping step": Capping}[recipe.wrapper]
        model = kind(*parts)
        model(np.zeros((1, *(n or 4 for n in recipe.shape)), recipe.dtype))
    model.compile("adam", recipe.loss)
    return model


# --- the head -------------------------------------------------------------------------------------------


def add_head(recipe: Recipe, rng: np.random.Generator) -> None:
    """A layer that makes logits, and what is before it."""
    u = recipe.units
    plain: dict[str, Callable[[], tuple[Any, ...]]] = {
        "Dense": lambda: ((3,), [L.Dense(4, activation="relu")], [L.Dense(u)]),
        "Dense behind batch norm": lambda: ((3,), [L.Dense(4), L.BatchNormalization()], [L.Dense(u)]),
        "Dense on a sequence": lambda: ((5, 3), [], [L.Dense(u)]),
        "average of two": lambda: ((3,), [L.Dense(4)], [L.Dense(u), L.Dense(u)]),
        "Conv1D": lambda: ((5, 2), [], [L.Conv1D(u, 1)]),
        "Conv2D": lambda: ((3, 3, 2), [], [L.Conv2D(u, 1)]),
        "timed Dense": lambda: ((5, 3), [], [L.TimeDistributed(L.Dense(u))]),
        "EinsumDense": lambda: ((3,), [], [L.EinsumDense("ab,bc->ac", u, bias_axes="c")]),
        "masked recurrent": lambda: (
            (5,),
            [L.Embedding(9, 2, mask_zero=True), L.GRU(2, return_sequences=True)],
            [L.Dense(u)],
        ),
        "regularised Dense": lambda: (
            (3,),
            [],
            [L.Dense(u, bias_regularizer="l2", activity_regularizer="l2")],
        ),
    }
    name = str(rng.choice([*plain, "pooled maps", "rows"]))
    recipe.words.append(name)
    if name == "pooled maps":
        recipe.shape, recipe.heads = (4, 4, 2), [L.Conv2D(u, 3)]
        recipe.behind.append(L.GlobalAveragePooling2D())
    elif name == "rows":
        recipe.shape, recipe.heads, recipe.wide = (3,), [L.Dense(2 * u)], 2
        recipe.behind.append(L.Reshape((2, u)))
    else:
        recipe.shape, recipe.before, recipe.heads = plain[name]()
        recipe.dtype = "int32" if name == "masked recurrent" else "float32"


# --- between logits and activation -------------------------------------------------------------------------


def cap(c: float) -> Any:
    return L.Lambda(lambda z: c * ops.tanh(z / c))


def add_between(recipe: Recipe, rng: np.random.Generator) -> None:
    """A temperature, a slow cap or the like, which the mathematics have too."""
    s = float(rng.choice([0.25, 0.5, 2.0]))
    options: list[tuple[str, Any, Tail]] = [
        (f"temperature {1 / s:g}", lambda: L.Rescaling(s), lambda z: s * z),
        ("soft cap", lambda: cap(30.0), lambda z: 30 * np.tanh(z / 30)),
        ("leaky relu", lambda: L.LeakyReLU(0.5), lambda z: np.where(z > 0, z, 0.5 * z)),
        ("dropout", lambda: L.Dropout(0.0), lambda z: z),
        ("identity", lambda: L.Identity(), lambda z: z),
    ]
    if rng.random() < 0.35:
        word, make, tail = options[int(rng.integers(len(options)))]
        recipe.add(word, make(), tail=tail)


def add_squash(recipe: Recipe, rng: np.random.Generator, behind_it: bool) -> None:
    """What holds logits within bounds, which nobody means: the mathematics are without it.

    A sigmoid is none where no activation is behind it: it is the activation then.
    """
    c = float(rng.choice([3.0, 8.0, 15.0]))
    options = {
        "relu": lambda: L.ReLU(),
        "tanh": lambda: L.Activation("tanh"),
        **({"sigmoid": lambda: L.Activation("sigmoid")} if behind_it else {}),
        f"clip to {c:g}": lambda: L.Lambda(lambda z: ops.clip(z, -c, c)),
        "elu": lambda: L.ELU(),
    }
    word = str(rng.choice(list(options)))
    recipe.add(f"fault: {word}", options[word]())


# --- activation --------------------------------------------------------------------------------------------


def add_activation(recipe: Recipe, rng: np.random.Generator, name: str) -> None:
    """A softmax or a sigmoid in one of the forms that people write; the forms differ in what Keras finds."""
    softmax = name == "softmax"
    own = (
        (lambda z: ops.exp(z) / ops.sum(ops.exp(z), axis=-1, keepdims=True))
        if softmax
        else (lambda z: 1 / (1 + ops.exp(-z)))
    )
    masked = recipe.dtype == "int32"  # Keras' Softmax takes a mask of steps for one of classes
    forms: dict[str, Callable[[], Any]] = {
        "layer": lambda: L.Activation(name),
        "float32 layer": lambda: L.Activation(name, dtype="float32"),
        "Lambda": lambda: L.Lambda(getattr(ops, name)),
        "own formula": lambda: L.Lambda(own),
        **({"Softmax": lambda: L.Softmax()} if softmax and not masked else {}),
    }
    form = str(rng.choice([*forms, "in the layer", "in the layer"]))
    alone = [head for head in recipe.heads if isinstance(head, L.Dense | L.Conv1D | L.Conv2D | L.EinsumDense)]
    if form == "in the layer" and (recipe.behind or len(alone) != 1):
        form = "layer"
    if form == "in the layer":
        recipe.heads[0].activation = keras.activations.get(name)
        recipe.words.append(f"{name} in the layer")
    else:
        recipe.add(f"{name} ({form})", forms[form]())
    if rng.random() < 0.2:
        words, make = [
            ("reshape", lambda: L.Flatten() if recipe.shape == (3,) and recipe.wide == 1 else L.Identity()),
            ("clip of p", lambda: L.Lambda(lambda p: ops.clip(p, 1e-6, 1 - 1e-6))),
            ("scaling by 1", lambda: L.Rescaling(1.0)),
        ][int(rng.integers(3))]
        recipe.add(words, make())


# --- loss --------------------------------------------------------------------------------------------------


def add_loss(recipe: Recipe, rng: np.random.Generator, from_logits: bool, behind_activation: bool) -> None:
    """A loss of the recipe's family; squared error of probabilities alone, for else it is a regression."""
    of_p = behind_activation and not from_logits
    smoothing, gamma = float(rng.choice([0.0, 0.0, 0.1, 0.2])), float(rng.choice([0.5, 1.0, 2.0, 3.0]))
    told = {"from_logits": from_logits}
    if recipe.family == "softmax":
        options: list[tuple[str, str, Callable[..., float], Any]] = [
            ("sparse", "classes", exact.class_crossentropy, lambda: S.SparseCategoricalCrossentropy(**told)),
            ("sparse", "classes", exact.class_crossentropy, lambda: S.SparseCategoricalCrossentropy(**told)),
            (
                f"categorical, smoothing {smoothing}",
                "one-hot",
                lambda y, p, q: exact.class_crossentropy(y, p, q, smoothing),
                lambda: S.CategoricalCrossentropy(label_smoothing=smoothing, **told),
            ),
            (
                f"focal {gamma}",
                "one-hot",
                lambda y, p, q: exact.class_focal(y, p, q, gamma, 0.25),
                lambda: S.CategoricalFocalCrossentropy(gamma=gamma, **told),
            ),
            (
                "own function",
                "classes",
                exact.class_crossentropy,
                lambda: lambda y, z: S.sparse_categorical_crossentropy(y, z, from_logits=from_logits),
            ),
            (
                "ignoring a class",
                "classes",
                exact.class_crossentropy,
                lambda: S.SparseCategoricalCrossentropy(ignore_class=-1, **told),
            ),
        ]
        options += [
            ("ours", "one-hot", exact.class_crossentropy, losses.CategoricalCrossentropy)
        ] * from_logits
        options += [("divergence", "one-hot", exact.divergence, S.KLDivergence)] * (not from_logits)
    else:
        options = [
            (
                f"binary, smoothing {smoothing}",
                "labels",
                lambda y, p, q: exact.label_crossentropy(y, p, q, smoothing),
                lambda: S.BinaryCrossentropy(label_smoothing=smoothing, **told),
            ),
            (
                f"binary focal {gamma}",
                "labels",
                lambda y, p, q: exact.label_focal(y, p, q, gamma, None),
                lambda: S.BinaryFocalCrossentropy(gamma=gamma, **told),
            ),
            (
                f"balanced focal {gamma}",
                "labels",
                lambda y, p, q: exact.label_focal(y, p, q, gamma, 0.25),
                lambda: S.BinaryFocalCrossentropy(apply_class_balancing=True, gamma=gamma, **told),
            ),
            (
                "own function",
                "labels",
                exact.label_crossentropy,
                lambda: lambda y, z: S.binary_crossentropy(y, z, from_logits=from_logits),
            ),
        ]
        options += [("ours", "labels", exact.label_crossentropy, losses.BinaryCrossentropy)] * from_logits
        options += [("mse", "labels", exact.squared_error, S.MeanSquaredError)] * of_p
    word, recipe.labels, recipe.value, make = options[int(rng.integers(len(options)))]
    recipe.words.append(f"{word}{' from logits' if from_logits else ''}")
    recipe.loss = make()


def random_recipe(rng: np.random.Generator) -> Recipe:
    """A random model; a third of them has a fault on purpose, and others have one on the backend at hand."""
    family = str(rng.choice(["softmax", "sigmoid"]))
    units = int(rng.integers(2, 6)) if family == "softmax" else int(rng.choice([1, 1, 3]))
    recipe = Recipe(family, units, str(rng.choice(POLICIES)))
    keras.config.set_dtype_policy(recipe.policy)
    fault = str(rng.choice(["none"] * 10 + ["squash", "input", "family", "step"]))
    has_activation = bool(rng.random() < 0.5)
    add_head(recipe, rng)
    if fault == "squash":
        add_squash(recipe, rng, has_activation)
    else:
        add_between(recipe, rng)
    activation = family
    if fault == "family" and units > 1:
        activation, has_activation = {"softmax": "sigmoid", "sigmoid": "softmax"}[family], True
    if has_activation:
        add_activation(recipe, rng, activation)
    recipe.predicted = exact.of_softmax if activation == "softmax" else exact.of_sigmoid
    add_loss(recipe, rng, (not has_activation) != (fault == "input"), has_activation)
    wrappers = ["functional", "functional", "nested", "subclassed", "own step"]
    recipe.wrapper = "capping step" if fault == "step" else str(rng.choice(wrappers))
    return recipe

"""A training program as a draft: parts that an operator can exchange before the program is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from benchmarks.diagnose_rates.tasks import HELD_OUT, PAD, Array, Target, Task
from crosscheck.diagnose import Data, Program

Part = tuple[str, dict[str, Any]]
Edit = Callable[[Program], Program]
Family = Literal["softmax", "sigmoid", "values"]
LabelForm = Literal["classes", "column", "one-hot", "soft", "labels", "values"]
VALIDATED = 100  # held-out rows that a program with validation data sees


@keras.saving.register_keras_serializable(package="diagnose_rates")
class Residual(keras.layers.Layer):
    """x + Dense(activation(Dense(x)))."""

    def __init__(self, units: int, activation: str = "relu", **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.activation = units, activation
        self.inner = keras.layers.Dense(units, activation=activation)

    def build(self, shape: Any) -> None:
        self.inner.build(shape)
        self.outer = keras.layers.Dense(shape[-1])
        self.outer.build((*shape[:-1], self.units))

    def call(self, x: Any) -> Any:
        return x + self.outer(self.inner(x))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "activation": self.activation}


@keras.saving.register_keras_serializable(package="diagnose_rates")
class OwnSoftmax(keras.layers.Layer):
    """A softmax by its formula, which Keras does not recognise."""

    def call(self, z: Any) -> Any:
        z = ops.exp(z - ops.max(z, axis=-1, keepdims=True))
        return z / ops.sum(z, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable(package="diagnose_rates")
class OwnSigmoid(keras.layers.Layer):
    """A sigmoid by its formula, which Keras does not recognise."""

    def call(self, z: Any) -> Any:
        return 1 / (1 + ops.exp(-z))


@keras.saving.register_keras_serializable(package="diagnose_rates")
class Chained(keras.Model):
    """Calls layers one after another, as a subclassed model does."""

    def __init__(self, chain: list[Any], **kwargs: Any):
        super().__init__(**kwargs)
        self.chain = chain

    def call(self, x: Any, training: bool | None = None) -> Any:
        for layer in self.chain:
            x = layer(x, training=training) if takes_training(layer) else layer(x)
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "chain": [keras.saving.serialize_keras_object(c) for c in self.chain]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Chained:
        chain = [keras.saving.deserialize_keras_object(c) for c in config.pop("chain")]
        return cls(chain, **config)


OWN = {"Residual": Residual, "OwnSoftmax": OwnSoftmax, "OwnSigmoid": OwnSigmoid}


def takes_training(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Dropout | keras.layers.BatchNormalization)


@dataclass(frozen=True)
class Loss:
    """A loss in words, and what makes it.

    Attributes:
        name: in words.
        make: takes `from_logits`, and gives what `compile` takes.
        form: of the labels.
    """

    name: str
    make: Callable[[bool], Any]
    form: LabelForm


@dataclass(frozen=True)
class Head:
    """The layer of the logits, what is between them and the activation, that, the loss, the metrics.

    Attributes:
        family: "softmax", "sigmoid", or "values" for none.
        part: the layer of the logits.
        activation: "" for logits, "in the layer", or the part that follows.
        from_logits: as the loss is told.
        metrics: each called for a metric, or a string.
        between: parts between logits and activation.
        behind: parts behind the activation.
    """

    family: Family
    part: Part
    activation: str
    loss: Loss
    from_logits: bool
    metrics: tuple[Callable[[], Any], ...] = ()
    between: tuple[Part, ...] = ()
    behind: tuple[Part, ...] = ()

    @property
    def units(self) -> int:
        config = self.part[1]
        return int(config["units"] if "units" in config else config["filters"])

    @property
    def is_logits(self) -> bool:
        return self.family != "values" and not self.activation


@dataclass(frozen=True)
class Draft:
    """A program before it is built.

    Attributes:
        task: the data.
        stems: the parts of each input, up to where they meet.
        trunk: the parts from there to the heads.
        heads: one a target.
        wrapper: how the model is put together.
        optimizer, rate: the class in keras.optimizers, and its learning rate.
        batch_size, epochs: of `fit`.
        validation: "none", "data" or "split".
        order: "shuffled" or "sorted", the rows.
        class_weight, has_sample_weight: of `fit`.
        shuffle: of `fit`.
        with_history: whether the diagnosis gets the history of the training.
        edits: of the built program, one after another.
        seed: of weights and training.
    """

    task: Task
    stems: tuple[tuple[Part, ...], ...]
    trunk: tuple[Part, ...]
    heads: tuple[Head, ...]
    wrapper: Literal["functional", "Sequential", "subclassed"]
    optimizer: str
    rate: float
    batch_size: int
    epochs: int
    validation: Literal["none", "data", "split"] = "none"
    order: Literal["shuffled", "sorted"] = "shuffled"
    class_weight: dict[int, float] | None = None
    has_sample_weight: bool = False
    shuffle: bool = True
    with_history: bool = False
    edits: tuple[Edit, ...] = ()
    seed: int = 0

    @property
    def head(self) -> Head:
        return self.heads[0]

    @property
    def target(self) -> Target:
        return self.task.targets[0]

    @property
    def is_single(self) -> bool:
        """One input and one output."""
        return len(self.stems) == len(self.heads) == 1

    def with_head(self, **changes: Any) -> Draft:
        """The draft with a changed first head."""
        return replace(self, heads=(replace(self.head, **changes), *self.heads[1:]))

    def edited(self, edit: Edit) -> Draft:
        return replace(self, edits=(*self.edits, edit))

    def __str__(self) -> str:
        parts = [part[0] for part in (*(p for stem in self.stems for p in stem), *self.trunk)]
        heads = [f"{h.part[0]}({h.units}) {h.activation or 'logits'} {h.loss.name}" for h in self.heads]
        fit = f"{self.optimizer}({self.rate:.2g}) batch {self.batch_size} × {self.epochs} epochs"
        options = [
            f"validation {self.validation}" if self.validation != "none" else "",
            "sorted" if self.order == "sorted" else "",
            "class weights" if self.class_weight else "",
            "sample weights" if self.has_sample_weight else "",
        ]
        words = (
            self.task.name,
            self.wrapper,
            "-".join(parts),
            " & ".join(heads),
            fit,
            *filter(None, options),
        )
        return "; ".join(words)


def make(part: Part) -> Any:
    """The layer of a part; a part within a part is made first."""
    name, config = part
    if "layer" in config:
        config = {**config, "layer": make(config["layer"])}
    return OWN[name](**config) if name in OWN else getattr(keras.layers, name)(**config)


def head_parts(head: Head) -> list[Part]:
    name, config = head.part
    if head.activation == "in the layer":
        config = {**config, "activation": head.family}
    parts = [(name, config), *head.between]
    if head.activation == "Activation":
        parts.append(("Activation", {"activation": head.family}))
    elif head.activation not in ("", "in the layer"):
        parts.append((head.activation, {}))
    return [*parts, *head.behind]


def built_model(draft: Draft) -> keras.Model:
    """The model with fresh weights of the draft's seed, compiled."""
    keras.utils.set_random_seed(draft.seed)
    if draft.wrapper == "functional":
        model = functional(draft)
    else:
        parts = [*draft.stems[0], *draft.trunk, *head_parts(draft.head)]
        first = draft.task.x[0]
        if draft.wrapper == "Sequential":
            model = keras.Sequential(
                [keras.Input(first.shape[1:], dtype=first.dtype.name), *map(make, parts)]
            )
        else:
            model = Chained([make(part) for part in parts])
            model(first[:2])
    model.compile(
        getattr(keras.optimizers, draft.optimizer)(draft.rate),
        single([head.loss.make(head.from_logits) for head in draft.heads]),
        metrics=metrics(draft),
    )
    return model


def input_dtype(x: Array) -> str:
    """As people write an input: pixels of 8 bits become float32, which Keras does, and no layer else."""
    return "float32" if x.dtype == np.uint8 else x.dtype.name


def metrics(draft: Draft) -> Any:
    lists = [[metric() for metric in head.metrics] for head in draft.heads]
    return None if not any(lists) else lists[0] if len(lists) == 1 else lists


def single(things: Any) -> Any:
    """The only one of a list, or the list."""
    return things[0] if len(things) == 1 else list(things)


def functional(draft: Draft) -> keras.Model:
    inputs = [keras.Input(x.shape[1:], dtype=input_dtype(x)) for x in draft.task.x]
    met = [through(i, stem) for i, stem in zip(inputs, draft.stems, strict=True)]
    trunk = through(met[0] if len(met) == 1 else keras.layers.Concatenate()(met), draft.trunk)
    return keras.Model(single(inputs), single([through(trunk, head_parts(head)) for head in draft.heads]))


def through(x: Any, parts: Any) -> Any:
    for part in parts:
        x = make(part)(x)
    return x


# --- arrays ------------------------------------------------------------------------------------------------


def labelled(target: Target, head: Head) -> Array:
    """All labels of a target in the form that the head's loss takes."""
    y = target.y
    form = head.loss.form
    if form == "classes":
        return y.astype("int32")
    if form == "column":
        return y[:, None].astype("int32")
    if form in ("one-hot", "soft"):
        one_hot = np.eye(target.classes, dtype="float32")[y]
        return one_hot if form == "one-hot" else 0.95 * one_hot + np.float32(0.05 / target.classes)
    if form == "labels" and target.kind == "classes":
        return y.reshape(*y.shape, 1).astype("float32")
    return y


def training_order(draft: Draft) -> Array:
    rows = np.arange(draft.task.rows)
    if draft.order == "sorted":
        return rows[np.argsort(draft.target.y[: len(rows)], kind="stable")]
    return rows


def data(draft: Draft, rows: Array, weights: Array | None = None) -> Data:
    """The rows of inputs and labels as `fit` takes them."""
    x = [array[rows] for array in draft.task.x]
    y = [labelled(t, h)[rows] for t, h in zip(draft.task.targets, draft.heads, strict=True)]
    return Data(single(x), single(y), weights)


def judged_rows(draft: Draft) -> Array:
    """Held-out rows that the program has not seen, not even in validation."""
    rows = np.arange(draft.task.rows, draft.task.rows + HELD_OUT)
    return rows[VALIDATED:] if draft.validation == "data" else rows


def build(draft: Draft) -> Program:
    """The program, with fresh weights."""
    rows = training_order(draft)
    rng = np.random.default_rng(draft.seed)
    weights = rng.uniform(0.5, 1.5, len(rows)).astype("float32") if draft.has_sample_weight else None
    held = np.arange(draft.task.rows, draft.task.rows + VALIDATED)
    program = Program(
        built_model(draft),
        data(draft, rows, weights),
        data(draft, held) if draft.validation == "data" else None,
        batch_size=draft.batch_size,
        epochs=draft.epochs,
        validation_split=0.2 if draft.validation == "split" else 0.0,
        shuffle=draft.shuffle,
        class_weight=draft.class_weight,
    )
    for edit in draft.edits:
        program = edit(program)
    return program


def padded(target: Target) -> bool:
    """Whether some positions have no class."""
    return target.kind == "classes" and bool((target.y == PAD).any())

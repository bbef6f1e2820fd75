"""Random healthy programs: every part is chosen among those that fit the data, none of them a fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from benchmarks.diagnose_rates.drafts import Draft, Head, LabelForm, Loss, Part, padded
from benchmarks.diagnose_rates.tasks import TASKS, Target, Task
from crosscheck import losses

L, M = keras.losses, keras.metrics
Rng = np.random.Generator
Names = tuple[Callable[[], Any], ...]


def one_of(rng: Rng, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def healthy_draft(rng: Rng, tasks: Sequence[Callable[[Rng], Task]] = TASKS) -> Draft:
    """A random program that ought to learn its task; whether it does is seen when it is trained."""
    task = one_of(rng, tasks)(rng)
    targets = task.targets
    heads = tuple(random_head(rng, task, target) for target in targets)
    optimizer, rate = random_optimizer(rng)
    batch = int(one_of(rng, (16, 32, 32, 64)))
    steps = int(rng.integers(300, 700))
    is_plain = len(task.x) == len(targets) == 1
    validation = one_of(rng, ("none", "none", "data", "split"))
    return Draft(
        task,
        stems=tuple(random_stem(rng, task, form) for form in task.forms),
        trunk=random_trunk(rng, task),
        heads=heads,
        wrapper=one_of(rng, ("functional", "Sequential", "subclassed")) if is_plain else "functional",
        optimizer=optimizer,
        rate=rate,
        batch_size=batch,
        epochs=math.ceil(steps / math.ceil(task.rows / batch)),
        validation=validation,
        order="sorted"
        if is_plain and may_be_sorted(targets[0], validation) and rng.random() < 0.3
        else "shuffled",
        class_weight=class_weights(rng, heads[0], targets[0]) if is_plain else None,
        has_sample_weight=bool(is_plain and targets[0].y.ndim == 1 and rng.random() < 0.12),
        with_history=bool(rng.random() < 0.25),
        seed=int(rng.integers(2**31)),
    )


def may_be_sorted(target: Target, validation: str) -> bool:
    return target.kind == "classes" and target.y.ndim == 1 and validation != "split"


def random_optimizer(rng: Rng) -> tuple[str, float]:
    """An optimiser and a learning rate in the range in which people use it."""
    ranges = {
        "Adam": (1e-3, 5e-3),
        "AdamW": (1e-3, 5e-3),
        "Nadam": (1e-3, 4e-3),
        "RMSprop": (1e-3, 3e-3),
        "SGD": (0.03, 0.2),
        "Adamax": (2e-3, 1e-2),
    }
    name = one_of(rng, ("Adam", "Adam", "Adam", *ranges))
    low, high = ranges[name]
    return name, float(np.exp(rng.uniform(math.log(low), math.log(high))))


def class_weights(rng: Rng, head: Head, target: Target) -> dict[int, float] | None:
    """Balanced ones, now and then, where Keras reads them without a question."""
    if (
        head.loss.form not in ("classes", "one-hot", "labels")
        or target.y.ndim > 1
        or target.kind != "classes"
    ):
        return None
    if rng.random() > 0.15:
        return None
    counts = np.bincount(target.y, minlength=target.classes)
    return {k: float(len(target.y) / (target.classes * max(int(n), 1))) for k, n in enumerate(counts)}


# --- bodies ------------------------------------------------------------------------------------------------


def activation(rng: Rng) -> str:
    return str(one_of(rng, ("relu", "relu", "relu", "tanh", "elu", "gelu", "silu")))


def hidden(rng: Rng, units: int) -> tuple[Part, ...]:
    """A hidden Dense layer in one of its customary surroundings."""
    f = activation(rng)
    dense: Part = ("Dense", {"units": units, "activation": f})
    bare: Part = ("Dense", {"units": units, "use_bias": bool(rng.random() < 0.5)})
    options: list[tuple[Part, ...]] = [
        (dense,),
        (dense,),
        (dense, ("Dropout", {"rate": float(one_of(rng, (0.1, 0.2, 0.3)))})),
        (bare, ("BatchNormalization", {"momentum": 0.9}), ("Activation", {"activation": f})),
        (dense, ("LayerNormalization", {})),
        (dense, ("Residual", {"units": units, "activation": f})),
    ]
    return one_of(rng, options)


def random_trunk(rng: Rng, task: Task) -> tuple[Part, ...]:
    """Hidden layers behind the stems; none but a bottleneck for an autoencoder, none for positions."""
    target = task.targets[0]
    if target.kind == "classes" and target.y.ndim > 1:
        return ()
    depth = int(rng.integers(1, 4)) if task.forms[0] == "numbers" else int(rng.integers(0, 2))
    return tuple(part for _ in range(depth) for part in hidden(rng, int(one_of(rng, (24, 32, 48, 64)))))


def random_stem(rng: Rng, task: Task, form: str) -> tuple[Part, ...]:
    """From the raw input to one row of features, or to one a position where classes are wanted there."""
    by_position = task.targets[0].kind == "classes" and task.targets[0].y.ndim > 1
    if form == "numbers":
        return number_stem(rng, task)
    if form == "tokens":
        return token_stem(rng, task, by_position)
    if form == "signal":
        return signal_stem(rng)
    return image_stem(rng, task, by_position)


def number_stem(rng: Rng, task: Task) -> tuple[Part, ...]:
    if "unscaled" in task.name and rng.random() < 0.7:
        return (("BatchNormalization", {"momentum": 0.9}),)
    return ()


def token_stem(rng: Rng, task: Task, by_position: bool) -> tuple[Part, ...]:
    width = int(one_of(rng, (8, 16, 24)))
    masked = bool(rng.random() < 0.4)
    embedding: Part = ("Embedding", {"input_dim": task.words, "output_dim": width, "mask_zero": masked})
    if by_position:
        gru: Part = ("GRU", {"units": 16, "return_sequences": True})
        convolution: Part = (
            "Conv1D",
            {"filters": 16, "kernel_size": 3, "padding": "same", "activation": "relu"},
        )
        return (embedding, one_of(rng, ((("Bidirectional", {"layer": gru})), gru, convolution)))
    ends: list[tuple[Part, ...]] = [
        (("GlobalAveragePooling1D", {}),),
        (("GlobalAveragePooling1D", {}),),
        (("LSTM", {"units": 16}),),
        (("GRU", {"units": 16}),),
        (("Conv1D", {"filters": 24, "kernel_size": 3, "activation": "relu"}), ("GlobalMaxPooling1D", {})),
    ]
    return (embedding, *one_of(rng, ends))


def signal_stem(rng: Rng) -> tuple[Part, ...]:
    convolution: Part = ("Conv1D", {"filters": 16, "kernel_size": 5, "activation": "relu"})
    ends: list[tuple[Part, ...]] = [
        (convolution, ("GlobalAveragePooling1D", {})),
        (convolution, ("MaxPooling1D", {}), ("Flatten", {})),
        (convolution, ("GRU", {"units": 16})),
        (("Bidirectional", {"layer": ("LSTM", {"units": 12})}),),
        (("Flatten", {}), ("Dense", {"units": 48, "activation": "relu"})),
    ]
    return one_of(rng, ends)


def image_stem(rng: Rng, task: Task, by_position: bool) -> tuple[Part, ...]:
    rescaled = (("Rescaling", {"scale": 1 / 255}),) if task.x[0].max() > 1 and rng.random() < 0.5 else ()
    filters = int(one_of(rng, (8, 12, 16)))
    f = activation(rng)
    same: Part = ("Conv2D", {"filters": filters, "kernel_size": 3, "padding": "same", "activation": f})
    if by_position:
        return (*rescaled, same, same)
    normalised: tuple[Part, ...] = (
        ("Conv2D", {"filters": filters, "kernel_size": 3, "use_bias": False}),
        ("BatchNormalization", {"momentum": 0.9}),
        ("Activation", {"activation": f}),
    )
    first = one_of(rng, ((same,), normalised, (same, ("MaxPooling2D", {}))))
    last = one_of(
        rng, ((("Flatten", {}),), (("Flatten", {}),), (same, ("Flatten", {})), (("GlobalMaxPooling2D", {}),))
    )
    return (*rescaled, *first, *last)


# --- heads -------------------------------------------------------------------------------------------------


def random_head(rng: Rng, task: Task, target: Target) -> Head:
    if target.kind == "values":
        return value_head(rng, target)
    if target.kind == "labels":
        return sigmoid_head(rng, target, target.classes)
    is_position = target.y.ndim > 1
    if target.classes == 2 and not padded(target) and rng.random() < 0.5:
        return sigmoid_head(rng, target, 1)
    if not is_position and target.classes > 2 and rng.random() < 0.06:
        return exclusive_head(rng, target)
    return softmax_head(rng, target)


def logit_part(target: Target, units: int) -> Part:
    if target.y.ndim == 3:
        return ("Conv2D", {"filters": units, "kernel_size": 1})
    return ("Dense", {"units": units})


def random_activation(rng: Rng, family: str) -> str:
    """ "" for logits; the forms of an activation that Keras sees through."""
    forms = ["", "", "in the layer", "in the layer", "Activation"]
    return str(one_of(rng, [*forms, "Softmax"] if family == "softmax" else forms))


def value_head(rng: Rng, target: Target) -> Head:
    units = target.classes
    part: Part = ("Dense", {"units": units})
    names = ["mse", "mae", "huber"]
    bounded = target.y.min() >= 0 and target.y.max() <= 1
    if bounded and rng.random() < 0.5:
        name = str(one_of(rng, ("mse", "binary_crossentropy")))
        return Head("sigmoid", part, "in the layer", Loss(name, lambda _: name, "values"), False)
    name = str(one_of(rng, names))
    metrics: Names = one_of(rng, ((), (lambda: "mae",), (M.RootMeanSquaredError,)))
    return Head("values", part, "", Loss(name, lambda _: name, "values"), False, metrics)


def sigmoid_head(rng: Rng, target: Target, units: int) -> Head:
    family_activation = random_activation(rng, "sigmoid")
    is_logits = not family_activation
    smoothing = float(one_of(rng, (0.0, 0.0, 0.05)))
    options = [
        Loss(
            f"BinaryCrossentropy(smoothing {smoothing})",
            lambda told: L.BinaryCrossentropy(from_logits=told, label_smoothing=smoothing),
            "labels",
        ),
        Loss("BinaryFocalCrossentropy", lambda told: L.BinaryFocalCrossentropy(from_logits=told), "labels"),
    ]
    if is_logits:
        options.append(Loss("our BinaryCrossentropy", lambda _: losses.BinaryCrossentropy(), "labels"))
    else:
        options += [Loss('"binary_crossentropy"', lambda _: "binary_crossentropy", "labels")] * 2
    metrics: list[Names] = [(), (lambda: M.BinaryAccuracy(threshold=0.0 if is_logits else 0.5),)]
    if not is_logits:
        plain = "accuracy" if units == 1 else "binary_accuracy"  # of several labels "accuracy" is another one
        metrics += [(lambda: plain,), (M.AUC,), (lambda: "binary_accuracy",)]
    return Head(
        "sigmoid",
        logit_part(target, units),
        family_activation,
        one_of(rng, options),
        is_logits,
        one_of(rng, metrics),
    )


def exclusive_head(rng: Rng, target: Target) -> Head:
    """K sigmoids for one class among K: legal, if not the best."""
    head = sigmoid_head(rng, target, target.classes)
    metrics: list[Names] = [(), (M.CategoricalAccuracy,)]
    loss = Loss(head.loss.name, head.loss.make, "one-hot")
    return Head("sigmoid", head.part, head.activation, loss, head.from_logits, one_of(rng, metrics))


def softmax_head(rng: Rng, target: Target) -> Head:
    form = random_activation(rng, "softmax")
    form = "Activation" if form == "Softmax" and padded(target) else form  # Softmax takes masks of classes
    is_logits = not form
    loss = one_of(rng, softmax_losses(rng, target, is_logits))
    sparse = loss.form in ("classes", "column")
    metrics: list[Names] = [()]
    if not padded(target):
        metrics += [(lambda: "accuracy",), (lambda: "accuracy",)]
        metrics += [(M.SparseCategoricalAccuracy,) if sparse else (M.CategoricalAccuracy,)]
        if target.classes > 5 and sparse:
            metrics += [(lambda: M.SparseTopKCategoricalAccuracy(k=3),)]
    return Head("softmax", logit_part(target, target.classes), form, loss, is_logits, one_of(rng, metrics))


def softmax_losses(rng: Rng, target: Target, is_logits: bool) -> list[Loss]:
    """The losses of one class among K that fit the labels."""
    if padded(target):
        return [
            Loss(
                "SparseCategoricalCrossentropy(ignore_class=-1)",
                lambda told: L.SparseCategoricalCrossentropy(from_logits=told, ignore_class=-1),
                "classes",
            )
        ]
    smoothing = float(one_of(rng, (0.0, 0.0, 0.1)))
    sparse: LabelForm = "classes"
    dense: LabelForm = "one-hot"
    if target.y.ndim == 1:
        sparse = one_of(rng, ("classes", "classes", "column"))
        dense = one_of(rng, ("one-hot", "one-hot", "soft"))
    options = [
        *[Loss("SparseCategoricalCrossentropy", lambda told: L.SparseCategoricalCrossentropy(told), sparse)]
        * 3,
        Loss(
            f"CategoricalCrossentropy(smoothing {smoothing})",
            lambda told: L.CategoricalCrossentropy(from_logits=told, label_smoothing=smoothing),
            dense,
        ),
        Loss(
            "CategoricalFocalCrossentropy",
            lambda told: L.CategoricalFocalCrossentropy(from_logits=told),
            "one-hot",
        ),
    ]
    if is_logits:
        options += [
            Loss("our CategoricalCrossentropy", lambda _: losses.CategoricalCrossentropy(), dense),
            Loss(
                "our SparseCategoricalCrossentropy",
                lambda _: losses.SparseCategoricalCrossentropy(),
                "classes",
            ),
        ]
    else:
        options += [
            Loss('"sparse_categorical_crossentropy"', lambda _: "sparse_categorical_crossentropy", sparse),
            Loss('"categorical_crossentropy"', lambda _: "categorical_crossentropy", dense),
            Loss("KLDivergence", lambda _: L.KLDivergence(), dense),
        ]
    return options

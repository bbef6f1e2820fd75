"""The statistical rows of the table of faults, each in several sizes.

Whether a mutant is a fault is mostly said by its own training: it misses the goal that its original reached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from benchmarks.diagnose_rates.drafts import Draft, Part
from benchmarks.diagnose_rates.faults import (
    Fault,
    Operator,
    Truth,
    by_construction,
    by_training,
    configured,
    has_part,
    has_trunk,
    is_classifier,
    is_of_rows,
    of_numbers,
    on_labels,
    with_stem,
    with_trunk,
)
from benchmarks.diagnose_rates.health import Health
from benchmarks.diagnose_rates.tasks import Array
from crosscheck.diagnose import Program

Rng = np.random.Generator
WEIGHTED = ("Dense", "Conv1D", "Conv2D", "EinsumDense")
NATURAL_RATES = {"SGD": 0.1}  # the others are adaptive
ADAPTIVE_RATE = 0.002


# --- labels and inputs -------------------------------------------------------------------------------------


def shuffled_labels(rng: Rng, draft: Draft, size: float) -> Draft:
    """A share of the rows has the labels of other rows."""

    def change(y: Array) -> Array:
        rows = rng.choice(len(y), round(size * len(y)), replace=False)
        y = y.copy()
        y[rows] = y[rng.permutation(rows)]
        return y

    return replace(draft, order="shuffled").edited(on_labels(change, validation_too=False))


def thinned(rng: Rng, draft: Draft, size: float) -> Draft:
    """Of the last class only a share of the training rows is left."""

    def edit(program: Program) -> Program:
        y = draft.target.y[: draft.task.rows]
        order = np.argsort(y, kind="stable") if draft.order == "sorted" else np.arange(len(y))
        rare = y[order] == draft.target.classes - 1
        keep = ~rare | (rng.random(len(y)) < size)
        keep[np.flatnonzero(rare)[0]] = True
        training = program.training
        weights = None if training.sample_weight is None else training.sample_weight[keep]
        kept = replace(training, x=training.x[keep], y=training.y[keep], sample_weight=weights)
        return replace(program, training=kept)

    return replace(draft, class_weight=None).edited(edit)


def scaled_inputs(rng: Rng, draft: Draft, size: float) -> Draft:
    """Inputs in another unit, everywhere: the model gets them so in judging as well."""
    x = (draft.task.x[0] * size + size).astype("float32")
    return replace(draft, task=replace(draft.task, x=(x,)))


def faded_inputs(rng: Rng, draft: Draft, size: float) -> Draft:
    return with_stem(draft, ("Rescaling", {"scale": 1 / size}))


# --- layers ------------------------------------------------------------------------------------------------


def large_logits(rng: Rng, draft: Draft, size: float) -> Draft:
    name, config = draft.head.part
    start = keras.initializers.RandomNormal(stddev=size, seed=int(rng.integers(2**31)))
    return draft.with_head(part=(name, {**config, "kernel_initializer": start}))


def penalised(rng: Rng, draft: Draft, size: float) -> Draft:
    penalty = keras.regularizers.L2(size)
    name, config = draft.head.part
    draft = draft.with_head(part=(name, {**config, "kernel_regularizer": penalty}))
    return configured(draft, WEIGHTED, kernel_regularizer=penalty)


def deep_sigmoids(rng: Rng, draft: Draft, size: float) -> Draft:
    return with_trunk(draft, *[("Dense", {"units": 16, "activation": "sigmoid"})] * int(size))


def wild_layers(rng: Rng, draft: Draft, size: float) -> Draft:
    start: Any = lambda: keras.initializers.RandomNormal(stddev=size, seed=int(rng.integers(2**31)))
    parts: list[Part] = [
        ("Dense", {"units": 48, "activation": "relu", "kernel_initializer": start()}) for _ in range(3)
    ]
    return with_trunk(draft, *parts)


def dead_units(rng: Rng, draft: Draft, size: float) -> Draft:
    start = keras.initializers.Constant(-size)
    return with_trunk(draft, ("Dense", {"units": 32, "activation": "relu", "bias_initializer": start}))


def saturated(rng: Rng, draft: Draft, size: float) -> Draft:
    return with_trunk(draft, ("Rescaling", {"scale": size}), ("Dense", {"units": 32, "activation": "tanh"}))


def slow_statistics(rng: Rng, draft: Draft, size: float) -> Draft:
    """A batch normalisation whose moving averages never arrive."""
    scale: Part = ("Rescaling", {"scale": 3.0, "offset": 5.0})
    return with_trunk(draft, scale, ("BatchNormalization", {"momentum": 1 - 1 / size}))


def heavy_dropout(rng: Rng, draft: Draft, size: float) -> Draft:
    return with_trunk(draft, ("Dropout", {"rate": size}))


# --- optimiser and epochs ----------------------------------------------------------------------------------


def usual_rate(draft: Draft) -> float:
    return NATURAL_RATES.get(draft.optimizer, ADAPTIVE_RATE)


def other_rate(rng: Rng, draft: Draft, size: float) -> Draft:
    return replace(draft, rate=usual_rate(draft) * size)


def recorded_rate(rng: Rng, draft: Draft, size: float) -> Draft:
    return replace(draft, rate=usual_rate(draft) * size, with_history=True)


def diverging(rng: Rng, draft: Draft, size: float) -> Draft:
    return replace(draft, optimizer="SGD", rate=size, with_history=True)


def few_epochs(rng: Rng, draft: Draft, size: float) -> Draft:
    """That many epochs at a fifth of the rate."""
    return replace(draft, epochs=int(size), rate=draft.rate / 5, with_history=True)


def overtrained(rng: Rng, draft: Draft, size: float) -> Draft:
    """Sixty rows, a third of their labels wrong, many epochs."""

    def edit(program: Program) -> Program:
        training = program.training
        y = np.array(training.y[:60])
        y[:20] = y[rng.permutation(20)]
        few = replace(training, x=training.x[:60], y=y, sample_weight=None)
        return replace(program, training=few)

    return replace(
        draft,
        epochs=int(size),
        validation="data",
        order="shuffled",
        has_sample_weight=False,
        with_history=True,
    ).edited(edit)


# --- truths that are no matter of the goal -----------------------------------------------------------------


def not_finite(draft: Draft, healthy: Health, mutant: Health) -> bool:
    return not all(np.isfinite(mutant.history.get("loss", [np.nan])))


def overfits(draft: Draft, healthy: Health, mutant: Health) -> bool:
    return mutant.overfits


def is_shallow(draft: Draft) -> bool:
    """One row of features, and no layer that would undo a scale."""
    return has_trunk(draft) and is_classifier(draft)


def is_unnormalised(draft: Draft) -> bool:
    return (
        of_numbers(draft)
        and is_classifier(draft)
        and not has_part(draft, "BatchNormalization", "LayerNormalization")
    )


def is_continuous(draft: Draft) -> bool:
    return draft.task.forms[0] != "tokens" and not has_part(draft, "BatchNormalization", "LayerNormalization")


def is_regression(draft: Draft) -> bool:
    return draft.is_single and draft.head.family == "values"


ROWS = "share of the rows"
DEVIATION = "standard deviation"
USUAL = "times the usual rate"

# name: (where it applies, operator, sizes, unit, truth)
OPERATORS: dict[str, tuple[Callable[[Draft], bool], Operator, tuple[float, ...], str, Truth]] = {
    "labels of other rows": (is_of_rows, shuffled_labels, (0.5, 0.8, 0.9, 1.0), ROWS, by_training),
    "label noise": (is_of_rows, shuffled_labels, (0.1, 0.2, 0.4), ROWS, by_construction),
    "a class thinned out": (is_of_rows, thinned, (0.2, 0.05, 0.01), "share of its rows left", by_training),
    "inputs in another unit": (is_unnormalised, scaled_inputs, (1e2, 1e4, 1e6), "times", by_training),
    "inputs faded": (is_continuous, faded_inputs, (1e2, 1e4, 1e30), "times smaller", by_training),
    "large initial logits": (is_shallow, large_logits, (1.0, 10.0, 100.0), DEVIATION, by_training),
    "penalty too strong": (is_classifier, penalised, (0.03, 0.3, 3.0), "L2", by_training),
    "sigmoids stacked": (is_shallow, deep_sigmoids, (2, 4, 8), "layers", by_training),
    "large initial kernels": (is_shallow, wild_layers, (1.0, 5.0, 25.0), DEVIATION, by_training),
    "ReLU pushed below 0": (is_shallow, dead_units, (2.0, 10.0, 50.0), "initial bias, negative", by_training),
    "tanh pushed to its ends": (is_shallow, saturated, (10.0, 100.0, 1000.0), "times", by_training),
    "learning rate too high": (is_classifier, other_rate, (10.0, 100.0, 1000.0), USUAL, by_training),
    "learning rate too low": (is_classifier, other_rate, (0.1, 0.01, 0.001), USUAL, by_training),
    "moving averages too slow": (is_shallow, slow_statistics, (1e2, 1e3, 1e5), "steps", by_training),
    "dropout too strong": (is_shallow, heavy_dropout, (0.7, 0.9, 0.97), "rate", by_training),
    "history: no loss below the prior": (is_classifier, recorded_rate, (1e-3, 1e-5), USUAL, by_training),
    "history: too few epochs": (is_classifier, few_epochs, (1, 2, 4), "epochs", by_training),
    "history: overfitting": (is_of_rows, overtrained, (50, 200), "epochs", overfits),
    "history: the loss is not finite": (is_regression, diverging, (10.0, 1000.0), "rate of SGD", not_finite),
}
TRAINED_FAULTS = tuple(
    Fault(name, "statistical", applies, operator, sizes, unit, truth, trains=True)
    for name, (applies, operator, sizes, unit, truth) in OPERATORS.items()
)

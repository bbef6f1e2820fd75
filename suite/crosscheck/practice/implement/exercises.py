"""The eight exercises: what is to be written, the theory it is held against, and the checks that mark it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keras import ops
from mpmath import mp, mpf

from crosscheck.audit.contract import Kind
from crosscheck.audit.theories import THEORIES, LossTheory, class_crossentropy, log_softmax
from crosscheck.practice.implement import rows
from crosscheck.practice.implement.rows import Rows

Function = Callable[..., Any]
MATHEMATICS = (
    "centre",
    "wrong tail",
    "right tail",
    "dead gradient",
    "finite",
    "derivative",
    "modes",
    "half precision",
    "per example",
)
FIXED = -1.0  # the logit of the first outcome, where the audit moves those of the three others


@dataclass(frozen=True)
class Exercise:
    """A function to write.

    Attributes:
        name: of its file.
        function: its name in that file; `inverse` that of a second one, "" for none.
        kind: what the audit takes its labels for.
        theory: what it is held against.
        as_loss: makes a loss of the audit's kinds, (y_true, y_pred), of the function.
        call: calls it as a learner would: (function, labels, logits, arguments).
        typed: that call in words: (labels, logits, arguments, dtype).
        rows: logits and labels to search the smallest failing input among.
        arguments: sets of them to try, the defaults first, by the theory's names.
        checks: of the audit.
        hard: whether labels are 0 and 1 alone.
    """

    name: str
    function: str
    kind: Kind
    theory: LossTheory
    as_loss: Callable[[Function], Function]
    call: Callable[[Function, Any, Any, Mapping[str, float]], Any]
    typed: Callable[[Any, Any, Mapping[str, float], str], str]
    rows: Callable[[], Rows]
    arguments: tuple[dict[str, float], ...] = ({},)
    checks: tuple[str, ...] = MATHEMATICS
    hard: bool = False
    inverse: str = ""
    defaults: Mapping[str, float] = field(default_factory=dict)


def energy_formula(z: Any, y: Any, temperature: float = 1.0) -> Any:
    """−T ln Σ e^(z/T)."""
    top = max(z)
    return -top - temperature * mp.log(mp.fsum(mp.exp((logit - top) / mpf(temperature)) for logit in z))


def joint_formula(z: Any, y: Any) -> Any:
    """−ln softmax(z) at the outcome whose binary digits the labels are."""
    outcome = int("".join(str(int(label)) for label in y), 2)
    return -log_softmax(z)[outcome]


def last_outcomes_formula(z: Any, y: Any) -> Any:
    """The joint cross-entropy of two labels of which the first outcome has a fixed logit."""
    return class_crossentropy([mpf(FIXED), *z], [mpf(0), *y], 0.0)


def of_labels(function: Function, y: Any, z: Any, arguments: Mapping[str, float]) -> Any:
    return function(y, z, **arguments)


def of_numbers(function: Function, y: Any, z: Any, arguments: Mapping[str, float]) -> Any:
    return function(ops.argmax(y, axis=-1), z, **arguments)


def of_logits(function: Function, y: Any, z: Any, arguments: Mapping[str, float]) -> Any:
    return function(z, **arguments)


def itself(function: Function) -> Function:
    return function


def of_no_labels(function: Function) -> Function:
    """The energy as a loss, which looks at no label."""
    return lambda y_true, y_pred, temperature=1.0: function(y_pred, temperature=temperature)


def of_outcomes(function: Function) -> Function:
    """The joint loss as one of three classes: the last three outcomes of two labels."""

    def loss(y_true: Any, y_pred: Any) -> Any:
        z = ops.convert_to_tensor(y_pred)
        y = ops.cast(y_true, z.dtype)
        labels = ops.stack([y[..., 1] + y[..., 2], y[..., 0] + y[..., 2]], axis=-1)
        first = ops.zeros_like(z[..., :1]) + ops.cast(FIXED, z.dtype)
        return function(labels, ops.concatenate([first, z], axis=-1))

    return loss


def made(name: str, function: str, kind: Kind, theory: LossTheory, **options: Any) -> Exercise:
    """An exercise on a loss of labels and logits; the options say where it is another."""
    usual: dict[str, Any] = {
        "as_loss": itself,
        "call": of_labels,
        "typed": rows.typed(function, "labels"),
        "rows": rows.of_classes,
    }
    return Exercise(name, function, kind, theory, **{**usual, **options})


CROSSENTROPY = THEORIES["categorical crossentropy"]
OF_CLASSES = (*MATHEMATICS, "shift", "proper")
EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for exercise in (
        made(
            "binary",
            "binary_crossentropy",
            "multilabel",
            THEORIES["binary crossentropy"],
            rows=rows.of_two_labels,
            checks=(*MATHEMATICS, "proper", "hessian"),
        ),
        made(
            "categorical",
            "categorical_crossentropy",
            "categorical",
            CROSSENTROPY,
            checks=(*OF_CLASSES, "hessian"),
        ),
        made(
            "sparse",
            "sparse_categorical_crossentropy",
            "sparse",
            CROSSENTROPY,
            call=of_numbers,
            typed=rows.typed("sparse_categorical_crossentropy", "numbers"),
            rows=rows.of_hard_classes,
            checks=(*OF_CLASSES, "column", "hessian"),
            hard=True,
        ),
        made(
            "smoothing",
            "smoothed_crossentropy",
            "categorical",
            CROSSENTROPY,
            arguments=({"label_smoothing": 0.1}, {"label_smoothing": 0.3}, {"label_smoothing": 0.0}),
            checks=OF_CLASSES,
        ),
        made("brier", "brier", "categorical", THEORIES["categorical brier"], checks=OF_CLASSES),
        made(
            "energy",
            "energy",
            "categorical",
            LossTheory(energy_formula, "classes", {"temperature": 1.0}),
            as_loss=of_no_labels,
            call=of_logits,
            typed=rows.typed("energy", "none"),
            rows=rows.of_hard_classes,
            arguments=({}, {"temperature": 2.0}, {"temperature": 0.5}),
            hard=True,
        ),
        made(
            "joint",
            "joint_crossentropy",
            "categorical",
            LossTheory(last_outcomes_formula, "classes"),
            as_loss=of_outcomes,
            rows=rows.of_outcomes,
            hard=True,
        ),
        made(
            "focal",
            "focal",
            "categorical",
            THEORIES["categorical focal"],
            arguments=({"gamma": 2.0}, {"gamma": 3.0}),
            checks=(*MATHEMATICS, "shift"),
            inverse="focal_inverse",
            defaults={"alpha": 1.0},
        ),
    )
}

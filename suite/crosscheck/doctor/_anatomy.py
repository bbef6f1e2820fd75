"""The anatomy of a model's outputs: what the head makes of the logits, and what the loss takes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import keras

from crosscheck._keras import calls_forgotten
from crosscheck.doctor._chain import last_link
from crosscheck.doctor._graph import Step, batch_of, first_line, outputs_of
from crosscheck.doctor._metrics import metrics_of
from crosscheck.doctor._search import cut_before
from crosscheck.doctor._subject import Output, Subject, losses_of, outputs_with_loss
from crosscheck.doctor._theory import Theory, absolute, is_known_by_name, recognised, squared, theory_by_name


@dataclass(frozen=True)
class Anatomy:
    """What stands at an output that has a loss.

    Attributes:
        output: its name; `index` among all outputs; `keys`, all names by which `compile` may call it.
        loss: as an object or a function; `metrics`, as compiled.
        shape: of the output, symbolic: None where any number will do.
        class_axis: of the output.
        head: what the output is of the logits: "identity", "softmax", "sigmoid", "log-softmax", "constant",
            or "unknown".
        description: of the head, in words.
        labels: the form of labels that the loss takes: "classes", "one-hot", "labels" (K yes-or-no answers),
            "outcomes"; "" where it is no loss of classes that the doctor knows.
        activation: what turns the loss' logits into probabilities: "softmax", "sigmoid", or "".
        takes_logits: whether the loss wants logits; None where that is not known.
        ignored: the class that does not count, or None.
        is_crossentropy: False for squared and absolute errors too, whatever they are used for.
        behind: the classes of the layers behind the logits, in order; `random`, of those that draw numbers.
        last: what the output comes out of: an activation as a function, another layer or operation.
        unknown: why the head is "unknown", where it could not be looked at; else "".
    """

    output: str
    index: int
    keys: tuple[Any, ...]
    loss: Any
    metrics: tuple[Any, ...]
    shape: tuple[int | None, ...]
    class_axis: int = -1
    head: str = "unknown"
    description: str = ""
    labels: str = ""
    activation: str = ""
    takes_logits: bool | None = None
    ignored: int | None = None
    is_crossentropy: bool = False
    behind: tuple[str, ...] = ()
    random: tuple[str, ...] = ()
    last: Any = None
    unknown: str = ""

    @property
    def classes(self) -> int | None:
        """How many units the output has."""
        return self.shape[self.class_axis] if len(self.shape) > 1 else 1


def anatomies(model: keras.Model, loss: Any = None) -> list[Anatomy]:
    """The anatomy of each output that has a loss, in order. The model is not changed, and nothing is trained.

    Args:
        model: built and compiled.
        loss: in place of the one it was compiled with.

    Raises:
        UsageError: where the model cannot be called with symbolic tensors.
    """
    with warnings.catch_warnings(), calls_forgotten(model):
        warnings.simplefilter("ignore")  # Keras warns of what is looked at here
        losses = loss if loss is not None else losses_of(model)
        subject = Subject(model, outputs_of(model), losses, batch_of(model))
        return [anatomy(subject, output) for output in outputs_with_loss(subject)]


def anatomy(subject: Subject, output: Output) -> Anatomy:
    """The anatomy of an output; its head is "unknown" where it cannot be looked at."""
    theory = theory_by_name(output.loss)
    axis = theory.axis if theory else -1
    head, description, reason = "unknown", "", ""
    steps: list[Step] = []
    try:
        cut = cut_before(output.tensor, subject.batch, axis, 1 if theory and theory.ignored == 0 else 0)
        head, description, steps = ("unknown" if cut.closed else cut.kind), str(cut), cut.steps
        if theory is None and not is_known_by_name(output.loss):
            theory = recognised(output.loss, cut.shape[axis], cut.shape)
        if theory and theory.value in (squared, absolute) and head == "identity" and not theory.takes_logits:
            theory = None  # a regression
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
    count = len(keras.tree.flatten(subject.outputs))
    return Anatomy(
        output=output.name,
        index=output.index,
        keys=output.keys,
        loss=output.loss,
        metrics=tuple(metrics_of(subject.model, (output.index, output.keys), count)),
        shape=tuple(output.tensor.shape),
        class_axis=axis,
        head=head,
        description=description,
        behind=tuple(type(step.operation).__name__ for step in steps),
        random=tuple(type(step.operation).__name__ for step in steps if step.is_random),
        last=last_link(output.tensor),
        unknown=reason,
        **of_theory(theory),
    )


def of_theory(theory: Theory | None) -> dict[str, Any]:
    """What an `Anatomy` says of the loss."""
    if theory is None:
        return {}
    return {
        "labels": theory.labels,
        "activation": theory.activation,
        "takes_logits": theory.takes_logits,
        "ignored": theory.ignored,
        "is_crossentropy": theory.value not in (squared, absolute),
    }


def loss_anatomy(loss: Any) -> dict[str, Any]:
    """What an `Anatomy` says of a loss of Keras' or ours alone, by its name; nothing of any other."""
    return of_theory(theory_by_name(loss))

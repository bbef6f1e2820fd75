"""Small batches of every kind, exact in half precision, and how a user would type them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crosscheck.audit.contract import Subject

# Four examples of three classes, so that no size can be taken for another; no row of logits sums to 0.
LOGITS = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5], [-1.0, 0.25, 1.0], [0.0, 2.0, -1.5]])  # [B, K]
CLASS_PROBABILITIES = np.array(
    [[0.125, 0.25, 0.625], [0.5, 0.375, 0.125], [0.25, 0.125, 0.625], [0.375, 0.5, 0.125]]
)
LABEL_PROBABILITIES = np.array(
    [[0.625, 0.25, 0.875], [0.5, 0.75, 0.125], [0.25, 0.375, 0.625], [0.375, 0.5, 0.125]]
)
CLASSES = np.array([2, 0, 1, 1])  # [B]
LABEL_ROWS = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]])  # [B, L]
K = LOGITS.shape[-1]


@dataclass(frozen=True)
class Batch:
    """Labels and predictions, the first axis the examples."""

    y: np.ndarray
    x: np.ndarray

    def rows(self, which: Any) -> Batch:
        return Batch(self.y[which], self.x[which])

    def labelled(self, y: Any) -> Batch:
        """With other labels; as many as there were take their shape."""
        y = np.asarray(y, "float32")
        return replace(self, y=y.reshape(self.y.shape) if y.size == self.y.size and y.ndim <= 2 else y)

    def predicting(self, x: Any) -> Batch:
        return replace(self, x=np.asarray(x, "float32"))


def valid_batch(subject: Subject) -> Batch:
    """Valid labels and predictions of the subject's kind, in the shapes that it takes."""
    y, x, middle = valid_labels(subject), predictions(subject), (1,) * subject.axes
    return Batch(y.reshape(len(y), *middle, *y.shape[1:]), x.reshape(len(x), *middle, x.shape[-1]))


def valid_pair(subject: Subject) -> Batch:
    """The first two examples: enough for most faults to show, and short to type."""
    return valid_batch(subject).rows(slice(0, 2))


def valid_labels(subject: Subject) -> np.ndarray:
    if subject.kind in ("sparse", "ordinal"):
        return CLASSES.astype("int32")
    if subject.kind == "categorical":
        return np.eye(K, dtype="float32")[CLASSES]
    return (LABEL_ROWS if subject.kind == "multilabel" else LABEL_ROWS[:, :1]).astype("float32")


def predictions(subject: Subject) -> np.ndarray:
    are_classes = subject.kind in ("categorical", "sparse")
    values = LOGITS if subject.from_logits else CLASS_PROBABILITIES if are_classes else LABEL_PROBABILITIES
    columns = {"binary": 1, "ordinal": K - 1}.get(subject.kind, K)
    return values[:, :columns].astype("float32")


def has_dense_labels(subject: Subject) -> bool:
    """Whether labels are numbers for each class, not the number of a class."""
    return subject.kind not in ("sparse", "ordinal")


def call_as_typed(subject: Subject, batch: Batch, **arguments: Any) -> str:
    """The call as a user could type it: `loss(y_true=…, y_pred=…)`."""
    constructor = "".join(f"{key}={value!r}, " for key, value in arguments.items())
    return f"{subject.name}({constructor}y_true={listed(batch.y)}, y_pred={listed(batch.x)})"


def listed(array: np.ndarray) -> str:
    return str(np.asarray(array).tolist()).replace("nan", "float('nan')")

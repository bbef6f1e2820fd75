"""The numbers by which a program is marked, one a seed, from what it returns and the reserved labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from crosscheck.detection import fpr95
from crosscheck.practice.improve.tasks import Task

Values = dict[str, np.ndarray]


def checked(given: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """What a program returned, as float64 of this shape.

    Raises:
        ValueError: where it has another one.
    """
    array = np.asarray(given, "float64")
    if array.shape != shape:
        raise ValueError(f"`solve` is to return {what} of shape {shape}, not {array.shape}")
    return array


def accuracy(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (logits.argmax(-1) == y).mean(-1)


def likelihood(given: Any, y: np.ndarray, task: Task) -> Values:
    """Mean negative log-likelihood of logits [R, N, 10], and their accuracy."""
    logits = checked(given, (len(task.seeds), len(y), 10), "logits")
    log_p = special.log_softmax(logits, axis=-1)
    loss = -np.take_along_axis(log_p, np.broadcast_to(y, log_p.shape[:-1])[..., None], -1)[..., 0]
    return {"loss": loss.mean(-1), "accuracy": accuracy(logits, y)}


def balanced_error(given: Any, y: np.ndarray, task: Task) -> Values:
    """Mean over classes of the share that is got wrong, of classes [R, N]."""
    classes = checked(given, (len(task.seeds), len(y)), "classes")
    right = [(classes[:, y == k] == k).mean(-1) for k in range(10)]
    return {"balanced error": 1 - np.mean(right, 0)}


def zeros(given: Any, y: np.ndarray, task: Task) -> Values:
    """Share of exact zeros among kernels, and the accuracy, of the weights [k₁, b₁, k₂, b₂], [R, …] each."""
    if len(given) != 4:
        raise ValueError(f"`solve` is to return the four weights of a network, not {len(given)}")
    first, b, second, c = (np.asarray(weight, "float64") for weight in given)
    if first.shape != (len(task.seeds), 64, 32) or second.shape != (len(task.seeds), 32, 10):
        raise ValueError(f"kernels are to be [R, 64, 32] and [R, 32, 10], not {first.shape}, {second.shape}")
    hidden = np.maximum(task.x_test @ first + b[:, None], 0)
    kernels = np.concatenate([kernel.reshape(len(kernel), -1) for kernel in (first, second)], axis=1)
    return {"zeros": (kernels == 0).mean(-1), "accuracy": accuracy(hidden @ second + c[:, None], y)}


def f1(given: Any, y: np.ndarray, task: Task) -> Values:
    """Mean over labels of 2 TP / (2 TP + FP + FN), of decisions 0 or 1, [R, N, 10]."""
    said = checked(given, (len(task.seeds), *y.shape), "decisions") > 0.5
    both = (said * y).sum(1)
    return {"F1": (2 * both / np.maximum(said.sum(1) + y.sum(0), 1)).mean(-1)}


def outliers_let_in(given: Any, y: np.ndarray, task: Task) -> Values:
    """FPR95 of scores [R, N], larger for outliers, over the unseen kinds; and the accuracy of logits."""
    logits = checked(given[0], (len(task.seeds), len(y), 10), "logits")
    scores = checked(given[1], logits.shape[:-1], "scores")
    inside = y >= 0
    let_in = np.asarray(fpr95(scores[:, inside], scores[:, ~inside], positive="in"))
    return {"FPR95": let_in, "accuracy": accuracy(logits[:, inside], y[inside])}


NUMBERS: Mapping[str, Callable[[Any, np.ndarray, Task], Values]] = {
    "temperature": likelihood,
    "balance": balanced_error,
    "zeros": zeros,
    "f1": f1,
    "outliers": outliers_let_in,
}

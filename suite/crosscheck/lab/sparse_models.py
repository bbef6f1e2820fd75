"""Linear models under every penalty, trained in Keras, many at once; and solvers that are not Keras.

All have one weight a feature and no bias: logits z = xᵀw of labels in {0, 1}, features x [R, N, D], labels
y [R, N, 1]. λ stands beside a loss that is averaged over N examples.

Source: Advanced Perspectives and Applications; problem 3103435. The factors: Hoff 2017.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from scipy import special
from sklearn import linear_model

from crosscheck import losses, optimizers, replicates
from crosscheck.lab import posteriors


@keras.saving.register_keras_serializable(package="crosscheck.lab")
class Factors(keras.layers.Layer):
    """One logit xᵀ(u∘v), with the penalty ½ (‖u‖² + ‖v‖²), which is smooth in all that is trained.

    Of all u and v with u∘v = w the least penalty is ‖w‖₁, at |u| = |v| = √|w|.
    """

    def build(self, shape: tuple[int, ...]) -> None:
        half = keras.regularizers.L2(0.5)
        self.factors = [
            self.add_weight(
                shape=(shape[-1], 1),
                initializer=keras.initializers.RandomNormal(stddev=0.3),  # each of its own: u = v gives w ≥ 0
                regularizer=half,
                name=name,
            )
            for name in ("u", "v")
        ]

    def call(self, x: Any) -> Any:
        u, v = self.factors
        return keras.ops.matmul(x, u * v)


def head(penalty: str) -> keras.layers.Layer:
    if penalty == "factors":
        return Factors()
    regularizer = {"L1": keras.regularizers.L1(1.0), "L2": keras.regularizers.L2(1.0)}.get(penalty)
    return keras.layers.Dense(1, use_bias=False, kernel_regularizer=regularizer)


def trained(
    optimiser: str, penalty: str, x: np.ndarray, y: np.ndarray, scale: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights at the start and after so many full-batch steps, [R, D] each.

    Args:
        optimiser: "SGD", with momentum, or "Adam".
        penalty: "L1" or "L2", as Keras has them; "proximal", an L1 penalty by proximal steps; "factors".
        scale: each model's λ, [R].
    """
    mover = optimiser_of(optimiser, steps)
    if penalty == "proximal":
        mover = optimizers.Proximal(mover, l1=1.0)
    build = lambda: keras.Sequential([keras.Input((x.shape[-1],)), head(penalty)])
    replicas = replicates.Replicates(build, range(len(x)))
    replicas.compile(mover, losses.binary_crossentropy, penalty_scale=scale)
    start = product(replicas.get_weights())
    replicas.fit(x, y, batch_size=x.shape[1], epochs=steps, shuffle=False)
    return start, product(replicas.get_weights())


def by_penalty(
    optimiser: str,
    x: np.ndarray,
    y: np.ndarray,
    l1: float,
    trainings: Sequence[tuple[Sequence[str], str, Sequence[float], int]],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights at the start and at the end by name, [R, D] each.

    Args:
        optimiser, x, y: as in `trained`.
        l1: λ.
        trainings: names of the weights, the penalty, the multiples of λ and the steps; those of one training
            differ in λ alone, and are trained as one.
    """
    starts: dict[str, np.ndarray] = {}
    ends: dict[str, np.ndarray] = {}
    for names, penalty, multiples, steps in trainings:
        features, labels = (np.concatenate([array] * len(names)) for array in (x, y))
        scale = np.repeat(multiples, len(x)) * l1
        pair = trained(optimiser, penalty, features, labels, scale, steps)
        for weights, by_name in zip(pair, (starts, ends), strict=True):
            by_name |= dict(zip(names, np.split(weights, len(names)), strict=True))
    return starts, ends


def product(weights: list[np.ndarray]) -> np.ndarray:
    """w, or u∘v: [R, D]."""
    return np.prod(weights, axis=0)[..., 0]


def optimiser_of(name: str, steps: int) -> keras.Optimizer:
    """Both with a rate that falls to zero, which is kind to the penalty alone: no jitter is left."""
    falling = keras.optimizers.schedules.CosineDecay
    if name == "SGD":
        return keras.optimizers.SGD(falling(0.2, steps), momentum=0.9, nesterov=True)
    return keras.optimizers.Adam(falling(0.05, steps))


def descended(x: np.ndarray, y: np.ndarray, start: np.ndarray, steps: int = 20, rate: float = 0.2):
    """Plain gradient descent without a penalty from `start`, in NumPy: [R, D]."""
    w = start.copy()
    for _ in range(steps):
        w = w - rate * slopes(x, y, w)
    return w


def slopes(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Gradients of the mean losses at weights [R, D]: Xᵀ(p − y)/N, [R, D]."""
    off = special.expit(np.matmul(x, w[..., None])) - y
    return np.matmul(np.swapaxes(x, 1, 2), off)[..., 0] / x.shape[1]


def iterated(x: np.ndarray, y: np.ndarray, l1: float, steps: int = 400) -> np.ndarray:
    """The optima of the mean losses + λ‖w‖₁ by FISTA with restarts, in NumPy and float64: [R, D].

    Source: Beck & Teboulle 2009; the restarts, O'Donoghue & Candès 2015.
    """
    x, y = x.astype("float64"), y.astype("float64")
    rate = 4 * x.shape[1] / np.linalg.norm(x, 2, axis=(1, 2))[:, None] ** 2  # 1 / Lipschitz constant
    w = ahead = np.zeros((len(x), x.shape[2]))
    age = np.ones((len(x), 1))
    for _ in range(steps):
        moved = ahead - rate * slopes(x, y, ahead)
        moved = np.sign(moved) * np.maximum(np.abs(moved) - rate * l1, 0)
        back = ((ahead - moved) * (moved - w)).sum(1, keepdims=True) > 0
        grown = np.where(back, 1.0, (1 + np.sqrt(1 + 4 * age**2)) / 2)
        ahead = moved + np.where(back, 0.0, (age - 1) / grown) * (moved - w)
        w, age = moved, grown
    return w


def solved(x: np.ndarray, y: np.ndarray, l1: float, tol: float = 1e-10) -> np.ndarray:
    """scikit-learn's optimum of one mean loss + λ‖w‖₁, by coordinate descent: x [N, D], y [N, 1]; [D]."""
    model = linear_model.LogisticRegression(
        penalty="l1",
        solver="liblinear",
        C=1 / (len(x) * l1),
        fit_intercept=False,
        tol=tol,
        max_iter=100_000,
        random_state=0,  # of the order of coordinates; NumPy's global one differs from process to process
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn 1.8 renamed `penalty`
        return model.fit(x.astype("float64"), y.ravel()).coef_[0]


def ridge(x: np.ndarray, y: np.ndarray, l2: float) -> np.ndarray:
    """scikit-learn's optimum of one mean loss + λ‖w‖², [D]; its search starts from zero."""
    return posteriors.mode(x, y, tau=1 / np.sqrt(2 * len(x) * l2), bias=False)


def distance(w: np.ndarray, true: np.ndarray) -> np.ndarray:
    """‖w − w*‖ / ‖w*‖, [R, D] to [R]."""
    return np.linalg.norm(w - true, axis=1) / np.linalg.norm(true, axis=1)

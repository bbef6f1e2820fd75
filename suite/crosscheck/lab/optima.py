"""Softmax regression with a penalty: its forces, its optimum by another solver, its descent by hand.

Weights [S, D + 1, K] hold the biases in their last row; everything is float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize, special

from crosscheck import data
from crosscheck.replicates import batch_order


def with_ones(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, np.ones_like(x[..., :1])], axis=-1).astype("float64")


def data_gradient(w: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The mean cross-entropy's gradient, [S, D + 1, K], at weights of that shape, x [S, N, D], y [S, N]."""
    inputs = with_ones(x)
    off = special.softmax(inputs @ w, -1) - np.eye(w.shape[-1])[y]  # [S, N, K]
    return np.swapaxes(inputs, -1, -2) @ off / x.shape[-2]


def imbalance(w: np.ndarray, x: np.ndarray, y: np.ndarray, factor: float) -> np.ndarray:
    """‖pull + factor w‖ / (factor ‖w‖) of weights and their data gradient: [S], without unit."""
    left = (data_gradient(w, x, y) + factor * w).reshape(len(w), -1)
    return np.linalg.norm(left, axis=1) / (factor * np.linalg.norm(w.reshape(len(w), -1), axis=1))


def by_scikit_learn(x: np.ndarray, y: np.ndarray, factor: float) -> np.ndarray:
    """The least mean cross-entropy + factor ‖w‖²/2 by scikit-learn, C = 1 / (factor N): [S, D + 1, K]."""
    from sklearn.linear_model import LogisticRegression

    solver = LogisticRegression(C=1 / (factor * x.shape[1]), fit_intercept=False, tol=1e-10, max_iter=10_000)
    return np.stack([solver.fit(with_ones(a), b).coef_.T for a, b in zip(x, y, strict=True)])


def descended(
    start: Sequence[np.ndarray],
    seeds: Sequence[int],
    rate: float,
    penalty: float,
    batch_size: int,
    epochs: int,
    examples: int,
) -> list[np.ndarray]:
    """Gradient descent on mean cross-entropy + λ ‖w‖² of the digits, from kernels and biases, [S, …] each.

    The batches are those of `crosscheck.replicates`.
    """
    digits = data.load("digits")
    x, y = digits.x_train[:examples], digits.y_train[:examples]
    ends = []
    for kernel, bias, seed in zip(*start, seeds, strict=True):
        w = np.concatenate([kernel, bias[None]]).astype("float64")
        for epoch in range(epochs):
            order = batch_order(seed, epoch, len(x))
            for first in range(0, len(x), batch_size):
                batch = order[first : first + batch_size]
                w = w - rate * (data_gradient(w, x[batch], y[batch]) + 2 * penalty * w)
        ends.append(w)
    return [np.stack([w[:-1] for w in ends]), np.stack([w[-1] for w in ends])]


# --- one weight: laws in closed form, and step by step ---------------------------------------------------


def least_residual(penalty: float) -> float:
    """|p − y| = 2λw at the optimum of ln(1 + e^(−w)) + λw²: one example, x = 1, y = 1."""
    return float(2 * penalty * optimize.brentq(lambda w: special.expit(-w) - 2 * penalty * w, 0, 100))


def residual_by_minimisation(penalty: float) -> float:
    best = optimize.minimize_scalar(
        lambda w: np.logaddexp(0, -w) + penalty * w**2, bracket=(0, 10), tol=1e-12
    )
    return float(special.expit(-best.x))


def decayed(penalty: float, steps: int) -> float:
    """w after `steps` of SGD at rate 0.1 from 0 on (w − 1)²/2 with weight_decay = 2λ, in closed form."""
    shrink, end = 1 - 0.1 * (1 + 2 * penalty), 1 / (1 + 2 * penalty)
    return end * (1 - shrink**steps)


def penalised_step_by_step(penalty: float, steps: int) -> float:
    """The same with the penalty λw² in the loss, step by step."""
    w = 0.0
    for _ in range(steps):
        w -= 0.1 * ((w - 1) + 2 * penalty * w)
    return w

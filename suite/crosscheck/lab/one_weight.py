"""The posterior of a single weight w of a logistic model, under a Laplace or a Gaussian prior, by quadrature.

Labels y in {0, 1} have the probability σ(w x), no bias; priors are Laplace(0, b), and N(0, 2b²), which has
the same variance. Everything is in float64.

Source: Park & Casella 2008, for the mean under a Laplace prior; problem 3103435.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

REACH, NODES = 1.0, 48  # quadrature on [−REACH, 0] and [0, REACH], so that no node sees the prior's kink
GRID = np.linspace(-REACH, REACH, 201)  # where the maximum is looked for; 0 is one of them

LogDensity = Callable[[np.ndarray], np.ndarray]  # of w, [Q], up to a constant: [Q, …]


def moments(log_density: LogDensity, reach: float = REACH) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of densities that end within ± `reach`, [...] each."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    w = np.concatenate([nodes - 1, nodes + 1]) * reach / 2
    height = log_density(w)  # [Q, …]
    mass = np.concatenate([weights, weights]).reshape(-1, *[1] * (height.ndim - 1))
    mass = mass * np.exp(height - height.max(0))
    mass = mass / mass.sum(0)
    mean = np.tensordot(w, mass, 1)
    return mean, np.sqrt(np.tensordot(w**2, mass, 1) - mean**2)


def maximum(log_density: LogDensity) -> np.ndarray:
    """Where on `GRID` densities are greatest: [...]."""
    return GRID[log_density(GRID).argmax(0)]


def laplace(x: np.ndarray, y: np.ndarray, b: float) -> LogDensity:
    """ln p(y | x, w) − |w|/b for each feature by itself, x [N, D] and y [N]: [Q, D]."""
    return lambda w: log_likelihood(x, y, w) - np.abs(w)[:, None] / b


def gaussian(x: np.ndarray, y: np.ndarray, b: float) -> LogDensity:
    """The same under N(0, 2b²): [Q, D]."""
    return lambda w: log_likelihood(x, y, w) - (w**2)[:, None] / (4 * b**2)


def log_likelihood(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    signed = np.where(y[:, None] == 1, x, -x).astype("float64")  # [N, D]
    return special.log_expit(w[:, None, None] * signed).sum(1)


def at_zero(x: np.ndarray, y: np.ndarray, b: float) -> np.ndarray:
    """Whether the maximum under the Laplace prior is exactly 0: |Σ_n x_n (y_n − ½)| ≤ 1/b, [D]."""
    return np.abs((x * (y[:, None] - 0.5)).sum(0)) <= 1 / b


def mean_under_normal(m: float, s: float, b: float) -> float:
    """The mean of the density ∝ e^(−(w − m)²/(2s²) − |w|/b), in closed form.

    Of m± = m ∓ s²/b with weights e^(m±²/(2s²)) Φ(±m±/s).
    """
    right, left = m - s**2 / b, m + s**2 / b
    logs = [
        right**2 / (2 * s**2) + special.log_ndtr(right / s),
        left**2 / (2 * s**2) + special.log_ndtr(-left / s),
    ]
    share = special.expit(logs[0] - logs[1])
    return float(share * right + (1 - share) * left)


def mean_by_quadrature(m: float, s: float, b: float) -> float:
    """The same by `moments`."""
    mean, _ = moments(lambda w: -((w - m) ** 2) / (2 * s**2) - np.abs(w) / b, reach=10 * (abs(m) + s))
    return float(mean)

"""Posteriors' modes of linear models with priors: trained in Keras, many at once, and by scikit-learn.

Labels y given features x have the likelihood softmax(z)_y, or σ(±z) for two classes, at logits z = Wᵀx + b;
only the weights W have a prior, unless it is said otherwise.

Source: Advanced Perspectives and Applications; problem 3103388.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import mpmath
import numpy as np
from scipy import optimize, special
from sklearn import linear_model

from crosscheck import autodiff, data, regularizers, replicates

STEPS = 500  # of full-batch Adam, at a rate that falls to zero
DIGITS = 50


def trained(
    x: np.ndarray,
    y: np.ndarray,
    loss: Any,
    l2: Sequence[float] | np.ndarray,
    outputs: int = 1,
    sample_weight: np.ndarray | None = None,
    bias: bool = True,
) -> list[np.ndarray]:
    """Train linear models to the least mean loss + λ‖W‖², each with examples and a λ of its own.

    Args:
        x: features, [R, N, D].
        y: labels as the loss takes them, [R, N] or [R, N, 1].
        loss: a function of labels and logits, with a value an example.
        l2: λ in Keras' sense, [R].
        outputs: K.
        sample_weight: [R, N].
        bias: whether there are biases.

    Returns:
        Kernels [R, D, K] and biases [R, K] if there are any, float64.
    """

    def build() -> keras.Model:
        head = keras.layers.Dense(outputs, use_bias=bias, kernel_regularizer=keras.regularizers.L2(1.0))
        return keras.Sequential([keras.Input((x.shape[-1],)), head])

    replicas = replicates.Replicates(build, range(len(x)))
    rate = keras.optimizers.schedules.CosineDecay(0.1, STEPS)
    replicas.compile(keras.optimizers.Adam(rate), loss, penalty_scale=np.array(l2))
    replicas.fit(x, y, batch_size=x.shape[1], epochs=STEPS, shuffle=False, sample_weight=sample_weight)
    return [weights.astype("float64") for weights in replicas.get_weights()]


def mode(x: np.ndarray, y: np.ndarray, tau: float, bias: bool = True) -> np.ndarray:
    """scikit-learn's W for the prior N(0, τ²) on each weight, x [N, D] and y [N]: [D], or [D, K]."""
    model = linear_model.LogisticRegression(C=tau**2, fit_intercept=bias, tol=1e-9, max_iter=10_000)
    return model.fit(x, y.ravel()).coef_.squeeze().T


def mode_by_newton(x: np.ndarray, y: np.ndarray, tau: float) -> np.ndarray:
    """The same W of a binary model by Newton's method in NumPy, [D]: 30 steps, damped to unit length."""
    full = np.hstack([x, np.ones((len(x), 1))]).astype("float64")
    precision = np.diag([*[1 / tau**2] * x.shape[1], 0.0])
    w = np.zeros(full.shape[1])
    for _ in range(30):
        p = special.expit(full @ w)
        step = np.linalg.solve(
            (full.T * p * (1 - p)) @ full + precision, full.T @ (p - y.ravel()) + precision @ w
        )
        w = w - step / max(1.0, float(np.linalg.norm(step)))
    return w[:-1]


def mode_of_logits(x: np.ndarray, y: np.ndarray, tau: float) -> np.ndarray:
    """The logits z = Xw, [N], for the prior N(0, τ²) on each of them; no bias but what is in x [N, D].

    As ‖z‖² = wᵀXᵀXw, that is the prior N(0, τ²(XᵀX)⁻¹) on w. In features X(XᵀX)^−½ it is `mode`'s.
    """
    values, vectors = np.linalg.eigh(x.T @ x.astype("float64"))
    white = x @ vectors / np.sqrt(values)
    return white @ mode(white, y, tau, bias=False)


def mode_of_logits_by_search(x: np.ndarray, y: np.ndarray, tau: float) -> np.ndarray:
    """The same by SciPy's search for the w at which Σ_n ℓ_n + ‖Xw‖²/(2τ²) is least."""
    signed = np.where(y.reshape(-1, 1) == 1, x, -x).astype("float64")

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = signed @ w
        value = np.logaddexp(0, -z).sum() + z @ z / (2 * tau**2)
        return value, signed.T @ (z / tau**2 - special.expit(-z))

    found = optimize.minimize(objective, np.zeros(x.shape[1]), jac=True, method="BFGS", tol=1e-9)
    return x @ found.x


def linear_sets(seeds: tuple[int, ...], n: int, dim: int) -> list[np.ndarray]:
    """Features [R, N, D] and labels [R, N, 1], a set a seed."""
    sets = [data.logistic(np.random.default_rng(seed), n, dim)[:2] for seed in seeds]
    return [np.stack(arrays) for arrays in zip(*sets, strict=True)]


def with_n_and_without(
    x, y, loss, taus: Sequence[float], sizes: Sequence[int], outputs: int = 1, weight=None
):
    """Kernels and biases, [2, R, …], under the λ of priors τ [R] and N [R] examples, then without the N."""
    cases = [*zip(taus, sizes, strict=True), *((tau, 1) for tau in taus)]
    strengths = [regularizers.GaussianPrior(tau, n).l2 for tau, n in cases]
    twice: list[Any] = [None if array is None else np.concatenate([array] * 2) for array in (x, y, weight)]
    weights = trained(twice[0], twice[1], loss, strengths, outputs, twice[2])
    return [array.reshape(2, len(taus), *array.shape[1:]) for array in weights]


def distance(estimate: np.ndarray, truth: np.ndarray) -> float:
    """‖estimate − truth‖ / ‖truth‖ over all entries."""
    return float(np.linalg.norm(estimate - truth) / np.linalg.norm(truth))


def penalties(prior: keras.Regularizer, n: int, w: np.ndarray) -> dict[str, np.ndarray]:
    """N times a prior's penalty on the weights [D] and N times its gradient [D], as Keras computes them."""
    (weights,) = autodiff.tensors(w)
    tensors = {"penalty": prior(weights), "gradient": autodiff.gradient(prior)(weights)}
    return {name: n * autodiff.numbers(tensor) for name, tensor in tensors.items()}


def gaussian(w: np.ndarray, tau: float) -> dict[str, np.ndarray]:
    """−ln N(w; 0, τ²I) without its constant, ½ D ln 2πτ², and its gradient [D], from the density's digits."""
    with mpmath.workdps(DIGITS):
        t, weights = mpmath.mpf(tau), [mpmath.mpf(weight) for weight in w]
        constant = mpmath.log(2 * mpmath.pi * t**2) / 2
        penalty = -sum(mpmath.log(mpmath.npdf(weight, 0, t)) for weight in weights) - len(w) * constant
        gradient = [float(weight / t**2) for weight in weights]
        return {"penalty": np.array(float(penalty)), "gradient": np.array(gradient)}


def laplace(w: np.ndarray, b: float) -> dict[str, np.ndarray]:
    """−ln Laplace(w; 0, b) without its constant, D ln 2b, and its gradient sign(w)/b [D]."""
    with mpmath.workdps(DIGITS):
        scale = mpmath.mpf(b)
        logs = [mpmath.log(mpmath.exp(-abs(mpmath.mpf(weight)) / scale) / (2 * scale)) for weight in w]
        penalty = -sum(logs) - len(w) * mpmath.log(2 * scale)
        return {"penalty": np.array(float(penalty)), "gradient": np.sign(w) / b}

"""Predictions under a Gaussian prior: averaged over the posterior, and those of its maximum alone.

Labels y in {0, 1} have the probability σ(wᵀx), no bias; the prior is N(0, τ²I). Weights are drawn from
N(0, τ₀²I), and a τ is judged by the expected cross-entropy of fresh inputs: labels averaged over, not drawn.
Expectations under the prior are taken by Gauss and Hermite's quadrature.

Source: Bishop 2006, sections 3.3 and 4.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from crosscheck import data, losses, regularizers
from crosscheck.lab import posteriors, variational

EXAMPLES, FRESH, WEIGHTS = 8, 16, 2  # labels a draw, inputs it is judged on, D
NODES = 24  # nodes a weight up to τ = τ₀; wider priors need more


def drawn(seeds: Sequence[int], tau: float) -> list[tuple[np.ndarray, ...]]:
    """A seed each, weights from N(0, τ²I): x [N, D], y [N], fresh inputs [M, D], their p(y = 1) [M]."""
    sets: list[tuple[np.ndarray, ...]] = []
    for seed in seeds:
        rng = np.random.default_rng([seed, round(100 * tau)])
        x, y, w = data.logistic(rng, EXAMPLES + FRESH, WEIGHTS, tau)
        x = x.astype("float64")
        sets.append((x[:EXAMPLES], y[:EXAMPLES].ravel(), x[EXAMPLES:], special.expit(x[EXAMPLES:] @ w)))
    return sets


def losses_of(sets: list, taus: Sequence[float], nodes: int = NODES) -> dict[str, np.ndarray]:
    """Expected losses, [T, S], of the "predictive" and of the "plug-in", which Keras is trained to."""
    averaged = [
        [expected(truth, predictive(x, y, fresh, tau, nodes_at(tau, nodes))) for x, y, fresh, truth in sets]
        for tau in taus
    ]
    w = modes(sets, taus)
    plugged = [
        [
            expected(truth, special.expit(fresh @ at))
            for (_, _, fresh, truth), at in zip(sets, of, strict=True)
        ]
        for of in w
    ]
    return {"predictive": np.array(averaged), "plug-in": np.array(plugged)}


def nodes_at(tau: float, nodes: int) -> int:
    return round(nodes * max(1.0, tau) ** 0.5)


def predictive(x: np.ndarray, y: np.ndarray, fresh: np.ndarray, tau: float, nodes: int) -> np.ndarray:
    """p(y = 1 | fresh input, data), [M], averaged over the posterior; `nodes` a weight."""
    points, weights = variational.grid(x.shape[1], nodes)
    w = tau * points  # [Q, D]
    likelihood = special.log_expit(w @ np.where(y[:, None] == 1, x, -x).T).sum(1)
    posterior = weights * np.exp(likelihood - likelihood.max())
    return posterior @ special.expit(w @ fresh.T) / posterior.sum()


def modes(sets: list, taus: Sequence[float]) -> np.ndarray:
    """Weights at the posterior's maximum, of Keras models trained with the prior's λ: [T, S, D]."""
    x, y = (np.stack([one[i] for one in sets]).astype("float32") for i in (0, 1))
    strengths = np.repeat([regularizers.GaussianPrior(tau, EXAMPLES).l2 for tau in taus], len(sets))
    many_x, many_y = (np.concatenate([array] * len(taus)) for array in (x, y[..., None]))
    kernels = posteriors.trained(many_x, many_y, losses.binary_crossentropy, strengths, bias=False)[0]
    return kernels.reshape(len(taus), len(sets), WEIGHTS)


def expected(q: np.ndarray, p: np.ndarray) -> float:
    """Cross-entropy of p where the truth is q, mean over [M]."""
    return float(-(special.xlogy(q, p) + special.xlog1py(1 - q, -p)).mean())

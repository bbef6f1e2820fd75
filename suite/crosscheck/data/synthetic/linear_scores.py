"""What linear scores are worth on a `GaussianMixture`: over its whole population, by quadrature.

A score is slopes · x + offset, taken as log-odds, with a replicate's slopes in each row, [R, D]. Nothing is
sampled: what varies between replicates is their training alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from crosscheck.data.synthetic.generators import GaussianMixture

REACH = 8.0  # standard deviations; what lies beyond has the probability 1e−15
NODES = 401  # along the first feature
ACROSS = 16  # nodes along the score, at each of them


class Worth(NamedTuple):
    """Of each replicate, [R]: error rate; √E(p − η)²; E KL(η‖p) in nats, the loss beyond the least."""

    error: np.ndarray
    distance: np.ndarray
    excess: np.ndarray


def first_feature_nodes(mixture: GaussianMixture, nodes: int = NODES) -> tuple[np.ndarray, np.ndarray]:
    """Nodes along the first feature and their probabilities, [X] each, by the trapezoidal rule."""
    half = mixture.separation / 2
    x = np.linspace(-half - REACH, half + REACH, nodes)
    density = mixture.prior * normal(x - half) + (1 - mixture.prior) * normal(x + half)
    return x, density * (x[1] - x[0])


def normal(x: Any) -> Any:
    """The standard normal density."""
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def worth(
    mixture: GaussianMixture,
    slopes: np.ndarray,
    offset: np.ndarray,
    feature: Callable[[np.ndarray], np.ndarray] = np.positive,
) -> Worth:
    """What predictions p = σ(score) are worth on the mixture, by quadrature.

    At each value of the first feature the score is normal.

    Args:
        mixture: where the examples come from.
        slopes, offset: [R, D], D ≥ 2, and [R].
        feature: what the model is given in place of the first feature.
    """
    from scipy import special

    x, weight = first_feature_nodes(mixture)
    eta = mixture.posterior(x[:, None])  # [X]
    spread = np.linalg.norm(slopes[:, 1:], axis=1)
    centre = slopes[:, :1] * feature(x) + offset[:, None]  # [R, X]
    positive = special.ndtr(centre / spread[:, None])
    t, chance = np.polynomial.hermite_e.hermegauss(ACROSS)
    score = centre[..., None] + spread[:, None, None] * t  # [R, X, T]
    loss = np.logaddexp(0, -score) + (1 - eta[:, None]) * score
    least = special.entr(eta) + special.entr(1 - eta)
    mean = lambda values: np.einsum("rxt,x,t->r", values, weight, chance / chance.sum())
    return Worth(
        (positive * (1 - eta) + (1 - positive) * eta) @ weight,
        np.sqrt(mean((special.expit(score) - eta[:, None]) ** 2)),
        mean(loss - least[:, None]),
    )


def reliability(
    mixture: GaussianMixture, slopes: np.ndarray, offset: np.ndarray, chance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The p that stand for these chances, and how often each occurs per unit of the chance: [R, C] each.

    Where the prediction is p, the label is 1 with that chance, P(y=1|p): a score is normal in each class, so
    that its log-odds are linear, as on a mixture whose means lie δ a₀/‖a‖ apart (separation δ, slopes a).

    Args:
        mixture: where the examples come from.
        slopes, offset: [R, D], with a₀ ≠ 0, and [R].
        chance: [C], in (0, 1).
    """
    from scipy import special

    length = np.linalg.norm(slopes, axis=1)[:, None]
    apart = mixture.separation * slopes[:, :1] / length  # [R, 1]
    place = (special.logit(chance) - special.logit(mixture.prior)) / apart  # (score − offset)/‖a‖
    density = mixture.prior * normal(place - apart / 2) + (1 - mixture.prior) * normal(place + apart / 2)
    return special.expit(length * place + offset[:, None]), density / (np.abs(apart) * chance * (1 - chance))


def hinge_slope(separation: float) -> float:
    """Slope w of the score wx that hinge loss likes best on even classes; the posterior's is `separation`.

    A margin m = ±x is N(δ/2, 1), and the loss stands still where E[m; wm < 1] = 0.
    """
    from scipy import optimize, special

    half = separation / 2
    pull = lambda w: half * special.ndtr(1 / w - half) - normal(1 / w - half)
    return float(optimize.brentq(pull, 1e-2, 100))

"""Rows on the detection of outliers: what several arms of training make of inliers and outliers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from crosscheck import detection, metrics
from crosscheck.claims.rows import tidy

Logits = Mapping[str, Mapping[str, np.ndarray]]  # by arm and kind, [S, N, K] each; inliers are the kind "in"
Separations = Mapping[str, Mapping[str, np.ndarray]]  # by kind of outliers and measure, [S] each
BINS = {"energy": np.linspace(-16, 2, 55), "sureness": np.linspace(0, 7, 43)}
PASSED = np.round(np.linspace(0, 1, 51), 4)  # shares of inliers let in


def normalised(logits: np.ndarray) -> np.ndarray:
    """Energy of ln softmax(z), to 9 decimals: rounding must not rank the inputs. [R, N]."""
    return detection.scored("energy", special.log_softmax(logits, axis=-1)).round(9)


def halves(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of inliers as if every other one were an outlier: [..., N] to two of [..., N / 2]."""
    return scores[..., ::2], scores[..., 1::2]


def of_none(
    measure: Callable[..., np.ndarray], logits: Mapping[str, np.ndarray], *options: Any, times: int = 16
) -> np.ndarray:
    """A measure of the energy, half of the inliers standing in for outliers, mean over random halves: [S]."""
    scores, rng = detection.scored("energy", logits["in"]), np.random.default_rng(0)
    orders = (rng.permutation(scores.shape[1]) for _ in range(times))
    return np.mean([measure(*halves(scores[:, order]), *options) for order in orders], axis=0)


def auroc_by_half(logits: Mapping[str, np.ndarray], kind: str) -> np.ndarray:
    """AUROC of the largest probability as half precision hands it on, with its ties, [S]."""
    unsure = [-special.softmax(logits[of], axis=-1).max(-1).astype("float16") for of in ("in", kind)]
    return detection.auroc(*unsure)


def separation_rows(
    name: str, seeds: Sequence[int], separations: Separations, score: str, arm: str
) -> pd.DataFrame:
    """Every measure of separation by a score, `<measure>, <score>`, at the settings `<name>: <kind>`."""
    values = np.array([list(measures.values()) for measures in separations.values()])  # [kinds, measures, S]
    settings = np.array([f"{name}: {kind}" for kind in separations])[:, None, None]
    measures = next(iter(separations.values()))
    quantities = np.array([f"{measure}, {score}" for measure in measures])[:, None]
    return tidy(quantity=quantities, setting=settings, path=arm, seed=seeds, value=values)


def accuracies(logits: Logits, y_test: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy on test examples by arm, [S] each."""
    return {arm: (kinds["in"].argmax(-1) == y_test).mean(1) for arm, kinds in logits.items()}


def quality_rows(
    name: str, seeds: Sequence[int], logits: Logits, y_test: np.ndarray
) -> Iterator[pd.DataFrame]:
    """Accuracy and calibration error ("ECE") on test examples, arm by arm."""
    for arm, accuracy in accuracies(logits, y_test).items():
        probabilities = special.softmax(logits[arm]["in"], axis=-1)
        off = metrics.expected_calibration_error(probabilities, y_test)
        yield tidy(quantity="accuracy", setting=name, path=arm, seed=seeds, value=accuracy)
        yield tidy(quantity="ECE", setting=name, path=arm, seed=seeds, value=off)


def curve_rows(
    logits: Logits, kinds: Sequence[str], outliers: str, rocs: Sequence[tuple[str, str]]
) -> Iterator[pd.DataFrame]:
    """For a figure: distributions of energy and sureness, and the ROC, all of them over all seeds.

    Args:
        logits: by arm and kind; distributions are those of the arms "before" and "mixed".
        kinds: whose distributions.
        outliers: the kind in the ROC.
        rocs: an arm and a score for each ROC.
    """
    for arm in ("before", "mixed"):
        for kind in kinds:
            yield from density_rows(logits[arm][kind], kind, arm)
    for arm, score in rocs:
        inside, outside = (detection.scored(score, logits[arm][kind]) for kind in ("in", outliers))
        threshold = np.quantile(inside, PASSED, axis=1)  # [P, R]
        let_in = (outside[None] <= threshold[..., None]).mean((1, 2))
        yield tidy(quantity="ROC", setting=f"{arm}, {score}", x=PASSED, value=let_in)


def density_rows(logits: np.ndarray, kind: str, arm: str) -> Iterator[pd.DataFrame]:
    """Histograms of the energy and of the sureness −log₁₀(1 − max p); the end bins hold what lies beyond."""
    energy, unsure = (detection.scored(score, logits) for score in ("energy", "softmax"))
    for quantity, values in (("energy", energy), ("sureness", -unsure / np.log(10))):
        edges = BINS[quantity]
        height = np.histogram(np.clip(values, edges[0], edges[-1]), edges, density=True)[0]
        middle = (edges[1:] + edges[:-1]) / 2
        yield tidy(quantity=f"{quantity} density", setting=kind, path=arm, x=middle, value=height)


def fallen(energies: np.ndarray) -> np.ndarray:
    """By how much the energy fell from first to last, [stages, R, N] to [R, N]; 0 and never −0."""
    return energies[0] - energies[-1] + 0.0


def extremes(*values: np.ndarray) -> list[np.ndarray]:
    """Of each array [A, S], at each seed the values of the arms that are best and worst in the first, [S].

    Best and worst on the mean over the other seeds; a pair for each array.
    """
    others = values[0].sum(1, keepdims=True) - values[0]
    chosen, seeds = (others.argmax(0), others.argmin(0)), np.arange(values[0].shape[1])
    return [array[arm, seeds] for array in values for arm in chosen]

"""Rows on the detection of outliers: what several arms of training make of inliers and outliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from crosscheck import detection, metrics
from crosscheck.claims.rows import tidy

Logits = Mapping[str, Mapping[str, np.ndarray]]  # by arm and kind, [S, N, K] each
BINS = {"energy": np.linspace(-16, 2, 55), "sureness": np.linspace(0, 7, 43)}
PASSED = np.round(np.linspace(0, 1, 51), 4)  # shares of inliers let in


def arms_pair(check: str, values, references, **shared) -> list[pd.DataFrame]:
    """Rows of the claim and of its control, in this order."""
    pairs = zip(("claim", "control"), values, references, strict=True)
    return [tidy(check=check, arm=arm, value=v, reference=r, **shared) for arm, v, r in pairs]


def normalised(logits: np.ndarray) -> np.ndarray:
    """Energy of ln softmax(z), to 9 decimals: rounding must not rank the inputs. [R, N]."""
    return detection.scored("energy", special.log_softmax(logits, axis=-1)).round(9)


def detached(logits: dict[str, np.ndarray], spread: float) -> dict[str, dict[str, np.ndarray]]:
    """Separation by the energy after a random c(x) is added to all logits of every input."""
    rng = np.random.default_rng(0)
    return detection.separations(
        "energy", {k: z + spread * rng.normal(size=(*z.shape[:2], 1)) for k, z in logits.items()}
    )


def separation_rows(name: str, seeds: tuple[int, ...], kinds, score: str, path: str) -> list[pd.DataFrame]:
    values = np.array([list(found.values()) for found in kinds.values()])  # [kinds, measures, S]
    settings = np.array([f"{name}: {kind}" for kind in kinds])[:, None, None]
    quantities = np.array([f"{m}, {score}" for m in next(iter(kinds.values()))])[:, None]
    return [tidy(quantity=quantities, setting=settings, path=path, seed=seeds, value=values)]


def quality(logits: dict[str, dict[str, np.ndarray]], y_test: np.ndarray):
    """Accuracy and calibration error on test examples by arm, [S] each."""
    accuracy = {arm: (z["in"].argmax(-1) == y_test).mean(1) for arm, z in logits.items()}
    off = {
        arm: metrics.expected_calibration_error(special.softmax(z["in"], axis=-1), y_test)
        for arm, z in logits.items()
    }
    return accuracy, off


def curve_rows(
    after: Logits, kinds: Sequence[str], first: str, rocs: Sequence[tuple[str, str]]
) -> list[pd.DataFrame]:
    """For a figure: distributions of energy and sureness, and the ROC, all of them means over seeds.

    Args:
        after: logits by arm and kind, [S, N, K]; distributions are those of the arms "before" and "mixed".
        kinds: whose distributions; `first`: the outliers of the ROC, at each arm and score of `rocs`.
    """
    parts = []
    for arm in ("before", "mixed"):
        for kind in kinds:
            parts += density_rows(after[arm][kind], kind, arm)
    for arm, score in rocs:
        inside, outside = (detection.scored(score, after[arm][kind]) for kind in ("in", first))
        threshold = np.quantile(inside, PASSED, axis=1)  # [P, R]
        let_in = (outside[None] <= threshold[..., None]).mean((1, 2))
        parts.append(tidy(quantity="ROC", setting=f"{arm}, {score}", x=PASSED, value=let_in))
    return parts


def density_rows(logits: np.ndarray, kind: str, arm: str) -> list[pd.DataFrame]:
    energy, unsure = (detection.scored(score, logits) for score in ("energy", "softmax"))
    parts = []
    for quantity, values in (("energy", energy), ("sureness", -unsure / np.log(10))):
        edges = BINS[quantity]
        height = np.histogram(np.clip(values, edges[0], edges[-1]), edges, density=True)[0]
        told = {"setting": kind, "path": arm, "x": (edges[1:] + edges[:-1]) / 2}
        parts.append(tidy(quantity=f"{quantity} density", value=height, **told))
    return parts


def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each seed the kinds best and worst on the mean over the other seeds: [S] each, of [A, S]."""
    others = values.sum(1, keepdims=True) - values
    best, worst = others.argmax(0), others.argmin(0)
    seeds = np.arange(values.shape[1])
    return values[best, seeds], values[worst, seeds]

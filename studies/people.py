"""People disagree about images: is it better to learn from their shares than from what most of them say?

Expect: yes, by either score; and a linear model does best at the score that it was trained on. On the digits
the shares are made up, on Fashion-MNIST they are people's. Costs a quarter of a minute at the standard scale.
Run it with `crosscheck run people`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Claim, Theory, Unit, unit
from crosscheck.lab.comparisons import COMPARED, check
from crosscheck.lazy import contests, figures, pd, scores, standings

CLAIM = Claim(
    title="Who learns from people's shares predicts them better than who learns what most say",
    statement="Where labels are drawn from a true distribution q, cross-entropy and the Brier score are "
    "least at q: so they are where q itself is the label.",
    formula=r"\arg\min_p \mathbb{E}_q L(p) = q",
    source="Modeling Implications of Cross-Entropy; problem 3103404",
)

SETS = ("digits", "fashion_mnist_h")
SEEDS = {"smoke": (6, 6), "standard": (24, 16), "full": (64, 64)}
CHECKS = tuple(
    check(id, SETS) for id in ("soft_labels", "soft_labels_brier", "soft_labels_own", "soft_labels_own_brier")
)


def least_at(q: float) -> float:
    return q


def least_on_a_grid(q: float) -> float:
    """Where q ln p + (1 − q) ln (1 − p) is greatest, on a grid of a million points."""
    p = np.linspace(0, 1, 1_000_001)[1:-1]
    return float(p[np.argmax(q * np.log(p) + (1 - q) * np.log1p(-p))])


THEORIES = (Theory("least", least_at, least_on_a_grid, [(0.1,), (0.7,)], 1e-5),)


def train_on_people(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """A linear model trained on people's shares, and on what most of them choose."""
    split = contests.images(name, "people", seeds)
    labels = {"shares": split.y, "most": scores.one_hot(split.y.argmax(-1), 10)}
    logits = contests.held_out_logits("people", seeds, split, labels)
    scored = {arm: scores.from_people(z, split.y_test) for arm, z in logits.items()}
    yield standings.shown_rows(scored, setting=name, seed=seeds)
    scored |= scores.of_changed(logits, split.y_test, scores.from_people)
    for one in CHECKS:
        yield standings.compared_rows(one, COMPARED[one.id], scored, setting=name, seed=seeds)


def units(scale: str) -> list[Unit]:
    sets = zip(SETS, SEEDS[scale], strict=True)
    return [unit(train_on_people, range(few), data=name, cost=5) for name, few in sets]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Held-out distances from people's shares, mean and SD over seeds."""
    return standings.table(rows, "Trained on")


def figure(rows: pd.DataFrame):
    """Held-out distances of predictions from people's shares, by what was learnt from."""
    canvas, axes = figures.panels(2, 1, height=3.2)
    shown = standings.scores_shown(rows)
    for score, ax in zip(("(p − q)²", "KL"), axes, strict=True):
        part = shown[shown["score"] == score]
        figures.intervals(ax, part.set_index(["loss", "what", "setting", "seed"])["value"])
        ax.set(title="Distance from people's shares", xlabel=f"held-out {score}", xlim=(0, None))
    axes[0].legend().remove()  # it is the other panel's, and would stand on a point
    return canvas

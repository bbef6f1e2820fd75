"""Does what a model learns hold on rows that it has not seen? Where it does not, labels may be wrong in part.

A model that fits its rows and is lost on others has learnt by heart. Wrong labels make it so; so do too few
rows, and inputs that say little: none is told from the others here, so that nothing is ever a ✗.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._rows import POOL
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose._task import classes_of
from crosscheck.diagnose._words import across, rounded

HOLDS, CONTRADICTED = "holds-on-other-rows", "labels-contradicted"
OFTEN = 3  # copies that had not seen a row, and all give it another class
FEWEST, SHARE, SHOWN = 3, 0.02, 5  # rows that are contradicted, to be noted; that are named


def unseen_rows(lab: Laboratory) -> Iterator[Finding | Suspicion]:
    """Whether copies that fit their rows come half of the way from the prior on others, too."""
    own = lab.as_it_is
    shown = ~own.fails & own.is_lost_elsewhere
    if own.fails.all():
        return  # it does not even fit its own rows, which has checks of its own
    rows, of = contradicted(lab)
    named = f"; look at rows {', '.join(map(str, rows[:SHOWN]))}, which they deny" if len(rows) else ""
    few = (
        f"{lab.rows} rows, of {len(lab.y)}, are too few" if lab.rows < len(lab.y) // 2 else "rows are too few"
    )
    yield Suspicion(
        HOLDS,
        shown[None],
        Finding(HOLDS, "✗", compared(lab), "statistical"),
        limit=f"labels that are wrong in part make it so, inputs that say little, or {few}{named}"
        if shown.any()
        else "not every copy fits its own rows",
    )
    if len(rows) >= max(FEWEST, SHARE * of) and not shown.any():
        yield Finding(
            CONTRADICTED,
            "note",
            f"{len(rows)} of {of} rows are given another class by every copy that was not trained on them, "
            f"{OFTEN} at least",
            "heuristic",
            why="they may be hard, or labelled wrongly.",
            fix=f"look at rows {', '.join(map(str, rows[:SHOWN]))}" if len(lab.y) < POOL else "",
        )


def compared(lab: Laboratory) -> str:
    """How it does on the rows trained on, on others, and without any input."""
    own = lab.as_it_is
    if np.isnan(own.held_out_error).any():
        values = own.loss, own.held_out_loss, own.prior_loss
        told = [across(values[0]), across(values[1]), rounded(float(np.median(values[2])))]
        return f"loss {told[0]} on {lab.rows} rows, {told[1]} on others; {told[2]} without any input"
    shares = (float(np.median(v)) for v in (own.error, own.held_out_error, own.prior_error))
    mine, others, prior = (f"{share:.0%}" for share in shares)
    return f"{mine} wrong on {lab.rows} rows, {others} on others; {prior} without any input"


def contradicted(lab: Laboratory) -> tuple[np.ndarray, int]:
    """The rows that every copy gives another class which was not trained on them, and of how many.

    The numbers are those of the rows in the data as long as these are no more than are drawn from.
    """
    own = lab.as_it_is
    decided = decisions(own.outputs, lab.task.kind)
    if decided is None:
        return np.array([], "int64"), 0
    y = lab.y.ravel() if lab.y.size == len(lab.y) else lab.y  # a column holds no one-hot row
    seen, wrong = np.zeros(len(lab.y), "int64"), np.zeros(len(lab.y), "int64")
    for rows, classes in zip(lab.splits[1], decided, strict=True):
        seen[rows] += 1
        wrong[rows] += classes != classes_of(y[rows], lab.task.width)
    often = seen >= OFTEN
    return np.flatnonzero(often & (wrong == seen)), int(often.sum())


def decisions(outputs: np.ndarray, kind: str) -> np.ndarray | None:
    """The class of every row under every seed, [S, H], from outputs [S, H, K]; None where there is none.

    Of one unit, a probability is cut at ½ and a logit at 0.
    """
    if outputs.ndim != 3 or not np.isfinite(outputs).all():
        return None
    if kind == "labels" and outputs.shape[-1] == 1:
        is_chance = outputs.min() >= 0 and outputs.max() <= 1
        return (outputs[..., 0] > (0.5 if is_chance else 0)).astype("int64")
    return outputs.argmax(-1) if kind == "classes" else None

"""Why a loss may stand in for the 0-1 loss: its excess bounds the excess error, smooth or not.

Expect: (excess error)² ≤ 2 · excess cross-entropy at every point, and hinge loss, which has a kink, has such
a bound as well; of three classes without a majority hinge loss tells nothing, cross-entropy the likeliest.
Costs seconds. Run it with `crosscheck run consistency`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Exceeds, Theory, Unit, unit
from crosscheck.lazy import excesses, figures, keras, pd, risk, rows

CLAIM = Claim(
    title="What lets a loss stand in for the 0-1 loss is that its excess bounds the excess error",
    statement="Cross-entropy is smooth, and that is why it may stand in for the 0-1 loss, of which an "
    "optimiser can make nothing.",
    formula=r"\bigl(R_{01} - R_{01}^*\bigr)^2 \le 2\,\bigl(R_{\log} - R_{\log}^*\bigr)",
    source="Properties of the Loss Landscape; problem 3103430",
    correct="Smoothness lets an optimiser work. What lets a loss stand in is that driving its excess to zero "
    "drives the excess error there: of two classes hinge loss, which has a kink, does so too (Bartlett et "
    "al. 2006); of more, cross-entropy does and multi-class hinge loss does not.",
)


# --- two classes: does the excess of the loss bound that of the error? ---

BOUND = Check(
    "bound",
    "Of two classes the squared excess error is at most twice the excess of cross-entropy.",
    Exceeds(margin=0.0),
    r"(R_{01} - R_{01}^*)^2 \le 2\,(R_{\log} - R_{\log}^*)",
    control="1.9 times the excess",
    positive="the Brier score, with four times its excess",
    exact=True,
)
KINKED = Check(
    "kinked",
    "Of two classes the excess error is at most the excess of hinge loss, which is not smooth.",
    Exceeds(margin=0.0),
    r"R_{01} - R_{01}^* \le R_{\mathrm{hinge}} - R_{\mathrm{hinge}}^*",
    control="0.9 times the excess",
    positive="squared hinge loss, against the squared excess error",
    exact=True,
)


def measure_two(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Excesses of losses less those of the error, at chances and scores on a grid."""
    eta, z = excesses.points()
    error, entropy = excesses.error(eta, z), excesses.log_excess(eta, z)
    brier = risk.excess("brier", eta, z)
    yield BOUND.rows(2 * entropy, 1.9 * entropy, error**2, positive=4 * brier)
    hinge, squared = (
        excesses.of_margin_loss(loss, eta, z) for loss in (keras.losses.hinge, keras.losses.squared_hinge)
    )
    yield KINKED.rows(hinge, 0.9 * hinge, error)
    yield KINKED.rows(positive=squared, reference=error**2)
    for name, excess in (("cross-entropy", entropy), ("hinge loss", hinge)):
        yield rows.tidy(quantity=f"excess, {name}", x=excess[error > 0], value=error[error > 0])


def draw_bounds(ax, rows: pd.DataFrame) -> None:
    for name in ("cross-entropy", "hinge loss"):
        part = rows[rows["quantity"] == f"excess, {name}"]
        ax.plot(part["x"], part["value"], "o", label=name, alpha=0.6)
    x = np.geomspace(1e-4, 10, 100)
    figures.theory_line(ax, x, np.minimum(np.sqrt(2 * x), 1.2), "√(2 · excess)")
    figures.theory_line(ax, x, np.minimum(x, 1.2), "the excess itself", linestyle=":")
    ax.set(title="Two classes, wrong decisions", xlabel="excess of the loss", ylabel="excess error")
    ax.set(xscale="log", xlim=(1e-4, 10), ylim=(-0.03, 1.1))
    ax.legend(fontsize=8, loc="upper left")


# --- more classes: does the best prediction tell the likeliest? ---

CHANCES = ((0.4, 0.3, 0.3), (0.45, 0.35, 0.2), (0.3, 0.25, 0.25, 0.2))  # without a majority

MANY = Check(
    "many",
    "Where no class has a majority, the least expected cross-entropy puts the likeliest first, by 0.1.",
    Exceeds(margin=0.1),
    r"z_1 - \max_{j > 1} z_j = \ln \frac{q_1}{\max_{j > 1} q_j}",
    control="Keras' multi-class hinge loss, whose best prediction is a tie",
    positive="the Brier score of a softmax",
    exact=True,
)


def measure_many(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The likeliest class's lead where each expected loss is least; the losses along it, to look at."""
    arms = dict(zip(("claim", "control", "positive"), excesses.BY_CLASS, strict=True))
    for arm, name in arms.items():
        leads = [excesses.lead(name, np.array(q)) for q in CHANCES]
        yield MANY.rows(**{arm: leads}, quantity=[f"lead at {q}" for q in CHANCES])
        t = np.linspace(-1.5, 1.5, 61)
        curve = excesses.expected(name, np.array(CHANCES[0]), np.stack([t, 0 * t, 0 * t], axis=1))
        yield rows.tidy(quantity=f"along, {name}", x=t, value=curve)


def draw_along(ax, rows: pd.DataFrame) -> None:
    along = rows[rows["quantity"].str.startswith("along, ")]
    for name, part in along.groupby("quantity", sort=False):
        least = part.nsmallest(1, "value")
        ax.plot(part["x"], part["value"], label=str(name).removeprefix("along, "))
        ax.plot(least["x"], least["value"], "o", color=ax.lines[-1].get_color())
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set(title="Chances 0.4, 0.3, 0.3", xlabel="lead of the likeliest class", ylabel="expected loss")
    ax.legend(fontsize=8)


# --- the whole study ---

CHECKS = (BOUND, KINKED, MANY)
THEORIES = (
    Theory(
        "hinge",
        lambda *q: excesses.least_hinge(*q),
        lambda *q: excesses.least_hinge_by_programme(*q),
        [*CHANCES, (0.6, 0.3, 0.1), (0.5, 0.5)],
        1e-7,
    ),
)


def units(scale: str) -> list[Unit]:
    return [unit(measure_two), unit(measure_many, cost=3)]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The likeliest class's lead where the expected loss is least."""
    leads = rows[rows["check"] == MANY.id]
    wide = leads.pivot_table("value", "quantity", "arm", sort=False).round(4).reset_index()
    wide["quantity"] = wide["quantity"].str.removeprefix("lead at ")
    named = {"quantity": "Chances", "claim": "cross-entropy", "control": "hinge", "positive": "Brier score"}
    return wide.rename(columns=named).rename_axis(None, axis=1)


def figure(rows: pd.DataFrame):
    """Excess errors against excess losses, and where losses of three classes are least."""
    canvas, axes = figures.panels(2, 1, height=3.5)
    for draw, ax in zip((draw_bounds, draw_along), axes, strict=True):
        draw(ax, rows)
    return canvas

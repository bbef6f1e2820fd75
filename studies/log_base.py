"""The base of the logarithm is a matter of units, until something else has units too: a penalty, Adam's ε.

It costs ten seconds at the standard scale on two cores. Run it with `crosscheck run log_base`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    autodiff,
    bases,
    data,
    distances,
    figures,
    keras,
    losses,
    models,
    pd,
    replicates,
    rows,
    steps,
)

CLAIM = Claim(
    title="The base of the logarithm is a unit, and what has a scale of its own must be rescaled with it",
    statement="Another base of the logarithm rescales loss and gradients by one constant and leaves the "
    "relative priority of examples during training as it was.",
    formula=r"\log_2 p = \frac{\ln p}{\ln 2}",
    source="The Probabilistic Foundation: Cross-Entropy as a Measure of Surprise; problem 3103406",
    correct="The base is one constant of the loss alone: whatever else has a scale must be rescaled with it, "
    "SGD's rate, a penalty's coefficient and Adam's ε.",
)

# --- base: does another base of the logarithm leave each example its share of the gradient? ---

LN2 = math.log(2)

BASE = Check(
    "base",
    "In base 2 every example's gradient is 1/ln 2 times as large, so its share of the whole is the same.",
    Identity(ulps=8),  # a softmax, a logarithm, a norm, a quotient
    r"\frac{|g_i|}{\sum_j |g_j|}",
    control="base 2, and labels smoothed by 0.001",
    positive="Keras' own loss, divided by ln 2",
    exact=True,
)


BASE_LAW = Theory(  # d log₂(1/p)/dz by d ln(1/p)/dz, at a logit of class 1
    "base",
    lambda z: 1 / math.log(2),
    lambda z: (
        (math.log2(1 + math.exp(-z)) - math.log2(1 + math.exp(-z - 1)))
        / (math.log1p(math.exp(-z)) - math.log1p(math.exp(-z - 1)))
    ),
    [(-3.0,), (0.0,), (2.0,)],
)


def measure_shares(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Each example's share of the gradient, of 256 digits under an untrained network, in float64."""
    digits = data.load("digits")
    x, y = digits.x_train[:256], np.eye(10)[digits.y_train[:256]]
    untrained = replicates.Replicates(models.perceptron(x.shape[1], [32], 10), [0])
    z = 3 * untrained.predict(x)[0].astype("float64")
    ops = keras.ops
    in_base_2 = lambda y, z: -ops.sum(y * ops.log2(ops.softmax(z)), -1)
    smoothed = lambda y, z: losses.categorical_crossentropy(y, z, 1e-3) / LN2
    keras_own = lambda y, z: ops.categorical_crossentropy(y, z, from_logits=True) / LN2
    natural, size = shares(losses.categorical_crossentropy, y, z)
    others = (shares(loss, y, z) for loss in (in_base_2, smoothed, keras_own))
    (binary, size_2), (off, size_off), (divided, size_divided) = others
    eps = np.finfo("float64").eps
    ratios = [sizes / size for sizes in (size_2, size_off, size_divided)]
    yield BASE.rows(ratios[0], ratios[1], 1 / LN2, positive=ratios[2], resolution=eps / LN2)
    place = {"quantity": "share", "x": natural, "resolution": eps * natural}
    yield BASE.rows(binary, off, natural, positive=divided, **place)
    brier, _ = shares(losses.categorical_brier, y, z)
    yield rows.tidy(quantity="share of Brier", x=natural, value=brier)


def shares(loss, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each example's part of Σ‖g‖, and ‖g‖ itself: [N] each."""
    size = np.linalg.norm(autodiff.logit_gradient(loss, y, z), axis=1)
    return size / size.sum(), size


def draw_shares(ax, rows: pd.DataFrame) -> None:
    shown = rows[rows["quantity"] == "share"]
    brier = rows[rows["quantity"] == "share of Brier"]
    parts = ((shown[shown["arm"] == "claim"], "base 2", "o"), (brier, "Brier score", "^"))
    for part, label, marker in parts:
        ax.plot(part["x"] * 100, part["value"] * 100, marker, label=label, alpha=0.5, rasterized=True)
    ends = np.array([0, shown["x"].max() * 100])
    figures.theory_line(ax, ends, ends, "the same share")
    ax.set(title="Share of the gradient", xlabel="in base e (%)", ylabel="in another loss (%)")
    ax.legend()


# --- training: does another base end at the same weights? ---

SEEDS = {"smoke": 6, "standard": 24, "full": 128}
EXAMPLES = {"smoke": 640, "standard": 1297, "full": 1297}  # all; 640: no shorter batch to compile anew
RATE, ADAM_RATE, PENALTY = 0.1, 0.001, 1e-2
EPSILONS = {"ε = 1e−7": 1e-7, "ε = 1e−3": 1e-3}  # Keras' own, and one that large networks are trained with
DISTANCE = r"\frac{\lVert w_2 - w_e\rVert}{\lVert w_e - w_0\rVert} = 0"

BASE_SGD = Check(
    "base_sgd",
    "Under SGD, base 2 with the rate times ln 2 ends at the same weights, relative to the way they went.",
    Equal(margin=0.001),
    DISTANCE,
    control="the rate times 0.7, ln 2 to one digit",
    positive="the rate times 0.69315, ln 2 to five digits",
    population="these data sets",
)
BASE_ADAM = Check(
    "base_adam",
    "Under Adam, which divides by the gradient's size, base 2 needs nothing else.",
    Equal(margin=0.001),
    DISTANCE,
    control="the rate 1 % larger",
    positive="ε divided by ln 2 as well",
    population="these data sets",
    settings=tuple(EPSILONS),
    scope=True,
)
BASE_PENALTY = Check(
    "base_penalty",
    "With an L2 penalty, left as it is, base 2 with the rate times ln 2 still ends at the same weights.",
    Equal(margin=0.001),
    DISTANCE,
    control="the penalty divided by ln 2 as well, and the rate times 0.7",
    positive="the penalty divided by ln 2 as well",
    population="these data sets",
    scope=True,
)


def train_sgd(seeds: tuple[int, ...], examples: int) -> Iterator[pd.DataFrame]:
    """How far base 2 ends from base e under SGD, relative to the way from the start."""
    run, two, weak = bases.Run, (LN2, RATE * LN2), PENALTY / LN2
    runs = {  # by check: base e; base 2 as claimed, as it must fail, as it must hold
        BASE_SGD: (run(1, RATE), run(*two), run(LN2, RATE * 0.7), run(LN2, RATE * 0.69315)),
        BASE_PENALTY: (
            run(1, RATE, PENALTY),
            run(*two, PENALTY),
            run(LN2, RATE * 0.7, weak),
            run(*two, weak),
        ),
    }
    chosen = [each for four in runs.values() for each in four]
    weights, start = bases.ends(seeds, keras.optimizers.SGD(RATE), chosen, examples)
    for check, (natural, *others) in runs.items():
        claim, control, positive = apart(weights, start, natural, others)
        yield check.rows(claim, control, positive=positive, seed=seeds)


def train_adam(seeds: tuple[int, ...], examples: int) -> Iterator[pd.DataFrame]:
    """The same under Adam, for two sizes of its ε."""
    run = lambda ln_base, rate, epsilon: bases.Run(ln_base, rate * ADAM_RATE, epsilon=epsilon)
    runs = {
        name: (run(1, 1, e), run(LN2, 1, e), run(LN2, 1.01, e), run(LN2, 1, e / LN2))
        for name, e in EPSILONS.items()
    }
    chosen = [each for four in runs.values() for each in four]
    weights, start = bases.ends(seeds, keras.optimizers.Adam(ADAM_RATE), chosen, examples)
    for name, (natural, *others) in runs.items():
        claim, control, positive = apart(weights, start, natural, others)
        yield BASE_ADAM.rows(claim, control, positive=positive, setting=name, seed=seeds)


def apart(weights, start, natural: bases.Run, others: list[bases.Run]) -> list[np.ndarray]:
    """How far other trainings end from that in base e, relative to the way that it went: [S] each."""
    return [steps.distance(weights[run], weights[natural], start) for run in others]


def draw_bases(ax, rows: pd.DataFrame) -> None:
    places = {
        "SGD": (BASE_SGD, ""),
        "SGD, penalty": (BASE_PENALTY, ""),
        **{f"Adam, {name}": (BASE_ADAM, name) for name in EPSILONS},
    }
    distances.draw_distances(ax, rows, places, "as claimed", "control")
    ax.set(title="Base 2 against base e")
    ax.legend(loc=(0.5, 0.27))


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (BASE, BASE_SGD, BASE_ADAM, BASE_PENALTY)
THEORIES = (BASE_LAW,)


def units(scale: str) -> list[Unit]:
    seeds, examples = range(SEEDS[scale]), EXAMPLES[scale]
    return [
        unit(measure_shares, data=("digits",)),
        unit(train_sgd, seeds, data=("digits",), cost=5, examples=examples),
        unit(train_adam, seeds, data=("digits",), cost=5, examples=examples),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """How far base 2 ends from base e, relative to the way there: medians over seeds."""
    apart = rows[rows["check"].isin([check.id for check in CHECKS[1:]])]
    names = {"claim": "Nothing else", "positive": "All that has a scale", "control": "A rate 1 % off"}
    wide = apart.pivot_table("value", ["check", "setting"], "arm", "median", sort=False)
    labels = [f"{check}, {setting}".strip(", ") for check, setting in wide.index]
    return wide[list(names)].rename(columns=names).set_axis(labels).rename_axis("Training").reset_index()


def figure(rows: pd.DataFrame):
    """The examples' shares in two bases, and what the base does to training."""
    canvas, axes = figures.panels(2, 1, height=3.6)
    for draw, ax in zip((draw_shares, draw_bases), axes, strict=True):
        draw(ax, rows)
    return canvas

"""The loss is the surprise −ln p: without bound as p → 0, and the logarithm's base does not matter.

Expect: exact from logits; from probabilities Keras stops at −ln 1e−7 = 16.1. The base is a matter of units
until something else has units too: a penalty, or Adam's ε. It costs half a minute at the standard scale on
two cores, beside the paths of `execution_paths`. Run it with `crosscheck run surprise`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    autodiff,
    data,
    distances,
    figures,
    keras,
    losses,
    models,
    paths,
    pd,
    pointwise,
    replicates,
    rows,
    steps,
    trajectories,
)
from crosscheck.studies.execution_paths import path_units

CLAIM = Claim(
    title="Cross-entropy is surprise: a tenth of the probability costs ln 10 more, without end",
    statement="The loss −ln p is the surprise at what happened. It doubles from p = 0.1 to p = 0.01 and "
    "grows without bound as p → 0. Another base of the logarithm rescales loss and gradients by one constant "
    "and leaves the relative priority of examples as it was.",
    formula=r"\mathcal{L} = -\ln p_y, \qquad -\ln 0.01 = 2\,(-\ln 0.1) = 2 \ln 10",
    source="The Probabilistic Foundation: Cross-Entropy as a Measure of Surprise; problem 3103406",
    correct="From logits the loss is −ln p without bound; from probabilities Keras' losses end at −ln(1e−7). "
    "The base is one constant of the loss alone: whatever else has a scale must be rescaled with it, a "
    "penalty's coefficient and Adam's ε too.",
)

DTYPES = ("float64", "float32")
BUILT_IN = tuple(
    f"{kind}, {api}" for kind in ("binary", "categorical", "sparse") for api in ("class", "function")
)


# --- values: is the loss −ln p, at 0.01 twice what it is at 0.1? ---

VALUES = Check(
    "values",
    "−ln 0.1 and −ln 0.01, their ratio 2 and difference ln 10: ours and each of Keras', both ways in.",
    Identity(ulps=8),  # the probability, its logit, the loss and the ratio are each rounded
    r"-\ln 0.1,\; -\ln 0.01",
    control="the Brier score",
    settings=DTYPES,
    exact=True,
)


def surprise(p: float) -> float:
    return -math.log(p)


def surprise_by_integration(p: float) -> float:
    return float(mpmath.quad(lambda t: 1 / t, [p, 1]))


SURPRISE_LAW = Theory("surprise", surprise, surprise_by_integration, [(0.1,), (0.01,), (0.5,), (1e-4,)])


def measure_values(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The losses of this section and of the next."""
    yield from (value_rows(name, dtype) for name in (*BUILT_IN, "ours") for dtype in DTYPES)
    yield from map(unbounded_rows, DTYPES)
    for name in BUILT_IN:
        yield from probability_rows(name)
    brier = pointwise.values(losses.brier, "binary", pointwise.logit(TINY, "float64"))
    yield rows.tidy(quantity="brier", x=TINY, value=brier)


def value_rows(name: str, dtype: str) -> pd.DataFrame:
    """The two values, their ratio and their difference, from probabilities and from logits."""
    p, entries = np.array([0.1, 0.01]), ("logits",) if name == "ours" else ("probabilities", "logits")
    claim = [four_numbers(pointwise.cross_entropy(name, entry, p, dtype)) for entry in entries]
    control = four_numbers(pointwise.values(losses.brier, "binary", pointwise.logit(p, dtype)))
    exact = np.array([math.log(10), math.log(100), 2, math.log(10)])
    return VALUES.rows(claim, control, exact, setting=dtype, resolution=np.finfo(dtype).eps * exact)


def four_numbers(pair: np.ndarray) -> list[float]:
    """Of the losses at p = 0.1 and at 0.01: both, their ratio and their difference."""
    at_tenth, at_hundredth = pair
    return [at_tenth, at_hundredth, at_hundredth / at_tenth, at_hundredth - at_tenth]


# --- bound: does the loss grow without end as p → 0? ---

LOGITS = -np.array([1, 10, 16, 50, 100, 1e3, 1e4])
TINY = 10.0 ** -np.array([1, 2, 5, 7, 10, 20, 30])  # probabilities that float32 and float64 can both hold

UNBOUNDED = Check(
    "unbounded",
    "On logits down to −10,000 this package's loss is −ln p, however small p.",
    Identity(ulps=4),
    r"-\ln \sigma(z)",
    control="the Brier score",
    settings=DTYPES,
    exact=True,
)
UNBOUNDED_PROBABILITIES = Check(
    "unbounded_probabilities",
    "So it is for Keras' losses, given the probabilities themselves, down to 1e−30.",
    Identity(ulps=8),
    r"-\ln p",
    control="squared error of the same probabilities",
    settings=BUILT_IN,
    scope=True,
    exact=True,
)
CAP = Check(
    "cap",
    "Given probabilities below 1e−7, Keras' losses all stop at −ln(1e−7) = 16.118.",
    Identity(ulps=4),
    r"-\ln 10^{-7}",
    control="the same numbers handed over as logits",
    settings=BUILT_IN,
    exact=True,
)


def unbounded_rows(dtype: str) -> pd.DataFrame:
    """Our loss and the Brier score, from logits."""
    exact, z = paths.oracle("binary", LOGITS, np.ones_like(LOGITS)).value, LOGITS[:, None].astype(dtype)
    loss, brier = (pointwise.values(loss, "binary", z) for loss in (losses.binary_crossentropy, losses.brier))
    place = {"setting": dtype, "quantity": "loss", "x": LOGITS}
    return UNBOUNDED.rows(loss, brier, exact, resolution=np.finfo(dtype).eps * np.maximum(1, exact), **place)


def probability_rows(name: str) -> Iterator[pd.DataFrame]:
    """One of Keras' losses fed the probability itself, in float64, and what becomes of it below 1e−7."""
    eps, exact, below, cap = np.finfo("float64").eps, -np.log(TINY), TINY < 1e-7, math.log(1e7)
    loss = pointwise.cross_entropy(name, "probabilities", TINY, "float64")
    mistaken = pointwise.cross_entropy(name, "probabilities as logits", TINY, "float64")
    squared = pointwise.values(keras.losses.mean_squared_error, "binary", TINY[:, None])
    place = {"setting": name, "quantity": "loss", "x": TINY}
    yield UNBOUNDED_PROBABILITIES.rows(loss, squared, exact, resolution=eps * exact, **place)
    yield CAP.rows(loss[below], mistaken[below], cap, setting=name, resolution=eps * cap)


def draw_loss(ax, rows: pd.DataFrame) -> None:
    p = np.geomspace(1e-30, 1, 200)
    figures.theory_line(ax, p, -np.log(p), "−ln p")
    claim = rows[(rows["quantity"] == "loss") & (rows["arm"] == "claim")]
    keras_own = claim[claim["setting"] == "categorical, class"]
    ax.plot(keras_own["x"], keras_own["value"], "s", label="Keras, from p", color=figures.PALETTE[1])
    ours = claim[(claim["check"] == UNBOUNDED.id) & (claim["setting"] == "float32") & (claim["x"] > -70)]
    ax.plot(1 / (1 + np.exp(-ours["x"])), ours["value"], "o", label="ours, from z", color=figures.PALETTE[0])
    brier = rows[rows["quantity"] == "brier"]
    ax.plot(brier["x"], brier["value"], "^", label="Brier score", color=figures.PALETTE[6])
    ax.set(title="Surprise", xlabel="probability p of what happened", ylabel="loss (nats)", xscale="log")
    ax.legend(loc="upper right")


# --- paths: is it −ln p on every execution path? (measured in `execution_paths`) ---

VALUE_PATHS = Check(
    "value_paths",
    "Keras' losses are −ln p on every execution path.",
    Identity(ulps=4),
    r"-\ln p_y",
    control="squared error through the same head",
    settings=("tensorflow",),
    scope=True,
    exact=True,
)


# --- base: does another base of the logarithm leave each example its share of the gradient? ---

LN2 = math.log(2)

BASE = Check(
    "base",
    "In base 2 every example's gradient is 1/ln 2 times as large, so its share of the whole is the same.",
    Identity(ulps=8),  # a softmax, a logarithm, a norm, a quotient
    r"\frac{|g_i|}{\sum_j |g_j|}",
    control="the Brier score in place of base 2",
    exact=True,
)


def measure_shares(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Each example's share of the gradient, of 256 digits under an untrained network, in float64."""
    digits = data.load("digits")
    x, y = digits.x_train[:256], np.eye(10)[digits.y_train[:256]]
    untrained = replicates.Replicates(models.perceptron(x.shape[1], [32], 10), [0])
    z = 3 * untrained.predict(x)[0].astype("float64")
    in_base_2 = lambda y, z: -keras.ops.sum(y * keras.ops.log2(keras.ops.softmax(z)), -1)
    natural, size = shares(losses.categorical_crossentropy, y, z)
    binary, size_2 = shares(in_base_2, y, z)
    brier, _ = shares(losses.categorical_brier, y, z)
    eps = np.finfo("float64").eps
    yield BASE.rows(size_2 / size, reference=1 / LN2, resolution=eps / LN2)
    yield BASE.rows(binary, brier, natural, quantity="share", x=natural, resolution=eps * natural)


def shares(loss, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each example's part of Σ‖g‖, and ‖g‖ itself: [N] each."""
    size = np.linalg.norm(autodiff.logit_gradient(loss, y, z), axis=1)
    return size / size.sum(), size


def draw_shares(ax, rows: pd.DataFrame) -> None:
    shown = rows[rows["quantity"] == "share"]
    for arm, label, marker in (("claim", "base 2", "o"), ("control", "Brier score", "^")):
        part = shown[shown["arm"] == arm]
        ax.plot(part["x"] * 100, part["value"] * 100, marker, label=label, alpha=0.5, rasterized=True)
    ends = np.array([0, shown["x"].max() * 100])
    figures.theory_line(ax, ends, ends, "the same share")
    ax.set(title="Share of the gradient", xlabel="in base e (%)", ylabel="in another loss (%)")
    ax.legend()


# --- training: does another base end at the same weights? ---

SEEDS = {
    "SGD": {"smoke": 8, "standard": 32, "full": 128},
    "Adam": {"smoke": 8, "standard": 128, "full": 128},  # its ε moves each by another amount
}
EXAMPLES = {"smoke": 640, "standard": 1297, "full": 1297}  # all; 640: no shorter batch to compile anew
RATE, ADAM_RATE, PENALTY = 0.1, 0.001, 1e-2
DISTANCE = r"\frac{\lVert w_2 - w_e\rVert}{\lVert w_e - w_0\rVert} = 0"

BASE_SGD = Check(
    "base_sgd",
    "Under SGD, base 2 with the rate times ln 2 ends at the same weights, relative to the way they went.",
    Equal(margin=0.001),
    DISTANCE,
    control="base 2 with the rate left as it is",
)
BASE_ADAM = Check(
    "base_adam",
    "Under Adam, which divides by the gradient's size, base 2 needs no other rate.",
    Equal(margin=0.001),
    DISTANCE,
    control="base 2 with the rate times ln 2",
    scope=True,
)
BASE_ADAM_EPSILON = Check(
    "base_adam_epsilon",
    "With an ε of 1e−12, too small to matter, it needs none either: what moves the weights above is ε.",
    Equal(margin=0.001),
    DISTANCE,
    control="base 2 with the rate times ln 2",
    scope=True,
)
BASE_PENALTY = Check(
    "base_penalty",
    "With an L2 penalty, left as it is, base 2 with the rate times ln 2 still ends at the same weights.",
    Equal(margin=0.001),
    DISTANCE,
    control="base 2 with the rate left as it is, and the penalty divided by ln 2",
    scope=True,
)
BASE_PENALTY_DIVIDED = Check(
    "base_penalty_divided",
    "With the penalty divided by ln 2 as well, it does.",
    Equal(margin=0.001),
    DISTANCE,
    control="base 2 with the rate left as it is, and the penalty divided by ln 2",
    scope=True,
)


class Run(NamedTuple):
    """A training: a function of the rate that gives an optimiser, the rate, and what is minimised."""

    optimizer: Any
    rate: float
    ln_base: float  # ln of the loss's base
    penalty: float = 0.0  # of L2


def train_bases(seeds: tuple[int, ...], optimiser: str, examples: int) -> Iterator[pd.DataFrame]:
    """How far base 2 ends from base e, relative to the way from the start."""
    runs_of = under_sgd() if optimiser == "SGD" else under_adam()
    runs = list(dict.fromkeys(run for runs in runs_of.values() for run in runs))
    weights = trained(seeds, runs, examples)
    start = replicates.Replicates(perceptron, seeds).get_weights()
    for check, (natural, *pair) in runs_of.items():
        claim, control = (steps.distance(weights[run], weights[natural], start) for run in pair)
        yield check.rows(claim, control, seed=seeds)


def under_sgd() -> dict[Check, tuple[Run, ...]]:
    """By check: base e; base 2 as claimed; the control."""
    sgd = keras.optimizers.SGD
    plain, penalised = Run(sgd, RATE, 1.0), Run(sgd, RATE, 1.0, PENALTY)
    careless = Run(sgd, RATE, LN2, PENALTY / LN2)
    return {
        BASE_SGD: (plain, Run(sgd, RATE * LN2, LN2), Run(sgd, RATE, LN2)),
        BASE_PENALTY: (penalised, Run(sgd, RATE * LN2, LN2, PENALTY), careless),
        BASE_PENALTY_DIVIDED: (penalised, Run(sgd, RATE * LN2, LN2, PENALTY / LN2), careless),
    }


def under_adam() -> dict[Check, tuple[Run, ...]]:
    """The same, with Keras' ε and with one too small to matter."""
    adam = keras.optimizers.Adam
    exact = lambda rate: adam(rate, epsilon=1e-12)
    bases = ((ADAM_RATE, 1.0), (ADAM_RATE, LN2), (ADAM_RATE * LN2, LN2))
    runs = lambda optimizer: tuple(Run(optimizer, *base) for base in bases)
    return {BASE_ADAM: runs(adam), BASE_ADAM_EPSILON: runs(exact)}


def trained(seeds: tuple[int, ...], runs: list[Run], examples: int) -> dict[Run, list[np.ndarray]]:
    """Weights after a few epochs on the digits; what has one optimiser and rate trains as one program."""
    weights: dict[Run, list[np.ndarray]] = {}
    for optimizer, rate in dict.fromkeys((run.optimizer, run.rate) for run in runs):
        alike = [run for run in runs if (run.optimizer, run.rate) == (optimizer, rate)]
        ln_base, penalties = np.array([(run.ln_base, run.penalty) for run in alike], "float32").T
        arguments, mover = {"ln_base": ln_base}, optimizer(rate)
        ends = trajectories.ends(perceptron, seeds, mover, in_base, penalties, arguments, examples=examples)
        weights |= dict(zip(alike, ends, strict=True))
    return weights


def in_base(y, z, ln_base):
    """Cross-entropy in a base of the logarithm that is each replicate's own."""
    return losses.sparse_categorical_crossentropy(y, z) / ln_base


def perceptron():
    """Its penalty is each replicate's own times the squares of the kernels."""
    dense = [keras.layers.Dense(n, kernel_regularizer=keras.regularizers.L2(1.0)) for n in (32, 10)]
    return keras.Sequential([keras.Input((64,)), dense[0], keras.layers.ReLU(), dense[1]])


def draw_bases(ax, rows: pd.DataFrame) -> None:
    places = {
        "SGD": (BASE_SGD, ""),
        "Adam": (BASE_ADAM, ""),
        "Adam, ε = 1e−12": (BASE_ADAM_EPSILON, ""),
        "SGD, penalty": (BASE_PENALTY, ""),
        "penalty / ln 2": (BASE_PENALTY_DIVIDED, ""),
    }
    distances.draw_distances(ax, rows, places, "as claimed", "control")
    ax.set(title="Base 2 against base e")
    ax.legend(loc=(0.5, 0.27))


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (VALUES, UNBOUNDED, UNBOUNDED_PROBABILITIES, CAP, VALUE_PATHS, BASE, BASE_SGD, BASE_ADAM,
          BASE_ADAM_EPSILON, BASE_PENALTY, BASE_PENALTY_DIVIDED)  # fmt: skip
THEORIES = (SURPRISE_LAW,)


def units(scale: str) -> list[Unit]:
    return [
        *path_units(scale, backends=("tensorflow",)),
        unit(measure_values),
        unit(measure_shares, data=("digits",)),
        *(
            unit(train_bases, seeds, data=("digits",), cost=15, optimiser=name, examples=EXAMPLES[scale])
            for name, seeds in ((name, range(counts[scale])) for name, counts in SEEDS.items())
        ),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The loss at small probabilities."""
    claim = rows[(rows["check"] == UNBOUNDED_PROBABILITIES.id) & (rows["arm"] == "claim")]
    wide = claim.pivot_table("value", "x", "setting", sort=False)
    wide.insert(0, "−ln p", claim.groupby("x")["reference"].first())
    wide["Brier score"] = rows[rows["quantity"] == "brier"].set_index("x")["value"]
    return wide.rename_axis("p", axis=0).rename_axis(None, axis=1).reset_index()


def figure(rows: pd.DataFrame):
    """The loss against p, the examples' shares in two bases, and what the base does to training."""
    canvas, axes = figures.panels(3, 1, height=3.6)
    for draw, ax in zip((draw_loss, draw_shares, draw_bases), axes, strict=True):
        draw(ax, rows)
    return canvas

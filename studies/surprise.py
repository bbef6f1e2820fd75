"""The loss is the surprise −ln p: without bound as p → 0, and least in sum where likelihood is greatest.

Expect: exact from logits; from probabilities Keras stops at −ln 1e−7 = 16.1. Squared error, which lacks the
emphasis on confident mistakes, does about as well. It costs half a minute at the standard scale on two cores,
beside the paths of `execution_paths`. Run it with `crosscheck run surprise`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    autodiff,
    data,
    figures,
    keras,
    likelihood,
    losses,
    paired,
    paths,
    pd,
    pointwise,
    rivals,
    rows,
)
from crosscheck.studies.execution_paths import BITS, WRITTEN_OUT, path_units

CLAIM = Claim(
    title="Cross-entropy is surprise: a tenth of the probability costs ln 10 more, without end",
    statement="The loss −ln p is the surprise at what happened; to minimise its sum is to maximise the "
    "likelihood. It doubles from p = 0.1 to p = 0.01 and grows without bound as p → 0; that emphasis on "
    "confident mistakes is a main reason why it works well.",
    formula=r"\mathcal{L} = -\ln p_y, \qquad -\ln 0.01 = 2\,(-\ln 0.1) = 2 \ln 10",
    source="The Probabilistic Foundation: Cross-Entropy as a Measure of Surprise; problem 3103406",
    correct="From logits the loss is −ln p without bound; from probabilities Keras' losses end at −ln(1e−7). "
    "A tenth of the probability costs ln 10 more, but doubles the cost from 0.1 to 0.01 alone. The emphasis "
    "on confident mistakes is not what makes it work: trained to the end, squared error of the logits, which "
    "has less of it, gets as many right.",
)

DTYPES = ("float64", "float32")
BUILT_IN = tuple(
    f"{kind}, {api}" for kind in ("binary", "categorical", "sparse") for api in ("class", "function")
)


# --- likelihood: do the product of probabilities and the sum of losses pick the same weights? ---

LIKELIHOOD = Check(
    "likelihood",
    "Logistic regressions' weights of least mean loss are those whose product of probabilities is greatest.",
    Identity(ulps=4),
    r"\arg\min_w \sum_i -\ln p_i = \arg\max_w \prod_i p_i",
    control="the least Brier score",
    positive="Keras' own loss",
    exact=True,
)
UNDERFLOW = Check(
    "underflow",
    "The product itself is 0 in floats once ln p sums to −745.1 (float64) or −104 (float32), to one example.",
    Equal(margin=1),
    r"n = \frac{\ln(\text{least float}/2)}{\ln p}",
    control="probabilities that are a tenth larger",
    positive="the product of a list, one by one, in Python",
    settings=("float64", "float32"),
    exact=True,
)
PROBLEMS = 6
LEAST = (0.5, 0.3, 0.1, 0.01)  # above ½ the last bit is rounded up for ever, and no product is ever 0


def measure_likelihood(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Weights that are the likeliest, and those of least loss; how long a product can be in floats."""
    keras_own = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype="float64")
    for number in range(PROBLEMS):
        x, y = likelihood.problem(number)
        best = likelihood.likeliest(x, y)
        own, brier, keras_best = (
            likelihood.least_loss(loss, x, y)
            for loss in (losses.binary_crossentropy, losses.brier, keras_own)
        )
        place = {"resolution": np.finfo("float64").eps * np.linalg.norm(best)}
        yield LIKELIHOOD.rows(own, brier, best, positive=keras_best, **place)
    for dtype in DTYPES:
        gone = [likelihood.gone_after(p, dtype, np.prod) for p in LEAST]
        larger = [likelihood.gone_after(1.1 * p, dtype, np.prod) for p in LEAST[1:]]
        one_by_one = [likelihood.gone_after(p, dtype, likelihood.running_product) for p in LEAST]
        law = [likelihood.underflow(p, dtype) for p in LEAST]
        yield UNDERFLOW.rows(gone, reference=law, positive=one_by_one, setting=dtype)
        yield UNDERFLOW.rows(None, larger, law[1:], setting=dtype)


# --- values: is the loss −ln p, at 0.01 twice what it is at 0.1? ---

VALUES = Check(
    "values",
    "−ln 0.1 and −ln 0.01, their ratio 2 and difference ln 10: ours and each of Keras', both ways in.",
    Identity(ulps=8),  # the probability, its logit, the loss and the ratio are each rounded
    r"-\ln 0.1,\; -\ln 0.01",
    control="probabilities that are 0.1 % larger",
    positive="ln(1 + e^(−z)) in NumPy",
    settings=DTYPES,
    exact=True,
)
TENFOLD = Check(
    "tenfold",
    "Ten times less probability doubles the cost, from 0.9, 0.5, 0.1, 0.01 and 0.001 alike.",
    Identity(ulps=8),
    r"\frac{-\ln(p/10)}{-\ln p} = 2",
    control="nine times less, from 0.1",
    positive="ten times less, from 0.1",
    exact=True,
)
TENFOLD_ADDS = Check(
    "tenfold_adds",
    "Ten times less probability costs ln 10 more, from 0.9, 0.5, 0.1, 0.01 and 0.001 alike.",
    Identity(ulps=8),
    r"-\ln(p/10) - (-\ln p) = \ln 10",
    control="nine times less",
    positive="the same in NumPy",
    exact=True,
)
STARTS = np.array([0.9, 0.5, 0.1, 0.01, 0.001])


def surprise(p: float) -> float:
    return -math.log(p)


def surprise_by_integration(p: float) -> float:
    return float(mpmath.quad(lambda t: 1 / t, [p, 1]))


SURPRISE_LAW = Theory("surprise", surprise, surprise_by_integration, [(0.1,), (0.01,), (0.5,), (1e-4,)])


def measure_values(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The losses of this section and of the next."""
    for name in (*BUILT_IN, "ours"):
        for dtype in DTYPES:
            yield from value_rows(name, dtype)
    yield from tenfold_rows()
    yield from map(unbounded_rows, DTYPES)
    for name in BUILT_IN:
        yield from probability_rows(name)
    brier = pointwise.values(losses.brier, "binary", pointwise.logit(TINY, "float64"))
    yield rows.tidy(quantity="brier", x=TINY, value=brier)


def value_rows(name: str, dtype: str) -> Iterator[pd.DataFrame]:
    """The two values, their ratio and their difference, from probabilities and from logits."""
    p, entries = np.array([0.1, 0.01]), ("logits",) if name == "ours" else ("probabilities", "logits")
    claim, control = (
        [four_numbers(pointwise.cross_entropy(name, entry, at, dtype)) for entry in entries]
        for at in (p, 1.001 * p)
    )
    plain = four_numbers(pointwise.values(in_numpy, "binary", pointwise.logit(p, dtype)))
    exact = np.array([math.log(10), math.log(100), 2, math.log(10)])
    place = {"setting": dtype, "resolution": np.finfo(dtype).eps * exact}
    yield VALUES.rows(claim, reference=exact, positive=plain, **place)
    place["resolution"] = place["resolution"][:3]  # the difference of two is left as it is
    yield VALUES.rows(None, np.array(control)[:, :3], exact[:3], **place)


def in_numpy(y, z):
    """ln(1 + e^(−z)) of logits [N, 1] as NumPy has it: [N]."""
    return np.logaddexp(0, -autodiff.numbers(z))[:, 0]


def cost(p: np.ndarray, loss=None) -> np.ndarray:
    """The loss, ours where none is given, of true classes with probabilities p [N], in float64."""
    return pointwise.values(loss or losses.binary_crossentropy, "binary", pointwise.logit(p, "float64"))


def tenfold_rows() -> Iterator[pd.DataFrame]:
    """The cost of p and of a tenth or a ninth of it, in float64: their ratio and their difference."""
    eps, before, after, ninth = np.finfo("float64").eps, cost(STARTS), cost(STARTS / 10), cost(STARTS / 9)
    tenth = STARTS == 0.1
    ratio, off = after / before, ninth / before
    place = {"reference": 2.0, "resolution": 2 * eps}
    yield TENFOLD.rows(ratio, x=STARTS, **place)
    yield TENFOLD.rows(None, off[tenth], positive=ratio[tenth], **place)
    plain = cost(STARTS / 10, in_numpy) - cost(STARTS, in_numpy)
    ulp = eps * after  # of the larger of the two, which is rounded the most
    yield TENFOLD_ADDS.rows(
        after - before, ninth - before, math.log(10), positive=plain, x=STARTS, resolution=ulp
    )


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
    control="probabilities kept from 0 by 1e−30",
    positive="ln(1 + e^(−z)) in NumPy",
    settings=DTYPES,
    exact=True,
)
UNBOUNDED_PROBABILITIES = Check(
    "unbounded_probabilities",
    "So it is for Keras' losses, given the probabilities themselves, down to 1e−30.",
    Identity(ulps=8),
    r"-\ln p",
    control="down to 1e−5, with probabilities that are 0.1 % larger",
    positive="this package's loss, given their logits",
    settings=BUILT_IN,
    scope=True,
    exact=True,
)
CAP = Check(
    "cap",
    "Given probabilities below 1e−7, Keras' losses all stop at −ln(1e−7) = 16.118.",
    Identity(ulps=4),
    r"-\ln 10^{-7}",
    control="the same losses, handed the logits",
    positive="the clip and the logarithm written out",
    settings=BUILT_IN,
    exact=True,
)


def unbounded_rows(dtype: str) -> pd.DataFrame:
    """Our loss from logits, one that stops at −ln 1e−30, and NumPy's."""
    exact, z = paths.oracle("binary", LOGITS, np.ones_like(LOGITS)).value, LOGITS[:, None].astype(dtype)
    capped = lambda y, z: keras.ops.minimum(losses.binary_crossentropy(y, z), -math.log(1e-30))
    own, stops, plain = (
        pointwise.values(loss, "binary", z) for loss in (losses.binary_crossentropy, capped, in_numpy)
    )
    ulp = np.finfo(dtype).eps * np.maximum(1, exact)
    place = {"setting": dtype, "quantity": "loss", "x": LOGITS}
    return UNBOUNDED.rows(own, stops, exact, positive=plain, resolution=ulp, **place)


def probability_rows(name: str) -> Iterator[pd.DataFrame]:
    """One of Keras' losses fed the probability itself, in float64, and what becomes of it below 1e−7."""
    eps, exact, below, cap = np.finfo("float64").eps, -np.log(TINY), TINY < 1e-7, math.log(1e7)
    loss = pointwise.cross_entropy(name, "probabilities", TINY, "float64")
    larger = pointwise.cross_entropy(name, "probabilities", 1.001 * TINY, "float64")
    unclipped = pointwise.cross_entropy(name, "logits", TINY, "float64")
    written_out = pointwise.values(clipped, "binary", TINY[:, None])
    place = {"setting": name, "quantity": "loss"}
    own = pointwise.values(losses.binary_crossentropy, "binary", pointwise.logit(TINY, "float64"))
    near = TINY >= 1e-5
    every, moderate = ({"x": TINY[of], "resolution": eps * exact[of]} for of in (slice(None), near))
    yield UNBOUNDED_PROBABILITIES.rows(loss, reference=exact, positive=own, **place, **every)
    yield UNBOUNDED_PROBABILITIES.rows(None, larger[near], exact[near], **place, **moderate)
    yield CAP.rows(
        loss[below], unclipped[below], cap, positive=written_out[below], setting=name, resolution=eps * cap
    )


def clipped(y, p):
    """−ln of probabilities [N, 1] that are kept from 0 and 1 as Keras keeps them: [N]."""
    return -keras.ops.log(keras.ops.clip(p, 1e-7, 1 - 1e-7))[:, 0]


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
    control=BITS,
    positive=WRITTEN_OUT,
    settings=("tensorflow",),
    scope=True,
    exact=True,
)


# --- effectiveness: do networks do worse without the emphasis on confident errors? ---

SEEDS = {"smoke": 6, "standard": 24, "full": 128}
SETS = ("digits", "mnist", "fashion_mnist")
IMAGES = {"smoke": 500, "standard": 2_000, "full": 10_000}  # trained on, at most

EFFECTIVENESS = Check(
    "effectiveness",
    "After 60 epochs on cross-entropy a network gets a point more right than on squared error of the logits.",
    Exceeds(margin=0.01),
    r"\text{accuracy}_{-\ln p_y} - \text{accuracy}_{\lVert z - y\rVert^2} \ge 0.01",
    control="against cross-entropy with labels smoothed by 0.1",
    positive="against squared error with half of its labels drawn at random",
    population="these data sets",
    settings=SETS,
)
AHEAD = "ahead of squared error"


def train_rivals(seeds: tuple[int, ...], name: str, examples: int) -> Iterator[pd.DataFrame]:
    """Test accuracy on cross-entropy against that on squared error, from the same start and batches."""
    right = rivals.right(seeds, data.load(name, 5_000), examples)  # by epoch and loss, [S, M]
    place, last = {"setting": name, "seed": seeds}, right[rivals.END]
    arms = {"claim": rivals.SQUARED, "control": rivals.SMOOTHED, "positive": rivals.NOISY}
    for arm, rival in arms.items():
        own, other = last[rivals.ENTROPY], last[rival]
        values = {arm: own.mean(1), "reference": other.mean(1), "resolution": paired.error(own, other)}
        yield EFFECTIVENESS.rows(**values, **place)
    for epoch, hits in right.items():
        own, other = (hits[loss].mean(1) for loss in (rivals.ENTROPY, rivals.SQUARED))
        yield rows.tidy(quantity=AHEAD, x=epoch, value=own, reference=other, **place)


def draw_effectiveness(ax, rows: pd.DataFrame) -> None:
    shown = rows[rows["quantity"] == AHEAD]
    ahead, when = 100 * (shown["value"] - shown["reference"]), shown["x"].map("after {:g} epochs".format)
    figures.intervals(ax, ahead.groupby([when, shown["setting"], shown["seed"]], sort=False).mean())
    ax.axvline(1, color=figures.THEORY, linestyle=(0, (4, 2.2)), linewidth=1.4)
    ax.set(title="Cross-entropy ahead of squared error", xlabel="points of test accuracy; dashed: as claimed")


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (LIKELIHOOD, UNDERFLOW, VALUES, TENFOLD, TENFOLD_ADDS, UNBOUNDED, UNBOUNDED_PROBABILITIES, CAP,
          VALUE_PATHS, EFFECTIVENESS)  # fmt: skip
THEORIES = (SURPRISE_LAW,)


def units(scale: str) -> list[Unit]:
    seeds = range(SEEDS[scale])
    return [
        *path_units(scale, backends=("tensorflow",)),
        unit(measure_likelihood),
        unit(measure_values),
        *(unit(train_rivals, seeds, data=name, cost=8, examples=IMAGES[scale]) for name in SETS),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The loss at small probabilities."""
    claim = rows[(rows["check"] == UNBOUNDED_PROBABILITIES.id) & (rows["arm"] == "claim")]
    wide = claim.pivot_table("value", "x", "setting", sort=False)
    wide.insert(0, "−ln p", claim.groupby("x")["reference"].first())
    wide["Brier score"] = rows[rows["quantity"] == "brier"].set_index("x")["value"]
    return wide.rename_axis("p", axis=0).rename_axis(None, axis=1).reset_index()


def figure(rows: pd.DataFrame):
    """The loss against p, and what training on it is worth beside squared error."""
    canvas, axes = figures.panels(2, 1, height=3.6)
    for draw, ax in zip((draw_loss, draw_effectiveness), axes, strict=True):
        draw(ax, rows)
    return canvas

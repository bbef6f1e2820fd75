"""Why cross-entropy stands in for the 0-1 loss: it has a gradient, and its optimum is the posterior.

Expect: the 0-1 loss moves no weight, unless the optimiser moves it by itself; cross-entropy reaches the Bayes
error at an excess of d/(2N) nats, and is calibrated where hinge loss is not, but for one mixture in which
hinge happens to be. Costs a third of a minute at the standard scale. Run it with `crosscheck run surrogate`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Trend, Unit, unit
from crosscheck.lazy import (
    autodiff,
    data,
    figures,
    keras,
    log_odds,
    losses,
    optimize,
    pd,
    rows,
    special,
    steps,
)

CLAIM = Claim(
    title="Cross-entropy has a gradient where the 0-1 loss has none, and its optimum is the posterior",
    statement="The 0-1 loss has a gradient of zero almost everywhere: no signal to learn from. Where "
    "both classes are equally likely its expectation is ½, and cross-entropy's is ln 2. Cross-entropy has a "
    "gradient there, which guides the model to calibrated predictions even in ambiguous regions.",
    formula=r"\mathbb{E}\,\mathcal{L}_{01} = \tfrac12, \quad \mathbb{E}\,\mathcal{L}_{\mathrm{CCE}} = \ln 2, "
    r"\quad \arg\min_p \mathbb{E}\,\mathcal{L}_{\mathrm{CCE}} = \eta(x)",
    source="Curvature and Optimization Dynamics; problem 3103430",
    correct="The labels give no signal, but some optimisers move weights by themselves: as they come, AdamW "
    "and Muon let them decay and Ftrl sets them to 0. Predictions are calibrated as far as the model can "
    "express the posterior.",
)


def both_losses():
    """The arm of the claim and its loss, 0-1; the arm of the control and its loss, cross-entropy."""
    return ("claim", losses.zero_one), ("control", losses.sparse_categorical_crossentropy)


# --- boundary: what do both losses expect, and which has a gradient? ---

DTYPES = ("float64", "float32")
SCORES = ("0-1 loss", "cross-entropy")
EVEN, UNEVEN = 0.5, 0.6

BOUNDARY = Check(
    "boundary",
    "At a posterior of (½, ½) the best expected 0-1 loss is ½ and the best expected cross-entropy ln 2.",
    Identity(ulps=4),
    r"\tfrac12,\; \ln 2",
    control="a posterior of (0.6, 0.4)",
    settings=SCORES,
    exact=True,
)
GRADIENT = Check(
    "gradient",
    "At random logits the 0-1 loss's gradient is exactly 0.",
    Identity(ulps=0),
    r"\nabla_z \mathcal{L}_{01} = 0",
    control="cross-entropy",
    settings=DTYPES,
    exact=True,
)


def entropy(q: float) -> float:
    return -q * math.log(q) - (1 - q) * math.log(1 - q)


def least_expected(q: float) -> float:
    """The expected cross-entropy at its minimum over the logit, by search."""
    cost = lambda z: q * np.logaddexp(0, -z) + (1 - q) * np.logaddexp(0, z)
    return float(optimize.minimize_scalar(cost, bracket=(-1, 1), tol=1e-12).fun)


def measure_boundary(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Expected losses of the best prediction at two posteriors; the gradient of the 0-1 loss."""
    by_keras = partial(keras.losses.sparse_categorical_crossentropy, from_logits=True)
    (_, zero_one), (_, ours) = both_losses()
    ln2 = entropy(EVEN)
    scored = (("0-1 loss", zero_one, 0.5), ("cross-entropy", ours, ln2), ("cross-entropy", by_keras, ln2))
    for score, loss, theory in scored:
        for dtype in DTYPES:
            shared = {"setting": score, "quantity": "best", "resolution": np.finfo(dtype).eps}
            for arm, q in (("claim", EVEN), ("control", UNEVEN)):
                best = expected_at_best(loss, q, dtype)
                yield BOUNDARY.rows(**{arm: best}, reference=theory, x=special.logit(q), **shared)
    for dtype in DTYPES:
        slopes = [largest_slope(loss, dtype) for _, loss in both_losses()]
        yield GRADIENT.rows(*slopes, setting=dtype, resolution=np.finfo(dtype).eps)


def expected_at_best(loss, q: float, dtype: str) -> float:
    """Σ_y q_y L(y, z) at the logits ln q, with q the probability of class 1."""
    z = np.log(np.array([[1 - q, q]] * 2)).astype(dtype)
    by_label = autodiff.numbers(loss(*autodiff.tensors(np.array([0, 1], "int32"), z)))
    return float(np.array([1 - q, q]) @ by_label)


def largest_slope(loss, dtype: str) -> float:
    """The largest component of the gradient, at 256 random examples of ten classes."""
    rng = np.random.default_rng(0)
    y, z = rng.integers(10, size=256).astype("int32"), rng.normal(scale=3, size=(256, 10)).astype(dtype)
    return np.abs(autodiff.logit_gradient(loss, y, z)).max()


def draw_landscape(ax, rows: pd.DataFrame) -> None:
    u = np.linspace(-4, 4, 401)
    for q, style in ((EVEN, (0, (4, 2.2))), (UNEVEN, ":")):
        cost = q * np.logaddexp(0, -u) + (1 - q) * np.logaddexp(0, u)
        figures.theory_line(ax, u, cost, f"posterior {q:g}", linestyle=style)
        figures.theory_line(ax, u, np.where(u > 0, 1 - q, q), "", linestyle=style)
    for score, marker in zip(SCORES, "so", strict=True):
        part = rows[(rows["quantity"] == "best") & (rows["setting"] == score)]
        ax.plot(part["x"], part["value"], marker, label=f"best {score}", zorder=6)
    ax.set(title="Expected loss", xlabel="log-odds z₁ − z₀", ylabel="0-1 loss; nats", ylim=(0, 2.4))
    ax.legend(fontsize=8, ncols=2)


# --- no signal: does the 0-1 loss move any weight? ---

# Keras' optimisers as they come. A step of the first two groups is made of gradients alone.
CLASSIC = ("SGD", "SGD, momentum", "RMSprop", "Adam", "Adamax", "Nadam", "Adagrad", "Adadelta")
FOLLOWING = (*CLASSIC, "Adafactor", "Lamb", "Lion", "AdamW, no decay", "Muon, no decay")
ALONE = ("AdamW", "Muon", "Ftrl", "ScheduleFreeAdamW")
OPTIONS = {
    "SGD, momentum": {"momentum": 0.9},
    "AdamW, no decay": {"weight_decay": 0.0},
    "Muon, no decay": {"weight_decay": 0.0, "adam_weight_decay": 0.0},
}
STEPS, BATCH = {"smoke": 2, "standard": 5, "full": 5}, 64

NO_SIGNAL = Check(
    "no_signal",
    "Trained on digits with the 0-1 loss, no weight moves under any optimiser that follows gradients.",
    Identity(ulps=0),
    r"w_t = w_0",
    control="cross-entropy",
    settings=FOLLOWING,
    exact=True,
)
NO_SIGNAL_DEFAULTS = Check(
    "no_signal_defaults",
    "Nor under Keras' other optimisers, as they come.",
    Identity(ulps=0),
    r"w_t = w_0",
    control="cross-entropy",
    settings=ALONE,
    scope=True,
    exact=True,
)
NO_SIGNAL_LABELS = Check(
    "no_signal_labels",
    "Whatever moves them, it is not the labels: shuffled ones lead to the same weights, to the last bit.",
    Identity(ulps=0),
    r"w_t(y) = w_t(\pi y)",
    control="cross-entropy",
    settings=ALONE,
    exact=True,
)


def train_optimisers(seeds: tuple[int, ...], count: int) -> Iterator[pd.DataFrame]:
    """Largest move of any weight in a few steps of Keras' own training, under every optimiser."""
    digits = data.load("digits")
    x, y = (part[: count * BATCH] for part in (digits.x_train, digits.y_train))
    shuffled = np.random.default_rng(0).permutation(y)
    for name in (*FOLLOWING, *ALONE):
        check = NO_SIGNAL if name in FOLLOWING else NO_SIGNAL_DEFAULTS
        shared = {"setting": name, "resolution": np.finfo("float32").eps}
        for arm, loss in both_losses():
            way = steps.weight_moves(optimizer_of(name), loss, x, y, BATCH)
            yield check.rows(**{arm: np.abs(way).max()}, quantity="moved", **shared)
            if name in ALONE:
                other = steps.weight_moves(optimizer_of(name), loss, x, shuffled, BATCH)
                yield NO_SIGNAL_LABELS.rows(**{arm: np.abs(other - way).max()}, **shared)


def optimizer_of(name: str):
    return getattr(keras.optimizers, name.partition(",")[0])(**OPTIONS.get(name, {}))


def draw_moves(ax, rows: pd.DataFrame) -> None:
    names, nothing = [*FOLLOWING, *ALONE], 1e-10  # where no move is drawn
    for arm, label, marker in (("control", "cross-entropy", "o"), ("claim", "0-1 loss", "s")):
        part = rows[(rows["quantity"] == "moved") & (rows["arm"] == arm)].set_index("setting")["value"]
        ax.plot(np.maximum(part[names], nothing), range(len(names)), marker, label=label, alpha=0.8)
    ax.set_yticks(range(len(names)), names, fontsize=7.5)
    ax.set(title="Largest move, five steps", xlabel="max |Δw|", xscale="log", ylim=(len(names), -1))
    ax.set_xticks([nothing, 1e-7, 1e-4, 1e-1], ["none", "10⁻⁷", "10⁻⁴", "10⁻¹"])
    ax.legend(fontsize=8, loc="upper center")


# --- risk: does a linear model trained on two Gaussians come to the Bayes error, and how fast? ---

RISK_SEEDS = {"smoke": 96, "standard": 320, "full": 2048}  # an excess of chance alone needs many
SEPARATION, PRIOR, FEATURES = 2.0, 0.2, 8
SIZES, LARGEST = (256, 1024, 4096), 4096
SIZE_ONLY = "a model that sees only the size of the first feature"

BAYES = Check(
    "bayes",
    f"Trained on {LARGEST} examples of two overlapping Gaussians, a linear model has the Bayes error.",
    Equal(margin=0.002),
    r"\Pr(\hat y \ne y) = \mathbb{E} \min(\eta, 1 - \eta)",
    control=SIZE_ONLY,
)
BAYES_POSTERIOR = Check(
    "bayes_posterior",
    f"Its probabilities are the posterior: their root mean square distance, {LARGEST} examples.",
    Equal(margin=0.03),
    r"\sqrt{\mathbb{E}\,(p - \eta)^2} = 0",
    control=SIZE_ONLY,
)
BAYES_TREND = Check(
    "bayes_trend",
    "The logarithm of that distance falls by at least 0.3 with each fourfold N.",
    Trend(step=0.3, increasing=False),
    r"\ln \sqrt{\mathbb{E}\,(p - \eta)^2} \approx -\tfrac12 \ln N + c",
    control=SIZE_ONLY,
)
BAYES_RATE = Check(
    "bayes_rate",
    "Its excess over the least cross-entropy is d/(2N) nats: the ratio is 1.",
    Equal(margin=0.2),
    r"\frac{2N}{d}\,\mathbb{E}\,\mathrm{KL}(\eta \,\|\, p) = 1",
    control=SIZE_ONLY,
    settings=tuple(f"N = {n}" for n in SIZES[1:]),
)


def bayes_error(separation: float, prior: float) -> float:
    return data.GaussianMixture(separation, 1, prior).bayes_error()


def bayes_error_by_quadrature(separation: float, prior: float) -> float:
    mixture = data.GaussianMixture(separation, 1, prior)
    x, weight = data.first_feature_nodes(mixture, 20_001)
    return float(weight @ (1 - np.abs(2 * mixture.posterior(x[:, None]) - 1)) / 2)  # of min(η, 1 − η)


def train_risk(seeds: tuple[int, ...], examples: int) -> Iterator[pd.DataFrame]:
    """Error, distance from the posterior and excess loss of a linear model, over the whole population."""
    mixture = data.GaussianMixture(SEPARATION, FEATURES, PRIOR)
    few = seeds[: len(seeds) // 4]  # the control is far off: it needs no more
    x, y = data.samples([mixture], (*seeds, *few), examples)
    x[len(seeds) :, :, 0] = np.abs(x[len(seeds) :, :, 0])
    slopes, offset = log_odds.by_cross_entropy((*seeds, *few), x, y)
    right = data.worth(mixture, slopes[: len(seeds)], offset[: len(seeds)])
    wrong = data.worth(mixture, slopes[len(seeds) :], offset[len(seeds) :], feature=np.abs)
    yield from worth_rows("claim", seeds, examples, right)
    yield from worth_rows("control", few, examples, wrong)


def worth_rows(arm: str, seeds: tuple[int, ...], examples: int, worth) -> Iterator[pd.DataFrame]:
    shared = {"quantity": "worth", "x": examples, "seed": seeds}
    yield BAYES_TREND.rows(**{arm: np.log(worth.distance)}, **shared)
    yield rows.tidy(arm=arm, value=worth.excess, **shared)
    if examples in SIZES[1:]:
        ratio = 2 * examples / (FEATURES + 1) * worth.excess
        yield BAYES_RATE.rows(**{arm: ratio}, reference=1.0, setting=f"N = {examples}", **shared)
    if examples == LARGEST:
        yield BAYES.rows(**{arm: worth.error}, reference=bayes_error(SEPARATION, PRIOR), **shared)
        yield BAYES_POSTERIOR.rows(**{arm: worth.distance}, **shared)


def draw_excess(ax, rows: pd.DataFrame) -> None:
    for arm, label in (("claim", "all features"), ("control", "size of x₀ only")):
        part = rows[(rows["quantity"] == "worth") & (rows["check"] == "") & (rows["arm"] == arm)]
        figures.curve(ax, part, label, marker="o")
    figures.theory_line(ax, SIZES, (FEATURES + 1) / (2 * np.array(SIZES)), "d / (2N)")
    ax.set(title="Excess over the least loss", xlabel="examples N", ylabel="E KL(η‖p) (nats)")
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(SIZES, SIZES)
    ax.set_xticks([], minor=True)
    ax.legend(fontsize=8)


# --- calibration: are the predictions chances, where neither class is all but certain? ---

SEEDS = {"smoke": 16, "standard": 32, "full": 256}
CHANCES = np.linspace(0.1, 0.9, 161)  # the ambiguous band
LUCKY = (1.0, 0.5)  # separation and prior at which hinge comes out calibrated

CALIBRATION = Check(
    "calibration",
    "Where a prediction means a chance between 0.1 and 0.9, it is that chance (mean distance).",
    Equal(margin=0.025),
    r"\mathbb{E}\,\bigl|p - \Pr(y = 1 \mid p)\bigr| = 0",
    control="hinge loss, its score through a sigmoid",
)
CALIBRATION_HINGE = Check(
    "calibration_hinge",
    "Hinge loss with a sigmoid bolted on is further off by at least 0.03.",
    Exceeds(margin=0.03),
    r"\mathbb{E}\,\bigl|p - \Pr(y = 1 \mid p)\bigr|",
    control="even classes with means 1 apart, where hinge's scale happens to be right",
)


def hinge_slope_by_minimisation(separation: float) -> float:
    """What `data.hinge_slope` gives, by search over sums at nodes 2e-4 apart."""
    t = np.linspace(-8, 8, 80_001)
    risk = lambda w: np.exp(-(t**2) / 2) @ np.maximum(0, 1 - w * (t + separation / 2))
    return float(optimize.minimize_scalar(risk, bracket=(0.5, 2)).x)


def train_calibration(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Calibration in the ambiguous band of cross-entropy and of hinge loss, on two mixtures."""
    usual, lucky = (data.GaussianMixture(at, FEATURES, p) for at, p in ((SEPARATION, PRIOR), LUCKY))
    x, y = data.samples((usual, lucky), seeds, LARGEST)
    off = {}  # mean distance from the chance, [S], by loss and mixture
    for name, train in (("cross-entropy", log_odds.by_cross_entropy), ("hinge", log_odds.by_hinge)):
        slopes, offset = train(seeds * 2, x, y)
        for mixture, half in ((usual, slice(len(seeds))), (lucky, slice(len(seeds), None))):
            predicted, often = data.reliability(mixture, slopes[half], offset[half], CHANCES)  # [S, C]
            off[name, mixture] = (np.abs(predicted - CHANCES) * often).sum(1) / often.sum(1)
            shown = {"quantity": f"{name}, separation {mixture.separation:g}", "x": CHANCES[::8]}
            yield rows.tidy(seed=np.array(seeds)[:, None], value=predicted[:, ::8], **shown)
    yield CALIBRATION.rows(off["cross-entropy", usual], off["hinge", usual], seed=seeds)
    for arm, mixture in (("claim", usual), ("control", lucky)):
        hinge, reference = off["hinge", mixture], off["cross-entropy", mixture]
        yield CALIBRATION_HINGE.rows(**{arm: hinge}, reference=reference, seed=seeds)


def draw_calibration(ax, rows: pd.DataFrame) -> None:
    curves = rows[rows["quantity"].str.contains("separation")]
    for (name, part), colour in zip(curves.groupby("quantity", sort=False), (0, 5, 1, 4), strict=True):
        figures.curve(ax, part, str(name), color=figures.PALETTE[colour])
    figures.theory_line(ax, CHANCES[[0, -1]], CHANCES[[0, -1]], "calibrated")
    ax.set(title="Calibration", xlabel="P(y = 1 | p)", ylabel="prediction p")
    ax.legend(fontsize=8)


# --- the whole study ---

CHECKS = (
    BOUNDARY,
    GRADIENT,
    NO_SIGNAL,
    NO_SIGNAL_DEFAULTS,
    NO_SIGNAL_LABELS,
    BAYES,
    BAYES_POSTERIOR,
    BAYES_TREND,
    BAYES_RATE,
    CALIBRATION,
    CALIBRATION_HINGE,
)
THEORIES = (
    Theory("boundary", entropy, least_expected, [(EVEN,), (UNEVEN,), (0.9,)]),
    Theory("bayes", bayes_error, bayes_error_by_quadrature, [(SEPARATION, PRIOR), (1.0, 0.5)], 1e-5),
    Theory("hinge", lambda d: data.hinge_slope(d), hinge_slope_by_minimisation, [(1.0,), (4.0,)], 2e-4),
)


def units(scale: str) -> list[Unit]:
    return [
        unit(measure_boundary),
        unit(train_optimisers, data=("digits",), cost=10, count=STEPS[scale]),
        *(unit(train_risk, range(RISK_SEEDS[scale]), examples=n, cost=n / 1000) for n in SIZES),
        unit(train_calibration, range(SEEDS[scale]), cost=6),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The largest move of any weight in five steps, by optimiser and loss."""
    moved = rows[rows["quantity"] == "moved"]
    wide = moved.pivot_table("value", "setting", "arm", sort=False).reset_index()
    named = {"setting": "Optimiser", "claim": "0-1 loss: max |Δw|", "control": "cross-entropy: max |Δw|"}
    return wide.rename(columns=named).rename_axis(None, axis=1)


def figure(rows: pd.DataFrame):
    """Both losses along the logit, what moves the weights, the excess loss against N, and calibration."""
    canvas, axes = figures.panels(2, 2, height=3.6)
    for draw, ax in zip((draw_landscape, draw_moves, draw_excess, draw_calibration), axes, strict=True):
        draw(ax, rows)
    return canvas

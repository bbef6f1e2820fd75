"""Why cross-entropy stands in for the 0-1 loss: it has a gradient, and its optimum is the posterior.

Expect: the 0-1 loss moves no weight, unless the optimiser moves it by itself; cross-entropy reaches the Bayes
error at an excess of d/(2N) nats, and is calibrated where hinge loss is not, unless its scale happens to be
right. Between equally likely classes its expected gradient is zero. Costs half a minute at the standard
scale. Run it with `crosscheck run surrogate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Trend, Unit, unit
from crosscheck.lazy import data, figures, keras, log_odds, losses, pd, rows, steps, zero_one

CLAIM = Claim(
    title="Cross-entropy has a gradient where the 0-1 loss has none, and its optimum is the posterior",
    statement="The 0-1 loss has a gradient of zero almost everywhere: no signal to learn from. Where "
    "both classes are equally likely its expectation is ½, and cross-entropy's is ln 2; the latter has a "
    "gradient there, which guides the model to calibrated predictions even in ambiguous regions.",
    formula=r"\mathbb{E}\,\mathcal{L}_{01} = \tfrac12, \quad \mathbb{E}\,\mathcal{L}_{\mathrm{CCE}} = \ln 2, "
    r"\quad \arg\min_p \mathbb{E}\,\mathcal{L}_{\mathrm{CCE}} = \eta(x)",
    source="Properties of the Loss Landscape; problem 3103430",
    correct="The 0-1 loss gives no signal, but some optimisers move weights by themselves: as they come, "
    "AdamW and Muon let them decay and Ftrl sets them to 0. Where both classes are equally likely each "
    "example pulls by ½ on a prediction of ½, and the pulls cancel: cross-entropy's expected gradient is 0 "
    "there, as wherever the posterior is predicted. It is calibrated as far as the model can express that.",
)


# --- boundary: what do both losses expect, and which has a gradient? ---

DTYPES = ("float64", "float32")
SCORES = ("0-1 loss", "cross-entropy")
EVEN, NEAR, UNEVEN = 0.5, 0.51, 0.6

BOUNDARY = Check(
    "boundary",
    "At a posterior of (½, ½) the best expected 0-1 loss is ½ and the best expected cross-entropy ln 2.",
    Identity(ulps=4),
    r"\tfrac12,\; \ln 2",
    control="a posterior of (0.51, 0.49)",
    positive="1 − Keras' accuracy, and cross-entropy written out as ln Σ e^z − z_y",
    settings=SCORES,
    exact=True,
)
GRADIENT = Check(
    "gradient",
    "At random logits the 0-1 loss's gradient is exactly 0.",
    Identity(ulps=0),
    r"\nabla_z \mathcal{L}_{01} = 0",
    control="the 0-1 loss with its step smoothed by a sigmoid a tenth wide",
    positive="1 − Keras' accuracy",
    settings=DTYPES,
    exact=True,
)


def measure_boundary(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Expected losses of the best prediction at two posteriors; the gradient of the 0-1 loss."""
    by_keras = partial(keras.losses.sparse_categorical_crossentropy, from_logits=True)
    own, ours, written = losses.zero_one, losses.sparse_categorical_crossentropy, zero_one.written_out
    entropies = (("cross-entropy", loss, written, float(np.log(2))) for loss in (ours, by_keras))
    for score, loss, other, theory in (("0-1 loss", own, zero_one.missed, 0.5), *entropies):
        for dtype in DTYPES:
            shared = {"setting": score, "quantity": "best", "resolution": np.finfo(dtype).eps}
            at_best = partial(zero_one.expected_at_best, dtype=dtype)
            best, control, positive = at_best(loss, EVEN), at_best(loss, NEAR), at_best(other, EVEN)
            yield BOUNDARY.rows(best, control, theory, positive=positive, x=0.0, **shared)
    for dtype in DTYPES:
        slopes = [zero_one.largest_slope(each, dtype) for each in (own, zero_one.smoothed, zero_one.missed)]
        yield GRADIENT.rows(*slopes[:2], positive=slopes[2], setting=dtype, resolution=np.finfo(dtype).eps)
    yield from pull_rows(ours)


def draw_landscape(ax, rows: pd.DataFrame) -> None:
    u = np.linspace(-4, 4, 401)
    for q, style in ((EVEN, (0, (4, 2.2))), (UNEVEN, ":")):
        cost = q * np.logaddexp(0, -u) + (1 - q) * np.logaddexp(0, u)
        figures.theory_line(ax, u, cost, f"posterior {q:g}", linestyle=style)
        figures.theory_line(ax, u, np.where(u > 0, 1 - q, q), "", linestyle=style)
    for score, marker in zip(SCORES, "so", strict=True):
        part = rows[(rows["quantity"] == "best") & (rows["setting"] == score) & (rows["arm"] == "claim")]
        ax.plot(part["x"], part["value"], marker, label=f"best {score}", zorder=6)
    ax.set(title="Expected loss", xlabel="log-odds z₁ − z₀", ylabel="0-1 loss; nats", ylim=(0, 2.4))
    ax.legend(fontsize=8, ncols=2)


# --- at the boundary: is there a gradient of cross-entropy, where both classes are equally likely? ---

AT_THE_BOUNDARY = Check(
    "at_the_boundary",
    "Where both classes are equally likely, cross-entropy's expected gradient at p = ½ is at least 0.05.",
    Exceeds(margin=0.05),
    r"\left|\mathbb{E}\,(p - y)\right|_{p = \eta = 1/2} > 0",
    control="at p = 0.51 in place of ½",
    positive="at p = 0.6 in place of ½",
    exact=True,
)
SINGLE_PULL = Check(
    "single_pull",
    "A single example there has a gradient of ½, of one sign for one class and the other for the other.",
    Identity(ulps=4),
    r"p - y = \pm \tfrac12",
    control="p = 0.51",
    positive="cross-entropy written out as ln Σ e^z − z_y",
    settings=DTYPES,
    exact=True,
)


def pull_rows(loss) -> Iterator[pd.DataFrame]:
    """Gradients by autodiff at the log-odds of p: the mean over both classes, and single examples'."""
    claim, control, positive = (abs(zero_one.pulls(loss, p).mean()) for p in (EVEN, NEAR, UNEVEN))
    yield AT_THE_BOUNDARY.rows(claim, control, positive=positive)
    for dtype in DTYPES:
        pulls = partial(zero_one.pulls, dtype=dtype)
        even, near, again = pulls(loss, EVEN), pulls(loss, NEAR), pulls(zero_one.written_out, EVEN)
        shared = {"setting": dtype, "resolution": np.finfo(dtype).eps}
        yield SINGLE_PULL.rows(even, near, [0.5, -0.5], positive=again, **shared)


# --- no signal: does the 0-1 loss move any weight? ---

CLASSIC = ("SGD", "SGD, momentum", "RMSprop", "Adam", "Adamax", "Nadam", "Adagrad", "Adadelta")
FOLLOWING = (*CLASSIC, "Adafactor", "Lamb", "Lion", "AdamW, no decay", "Muon, no decay")
ALONE = ("AdamW", "Muon", "Ftrl", "ScheduleFreeAdamW")
STEPS, BATCH = {"smoke": 2, "standard": 5, "full": 5}, 64

NO_SIGNAL = Check(
    "no_signal",
    "Trained on digits with the 0-1 loss, no weight moves under any optimiser that follows gradients.",
    Identity(ulps=0),
    r"w_t = w_0",
    control="cross-entropy",
    positive="1 − Keras' accuracy, under Adam",
    settings=FOLLOWING,
    exact=True,
)
NO_SIGNAL_DEFAULTS = Check(
    "no_signal_defaults",
    "Nor under Keras' other optimisers, as they come.",
    Identity(ulps=0),
    r"w_t = w_0",
    control="cross-entropy",
    positive="AdamW with its decay off",
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
    positive="1 − Keras' accuracy, under AdamW",
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
        arms = {"claim": losses.zero_one, "control": losses.sparse_categorical_crossentropy}
        if name in ("Adam", "AdamW"):
            arms["positive"] = zero_one.missed
        for arm, loss in arms.items():
            move = partial(steps.weight_moves, loss=loss, x=x, batch_size=BATCH)
            way = move(steps.optimizer_of(name), y=y)
            if name in ALONE:
                other = move(steps.optimizer_of(name), y=shuffled)
                yield NO_SIGNAL_LABELS.rows(**{arm: np.abs(other - way).max()}, **shared)
            if (name, arm) != ("AdamW", "positive"):
                yield check.rows(**{arm: np.abs(way).max()}, quantity="moved", **shared)
            if (name, arm) == ("AdamW, no decay", "claim"):
                yield NO_SIGNAL_DEFAULTS.rows(positive=np.abs(way).max(), **{**shared, "setting": "AdamW"})


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

RISK_SEEDS = {"smoke": 8, "standard": 24, "full": 96}
SETS_A_SEED = {256: 20, 1024: 40, 4096: 20}  # theory has a mean over data sets: one of so many is a value
SEPARATION, PRIOR, FEATURES = 2.0, 0.2, 8
SIZES, LARGEST = (256, 1024, 4096), 4096
SIZE_ONLY = "a model that sees only the size of the first feature"
BY_SCIKIT = "scikit-learn's logistic regression without penalty"

BAYES = Check(
    "bayes",
    f"Trained on {LARGEST} examples of two overlapping Gaussians, a linear model has the Bayes error.",
    Equal(margin=0.002),
    r"\Pr(\hat y \ne y) = \mathbb{E} \min(\eta, 1 - \eta)",
    control=SIZE_ONLY,
    positive=BY_SCIKIT,
    population="generator",
)
BAYES_POSTERIOR = Check(
    "bayes_posterior",
    f"Its probabilities are the posterior: their root mean square distance, {LARGEST} examples.",
    Equal(margin=0.03),
    r"\sqrt{\mathbb{E}\,(p - \eta)^2} = 0",
    control=SIZE_ONLY,
    positive=BY_SCIKIT,
    population="generator",
)
BAYES_TREND = Check(
    "bayes_trend",
    "The logarithm of that distance falls by at least 0.3 with each fourfold N.",
    Trend(step=0.3, increasing=False),
    r"\ln \sqrt{\mathbb{E}\,(p - \eta)^2} \approx -\tfrac12 \ln N + c",
    control=SIZE_ONLY,
    positive=BY_SCIKIT,
    population="generator",
)
BAYES_RATE = Check(
    "bayes_rate",
    "Its excess over the least cross-entropy is d/(2N) nats: the ratio is 1.",
    Equal(margin=0.2),
    r"\frac{2N}{d}\,\mathbb{E}\,\mathrm{KL}(\eta \,\|\, p) = 1",
    control=SIZE_ONLY,
    positive=BY_SCIKIT,
    population="generator",
    settings=tuple(f"N = {n}" for n in SIZES[1:]),
)


def bayes_error(separation: float, prior: float) -> float:
    return data.GaussianMixture(separation, 1, prior).bayes_error()


def train_risk(seeds: tuple[int, ...], examples: int, sets: int) -> Iterator[pd.DataFrame]:
    """Error, distance from the posterior and excess loss of linear models, over the whole population."""
    mixture = data.GaussianMixture(SEPARATION, FEATURES, PRIOR)
    runs = [sets * seed + i for seed in seeds for i in range(sets)]
    x, y = data.samples([mixture], runs, examples)
    one = slice(None, None, max(1, sets // 4))  # four sets a seed: the control is far off
    sized = np.concatenate([np.abs(x[one, :, :1]), x[one, :, 1:]], axis=2)
    n, all_x, all_y = len(runs), np.concatenate([x, sized]), np.concatenate([y, y[one]])
    slopes, offset = log_odds.by_cross_entropy([*runs, *runs[one]], all_x, all_y)
    yield from worth_rows("claim", seeds, examples, data.worth(mixture, slopes[:n], offset[:n]))
    by_size = data.worth(mixture, slopes[n:], offset[n:], feature=np.abs)
    yield from worth_rows("control", seeds, examples, by_size)
    few = slice(None) if examples < LARGEST else one
    again = data.worth(mixture, *log_odds.by_scikit(x[few], y[few]))
    yield from worth_rows("positive", seeds, examples, again)


def worth_rows(arm: str, seeds: tuple[int, ...], examples: int, worth) -> Iterator[pd.DataFrame]:
    """Means over each seed's data sets, of which `worth` has equally many a seed."""
    error, distance, excess = (
        part.reshape(len(seeds), -1).mean(1) for part in (worth.error, worth.distance, worth.excess)
    )
    shared = {"quantity": "worth", "x": examples, "seed": seeds}
    yield BAYES_TREND.rows(**{arm: np.log(distance)}, **shared)
    yield rows.tidy(arm=arm, value=excess, **shared)
    if examples in SIZES[1:] and (arm, examples) != ("positive", LARGEST):
        ratio = 2 * examples / (FEATURES + 1) * excess
        yield BAYES_RATE.rows(**{arm: ratio}, reference=1.0, setting=f"N = {examples}", **shared)
    if examples == LARGEST:
        yield BAYES.rows(**{arm: error}, reference=bayes_error(SEPARATION, PRIOR), **shared)
        yield BAYES_POSTERIOR.rows(**{arm: distance}, **shared)


def draw_excess(ax, rows: pd.DataFrame) -> None:
    for arm, label in (("claim", "all features"), ("control", "size of x₀ only")):
        part = rows[(rows["quantity"] == "worth") & (rows["check"] == "") & (rows["arm"] == arm)]
        figures.curve(ax, part, label, marker="o")
    figures.theory_line(ax, SIZES, (FEATURES + 1) / (2 * np.array(SIZES)), "d / (2N)")
    ax.set(xlabel="examples N", ylabel="E KL(η‖p) (nats)", xscale="log", yscale="log")
    ax.set(title="Excess over the least loss", xticks=SIZES, xticklabels=SIZES)
    ax.minorticks_off()
    ax.legend(fontsize=8)


# --- calibration: are the predictions chances, where neither class is all but certain? ---

SEEDS = {"smoke": 6, "standard": 24, "full": 256}
CHANCES = np.linspace(0.1, 0.9, 161)  # the ambiguous band
APART, LUCKY, WIDE = 2.0, 1.0, 3.0  # means of even classes; hinge's scale happens to be right at the second

CALIBRATION = Check(
    "calibration",
    "Where a prediction means a chance between 0.1 and 0.9, it is that chance (mean distance).",
    Equal(margin=0.025),
    r"\mathbb{E}\,\bigl|p - \Pr(y = 1 \mid p)\bigr| = 0",
    control="hinge loss, its score through a sigmoid",
    positive=BY_SCIKIT,
    population="generator",
)
CALIBRATION_HINGE = Check(
    "calibration_hinge",
    "Hinge loss with a sigmoid bolted on is further off by at least 0.03.",
    Exceeds(margin=0.03),
    r"\mathbb{E}\,\bigl|p - \Pr(y = 1 \mid p)\bigr|",
    control="means 1 apart in place of 2, where hinge's scale happens to be right",
    positive="means 3 apart",
    population="generator",
)


def train_calibration(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Calibration in the ambiguous band of cross-entropy and of hinge loss, on mixtures of even classes."""
    mixtures = [data.GaussianMixture(apart, FEATURES) for apart in (APART, LUCKY, WIDE)]
    x, y = data.samples(mixtures, seeds, LARGEST)
    off = {}  # mean distance from the chance, [S], by loss and mixture
    for name, train in (("cross-entropy", log_odds.by_cross_entropy), ("hinge", log_odds.by_hinge)):
        slopes, offset = (np.split(part, len(mixtures)) for part in train(seeds * len(mixtures), x, y))
        for mixture, a, b in zip(mixtures, slopes, offset, strict=True):
            off[name, mixture.separation], predicted = log_odds.off_chance(mixture, a, b, CHANCES)
            shown = {"quantity": f"{name}, separation {mixture.separation:g}", "x": CHANCES[::8]}
            yield rows.tidy(seed=np.array(seeds)[:, None], value=predicted[:, ::8], **shown)
    a, b = log_odds.by_scikit(x[: len(seeds)], y[: len(seeds)])
    again = log_odds.off_chance(mixtures[0], a, b, CHANCES)[0]
    yield CALIBRATION.rows(off["cross-entropy", APART], off["hinge", APART], positive=again, seed=seeds)
    for arm, d in (("claim", APART), ("control", LUCKY), ("positive", WIDE)):
        yield CALIBRATION_HINGE.rows(**{arm: off["hinge", d]}, reference=off["cross-entropy", d], seed=seeds)


def draw_calibration(ax, rows: pd.DataFrame) -> None:
    curves = rows[rows["quantity"].str.contains("separation")]
    for (name, part), colour in zip(curves.groupby("quantity", sort=False), (0, 5, 2, 1, 4, 3), strict=True):
        figures.curve(ax, part, str(name), color=figures.PALETTE[colour])
    figures.theory_line(ax, CHANCES[[0, -1]], CHANCES[[0, -1]], "calibrated")
    ax.set(title="Calibration", xlabel="P(y = 1 | p)", ylabel="prediction p")
    ax.legend(fontsize=8, loc="upper left")


# --- the whole study ---

CHECKS = (
    BOUNDARY,
    GRADIENT,
    AT_THE_BOUNDARY,
    SINGLE_PULL,
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
BY_SEARCH, BY_SUMS = lambda q: zero_one.least_expected(q), lambda d: zero_one.hinge_slope_by_minimisation(d)
BY_QUADRATURE = lambda d, prior: zero_one.bayes_error_by_quadrature(d, prior)
THEORIES = (
    Theory("boundary", lambda q: zero_one.entropy(q), BY_SEARCH, [(EVEN,), (UNEVEN,), (0.9,)]),
    Theory("bayes", bayes_error, BY_QUADRATURE, [(SEPARATION, PRIOR), (1.0, 0.5)], 1e-5),
    Theory("hinge", lambda d: data.hinge_slope(d), BY_SUMS, [(1.0,), (4.0,)], 2e-4),
)


def units(scale: str) -> list[Unit]:
    return [
        unit(measure_boundary),
        unit(train_optimisers, data=("digits",), cost=10, count=STEPS[scale]),
        *(
            unit(train_risk, range(RISK_SEEDS[scale]), examples=n, sets=k, cost=9)
            for n, k in SETS_A_SEED.items()
        ),
        unit(train_calibration, range(SEEDS[scale]), cost=6),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The largest move of any weight in five steps, by optimiser and loss."""
    moved = rows[(rows["quantity"] == "moved") & (rows["arm"] != "positive")]
    wide = moved.pivot_table("value", "setting", "arm", sort=False).reset_index()
    named = {"setting": "Optimiser", "claim": "0-1 loss: max |Δw|", "control": "cross-entropy: max |Δw|"}
    return wide.rename(columns=named).rename_axis(None, axis=1)


def figure(rows: pd.DataFrame):
    """Both losses along the logit, what moves the weights, the excess loss against N, and calibration."""
    canvas, axes = figures.panels(2, 2, height=3.6)
    for draw, ax in zip((draw_landscape, draw_moves, draw_excess, draw_calibration), axes, strict=True):
        draw(ax, rows)
    return canvas

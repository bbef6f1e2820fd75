"""Two proper scores: cross-entropy's excess is the Kullback-Leibler divergence, the Brier score's (p − q)².

Expect: the identities hold; both scores are minimised at p = q, focal loss and absolute error elsewhere, and
a closed form leads back from focal loss' minimiser to q; cross-entropy punishes confident errors without
bound, the Brier score, through a sigmoid, hardly at all. On real images a small model does best at the score
that it was trained on. Costs 40 s at the standard scale. Run it with `crosscheck run brier_vs_kl`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Trend, Unit, unit
from crosscheck.lab.comparisons import COMPARED, check
from crosscheck.lazy import autodiff, contests, figures, pd, risk, rows, scores, special, standings

CLAIM = Claim(
    title="Cross-entropy and the Brier score agree on what is right, not on how bad wrong is",
    statement="Both are proper scoring rules, smallest in expectation at the true probability q. What a "
    "prediction p costs beyond that is KL(q‖p) for cross-entropy and (p − q)² for the Brier score, so that "
    "cross-entropy penalises confident errors far more severely.",
    formula=r"\mathrm{KL}(q \,\|\, p) = q \ln\frac{q}{p} + (1 - q) \ln\frac{1 - q}{1 - p} \qquad (p - q)^2",
    source="Modeling Implications of Cross-Entropy; problem 3103404",
    correct="Both scores are least at the truth. Beyond that a prediction p costs KL(q‖p) and (p − q)²; the "
    "former is at least twice the latter and has no bound, for it weighs errors by 1/(t (1 − t)) where the "
    "Brier score weighs all alike. How much that matters in training is another question: on images wide "
    "models trained on either come to the same accuracy.",
)

SEEDS = {"smoke": 6, "standard": 16, "full": 128}
SCORES = ("cross-entropy", "brier")
EPS = float(np.finfo("float64").eps)


# --- excess: what does a prediction cost beyond the least there is? ---

TRUE = np.array([0.05, 0.2, 0.5, 0.7, 0.99])  # q
LOGITS = np.array([-12, -6, -3.3, -1, 0, 0.3, 0.5, 2, 5, 9.0])  # of the prediction p
SAMPLED, NEAR, DRAWS = (0.6, 0.2), 0.65, 50_000  # q and p of the Monte Carlo, and another q

EXCESS = Check(
    "excess",
    "Beyond the least there is, cross-entropy costs KL(q‖p) and the Brier score (p − q)².",
    Identity(ulps=8),  # two losses weighted by q and 1 − q, less two more
    r"\mathbb{E}_q L(p) - \mathbb{E}_q L(q)",
    control="logits rounded to float32",
    positive="the formulas of both scores in NumPy",
    settings=SCORES,
    exact=True,
)
EXCESS_SAMPLED = Check(
    "excess_sampled",
    "The same by Monte Carlo, from labels drawn with probability q.",
    Equal(margin=0.02),
    r"\overline{L(p) - L(q)}",
    control="labels drawn with 0.65 in place of 0.6",
    positive="the same labels, by the formulas of either score in NumPy",
    settings=SCORES,
    population="generator",
)


def measure_excess(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Excesses on a grid; their ratio, and its growth; gradients at confident errors, and cost weights."""
    q, z = (axis.ravel() for axis in np.meshgrid(TRUE, LOGITS))
    best = special.logit(q)
    for score in SCORES:
        resolution = EPS * np.maximum(1, risk.expected_loss(score, q, z))
        claim, in_numpy = (risk.excess(loss, q, z, best) for loss in (score, risk.in_numpy(score)))
        rounded = risk.excess(score, q, z.astype("float32").astype("float64"), best)
        law, shared = risk.exact_excess(score, q, z), {"setting": score, "resolution": resolution}
        yield EXCESS.rows(claim, rounded, law, positive=in_numpy, **shared)
    yield from severity_rows(q, z)
    yield gradient_rows()
    yield from weight_rows()


def draw_excess(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Mean of L(p) − L(q) over labels drawn with probability q."""
    q, p = SAMPLED
    shares, others = (
        np.array([np.random.default_rng(seed).binomial(DRAWS, chance) / DRAWS for seed in seeds])
        for chance in (q, NEAR)
    )
    for score, law in (("cross-entropy", risk.kl(q, p)), ("brier", (p - q) ** 2)):
        claim, control = (risk.excess(score, y, special.logit(p), special.logit(q)) for y in (shares, others))
        by_hand = risk.excess_by_formula(score, shares, p, q)
        yield EXCESS_SAMPLED.rows(claim, control, law, positive=by_hand, setting=score, seed=seeds)


# --- severity: how bad is wrong? ---

DECADES = np.arange(1, 13)  # p = 10^−1 … 10^−12
HARD = -np.array([5, 10, 20, 40, 80.0])  # logits of confident errors, y = 1

SEVERITY = Check(
    "severity",
    "KL is at least twice (p − q)² (Pinsker).",
    Exceeds(margin=2.0),
    r"\frac{\mathrm{KL}(q \,\|\, p)}{(p - q)^2} \ge 2",
    control="cross-entropy in decimal digits",
    positive="KL by SciPy",
    exact=True,
)
SEVERITY_UNBOUNDED = Check(
    "severity_unbounded",
    "At q = ½ the ratio grows by at least 1 with every power of ten by which p falls.",
    Trend(step=1.0),
    r"\frac{\mathrm{KL}(q \,\|\, p)}{(p - q)^2} \to \infty",
    control="Keras' cross-entropy of the probability, which it clips at 1e−7",
    positive="KL by SciPy",
    exact=True,
)
GRADIENT = Check(
    "gradient",
    "Through a sigmoid the Brier score's gradient at a confident error vanishes as 2(p − y) p (1 − p).",
    Identity(ulps=8),  # relative to its own size
    r"\frac{dL}{dz} \Big/ \bigl(2\,(p - y)\,p\,(1 - p)\bigr) = 1",
    control="labels smoothed by a millionth",
    positive="Keras' squared error of its own sigmoid",
    exact=True,
)
WEIGHTS = Check(
    "weights",
    "As mixes of costs, cross-entropy weighs errors at the chance t by 1/(t (1 − t)), the Brier score by 2.",
    Identity(ulps=8),  # relative to its own size
    r"-\frac{L_1'(t)}{1 - t} = \frac{L_0'(t)}{t} = w(t): \quad \frac{1}{t\,(1 - t)},\; 2",
    control="labels smoothed by a millionth",
    positive="the formulas of both scores, differentiated by a complex step",
    settings=SCORES,
    exact=True,
)
CHANCES = np.array([-12, -5, -2, -0.5, 0, 1, 3.3, 8])  # logits of t


def severity_rows(q: np.ndarray, z: np.ndarray) -> Iterator[pd.DataFrame]:
    far = np.abs(special.expit(z) - q) > 0.01  # nearer, both excesses are too small for their digits
    q, z = q[far], z[far]
    square, entropy = risk.exact_excess("brier", q, z), risk.excess("cross-entropy", q, z)
    least = ((excess / square).min() for excess in (entropy, entropy / np.log(10)))
    yield SEVERITY.rows(*least, positive=(risk.kl(q, special.expit(z)) / square).min())
    small, half = -np.log(10.0**DECADES - 1), np.full(len(DECADES), 0.5)
    square = risk.exact_excess("brier", half, small)
    ours, clipped = (risk.excess(loss, half, small) / square for loss in ("cross-entropy", risk.of_clipped))
    by_scipy = risk.kl(half, special.expit(small)) / square
    yield SEVERITY_UNBOUNDED.rows(ours, clipped, positive=by_scipy, quantity="ratio", x=DECADES)


def gradient_rows() -> pd.DataFrame:
    """dL/dz at z, y = 1, over what theory has for the Brier score."""
    law, y = -2 * special.expit(HARD) * special.expit(-HARD) ** 2, np.ones((len(HARD), 1))
    losses = risk.LOSSES["brier"], risk.slightly_smoothed("brier"), risk.brier_by_keras
    slopes = (autodiff.logit_gradient(loss, y, HARD[:, None])[:, 0] for loss in losses)
    claim, control, positive = (slope / law for slope in slopes)
    return GRADIENT.rows(claim, control, 1.0, positive=positive, resolution=EPS)


def weight_rows() -> Iterator[pd.DataFrame]:
    """Cost weights by autodiff over those of theory, under either label."""
    t, rest = special.expit(CHANCES), special.expit(-CHANCES)
    for score, law in (("cross-entropy", 1 / (t * rest)), ("brier", 2.0)):
        claim, control = (
            risk.cost_weight(loss, CHANCES) / law for loss in (score, risk.slightly_smoothed(score))
        )
        by_hand = risk.weight_by_complex_step(score, CHANCES) / law
        yield WEIGHTS.rows(claim, control, 1.0, positive=by_hand, setting=score, resolution=EPS)


def draw_ratio(ax, rows: pd.DataFrame) -> None:
    for arm, label in (("claim", "cross-entropy"), ("control", "of a clipped probability")):
        part = rows[(rows["quantity"] == "ratio") & (rows["arm"] == arm)]
        ax.plot(10.0 ** -part["x"], part["value"], "o-", label=label)
    p = np.geomspace(1e-12, 0.1, 50)
    figures.theory_line(ax, p, -np.log(4 * p * (1 - p)) / 2 / (p - 0.5) ** 2, "theory")
    figures.theory_line(ax, p, 2.0, "Pinsker's bound", linestyle=":")
    ax.set(title="Excess over (p − q)², q = ½", xlabel="prediction p", ylabel="ratio", xscale="log")
    ax.legend()


# --- proper: where is each expected loss least, and does training end there? ---

SEARCHED = float(np.sqrt(EPS))  # how near a search by values alone comes to a minimum
KNOWN = (0.1, 0.3, 0.8)  # q of the labels that a model is trained on
N = 4000
MARGIN = 0.02  # of a probability; the labels of one seed miss q by 0.007
AT = tuple(f"q = {q:g}" for q in KNOWN)

PROPER = Check(
    "proper",
    "Minimised over the logit, either expected score puts p at q.",
    Identity(ulps=4),
    r"\arg\min_p \mathbb{E}_q L(p) = q",
    control="Keras' focal loss at γ = 0.1",
    positive="the spherical score, a third proper one",
    settings=SCORES,
    exact=True,
)
PROPER_TRAINING = Check(
    "proper_training",
    "Trained on labels drawn with probability q, a model comes to predict q.",
    Equal(margin=MARGIN),
    r"p = q",
    control="Keras' focal loss",
    positive="the share of labels that are 1",
    population="generator",
    settings=tuple(f"{score}, {at}" for score in SCORES for at in AT),
)
PROPER_FOCAL = Check(
    "proper_focal",
    "So does a model trained with Keras' focal loss.",
    Equal(margin=MARGIN),
    r"p = q",
    control="absolute error",
    positive="cross-entropy",
    population="generator",
    settings=AT,
    scope=True,
)
FOCAL_MINIMISER = Check(
    "focal_minimiser",
    "What it comes to predict is the minimiser of the expected focal loss, found numerically.",
    Equal(margin=MARGIN),
    r"\arg\min_p \; -q\,(1 - p)^2 \ln p - (1 - q)\,p^2 \ln(1 - p)",
    control="cross-entropy",
    positive="the share of labels that are 1, taken through the minimiser's curve",
    population="generator",
    settings=AT,
)
ABSOLUTE_MINIMISER = Check(
    "absolute_minimiser",
    "Trained on absolute error, a model comes to predict the likelier label, 0 or 1.",
    Equal(margin=MARGIN),
    r"\arg\min_p \; q\,(1 - p) + (1 - q)\,p = [q > 1/2]",
    control="cross-entropy",
    positive="the more frequent label",
    population="generator",
    settings=AT,
)
FOCAL_RESTORED = Check(
    "focal_restored",
    "The closed-form inverse (`focal_restored`) leads from what it predicts back to q.",
    Equal(margin=MARGIN),
    r"\eta_k \propto \frac{p_k}{(1 - p_k)^\gamma - \gamma\,(1 - p_k)^{\gamma - 1} p_k \ln p_k} = q_k",
    control="the inverse at γ = 1, trained at γ = 2",
    positive="cross-entropy, at γ = 0",
    settings=AT,
    population="generator",
)


def measure_minimisers(seeds: tuple[int, ...], points: int) -> Iterator[pd.DataFrame]:
    """Where each expected loss is least, by SciPy, over a grid of q."""
    q = np.linspace(0.05, 0.95, points)
    q = q[~np.isclose(q, 0.5)]  # where absolute error is as large everywhere
    least = {name: risk.minimisers(name, q) for name in risk.LOSSES}
    for name, p in least.items():
        yield rows.tidy(quantity=f"minimiser, {name}", x=q, value=p)
    other, spherical = (risk.minimisers(loss, q) for loss in (risk.mild_focal, risk.spherical))
    for score in SCORES:
        shared = {"setting": score, "resolution": SEARCHED}
        yield PROPER.rows(least[score], other, q, positive=spherical, **shared)


def train_to_known(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """A model of one bias, trained on labels drawn with probability q: each seed at each q."""
    q = np.tile(KNOWN, len(seeds))  # [R]
    by_seed = [np.random.default_rng(seed).random((len(KNOWN), N)) for seed in seeds]
    y = (np.concatenate(by_seed) < q[:, None]).astype("float32")[..., None]  # [R, N, 1]
    p, share = contests.trained_chances(risk.LOSSES, y), y.mean((1, 2))
    at = [f"q = {chance:g}" for chance in q]
    shared = {"seed": np.repeat(seeds, len(KNOWN)), "x": q}
    for score in SCORES:
        settings = [f"{score}, {setting}" for setting in at]
        yield PROPER_TRAINING.rows(p[score], p["focal"], q, positive=share, setting=settings, **shared)
    entropy, shared = p["cross-entropy"], {**shared, "setting": np.array(at)}
    yield PROPER_FOCAL.rows(p["focal"], p["absolute"], q, positive=entropy, **shared)
    focal_least = np.tile(risk.minimisers("focal", KNOWN), len(seeds))
    yield FOCAL_MINIMISER.rows(
        p["focal"], entropy, focal_least, positive=risk.minimisers("focal", share), **shared
    )
    yield ABSOLUTE_MINIMISER.rows(p["absolute"], entropy, q > 0.5, positive=share > 0.5, **shared)
    pairs = (p["focal"], risk.GAMMA), (p["focal"], 1.0), (entropy, 0.0)
    claim, control, positive = (risk.restored(*pair) for pair in pairs)
    yield FOCAL_RESTORED.rows(claim, control, q, positive=positive, **shared)


def draw_minimisers(ax, rows: pd.DataFrame) -> None:
    figures.theory_line(ax, [0, 1], [0, 1], "p = q: proper")
    for name, marker, size in zip((*SCORES, "focal", "absolute"), "osD^", (9, 4, 4, 4), strict=True):
        part = rows[rows["quantity"] == f"minimiser, {name}"]
        ax.plot(part["x"], part["value"], marker, label=name, markersize=size)
    ax.set(title="Where each loss is least", xlabel="true probability q", ylabel="prediction p")
    ax.legend(fontsize=8)


# --- images: which loss does best at which held-out score? ---

SETS = ("digits", "mnist", "fashion_mnist")
IMAGE_SEEDS = {  # the fewer images are held out and the smaller the difference, the more
    "smoke": (6, 6, 6),
    "standard": (32, 16, 24),
    "full": (64, 64, 64),
}
CONTEST = {
    "small": (
        check("training", SETS),
        check("training_brier", SETS),
        check("training_accuracy_small", SETS, scope=True),
    ),
    "wide": (
        check("training_wide", SETS),
        check("training_accuracy", SETS),
        check("training_calibration", SETS, scope=True),
    ),
}


def train_contest(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Both models trained by either loss, and their scores on images held out."""
    shared = {"setting": name, "seed": seeds}
    for model, checks in CONTEST.items():
        split = contests.images(name, model, seeds)
        logits = contests.held_out_logits(model, seeds, split, {model: scores.one_hot(split.y, 10)})
        scored = {arm: scores.held_out(z, split.y_test) for arm, z in logits.items()}
        yield standings.shown_rows(scored, **shared)
        score = scores.held_out if model == "small" else scores.with_overconfidence
        scored |= scores.of_changed(logits, split.y_test, score)
        for one in checks:
            yield standings.compared_rows(one, COMPARED[one.id], scored, **shared)


def draw_contest(ax, rows: pd.DataFrame) -> None:
    """By how much training on the Brier score instead of cross-entropy raises either held-out score."""
    shown = standings.scores_shown(rows).query("score in ['NLL', 'Brier score']")
    wide = shown.pivot_table("value", ["score", "what", "setting", "seed"], "loss", sort=False)
    figures.intervals(ax, 100 * (wide["brier"] / wide["cross-entropy"] - 1))
    ax.axvline(0, color="0.6", linewidth=1, zorder=0)
    ax.set(title="Brier, not cross-entropy", xlabel="change of the held-out score (%)")


# --- the whole study ---

CHECKS = (
    EXCESS,
    EXCESS_SAMPLED,
    PROPER,
    PROPER_TRAINING,
    PROPER_FOCAL,
    FOCAL_MINIMISER,
    FOCAL_RESTORED,
    ABSOLUTE_MINIMISER,
    SEVERITY,
    SEVERITY_UNBOUNDED,
    GRADIENT,
    WEIGHTS,
    *CONTEST["small"],
    *CONTEST["wide"],
)
POINTS, P = [(0.5, 0.1), (0.2, 0.6), (0.9, 0.95)], [(0.1,), (0.7,)]
THEORIES = (
    Theory("kl", lambda q, p: float(risk.kl(q, p)), lambda q, p: risk.kl_by_integration(q, p), POINTS),
    Theory("squared", lambda q, p: (p - q) ** 2, lambda q, p: risk.squared_by_expectation(q, p), POINTS),
    Theory("log weights", lambda p: -np.log(p), lambda p: risk.score_from_weights("cross-entropy", p), P),
    Theory("square weights", lambda p: (1 - p) ** 2, lambda p: risk.score_from_weights("brier", p), P),
    Theory(
        "focal inverse",
        lambda q: risk.restored_least(q),
        float,
        P,
        1e-6,
    ),
)


def units(scale: str) -> list[Unit]:
    seeds, images = range(SEEDS[scale]), zip(SETS, IMAGE_SEEDS[scale], strict=True)
    return [
        unit(measure_excess),
        unit(measure_minimisers, cost=4, points=7 if scale == "smoke" else 19),
        unit(draw_excess, seeds),
        unit(train_to_known, seeds, cost=4),
        *(unit(train_contest, range(few), data=name, cost=8) for name, few in images),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Held-out scores of what was trained on real images, mean and SD over seeds."""
    return standings.table(rows, "Model")


def figure(rows: pd.DataFrame):
    """The ratio of the excesses, four losses' minimisers, and real images."""
    canvas, axes = figures.panels(3, 1, height=3.6)
    for draw, ax in zip((draw_ratio, draw_minimisers, draw_contest), axes, strict=True):
        draw(ax, rows)
    return canvas

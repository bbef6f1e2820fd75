"""Two proper scores: cross-entropy's excess is the Kullback-Leibler divergence, the Brier score's (p − q)².

Expect: the identities hold; both scores are minimised at p = q, focal loss and absolute error elsewhere;
cross-entropy punishes confident errors without bound, the Brier score, through a sigmoid, hardly at all. On
real images a small model does best at the score that it was trained on. Costs 40 s at the standard scale. Run
it with `crosscheck run brier_vs_kl`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Criterion, Equal, Exceeds, Identity, Theory, Trend, Unit, unit
from crosscheck.lazy import autodiff, contests, figures, pd, risk, rows, scores, standings

CLAIM = Claim(
    title="Cross-entropy and the Brier score agree on what is right, not on how bad wrong is",
    statement="Both are proper scoring rules, smallest in expectation at the true probability q. What a "
    "prediction p costs beyond that is KL(q‖p) for cross-entropy and (p − q)² for the Brier score, so that "
    "cross-entropy penalises confident errors far more severely.",
    formula=r"\mathrm{KL}(q \,\|\, p) = q \ln\frac{q}{p} + (1 - q) \ln\frac{1 - q}{1 - p} \qquad (p - q)^2",
    source="Modeling Implications of Cross-Entropy; problem 3103404",
)

SEEDS = {"smoke": 8, "standard": 32, "full": 128}
SCORES = ("cross-entropy", "brier")
EPS = float(np.finfo("float64").eps)


# --- excess: what does a prediction cost beyond the least there is? ---

TRUE = np.array([0.05, 0.2, 0.5, 0.7, 0.99])  # q
LOGITS = np.array([-12, -6, -3, -1, 0, 0.5, 2, 5, 9.0])  # of the prediction p
SAMPLED, DRAWS = (0.6, 0.2), 50_000  # q and p of the Monte Carlo

EXCESS = Check(
    "excess",
    "Beyond the least there is, cross-entropy costs KL(q‖p) and the Brier score (p − q)².",
    Identity(ulps=8),  # two losses weighted by q and 1 − q, less two more
    r"\mathbb{E}_q L(p) - \mathbb{E}_q L(q)",
    control="the other of the two scores",
    settings=SCORES,
    exact=True,
)
EXCESS_SAMPLED = Check(
    "excess_sampled",
    "The same by Monte Carlo, from labels drawn with probability q.",
    Equal(margin=0.02),
    r"\overline{L(p) - L(q)}",
    control="the other of the two scores",
    settings=SCORES,
)


def kl(q: float, p: float) -> float:
    return q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))


def kl_by_integration(q: float, p: float) -> float:
    """∫ (t − q) / (t (1 − t)) dt from q to p: the expected loss' slope in p."""
    return float(mpmath.quad(lambda t: (t - q) / (t * (1 - t)), [q, p]))


def squared(q: float, p: float) -> float:
    return (p - q) ** 2


def squared_by_expectation(q: float, p: float) -> float:
    return q * ((1 - p) ** 2 - (1 - q) ** 2) + (1 - q) * (p**2 - q**2)


def measure_excess(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Excesses on a grid; their ratio, and its growth; gradients at confident errors."""
    q, z = (axis.ravel() for axis in np.meshgrid(TRUE, LOGITS))
    excess = {score: risk.excess(score, q, z) for score in SCORES}
    for score, other in (SCORES, SCORES[::-1]):
        resolution = EPS * np.maximum(1, risk.expected_loss(score, q, z))
        law = risk.exact_excess(score, q, z)
        yield EXCESS.rows(excess[score], excess[other], law, setting=score, resolution=resolution)
    yield from severity_rows(q, z)
    yield gradient_rows()


def draw_excess(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Mean of L(p) − L(q) over labels drawn with probability q."""
    q, p = SAMPLED
    at_q, at_p = (np.log(chance / (1 - chance)) for chance in SAMPLED)
    shares = np.array([np.random.default_rng(seed).binomial(DRAWS, q) / DRAWS for seed in seeds])
    by_log, by_square = (risk.excess(score, shares, at_p, at_q) for score in SCORES)
    yield EXCESS_SAMPLED.rows(by_log, by_square, kl(q, p), setting="cross-entropy", seed=seeds)
    yield EXCESS_SAMPLED.rows(by_square, by_log, squared(q, p), setting="brier", seed=seeds)


# --- severity: how bad is wrong? ---

DECADES = np.arange(1, 13)  # p = 10^−1 … 10^−12
HARD = -np.array([5, 10, 20, 40, 80.0])  # logits of confident errors, y = 1

SEVERITY = Check(
    "severity",
    "KL is at least twice (p − q)² (Pinsker).",
    Exceeds(margin=2.0),
    r"\frac{\mathrm{KL}(q \,\|\, p)}{(p - q)^2} \ge 2",
    control="the Brier score's own excess over (p − q)²",
    exact=True,
)
SEVERITY_UNBOUNDED = Check(
    "severity_unbounded",
    "At q = ½ the ratio grows by at least 1 with every power of ten by which p falls.",
    Trend(step=1.0),
    r"\frac{\mathrm{KL}(q \,\|\, p)}{(p - q)^2} \to \infty",
    control="the Brier score's own excess over (p − q)²",
    exact=True,
)
GRADIENT = Check(
    "gradient",
    "Through a sigmoid the Brier score's gradient at a confident error vanishes as 2(p − y) p (1 − p).",
    Identity(ulps=8),  # relative to its own size
    r"\frac{dL}{dz} \Big/ \bigl(2\,(p - y)\,p\,(1 - p)\bigr) = 1",
    control="cross-entropy",
    exact=True,
)


def severity_rows(q: np.ndarray, z: np.ndarray) -> Iterator[pd.DataFrame]:
    far = np.abs(1 / (1 + np.exp(-z)) - q) > 0.01  # nearer, both excesses are too small for their digits
    small, half = -np.log(10.0**DECADES - 1), np.full(len(DECADES), 0.5)
    ratio = lambda score, q, z: risk.excess(score, q, z) / risk.exact_excess("brier", q, z)
    yield SEVERITY.rows(*(ratio(score, q[far], z[far]).min() for score in SCORES))
    along = (ratio(score, half, small) for score in SCORES)
    yield SEVERITY_UNBOUNDED.rows(*along, quantity="ratio", x=DECADES)


def gradient_rows() -> pd.DataFrame:
    """dL/dz at z, y = 1, over what theory has for the Brier score."""
    p, rest = 1 / (1 + np.exp(-HARD)), 1 / (1 + np.exp(HARD))
    y = np.ones((len(HARD), 1))
    slopes = [autodiff.logit_gradient(risk.LOSSES[score], y, HARD[:, None])[:, 0] for score in SCORES]
    by_log, by_square = (slope / (-2 * p * rest**2) for slope in slopes)
    return GRADIENT.rows(by_square, by_log, reference=1.0, resolution=EPS)


def draw_ratio(ax, rows: pd.DataFrame) -> None:
    for arm, label in (("claim", "cross-entropy"), ("control", "Brier score")):
        part = rows[(rows["quantity"] == "ratio") & (rows["arm"] == arm)]
        ax.plot(10.0 ** -part["x"], part["value"], "o-", label=label)
    p = np.geomspace(1e-12, 0.1, 50)
    figures.theory_line(ax, p, [kl(0.5, x) / (x - 0.5) ** 2 for x in p], "theory")
    figures.theory_line(ax, p, 2.0, "Pinsker's bound", linestyle=":")
    ax.set(title="Excess over (p − q)², q = ½", xlabel="prediction p", ylabel="ratio", xscale="log")
    ax.legend()


# --- proper: where is each expected loss least, and does training end there? ---

SEARCHED = float(np.sqrt(EPS))  # how near a search by values alone comes to a minimum
KNOWN = (0.1, 0.3, 0.8)  # q of the labels that a model is trained on
N = 1000
MARGIN = 0.02  # of a probability; the labels of one seed miss q by 0.015
AT = tuple(f"q = {q:g}" for q in KNOWN)

PROPER = Check(
    "proper",
    "Minimised over the logit, either expected score puts p at q.",
    Identity(ulps=4),
    r"\arg\min_p \mathbb{E}_q L(p) = q",
    control="absolute error",
    settings=SCORES,
    exact=True,
)
PROPER_TRAINING = Check(
    "proper_training",
    "Trained on labels drawn with probability q, a model comes to predict q.",
    Equal(margin=MARGIN),
    r"p = q",
    control="absolute error",
    settings=tuple(f"{score}, {at}" for score in SCORES for at in AT),
)
PROPER_FOCAL = Check(
    "proper_focal",
    "So does a model trained with Keras' focal loss.",
    Equal(margin=MARGIN),
    r"p = q",
    control="absolute error",
    settings=AT,
    scope=True,
)
FOCAL_MINIMISER = Check(
    "focal_minimiser",
    "What it comes to predict is the minimiser of the expected focal loss, found numerically.",
    Equal(margin=MARGIN),
    r"\arg\min_p \; -q\,(1 - p)^2 \ln p - (1 - q)\,p^2 \ln(1 - p)",
    control="absolute error",
    settings=AT,
)
ABSOLUTE_MINIMISER = Check(
    "absolute_minimiser",
    "Trained on absolute error, a model comes to predict the likelier label, 0 or 1.",
    Equal(margin=MARGIN),
    r"\arg\min_p \; q\,(1 - p) + (1 - q)\,p = [q > 1/2]",
    control="cross-entropy",
    settings=AT,
)


def measure_minimisers(seeds: tuple[int, ...], points: int) -> Iterator[pd.DataFrame]:
    """Where each expected loss is least, by SciPy, over a grid of q."""
    q = np.linspace(0.05, 0.95, points)
    q = q[~np.isclose(q, 0.5)]  # where absolute error is as large everywhere
    least = {name: [risk.minimiser(name, chance) for chance in q] for name in risk.LOSSES}
    for name, p in least.items():
        yield rows.tidy(quantity=f"minimiser, {name}", x=q, value=p)
    for score in SCORES:
        yield PROPER.rows(least[score], least["absolute"], q, setting=score, resolution=SEARCHED)


def train_to_known(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """A model of one bias, trained on labels drawn with probability q: each seed at each q."""
    q = np.tile(KNOWN, len(seeds))  # [R]
    by_seed = [np.random.default_rng(seed).random((len(KNOWN), N)) for seed in seeds]
    y = (np.concatenate(by_seed) < q[:, None]).astype("float32")[..., None]  # [R, N, 1]
    p = contests.trained_chances(risk.LOSSES, y)
    focal_least = np.tile([risk.minimiser("focal", chance) for chance in KNOWN], len(seeds))
    at = [f"q = {chance:g}" for chance in q]
    shared = {"seed": np.repeat(seeds, len(KNOWN)), "x": q}
    for score in SCORES:
        settings = [f"{score}, {setting}" for setting in at]
        yield PROPER_TRAINING.rows(p[score], p["absolute"], q, setting=settings, **shared)
    yield PROPER_FOCAL.rows(p["focal"], p["absolute"], q, setting=at, **shared)
    yield FOCAL_MINIMISER.rows(p["focal"], p["absolute"], focal_least, setting=at, **shared)
    yield ABSOLUTE_MINIMISER.rows(p["absolute"], p["cross-entropy"], q > 0.5, setting=at, **shared)


def draw_minimisers(ax, rows: pd.DataFrame) -> None:
    figures.theory_line(ax, [0, 1], [0, 1], "p = q: proper")
    for name, marker, size in zip((*SCORES, "focal", "absolute"), "osD^", (9, 4, 4, 4), strict=True):
        part = rows[rows["quantity"] == f"minimiser, {name}"]
        ax.plot(part["x"], part["value"], marker, label=name, markersize=size)
    ax.set(title="Where each loss is least", xlabel="true probability q", ylabel="prediction p")
    ax.legend(fontsize=8)


# --- images: which loss does best at which held-out score? ---

SETS, SOFT = ("digits", "mnist", "fashion_mnist"), ("digits", "fashion_mnist_h")
IMAGE_SEEDS = {"smoke": 8, "standard": 16, "full": 64}  # twice as many of the few digits
COMPARED = {  # check: a held-out score, whose is larger, whose smaller or equal, and whose in the control
    "training": ("NLL", "small, brier", "small, cross-entropy", "false, cross-entropy"),
    "training_brier": ("Brier score", "small, cross-entropy", "small, brier", "false, brier"),
    "training_accuracy_small": ("accuracy", "small, brier", "small, cross-entropy", "false, cross-entropy"),
    "training_wide": ("NLL", "wide, brier", "wide, cross-entropy", "false, cross-entropy"),
    "training_accuracy": ("accuracy", "wide, brier", "wide, cross-entropy", "false, cross-entropy"),
    "training_calibration": ("ECE", "wide, brier", "wide, cross-entropy", "false, cross-entropy"),
    "soft_labels": ("(p − q)²", "most, cross-entropy", "shares, cross-entropy", "shuffled, cross-entropy"),
    "soft_labels_brier": ("(p − q)²", "most, brier", "shares, brier", "shuffled, brier"),
    "soft_labels_own": ("KL", "shares, brier", "shares, cross-entropy", "most, cross-entropy"),
    "soft_labels_own_brier": ("(p − q)²", "shares, cross-entropy", "shares, brier", "most, brier"),
}
WORDS = {
    "small": "a linear model of four grey values",
    "wide": "a wide perceptron",
    "false": "the latter with held-out labels shuffled",
    "shares": "a linear model of people's shares",
    "most": "a linear model of what most people choose",
    "shuffled": "a linear model of other images' shares",
    "brier": "the Brier score",
    "cross-entropy": "cross-entropy",
}


def in_words(check: str) -> tuple[str, Criterion, str, str]:
    """Statement, criterion, theory and control of a comparison of two models."""
    score, *subjects = COMPARED[check]
    larger, smaller, _ = (" trained on ".join(WORDS[part] for part in one.split(", ")) for one in subjects)
    control = f"instead of the latter, {WORDS[subjects[-1].split(', ')[0]]}"
    if score in ("accuracy", "ECE"):
        return f"Held-out {score}: {larger} has as much as {smaller}.", Equal(0.02), r"\Delta = 0", control
    return f"Held-out {score}: {larger} has more than {smaller}.", Exceeds(0.0), r"\Delta > 0", control


TRAINING = Check("training", *in_words("training"), settings=SETS)
TRAINING_BRIER = Check("training_brier", *in_words("training_brier"), settings=SETS)
TRAINING_ACCURACY_SMALL = Check(
    "training_accuracy_small", *in_words("training_accuracy_small"), settings=SETS, scope=True
)
TRAINING_WIDE = Check("training_wide", *in_words("training_wide"), settings=SETS)
TRAINING_ACCURACY = Check("training_accuracy", *in_words("training_accuracy"), settings=SETS)
TRAINING_CALIBRATION = Check("training_calibration", *in_words("training_calibration"), settings=SETS)
CONTEST = {
    "small": (TRAINING, TRAINING_BRIER, TRAINING_ACCURACY_SMALL),
    "wide": (TRAINING_WIDE, TRAINING_ACCURACY, TRAINING_CALIBRATION),
}


def train_contest(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Both models trained by either loss, and their scores on images held out."""
    shared = {"setting": name, "seed": seeds}
    for model, checks in CONTEST.items():
        split = contests.images(name, model, seeds)
        logits = contests.held_out_logits(model, seeds, split, {model: scores.one_hot(split.y, 10)})
        shuffled = np.random.default_rng(0).permuted(split.y_test, axis=1)
        true = {arm: scores.held_out(z, split.y_test) for arm, z in logits.items()}
        false = {arm.replace(model, "false"): scores.held_out(z, shuffled) for arm, z in logits.items()}
        yield standings.shown_rows(true, **shared)
        for check in checks:
            yield standings.compared_rows(check, COMPARED[check.id], {**true, **false}, **shared)


def draw_contest(ax, rows: pd.DataFrame) -> None:
    """By how much training on the Brier score instead of cross-entropy raises either held-out score."""
    shown = standings.scores_shown(rows).query("score in ['NLL', 'Brier score']")
    wide = shown.pivot_table("value", ["score", "what", "setting", "seed"], "loss", sort=False)
    figures.intervals(ax, 100 * (wide["brier"] / wide["cross-entropy"] - 1))
    ax.axvline(0, color="0.6", linewidth=1, zorder=0)
    ax.set(title="Trained on Brier, not cross-entropy", xlabel="change of the held-out score (%)")


# --- people: is it better to learn from their shares than from what most of them say? ---

SOFT_LABELS = Check("soft_labels", *in_words("soft_labels"), settings=SOFT)
SOFT_LABELS_BRIER = Check("soft_labels_brier", *in_words("soft_labels_brier"), settings=SOFT)
SOFT_LABELS_OWN = Check("soft_labels_own", *in_words("soft_labels_own"), settings=SOFT)
SOFT_LABELS_OWN_BRIER = Check("soft_labels_own_brier", *in_words("soft_labels_own_brier"), settings=SOFT)
PEOPLE = (SOFT_LABELS, SOFT_LABELS_BRIER, SOFT_LABELS_OWN, SOFT_LABELS_OWN_BRIER)


def train_on_people(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """A linear model trained on people's shares, on what most choose, and on the shares of other images."""
    split = contests.images(name, "people", seeds)
    shuffled = [np.random.default_rng(seed).permutation(q) for seed, q in zip(seeds, split.y, strict=True)]
    labels = {"shares": split.y, "most": scores.one_hot(split.y.argmax(-1), 10), "shuffled": shuffled}
    logits = contests.held_out_logits("people", seeds, split, labels)
    scored = {arm: scores.from_people(z, split.y_test) for arm, z in logits.items()}
    yield standings.shown_rows(scored, setting=name, seed=seeds)
    for check in PEOPLE:
        yield standings.compared_rows(check, COMPARED[check.id], scored, setting=name, seed=seeds)


def draw_people(ax, rows: pd.DataFrame) -> None:
    shown = standings.scores_shown(rows).query("score == '(p − q)²' and what != 'shuffled'")
    figures.intervals(ax, shown.set_index(["loss", "what", "setting", "seed"])["value"])
    ax.set(title="People's shares, or what most say", xlabel="held-out Σ(p − q)² from shares", xlim=(0, None))


# --- the whole study ---

CHECKS = (
    EXCESS,
    EXCESS_SAMPLED,
    PROPER,
    PROPER_TRAINING,
    PROPER_FOCAL,
    FOCAL_MINIMISER,
    ABSOLUTE_MINIMISER,
    SEVERITY,
    SEVERITY_UNBOUNDED,
    GRADIENT,
    *CONTEST["small"],
    *CONTEST["wide"],
    *PEOPLE,
)
THEORIES = (
    Theory("kl", kl, kl_by_integration, [(0.5, 0.1), (0.2, 0.6), (0.9, 0.95)]),
    Theory("squared", squared, squared_by_expectation, [(0.5, 0.1), (0.2, 0.6), (0.9, 0.95)]),
)


def units(scale: str) -> list[Unit]:
    seeds, few = range(SEEDS[scale]), IMAGE_SEEDS[scale]
    by_set = {name: range(2 * few if name == "digits" else few) for name in (*SETS, *SOFT)}
    return [
        unit(measure_excess),
        unit(measure_minimisers, cost=4, points=7 if scale == "smoke" else 19),
        unit(draw_excess, seeds),
        unit(train_to_known, seeds, cost=4),
        *(unit(train_contest, by_set[name], data=name, cost=8) for name in SETS),
        *(unit(train_on_people, by_set[name], data=name, cost=5) for name in SOFT),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Held-out scores of what was trained on real images, mean and SD over seeds."""
    shown, index = standings.scores_shown(rows), ["setting", "what", "score"]
    wide = shown.pivot_table("value", index, "loss", ["mean", "std"], sort=False)
    columns = [(kind, loss) for loss in SCORES for kind in ("mean", "std")]
    wide = wide[columns].set_axis([f"{loss}, {kind}" for kind, loss in columns], axis=1)
    return wide.rename_axis(["Images", "Model or labels", "Held-out score"]).reset_index()


def figure(rows: pd.DataFrame):
    """The ratio of the excesses, four losses' minimisers, real images, and people's shares."""
    canvas, axes = figures.panels(2, 2)
    for draw, ax in zip((draw_ratio, draw_minimisers, draw_contest, draw_people), axes, strict=True):
        draw(ax, rows)
    return canvas

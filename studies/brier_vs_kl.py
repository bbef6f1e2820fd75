"""Two proper scores: cross-entropy's excess is the Kullback-Leibler divergence, the Brier score's (p − q)².

Expect: the identities hold; both scores are minimised at p = q, focal loss and absolute error elsewhere;
cross-entropy punishes confident errors without bound, the Brier score, through a sigmoid, hardly at all. On
real images a small model does best at the score that it was trained on. Costs 40 s at the standard scale.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Trend, Unit, units_by_set
from crosscheck.lazy import autodiff, data, expected, figures, losses, models, pd, replicates, rows, scores

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
TRUE = np.array([0.05, 0.2, 0.5, 0.7, 0.99])  # q
LOGITS = np.array([-12, -6, -3, -1, 0, 0.5, 2, 5, 9.0])  # of the prediction p
SAMPLED, DRAWS = (0.6, 0.2), 50_000  # q and p of the Monte Carlo
DECADES = np.arange(1, 13)  # p = 10^−1 … 10^−12
HARD = -np.array([5, 10, 20, 40, 80.0])  # logits of confident errors, y = 1
SEARCHED = float(np.sqrt(np.finfo("float64").eps))  # how near a search by values alone comes to a minimum
KNOWN = (0.1, 0.3, 0.8)  # q of the labels that a model is trained on
N, STEPS = 1000, 300
MARGIN = 0.02  # of a probability; the labels of one seed miss q by 0.015
AT = tuple(f"q = {q:g}" for q in KNOWN)
SETS, SOFT = ("digits", "mnist", "fashion_mnist"), ("digits", "fashion_mnist_h")
IMAGES = {"digits": (1297, 500), "fashion_mnist_h": (4000, 2000)}  # trained on and held out, anew each seed
MANY = (6000, 4000)  # of the other sets
IMAGE_SEEDS = {"smoke": 8, "standard": 16, "full": 64}  # twice as many of the few digits
MODELS = {  # the grid that an image is averaged to, hidden layers, Adam's first rate, epochs
    "small": (2, (), 0.05, 20),  # four grey values: misspecified
    "wide": (8, (64,), 0.005, 15),
    "people": (8, (), 0.02, 20),
}
LIKE = {0: 0.7, 1: 0.2, 3: 0.1}  # share of people who take the digit y for y + 0, 1 or 3: a known truth
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
TOLD = {
    "small": "a linear model of four grey values",
    "wide": "a wide perceptron",
    "false": "the latter with held-out labels shuffled",
    "shares": "a linear model of people's shares",
    "most": "a linear model of what most people choose",
    "shuffled": "a linear model of other images' shares",
    "brier": "the Brier score",
    "cross-entropy": "cross-entropy",
}


def comparison(name: str, score: str, larger: str, smaller: str, control: str) -> Check:
    """Of two models that differ in their loss or their labels alone, scored on images held out."""
    equal = score in ("accuracy", "ECE")
    one, other = (" trained on ".join(TOLD[part] for part in arm.split(", ")) for arm in (larger, smaller))
    return Check(
        name,
        f"Held-out {score}: {one} has {'as much as' if equal else 'more than'} {other}.",
        Equal(margin=0.02) if equal else Exceeds(margin=0.0),
        r"\Delta = 0" if equal else r"\Delta > 0",
        control=f"instead of the latter, {TOLD[control.split(', ')[0]]}",
        settings=SETS if name.startswith("training") else SOFT,
        scope=name == "training_accuracy_small",
    )


CHECKS = (
    Check(
        "excess",
        "Beyond the least there is, cross-entropy costs KL(q‖p) and the Brier score (p − q)².",
        Identity(ulps=8),  # two losses weighted by q and 1 − q, less two more
        r"\mathbb{E}_q L(p) - \mathbb{E}_q L(q)",
        control="the other of the two scores",
        settings=SCORES,
        exact=True,
    ),
    Check(
        "excess_sampled",
        "The same by Monte Carlo, from labels drawn with probability q.",
        Equal(margin=0.02),
        r"\overline{L(p) - L(q)}",
        control="the other of the two scores",
        settings=SCORES,
    ),
    Check(
        "proper",
        "Minimised over the logit, either expected score puts p at q.",
        Identity(ulps=4),
        r"\arg\min_p \mathbb{E}_q L(p) = q",
        control="absolute error",
        settings=SCORES,
        exact=True,
    ),
    Check(
        "proper_training",
        "Trained on labels drawn with probability q, a model comes to predict q.",
        Equal(margin=MARGIN),
        r"p = q",
        control="absolute error",
        settings=tuple(f"{score}, {at}" for score in SCORES for at in AT),
    ),
    Check(
        "proper_focal",
        "So does a model trained with Keras' focal loss.",
        Equal(margin=MARGIN),
        r"p = q",
        control="absolute error",
        settings=AT,
        scope=True,
    ),
    Check(
        "focal_minimiser",
        "What it comes to predict is the minimiser of the expected focal loss, found numerically.",
        Equal(margin=MARGIN),
        r"\arg\min_p \; -q\,(1 - p)^2 \ln p - (1 - q)\,p^2 \ln(1 - p)",
        control="absolute error",
        settings=AT,
    ),
    Check(
        "absolute_minimiser",
        "Trained on absolute error, a model comes to predict the likelier label, 0 or 1.",
        Equal(margin=MARGIN),
        r"\arg\min_p \; q\,(1 - p) + (1 - q)\,p = [q > 1/2]",
        control="cross-entropy",
        settings=AT,
    ),
    Check(
        "severity",
        "KL is at least twice (p − q)² (Pinsker).",
        Exceeds(margin=2.0),
        r"\frac{\mathrm{KL}(q \,\|\, p)}{(p - q)^2} \ge 2",
        control="the Brier score's own excess over (p − q)²",
        exact=True,
    ),
    Check(
        "severity_unbounded",
        "At q = ½ the ratio grows by at least 1 with every power of ten by which p falls.",
        Trend(step=1.0),
        r"\frac{\mathrm{KL}(q \,\|\, p)}{(p - q)^2} \to \infty",
        control="the Brier score's own excess over (p − q)²",
        exact=True,
    ),
    Check(
        "gradient",
        "Through a sigmoid the Brier score's gradient at a confident error vanishes as 2(p − y) p (1 − p).",
        Identity(ulps=8),  # relative to its own size
        r"\frac{dL}{dz} \Big/ \bigl(2\,(p - y)\,p\,(1 - p)\bigr) = 1",
        control="cross-entropy",
        exact=True,
    ),
    *(comparison(name, *told) for name, told in COMPARED.items()),
)


# --- theory -----------------------------------------------------------------------------------------


def kl(q: float, p: float) -> float:
    return q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))


def kl_by_integration(q: float, p: float) -> float:
    """∫ (t − q) / (t (1 − t)) dt from q to p: the expected loss' slope in p."""
    return float(mpmath.quad(lambda t: (t - q) / (t * (1 - t)), [q, p]))


def squared(q: float, p: float) -> float:
    return (p - q) ** 2


def squared_by_expectation(q: float, p: float) -> float:
    return q * ((1 - p) ** 2 - (1 - q) ** 2) + (1 - q) * (p**2 - q**2)


THEORIES = (
    Theory("kl", kl, kl_by_integration, [(0.5, 0.1), (0.2, 0.6), (0.9, 0.95)]),
    Theory("squared", squared, squared_by_expectation, [(0.5, 0.1), (0.2, 0.6), (0.9, 0.95)]),
)


# --- experiments ------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    seeds = tuple(range(SEEDS[scale]))
    by_set = lambda name: tuple(range(IMAGE_SEEDS[scale] * (1 + (name == "digits"))))  # noqa: E731
    return [
        Unit("brier_vs_kl", "measure_excess"),
        Unit("brier_vs_kl", "measure_minimisers"),
        Unit("brier_vs_kl", "draw_excess", {}, seeds),
        Unit("brier_vs_kl", "train_to_known", {}, seeds, cost=4),
        *units_by_set("brier_vs_kl", "train_contest", SETS, by_set, cost=8),
        *units_by_set("brier_vs_kl", "train_on_people", SOFT, by_set, cost=5),
    ]


def measure_excess(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Excesses on a grid; their ratio, and its growth; gradients at confident errors."""
    q, z = (each.ravel() for each in np.meshgrid(TRUE, LOGITS))
    parts = [
        rows.both_arms(
            "value",
            expected.excess(score, q, z),
            expected.excess(other, q, z),
            check="excess",
            setting=score,
            reference=expected.law(score, q, z),
            resolution=np.finfo("float64").eps * np.maximum(1, expected.expected(score, q, z)),
        )
        for score, other in (SCORES, SCORES[::-1])
    ]
    return pd.concat([*parts, severity_rows(q, z), gradient_rows()])


def severity_rows(q: np.ndarray, z: np.ndarray) -> pd.DataFrame:
    far = np.abs(1 / (1 + np.exp(-z)) - q) > 0.01  # nearer, both excesses are too small for their digits
    small, half = -np.log(10.0**DECADES - 1), np.full(len(DECADES), 0.5)
    ratio = lambda score, q, z: expected.excess(score, q, z) / expected.law("brier", q, z)  # noqa: E731
    least = rows.both_arms("value", *(ratio(s, q[far], z[far]).min() for s in SCORES), check="severity")
    along = (ratio(score, half, small) for score in SCORES)
    shared = {"check": "severity_unbounded", "quantity": "ratio", "x": DECADES}
    return pd.concat([least, rows.both_arms("value", *along, **shared)])


def gradient_rows() -> pd.DataFrame:
    """dL/dz at z, y = 1, over what theory has for the Brier score."""
    p, rest = 1 / (1 + np.exp(-HARD)), 1 / (1 + np.exp(HARD))
    y = np.ones((len(HARD), 1))
    slopes = [autodiff.logit_gradient(expected.LOSSES[score], y, HARD[:, None])[:, 0] for score in SCORES]
    shared = {"check": "gradient", "reference": 1.0, "resolution": np.finfo("float64").eps}
    return rows.both_arms("value", *(slope / (-2 * p * rest**2) for slope in slopes[::-1]), **shared)


def measure_minimisers(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Where each expected loss is least, by SciPy, over a grid of q."""
    q = np.linspace(0.05, 0.95, 19)
    q = q[~np.isclose(q, 0.5)]  # where absolute error is as large everywhere
    found = {name: [expected.minimiser(name, each) for each in q] for name in expected.LOSSES}
    parts = [rows.tidy(quantity=f"minimiser, {name}", x=q, value=p) for name, p in found.items()]
    shared = {"check": "proper", "reference": q, "resolution": SEARCHED}
    for score in SCORES:
        parts.append(rows.both_arms("value", found[score], found["absolute"], setting=score, **shared))
    return pd.concat(parts)


def draw_excess(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Mean of L(p) − L(q) over drawn labels; evaluation noise is the standard error of that mean."""
    q, p = SAMPLED
    at_p, at_q = (np.log(each / (1 - each)) for each in (p, q))
    drawn = np.array([np.random.default_rng(seed).binomial(DRAWS, q) / DRAWS for seed in seeds])
    one, other = (expected.excess(score, drawn, at_p, at_q) for score in SCORES)
    shared = {"check": "excess_sampled", "seed": seeds}
    first = rows.both_arms("value", one, other, setting=SCORES[0], reference=kl(q, p), **shared)
    second = rows.both_arms("value", other, one, setting=SCORES[1], reference=squared(q, p), **shared)
    return pd.concat([first, second])


def train_to_known(seeds: tuple[int, ...]) -> pd.DataFrame:
    """A model of one bias, trained on labels drawn with probability q: each seed at each q."""
    q = np.tile(KNOWN, len(seeds))  # [R]
    by_seed = [np.random.default_rng(seed).random((len(KNOWN), N)) for seed in seeds]
    y = (np.concatenate(by_seed) < q[:, None]).astype("float32")[..., None]  # [R, N, 1]
    arms = {name: (loss, y) for name, loss in expected.LOSSES.items()}
    x, build = np.zeros_like(y), models.perceptron(1, [], 1)
    logits = replicates.compare(build, range(len(y)), arms, x, x[:, :1], 0.2, epochs=STEPS, batch_size=N)
    found = {name: 1 / (1 + np.exp(-z[:, 0, 0].astype("float64"))) for name, z in logits.items()}
    numeric = np.tile([expected.minimiser("focal", each) for each in KNOWN], len(seeds))
    at = [f"q = {each:g}" for each in q]
    checks = [("proper_training", [f"{score}, {each}" for each in at], score, q) for score in SCORES]
    checks += [("proper_focal", at, "focal", q), ("focal_minimiser", at, "focal", numeric)]
    checks += [("absolute_minimiser", at, "absolute", (q > 0.5) * 1.0)]
    parts = []
    for check, setting, name, reference in checks:
        sides = found[name], found["cross-entropy" if name == "absolute" else "absolute"]
        shared = {"seed": np.repeat(seeds, len(KNOWN)), "x": q, "reference": reference}
        parts.append(rows.both_arms("value", *sides, check=check, setting=setting, **shared))
    return pd.concat(parts)


def train_contest(seeds: tuple[int, ...], name: str) -> pd.DataFrame:
    """Both models trained by either loss, and their scores on images held out."""
    parts = []
    for model in ("small", "wide"):
        split = images(name, model, seeds)
        logits = trained_logits(model, seeds, split, {model: scores.one_hot(split.y, 10)})
        false = np.random.default_rng(0).permuted(split.y_test, axis=1)
        found = {arm: scores.held_out(z, split.y_test) for arm, z in logits.items()}
        wrong = {arm.replace(model, "false"): scores.held_out(z, false) for arm, z in logits.items()}
        parts.append(rows.compared(found, COMPARED, wrong, setting=name, seed=seeds))
    return pd.concat(parts)


def train_on_people(seeds: tuple[int, ...], name: str) -> pd.DataFrame:
    """A linear model trained on people's shares, on what most choose, and on the shares of other images."""
    split = images(name, "people", seeds)
    shuffled = [np.random.default_rng(seed).permutation(q) for seed, q in zip(seeds, split.y, strict=True)]
    labels = {"shares": split.y, "most": scores.one_hot(split.y.argmax(-1), 10), "shuffled": shuffled}
    logits = trained_logits("people", seeds, split, labels)
    found = {arm: scores.from_people(z, split.y_test) for arm, z in logits.items()}
    return rows.compared(found, COMPARED, setting=name, seed=seeds)


def images(name: str, model: str, seeds: tuple[int, ...]) -> data.Splits:
    """Each seed's images, averaged to the model's grid, with classes, or with people's shares of them."""
    given = data.load(name)
    y = np.concatenate([given.y_train, given.y_test])
    if model == "people" and y.ndim == 1:
        y = np.sum([share * scores.one_hot((y + step) % 10, 10) for step, share in LIKE.items()], axis=0)
    both = (data.averaged(x, given.shape, MODELS[model][0]) for x in (given.x_train, given.x_test))
    x = np.concatenate(list(both))
    return data.random_splits(x, y, seeds, *IMAGES.get(name, MANY))


def trained_logits(model: str, seeds: tuple[int, ...], split: data.Splits, labels: dict) -> dict:
    """Held-out logits [S, N, K] for each kind of label and each loss, all from the same start."""
    _, hidden, rate, epochs = MODELS[model]
    functions = dict(zip(SCORES, (losses.categorical_crossentropy, losses.categorical_brier), strict=True))
    arms = {f"{kind}, {loss}": (functions[loss], y) for loss in SCORES for kind, y in labels.items()}
    build = models.perceptron(split.x.shape[-1], hidden, 10)
    return replicates.compare(build, seeds, arms, split.x, split.x_test, rate, epochs)


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Held-out scores of what was trained on real images, mean and SD over seeds."""
    wide = told(rows).pivot_table("value", ["setting", "what", "score"], "loss", ["mean", "std"], sort=False)
    columns = [(kind, loss) for loss in SCORES for kind in ("mean", "std")]
    wide = wide[columns].set_axis([f"{loss}, {kind}" for kind, loss in columns], axis=1)
    return wide.rename_axis(["Images", "Model or labels", "Held-out score"]).reset_index()


def told(frame: pd.DataFrame) -> pd.DataFrame:
    return rows.scored(frame, "what", "loss")


def figure(rows: pd.DataFrame):
    """The ratio of the excesses, four losses' minimisers, real images, and people's shares."""
    canvas, axes = figures.panels(2, 2)
    for panel, ax in zip((draw_ratio, draw_minimisers, draw_contest, draw_people), axes, strict=True):
        panel(ax, rows)
    return canvas


def draw_ratio(ax, rows: pd.DataFrame) -> None:
    for arm, label in (("claim", "cross-entropy"), ("control", "Brier score")):
        part = rows[(rows["quantity"] == "ratio") & (rows["arm"] == arm)]
        ax.plot(10.0 ** -part["x"], part["value"], "o-", label=label)
    p = np.geomspace(1e-12, 0.1, 50)
    figures.theory_line(ax, p, [kl(0.5, each) / (each - 0.5) ** 2 for each in p], "theory")
    figures.theory_line(ax, p, 2.0, "Pinsker's bound", linestyle=":")
    ax.set(title="Excess over (p − q)², q = ½", xlabel="prediction p", ylabel="ratio", xscale="log")
    ax.legend()


def draw_minimisers(ax, rows: pd.DataFrame) -> None:
    figures.theory_line(ax, [0, 1], [0, 1], "p = q: proper")
    for name, marker, size in zip((*SCORES, "focal", "absolute"), "osD^", (9, 4, 4, 4), strict=True):
        part = rows[rows["quantity"] == f"minimiser, {name}"]
        ax.plot(part["x"], part["value"], marker, label=name, markersize=size)
    ax.set(title="Where each loss is least", xlabel="true probability q", ylabel="prediction p")
    ax.legend(fontsize=8)


def draw_contest(ax, rows: pd.DataFrame) -> None:
    """By how much training on the Brier score instead of cross-entropy raises either held-out score."""
    shown = told(rows).query("score in ['NLL', 'Brier score']")
    wide = shown.pivot_table("value", ["score", "what", "setting", "seed"], "loss", sort=False)
    figures.intervals(ax, 100 * (wide["brier"] / wide["cross-entropy"] - 1))
    ax.axvline(0, color="0.6", linewidth=1, zorder=0)
    ax.set(title="Trained on Brier, not cross-entropy", xlabel="change of the held-out score (%)")


def draw_people(ax, rows: pd.DataFrame) -> None:
    shown = told(rows).query("score == '(p − q)²' and what != 'shuffled'")
    figures.intervals(ax, shown.set_index(["loss", "what", "setting", "seed"])["value"])
    ax.set(title="People's shares, or what most say", xlabel="held-out Σ(p − q)² from shares", xlim=(0, None))

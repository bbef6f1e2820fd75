"""Two proper scores: cross-entropy's excess is the Kullback-Leibler divergence, the Brier score's (p − q)².

Expect: the identities hold; both scores are minimised at p = q, focal loss and absolute error elsewhere;
cross-entropy punishes confident errors without bound, and the Brier score, through a sigmoid, hardly at all.
On real images a model too small for them does best at the score that it was trained on; one that is wide
enough does better trained on cross-entropy. Costs forty seconds at the standard scale.
"""

from __future__ import annotations

import math
from functools import partial

import mpmath
import numpy as np

from suite.claims import Check, Claim, Theory, Unit, units_by_set
from suite.criteria import Equal, Exceeds, Identity, Trend
from suite.lazy import (
    autodiff,
    data,
    expected,
    figures,
    keras,
    losses,
    models,
    paths,
    pd,
    replicates,
    rows,
    scores,
    splits,
)

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
SAMPLED = (0.6, 0.2)  # q and p of the Monte Carlo
DRAWS = 50_000
DECADES = np.arange(1, 13)  # p = 10^−1 … 10^−12
HARD = -np.array([5, 10, 20, 40, 80.0])  # logits of confident errors, y = 1
SEARCHED = float(np.sqrt(np.finfo("float64").eps))  # how near a search by values alone comes to a minimum
GAMMA = 2.0  # of the focal loss
KNOWN = (0.1, 0.3, 0.8)  # q of the labels that a model is trained on
N, STEPS = 1000, 300
MARGIN = 0.02  # of a probability; the labels of one seed miss q by 0.015
AT = tuple(f"q = {q:g}" for q in KNOWN)
SETS, SOFT = ("digits", "mnist", "fashion_mnist"), ("digits", "fashion_mnist_h")
IMAGES = {"digits": (1297, 500), "fashion_mnist_h": (4000, 2000)}  # trained on and held out, anew each seed
MANY = (6000, 4000)  # of the other sets
IMAGE_SEEDS = {"smoke": 8, "standard": 16, "full": 64}  # three times as many where images are few
MODELS = {  # the grid that an image is averaged to, hidden layers, Adam's first rate, epochs
    "linear": (2, (), 0.05, 20),  # four grey values: misspecified
    "perceptron": (8, (64,), 0.005, 15),  # wide enough
    "soft": (8, (), 0.02, 20),
}
LIKE = {0: 0.7, 1: 0.2, 3: 0.1}  # share of people who take the digit y for y + 0, 1 or 3: a known truth
COMPARED = {  # check: a held-out score, what is to have more of it, what less (or as much), the control's
    "training": ("NLL", "linear, brier", "linear, cross-entropy", "false labels"),
    "training_brier": ("Brier score", "linear, cross-entropy", "linear, brier", "false labels"),
    "training_accuracy_linear": ("accuracy", "linear, brier", "linear, cross-entropy", "false labels"),
    "training_wide": ("NLL", "perceptron, brier", "perceptron, cross-entropy", "false labels"),
    "training_accuracy": ("accuracy", "perceptron, brier", "perceptron, cross-entropy", "false labels"),
    "training_calibration": ("ECE", "perceptron, brier", "perceptron, cross-entropy", "false labels"),
    "soft_labels": ("squared distance", "majority, cross-entropy", "shares, cross-entropy", "shuffled"),
    "soft_labels_brier": ("squared distance", "majority, brier", "shares, brier", "shuffled"),
    "soft_labels_own": ("KL", "shares, brier", "shares, cross-entropy", "majority"),
    "soft_labels_own_brier": ("squared distance", "shares, cross-entropy", "shares, brier", "majority"),
}
NAMES = {
    "linear": "a linear model of four grey values",
    "perceptron": "a wide perceptron",
    "shares": "a linear model of people's shares",
    "majority": "a linear model of their majority",
    "shuffled": "a linear model of other images' shares",
    "false labels": "held-out labels shuffled among the images",
}


def comparison(name: str, score: str, more: str, less: str, control: str) -> Check:
    """Of two models that differ in their loss or their labels alone, scored on images held out."""
    equal = score in ("accuracy", "ECE")
    one, other = (f"{NAMES[model]} by {loss}" for model, loss in (arm.split(", ") for arm in (less, more)))
    return Check(
        name,
        f"Held-out {score}: {'the same' if equal else 'less'} for {one} {'as' if equal else 'than'} for {other}.",
        Equal(margin=0.02) if equal else Exceeds(margin=0.0),
        r"\Delta = 0" if equal else r"\Delta > 0",
        control=f"{NAMES[control]}, for the former",
        settings=SETS if name.startswith("training") else SOFT,
        scope=name == "training_accuracy_linear",
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
    score = lambda r: q * (1 - r) ** 2 + (1 - q) * r**2  # noqa: E731
    return score(p) - score(q)


THEORIES = (
    Theory("kl", kl, kl_by_integration, [(0.5, 0.1), (0.2, 0.6), (0.9, 0.95)]),
    Theory("squared", squared, squared_by_expectation, [(0.5, 0.1), (0.2, 0.6), (0.9, 0.95)]),
)


# --- experiments ------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    seeds = tuple(range(SEEDS[scale]))
    by_set = lambda name: tuple(range(IMAGE_SEEDS[scale] * (3 if name == "digits" else 1)))  # noqa: E731
    return [
        Unit("brier_vs_kl", "measure_excess"),
        Unit("brier_vs_kl", "measure_minimisers"),
        Unit("brier_vs_kl", "draw_excess", {}, seeds),
        Unit("brier_vs_kl", "train_to_known", {}, seeds, cost=8),
        *units_by_set("brier_vs_kl", "train_contest", SETS, by_set, cost=8),
        *units_by_set("brier_vs_kl", "train_soft", SOFT, by_set, cost=5),
    ]


def loss_of(name: str):
    """A loss on logits [N, 1] that gives a value per example; Keras' focal loss is taken unweighted."""
    return {
        "cross-entropy": losses.binary_crossentropy,
        "brier": losses.brier,
        "absolute": lambda y, z: keras.ops.mean(keras.ops.abs(keras.ops.sigmoid(z) - y), axis=-1),
        "focal": partial(keras.losses.binary_focal_crossentropy, gamma=GAMMA, from_logits=True),
    }[name]


def excess(name: str, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    return expected.excess(loss_of(name), q, z)


def law(name: str, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """KL(q‖σ(z)), or (σ(z) − q)², at 50 digits, rounded to float64."""
    p = lambda mp, z: 1 / (1 + mp.exp(-z))  # noqa: E731
    forms = {
        "brier": lambda mp, z, q: (p(mp, z) - q) ** 2,
        "cross-entropy": lambda mp, z, q: q * mp.log(q / p(mp, z)) + (1 - q) * mp.log((1 - q) / p(mp, -z)),
    }
    return paths.at_50_digits(forms[name], z, q)


def measure_excess(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Excesses on a grid; their ratio, and its growth; gradients at confident errors."""
    q, z = (each.ravel() for each in np.meshgrid(TRUE, LOGITS))
    parts = [
        rows.both_arms(
            {"value": excess(score, q, z)},
            {"value": excess(other, q, z)},
            check="excess",
            setting=score,
            x=1 / (1 + np.exp(-z)),
            quantity=[f"q = {each:g}" for each in q],
            reference=law(score, q, z),
            resolution=np.finfo("float64").eps * np.maximum(1, expected.expected(loss_of(score), q, z)),
        )
        for score, other in (SCORES, SCORES[::-1])
    ]
    return pd.concat([*parts, severity_rows(q, z), gradient_rows()])


def severity_rows(q: np.ndarray, z: np.ndarray) -> pd.DataFrame:
    far = np.abs(1 / (1 + np.exp(-z)) - q) > 0.01  # nearer, both excesses are too small for their digits
    small, half = -np.log(10.0**DECADES - 1), np.full(len(DECADES), 0.5)
    parts = []
    for arm, score in (("claim", "cross-entropy"), ("control", "brier")):
        ratio = excess(score, q[far], z[far]) / law("brier", q[far], z[far])
        along = excess(score, half, small) / law("brier", half, small)
        parts += [
            rows.tidy(check="severity", arm=arm, value=ratio.min()),
            rows.tidy(check="severity_unbounded", arm=arm, quantity="ratio", x=DECADES, value=along),
        ]
    return pd.concat(parts)


def gradient_rows() -> pd.DataFrame:
    """dL/dz at z, y = 1, over what theory has for the Brier score."""
    small = np.exp(HARD) / (1 + np.exp(HARD))
    theory = -2 * small / (1 + np.exp(HARD)) ** 2
    parts = []
    for arm, score in (("claim", "brier"), ("control", "cross-entropy")):
        slope = autodiff.logit_gradient(loss_of(score), np.ones((len(HARD), 1)), HARD[:, None])[:, 0]
        eps = np.finfo("float64").eps
        parts += [
            rows.tidy(check="gradient", arm=arm, value=slope / theory, reference=1.0, resolution=eps),
            rows.tidy(quantity=f"slope, {score}", x=HARD, value=np.abs(slope)),
        ]
    return pd.concat(parts)


def measure_minimisers(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Where each expected loss is least, by SciPy, over a grid of q."""
    q = np.linspace(0.05, 0.95, 19)
    q = q[~np.isclose(q, 0.5)]  # where absolute error is as large everywhere
    names = (*SCORES, "focal", "absolute")
    found = {name: np.array([expected.minimiser(loss_of(name), each) for each in q]) for name in names}
    parts = [rows.tidy(quantity=f"minimiser, {name}", x=q, value=p) for name, p in found.items()]
    shared = {"check": "proper", "reference": q, "resolution": SEARCHED}
    parts += [
        rows.both_arms({"value": found[score]}, {"value": found["absolute"]}, setting=score, **shared)
        for score in SCORES
    ]
    return pd.concat(parts)


def draw_excess(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Mean of L(p) − L(q) over drawn labels; evaluation noise is the standard error of that mean."""
    q, p = SAMPLED
    z = np.log([p, q]) - np.log1p([-p, -q])
    drawn = np.array([np.random.default_rng(seed).binomial(DRAWS, q) / DRAWS for seed in seeds])
    cost = {}
    for score in SCORES:
        worse, best = (expected.expected(loss_of(score), drawn, np.full(len(drawn), each)) for each in z)
        cost[score] = {"value": worse - best}
    return pd.concat(
        rows.both_arms(
            cost[score], cost[other], check="excess_sampled", setting=score, seed=seeds, reference=truth(q, p)
        )
        for score, other, truth in ((*SCORES, kl), (*SCORES[::-1], squared))
    )


def train_to_known(seeds: tuple[int, ...]) -> pd.DataFrame:
    """A model of one bias, trained on labels drawn with probability q: each seed at each q."""
    q = np.tile(KNOWN, len(seeds))  # [R]
    by_seed = [np.random.default_rng(seed).random((len(KNOWN), N)) for seed in seeds]
    y = (np.concatenate(by_seed) < q[:, None]).astype("float32")[..., None]  # [R, N, 1]
    found = {name: {"value": trained(name, y)} for name in (*SCORES, "focal", "absolute")}
    numeric = np.tile([expected.minimiser(loss_of("focal"), each) for each in KNOWN], len(seeds))
    at = [f"q = {each:g}" for each in q]
    arms = [("proper_training", [f"{score}, {each}" for each in at], score, q) for score in SCORES]
    arms += [("proper_focal", at, "focal", q), ("focal_minimiser", at, "focal", numeric)]
    shared = {"seed": np.repeat(seeds, len(KNOWN)), "x": q}
    parts = [
        rows.both_arms(
            found[name], found["absolute"], check=check, setting=setting, reference=reference, **shared
        )
        for check, setting, name, reference in arms
    ]
    shared |= {"check": "absolute_minimiser", "setting": at, "reference": (q > 0.5).astype(float)}
    return pd.concat([*parts, rows.both_arms(found["absolute"], found["cross-entropy"], **shared)])


def trained(name: str, y: np.ndarray) -> np.ndarray:
    """What a bias predicts after full-batch Adam at a falling rate on labels [R, N, 1]: [R]."""
    replicas = replicates.Replicates(models.perceptron(1, [], 1), range(len(y)))
    replicas.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.2, STEPS)), loss_of(name))
    replicas.fit(np.zeros((*y.shape[:2], 1), "float32"), y, batch_size=N, epochs=STEPS)
    return 1 / (1 + np.exp(-replicas.predict(np.zeros((1, 1), "float32"))[:, 0, 0].astype("float64")))


def train_contest(seeds: tuple[int, ...], name: str) -> pd.DataFrame:
    """Both models trained on either loss, and their scores on images held out."""
    parts = []
    for model in ("linear", "perceptron"):
        split = images(name, model, seeds)
        logits = trained_logits(model, seeds, split, {model: scores.one_hot(split.y, 10)})
        false = np.random.default_rng(0).permuted(split.y_test, axis=1)
        found = {arm: scores.held_out(z, split.y_test) for arm, z in logits.items()}
        found |= {arm.replace(model, "false labels"): scores.held_out(z, false) for arm, z in logits.items()}
        parts.append(compared(found, setting=name, seed=seeds))
    return pd.concat(parts)


def train_soft(seeds: tuple[int, ...], name: str) -> pd.DataFrame:
    """A linear model trained on people's shares, on their majority, and on the shares of other images."""
    split = images(name, "soft", seeds)
    shuffled = [np.random.default_rng(seed).permutation(q) for seed, q in zip(seeds, split.y, strict=True)]
    labels = {"shares": split.y, "majority": scores.one_hot(split.y.argmax(-1), 10), "shuffled": shuffled}
    logits = trained_logits("soft", seeds, split, labels)
    found = {arm: scores.from_people(z, split.y_test) for arm, z in logits.items()}
    return compared(found, setting=name, seed=seeds)


def images(name: str, model: str, seeds: tuple[int, ...]):
    """Each seed's images, averaged to the model's grid, with classes, or people's shares for `soft`."""
    given = data.load(name)
    x, y = (np.concatenate(both) for both in ((given.x_train, given.x_test), (given.y_train, given.y_test)))
    if model == "soft" and y.ndim == 1:
        y = sum(share * scores.one_hot((y + step) % 10, 10) for step, share in LIKE.items())
    x = splits.averaged(x, given.shape, MODELS[model][0])
    return splits.random_splits(x, y, seeds, *IMAGES.get(name, MANY))


def trained_logits(model: str, seeds: tuple[int, ...], split, labels: dict) -> dict[str, np.ndarray]:
    """Held-out logits [S, N, K] for each kind of label and each loss, all from the same start."""
    _, hidden, rate, epochs = MODELS[model]
    functions = dict(zip(SCORES, (losses.categorical_crossentropy, losses.categorical_brier), strict=True))
    arms = {f"{kind}, {loss}": (functions[loss], y) for loss in SCORES for kind, y in labels.items()}
    build = models.perceptron(split.x.shape[-1], hidden, 10)
    return replicates.compare(build, seeds, arms, split.x, split.x_test, rate, epochs)


def compared(found: dict[str, dict[str, np.ndarray]], **shared) -> pd.DataFrame:
    """Every arm's scores, and the checks that compare these arms."""
    parts = [
        rows.tidy(quantity=f"{arm}: {score}", value=value, **shared)
        for arm, each in found.items()
        for score, value in each.items()
    ]
    for check, (score, more, less, control) in COMPARED.items():
        if more in found:
            sides = (less, f"{control}, {less.split(', ')[1]}")
            claim, instead = ({"reference": found[arm][score]} for arm in sides)
            parts.append(rows.both_arms(claim, instead, check=check, value=found[more][score], **shared))
    return pd.concat(parts)


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Held-out scores of what was trained on real images, mean and SD over seeds."""
    by = ["setting", "what", "score"]
    wide = scored(rows).pivot_table("value", by, "loss", ["mean", "std"], sort=False)
    columns = [(kind, loss) for loss in SCORES for kind in ("mean", "std")]
    wide = wide[columns].set_axis([f"{loss}, {kind}" for kind, loss in columns], axis=1)
    return wide.rename_axis(["Images", "Model or labels", "Held-out score"]).reset_index()


def scored(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that hold an arm's score: `what` was trained, on which `loss`, and the `score`'s name."""
    told = rows[rows["quantity"].str.contains(": ") & ~rows["quantity"].str.startswith("false")]
    return told.assign(**told["quantity"].str.extract("(?P<what>.*), (?P<loss>.*): (?P<score>.*)"))


def figure(rows: pd.DataFrame):
    """Excesses, their ratio, minimisers, gradients at confident errors; real images, people's shares."""
    canvas, axes = figures.panels(3, 2)
    drawn = (draw_costs, draw_ratio, draw_minimisers, draw_slopes, draw_contest, draw_people)
    for panel, ax in zip(drawn, axes, strict=True):
        panel(ax, rows)
    return canvas


def draw_costs(ax, rows: pd.DataFrame) -> None:
    p = np.linspace(0.001, 0.999, 300)
    figures.theory_line(ax, p, [kl(0.5, each) for each in p], "KL and (p − q)²")
    figures.theory_line(ax, p, (p - 0.5) ** 2, "")
    for score, marker in zip(SCORES, "os", strict=True):
        part = rows[(rows["check"] == "excess") & (rows["arm"] == "claim") & (rows["setting"] == score)]
        part = part[(part["quantity"] == "q = 0.5") & part["x"].between(0.001, 0.999)]
        ax.plot(part["x"], part["value"], marker, label=score)
    ax.set(title="Excess over the best, q = ½", xlabel="prediction p", ylabel="excess loss")
    ax.legend()


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
    for name, marker in zip((*SCORES, "focal", "absolute"), "osD^", strict=True):
        part = rows[rows["quantity"] == f"minimiser, {name}"]
        ring = {"markersize": 8, "fillstyle": "none"} if name == "cross-entropy" else {}
        ax.plot(part["x"], part["value"], marker, label=name, alpha=0.8, **ring)
    ax.set(title="Where the expected loss is least", xlabel="true probability q", ylabel="prediction p")
    ax.legend(fontsize=8)


def draw_slopes(ax, rows: pd.DataFrame) -> None:
    z = np.linspace(-80, 0, 100)
    p = 1 / (1 + np.exp(-z))
    figures.theory_line(ax, z, 1 - p, "theory")
    figures.theory_line(ax, z, 2 * (1 - p) ** 2 * p, "")
    for score, marker in zip(SCORES, "os", strict=True):
        part = rows[rows["quantity"] == f"slope, {score}"]
        ax.plot(part["x"], part["value"], marker, label=score)
    ax.set(title="Gradient of a confident error, y = 1", xlabel="logit z", ylabel="|dL/dz|", yscale="log")
    ax.legend()


def draw_contest(ax, rows: pd.DataFrame) -> None:
    """By how much training on the Brier score instead of cross-entropy raises either held-out score."""
    told = scored(rows)
    told = told[told["score"].isin(["NLL", "Brier score"])]
    wide = told.pivot_table("value", ["score", "what", "setting", "seed"], "loss", sort=False)
    raised = 100 * (wide["brier"] / wide["cross-entropy"] - 1)
    figures.intervals(ax, {score: each.droplevel(0) for score, each in raised.groupby(level=0, sort=False)})
    ax.axvline(0, color="0.6", linewidth=1, zorder=0)
    ax.set(title="Trained on Brier, not cross-entropy", xlabel="change of the held-out score (%)")


def draw_people(ax, rows: pd.DataFrame) -> None:
    told = scored(rows)
    told = told[(told["score"] == "squared distance") & (told["what"] != "shuffled")]
    by = told.set_index(["what", "setting", "seed"]).groupby("loss", sort=False)["value"]
    figures.intervals(ax, dict(iter(by)))
    ax.set(title="Trained on people's shares", xlabel="held-out Σ(p − q)² from them", xlim=(0, None))

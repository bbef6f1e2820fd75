"""Two proper scores: cross-entropy's excess is the Kullback-Leibler divergence, the Brier score's (p − q)².

Expect: the identities hold; both scores are minimised at p = q, focal loss and absolute error elsewhere;
cross-entropy punishes confident errors without bound, and the Brier score, through a sigmoid, hardly at all.
Costs ten seconds.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np

from suite.claims import Check, Claim, Theory, Unit
from suite.criteria import Equal, Exceeds, Identity, Trend
from suite.lazy import autodiff, figures, keras, losses, models, optimize, pd, replicates, rows

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
    return [
        Unit("brier_vs_kl", "measure_excess"),
        Unit("brier_vs_kl", "measure_minimisers"),
        Unit("brier_vs_kl", "draw_excess", {}, seeds),
        Unit("brier_vs_kl", "train_to_known", {}, seeds, cost=8),
    ]


def loss_of(name: str):
    """A loss on logits [N, 1] that gives a value per example."""
    own = {"cross-entropy": losses.binary_crossentropy, "brier": losses.brier, "absolute": absolute}
    return own.get(name, focal)


def absolute(y, z):
    """|p − y|."""
    return keras.ops.mean(keras.ops.abs(keras.ops.sigmoid(z) - y), axis=-1)


def focal(y, z):
    """Keras' focal loss from logits, unweighted."""
    return keras.losses.binary_focal_crossentropy(y, z, gamma=GAMMA, from_logits=True)


def expected(name: str, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """q L(1, z) + (1 − q) L(0, z) in float64, for q and z [N]."""
    column = keras.ops.convert_to_tensor(z[:, None], dtype="float64")
    one, zero = (
        autodiff.numbers(loss_of(name)(y[:, None], column)) for y in (np.ones_like(z), np.zeros_like(z))
    )
    return q * one + (1 - q) * zero


def excess(name: str, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    return expected(name, q, z) - expected(name, q, np.log(q) - np.log1p(-q))


def law(name: str, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """KL(q‖σ(z)), or (σ(z) − q)², at 50 digits, rounded to float64."""
    with mpmath.workdps(50):
        return np.array(
            [float(law_at(name, mpmath.mpf(a), mpmath.mpf(b))) for a, b in zip(q, z, strict=True)]
        )


def law_at(name: str, q: mpmath.mpf, z: mpmath.mpf) -> mpmath.mpf:
    p, rest = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
    return (p - q) ** 2 if name == "brier" else q * mpmath.log(q / p) + (1 - q) * mpmath.log((1 - q) / rest)


def measure_excess(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Excesses on a grid; their ratio, and its growth; gradients at confident errors."""
    q, z = (each.ravel() for each in np.meshgrid(TRUE, LOGITS))
    parts = [
        rows.tidy(
            check="excess",
            arm=arm,
            setting=score,
            x=1 / (1 + np.exp(-z)),
            quantity=[f"q = {each:g}" for each in q],
            value=excess(score if arm == "claim" else other, q, z),
            reference=law(score, q, z),
            resolution=np.finfo("float64").eps * np.maximum(1, expected(score, q, z)),
        )
        for score, other in (SCORES, SCORES[::-1])
        for arm in ("claim", "control")
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
    found = {name: np.array([minimiser(name, each) for each in q]) for name in (*SCORES, "focal", "absolute")}
    parts = [rows.tidy(quantity=f"minimiser, {name}", x=q, value=p) for name, p in found.items()]
    for score in SCORES:
        shared = {"check": "proper", "setting": score, "reference": q, "resolution": SEARCHED}
        parts.append(rows.tidy(value=found[score], **shared))
        parts.append(rows.tidy(arm="control", value=found["absolute"], **shared))
    return pd.concat(parts)


def minimiser(name: str, q: float) -> float:
    """argmin_p of the expected loss, searched over logits within ±30."""
    objective = lambda z: expected(name, np.array([q]), np.array([z]))[0]  # noqa: E731
    best = optimize.minimize_scalar(objective, bounds=(-30, 30), method="bounded", options={"xatol": 1e-8})
    return float(1 / (1 + np.exp(-best.x)))


def draw_excess(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Mean of L(p) − L(q) over drawn labels; evaluation noise is the standard error of that mean."""
    q, p = SAMPLED
    z = np.log([p, q]) - np.log1p([-p, -q])
    drawn = np.array([np.random.default_rng(seed).binomial(DRAWS, q) / DRAWS for seed in seeds])
    cost = {}
    for score in SCORES:
        worse, best = (expected(score, drawn, np.full(len(drawn), each)) for each in z)
        cost[score] = worse - best
    theory = {"cross-entropy": kl(q, p), "brier": squared(q, p)}
    return pd.concat(
        rows.tidy(
            check="excess_sampled",
            arm=arm,
            setting=score,
            seed=seeds,
            value=cost[score if arm == "claim" else other],
            reference=theory[score],
        )
        for score, other in (SCORES, SCORES[::-1])
        for arm in ("claim", "control")
    )


def train_to_known(seeds: tuple[int, ...]) -> pd.DataFrame:
    """A model of one bias, trained on labels drawn with probability q: each seed at each q."""
    q = np.tile(KNOWN, len(seeds))  # [R]
    by_seed = [np.random.default_rng(seed).random((len(KNOWN), N)) for seed in seeds]
    y = (np.concatenate(by_seed) < q[:, None]).astype("float32")[..., None]  # [R, N, 1]
    found = {name: trained(name, y) for name in (*SCORES, "focal", "absolute")}
    numeric = np.tile([minimiser("focal", each) for each in KNOWN], len(seeds))
    at = [f"q = {each:g}" for each in q]
    arms = [("proper_training", [f"{score}, {each}" for each in at], score, q) for score in SCORES]
    arms += [("proper_focal", at, "focal", q), ("focal_minimiser", at, "focal", numeric)]
    parts = []
    for check, setting, name, reference in arms:
        shared = {"check": check, "setting": setting, "seed": np.repeat(seeds, len(KNOWN)), "x": q}
        parts.append(rows.tidy(value=found[name], reference=reference, **shared))
        parts.append(rows.tidy(arm="control", value=found["absolute"], reference=reference, **shared))
    return pd.concat(parts)


def trained(name: str, y: np.ndarray) -> np.ndarray:
    """What a bias predicts after full-batch Adam at a falling rate on labels [R, N, 1]: [R]."""
    replicas = replicates.Replicates(models.perceptron(1, [], 1), range(len(y)))
    replicas.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.2, STEPS)), loss_of(name))
    replicas.fit(np.zeros((*y.shape[:2], 1), "float32"), y, batch_size=N, epochs=STEPS)
    return 1 / (1 + np.exp(-replicas.predict(np.zeros((1, 1), "float32"))[:, 0, 0].astype("float64")))


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Where each loss puts its prediction, by direct minimisation."""
    told = rows[rows["quantity"].str.startswith("minimiser")]
    wide = told.assign(loss=told["quantity"].str.removeprefix("minimiser, "))
    wide = wide.pivot_table("value", "x", "loss", sort=False).iloc[::3]
    return wide.rename_axis("q", axis=0).rename_axis(None, axis=1).reset_index()


def figure(rows: pd.DataFrame):
    """The two excesses, their ratio, four losses' minimisers, and the gradient at confident errors."""
    canvas, axes = figures.panels(2, 2)
    for panel, ax in zip((draw_costs, draw_ratio, draw_minimisers, draw_slopes), axes, strict=True):
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

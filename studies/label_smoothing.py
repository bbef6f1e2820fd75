"""Label smoothing: a finite optimum, a gradient that is not bounded away from zero, faster late if at all.

Expect: every identity holds; the chapter's sentence that the gradient is bounded away from zero does not, and
that training becomes faster is true of the last accuracy at most. What smoothing does to calibration is asked
in `calibration`. It costs a minute at the standard scale. Run it with `crosscheck run label_smoothing`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    autodiff,
    data,
    figures,
    keras,
    losses,
    models,
    pd,
    replicates,
    rows,
    smoothing,
    special,
    speed,
)

CLAIM = Claim(
    title="Label smoothing keeps the gradient alive",
    statement="Replacing the targets 0 and 1 by ε and 1 − ε keeps the target away from the extremes, and so "
    "keeps the gradient |p − y′| bounded away from zero.",
    formula=r"y' = y\,(1 - \alpha) + \frac{\alpha}{K}, \qquad |p - y'| > 0",
    source="Principles and Mechanisms, The Mechanism of Binary Cross-Entropy; problem 3103375",
    correct="Smoothing moves the gradient's zero from infinity to the finite logit ln((1 − ε)/ε). On "
    "examples saturated beyond it the gradient stays near ε and pulls them back; at it it is zero. It brings "
    "training no sooner to hard labels' early accuracy or their likelihood; to their last accuracy it does.",
)

SMOOTHING = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)  # Keras' α; nobody smooths by more


def measure_identities(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """All in which nothing is random: the next three sections."""
    for section in (optimum_rows, convention_rows, gradient_rows):
        yield from section()


def smoothed_replicates(inputs: int, seeds: tuple[int, ...], alphas: tuple[float, ...], hidden):
    """One replicate a pair (α, seed), α by α: the same seeds start from the same weights."""
    replicas = replicates.Replicates(models.perceptron(inputs, hidden, 10), seeds * len(alphas), paired=True)
    smoothing = np.repeat(np.array(alphas, "float32"), len(seeds))
    loss = losses.sparse_categorical_crossentropy
    replicas.compile(keras.optimizers.Adam(1e-3), loss, loss_arguments={"label_smoothing": smoothing})
    return replicas


# --- optimum: is it at a finite logit? ---

CLASSES = (3, 10)
MANY = 1000

OPTIMUM = Check(
    "optimum",
    "The loss is stationary at the finite logit gap of the theory, for two classes and for K.",
    Identity(ulps=4),
    r"\ln\frac{1 - \varepsilon}{\varepsilon}, \quad \ln\!\left(1 + \frac{K(1 - \alpha)}{\alpha}\right)",
    control="α taken to be the whole probability of the wrong classes: α K/(K − 1) in Keras' words",
    positive="p − y′ in NumPy's extended precision, through the same search",
    settings=("K = 2", *(f"K = {k}" for k in CLASSES)),
    exact=True,
)
OPTIMUM_THOUSAND = Check(
    "optimum_thousand",
    "The same to the same few digits for a thousand classes, whose softmax adds a thousand roundings.",
    Identity(ulps=4),
    r"\ln\!\left(1 + \frac{K(1 - \alpha)}{\alpha}\right)",
    control="α taken to be the whole probability of the wrong classes: α K/(K − 1) in Keras' words",
    positive="p − y′ in NumPy's extended precision, through the same search",
    scope=True,
    exact=True,
)


PAIRS = [(alpha, k) for alpha in SMOOTHING[1:] for k in (*CLASSES, MANY)]
OPTIMUM_LAWS = (
    Theory(
        "binary",
        lambda alpha: smoothing.binary_optimum(alpha),
        lambda alpha: smoothing.minimised(alpha, 2),
        [(alpha,) for alpha in SMOOTHING[1:]],
        1e-6,
    ),
    Theory(
        "categorical",
        lambda alpha, k: smoothing.categorical_optimum(alpha, k),
        lambda alpha, k: smoothing.minimised(alpha, k),
        PAIRS,
        1e-6,
    ),
)


def optimum_rows() -> Iterator[pd.DataFrame]:
    """Where the gradient of our loss vanishes, against the closed form."""
    alphas, eps = np.array(SMOOTHING[1:5]), np.finfo("float64").eps
    for k in (2, *CLASSES, MANY):
        check, setting = (OPTIMUM_THOUSAND, "") if k == MANY else (OPTIMUM, f"K = {k}")
        theory = [
            smoothing.binary_optimum(alpha) if k == 2 else smoothing.categorical_optimum(alpha, k)
            for alpha in alphas
        ]
        gaps = [smoothing.stationary_gap(smoothing.our_slope(alpha, k)) for alpha in alphas]
        mistaken = [smoothing.stationary_gap(smoothing.our_slope(alpha * k / (k - 1), k)) for alpha in alphas]
        plain = [smoothing.stationary_gap(smoothing.plain_slope(alpha, k)) for alpha in alphas]
        p = 1 - alphas + alphas / k  # an error in the gradient moves its root by that over d²L/dg², p(1 − p)
        resolution = eps * (1 / (p * (1 - p)))
        place = {"setting": setting, "x": alphas, "resolution": resolution}
        yield check.rows(gaps, mistaken, theory, positive=plain, **place)


# --- convention: what does Keras mean by its label_smoothing = α? ---

KERAS_CONVENTION = Check(
    "keras_convention",
    "Keras' label_smoothing=α means ε = α/2 for binary and α/K for categorical cross-entropy.",
    Identity(ulps=4),
    r"\nabla_z = p - y(1 - \alpha) - \alpha/K",
    control="α read as ε itself, the whole probability given to the wrong classes",
    positive="this package's losses, in float32 too",
    settings=("binary", "categorical"),
    exact=True,
)


def convention_rows() -> Iterator[pd.DataFrame]:
    """The gradient of Keras' own losses in float32, against p − y(1 − α) − α/K; the control has α for α/K."""
    one = np.linspace(-8, 8, 33, dtype="float32")[:, None]
    several = np.random.default_rng(0).normal(scale=4, size=(33, 5)).astype("float32")
    one_hot = np.eye(5, dtype="float32")[np.arange(33) % 5]
    sigmoid = 1 / (1 + np.exp(-one.astype("float64")))
    softmax = special.softmax(several.astype("float64"), -1)
    binary = keras.losses.BinaryCrossentropy, losses.binary_crossentropy
    categorical = keras.losses.CategoricalCrossentropy, losses.categorical_crossentropy
    for setting, (keras_loss, our_loss), k, z, y, p in (
        ("binary", binary, 2, one, np.ones_like(one), sigmoid),
        ("categorical", categorical, 5, several, one_hot, softmax),
    ):
        for alpha in SMOOTHING:
            loss = keras_loss(from_logits=True, label_smoothing=alpha, reduction=None)
            slope = autodiff.logit_gradient(loss, y, z)
            right = p - y * (1 - alpha) - alpha / k
            wrong = p - y * (1 - alpha) - alpha * (1 - y) / (k - 1)
            place = {"setting": setting, "x": alpha, "resolution": np.finfo("float32").eps}
            own = smoothing.smoothed_gradient(our_loss, alpha, y, z)
            yield KERAS_CONVENTION.rows(claim=slope, positive=own, reference=right, **place)
            yield KERAS_CONVENTION.rows(control=slope, reference=wrong, **place)


# --- gradient: is it bounded away from zero? ---

EPSILON = 0.1
ORDINARY, NARROWER = 5.0, 4.0  # logits up to which hard labels leave 0.0067, and 0.018

SATURATED_GRADIENT = Check(
    "saturated_gradient",
    "At a saturated, correct example the gradient stays at ε.",
    Identity(ulps=4),
    r"|p - y'| \to \varepsilon",
    control="Keras' convention forgotten: label_smoothing = ε, where it is 2ε",
    positive="p − y′ in NumPy's extended precision",
    exact=True,
)
BOUNDED_EVERYWHERE = Check(
    "bounded_everywhere",
    f"As the chapter has it: whatever the logit, from −{ORDINARY:g} to {ORDINARY:g} at least, |p − y′| stays "
    "away from zero (by a tenth of ε = 0.1).",
    Exceeds(margin=EPSILON / 10),
    r"\inf_z |p - y'| > 0",
    control="hard labels",
    positive=f"hard labels, and logits of at most {NARROWER:g}",
    exact=True,
)


def gradient_rows() -> Iterator[pd.DataFrame]:
    """Of a positive example: where p is 1 in float64, the least |p − y′| of all logits, and its curve."""
    saturated, eps = np.array([40.0, 100.0, 1000.0]), np.finfo("float64").eps
    smooth, mistaken = (positive_gradient(alpha, saturated) for alpha in (2 * EPSILON, EPSILON))
    wide = np.longdouble
    plain = (1 / (1 + np.exp(-wide(saturated))) - (1 - wide(EPSILON))).astype("float64")
    place = {"x": saturated, "resolution": eps}
    yield SATURATED_GRADIENT.rows(smooth, mistaken, EPSILON, positive=plain, **place)
    least = lambda alpha, most: np.abs(positive_gradient(alpha, logits_up_to(most))).min()
    smoothed, hard, narrower = least(2 * EPSILON, ORDINARY), least(0.0, ORDINARY), least(0.0, NARROWER)
    yield BOUNDED_EVERYWHERE.rows(smoothed, hard, positive=narrower)
    z = np.linspace(-10, 10, 161)
    for arm, alpha in (("claim", 2 * EPSILON), ("control", 0.0)):
        yield rows.tidy(quantity="gradient", arm=arm, x=z, value=positive_gradient(alpha, z))


def logits_up_to(most: float) -> np.ndarray:
    """An even grid, and where the smoothed optimum lies."""
    return np.concatenate([np.linspace(-most, most, 321), [smoothing.binary_optimum(2 * EPSILON)]])


def positive_gradient(alpha: float, z: np.ndarray) -> np.ndarray:
    """p − y′ of a positive example by autodiff, at logits [N]: [N]."""
    column, ones = z[:, None], np.ones((len(z), 1))
    return smoothing.smoothed_gradient(losses.binary_crossentropy, alpha, ones, column)[:, 0]


def draw_gradient(ax, rows: pd.DataFrame) -> None:
    slopes = rows[rows["quantity"] == "gradient"].sort_values("x")
    for arm, label in (("control", "hard labels"), ("claim", "smoothed, ε = 0.1")):
        part = slopes[slopes["arm"] == arm]
        ax.plot(part["x"], part["value"].abs(), label=label)
    figures.theory_line(ax, [-10, 10], EPSILON, "ε")
    ax.axvline(smoothing.binary_optimum(2 * EPSILON), color="0.6", linewidth=1, zorder=0)
    ax.set(title="Gradient of a positive example", xlabel="logit z", ylabel="|p − y′|")
    ax.set(yscale="log", ylim=(1e-4, 2))


# --- logits: do they settle in training? ---

SETTLED = (0.1, 0.2)  # α of the long training
SEEDS = {"smoke": 6, "standard": 16, "full": 128}
LONG_EXAMPLES = {"smoke": 512, "standard": 1297, "full": 1297}  # whole batches, or all digits
LONG = 300  # epochs: until the smoothed optimum is reached to within a few per cent

LOGITS = Check(
    "logits",
    "After long training on the digits the mean logit gap settles at the theory's (nats).",
    Equal(margin=0.2),
    r"\ln\!\left(1 + \frac{K(1 - \alpha)}{\alpha}\right)",
    control="training at the other α, held against the same theory",
    positive="logits that are free: each class a weight vector of its own, learned from one-hot inputs",
    population="these data sets",
    settings=tuple(f"α = {a:g}" for a in SETTLED),
)
LOGITS_HARD = Check(
    "logits_hard",
    "With hard labels the same gap still grows by at least 0.5 over the second half of the training.",
    Exceeds(margin=0.5),
    r"z_y - \bar z_{k \ne y}",
    control="the same with α = 0.1",
    positive="free logits with hard labels",
    population="these data sets",
)


def train_long(seeds: tuple[int, ...], examples: int) -> Iterator[pd.DataFrame]:
    """The mean logit gap on the training digits, hard and smoothed, along `LONG` epochs."""
    alphas, digits = (0.0, *SETTLED), data.load("digits")
    gaps = logit_gaps(seeds, alphas, digits.x_train[:examples], digits.y_train[:examples])
    one_hot = np.tile(np.eye(10, dtype="float32"), (128, 1))
    free = logit_gaps(seeds, alphas, one_hot, np.arange(len(one_hot)) % 10, ())
    last, middle, free_last, free_middle = (at[e] for at in (gaps, free) for e in (LONG, LONG // 2))
    yield LOGITS_HARD.rows(claim=last[0], reference=middle[0], seed=seeds)
    yield LOGITS_HARD.rows(control=last[1], reference=middle[1], seed=seeds)
    yield LOGITS_HARD.rows(positive=free_last[0], reference=free_middle[0], seed=seeds)
    smooth = last[1:]
    for alpha, own, other, alone in zip(SETTLED, smooth, smooth[::-1], free_last[1:], strict=True):
        place = {"setting": f"α = {alpha:g}", "seed": seeds}
        yield LOGITS.rows(own, other, smoothing.categorical_optimum(alpha, 10), positive=alone, **place)
    settings = np.array([f"α = {alpha:g}" for alpha in alphas])[:, None]
    for epoch, gap in gaps.items():
        yield rows.tidy(quantity="gap", setting=settings, x=epoch, seed=seeds, value=gap)


def logit_gaps(
    seeds: tuple[int, ...], alphas: tuple[float, ...], x: np.ndarray, y: np.ndarray, hidden=(64,)
) -> dict[int, np.ndarray]:
    """By epoch, how far the true class's logit lies above the mean of the others: [alphas, S]."""
    true = np.eye(10, dtype=bool)[y]
    replicas = smoothed_replicates(x.shape[1], seeds, alphas, hidden)
    gaps = {}
    for epoch in range(0, LONG + 1, LONG // 20):
        if epoch:
            replicas.fit(x, y, batch_size=64, epochs=LONG // 20)
        logits = replicas.predict(x).astype("float64")  # [R, N, K]
        others = np.where(true, 0, logits).sum(-1) / 9
        gaps[epoch] = (logits[:, true] - others).mean(1).reshape(len(alphas), len(seeds))
    return gaps


def draw_gaps(ax, rows: pd.DataFrame) -> None:
    for alpha in (0.0, *SETTLED):
        part = rows[(rows["quantity"] == "gap") & (rows["setting"] == f"α = {alpha:g}")]
        figures.curve(ax, part, f"α = {alpha:g}" if alpha else "hard labels")
        if alpha:
            gap, label = smoothing.categorical_optimum(alpha, 10), "theory" if alpha == SETTLED[0] else ""
            figures.theory_line(ax, [0, LONG], gap, label)
    ax.set(title="Long training on the digits", xlabel="epoch", ylabel="mean logit gap", ylim=(0, None))


# --- speed: is a held-out accuracy or likelihood reached sooner? ---

SPEED_SEEDS = {"smoke": 12, "standard": 192, "full": 192}
SPEED_CONTROLS = 64  # seeds at most of the arms of other rates, which differ by far more
SPEED_ALPHA = 0.1
SPEED_ARMS = ("hard labels", "α = 0.1", "½ the rate", "3 × the rate")

SPEED = Check(
    "speed",
    f"Smoothing by α = {SPEED_ALPHA:g} speeds training up: a network on the digits takes a fifth fewer "
    "epochs to the held-out accuracy, and likelihood, that hard labels have come to in epoch 40, saturated.",
    Exceeds(margin=float(np.log(1.25))),
    r"\ln \frac{T_{\text{hard}}}{T_{\text{smoothed}}} \ge \ln 1.25",
    control="hard labels and half the learning rate",
    positive="hard labels and three times the learning rate",
    population="these data sets",
    settings=("accuracy", "likelihood"),
)
SPEED_LATE = Check(
    "speed_late",
    "So does it to the accuracy that hard labels come to at the end, in epoch 100.",
    Exceeds(margin=float(np.log(1.25))),
    r"\ln \frac{T_{\text{hard}}}{T_{\text{smoothed}}} \ge \ln 1.25",
    control="hard labels and half the learning rate",
    positive="hard labels and three times the learning rate",
    population="these data sets",
)


def train_speed(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Epochs to what hard labels come to, on the same weights and batches."""
    smoothed, few = speed.Arm(smoothing=SPEED_ALPHA), seeds[:SPEED_CONTROLS]
    arms = {speed.PLAIN: seeds, smoothed: seeds, speed.SLOW: few, speed.FAST: few}
    course = speed.followed(arms)
    for measure, sooner in speed.sooner_than_plain(course).items():
        check, setting = (SPEED, measure) if measure in SPEED.settings else (SPEED_LATE, "")
        yield check.rows(claim=sooner[smoothed], setting=setting, seed=seeds)
        yield check.rows(control=sooner[speed.SLOW], positive=sooner[speed.FAST], setting=setting, seed=few)
    yield rows.tidy(quantity="residual", seed=seeds, value=course.residual[speed.PLAIN])
    x = np.arange(1, speed.EPOCHS + 1)
    for quantity, curves in zip(speed.MEASURES, (course.accuracy, course.loss), strict=True):
        for name, arm in zip(SPEED_ARMS, arms, strict=True):
            yield rows.tidy(quantity=quantity, path=name, x=x, value=curves[arm].mean(-1))


def draw_speed(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["quantity"] == "accuracy"]
    for name in SPEED_ARMS:
        curve = part[part["path"] == name].sort_values("x")
        ax.plot(curve["x"], 1 - curve["value"], label=name)
    ax.set(title="Errors on test digits", xlabel="epoch", ylabel="share wrong", yscale="log", xscale="log")


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (
    OPTIMUM,
    OPTIMUM_THOUSAND,
    KERAS_CONVENTION,
    SATURATED_GRADIENT,
    BOUNDED_EVERYWHERE,
    LOGITS,
    LOGITS_HARD,
    SPEED,
    SPEED_LATE,
)
THEORIES = OPTIMUM_LAWS


def units(scale: str) -> list[Unit]:
    examples = LONG_EXAMPLES[scale]
    return [
        unit(measure_identities, cost=4),
        unit(train_long, range(SEEDS[scale]), data=("digits",), cost=20, examples=examples),
        unit(train_speed, range(SPEED_SEEDS[scale]), data=("digits",), cost=10),
    ]


SHOWN = {
    LOGITS.id: "logit gap after training (nats)",
    SPEED.id: "epochs of hard labels / of α = 0.1",
    SPEED_LATE.id: "the same, to the last accuracy",
}


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The gaps at which logits settle, and how much faster training is than with hard labels: medians."""
    claims = rows[(rows["arm"] == "claim") & rows["check"].isin(SHOWN)]
    shown = claims.groupby(["check", "setting"], sort=False)[["reference", "value"]].median().reset_index()
    times = shown["check"] != LOGITS.id
    shown["value"] = shown["value"].where(~times, np.exp(shown["value"]))
    shown["reference"] = shown["reference"].where(~times, 1.25)
    shown["check"] = shown["check"].map(SHOWN)
    return shown.set_axis(["Median over seeds of", "Setting", "Theory, or asked for", "Measured"], axis=1)


def figure(rows: pd.DataFrame):
    """The gradient's zero, the settled logits, and how soon errors fall."""
    canvas, axes = figures.panels(3)
    for draw, ax in zip((draw_gradient, draw_gaps, draw_speed), axes, strict=True):
        draw(ax, rows)
        ax.legend(fontsize=8)
    return canvas

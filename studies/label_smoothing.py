"""Label smoothing: a finite optimum, a gradient that is not bounded away from zero, and calibration.

Expect: every identity holds; the chapter's sentence that the gradient is bounded away from zero does not. It
costs a minute at the standard scale on two cores. Run it with `crosscheck run label_smoothing`.
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
    metrics,
    models,
    optimize,
    pd,
    replicates,
    rows,
    special,
)

CLAIM = Claim(
    title="Label smoothing keeps the gradient alive",
    statement="Replacing the targets 0 and 1 by ε and 1 − ε keeps the target away from the extremes, and so "
    "keeps the gradient |p − y′| bounded away from zero.",
    formula=r"y' = y\,(1 - \alpha) + \frac{\alpha}{K}, \qquad |p - y'| > 0",
    source="Principles and Mechanisms, The Mechanism of Binary Cross-Entropy; problem 3103375",
    correct="Smoothing moves the gradient's zero from infinity to the finite logit ln((1 − ε)/ε). On "
    "examples saturated beyond it the gradient stays near ε and pulls them back; at it it is zero.",
)

SEEDS = {"smoke": 12, "standard": 16, "full": 128}
SMOOTHING = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)  # Keras' α; nobody smooths by more


def measure_identities(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """All in which nothing is random: the next three sections."""
    for section in (optimum_rows, convention_rows, gradient_rows):
        yield from section()


def smoothed_gradient(loss, alpha: float, y_true: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """∂L/∂z of a loss of ours with labels smoothed by α, in float64."""
    smoothed = lambda y, z: loss(y, z, label_smoothing=alpha)
    return autodiff.logit_gradient(smoothed, y_true, logits)


def smoothed_replicates(inputs: int, seeds: tuple[int, ...], alphas: tuple[float, ...]):
    """One replicate a pair (α, seed), α by α: the same seeds start from the same weights."""
    replicas = replicates.Replicates(models.perceptron(inputs, [64], 10), seeds * len(alphas), paired=True)
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
    control="the loss at twice the α, held against the same theory",
    settings=("K = 2", *(f"K = {k}" for k in CLASSES)),
    exact=True,
)
OPTIMUM_THOUSAND = Check(
    "optimum_thousand",
    "The same to the same few digits for a thousand classes, whose softmax adds a thousand roundings.",
    Identity(ulps=4),
    r"\ln\!\left(1 + \frac{K(1 - \alpha)}{\alpha}\right)",
    control="the loss at twice the α, held against the same theory",
    scope=True,
    exact=True,
)


def binary_optimum(alpha: float) -> float:
    """The logit at which binary cross-entropy with Keras' α is least: ln((1 − ε)/ε), ε = α/2."""
    return float(np.log((1 - alpha / 2) / (alpha / 2)))


def categorical_optimum(alpha: float, k: int) -> float:
    """The gap between the true class's logit and every other at the optimum: ln(1 + K(1 − α)/α)."""
    return float(np.log1p(k * (1 - alpha) / alpha))


def minimised(alpha: float, k: int) -> float:
    """The same gap by direct minimisation of the loss at logits (g, 0, …, 0)."""
    true, other = 1 - alpha + alpha / k, alpha / k
    rest = lambda g: np.log1p((k - 1) * np.exp(-g))  # −ln of the true class's probability
    loss = lambda g: true * rest(g) + (k - 1) * other * (g + rest(g))
    return float(optimize.minimize_scalar(loss, bracket=(0, 10), tol=1e-12).x)


PAIRS = [(alpha, k) for alpha in SMOOTHING[1:] for k in (*CLASSES, MANY)]
OPTIMUM_LAWS = (
    Theory("binary", binary_optimum, lambda a: minimised(a, 2), [(a,) for a in SMOOTHING[1:]], 1e-6),
    Theory("categorical", categorical_optimum, minimised, PAIRS, 1e-6),
)


def optimum_rows() -> Iterator[pd.DataFrame]:
    """Where the gradient of our loss vanishes, against the closed form; the control solves at twice the α."""
    alphas, eps = np.array(SMOOTHING[1:5]), np.finfo("float64").eps
    for k in (2, *CLASSES, MANY):
        check, setting = (OPTIMUM_THOUSAND, "") if k == MANY else (OPTIMUM, f"K = {k}")
        theory = [binary_optimum(alpha) if k == 2 else categorical_optimum(alpha, k) for alpha in alphas]
        gaps, doubled = ([stationary_gap(times * alpha, k) for alpha in alphas] for times in (1, 2))
        p = 1 - alphas + alphas / k  # an error in the gradient moves its root by that over d²L/dg², p(1 − p)
        resolution = eps * (1 / (p * (1 - p)))
        yield check.rows(gaps, doubled, theory, setting=setting, x=alphas, resolution=resolution)


def stationary_gap(alpha: float, k: int) -> float:
    """The root of our loss's gradient along logits (g, 0, …, 0), in float64."""
    loss = losses.binary_crossentropy if k == 2 else losses.categorical_crossentropy
    one_hot = np.eye(1, 1 if k == 2 else k)
    slope = lambda g: smoothed_gradient(loss, alpha, one_hot, g * one_hot)[0, 0]
    return optimize.brentq(slope, 0, 30, xtol=1e-15, rtol=1e-15)


# --- convention: what does Keras mean by its label_smoothing = α? ---

KERAS_CONVENTION = Check(
    "keras_convention",
    "Keras' label_smoothing=α means ε = α/2 for binary and α/K for categorical cross-entropy.",
    Identity(ulps=4),
    r"\nabla_z = p - y(1 - \alpha) - \alpha/K",
    control="α read as ε itself, the whole probability given to the wrong classes",
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
    for setting, keras_loss, k, z, y, p in (
        ("binary", keras.losses.BinaryCrossentropy, 2, one, np.ones_like(one), sigmoid),
        ("categorical", keras.losses.CategoricalCrossentropy, 5, several, one_hot, softmax),
    ):
        for alpha in SMOOTHING:
            loss = keras_loss(from_logits=True, label_smoothing=alpha, reduction=None)
            slope = autodiff.logit_gradient(loss, y, z)
            right = p - y * (1 - alpha) - alpha / k
            wrong = p - y * (1 - alpha) - alpha * (1 - y) / (k - 1)
            place = {"setting": setting, "x": alpha, "resolution": np.finfo("float32").eps}
            yield KERAS_CONVENTION.rows(claim=slope, reference=right, **place)
            yield KERAS_CONVENTION.rows(control=slope, reference=wrong, **place)


# --- gradient: is it bounded away from zero? ---

EPSILON = 0.1

SATURATED_GRADIENT = Check(
    "saturated_gradient",
    "At a saturated, correct example the gradient stays at ε.",
    Identity(ulps=4),
    r"|p - y'| \to \varepsilon",
    control="hard labels, whose gradient goes to 0",
    exact=True,
)
BOUNDED_EVERYWHERE = Check(
    "bounded_everywhere",
    "As the chapter has it: whatever the logit, |p − y′| stays away from zero (by a tenth of ε = 0.1).",
    Exceeds(margin=EPSILON / 10),
    r"\inf_z |p - y'| > 0",
    control="hard labels",
    exact=True,
)


def gradient_rows() -> Iterator[pd.DataFrame]:
    """Of a positive example: where p is 1 in float64, the least |p − y′| of all logits, and its curve."""
    saturated, eps = np.array([40.0, 100.0, 1000.0]), np.finfo("float64").eps
    smooth, hard = (positive_gradient(alpha, saturated) for alpha in (2 * EPSILON, 0.0))
    yield SATURATED_GRADIENT.rows(smooth, hard, EPSILON, x=saturated, resolution=eps)
    z = np.concatenate([np.linspace(-40, 40, 321), [-1000, 1000, binary_optimum(2 * EPSILON)]])
    smooth, hard = (positive_gradient(alpha, z) for alpha in (2 * EPSILON, 0.0))
    yield BOUNDED_EVERYWHERE.rows(np.abs(smooth).min(), np.abs(hard).min())
    near = np.abs(z) <= 10
    yield rows.tidy(quantity="gradient", x=z[near], value=smooth[near])
    yield rows.tidy(quantity="gradient", arm="control", x=z[near], value=hard[near])


def positive_gradient(alpha: float, z: np.ndarray) -> np.ndarray:
    """p − y′ of a positive example by autodiff, at logits [N]: [N]."""
    return smoothed_gradient(losses.binary_crossentropy, alpha, np.ones((len(z), 1)), z[:, None])[:, 0]


def draw_gradient(ax, rows: pd.DataFrame) -> None:
    slopes = rows[rows["quantity"] == "gradient"].sort_values("x")
    for arm, label in (("control", "hard labels"), ("claim", "smoothed, ε = 0.1")):
        part = slopes[slopes["arm"] == arm]
        ax.plot(part["x"], part["value"].abs(), label=label)
    figures.theory_line(ax, [-10, 10], EPSILON, "ε")
    ax.axvline(binary_optimum(2 * EPSILON), color="0.6", linewidth=1, zorder=0)
    ax.set(title="Gradient of a positive example", xlabel="logit z", ylabel="|p − y′|")
    ax.set(yscale="log", ylim=(1e-4, 2))


# --- logits: do they settle in training? ---

SETTLED = (0.1, 0.2)  # α of the long training
LONG_SEEDS = {"smoke": 6, "standard": 16, "full": 128}
LONG_EXAMPLES = {"smoke": 512, "standard": 1297, "full": 1297}  # whole batches, or all digits
LONG = 300  # epochs: until the smoothed optimum is reached to within a few per cent

LOGITS = Check(
    "logits",
    "After long training on the digits the mean logit gap settles at the theory's (nats).",
    Equal(margin=0.2),
    r"\ln\!\left(1 + \frac{K(1 - \alpha)}{\alpha}\right)",
    control="training at the other α, held against the same theory",
    settings=tuple(f"α = {a:g}" for a in SETTLED),
)
LOGITS_HARD = Check(
    "logits_hard",
    "With hard labels the same gap still grows by at least 0.5 over the second half of the training.",
    Exceeds(margin=0.5),
    r"z_y - \bar z_{k \ne y}",
    control="the same with α = 0.1",
)


def train_long(seeds: tuple[int, ...], examples: int) -> Iterator[pd.DataFrame]:
    """The mean logit gap on the training digits, hard and smoothed, along `LONG` epochs."""
    alphas = (0.0, *SETTLED)
    gaps = logit_gaps(seeds, alphas, examples)  # {epoch: [alphas, S]}
    last, middle = gaps[LONG], gaps[LONG // 2]
    yield LOGITS_HARD.rows(claim=last[0], reference=middle[0], seed=seeds)
    yield LOGITS_HARD.rows(control=last[1], reference=middle[1], seed=seeds)
    smooth = last[1:]
    for alpha, own, other in zip(SETTLED, smooth, smooth[::-1], strict=True):
        theory = categorical_optimum(alpha, 10)
        yield LOGITS.rows(own, other, theory, setting=f"α = {alpha:g}", seed=seeds)
    settings = np.array([f"α = {alpha:g}" for alpha in alphas])[:, None]
    for epoch, gap in gaps.items():
        yield rows.tidy(quantity="gap", setting=settings, x=epoch, seed=seeds, value=gap)


def logit_gaps(seeds: tuple[int, ...], alphas: tuple[float, ...], examples: int) -> dict[int, np.ndarray]:
    """By epoch, how far the true class's logit lies above the mean of the others: [alphas, S]."""
    digits = data.load("digits")
    x, y = digits.x_train[:examples], digits.y_train[:examples]
    true = np.eye(10, dtype=bool)[y]
    replicas = smoothed_replicates(x.shape[1], seeds, alphas)
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
            gap, label = categorical_optimum(alpha, 10), "theory" if alpha == SETTLED[0] else ""
            figures.theory_line(ax, [0, LONG], gap, label)
    ax.set(title="Long training on the digits", xlabel="epoch", ylabel="mean logit gap", ylim=(0, None))


# --- calibration: which α helps it, and how much is too much? ---

SETS = ("digits", "mnist", "fashion_mnist")
EPOCHS = {"digits": 60, "mnist": 15, "fashion_mnist": 15}
EXAMPLES = {"smoke": 960, "standard": 2_500, "full": 60_000}  # at most, to train on and to evaluate
SIDE = {"smoke": 14, "standard": 14, "full": 28}  # pixels: larger images are averaged, for time
SCORES = ["expected calibration error", "accuracy", "AUROC"]

CALIBRATION = Check(
    "calibration",
    "Some α between 0 and 0.4 lowers the expected calibration error (15 equal-width bins of the top "
    "label) by at least 0.002; α is chosen on one half of the test set, the error is taken on the other.",
    Exceeds(margin=0.002),
    r"\mathrm{ECE}(0) - \mathrm{ECE}(\alpha^*)",
    control="α = 0.4 in place of the chosen one",
    settings=SETS,
)
CALIBRATION_EXCESS = Check(
    "calibration_excess",
    "Too much smoothing, α = 0.4, raises the expected calibration error by at least 0.05.",
    Exceeds(margin=0.05),
    r"\mathrm{ECE}(0.4) - \mathrm{ECE}(0)",
    control="hard labels against hard labels from other seeds",
    settings=SETS,
)


def train_calibration(seeds: tuple[int, ...], name: str, examples: int, side: int) -> Iterator[pd.DataFrame]:
    """Calibration, accuracy and outlier detection against α, on test images not trained on."""
    images = data.load(name, examples)
    x, x_test = (data.averaged(part, images.shape, side) for part in (images.x_train, images.x_test))
    y_test, half = images.y_test, len(images.y_test) // 2
    replicas = smoothed_replicates(x.shape[1], seeds, SMOOTHING)
    replicas.fit(x, images.y_train, batch_size=64, epochs=EPOCHS[name])
    p = special.softmax(replicas.predict(x_test).astype("float64"), -1)  # [R, N, K]
    outliers = special.softmax(replicas.predict(scrambled(x_test)).astype("float64"), -1)
    by_alpha = lambda numbers: np.reshape(numbers, (len(SMOOTHING), len(seeds)))
    first, second, whole = (
        by_alpha(metrics.expected_calibration_error(p[:, part], y_test[part]))
        for part in (slice(half), slice(half, None), slice(None))
    )
    chosen, place = 1 + int(first.mean(1)[1:-1].argmin()), {"setting": name, "seed": seeds}
    yield CALIBRATION.rows(claim=second[0], reference=second[chosen], x=SMOOTHING[chosen], **place)
    yield CALIBRATION.rows(control=second[0], reference=second[-1], **place)
    yield CALIBRATION_EXCESS.rows(whole[-1], np.roll(whole[0], 1), whole[0], **place)
    accuracy = (p.argmax(-1) == y_test).mean(1)
    separated = [auroc(*confidences) for confidences in zip(p.max(-1), outliers.max(-1), strict=True)]
    for score, numbers in zip(SCORES, (whole, accuracy, separated), strict=True):
        yield rows.tidy(quantity=score, x=np.array(SMOOTHING)[:, None], value=by_alpha(numbers), **place)


def scrambled(x: np.ndarray) -> np.ndarray:
    """The same images, the pixels of each in a random order of its own: outliers of the same brightness."""
    return np.random.default_rng(0).permuted(x, axis=1)


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Probability that a test score exceeds an outlier's; in-distribution is the positive class."""
    from sklearn.metrics import roc_auc_score

    truth = np.repeat([1, 0], [len(inside), len(outside)])
    return float(roc_auc_score(truth, np.concatenate([inside, outside])))


def draw_calibration(ax, rows: pd.DataFrame) -> None:
    for name in SETS:
        part = rows[(rows["quantity"] == "expected calibration error") & (rows["setting"] == name)]
        if len(part):
            figures.curve(ax, part, name, marker="o")
    ax.set(title="Calibration on test images", xlabel="Keras' label_smoothing α")
    ax.set(ylabel="ECE", ylim=(0, None))


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (
    OPTIMUM,
    OPTIMUM_THOUSAND,
    KERAS_CONVENTION,
    SATURATED_GRADIENT,
    BOUNDED_EVERYWHERE,
    LOGITS,
    LOGITS_HARD,
    CALIBRATION,
    CALIBRATION_EXCESS,
)
THEORIES = OPTIMUM_LAWS


def units(scale: str) -> list[Unit]:
    seeds, most, side = range(SEEDS[scale]), EXAMPLES[scale], SIDE[scale]
    few = range(LONG_SEEDS[scale])
    return [
        unit(measure_identities, cost=4),
        unit(train_long, few, data=("digits",), cost=20, examples=LONG_EXAMPLES[scale]),
        *(unit(train_calibration, seeds, data=name, cost=20, examples=most, side=side) for name in SETS),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Calibration, accuracy and outlier detection for each data set and α, mean over seeds."""
    shown = rows[rows["quantity"].isin(SCORES)]
    wide = shown.pivot_table("value", ["setting", "x"], "quantity", sort=False)[SCORES].reset_index()
    titles = ["Data set", "α", "ECE (15 bins)", "Accuracy", "AUROC, test against scrambled pixels"]
    return wide.set_axis(titles, axis=1)


def figure(rows: pd.DataFrame):
    """The gradient's zero, the settled logits, and calibration against α."""
    canvas, axes = figures.panels(3)
    for draw, ax in zip((draw_gradient, draw_gaps, draw_calibration), axes, strict=True):
        draw(ax, rows)
        ax.legend(fontsize=8)
    return canvas

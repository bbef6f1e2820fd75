"""Label smoothing: a finite optimum, a gradient that is not bounded away from zero, and calibration.

Expect: every identity holds; the chapter's sentence that the gradient is bounded away from zero does not.
Costs a minute at the standard scale on two cores.
"""

from __future__ import annotations

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, units_by_set
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
SETS = ("digits", "mnist", "fashion_mnist")
SMOOTHING = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)  # Keras' α; nobody smooths by more
CLASSES = (3, 10)
MANY = 1000
EPSILON = 0.1
SETTLED = (0.1, 0.2)  # α of the long training
LONG = 300  # epochs: until the smoothed optimum is reached to within a few per cent
EPOCHS = {"digits": 60, "mnist": 15, "fashion_mnist": 15}
EXAMPLES = {"smoke": 1_000, "standard": 2_500, "full": 60_000}  # at most, to train on and to evaluate
SIDE = {"smoke": 14, "standard": 14, "full": 28}  # pixels: larger images are averaged, for time

CHECKS = (
    Check(
        "optimum",
        "The loss is stationary at the finite logit gap of the theory, for two classes and for K.",
        Identity(ulps=4),
        r"\ln\frac{1 - \varepsilon}{\varepsilon}, \quad \ln\!\left(1 + \frac{K(1 - \alpha)}{\alpha}\right)",
        control="the loss at twice the α, held against the same theory",
        settings=("K = 2", *(f"K = {k}" for k in CLASSES)),
        exact=True,
    ),
    Check(
        "optimum_thousand",
        "The same to the same few digits for a thousand classes, whose softmax adds a thousand roundings.",
        Identity(ulps=4),
        r"\ln\!\left(1 + \frac{K(1 - \alpha)}{\alpha}\right)",
        control="the loss at twice the α, held against the same theory",
        scope=True,
        exact=True,
    ),
    Check(
        "keras_convention",
        "Keras' label_smoothing=α means ε = α/2 for binary and α/K for categorical cross-entropy.",
        Identity(ulps=4),
        r"\nabla_z = p - y(1 - \alpha) - \alpha/K",
        control="α read as ε itself, the whole probability given to the wrong classes",
        settings=("binary", "categorical"),
        exact=True,
    ),
    Check(
        "saturated_gradient",
        "At a saturated, correct example the gradient stays at ε.",
        Identity(ulps=4),
        r"|p - y'| \to \varepsilon",
        control="hard labels, whose gradient goes to 0",
        exact=True,
    ),
    Check(
        "bounded_everywhere",
        "As the chapter has it: whatever the logit, |p − y′| stays away from zero (by a tenth of ε = 0.1).",
        Exceeds(margin=EPSILON / 10),
        r"\inf_z |p - y'| > 0",
        control="hard labels",
        exact=True,
    ),
    Check(
        "logits",
        "After long training on the digits the mean logit gap settles at the theory's (nats).",
        Equal(margin=0.2),
        r"\ln\!\left(1 + \frac{K(1 - \alpha)}{\alpha}\right)",
        control="training at the other α, held against the same theory",
        settings=tuple(f"α = {a:g}" for a in SETTLED),
    ),
    Check(
        "logits_hard",
        "With hard labels the same gap still grows by at least 0.5 over the second half of the training.",
        Exceeds(margin=0.5),
        r"z_y - \bar z_{k \ne y}",
        control="the same with α = 0.1",
    ),
    Check(
        "calibration",
        "Some α between 0 and 0.4 lowers the expected calibration error (15 equal-width bins of the top "
        "label) by at least 0.002; α is chosen on one half of the test set, the error is taken on the other.",
        Exceeds(margin=0.002),
        r"\mathrm{ECE}(0) - \mathrm{ECE}(\alpha^*)",
        control="α = 0.4 in place of the chosen one",
        settings=SETS,
    ),
    Check(
        "calibration_excess",
        "Too much smoothing, α = 0.4, raises the expected calibration error by at least 0.05.",
        Exceeds(margin=0.05),
        r"\mathrm{ECE}(0.4) - \mathrm{ECE}(0)",
        control="hard labels against hard labels from other seeds",
        settings=SETS,
    ),
)


# --- theory -----------------------------------------------------------------------------------------


def binary_optimum(alpha: float) -> float:
    """The logit at which binary cross-entropy with Keras' α is least: ln((1 − ε)/ε), ε = α/2."""
    return float(np.log((1 - alpha / 2) / (alpha / 2)))


def categorical_optimum(alpha: float, k: int) -> float:
    """The gap between the true class's logit and every other at the optimum: ln(1 + K(1 − α)/α)."""
    return float(np.log1p(k * (1 - alpha) / alpha))


def minimised(alpha: float, k: int) -> float:
    """The same gap by direct minimisation of the loss at logits (g, 0, …, 0)."""
    true, other = 1 - alpha + alpha / k, alpha / k

    def loss(g: float) -> float:
        rest = np.log1p((k - 1) * np.exp(-g))  # −ln of the true class's probability
        return true * rest + (k - 1) * other * (g + rest)

    return float(optimize.minimize_scalar(loss, bracket=(0, 10), tol=1e-12).x)


THEORIES = (
    Theory("binary", binary_optimum, lambda a: minimised(a, 2), [(a,) for a in SMOOTHING[1:]], 1e-6),
    Theory(
        "categorical",
        categorical_optimum,
        minimised,
        [(a, k) for a in SMOOTHING[1:] for k in (*CLASSES, MANY)],
        1e-6,
    ),
)


# --- experiments ------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    seeds = tuple(range(SEEDS[scale]))
    size = {"examples": EXAMPLES[scale], "side": SIDE[scale]}
    calibration = units_by_set("label_smoothing", "train_calibration", SETS, lambda _: seeds, cost=20, **size)
    return [
        Unit("label_smoothing", "measure_identities"),
        Unit("label_smoothing", "train_long", {}, seeds, ("digits",), cost=25),
        *calibration,
    ]


def measure_identities(seeds: tuple[int, ...]) -> pd.DataFrame:
    return pd.concat(
        [optimum_rows(), convention_rows(), saturated_rows(), *map(bounded_rows, ("claim", "control"))]
    )


def optimum_rows() -> pd.DataFrame:
    """Where the gradient of our loss vanishes, against the closed form; the control solves at twice the α."""
    parts = []
    for k in (2, *CLASSES, MANY):
        check, setting = ("optimum_thousand", "") if k == MANY else ("optimum", f"K = {k}")
        theory = np.array([optimum(alpha, k) for alpha in SMOOTHING[1:5]])
        for arm, factor in (("claim", 1), ("control", 2)):
            solved = [stationary_gap(factor * alpha, k) for alpha in SMOOTHING[1:5]]
            parts.append(
                rows.tidy(
                    check=check,
                    arm=arm,
                    setting=setting,
                    x=SMOOTHING[1:5],
                    value=solved,
                    reference=theory,
                    resolution=np.finfo("float64").eps
                    * np.array([1 / curvature(a, k) for a in SMOOTHING[1:5]]),
                )
            )
    return pd.concat(parts)


def optimum(alpha: float, k: int) -> float:
    return binary_optimum(alpha) if k == 2 else categorical_optimum(alpha, k)


def curvature(alpha: float, k: int) -> float:
    """d²L/dg² at the optimum, p(1 − p): an error in the gradient moves its root by that over this."""
    p = 1 - alpha + alpha / k
    return p * (1 - p)


def stationary_gap(alpha: float, k: int) -> float:
    """The root of our loss's gradient along logits (g, 0, …, 0), in float64."""
    loss = losses.binary_crossentropy if k == 2 else losses.categorical_crossentropy
    one_hot = np.eye(1, 1 if k == 2 else k)

    def slope(g: float) -> float:
        return smoothed_gradient(loss, alpha, one_hot, g * one_hot)[0, 0]

    return optimize.brentq(slope, 0, 30, xtol=1e-15, rtol=1e-15)


def smoothed_gradient(loss, alpha: float, y_true, logits) -> np.ndarray:
    return autodiff.logit_gradient(
        lambda y, z: loss(y, z, label_smoothing=alpha), np.asarray(y_true, float), np.asarray(logits, float)
    )


def convention_rows() -> pd.DataFrame:
    """The gradient of Keras' own losses in float32, against p − y(1 − α) − α/K; the control has α for α/K."""
    z = np.linspace(-8, 8, 33, dtype="float32")
    binary = (keras.losses.BinaryCrossentropy, z[:, None], np.ones((33, 1), "float32"), "binary", 2)
    several = np.random.default_rng(0).normal(scale=4, size=(33, 5)).astype("float32")
    one_hot = np.eye(5, dtype="float32")[np.arange(33) % 5]
    categorical = (keras.losses.CategoricalCrossentropy, several, one_hot, "categorical", 5)
    parts = []
    for kind, logits, y, setting, k in (binary, categorical):
        for alpha in SMOOTHING:
            loss = kind(from_logits=True, label_smoothing=alpha, reduction=None)
            slope = autodiff.logit_gradient(loss, y, logits)
            p = probabilities(logits.astype("float64"))
            shared = {"setting": setting, "x": alpha, "value": slope, "resolution": np.finfo("float32").eps}
            parts.append(
                rows.tidy(check="keras_convention", reference=p - y * (1 - alpha) - alpha / k, **shared)
            )
            wrong = p - y * (1 - alpha) - alpha * (1 - y) / max(k - 1, 1)
            parts.append(rows.tidy(check="keras_convention", arm="control", reference=wrong, **shared))
    return pd.concat(parts)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Sigmoid of a single logit, softmax of several, along the last axis."""
    if logits.shape[-1] == 1:
        return 1 / (1 + np.exp(-logits))
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def saturated_rows() -> pd.DataFrame:
    """y = 1 at logits so large that p is 1 in float64."""
    z = np.array([[40.0], [100.0], [1000.0]])
    shared = {"check": "saturated_gradient", "x": z[:, 0], "resolution": np.finfo("float64").eps}
    return pd.concat(
        rows.tidy(
            arm=arm,
            value=smoothed_gradient(losses.binary_crossentropy, alpha, np.ones_like(z), z)[:, 0],
            reference=EPSILON,
            **shared,
        )
        for arm, alpha in (("claim", 2 * EPSILON), ("control", 0.0))
    )


def bounded_rows(arm: str) -> pd.DataFrame:
    """The least |p − y′| over all logits, and its curve for the figure."""
    alpha = 2 * EPSILON if arm == "claim" else 0.0
    far = np.concatenate([np.linspace(-40, 40, 321), [-1000, 1000, binary_optimum(2 * EPSILON)]])
    slope = smoothed_gradient(losses.binary_crossentropy, alpha, np.ones((len(far), 1)), far[:, None])[:, 0]
    near = np.abs(far) <= 10
    return pd.concat(
        [
            rows.tidy(check="bounded_everywhere", arm=arm, value=np.abs(slope).min()),
            rows.tidy(quantity="gradient", arm=arm, x=far[near], value=slope[near]),
        ]
    )


def train_long(seeds: tuple[int, ...]) -> pd.DataFrame:
    """The mean logit gap on the training digits, hard and smoothed, along `LONG` epochs."""
    alphas = (0.0, *SETTLED)
    gaps = logit_gaps(seeds, alphas)  # {epoch: [alphas, S]}
    last, half = gaps[LONG], gaps[LONG // 2]
    hard, *smooth = last
    parts = [
        rows.tidy(check="logits_hard", seed=seeds, value=hard, reference=half[0]),
        rows.tidy(check="logits_hard", arm="control", seed=seeds, value=last[1], reference=half[1]),
    ]
    for alpha, own, other in zip(SETTLED, smooth, smooth[::-1], strict=True):
        shared = {"check": "logits", "setting": f"α = {alpha:g}", "seed": seeds}
        theory = categorical_optimum(alpha, 10)
        parts.append(rows.tidy(value=own, reference=theory, **shared))
        parts.append(rows.tidy(arm="control", value=other, reference=theory, **shared))
    for epoch, gap in gaps.items():
        settings = np.array([f"α = {a:g}" for a in alphas])[:, None]
        parts.append(rows.tidy(quantity="gap", setting=settings, x=epoch, seed=seeds, value=gap))
    return pd.concat(parts)


def logit_gaps(seeds: tuple[int, ...], alphas: tuple[float, ...]) -> dict[int, np.ndarray]:
    digits = data.load("digits")
    x, y = digits.x_train, digits.y_train
    replicas = smoothed_replicates(x.shape[1], seeds, alphas)
    true = np.eye(10, dtype=bool)[y]
    gaps = {}
    for epoch in range(0, LONG + 1, LONG // 20):
        if epoch:
            replicas.fit(x, y, batch_size=64, epochs=LONG // 20)
        logits = replicas.predict(x).astype("float64")  # [R, N, K]
        others = np.where(true, 0, logits).sum(-1) / 9
        gaps[epoch] = (logits[:, true] - others).mean(1).reshape(len(alphas), len(seeds))
    return gaps


def smoothed_replicates(inputs: int, seeds: tuple[int, ...], alphas: tuple[float, ...]):
    """One replicate a pair (α, seed), α by α: the same seeds start from the same weights."""
    replicas = replicates.Replicates(models.perceptron(inputs, [64], 10), seeds * len(alphas), paired=True)
    smoothing = np.repeat(np.array(alphas, "float32"), len(seeds))
    loss = losses.sparse_categorical_crossentropy
    replicas.compile(keras.optimizers.Adam(1e-3), loss, loss_arguments={"label_smoothing": smoothing})
    return replicas


def train_calibration(seeds: tuple[int, ...], name: str, examples: int, side: int) -> pd.DataFrame:
    """Calibration, accuracy and outlier detection against α, on test images not trained on."""
    given = data.load(name, examples)
    x, x_test = (data.averaged(each, given.shape, side) for each in (given.x_train, given.x_test))
    y, y_test = given.y_train, given.y_test
    replicas = smoothed_replicates(x.shape[1], seeds, SMOOTHING)
    replicas.fit(x, y, batch_size=64, epochs=EPOCHS[name])
    p = probabilities(replicas.predict(x_test).astype("float64"))  # [R, N, K]
    outliers = probabilities(replicas.predict(scrambled(x_test)).astype("float64"))
    half = len(y_test) // 2
    grid = (len(SMOOTHING), len(seeds))
    choice = metrics.expected_calibration_error(p[:, :half], y_test[:half]).reshape(grid)
    error = metrics.expected_calibration_error(p[:, half:], y_test[half:]).reshape(grid)
    chosen = 1 + int(choice.mean(1)[1:-1].argmin())
    whole = metrics.expected_calibration_error(p, y_test).reshape(grid)
    shared = {"setting": name, "seed": seeds}
    shown = {
        "expected calibration error": whole,
        "accuracy": (p.argmax(-1) == y_test).mean(1),
        "AUROC": np.array([auroc(*pair) for pair in zip(p.max(-1), outliers.max(-1), strict=True)]),
    }
    return pd.concat(
        [
            rows.tidy(
                check="calibration", value=error[0], reference=error[chosen], x=SMOOTHING[chosen], **shared
            ),
            rows.tidy(check="calibration", arm="control", value=error[0], reference=error[-1], **shared),
            rows.tidy(check="calibration_excess", value=whole[-1], reference=whole[0], **shared),
            rows.tidy(
                check="calibration_excess",
                arm="control",
                value=np.roll(whole[0], 1),
                reference=whole[0],
                **shared,
            ),
            *(
                rows.tidy(quantity=quantity, x=np.array(SMOOTHING)[:, None], value=v.reshape(grid), **shared)
                for quantity, v in shown.items()
            ),
        ]
    )


def scrambled(x: np.ndarray) -> np.ndarray:
    """The same images, the pixels of each in a random order of its own: outliers of the same brightness."""
    return np.random.default_rng(0).permuted(x, axis=1)


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Probability that a test score exceeds an outlier's; in-distribution is the positive class."""
    from sklearn.metrics import roc_auc_score

    truth = np.repeat([1, 0], [len(inside), len(outside)])
    return float(roc_auc_score(truth, np.concatenate([inside, outside])))


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Calibration, accuracy and outlier detection for each data set and α, mean over seeds."""
    names = ["expected calibration error", "accuracy", "AUROC"]
    shown = rows[rows["quantity"].isin(names)]
    wide = shown.pivot_table("value", ["setting", "x"], "quantity", sort=False)[names].reset_index()
    titles = ["Data set", "α", "ECE (15 bins)", "Accuracy", "AUROC, test against scrambled pixels"]
    return wide.set_axis(titles, axis=1)


def figure(rows: pd.DataFrame):
    """The gradient's zero, the settled logits, and calibration against α."""
    canvas, (left, middle, right) = figures.panels(3)
    slope = rows[rows["quantity"] == "gradient"].sort_values("x")
    for arm, label in (("control", "hard labels"), ("claim", "smoothed, ε = 0.1")):
        part = slope[slope["arm"] == arm]
        left.plot(part["x"], part["value"].abs(), label=label)
    figures.theory_line(left, [-10, 10], EPSILON, "ε")
    left.axvline(binary_optimum(2 * EPSILON), color="0.6", linewidth=1, zorder=0)
    left.set(
        title="Gradient of a positive example",
        xlabel="logit z",
        ylabel="|p − y′|",
        yscale="log",
        ylim=(1e-4, 2),
    )

    for alpha in (0.0, *SETTLED):
        part = rows[(rows["quantity"] == "gap") & (rows["setting"] == f"α = {alpha:g}")]
        figures.curve(middle, part, f"α = {alpha:g}" if alpha else "hard labels")
        if alpha:
            figures.theory_line(
                middle, [0, LONG], categorical_optimum(alpha, 10), "theory" if alpha == SETTLED[0] else ""
            )
    middle.set(title="Long training on the digits", xlabel="epoch", ylabel="mean logit gap", ylim=(0, None))

    for name in SETS:
        part = rows[(rows["quantity"] == "expected calibration error") & (rows["setting"] == name)]
        if len(part):
            figures.curve(right, part, name, marker="o")
    right.set(
        title="Calibration on test images", xlabel="Keras' label_smoothing α", ylabel="ECE", ylim=(0, None)
    )
    for ax in (left, middle, right):
        ax.legend(fontsize=8)
    return canvas

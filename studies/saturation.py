"""Gradient saturation: dL/dz = p − y, so easy examples fall silent and confident errors do not.

Expect: the identity holds wherever the code keeps the logits; several stock paths lose the gradient of
confidently wrong examples altogether. It costs a minute at the standard scale on two cores, beside the paths
of `execution_paths`. Run it with `crosscheck run saturation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import concentration, data, descent, figures, keras, losses, paths, pd, pointwise, rows
from crosscheck.studies.execution_paths import draw_errors, path_units, wrong_side

CLAIM = Claim(
    title="Cross-entropy's gradient is p − y: it saturates on easy examples and only there",
    statement="The gradient of binary cross-entropy with respect to the logit is p − y. It vanishes on "
    "examples that are classified correctly with confidence, which leaves the model free to learn from the "
    "hard ones; carried to the extreme, this saturation slows training down.",
    formula=r"\frac{d\mathcal{L}_{\mathrm{BCE}}}{dz} = p - y, \qquad p = \sigma(z)",
    source="Principles and Mechanisms, The Mechanism of Binary Cross-Entropy; problems 3103375, 3166266",
    correct="The gradient is p − y where the loss is computed from the logit. Computed from a probability "
    "that has been rounded or clipped, it is 0 exactly where the error is worst.",
)

SEEDS = {"smoke": 8, "standard": 32, "full": 128}
DTYPES = ("float64", "float32")


# --- gradient: is it p − y? ---

LOGITS = np.array([0, 1e-3, 1, 2, 5, 10, 15, 20, 30, 40, 60, 88, 100, 1e3, 1e4])
SOFT_LABELS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)

GRADIENT = Check(
    "gradient",
    "Autodiff gives p − y for |z| up to 10,000 and y from 0 to 1: ours and Keras' on logits.",
    Identity(ulps=4),
    r"p - y",
    control="squared error through the same sigmoid, judged as if it were cross-entropy",
    settings=DTYPES,
    exact=True,
)


def gradient(z: float, y: float) -> float:
    return float(1 / (1 + mpmath.exp(-mpmath.mpf(z))) - y)


def gradient_by_differentiation(z: float, y: float) -> float:
    with mpmath.workdps(50):
        loss = lambda t: y * mpmath.log1p(mpmath.exp(-t)) + (1 - y) * mpmath.log1p(mpmath.exp(t))
        return float(mpmath.diff(loss, z))


GRADIENT_LAW = Theory(
    "gradient", gradient, gradient_by_differentiation, [(-40, 1), (-2, 0), (0, 1), (3, 0.3), (30, 0)]
)


def measure_identity(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """dL/dz on bare logits: of our loss, of Keras' own, and of squared error for the control."""
    z_grid = np.concatenate([-LOGITS[::-1], LOGITS[1:]])
    y, z = (axis.ravel() for axis in np.meshgrid(SOFT_LABELS, z_grid))
    labels, exact = [f"gradient y={label:g}" for label in y], paths.oracle("binary", z, y).gradient
    for dtype in DTYPES:
        keras_own = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype=dtype)
        cross_entropies = [
            pointwise.slopes(loss, z, y, dtype) for loss in (losses.binary_crossentropy, keras_own)
        ]
        squared = pointwise.slopes(losses.brier, z, y, dtype)
        place = {"setting": dtype, "quantity": labels, "x": z, "resolution": np.finfo(dtype).eps}
        yield GRADIENT.rows(cross_entropies, squared, exact, **place)


def draw_gradient(ax, rows: pd.DataFrame) -> None:
    z = np.linspace(-100, 100, 801)
    p = 1 / (1 + np.exp(-z))
    figures.theory_line(ax, z, np.abs(p - 1), "|p − y|")
    ax.plot(z, 2 * (1 - p) ** 2 * p, label="squared error", color=figures.PALETTE[6], linewidth=1.2)
    for path, label in (
        ("graph/float32/logits/logits/ours", "ours, float32"),
        ("graph/mixed_float16/dense/probabilities/keras class", "Keras, float16"),
    ):
        part = rows[(rows["path"] == f"binary/tensorflow/cpu/{path}") & (rows["quantity"] == "gradient y=1")]
        part = part[(part["arm"] == "claim") & (part["x"].abs() <= 100)].sort_values("x")
        ax.plot(part["x"], part["value"].abs(), "o", label=label, zorder=6)
    ax.set(title="Gradient of an example with y = 1", xlabel="logit z", ylabel="|dL/dz|")
    ax.legend(loc="upper right", fontsize=7.5, handlelength=1.2)


# --- paths: is it p − y on every execution path? (measured in `execution_paths`) ---

GRADIENT_PATHS = Check(
    "gradient_paths",
    "The same with Keras' own losses, on every execution path: head, entry, mode, dtype policy.",
    Identity(ulps=4),
    r"p - y",
    control="squared error through the same head, judged as if it were cross-entropy",
    settings=("tensorflow",),
    scope=True,
    exact=True,
)


def draw_paths(ax, rows: pd.DataFrame) -> None:
    draw_errors(ax, wrong_side(rows))
    ax.set(title="Its error on Keras' paths", xlabel="|z| from 0 to 9984 in each")


# --- tails: does it vanish on easy examples, and stay on hard ones? ---

EASY_LOGITS = np.array([1, 2, 5, 10, 20, 40, 60, 80.0])  # e^−80 is still a normal float32
HARD_LOGITS = -np.array([5, 10, 20, 40, 100, 1000.0])

EASY = Check(
    "easy",
    "On easy examples the gradient decays as e^(−|z|), to the last digit of the dtype.",
    Identity(ulps=4),
    r"|p - y| = \frac{1}{1 + e^{|z|}}",
    control="squared error through a sigmoid, whose gradient decays twice as fast",
    settings=DTYPES,
    exact=True,
)
HARD = Check(
    "hard",
    "A confidently wrong example (|z| from 5 to 1000) keeps a gradient of magnitude at least 0.99.",
    Exceeds(margin=0.99),
    r"|p - y| \to 1",
    control="squared error through a sigmoid, 2|p − y| p (1 − p)",
    exact=True,
)


def measure_tails(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The gradient of our loss and of squared error far out on the easy and on the hard side (y = 1)."""
    size = lambda loss, z, dtype: np.abs(pointwise.slopes(loss, z, 1.0, dtype))
    entropy, squared = losses.binary_crossentropy, losses.brier
    exact = np.array([gradient(-z, 0.0) for z in EASY_LOGITS])
    for dtype in DTYPES:
        place = {"setting": dtype, "x": EASY_LOGITS, "resolution": np.finfo(dtype).eps * exact}
        yield EASY.rows(size(entropy, EASY_LOGITS, dtype), size(squared, EASY_LOGITS, dtype), exact, **place)
    yield HARD.rows(size(entropy, HARD_LOGITS, "float32").min(), size(squared, HARD_LOGITS, "float32").min())


# --- focus: does the gradient come to concentrate on few examples? ---

SETS = ("digits", "mnist", "fashion_mnist")
IMAGE_SEEDS = {"smoke": 8, "standard": 8, "full": 64}  # MNIST-sized sets cost more a seed
EXAMPLES = {"smoke": 960, "standard": 5_000, "full": 60_000}  # of a training set, at most
EPOCHS = 15
SHARE, QUIET = "hardest tenth's share", "gradient under 0.001"

FOCUS = Check(
    "focus",
    "In training, the hardest tenth's share of the total gradient norm grows by at least 0.1.",
    Exceeds(margin=0.1),
    r"\frac{\sum_{\text{hardest tenth}} |p - y|}{\sum |p - y|}",
    control="the same training on shuffled labels",
    settings=SETS,
)


def train_focus(seeds: tuple[int, ...], name: str, examples: int) -> Iterator[pd.DataFrame]:
    """Odd class numbers against even ones: the gradient's concentration before and after each epoch."""
    images = data.load(name, examples)
    parity = images.y_train % 2
    shuffled = np.stack([np.random.default_rng(seed).permutation(parity) for seed in seeds])
    for arm, labels in (("claim", parity), ("control", shuffled)):
        share, quiet = concentration.epoch_by_epoch(seeds, images.x_train, labels, EPOCHS)  # [E + 1, R]
        yield FOCUS.rows(**{arm: share[-1]}, reference=share[0], setting=name, seed=seeds)
        shown = {"arm": arm, "setting": name, "x": np.arange(EPOCHS + 1)[:, None], "seed": seeds}
        yield rows.tidy(quantity=SHARE, value=share, **shown)
        yield rows.tidy(quantity=QUIET, value=quiet, **shown)


def draw_focus(ax, rows: pd.DataFrame) -> None:
    shares = rows[rows["quantity"] == SHARE]
    for name in SETS:
        part = shares[shares["setting"] == name]
        if len(part):
            figures.curve(ax, part[part["arm"] == "claim"], name)
            color = ax.lines[-1].get_color()
            figures.curve(ax, part[part["arm"] == "control"], "", color=color, linestyle=":")
    ax.plot([], [], color="0.4", linestyle=":", label="shuffled labels")
    ax.set(title="Hardest tenth's share", xlabel="epoch", ylabel="share of Σ|p − y|", ylim=(0, 1.25))
    ax.legend(loc="upper left", ncols=2, fontsize=8)


# --- recovery: how long does a confidently wrong model need to come back? ---

BIASES = (2.0, 4.0, 6.0)
RATE = 0.004  # small enough for gradient descent to follow its flow; ‖x‖² of a digit is 10 to 20
STEPS, STRIDE = 12_000, 20  # where the search for the crossing ends, and how often it looks

RECOVERY = Check(
    "recovery",
    "From a confidently wrong bias −b, cross-entropy needs a number of steps linear in b until p = ½.",
    Equal(margin=0.05),
    r"\ln T,\quad T = \frac{b + 1 - e^{-b}}{\eta\,(1 + \lVert x\rVert^2)}",
    control="squared error through a sigmoid, judged by the linear law",
    settings=tuple(f"b = {b:g}" for b in BIASES),
)
RECOVERY_SQUARED = Check(
    "recovery_squared",
    "Squared error through a sigmoid needs a number of steps exponential in b.",
    Equal(margin=0.05),
    r"\ln T,\; T = \frac{e^b + 3b + \frac52 - 3e^{-b} - \frac12 e^{-2b}}{2\eta\,(1 + \lVert x\rVert^2)}",
    control="cross-entropy, judged by the exponential law",
    settings=tuple(f"b = {b:g}" for b in BIASES),
)


def recovery_time(b: Any) -> Any:
    """∫ dz / σ(−z) from −b to 0: gradient flow of cross-entropy on one example of class 1."""
    return b + 1 - np.exp(-b)


def squared_recovery_time(b: Any) -> Any:
    """∫ dz / (2 σ(z) σ(−z)²) from −b to 0: the same for squared error through a sigmoid."""
    return (np.exp(b) + 3 * b + 2.5 - 3 * np.exp(-b) - 0.5 * np.exp(-2 * b)) / 2


def flow_time(b: float, power: int) -> float:
    """Time of the flow dz/dt = −dL/dz by quadrature; power 0 is cross-entropy, 1 squared error."""
    speed = lambda z: mpmath.sigmoid(-z) if not power else 2 * mpmath.sigmoid(z) * mpmath.sigmoid(-z) ** 2
    return float(mpmath.quad(lambda z: 1 / speed(z), [-b, 0]))


RECOVERY_LAWS = (
    Theory("recovery", recovery_time, lambda b: flow_time(b, 0), [(b,) for b in BIASES]),
    Theory("recovery_squared", squared_recovery_time, lambda b: flow_time(b, 1), [(b,) for b in BIASES]),
)


def train_recovery(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """One digit of class 1, weights 0, bias −b, plain gradient descent: steps until p = ½."""
    digits = data.load("digits").x_train
    images = np.stack([np.random.default_rng(seed).choice(digits) for seed in seeds])  # [S, D]
    x, b = np.repeat(images, len(BIASES), 0), np.tile(BIASES, len(seeds))  # [R, D], [R]
    speed = RATE * (1 + (x**2).sum(1, dtype="float64"))
    pair = (losses.binary_crossentropy, losses.brier)
    entropy, squared = (np.log(descent.crossing_time(x, b, loss, RATE, STEPS, STRIDE)) for loss in pair)
    place = {"setting": [f"b = {bias:g}" for bias in b], "x": b, "seed": np.repeat(seeds, len(BIASES))}
    yield RECOVERY.rows(entropy, squared, np.log(recovery_time(b) / speed), **place)
    yield RECOVERY_SQUARED.rows(squared, entropy, np.log(squared_recovery_time(b) / speed), **place)


def draw_recovery(ax, rows: pd.DataFrame) -> None:
    for check, label, law in (
        (RECOVERY, "cross-entropy", recovery_time),
        (RECOVERY_SQUARED, "squared error", squared_recovery_time),
    ):
        part = rows[(rows["check"] == check.id) & (rows["arm"] == "claim")]
        scale = np.exp(part["value"] - part["reference"]) * law(part["x"].to_numpy())
        ax.plot(part["x"], scale, "o", alpha=0.6, label=label)
    b = np.linspace(1, 7, 61)
    figures.theory_line(ax, b, recovery_time(b), "gradient flow")
    figures.theory_line(ax, b, squared_recovery_time(b), "")
    ax.set(title="Recovery from a wrong bias −b", xlabel="b", ylabel="steps × η (1 + ‖x‖²)", yscale="log")
    ax.legend()


# --- slowdown: how slowly does training go on once the data are separated? ---

# Descent runs 20,000 steps at rate 1, then as many at rate 100, when the loss is flat enough to bear it. What
# the theory speaks of is time, steps × rate; the slopes are fitted over these spans of it.
PHASES = ((20_000, 1.0), (20_000, 100.0))
EARLY, LATE = (1e3, 2e4), (1e5, 2e6)

SLOWDOWN = Check(
    "slowdown",
    "On separable data the loss falls like 1/t: late in training its slope on logarithmic axes is −1.",
    Equal(margin=0.05),
    r"\frac{d \ln \mathcal{L}}{d \ln t} = -1",
    control="a tenth of the labels flipped: a finite minimum, which the late, large steps overshoot",
)
SLOWDOWN_EARLY = Check(
    "slowdown_early",
    "The slope is −1 already from time 1,000 to 20,000 (steps × learning rate).",
    Equal(margin=0.05),
    r"\frac{d \ln \mathcal{L}}{d \ln t} = -1",
    control="a tenth of the labels flipped: a finite minimum, which the late, large steps overshoot",
    scope=True,
)
SLOWDOWN_NORM = Check(
    "slowdown_norm",
    "Late in training the weights grow like ln t, at the rate of the hard-margin separator's norm.",
    Equal(margin=0.1),
    r"\frac{1}{\lVert\hat w\rVert}\frac{d \lVert w\rVert}{d \ln t} = 1",
    control="the same points with weight decay, which bounds the weights",
)


def train_slowdown(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Gradient descent on 32 points in the plane: separable, not separable, and with weight decay."""
    sets = [data.separable(np.random.default_rng(seed), 32, margin=0.3) for seed in seeds]
    x, y = (np.stack(part) for part in zip(*sets, strict=True))  # [S, 32, 2], [S, 32]
    flips = np.stack([np.random.default_rng(seed).permutation(32) < 3 for seed in seeds])
    separator = np.array([data.separator_norm(*pair) for pair in zip(x, y, strict=True)])
    time, loss, norm = descent.descend(x, y, PHASES)
    _, stuck, _ = descent.descend(x, np.where(flips, 1 - y, y), PHASES)
    _, _, bounded = descent.descend(x, y, PHASES, weight_decay=1e-3)
    growth, bounded = norm / separator, bounded / separator

    slope = lambda series, span: descent.log_slope(time, series, span)
    falls = np.log(loss), np.log(stuck)
    yield SLOWDOWN.rows(slope(falls[0], LATE), slope(falls[1], LATE), -1.0, seed=seeds)
    yield SLOWDOWN_EARLY.rows(slope(falls[0], EARLY), slope(falls[1], EARLY), -1.0, seed=seeds)
    yield SLOWDOWN_NORM.rows(slope(growth, LATE), slope(bounded, LATE), 1.0, seed=seeds)
    looks = np.unique(np.geomspace(1, len(time), 40).astype(int)) - 1
    for quantity, *arms in (("loss", loss, stuck), ("norm", growth, bounded)):
        for arm, series in zip(("claim", "control"), arms, strict=True):
            shown = {"x": time[looks, None], "seed": seeds, "value": series[looks]}
            yield rows.tidy(quantity=quantity, arm=arm, **shown)


def draw_loss(ax, rows: pd.DataFrame) -> None:
    draw_slowdown(ax, rows, "loss", "a tenth flipped", lambda t: 4 / t, "slope −1")
    ax.set(title="Training loss", ylabel="mean loss", yscale="log")


def draw_norm(ax, rows: pd.DataFrame) -> None:
    draw_slowdown(ax, rows, "norm", "weight decay", lambda t: np.log(t) - 1, "slope 1")
    ax.set(title="Weight norm", ylabel="‖w‖ / ‖ŵ‖")


def draw_slowdown(ax, rows: pd.DataFrame, quantity: str, control: str, law, slope: str) -> None:
    for arm, label in (("claim", "separable"), ("control", control)):
        figures.curve(ax, rows[(rows["quantity"] == quantity) & (rows["arm"] == arm)], label)
    t = np.geomspace(*LATE, 10)
    figures.theory_line(ax, t, law(t), slope)
    ax.set(xlabel="time t = steps × rate", xscale="log")
    ax.legend()


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (
    GRADIENT,
    GRADIENT_PATHS,
    EASY,
    HARD,
    FOCUS,
    RECOVERY,
    RECOVERY_SQUARED,
    SLOWDOWN,
    SLOWDOWN_EARLY,
    SLOWDOWN_NORM,
)
THEORIES = (GRADIENT_LAW, *RECOVERY_LAWS)


def units(scale: str) -> list[Unit]:
    seeds, few, size = range(SEEDS[scale]), range(IMAGE_SEEDS[scale]), EXAMPLES[scale]
    seeds_of = {name: seeds if name == "digits" else few for name in SETS}
    return [
        *path_units(scale, ("binary",), ("tensorflow",)),
        unit(measure_identity),
        unit(measure_tails),
        *(unit(train_focus, seeds_of[name], data=name, cost=15, examples=size) for name in SETS),
        unit(train_recovery, seeds, data=("digits",), cost=20),
        unit(train_slowdown, seeds, cost=20),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Where the gradient comes from before and after training: mean over seeds."""
    shown = rows[rows["quantity"].isin((SHARE, QUIET))]
    ends = shown[shown["x"].isin((0, EPOCHS))]
    when = ends["x"].map({0: "before", EPOCHS: "after"})
    wide = ends.assign(column=ends["quantity"] + ", " + when).pivot_table(
        "value", ["setting", "arm"], "column", sort=False
    )
    named = wide.rename(index={"claim": "true", "control": "shuffled"}, level="arm").reset_index()
    return named.rename(columns={"setting": "Data", "arm": "Labels"}).rename_axis(None, axis=1)


def figure(rows: pd.DataFrame):
    """Gradient, paths, focus, recovery, slowdown."""
    canvas, axes = figures.panels(3, 2, width_ratios=(1, 1.25, 1))
    panels = (draw_gradient, draw_paths, draw_focus, draw_recovery, draw_loss, draw_norm)
    for draw, ax in zip(panels, axes, strict=True):
        draw(ax, rows)
    return canvas

"""Gradient saturation: dL/dz = p − y, so easy examples fall silent and confident errors do not.

Expect: the identity holds wherever the code keeps the logits; several stock paths lose the gradient of
confidently wrong examples altogether. Costs a minute at the standard scale on two cores, beside the paths of
`execution_paths`.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

from studies.execution_paths import draw_errors, path_units, wrong_side
from suite.claims import Check, Claim, Theory, Unit, units_by_set
from suite.criteria import Equal, Exceeds, Identity
from suite.lazy import (
    autodiff,
    data,
    figures,
    keras,
    losses,
    metrics,
    models,
    optimize,
    paths,
    pd,
    replicates,
    rows,
)

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
IMAGE_SEEDS = {"smoke": 8, "standard": 8, "full": 64}  # MNIST-sized sets cost more a seed
SETS = ("digits", "mnist", "fashion_mnist")
DTYPES = ("float64", "float32")

LOGITS = np.array([0, 1e-3, 1, 2, 5, 10, 15, 20, 30, 40, 60, 88, 100, 1e3, 1e4])
SOFT_LABELS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)
EASY = np.array([1, 2, 5, 10, 20, 40, 60, 80.0])  # e^−80 is still a normal float32
HARD = np.array([5, 10, 20, 40, 100, 1000.0])
EXAMPLES = {"smoke": 1_000, "standard": 5_000, "full": 60_000}  # of a training set, at most
EPOCHS = 15
BIASES = (2.0, 4.0, 6.0)
RATE = 0.004  # small enough for gradient descent to follow its flow; ‖x‖² of a digit is 10 to 20
STEPS, STRIDE = 12_000, 20  # where the search for the crossing ends, and how often it looks
# Descent runs 20,000 steps at rate 1, then as many at rate 100, when the loss is flat enough to bear it. What
# the theory speaks of is time, steps × rate; the slopes are fitted over these spans of it.
PHASES = ((20_000, 1.0), (20_000, 100.0))
EARLY, LATE = (1e3, 2e4), (1e5, 2e6)

CHECKS = (
    Check(
        "gradient",
        "Autodiff gives p − y for |z| up to 10,000 and y from 0 to 1: ours and Keras' on logits.",
        Identity(ulps=4),
        r"p - y",
        control="squared error through the same sigmoid, judged as if it were cross-entropy",
        settings=DTYPES,
        exact=True,
    ),
    Check(
        "gradient_paths",
        "The same with Keras' own losses, on every execution path: head, entry, mode, dtype policy.",
        Identity(ulps=4),
        r"p - y",
        control="squared error through the same head, judged as if it were cross-entropy",
        settings=("tensorflow",),
        scope=True,
        exact=True,
    ),
    Check(
        "easy",
        "On easy examples the gradient decays as e^(−|z|), to the last digit of the dtype.",
        Identity(ulps=4),
        r"\ln|p - y| = -|z| - \ln(1 + e^{-|z|})",
        control="squared error through a sigmoid, whose gradient decays twice as fast",
        settings=DTYPES,
        exact=True,
    ),
    Check(
        "hard",
        "A confidently wrong example (|z| from 5 to 1000) keeps a gradient of magnitude at least 0.99.",
        Exceeds(margin=0.99),
        r"|p - y| \to 1",
        control="squared error through a sigmoid, 2|p − y| p (1 − p)",
        exact=True,
    ),
    Check(
        "focus",
        "In training, the hardest tenth's share of the total gradient norm grows by at least 0.1.",
        Exceeds(margin=0.1),
        r"\frac{\sum_{\text{hardest tenth}} |p - y|}{\sum |p - y|}",
        control="the same training on shuffled labels",
        settings=SETS,
    ),
    Check(
        "recovery",
        "From a confidently wrong bias −b, cross-entropy needs a number of steps linear in b until p = ½.",
        Equal(margin=0.05),
        r"\ln T,\quad T = \frac{b + 1 - e^{-b}}{\eta\,(1 + \lVert x\rVert^2)}",
        control="squared error through a sigmoid, judged by the linear law",
        settings=tuple(f"b = {b:g}" for b in BIASES),
    ),
    Check(
        "recovery_squared",
        "Squared error through a sigmoid needs a number of steps exponential in b.",
        Equal(margin=0.05),
        r"\ln T,\; T = \frac{e^b + 3b + \frac52 - 3e^{-b} - \frac12 e^{-2b}}{2\eta\,(1 + \lVert x\rVert^2)}",
        control="cross-entropy, judged by the exponential law",
        settings=tuple(f"b = {b:g}" for b in BIASES),
    ),
    Check(
        "slowdown",
        "On separable data the loss falls like 1/t: late in training its slope on logarithmic axes is −1.",
        Equal(margin=0.05),
        r"\frac{d \ln \mathcal{L}}{d \ln t} = -1",
        control="a tenth of the labels flipped: a finite minimum, which the late, large steps overshoot",
    ),
    Check(
        "slowdown_early",
        "The slope is −1 already from time 1,000 to 20,000 (steps × learning rate).",
        Equal(margin=0.05),
        r"\frac{d \ln \mathcal{L}}{d \ln t} = -1",
        control="a tenth of the labels flipped: a finite minimum, which the late, large steps overshoot",
        scope=True,
    ),
    Check(
        "slowdown_norm",
        "Late in training the weights grow like ln t, at the rate of the hard-margin separator's norm.",
        Equal(margin=0.1),
        r"\frac{1}{\lVert\hat w\rVert}\frac{d \lVert w\rVert}{d \ln t} = 1",
        control="the same points with weight decay, which bounds the weights",
    ),
)


# --- theory -----------------------------------------------------------------------------------------


def gradient(z: float, y: float) -> float:
    return float(1 / (1 + mpmath.exp(-mpmath.mpf(z))) - y)


def gradient_by_differentiation(z: float, y: float) -> float:
    with mpmath.workdps(50):
        loss = lambda t: y * mpmath.log1p(mpmath.exp(-t)) + (1 - y) * mpmath.log1p(mpmath.exp(t))  # noqa: E731
        return float(mpmath.diff(loss, z))


def recovery_time(b: Any) -> Any:
    """∫ dz / σ(−z) from −b to 0: gradient flow of cross-entropy on one example of class 1."""
    return b + 1 - np.exp(-b)


def squared_recovery_time(b: Any) -> Any:
    """∫ dz / (2 σ(z) σ(−z)²) from −b to 0: the same for squared error through a sigmoid."""
    return (np.exp(b) + 3 * b + 2.5 - 3 * np.exp(-b) - 0.5 * np.exp(-2 * b)) / 2


def flow_time(b: float, power: int) -> float:
    """Time of the flow dz/dt = −dL/dz by quadrature; power 0 is cross-entropy, 1 squared error."""
    speed = lambda z: mpmath.sigmoid(-z) if not power else 2 * mpmath.sigmoid(z) * mpmath.sigmoid(-z) ** 2  # noqa: E731
    return float(mpmath.quad(lambda z: 1 / speed(z), [-b, 0]))


THEORIES = (
    Theory("gradient", gradient, gradient_by_differentiation, [(-40, 1), (-2, 0), (0, 1), (3, 0.3), (30, 0)]),
    Theory("recovery", recovery_time, lambda b: flow_time(b, 0), [(b,) for b in BIASES]),
    Theory("recovery_squared", squared_recovery_time, lambda b: flow_time(b, 1), [(b,) for b in BIASES]),
)


# --- experiments ------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    seeds, image_seeds = tuple(range(SEEDS[scale])), tuple(range(IMAGE_SEEDS[scale]))
    of = lambda name: seeds if name == "digits" else image_seeds  # noqa: E731
    focus = units_by_set("saturation", "train_focus", SETS, of, cost=15, examples=EXAMPLES[scale])
    return [
        *path_units(scale, ("binary",), ("tensorflow",)),
        Unit("saturation", "measure_identity"),
        Unit("saturation", "measure_tails"),
        *focus,
        Unit("saturation", "train_recovery", {}, seeds, ("digits",), cost=20),
        Unit("saturation", "train_slowdown", {}, seeds, cost=20),
    ]


def measure_identity(seeds: tuple[int, ...]) -> pd.DataFrame:
    """dL/dz on bare logits; squared error is the control."""
    own = keras.losses.BinaryCrossentropy
    z = np.concatenate([-LOGITS[::-1], LOGITS[1:]])
    y, z = (each.ravel() for each in np.meshgrid(SOFT_LABELS, z))
    return pd.concat(
        rows.tidy(
            check="gradient",
            arm=arm,
            setting=dtype,
            quantity=[f"gradient y={label:g}" for label in y],
            x=z,
            value=slopes(loss, z, y, dtype),
            reference=paths.oracle("binary", z, y).gradient,
            resolution=np.finfo(dtype).eps,
        )
        for dtype in DTYPES
        for arm, loss in (
            ("claim", losses.binary_crossentropy),
            ("claim", own(from_logits=True, reduction=None, dtype=dtype)),
            ("control", losses.brier),
        )
    )


def slopes(loss, z: np.ndarray, y: np.ndarray, dtype: str) -> np.ndarray:
    """dL/dz at each of z [N] with labels y [N], in a dtype: [N], float64."""
    pair = (each[:, None].astype(dtype) for each in (y, z))
    return autodiff.logit_gradient(loss, *pair)[:, 0].astype("float64")


def measure_tails(seeds: tuple[int, ...]) -> pd.DataFrame:
    """The gradient of our loss and of squared error far out on the easy and on the hard side (y = 1)."""
    parts = []
    for arm, loss in (("claim", losses.binary_crossentropy), ("control", losses.brier)):
        for dtype in DTYPES:
            parts.append(
                rows.tidy(
                    check="easy",
                    arm=arm,
                    setting=dtype,
                    x=EASY,
                    value=log_size(slopes(loss, EASY, np.ones_like(EASY), dtype)),
                    reference=-EASY - np.log1p(np.exp(-EASY)),
                    resolution=np.finfo(dtype).eps,
                )
            )
        hard = slopes(loss, -HARD, np.ones_like(HARD), "float32")
        parts.append(rows.tidy(check="hard", arm=arm, value=np.abs(hard).min()))
    return pd.concat(parts)


def log_size(slope: np.ndarray) -> np.ndarray:
    """ln|slope|, −∞ where it has vanished."""
    with np.errstate(divide="ignore"):
        return np.log(np.abs(slope))


def train_focus(seeds: tuple[int, ...], name: str, examples: int) -> pd.DataFrame:
    """Odd class numbers against even ones: the gradient's concentration before and after each epoch."""
    given = data.load(name)
    x, y = given.x_train[:examples], given.y_train[:examples] % 2
    shuffled = np.stack([np.random.default_rng(seed).permutation(y) for seed in seeds])
    return pd.concat(
        [
            focus_rows(seeds, name, "claim", x, y),
            focus_rows(seeds, name, "control", np.broadcast_to(x, (len(seeds), *x.shape)), shuffled),
        ]
    )


def focus_rows(seeds: tuple[int, ...], name: str, arm: str, x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    replicas = replicates.Replicates(models.perceptron(x.shape[-1], [64], 1), seeds)
    replicas.compile(keras.optimizers.Adam(1e-3), losses.binary_crossentropy)
    size = [hardest_share(replicas, x, y)]
    for _ in range(EPOCHS):
        replicas.fit(x, y[..., None].astype("float32"), batch_size=64)
        size.append(hardest_share(replicas, x, y))
    share, quiet = np.array(size).transpose(1, 0, 2)  # [EPOCHS + 1, R] each
    shown = {"arm": arm, "setting": name, "x": np.arange(EPOCHS + 1)[:, None], "seed": seeds}
    return pd.concat(
        [
            rows.tidy(check="focus", arm=arm, setting=name, seed=seeds, value=share[-1], reference=share[0]),
            rows.tidy(quantity="hardest tenth's share", value=share, **shown),
            rows.tidy(quantity="gradient under 0.001", value=quiet, **shown),
        ]
    )


def hardest_share(replicas: replicates.Replicates, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of Σ|p − y| that the largest tenth carries, and fraction under 1e−3: [2, R]."""
    logits = replicas.predict(x)[..., 0].astype("float64")  # [R, N]
    size = 1 / (1 + np.exp(np.where(y == 1, logits, -logits)))  # |p − y|
    return np.stack([metrics.hardest_share(size), metrics.quiet_share(size)])


def train_recovery(seeds: tuple[int, ...]) -> pd.DataFrame:
    """One digit of class 1, weights 0, bias −b, plain gradient descent: steps until p = ½."""
    digits = data.load("digits").x_train
    images = np.stack([np.random.default_rng(seed).choice(digits) for seed in seeds])  # [S, D]
    x, bias = np.repeat(images, len(BIASES), 0), np.tile(BIASES, len(seeds))  # [R, D], [R]
    scale = RATE * (1 + (x**2).sum(1, dtype="float64"))
    linear, exponential = recovery_time(bias) / scale, squared_recovery_time(bias) / scale
    time = crossing_time(x, bias, losses.binary_crossentropy)
    squared = crossing_time(x, bias, losses.brier)
    shared = {"setting": [f"b = {b:g}" for b in bias], "x": bias, "seed": np.repeat(seeds, len(BIASES))}
    arms = [
        ("recovery", "claim", time, linear),
        ("recovery", "control", squared, linear),
        ("recovery_squared", "claim", squared, exponential),
        ("recovery_squared", "control", time, exponential),
    ]
    return pd.concat(
        rows.tidy(check=check, arm=arm, value=np.log(measured), reference=np.log(theory), **shared)
        for check, arm, measured, theory in arms
    )


def crossing_time(x: np.ndarray, bias: np.ndarray, loss) -> np.ndarray:
    """Steps of gradient descent from logit −b to 0, interpolated between looks: [R]."""
    replicas = replicates.Replicates(models.perceptron(x.shape[1], [], 1), range(len(x)))
    replicas.compile(keras.optimizers.SGD(RATE), loss)
    kernel, _ = replicas.get_weights()
    replicas.set_weights([np.zeros_like(kernel), -bias[:, None]])
    stride = np.repeat(x[:, None], STRIDE, 1)  # [R, STRIDE, D]: STRIDE steps on one and the same example
    logits = [-bias]
    while logits[-1].min() < 0 and len(logits) * STRIDE <= STEPS:
        replicas.fit(stride, np.ones((*stride.shape[:2], 1), "float32"), batch_size=1, shuffle=False)
        logits.append(replicas.predict(x[:, None])[:, 0, 0])
    return first_crossing(np.array(logits)) * STRIDE


def first_crossing(logits: np.ndarray) -> np.ndarray:
    """Where each column of [T, R] first reaches 0, by linear interpolation; NaN where it never does."""
    after = np.argmax(logits >= 0, axis=0)
    high, low = (np.take_along_axis(logits, np.maximum(at, 0)[None], 0)[0] for at in (after, after - 1))
    return np.where(after > 0, after - high / np.where(after > 0, high - low, 1), np.nan)


def train_slowdown(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Gradient descent on 32 points in the plane: separable, not separable, and with weight decay."""
    sets = [data.separable(np.random.default_rng(seed), 32, margin=0.3) for seed in seeds]
    x, y = (np.stack(part) for part in zip(*sets, strict=True))  # [S, 32, 2], [S, 32]
    flips = np.stack([np.random.default_rng(seed).permutation(32) < 3 for seed in seeds])
    separator = np.array([separator_norm(*pair) for pair in zip(x, y, strict=True)])
    time, loss, norm = descend(x, y)
    _, stuck, _ = descend(x, np.where(flips, 1 - y, y))
    _, _, bounded = descend(x, y, weight_decay=1e-3)
    parts = []
    for arm, losses_seen, norms in (("claim", loss, norm), ("control", stuck, bounded)):
        fall, growth = np.log(losses_seen), norms / separator
        shared = {"arm": arm, "seed": seeds}
        some = np.unique(np.geomspace(1, len(time), 40).astype(int)) - 1
        parts += [
            rows.tidy(check="slowdown", value=slope(time, fall, LATE), reference=-1.0, **shared),
            rows.tidy(check="slowdown_early", value=slope(time, fall, EARLY), reference=-1.0, **shared),
            rows.tidy(check="slowdown_norm", value=slope(time, growth, LATE), reference=1.0, **shared),
            rows.tidy(quantity="loss", x=time[some, None], value=losses_seen[some], **shared),
            rows.tidy(quantity="norm", x=time[some, None], value=growth[some], **shared),
        ]
    return pd.concat(parts)


def slope(time: np.ndarray, values: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """Least-squares slope of each column of [T, S] against ln t over a span of time: [S]."""
    within = (time >= span[0]) & (time <= span[1])
    return np.polyfit(np.log(time[within]), values[within], 1)[0]


def descend(
    x: np.ndarray, y: np.ndarray, weight_decay: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time [T], training loss [T, S] and weight norm [T, S] along full-batch gradient descent.

    The rate grows as the loss flattens; where a finite minimum keeps it curved, the steps come to overshoot.
    """
    replicas = replicates.Replicates(models.perceptron(2, [], 1, use_bias=False), range(len(x)))
    optimizer = keras.optimizers.SGD(1.0, weight_decay=weight_decay)
    replicas.compile(optimizer, losses.binary_crossentropy)
    stride = 100  # steps between looks
    many, labels = np.tile(x, (1, stride, 1)), np.tile(y, (1, stride))[..., None].astype("float32")
    time, loss, norm = [0.0], [], []
    for steps, rate in PHASES:
        optimizer.learning_rate = rate
        for _ in range(steps // stride):
            replicas.fit(many, labels, batch_size=x.shape[1], shuffle=False)
            (w,) = replicas.get_weights()  # [S, 2, 1]
            margins = np.where(y == 1, 1, -1) * (x @ w.astype("float64"))[..., 0]
            time.append(time[-1] + stride * rate)
            loss.append(np.logaddexp(0, -margins).mean(1))
            norm.append(np.linalg.norm(w[..., 0], axis=1))
    return np.array(time[1:]), np.array(loss), np.array(norm)


def separator_norm(x: np.ndarray, y: np.ndarray) -> float:
    """Norm of the hard-margin separator through the origin: min ‖w‖ with margins of at least 1, by SciPy."""
    signed = np.where(y == 1, 1, -1)[:, None] * x.astype("float64")
    best = optimize.minimize(
        lambda w: w @ w / 2,
        x0=np.linalg.lstsq(signed, np.ones(len(x)), rcond=None)[0],
        jac=lambda w: w,
        constraints={"type": "ineq", "fun": lambda w: signed @ w - 1, "jac": lambda w: signed},
        method="SLSQP",
    )
    return float(np.linalg.norm(best.x)) if best.success else np.nan


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Where the gradient comes from before and after training: mean over seeds."""
    told = rows[rows["quantity"].isin(("hardest tenth's share", "gradient under 0.001"))]
    ends = told[told["x"].isin((0, EPOCHS))]
    when = ends["x"].map({0: "before", EPOCHS: "after"})
    wide = ends.assign(column=ends["quantity"] + ", " + when).pivot_table(
        "value", ["setting", "arm"], "column", sort=False
    )
    named = wide.rename(index={"claim": "true", "control": "shuffled"}, level="arm").reset_index()
    return named.rename(columns={"setting": "Data", "arm": "Labels"}).rename_axis(None, axis=1)


def figure(rows: pd.DataFrame):
    """Gradient, paths, focus, recovery, slowdown."""
    canvas, axes = figures.panels(3, 2, width_ratios=(1, 1.25, 1))
    draw = (draw_gradient, draw_paths, draw_focus, draw_recovery, draw_loss, draw_norm)
    for panel, ax in zip(draw, axes, strict=True):
        panel(ax, rows)
    return canvas


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


def draw_paths(ax, rows: pd.DataFrame) -> None:
    draw_errors(ax, wrong_side(rows))
    ax.set(title="Its error on Keras' paths", xlabel="|z| from 0 to 9984 in each")


def draw_focus(ax, rows: pd.DataFrame) -> None:
    share = rows[rows["quantity"] == "hardest tenth's share"]
    for name in SETS:
        part = share[share["setting"] == name]
        if len(part):
            figures.curve(ax, part[part["arm"] == "claim"], name)
            color = ax.lines[-1].get_color()
            figures.curve(ax, part[part["arm"] == "control"], "", color=color, linestyle=":")
    ax.plot([], [], color="0.4", linestyle=":", label="shuffled labels")
    ax.set(title="Hardest tenth's share", xlabel="epoch", ylabel="share of Σ|p − y|", ylim=(0, 1.25))
    ax.legend(loc="upper left", ncols=2, fontsize=8)


def draw_recovery(ax, rows: pd.DataFrame) -> None:
    for check, label, law in (
        ("recovery", "cross-entropy", recovery_time),
        ("recovery_squared", "squared error", squared_recovery_time),
    ):
        part = rows[(rows["check"] == check) & (rows["arm"] == "claim")]
        scale = np.exp(part["value"] - part["reference"]) * law(part["x"].to_numpy())
        ax.plot(part["x"], scale, "o", alpha=0.6, label=label)
    b = np.linspace(1, 7, 61)
    figures.theory_line(ax, b, recovery_time(b), "gradient flow")
    figures.theory_line(ax, b, squared_recovery_time(b), "")
    ax.set(title="Recovery from a wrong bias −b", xlabel="b", ylabel="steps × η (1 + ‖x‖²)", yscale="log")
    ax.legend()


def draw_loss(ax, rows: pd.DataFrame) -> None:
    for arm, label in (("claim", "separable"), ("control", "a tenth flipped")):
        figures.curve(ax, rows[(rows["quantity"] == "loss") & (rows["arm"] == arm)], label)
    t = np.geomspace(*LATE, 10)
    figures.theory_line(ax, t, 4 / t, "slope −1")
    ax.set(
        title="Training loss", xlabel="time t = steps × rate", ylabel="mean loss", xscale="log", yscale="log"
    )
    ax.legend()


def draw_norm(ax, rows: pd.DataFrame) -> None:
    for arm, label in (("claim", "separable"), ("control", "weight decay")):
        figures.curve(ax, rows[(rows["quantity"] == "norm") & (rows["arm"] == arm)], label)
    t = np.geomspace(*LATE, 10)
    figures.theory_line(ax, t, np.log(t) - 1, "slope 1")
    ax.set(
        title="Weight norm",
        xlabel="time t = steps × rate",
        ylabel="‖w‖ / ‖ŵ‖",
        xscale="log",
    )
    ax.legend()

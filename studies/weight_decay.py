"""A penalty on the weights bounds the logits and keeps a gradient; it is not the same as weight decay.

Expect: logits fall and residuals rise with λ; at the optimum the data pull as hard as the penalty, −2λw. The
penalty L2(λ) is Keras' weight_decay = 2λ step for step under plain SGD, and under no optimiser that remembers
gradients. It costs a third of a minute at the standard scale. Run it with `crosscheck run weight_decay`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Theory, Trend, Unit, unit
from crosscheck.lazy import (
    data,
    distances,
    figures,
    keras,
    losses,
    optimize,
    pd,
    replicates,
    rows,
    special,
    steps,
    trajectories,
)

CLAIM = Claim(
    title="An L2 penalty keeps logits small and the gradient alive; decay is the same under plain SGD alone",
    statement="L2 regularisation, or weight decay, penalises large weights, which discourages large logits. "
    "It keeps probabilities away from 0 and 1, and so maintains a gradient that is not zero.",
    formula=r"\nabla_w \overline{\mathcal{L}} = -2\lambda w \quad\text{at the optimum of}\quad "
    r"\overline{\mathcal{L}} + \lambda \lVert w\rVert^2",
    source="Principles and Mechanisms, The Mechanism of Binary Cross-Entropy; problem 3103375",
    correct="The data's gradient is kept alive, but the penalty's cancels it: training ends all the same. "
    "L2(λ) and Keras' weight_decay = 2λ are the same under plain SGD; under momentum and Adam they are not.",
)

SEEDS = {"smoke": 16, "standard": 32, "full": 128}
FEW = {"smoke": 8, "standard": 16, "full": 128}  # where nothing but rounding and convergence is noisy
HIDDEN = 32


def penalised(*hidden: int):
    """A builder of a perceptron on the digits with Σw² over all weights, biases too, for `penalty_scale`."""

    def build():
        square = keras.regularizers.L2(1.0)
        dense = [
            keras.layers.Dense(
                n, "relu" if n in hidden else None, kernel_regularizer=square, bias_regularizer=square
            )
            for n in (*hidden, 10)
        ]
        return keras.Sequential([keras.Input((64,)), *dense])

    return build


def penalised_replicates(
    hidden: tuple[int, ...], seeds: tuple[int, ...], optimizer, penalties: tuple[float, ...]
):
    """One replicate a pair (λ, seed), λ by λ: the same seeds start from the same weights."""
    replicas = replicates.Replicates(penalised(*hidden), seeds * len(penalties), paired=True)
    scale = np.repeat(penalties, len(seeds))
    replicas.compile(optimizer, losses.sparse_categorical_crossentropy, penalty_scale=scale)
    return replicas


# --- training: do logits fall and residuals rise with λ? ---

LAMBDAS = (1e-4, 1e-3, 1e-2, 1e-1)
BATCH, EPOCHS, ADAM_RATE = 64, 40, 3e-3

LOGITS = Check(
    "logits",
    "After training on the digits, ln max |z| falls by at least 0.2 with each tenfold λ.",
    Trend(step=0.2, increasing=False),
    r"\max |z| \text{ falls in } \lambda",
    control="λ = 0 throughout, other seeds",
)
RESIDUAL = Check(
    "residual",
    "With it, the mean residual of the true class rises: its logarithm by at least 0.2.",
    Trend(step=0.2),
    r"\overline{1 - p_y} \text{ rises in } \lambda",
    control="λ = 0 throughout, other seeds",
)


def train_penalised(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Logits, residuals and test accuracy after training, all λ and seeds as one."""
    digits, penalties = data.load("digits"), (0.0, *LAMBDAS)
    replicas = penalised_replicates((HIDDEN,), seeds, keras.optimizers.Adam(ADAM_RATE), penalties)
    replicas.fit(digits.x_train, digits.y_train, batch_size=BATCH, epochs=EPOCHS)
    z = replicas.predict(digits.x_train).astype("float64")  # [R, N, K]
    off = 1 - np.take_along_axis(special.softmax(z, -1), digits.y_train[None, :, None], -1)[..., 0]
    correct = replicas.predict(digits.x_test).argmax(-1) == digits.y_test
    size, residual, accuracy = (
        numbers.reshape(len(penalties), len(seeds))
        for numbers in (np.abs(z).max((1, 2)), off.mean(1), correct.mean(1))
    )
    shown = {"largest logit": size, "mean residual": residual, "accuracy": accuracy}
    for quantity, numbers in shown.items():
        yield rows.tidy(quantity=quantity, x=np.array(penalties)[:, None], seed=seeds, value=numbers)
    for check, numbers in ((LOGITS, np.log(size)), (RESIDUAL, np.log(residual))):
        unpenalised = np.stack([np.roll(numbers[0], shift) for shift in range(len(LAMBDAS))])
        yield check.rows(numbers[1:], unpenalised, x=np.array(LAMBDAS)[:, None], seed=seeds)


def draw_logits(ax, rows: pd.DataFrame) -> None:
    draw_along(ax, rows[rows["quantity"] == "largest logit"])
    ax.set(title="Largest logit after training", xlabel="λ", ylabel="max |z|", xscale="log", yscale="log")


def draw_residuals(ax, rows: pd.DataFrame) -> None:
    draw_along(ax, rows[rows["quantity"] == "mean residual"])
    ax.set(title="Residual after training", xlabel="λ", ylabel="mean 1 − p of the true class")
    ax.set(xscale="log", yscale="log")


def draw_along(ax, rows: pd.DataFrame) -> None:
    """The penalised replicates along λ, and where those without a penalty lie."""
    figures.curve(ax, rows[rows["x"] > 0], "with L2(λ)", marker="o")
    figures.theory_line(ax, LAMBDAS, rows[rows["x"] == 0]["value"].mean(), "λ = 0", linestyle=":")
    ax.legend()


# --- optimum: do the data pull as hard as the penalty, −2λw? ---

OPTIMUM = (1e-3, 1e-2, 1e-1)
EXAMPLES, STEPS, RATE, MOMENTUM = 256, 600, 0.3, 0.97  # a convex problem, each seed with images of its own

STATIONARITY = Check(
    "stationarity",
    "At the optimum the mean data gradient is −2λw: what is left of both, relative to 2λ‖w‖.",
    Equal(margin=0.01),
    r"\frac{\lVert \nabla_w\overline{\mathcal{L}} + 2\lambda w\rVert}{2\lambda\lVert w\rVert} = 0",
    control="trained with λ = 0, held against the same λ",
    settings=tuple(f"λ = {penalty:g}" for penalty in OPTIMUM),
)
STATIONARITY_FACTOR = Check(
    "stationarity_factor",
    "So it is when the penalty is taken to be λ‖w‖²/2, as in many textbooks: −λw.",
    Equal(margin=0.01),
    r"\frac{\lVert \nabla_w\overline{\mathcal{L}} + \lambda w\rVert}{\lambda\lVert w\rVert} = 0",
    control="trained with λ = 0, held against the same λ",
    settings=tuple(f"λ = {penalty:g}" for penalty in OPTIMUM),
    scope=True,
)
STATIONARITY_BOUND = Check(
    "stationarity_bound",
    "Hence the residuals cannot vanish: weighted by the inputs' length, their mean is at least 2λ‖w‖.",
    Exceeds(margin=1.0),
    r"\frac{\overline{\lVert (x, 1)\rVert\,\lVert p - y\rVert}}{2\lambda\lVert w\rVert} \ge 1",
    control="trained with λ = 0, held against the same λ",
    settings=tuple(f"λ = {penalty:g}" for penalty in OPTIMUM),
)


def least_residual(penalty: float) -> float:
    """|p − y| = 2λw at the optimum of ln(1 + e^(−w)) + λw²: one example, x = 1, y = 1."""
    return float(2 * penalty * optimize.brentq(lambda w: special.expit(-w) - 2 * penalty * w, 0, 100))


def residual_by_minimisation(penalty: float) -> float:
    best = optimize.minimize_scalar(
        lambda w: np.logaddexp(0, -w) + penalty * w**2, bracket=(0, 10), tol=1e-12
    )
    return float(special.expit(-best.x))


RESIDUAL_LAW = Theory(
    "residual", least_residual, residual_by_minimisation, [(penalty,) for penalty in LAMBDAS], 1e-7
)


def train_to_optimum(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Softmax regression to its optimum, and the two forces that balance there."""
    digits, penalties = data.load("digits"), (0.0, *OPTIMUM)
    pick = [np.random.default_rng(seed).permutation(len(digits.x_train))[:EXAMPLES] for seed in seeds]
    chosen = np.tile(pick, (len(penalties), 1))  # [R, N], R = λ by λ
    x, y = digits.x_train[chosen], digits.y_train[chosen]
    replicas = penalised_replicates((), seeds, keras.optimizers.SGD(RATE, MOMENTUM), penalties)
    replicas.fit(x, y, batch_size=EXAMPLES, epochs=STEPS, shuffle=False)
    grid = (len(penalties), len(seeds), -1)
    w, pull, residual = (numbers.reshape(grid) for numbers in forces(replicas, x, y))
    yield rows.tidy(quantity="forces", setting="λ = 0.01", x=2e-2 * w[2, 0], value=-pull[2, 0])
    for i, penalty in enumerate(OPTIMUM, start=1):
        place = {"setting": f"λ = {penalty:g}", "x": penalty, "seed": seeds}
        arms = (i, 0)  # trained with the penalty, and without any
        yield STATIONARITY.rows(*(imbalance(w[at], pull[at], 2 * penalty) for at in arms), **place)
        yield STATIONARITY_FACTOR.rows(*(imbalance(w[at], pull[at], penalty) for at in arms), **place)
        bounds = (residual[at, :, 0] / (2 * penalty * np.linalg.norm(w[at], axis=1)) for at in arms)
        yield STATIONARITY_BOUND.rows(*bounds, **place)


def imbalance(w: np.ndarray, pull: np.ndarray, factor: float) -> np.ndarray:
    """‖pull + factor w‖ / (factor ‖w‖) of weights and data gradients [S, W]: [S], without unit."""
    return np.linalg.norm(pull + factor * w, axis=1) / (factor * np.linalg.norm(w, axis=1))


def forces(replicas, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All weights and the mean data gradient, [R, W] each, and the mean of ‖(x, 1)‖ ‖p − y‖, [R]; float64."""
    kernel, bias = replicas.get_weights()
    weights = np.concatenate([kernel, bias[:, None]], axis=1).astype("float64")  # [R, D + 1, K]
    inputs = np.concatenate([x, np.ones_like(x[..., :1])], axis=-1).astype("float64")  # [R, N, D + 1]
    off = special.softmax(inputs @ weights, -1) - np.eye(10)[y]  # [R, N, K]
    gradient = np.swapaxes(inputs, 1, 2) @ off / x.shape[1]
    pulls = np.linalg.norm(inputs, axis=-1) * np.linalg.norm(off, axis=-1)
    return weights.reshape(len(x), -1), gradient.reshape(len(x), -1), pulls.mean(1)


def draw_forces(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["quantity"] == "forces"]
    ax.plot(part["x"] * 1e3, part["value"] * 1e3, "o", alpha=0.4, markersize=3, rasterized=True)
    ends = np.array([part["x"].min(), part["x"].max()]) * 1e3
    figures.theory_line(ax, ends, ends, "balance")
    ax.set(title="At the optimum, λ = 0.01", xlabel="2λw of each weight (10⁻³)")
    ax.set(ylabel="−mean data gradient (10⁻³)")
    ax.legend()


# --- trajectories: is the penalty L2(λ) the same as weight_decay = 2λ? ---

PENALTY = 1e-2  # takes a fifth of the way's length, so that half of it is far beyond the margin
MOST = {"smoke": 640, "standard": 1297, "full": 1297}  # examples: ten batches, or all
SGD_RATE, SGD_MOMENTUM, TRAJECTORY_ADAM_RATE = 0.1, 0.9, 1e-3
RATES = ("constant rate", "falling rate")
DISTANCE = (
    r"\frac{\lVert w_{\text{penalty}} - w_{\text{decay}}\rVert}{\lVert w_{\text{decay}} - w_0\rVert} = 0"
)
FORGOTTEN = "Keras' factor forgotten: weight_decay = λ"

EQUIVALENCE = Check(
    "equivalence",
    "Under SGD, L2(λ) and weight_decay = 2λ end at the same weights, relative to the way they went.",
    Equal(margin=0.001),
    DISTANCE,
    control=FORGOTTEN,
    settings=RATES,
)
EQUIVALENCE_MOMENTUM = Check(
    "equivalence_momentum",
    "So they do under SGD with momentum, through which only the penalty's gradient passes.",
    Equal(margin=0.001),
    DISTANCE,
    control=FORGOTTEN,
    scope=True,
)
EQUIVALENCE_MOMENTUM_SUMMED = Check(
    "equivalence_momentum_summed",
    "So they do with momentum μ where weight_decay = 2λ/(1 − μ), to which it adds up the penalty.",
    Equal(margin=0.001),
    DISTANCE,
    control=FORGOTTEN,
    scope=True,
)
EQUIVALENCE_ADAM = Check(
    "equivalence_adam",
    "So do Adam with L2(λ) and AdamW with weight_decay = 2λ.",
    Equal(margin=0.001),
    DISTANCE,
    control=FORGOTTEN,
    scope=True,
)


def decayed(penalty: float, steps: int) -> float:
    """w after `steps` of SGD at rate 0.1 from 0 on (w − 1)²/2 with weight_decay = 2λ, in closed form."""
    shrink, end = 1 - 0.1 * (1 + 2 * penalty), 1 / (1 + 2 * penalty)
    return end * (1 - shrink**steps)


def penalised_step_by_step(penalty: float, steps: int) -> float:
    """The same with the penalty λw² in the loss, step by step."""
    w = 0.0
    for _ in range(steps):
        w -= 0.1 * ((w - 1) + 2 * penalty * w)
    return w


EQUIVALENCE_LAW = Theory(
    "equivalence", decayed, penalised_step_by_step, [(PENALTY, 10), (PENALTY, 100), (0.1, 30)]
)


def train_trajectories(seeds: tuple[int, ...], examples: int) -> Iterator[pd.DataFrame]:
    """How far the penalty's end lies from the decay's, relative to the way from the start."""
    sgd, adam = keras.optimizers.SGD, keras.optimizers.Adam
    falling = lambda: keras.optimizers.schedules.CosineDecay(SGD_RATE, 100)
    summed = 1 / (1 - SGD_MOMENTUM)
    pairs = (  # an optimiser; its checks, with their setting and how many times 2λ they take for its decay
        (lambda **decay: sgd(SGD_RATE, **decay), [(EQUIVALENCE, "constant rate", 1)]),
        (lambda **decay: sgd(falling(), **decay), [(EQUIVALENCE, "falling rate", 1)]),
        (
            lambda **decay: sgd(SGD_RATE, SGD_MOMENTUM, **decay),
            [(EQUIVALENCE_MOMENTUM, "", 1), (EQUIVALENCE_MOMENTUM_SUMMED, "", summed)],
        ),
        (lambda **decay: adam(TRAJECTORY_ADAM_RATE, **decay), [(EQUIVALENCE_ADAM, "", 1)]),
    )
    start = replicates.Replicates(penalised(HIDDEN), seeds).get_weights()
    for optimizer, judged in pairs:
        penalty = trajectory_ends(seeds, optimizer(), (PENALTY, 2 * PENALTY), examples)
        for check, setting, times in judged:
            decaying = optimizer(weight_decay=times * 2 * PENALTY)
            (decay,) = trajectory_ends(seeds, decaying, (0.0,), examples)
            apart = (steps.distance(end, decay, start) for end in penalty)
            yield check.rows(*apart, setting=setting, seed=seeds)


def trajectory_ends(seeds: tuple[int, ...], optimizer, penalties: tuple[float, ...], examples: int):
    """Weights after a few epochs on the digits, penalty by penalty: stacked over the seeds.

    So short a training is over before a compiled one has begun.
    """
    loss = losses.sparse_categorical_crossentropy
    return trajectories.ends(
        penalised(HIDDEN), seeds, optimizer, loss, penalties, jit_compile=False, examples=examples
    )


def draw_distances(ax, rows: pd.DataFrame) -> None:
    places = {
        "SGD": (EQUIVALENCE, "constant rate"),
        "SGD, falling rate": (EQUIVALENCE, "falling rate"),
        "momentum": (EQUIVALENCE_MOMENTUM, ""),
        "momentum, /(1 − μ)": (EQUIVALENCE_MOMENTUM_SUMMED, ""),
        "Adam, AdamW": (EQUIVALENCE_ADAM, ""),
    }
    distances.draw_distances(ax, rows, places, "weight_decay = 2λ", "weight_decay = λ")
    ax.set(title="L2(λ) against decay")
    ax.legend(loc="lower right")


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (
    LOGITS,
    RESIDUAL,
    STATIONARITY,
    STATIONARITY_FACTOR,
    STATIONARITY_BOUND,
    EQUIVALENCE,
    EQUIVALENCE_MOMENTUM,
    EQUIVALENCE_MOMENTUM_SUMMED,
    EQUIVALENCE_ADAM,
)
THEORIES = (RESIDUAL_LAW, EQUIVALENCE_LAW)


def units(scale: str) -> list[Unit]:
    seeds, few = range(SEEDS[scale]), range(FEW[scale])
    return [
        unit(train_penalised, seeds, data=("digits",), cost=8),
        unit(train_to_optimum, few, data=("digits",), cost=5),
        unit(train_trajectories, few, data=("digits",), cost=10, examples=MOST[scale]),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Largest logit, mean residual and test accuracy against λ, mean over seeds."""
    names = ["largest logit", "mean residual", "accuracy"]
    shown = rows[rows["quantity"].isin(names)]
    wide = shown.pivot_table("value", "x", "quantity")[names].reset_index()
    return wide.set_axis(["λ", "max |z|", "mean 1 − p of the true class", "test accuracy"], axis=1)


def figure(rows: pd.DataFrame):
    """Logits and residuals against λ, the balance at the optimum, and penalty against decay."""
    canvas, axes = figures.panels(2, 2)
    panels = (draw_logits, draw_residuals, draw_forces, draw_distances)
    for draw, ax in zip(panels, axes, strict=True):
        draw(ax, rows)
    return canvas

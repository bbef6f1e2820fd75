"""A penalty on the weights bounds the logits and keeps a gradient; it is not the same as weight decay.

Expect: logits fall and residuals rise with λ, but not behind batch or layer normalisation; at the optimum
the data pull as hard as the penalty, −2λw. The penalty L2(λ) is Keras' weight_decay = 2λ step for step under
plain SGD, and under no optimiser that remembers gradients. Training does not become faster. It costs a minute
at the standard scale. Run it with `crosscheck run weight_decay`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Trend, Unit, unit
from crosscheck.lazy import distances, figures, keras, optima, pd, penalties, replicates, rows, speed, steps

CLAIM = Claim(
    title="An L2 penalty keeps logits small and the gradient alive; decay is the same under plain SGD alone",
    statement="L2 regularisation, or weight decay, penalises large weights, which discourages large logits. "
    "It keeps probabilities away from 0 and 1, and so maintains a gradient that is not zero.",
    formula=r"\nabla_w \overline{\mathcal{L}} = -2\lambda w \quad\text{at the optimum of}\quad "
    r"\overline{\mathcal{L}} + \lambda \lVert w\rVert^2",
    source="Principles and Mechanisms, The Mechanism of Binary Cross-Entropy; problem 3103375",
    correct="Logits are kept small where no normalisation follows the weights. The data's gradient is kept "
    "alive, but the penalty's cancels it: training ends all the same, and does not become faster. L2(λ) and "
    "Keras' weight_decay = 2λ are the same under plain SGD; under momentum and Adam they are not.",
)

SEEDS = {"smoke": 8, "standard": 24, "full": 128}
FEW = {"smoke": 6, "standard": 16, "full": 128}  # where nothing but rounding and convergence is noisy
HIDDEN = 32


# --- training: do logits fall and residuals rise with λ? ---

LAMBDAS = (1e-4, 1e-3, 1e-2, 1e-1)
ON_BIASES, WIDER = "the penalty on the biases alone", "twice as many hidden units"

LOGITS = Check(
    "logits",
    "After training on the digits, ln max |z| falls by at least 0.2 with each tenfold λ.",
    Trend(step=0.2, increasing=False),
    r"\max |z| \text{ falls in } \lambda",
    control=ON_BIASES,
    positive=WIDER,
    population="these data sets",
)
RESIDUAL = Check(
    "residual",
    "With it, the mean residual of the true class rises: its logarithm by at least 0.2.",
    Trend(step=0.2),
    r"\overline{1 - p_y} \text{ rises in } \lambda",
    control=ON_BIASES,
    positive=WIDER,
    population="these data sets",
)


def train_penalised(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Logits, residuals and test accuracy after training, all λ and seeds as one."""
    after_training, penalised = penalties.after_training, penalties.penalised
    network = after_training(penalised(HIDDEN), seeds, (0.0, *LAMBDAS))
    for quantity, numbers in network.items():
        yield rows.tidy(quantity=quantity, x=np.array((0.0, *LAMBDAS))[:, None], seed=seeds, value=numbers)
    biases = after_training(penalised(HIDDEN, kernels=False), seeds, LAMBDAS)
    wider = after_training(penalised(2 * HIDDEN), seeds, LAMBDAS)
    place = {"x": np.array(LAMBDAS)[:, None], "seed": seeds}
    for check, quantity in ((LOGITS, "largest logit"), (RESIDUAL, "mean residual")):
        logs = [np.log(arm[quantity][-len(LAMBDAS) :]) for arm in (network, biases, wider)]
        yield check.rows(*logs[:2], positive=logs[2], **place)
    for setting in BEHIND:
        yield NORMALISED.rows(control=np.log(biases["largest logit"]), setting=setting, **place)


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


# --- normalisation: does the penalty reach the logits through it? ---

BEHIND = {"batch normalisation": "BatchNormalization", "layer normalisation": "LayerNormalization"}

NORMALISED = Check(
    "normalised",
    "So do logits where normalisation follows each layer of penalised kernels: ln max |z| falls by at least "
    "0.2 with each tenfold λ.",
    Trend(step=0.2, increasing=False),
    r"\max |z| \text{ falls in } \lambda",
    control=ON_BIASES + ", without normalisation",
    positive="the same penalty without normalisation",
    population="these data sets",
    settings=tuple(BEHIND),
    scope=True,
)
SCALE = Check(
    "scale",
    "Normalisation without its ε undoes any scale of the weights before it: f(cw) = f(w).",
    Identity(ulps=4),
    r"f(c\,w) = f(w)",
    control="Keras' own ε = 0.001",
    positive="centred and divided by the standard deviation in NumPy",
    settings=tuple(BEHIND),
    exact=True,
)


def train_normalised(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The largest logit against λ behind normalisation, and without; `train_penalised` has the control."""
    after_training = lambda behind: penalties.after_training(
        penalties.penalised(HIDDEN, biases=False, behind=behind), seeds, LAMBDAS
    )
    size = lambda behind: np.log(after_training(behind)["largest logit"])
    plain = size("")
    for setting, layer in BEHIND.items():
        place = {"setting": setting, "x": np.array(LAMBDAS)[:, None], "seed": seeds}
        yield NORMALISED.rows(claim=size(layer), positive=plain, **place)


def measure_scale(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """What a layer and the normalisation behind it make of weights that are doubled, in float64."""
    rng, eps = np.random.default_rng(0), np.finfo("float64").eps
    z = rng.normal(size=(32, 8)) @ rng.normal(size=(8, 5))
    for setting, layer in BEHIND.items():
        arms = {
            "claim": lambda z, layer=layer: penalties.normalised(layer, z, epsilon=0.0),
            "control": lambda z, layer=layer: penalties.normalised(layer, z),
            "positive": lambda z, layer=layer: penalties.normalised_plainly(layer, z),
        }
        for arm, f in arms.items():
            place = {"setting": setting, "resolution": eps * np.abs(f(z))}
            yield SCALE.rows(**{arm: f(2 * z)}, reference=f(z), **place)


# --- optimum: do the data pull as hard as the penalty, −2λw? ---

OPTIMUM = (1e-3, 1e-2, 1e-1)
EXAMPLES, STEPS, RATE, MOMENTUM = 256, 600, 0.3, 0.97  # a convex problem, each seed with images of its own
MORE = 1.1  # what the control's λ is multiplied by

STATIONARITY = Check(
    "stationarity",
    "At the optimum the mean data gradient is −2λw: what is left of both, relative to 2λ‖w‖.",
    Equal(margin=0.01),
    r"\frac{\lVert \nabla_w\overline{\mathcal{L}} + 2\lambda w\rVert}{2\lambda\lVert w\rVert} = 0",
    control="trained with a λ that is a tenth larger, held against the same λ",
    positive="scikit-learn's optimum of the same problem, C = 1/(2λN)",
    population="splits of this set",
    settings=tuple(f"λ = {penalty:g}" for penalty in OPTIMUM),
)
STATIONARITY_FACTOR = Check(
    "stationarity_factor",
    "So it is when the penalty is taken to be λ‖w‖²/2, as in many textbooks: −λw.",
    Equal(margin=0.01),
    r"\frac{\lVert \nabla_w\overline{\mathcal{L}} + \lambda w\rVert}{\lambda\lVert w\rVert} = 0",
    control="trained with a λ that is a tenth larger, held against the same λ",
    positive="scikit-learn's optimum of that problem, C = 1/(λN)",
    population="splits of this set",
    settings=tuple(f"λ = {penalty:g}" for penalty in OPTIMUM),
    scope=True,
)


RESIDUAL_LAW = Theory(
    "residual",
    lambda penalty: optima.least_residual(penalty),
    lambda penalty: optima.residual_by_minimisation(penalty),
    [(penalty,) for penalty in LAMBDAS],
    1e-7,
)


def train_to_optimum(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Softmax regression to its optimum, and the two forces that balance there."""
    x, y = penalties.own_digits(seeds, EXAMPLES)
    more = tuple(MORE * penalty for penalty in OPTIMUM)
    optimizer = keras.optimizers.SGD(RATE, MOMENTUM)
    weights = penalties.optimum_weights(seeds, optimizer, (*OPTIMUM, *more), x, y, STEPS)  # [λ, S, D + 1, K]
    for i, penalty in enumerate(OPTIMUM):
        place = {"setting": f"λ = {penalty:g}", "x": penalty, "seed": seeds}
        for check, factor in ((STATIONARITY, 2 * penalty), (STATIONARITY_FACTOR, penalty)):
            arms = (weights[i], weights[i + len(OPTIMUM)])
            yield check.rows(*(optima.imbalance(w, x, y, factor) for w in arms), **place)
            if penalty == OPTIMUM[1]:
                solved = optima.by_scikit_learn(x, y, factor)
                yield check.rows(positive=optima.imbalance(solved, x, y, factor), **place)
    pull = optima.data_gradient(weights[1, :1], x[:1], y[:1])
    yield rows.tidy(quantity="forces", setting="λ = 0.01", x=2e-2 * weights[1, 0], value=-pull[0])


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
PLAIN = "plain SGD in its place"

EQUIVALENCE = Check(
    "equivalence",
    "Under SGD, L2(λ) and weight_decay = 2λ end at the same weights, relative to the way they went.",
    Equal(margin=0.001),
    DISTANCE,
    control=FORGOTTEN,
    positive="a linear model, the penalty against its gradient step by step in NumPy",
    population="these data sets",
    settings=RATES,
)
EQUIVALENCE_MOMENTUM = Check(
    "equivalence_momentum",
    "So they do under SGD with momentum, through which only the penalty's gradient passes.",
    Equal(margin=0.001),
    DISTANCE,
    control=FORGOTTEN,
    positive=PLAIN,
    population="these data sets",
    scope=True,
)
EQUIVALENCE_MOMENTUM_SUMMED = Check(
    "equivalence_momentum_summed",
    "So they do with momentum μ where weight_decay = 2λ/(1 − μ), to which it adds up the penalty.",
    Equal(margin=0.001),
    DISTANCE,
    control=FORGOTTEN,
    positive=PLAIN,
    population="these data sets",
    scope=True,
)
EQUIVALENCE_ADAM = Check(
    "equivalence_adam",
    "So do Adam with L2(λ) and AdamW with weight_decay = 2λ.",
    Equal(margin=0.001),
    DISTANCE,
    control=FORGOTTEN,
    positive=PLAIN,
    population="these data sets",
    scope=True,
)


EQUIVALENCE_LAW = Theory(
    "equivalence",
    lambda penalty, steps: optima.decayed(penalty, steps),
    lambda penalty, steps: optima.penalised_step_by_step(penalty, steps),
    [(PENALTY, 10), (PENALTY, 100), (0.1, 30)],
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
    build, ends = penalties.penalised(HIDDEN), penalties.trajectory_ends
    start, plain = replicates.Replicates(build, seeds).get_weights(), None
    for optimizer, judged in pairs:
        penalty = ends(build, seeds, optimizer(), (PENALTY, 2 * PENALTY), examples)
        for check, setting, times in judged:
            decaying = optimizer(weight_decay=times * 2 * PENALTY)
            (decay,) = ends(build, seeds, decaying, (0.0,), examples)
            claim, control = (steps.distance(end, decay, start) for end in penalty)
            yield check.rows(claim, control, setting=setting, seed=seeds)
            plain = claim if plain is None else plain
            if check is not EQUIVALENCE:
                yield check.rows(positive=plain, setting=setting, seed=seeds)
    by_hand = penalties.decayed_against_by_hand(seeds, SGD_RATE, PENALTY, examples)
    yield EQUIVALENCE.rows(positive=by_hand, setting=RATES[0], seed=seeds)


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


# --- speed: is a held-out accuracy or likelihood reached sooner? ---

SPEED_SEEDS = {"smoke": 12, "standard": 64, "full": 128}
SPEED_LAMBDAS = (1e-4, 1e-3)

SPEED = Check(
    "speed",
    "An L2 penalty speeds training up: a network on the digits takes a fifth fewer epochs to the held-out "
    "accuracy, and to the held-out likelihood, that it has come to without one in epoch 40, or to its last "
    "accuracy, in epoch 100.",
    Exceeds(margin=float(np.log(1.25))),
    r"\ln \frac{T_0}{T_\lambda} \ge \ln 1.25",
    control="no penalty and half the learning rate",
    positive="no penalty and three times the learning rate",
    population="these data sets",
    settings=tuple(
        f"{measure}, λ = {at:g}"
        for at in SPEED_LAMBDAS
        for measure in ("accuracy", "likelihood", "last accuracy")
    ),
)


def train_speed(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Epochs to what training without a penalty comes to, on the same weights and batches."""
    penalised = {speed.Arm(penalty=at): f"λ = {at:g}" for at in SPEED_LAMBDAS}
    course = speed.followed(dict.fromkeys((speed.PLAIN, speed.SLOW, speed.FAST, *penalised), seeds))
    yield rows.tidy(quantity="residual", seed=seeds, value=course.residual[speed.PLAIN])
    for measure, sooner in speed.sooner_than_plain(course).items():
        slow, fast = sooner[speed.SLOW], sooner[speed.FAST]
        for arm, name in penalised.items():
            yield SPEED.rows(sooner[arm], slow, positive=fast, setting=f"{measure}, {name}", seed=seeds)


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (
    LOGITS,
    RESIDUAL,
    NORMALISED,
    SCALE,
    STATIONARITY,
    STATIONARITY_FACTOR,
    EQUIVALENCE,
    EQUIVALENCE_MOMENTUM,
    EQUIVALENCE_MOMENTUM_SUMMED,
    EQUIVALENCE_ADAM,
    SPEED,
)
THEORIES = (RESIDUAL_LAW, EQUIVALENCE_LAW)


def units(scale: str) -> list[Unit]:
    seeds, few = range(SEEDS[scale]), range(FEW[scale])
    return [
        unit(train_penalised, seeds, data=("digits",), cost=8),
        unit(train_normalised, seeds, data=("digits",), cost=20),
        unit(measure_scale),
        unit(train_to_optimum, few, data=("digits",), cost=5),
        unit(train_trajectories, few, data=("digits",), cost=10, examples=MOST[scale]),
        unit(train_speed, range(SPEED_SEEDS[scale]), data=("digits",), cost=12),
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

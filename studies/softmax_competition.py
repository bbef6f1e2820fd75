"""The softmax's classes compete: the gradient is p − y, and what one class gains the others lose.

Expect: the identities hold. But a gradient step that lowers every wrong logit may raise the *probability* of
a wrong class, and in a network with shared weights even wrong logits go up. Costs a quarter of a minute
beside the paths of `execution_paths`. Run it with `crosscheck run softmax_competition`.
"""

from __future__ import annotations

from collections.abc import Iterator

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    autodiff,
    data,
    figures,
    keras,
    landscape,
    losses,
    models,
    paths,
    pd,
    replicates,
    rows,
    special,
    steps,
)
from crosscheck.studies.execution_paths import path_units

CLAIM = Claim(
    title="Softmax classes compete, but a wrong class can still gain from a step",
    statement="The gradient of categorical cross-entropy by the logits is p − y: a step pushes the true "
    "class's logit up and every other down, and since the probabilities sum to 1, what raises one lowers the "
    "others.",
    formula=r"\nabla_{\mathbf{z}} \mathcal{L} = \mathbf{p} - \mathbf{y}, \qquad "
    r"\frac{\partial p_i}{\partial z_j} = -p_i\,p_j \quad (i \ne j)",
    source="The Mechanism of Categorical Cross-Entropy; problems 3103379, 3166266",
    correct="A step lowers every wrong logit and raises the true class's probability. A wrong class surely "
    "loses probability where the true class leads; in a small step it gains wherever Σ p² > p_true + "
    "p_wrong, as the other wrong classes do under a confident error. And where classes share weights, a "
    "step on a batch raises some wrong logits too.",
)

SEEDS = {"smoke": 8, "standard": 16, "full": 128}
DTYPES = ("float64", "float32")
CLASSES = (3, 10)
EPS = float(np.finfo("float64").eps)
EXAMPLES, LARGEST = 60, 100.0  # random logits of all sizes up to that, in the first two sections


# --- gradient: does autodiff give p − y? ---

GRADIENT = Check(
    "gradient",
    "Autodiff gives p − y in every component, and their sum 0: ours and Keras', one-hot and sparse.",
    Identity(ulps=4),
    r"\mathbf{p} - \mathbf{y}",
    control="squared error of a softmax",
    settings=DTYPES,
    exact=True,
)
GRADIENT_PATHS = Check(  # on the rows of `execution_paths`
    "gradient_paths",
    "So does Keras on every execution path.",
    Identity(ulps=4),
    r"\mathbf{p} - \mathbf{y}",
    control="squared error through the same head",
    settings=("tensorflow",),
    scope=True,
    exact=True,
)


def measure_gradient(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    for k in CLASSES:
        z, y = landscape.scattered_logits(EXAMPLES, k, LARGEST), landscape.every_label(EXAMPLES, k)
        for dtype in DTYPES:
            yield from gradient_rows(z.astype(dtype), y.astype(dtype), dtype)


def gradient_rows(z: np.ndarray, y: np.ndarray, dtype: str) -> Iterator[pd.DataFrame]:
    """Every component, and the sum of all; of ours, of Keras', and of squared error."""
    classes, by_keras = y.argmax(1).astype("int32"), {"from_logits": True, "reduction": None, "dtype": dtype}
    shared = {"setting": dtype, "resolution": np.finfo(dtype).eps}
    theory = paths.softmax_gradient(z, y)
    for arm, loss, labels in (
        ("claim", losses.categorical_crossentropy, y),
        ("claim", losses.sparse_categorical_crossentropy, classes),
        ("claim", keras.losses.CategoricalCrossentropy(**by_keras), y),
        ("claim", keras.losses.SparseCategoricalCrossentropy(**by_keras), classes),
        ("control", losses.categorical_brier, y),
    ):
        slope = autodiff.logit_gradient(loss, labels, z).astype("float64")
        yield GRADIENT.rows(**{arm: slope}, reference=theory, quantity="component", **shared)
        yield GRADIENT.rows(**{arm: slope.sum(1)}, quantity="sum", **shared)


# --- coupling: does raising one logit lower every other probability? ---

ONE_LOGIT = Check(
    "one_logit",
    "Raising one logit lowers every other probability: ∂p_i/∂z_j = −p_i p_j, by autodiff.",
    Identity(ulps=4),
    r"-p_i\,p_j",
    control="as many sigmoids, judged by the softmax's law",
    exact=True,
)
SIGMOID_CONTRAST = Check(
    "sigmoid_contrast",
    "With sigmoids and binary cross-entropy there is no coupling: off the diagonal all is exactly 0.",
    Identity(ulps=0),
    r"\frac{\partial^2 \mathcal{L}}{\partial z_i \partial z_j} = 0",
    control="a softmax",
    exact=True,
)


def measure_coupling(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Second derivatives off the diagonal, of a softmax and of as many sigmoids; in float64."""
    for k in CLASSES:
        z, y = landscape.scattered_logits(EXAMPLES, k, LARGEST), landscape.every_label(EXAMPLES, k)
        off = ~np.eye(k, dtype=bool)
        softmax = autodiff.logit_hessian(losses.categorical_crossentropy, y, z)[:, off]
        # Our binary cross-entropy averages over the K labels.
        sigmoids = k * autodiff.logit_hessian(losses.binary_crossentropy, y, z)[:, off]
        yield ONE_LOGIT.rows(softmax, sigmoids, paths.softmax_jacobian(z)[:, off], resolution=EPS)
        yield SIGMOID_CONTRAST.rows(sigmoids, softmax, resolution=EPS)


# --- step: whose probability does a step on the logits raise? ---

PROBABILITY = Check(
    "probability",
    "A gradient step in logit space, of any size, raises the probability of the true class.",
    Exceeds(margin=0.0),
    r"\Delta p_y > 0",
    control="a step the other way",
    exact=True,
)
PROBABILITY_OTHERS = Check(
    "probability_others",
    "The same step lowers the probability of every other class.",
    Exceeds(margin=0.0),
    r"\min_{j \ne y} (-\Delta p_j) > 0",
    control="a step the other way",
    scope=True,
    exact=True,
)
STEPS = (0.01, 0.1, 1.0, 10.0)  # rates of the step in logit space


def measure_step(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """What steps in logit space do to the probabilities, at random logits up to ±10."""
    z = 3 * np.random.default_rng(0).normal(size=(500, 5)).clip(-3, 3)
    y = np.eye(5)[np.arange(len(z)) % 5]
    slope = autodiff.logit_gradient(losses.categorical_crossentropy, y, z)
    wrong = y == 0
    yield from law_rows(z, y, slope)
    for arm, sign in (("claim", 1), ("control", -1)):
        after = np.stack([special.softmax(z - sign * rate * slope, axis=1) for rate in STEPS])
        change = after - special.softmax(z, axis=1)  # [steps, N, K]
        up = (change[:, wrong] > 0).mean(1)
        yield PROBABILITY.rows(**{arm: change[:, ~wrong].min(1)}, x=STEPS)
        yield PROBABILITY_OTHERS.rows(**{arm: (-change[:, wrong]).min(1)}, x=STEPS)
        yield rows.tidy(quantity="up after a step", arm=arm, x=STEPS, value=up)


def gaining_part(rows: pd.DataFrame) -> pd.DataFrame:
    """The part of the wrong classes that gain by a step on the logits, a row a rate."""
    return rows[(rows["quantity"] == "up after a step") & (rows["arm"] == "claim")]


def draw_steps(ax, rows: pd.DataFrame) -> None:
    part = gaining_part(rows)
    ax.plot(part["x"], part["value"] * 100, "o-", label="wrong classes that gain")
    figures.theory_line(ax, part["x"], 0.0, "as the claim has it")
    ax.set(title="After a step on the logits", xlabel="rate η", ylabel="% of wrong classes", xscale="log")
    ax.set_ylim(-2, None)
    ax.legend(loc="center left")


# --- law: which wrong classes gain from a small step? ---

PROBABILITY_LAW = Check(
    "probability_law",
    "To first order a wrong class gains p_j (Σ p² − p_y − p_j): up where Σ p² exceeds the other two.",
    Identity(ulps=16),  # a Hessian's row times a gradient
    r"\frac{dp_j}{d\eta} = p_j \Bigl(\sum_k p_k^2 - p_y - p_j\Bigr)",
    control="the law without its sum",
    exact=True,
)


def gain(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dp/dη at η = 0 of the step z − η (p − y): p_j (Σ p² − p_y − p_j) for the wrong classes; [..., K]."""
    lead = y - p
    return p * (lead - (p * lead).sum(-1, keepdims=True))


def gain_of(j: int) -> float:
    z = np.array([-1.0, 2.0, 0.5])
    return float(gain(special.softmax(z), np.eye(3)[0])[j])


def gain_by_differentiation(j: int) -> float:
    """The softmax after the step, differentiated by its rate."""
    z = [mpmath.mpf(-1), mpmath.mpf(2), mpmath.mpf("0.5")]
    total = mpmath.fsum(map(mpmath.exp, z))
    push = [(1 if k == 0 else 0) - mpmath.exp(z[k]) / total for k in range(3)]

    def probability(rate):
        after = [mpmath.exp(a + rate * b) for a, b in zip(z, push, strict=True)]
        return after[j] / mpmath.fsum(after)

    return float(mpmath.diff(probability, 0))


def law_rows(z: np.ndarray, y: np.ndarray, slope: np.ndarray) -> Iterator[pd.DataFrame]:
    """The softmax's Jacobian by autodiff times the step, against the law; and one small step, to look at."""
    jacobian = autodiff.logit_hessian(losses.categorical_crossentropy, y, z)
    gains = -np.einsum("nij,nj->ni", jacobian, slope)
    p, wrong = paths.softmax(z), y == 0
    law, without_sum = gain(p, y), p * (y - p)
    yield PROBABILITY_LAW.rows(claim=gains, reference=law, resolution=EPS)
    yield PROBABILITY_LAW.rows(control=gains, reference=without_sum, resolution=EPS)
    small = (special.softmax(z - 1e-3 * slope, axis=1) - p) / 1e-3
    yield rows.tidy(quantity="gain", x=law[wrong], value=small[wrong])


def draw_gain(ax, rows: pd.DataFrame) -> None:
    gains = rows[rows["quantity"] == "gain"]
    for up, label, colour in ((False, "loses", 0), (True, "gains", 1)):
        side = gains[(gains["value"] > 0) == up]
        style = {"color": figures.PALETTE[colour], "alpha": 0.4, "rasterized": True}
        ax.plot(side["x"], side["value"], "o", label=label, **style)
    ends = np.array([gains["x"].min(), gains["x"].max()])
    figures.theory_line(ax, ends, ends, "measured = law")
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(title="A wrong class's probability", xlabel="p_j (Σp² − p_y − p_j)", ylabel="Δp_j / η, η = 0.001")
    ax.legend(loc="upper left")


# --- shared weights: does a step on a batch lower its wrong logits? ---

UP = 0.01  # of the pairs; below, "every" is as good as true
BATCHES = (1, 64)
TRIALS = 8  # batches a seed
RATE = 0.1  # of the step

SHARED_WEIGHTS_LINEAR = Check(
    "shared_weights_linear",
    "In a linear model, a gradient step on one example lowers every wrong logit of it.",
    Equal(margin=UP),
    r"\mathrm{Pr}(\Delta z_j > 0 \mid j \ne y) = 0",
    control="the step taken on another label",
)
SHARED_WEIGHTS = Check(
    "shared_weights",
    "In a network, a gradient step lowers all but a hundredth of the wrong logits of its batch.",
    Equal(margin=UP),
    r"\mathrm{Pr}(\Delta z_j > 0 \mid j \ne y) = 0",
    control="the step taken on other labels",
    settings=tuple(f"batch of {n}" for n in BATCHES),
    scope=True,
)


def train_step(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """One step of gradient descent on a batch, in networks after an epoch: do the wrong logits fall?"""
    network = after_an_epoch(seeds, [64])
    for batch in BATCHES:
        arms = rising_share(network, batch)
        yield SHARED_WEIGHTS.rows(*arms, setting=f"batch of {batch}", x=batch, seed=seeds)
    yield SHARED_WEIGHTS_LINEAR.rows(*rising_share(after_an_epoch(seeds, []), 1), x=1, seed=seeds)


def after_an_epoch(seeds: tuple[int, ...], hidden: list[int]):
    """Networks of the digits, trained for an epoch: replicates [S]."""
    digits = data.load("digits")
    trained = replicates.Replicates(models.perceptron(digits.x_train.shape[1], hidden, 10), seeds)
    trained.compile(keras.optimizers.Adam(1e-3), losses.sparse_categorical_crossentropy)
    trained.fit(digits.x_train, digits.y_train, batch_size=64)
    return trained


def rising_share(trained, batch: int) -> list[np.ndarray]:
    """The share of (example, wrong class) pairs whose logit rises, of TRIALS batches a seed.

    Returns:
        After a step on the true labels, and after one on others: [S] each.
    """
    digits, seeds = data.load("digits"), trained.seeds
    weights = [np.repeat(w, TRIALS, axis=0) for w in trained.get_weights()]
    generators = [np.random.default_rng((seed, trial)) for seed in seeds for trial in range(TRIALS)]
    chosen = np.stack([rng.choice(len(digits.x_train), batch, replace=False) for rng in generators])
    x, y = digits.x_train[chosen], digits.y_train[chosen]  # [R, B, D], [R, B]
    others = (y + np.stack([rng.integers(1, 10, batch) for rng in generators])) % 10
    twice = [np.concatenate([w, w]) for w in weights]  # the claim's, then the control's
    up = steps.raised_logits(trained.build, twice, np.concatenate([x, x]), np.concatenate([y, others]), RATE)
    wrong = y[..., None] != np.arange(10)  # by the true labels, in both arms
    return [arm[wrong].reshape(len(seeds), -1).mean(1) for arm in np.split(up, 2)]  # of [R, B, K] each


def draw_shared(ax, rows: pd.DataFrame) -> None:
    shared = rows[rows["check"] == "shared_weights"]
    for arm, label, colour in (("claim", "true labels", 0), ("control", "other labels", 1)):
        for i, batch in enumerate(BATCHES):
            part = shared[(shared["arm"] == arm) & (shared["x"] == batch)]
            place = np.full(len(part), i + (-0.1 if arm == "claim" else 0.1))
            style = {"color": figures.PALETTE[colour], "label": label if i == 0 else "", "alpha": 0.5}
            ax.plot(place, part["value"] * 100, "o", **style)
    figures.theory_line(ax, [-0.5, 1.5], UP * 100, "margin")
    ax.set(title="After a step on shared weights", xlabel="batch", ylabel="% of wrong logits that rise")
    ax.set_xticks(range(len(BATCHES)), map(str, BATCHES))
    ax.legend(loc="center right")


# --- the whole study ---

CHECKS = (
    GRADIENT,
    GRADIENT_PATHS,
    ONE_LOGIT,
    SIGMOID_CONTRAST,
    PROBABILITY,
    PROBABILITY_OTHERS,
    PROBABILITY_LAW,
    SHARED_WEIGHTS_LINEAR,
    SHARED_WEIGHTS,
)
THEORIES = (Theory("gain", gain_of, gain_by_differentiation, [(0,), (1,), (2,)]),)


def units(scale: str) -> list[Unit]:
    return [
        *path_units(scale, ("categorical", "sparse"), ("tensorflow",)),
        unit(measure_gradient),
        unit(measure_coupling),
        unit(measure_step),
        unit(train_step, range(SEEDS[scale]), data=("digits",), cost=10),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """How often a wrong class gains, by a step on its logits and by a step on weights."""
    shared = rows[(rows["check"] == "shared_weights") & (rows["arm"] == "claim")]
    means = shared.groupby("setting", sort=False)["value"].mean()
    steps = gaining_part(rows).itertuples()
    lines = [
        *(("on the logits", f"rate {step.x:g}", "probability", step.value) for step in steps),
        *(("on shared weights", str(setting), "logit", mean) for setting, mean in means.items()),
    ]
    return pd.DataFrame(lines, columns=["A step", "of", "raises the wrong class's", "in this part of pairs"])


def figure(rows: pd.DataFrame):
    """The law of gain, how often wrong classes gain, and what shared weights do."""
    canvas, axes = figures.panels(3, 1, height=3.5)
    for draw, ax in zip((draw_gain, draw_steps, draw_shared), axes, strict=True):
        draw(ax, rows)
    return canvas

"""The softmax's classes compete: the gradient is p − y, and what one class gains the others lose.

Expect: the identities hold. But a gradient step that lowers every wrong logit may raise the *probability* of
a wrong class, and on a batch even wrong logits go up. Costs a
quarter of a minute beside the paths of `execution_paths`. Run it with `crosscheck run softmax_competition`.
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
    landscape,
    losses,
    paths,
    pd,
    rows,
    steps,
    two_classes,
)
from crosscheck.studies.execution_paths import BITS, WRITTEN_OUT, path_units

CLAIM = Claim(
    title="Softmax classes compete, but a wrong class can still gain from a step",
    statement="The gradient of categorical cross-entropy by the logits is p − y: a step pushes the true "
    "class's logit up and every other down, and since the probabilities sum to 1, what raises one lowers the "
    "others.",
    formula=r"\nabla_{\mathbf{z}} \mathcal{L} = \mathbf{p} - \mathbf{y}, \qquad "
    r"\frac{\partial p_i}{\partial z_j} = -p_i\,p_j \quad (i \ne j)",
    source="The Mechanism of Categorical Cross-Entropy; problems 3103379, 3166266",
    correct="A step on the logits lowers every wrong one and raises the true class's probability. A wrong "
    "class surely loses probability where the true class leads; in a small step it gains wherever Σ p² > "
    "p_true + p_wrong, as the other wrong classes do under a confident error. A step on weights moves an "
    "example's logits for the sake of the other examples of its batch, too, and so raises almost half of the "
    "wrong ones, even in a linear softmax, whose classes share no weights.",
)

SEEDS = {"smoke": 6, "standard": 24, "full": 128}
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
    control="logits rounded to the next narrower dtype",
    positive="the loss written out as ln Σ e^z − yᵀz",
    settings=DTYPES,
    exact=True,
)
GRADIENT_PATHS = Check(  # on the rows of `execution_paths`
    "gradient_paths",
    "So does Keras on every execution path.",
    Identity(ulps=4),
    r"\mathbf{p} - \mathbf{y}",
    control=BITS,
    positive=WRITTEN_OUT,
    settings=("tensorflow",),
    scope=True,
    exact=True,
)


def measure_gradient(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    for k in CLASSES:
        for dtype in DTYPES:
            yield from gradient_rows(k, dtype)


def gradient_rows(k: int, dtype: str) -> Iterator[pd.DataFrame]:
    """Every component, and the sum of all; of ours and of Keras', and of the controls."""
    z = landscape.scattered_logits(EXAMPLES, k, LARGEST).astype(dtype)
    y = landscape.every_label(EXAMPLES, k).astype(dtype)
    classes, by_keras = y.argmax(1).astype("int32"), {"from_logits": True, "reduction": None, "dtype": dtype}
    shared, theory = {"setting": dtype, "resolution": np.finfo(dtype).eps}, paths.softmax_gradient(z, y)
    for arm, loss, labels, logits in (
        ("claim", losses.categorical_crossentropy, y, z),
        ("claim", losses.sparse_categorical_crossentropy, classes, z),
        ("claim", keras.losses.CategoricalCrossentropy(**by_keras), y, z),
        ("claim", keras.losses.SparseCategoricalCrossentropy(**by_keras), classes, z),
        ("control", losses.categorical_crossentropy, y, landscape.narrowed(z)),
        ("positive", landscape.written_out, y, z),
    ):
        slope = autodiff.logit_gradient(loss, labels, logits).astype("float64")
        yield GRADIENT.rows(**{arm: slope}, reference=theory, quantity="component", **shared)
        yield GRADIENT.rows(**{arm: slope.sum(1)}, quantity="sum", **shared)


# --- two classes: is the binary loss a case of it? ---

TWO_CLASSES = Check(
    "two_classes",
    "Of two classes value and gradient are those of binary cross-entropy at z₁ − z₀: ours and Keras'.",
    Identity(ulps=4),
    r"\mathrm{softmax}(z_0, z_1)_1 = \sigma(z_1 - z_0)",
    control="logits rounded to the next narrower dtype",
    positive="the binary loss of the difference itself",
    settings=DTYPES,
    exact=True,
)
TWO_CLASSES_PENALTY = Check(
    "two_classes_penalty",
    "With twice the L2 penalty of one logit, two logits come to the same classifier.",
    Equal(margin=0.02),
    r"\lambda_2 = 2 \lambda_1:\; \hat w_1 - \hat w_0 = \hat w",
    control="the same penalty on both",
    positive="no penalty on either",
    population="generator",
)
PENALTY = 0.05  # λ in Keras' sense


def measure_two_classes(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Value and slope along z₁, of two logits up to 100 in size, against the binary oracle."""
    for dtype in DTYPES:
        z = landscape.scattered_logits(EXAMPLES, 2, LARGEST).astype(dtype)
        y = landscape.every_label(EXAMPLES, 2).astype(dtype)
        exact = paths.oracle("binary", z[:, 1].astype("float64") - z[:, 0], y[:, 1])
        options = {"from_logits": True, "reduction": None, "dtype": dtype}
        for arm, loss, logits in (
            ("claim", losses.categorical_crossentropy, z),
            ("claim", keras.losses.CategoricalCrossentropy(**options), z),
            ("control", losses.categorical_crossentropy, landscape.narrowed(z)),
            ("positive", two_classes.by_one_logit, z),
        ):
            for measured, true in zip(two_classes.value_and_slope(loss, y, logits), exact, strict=False):
                ulp = np.finfo(dtype).eps * np.maximum(1, np.abs(true))
                yield TWO_CLASSES.rows(**{arm: measured}, reference=true, setting=dtype, resolution=ulp)


def train_two_classes(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """How far apart penalised optima of linear models with two logits and with one lie."""
    truth, free_truth = two_classes.penalised_slopes(seeds, (PENALTY, 0.0), two=False)
    found = two_classes.penalised_slopes(seeds, (2 * PENALTY, PENALTY, 0.0), two=True)
    doubled, same, free = map(two_classes.apart, found, (truth, truth, free_truth))
    yield TWO_CLASSES_PENALTY.rows(doubled, same, positive=free, seed=seeds)


# --- coupling: does raising one logit lower every other probability? ---

ONE_LOGIT = Check(
    "one_logit",
    "Raising one logit lowers every other probability: ∂p_i/∂z_j = −p_i p_j, by autodiff.",
    Identity(ulps=4),
    r"-p_i\,p_j",
    control="logits rounded to float32",
    positive="the loss written out as ln Σ e^z − yᵀz",
    exact=True,
)
SIGMOID_CONTRAST = Check(
    "sigmoid_contrast",
    "With sigmoids and binary cross-entropy there is no coupling: off the diagonal all is exactly 0.",
    Identity(ulps=0),
    r"\frac{\partial^2 \mathcal{L}}{\partial z_i \partial z_j} = 0",
    control="a softmax",
    positive="Keras' own binary cross-entropy from logits",
    exact=True,
)


def measure_coupling(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Second derivatives off the diagonal, of a softmax and of as many sigmoids; in float64."""
    keras_own = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype="float64")
    softmax, binary = losses.categorical_crossentropy, losses.binary_crossentropy
    for k in CLASSES:
        z, y = landscape.scattered_logits(EXAMPLES, k, LARGEST), landscape.every_label(EXAMPLES, k)
        off = ~np.eye(k, dtype=bool)
        arms = (softmax, z), (softmax, landscape.narrowed(z)), (landscape.written_out, z)
        ours, *others = (autodiff.logit_hessian(loss, y, logits)[:, off] for loss, logits in arms)
        law = paths.softmax_jacobian(z)[:, off]
        yield ONE_LOGIT.rows(ours, others[0], law, positive=others[1], resolution=EPS)
        # A binary cross-entropy averages over the K labels.
        apart, by_keras = (k * autodiff.logit_hessian(loss, y, z)[:, off] for loss in (binary, keras_own))
        yield SIGMOID_CONTRAST.rows(apart, ours, positive=by_keras, resolution=EPS)


# --- step: whose probability does a step on the logits raise? ---

PROBABILITY = Check(
    "probability",
    "A gradient step in logit space, of any size, raises the probability of the true class.",
    Exceeds(margin=0.0),
    r"\Delta p_y > 0",
    control="the step taken on another label",
    positive="the true class's part of the step alone",
    exact=True,
)
PROBABILITY_OTHERS = Check(
    "probability_others",
    "The same step lowers the probability of every other class.",
    Exceeds(margin=0.0),
    r"\min_{j \ne y} (-\Delta p_j) > 0",
    control="the step taken on another label",
    positive="the true class's part of the step alone",
    scope=True,
    exact=True,
)
STEPS = (0.01, 0.1, 1.0, 10.0)  # rates of the step in logit space


def measure_step(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """What steps in logit space do to the probabilities, at random logits up to ±10."""
    z = 3 * np.random.default_rng(0).normal(size=(500, 5)).clip(-3, 3)
    y = np.eye(5)[np.arange(len(z)) % 5]
    slope, other = (
        autodiff.logit_gradient(losses.categorical_crossentropy, labels, z)
        for labels in (y, np.roll(y, 1, axis=1))
    )
    wrong = y == 0
    yield from law_rows(z, y, slope)
    for arm, push in (("claim", slope), ("control", other), ("positive", slope * y)):
        change = steps.changes(z, push, STEPS)
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
    positive="the softmax itself, differentiated by a complex step",
    exact=True,
)


def law_rows(z: np.ndarray, y: np.ndarray, slope: np.ndarray) -> Iterator[pd.DataFrame]:
    """The softmax's Jacobian by autodiff times the step, against the law; and one small step, to look at."""
    jacobian = autodiff.logit_hessian(losses.categorical_crossentropy, y, z)
    gains = -np.einsum("nij,nj->ni", jacobian, slope)
    p, wrong = paths.softmax(z), y == 0
    law, without_sum = steps.gain(p, y), p * (y - p)
    by_softmax = steps.gain_by_complex_step(z, -slope)
    yield PROBABILITY_LAW.rows(claim=gains, positive=by_softmax, reference=law, resolution=EPS)
    yield PROBABILITY_LAW.rows(control=gains, reference=without_sum, resolution=EPS)
    small = steps.changes(z, slope, (1e-3,))[0] / 1e-3
    yield rows.tidy(quantity="gain", x=law[wrong], value=small[wrong])


def draw_gain(ax, rows: pd.DataFrame) -> None:
    gains = rows[rows["quantity"] == "gain"]
    colours = np.where(gains["value"] > 0, figures.PALETTE[1], figures.PALETTE[0])
    ax.scatter(gains["x"], gains["value"], c=colours, alpha=0.4, rasterized=True, label="loses, or gains")
    ends = gains["x"].agg(["min", "max"])
    figures.theory_line(ax, ends, ends, "measured = law")
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(title="A wrong class's probability", xlabel="p_j (Σp² − p_y − p_j)", ylabel="Δp_j / η, η = 0.001")
    ax.legend(loc="upper left")


# --- weights: does a step on a batch lower its wrong logits? ---

UP = 0.01  # of the pairs; below, "every" is as good as true
BATCHES = (1, 64)

SHARED_WEIGHTS_LINEAR = Check(
    "shared_weights_linear",
    "In a linear model, a gradient step on one example lowers every wrong logit of it.",
    Equal(margin=UP),
    r"\Delta z_j = -\eta\,(1 + \lVert x\rVert^2)\,p_j",
    control="a second example in the batch",
    positive="63 more in the batch, all of the example's own class",
    exact=True,  # by algebra: the batches are points at which it was tried
)
SHARED_WEIGHTS_LINEAR_BATCH = Check(
    "shared_weights_linear_batch",
    "In a linear model, a step on a batch of 64 lowers all but a hundredth of the wrong logits of it.",
    Equal(margin=UP),
    r"\mathrm{Pr}(\Delta z_j > 0 \mid j \ne y) = 0",
    control="the step taken on other labels",
    positive="a batch of one class",
    population="these data sets",
    scope=True,
)
SHARED_WEIGHTS = Check(
    "shared_weights",
    "In a network, a step lowers all but a hundredth of the wrong logits of its batch.",
    Equal(margin=UP),
    r"\mathrm{Pr}(\Delta z_j > 0 \mid j \ne y) = 0",
    control="the step taken on other labels",
    positive="the hidden layer held, on a batch of 1",
    settings=tuple(f"batch of {n}" for n in BATCHES),
    population="these data sets",
    scope=True,
)


def train_step(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """One step of gradient descent on a batch, in models after an epoch: do the wrong logits fall?"""
    digits = data.load("digits")
    x, y = digits.x_train, digits.y_train
    linear, network = (steps.after_an_epoch(seeds, x, y, hidden) for hidden in ((), (steps.HIDDEN,)))
    (alone,), (pairs,) = (steps.rising_shares(linear, x, y, size, steps.STEPS[:1]) for size in (1, 2))
    batch, others, alike = steps.rising_shares(linear, x, y, 64)
    yield SHARED_WEIGHTS_LINEAR.rows(alone, pairs, positive=alike, quantity="linear", x=1)
    shared = {"quantity": "linear", "x": 64, "seed": seeds, "trials": 9 * 64 * steps.TRIALS}
    yield SHARED_WEIGHTS_LINEAR_BATCH.rows(batch, others, positive=alike, **shared)
    (held,) = steps.rising_shares(network, x, y, 1, steps.STEPS[:1], steps.last_layer_only(64, 10))
    yield SHARED_WEIGHTS.rows(positive=held, setting="batch of 1", seed=seeds)
    for size in BATCHES:
        arms = steps.rising_shares(network, x, y, size, steps.STEPS[:2])
        yield SHARED_WEIGHTS.rows(*arms, setting=f"batch of {size}", quantity="network", x=size, seed=seeds)


def draw_shared(ax, rows: pd.DataFrame) -> None:
    seen = rows[rows["arm"] == "claim"]
    for step, name in enumerate(("linear", "network")):
        part = seen[seen["quantity"] == name]
        place = part["x"].map({size: i for i, size in enumerate(BATCHES)}) + 0.2 * step - 0.1
        ax.plot(place, part["value"] * 100, "o", color=figures.PALETTE[step], label=name, alpha=0.5)
    figures.theory_line(ax, [-0.5, 1.5], UP * 100, "margin")
    ax.set(title="After a step on weights", xlabel="examples in the batch", ylabel="% of wrong logits up")
    ax.set_xticks(range(len(BATCHES)), map(str, BATCHES))
    ax.legend(loc="upper left")


# --- the whole study ---

CHECKS = (
    GRADIENT,
    GRADIENT_PATHS,
    TWO_CLASSES,
    TWO_CLASSES_PENALTY,
    ONE_LOGIT,
    SIGMOID_CONTRAST,
    PROBABILITY,
    PROBABILITY_OTHERS,
    PROBABILITY_LAW,
    SHARED_WEIGHTS_LINEAR,
    SHARED_WEIGHTS_LINEAR_BATCH,
    SHARED_WEIGHTS,
)
BY_DIFFERENTIATION = lambda j: steps.gain_by_differentiation(j)
THEORIES = (Theory("gain", lambda j: steps.gain_at(j), BY_DIFFERENTIATION, [(0,), (1,), (2,)]),)


def units(scale: str) -> list[Unit]:
    seeds = range(SEEDS[scale])
    return [
        *path_units(scale, ("categorical", "sparse"), ("tensorflow",)),
        unit(measure_gradient),
        unit(measure_two_classes),
        unit(train_two_classes, seeds, cost=4),
        unit(measure_coupling),
        unit(measure_step),
        unit(train_step, seeds, data=("digits",), cost=10),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """How often a wrong class gains, by a step on its logits and by a step on weights."""
    risen = rows[(rows["arm"] == "claim") & rows["quantity"].isin(["linear", "network"])]
    means = risen.groupby(["quantity", "x"])["value"].mean().reset_index().itertuples()
    lines = [
        ("on the logits", f"rate {m.x:g}", "probability", m.value) for m in gaining_part(rows).itertuples()
    ]
    lines += [(f"on weights, {m.quantity}", f"batch of {m.x:g}", "logit", m.value) for m in means]
    return pd.DataFrame(lines, columns=["A step", "of", "raises the wrong class's", "in this part of pairs"])


def figure(rows: pd.DataFrame):
    """The law of gain, how often wrong classes gain, and what a step on a batch does."""
    canvas, axes = figures.panels(3, 1, height=3.5)
    for draw, ax in zip((draw_gain, draw_steps, draw_shared), axes, strict=True):
        draw(ax, rows)
    return canvas

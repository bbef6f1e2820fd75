"""The softmax's classes compete: the gradient is p − y, and what one class gains the others lose.

Expect: the identities hold. But a gradient step that lowers every wrong logit may raise the *probability* of
a wrong class, and in a network with shared weights even wrong logits go up. Costs a quarter of a minute
beside the paths of `execution_paths`.
"""

from __future__ import annotations

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit
from crosscheck.lazy import (
    autodiff,
    data,
    figures,
    keras,
    losses,
    models,
    paths,
    pd,
    replicates,
    rows,
    special,
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
STEPS = (0.01, 0.1, 1.0, 10.0)  # rates of the step in logit space
BATCHES = (1, 64)
TRIALS = 8  # batches a seed
RATE = 0.1  # of the step in a network
UP = 0.01  # of the pairs; below, "every" is as good as true

CHECKS = (
    Check(
        "gradient",
        "Autodiff gives p − y in every component, and their sum 0: ours and Keras', one-hot and sparse.",
        Identity(ulps=4),
        r"\mathbf{p} - \mathbf{y}",
        control="squared error of a softmax",
        settings=DTYPES,
        exact=True,
    ),
    Check(
        "gradient_paths",
        "So does Keras on every execution path.",
        Identity(ulps=4),
        r"\mathbf{p} - \mathbf{y}",
        control="squared error through the same head",
        settings=("tensorflow",),
        scope=True,
        exact=True,
    ),
    Check(
        "one_logit",
        "Raising one logit lowers every other probability: ∂p_i/∂z_j = −p_i p_j, by autodiff.",
        Identity(ulps=4),
        r"-p_i\,p_j",
        control="as many sigmoids, judged by the softmax's law",
        exact=True,
    ),
    Check(
        "sigmoid_contrast",
        "With sigmoids and binary cross-entropy there is no coupling: off the diagonal all is exactly 0.",
        Identity(ulps=0),
        r"\frac{\partial^2 \mathcal{L}}{\partial z_i \partial z_j} = 0",
        control="a softmax",
        exact=True,
    ),
    Check(
        "probability",
        "A gradient step in logit space, of any size, raises the probability of the true class.",
        Exceeds(margin=0.0),
        r"\Delta p_y > 0",
        control="a step the other way",
        exact=True,
    ),
    Check(
        "probability_others",
        "The same step lowers the probability of every other class.",
        Exceeds(margin=0.0),
        r"\min_{j \ne y} (-\Delta p_j) > 0",
        control="a step the other way",
        scope=True,
        exact=True,
    ),
    Check(
        "probability_law",
        "To first order a wrong class gains p_j (Σ p² − p_y − p_j): up where Σ p² exceeds the other two.",
        Identity(ulps=16),  # a Hessian's row times a gradient
        r"\frac{dp_j}{d\eta} = p_j \Bigl(\sum_k p_k^2 - p_y - p_j\Bigr)",
        control="the law without its sum",
        exact=True,
    ),
    Check(
        "shared_weights_linear",
        "In a linear model, a gradient step on one example lowers every wrong logit of it.",
        Equal(margin=UP),
        r"\mathrm{Pr}(\Delta z_j > 0 \mid j \ne y) = 0",
        control="the step taken on another label",
    ),
    Check(
        "shared_weights",
        "In a network, a gradient step lowers all but a hundredth of the wrong logits of its batch.",
        Equal(margin=UP),
        r"\mathrm{Pr}(\Delta z_j > 0 \mid j \ne y) = 0",
        control="the step taken on other labels",
        settings=tuple(f"batch of {n}" for n in BATCHES),
        scope=True,
    ),
)


# --- theory -----------------------------------------------------------------------------------------


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


THEORIES = (Theory("gain", gain_of, gain_by_differentiation, [(0,), (1,), (2,)]),)


# --- experiments ------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    seeds = tuple(range(SEEDS[scale]))
    return [
        *path_units(scale, ("categorical", "sparse"), ("tensorflow",)),
        Unit("softmax_competition", "measure_gradient"),
        Unit("softmax_competition", "measure_coupling"),
        Unit("softmax_competition", "measure_step"),
        Unit("softmax_competition", "train_step", {}, seeds, ("digits",), cost=10),
    ]


def drawn(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of all sizes up to 100, [N, K], and one-hot labels."""
    z = np.random.default_rng(k).normal(size=(60, k)) * np.geomspace(0.1, 100, 60)[:, None]
    return z, np.eye(k)[np.arange(len(z)) % k]


def measure_gradient(seeds: tuple[int, ...]) -> pd.DataFrame:
    return pd.concat(gradient_rows(*drawn(k), dtype) for k in CLASSES for dtype in DTYPES)


def gradient_rows(z: np.ndarray, y: np.ndarray, dtype: str) -> pd.DataFrame:
    """Every component, and the sum of all; of ours, of Keras', and of squared error."""
    z, hot, classes = z.astype(dtype), y.astype(dtype), y.argmax(1).astype("int32")
    theirs = {"from_logits": True, "reduction": None, "dtype": dtype}
    arms = [
        ("claim", losses.categorical_crossentropy, hot),
        ("claim", losses.sparse_categorical_crossentropy, classes),
        ("claim", keras.losses.CategoricalCrossentropy(**theirs), hot),
        ("claim", keras.losses.SparseCategoricalCrossentropy(**theirs), classes),
        ("control", losses.categorical_brier, hot),
    ]
    shared = {"check": "gradient", "setting": dtype, "resolution": np.finfo(dtype).eps}
    reference = paths.softmax_gradient(z, y)
    parts = []
    for arm, loss, labels in arms:
        found = autodiff.logit_gradient(loss, labels, z).astype("float64")
        parts.append(rows.tidy(arm=arm, quantity="component", value=found, reference=reference, **shared))
        parts.append(rows.tidy(arm=arm, quantity="sum", value=found.sum(1), **shared))
    return pd.concat(parts)


def measure_coupling(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Second derivatives off the diagonal, of a softmax and of as many sigmoids; in float64."""
    parts = []
    for k in CLASSES:
        z, y = drawn(k)
        soft = autodiff.logit_hessian(losses.categorical_crossentropy, y, z)
        apart = k * autodiff.logit_hessian(losses.binary_crossentropy, y, z)  # ours averages over the K
        off = ~np.eye(k, dtype=bool)
        law = paths.softmax_jacobian(z)[:, off]
        eps = np.finfo("float64").eps
        parts += [
            rows.tidy(check="one_logit", value=soft[:, off], reference=law, resolution=eps),
            rows.tidy(check="one_logit", arm="control", value=apart[:, off], reference=law, resolution=eps),
            rows.tidy(check="sigmoid_contrast", value=apart[:, off], resolution=eps),
            rows.tidy(check="sigmoid_contrast", arm="control", value=soft[:, off], resolution=eps),
        ]
    return pd.concat(parts)


def measure_step(seeds: tuple[int, ...]) -> pd.DataFrame:
    """What steps in logit space do to the probabilities, at drawn logits up to ±10."""
    z = 3 * np.random.default_rng(0).normal(size=(500, 5)).clip(-3, 3)
    y = np.eye(5)[np.arange(len(z)) % 5]
    slope = autodiff.logit_gradient(losses.categorical_crossentropy, y, z)
    wrong = y == 0
    parts = [law_rows(z, y, slope)]
    for arm, sign in (("claim", 1), ("control", -1)):
        after = np.stack([special.softmax(z - sign * rate * slope, axis=1) for rate in STEPS])
        change = after - special.softmax(z, axis=1)  # [steps, N, K]
        up = (change[:, wrong] > 0).mean(1)
        parts += [
            rows.tidy(check="probability", arm=arm, x=STEPS, value=change[:, ~wrong].min(1)),
            rows.tidy(check="probability_others", arm=arm, x=STEPS, value=(-change[:, wrong]).min(1)),
            rows.tidy(quantity="up after a step", arm=arm, x=STEPS, value=up),
        ]
    return pd.concat(parts)


def law_rows(z: np.ndarray, y: np.ndarray, slope: np.ndarray) -> pd.DataFrame:
    """The Jacobian by autodiff times the step, against the law; and one small step, to look at."""
    jacobian = autodiff.logit_hessian(losses.categorical_crossentropy, y, z)  # the softmax's
    found = -np.einsum("nij,nj->ni", jacobian, slope)
    p, wrong = paths.softmax(z), y == 0
    law, without = gain(p, y), p * (y - p)
    shared = {"check": "probability_law", "resolution": np.finfo("float64").eps}
    small = (special.softmax(z - 1e-3 * slope, axis=1) - p) / 1e-3
    return pd.concat(
        [
            rows.tidy(value=found, reference=law, **shared),
            rows.tidy(arm="control", value=found, reference=without, **shared),
            rows.tidy(quantity="gain", x=law[wrong], value=small[wrong]),
        ]
    )


def train_step(seeds: tuple[int, ...]) -> pd.DataFrame:
    """One step of gradient descent on a batch, in networks after an epoch: do the wrong logits fall?"""
    parts = [step_rows("shared_weights", f"batch of {batch}", seeds, [64], batch) for batch in BATCHES]
    return pd.concat([*parts, step_rows("shared_weights_linear", "", seeds, [], 1)])


def step_rows(
    check: str, setting: str, seeds: tuple[int, ...], hidden: list[int], batch: int
) -> pd.DataFrame:
    """Fraction of (example, wrong class) pairs whose logit rises; TRIALS batches a seed."""
    digits = data.load("digits")
    build = models.perceptron(digits.x_train.shape[1], hidden, 10)
    trained = replicates.Replicates(build, seeds)
    trained.compile(keras.optimizers.Adam(1e-3), losses.sparse_categorical_crossentropy)
    trained.fit(digits.x_train, digits.y_train, batch_size=64)
    weights = [np.repeat(w, TRIALS, axis=0) for w in trained.get_weights()]
    draws = [np.random.default_rng((seed, trial)) for seed in seeds for trial in range(TRIALS)]
    chosen = np.stack([draw.choice(len(digits.x_train), batch, replace=False) for draw in draws])
    x, y = digits.x_train[chosen], digits.y_train[chosen]  # [R, B, D], [R, B]
    others = (y + np.stack([draw.integers(1, 10, batch) for draw in draws])) % 10
    twice = [np.concatenate([each, each]) for each in weights]  # the claim's, then the control's
    up = risen(build, twice, np.concatenate([x, x]), np.concatenate([y, others]))  # [2R, B, K]
    wrong = y[..., None] != np.arange(10)  # as the batch has it, in both arms
    share = [arm[wrong].reshape(len(seeds), -1).mean(1) for arm in np.split(up, 2)]
    return rows.both_arms("value", *share, check=check, setting=setting, x=batch, seed=seeds)


def risen(build, weights: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which logits of each replicate's batch a step of gradient descent on it raises: [R, B, K]."""
    replicas = replicates.Replicates(build, range(len(x)))
    replicas.set_weights(weights)
    replicas.compile(keras.optimizers.SGD(RATE), losses.sparse_categorical_crossentropy)
    before = replicas.predict(x)
    replicas.fit(x, y, batch_size=x.shape[1])
    return replicas.predict(x) > before


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """How often a wrong class gains, by a step on its logits and by a step on weights."""
    steps = rows[(rows["quantity"] == "up after a step") & (rows["arm"] == "claim")]
    shared = rows[(rows["check"] == "shared_weights") & (rows["arm"] == "claim")]
    told = [("on the logits", f"rate {step.x:g}", "probability", step.value) for step in steps.itertuples()]
    means = shared.groupby("setting", sort=False)["value"].mean()
    told += [("on shared weights", str(setting), "logit", value) for setting, value in means.items()]
    return pd.DataFrame(told, columns=["A step", "of", "raises the wrong class's", "in this part of pairs"])


def figure(rows: pd.DataFrame):
    """The law of gain, how often wrong classes gain, and what shared weights do."""
    canvas, axes = figures.panels(3, 1, height=3.5)
    for panel, ax in zip((draw_gain, draw_steps, draw_shared), axes, strict=True):
        panel(ax, rows)
    return canvas


def draw_gain(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["quantity"] == "gain"]
    for up, label, colour in ((False, "loses", 0), (True, "gains", 1)):
        some = part[(part["value"] > 0) == up]
        style = {"color": figures.PALETTE[colour], "alpha": 0.4, "rasterized": True}
        ax.plot(some["x"], some["value"], "o", label=label, **style)
    ends = np.array([part["x"].min(), part["x"].max()])
    figures.theory_line(ax, ends, ends, "measured = law")
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(title="A wrong class's probability", xlabel="p_j (Σp² − p_y − p_j)", ylabel="Δp_j / η, η = 0.001")
    ax.legend(loc="upper left")


def draw_steps(ax, rows: pd.DataFrame) -> None:
    part = rows[(rows["quantity"] == "up after a step") & (rows["arm"] == "claim")]
    ax.plot(part["x"], part["value"] * 100, "o-", label="wrong classes that gain")
    figures.theory_line(ax, part["x"], 0.0, "as the claim has it")
    ax.set(title="After a step on the logits", xlabel="rate η", ylabel="% of wrong classes", xscale="log")
    ax.set_ylim(-2, None)
    ax.legend(loc="center left")


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

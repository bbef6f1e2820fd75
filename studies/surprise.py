"""The loss is the surprise −ln p: without bound as p → 0, and the logarithm's base does not matter.

Expect: exact from logits; from probabilities Keras stops at −ln 1e−7 = 16.1. The base matters to nobody under
SGD and Adam, but it does where the loss stands beside a penalty. Costs ten seconds beside the paths of
`execution_paths`.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np

from studies.execution_paths import path_units
from suite.claims import Check, Claim, Theory, Unit
from suite.criteria import Equal, Identity
from suite.lazy import autodiff, data, figures, keras, losses, models, pd, replicates, rows

CLAIM = Claim(
    title="Cross-entropy is surprise: a tenth of the probability costs ln 10 more, without end",
    statement="The loss −ln p is the surprise at what happened. It doubles from p = 0.1 to p = 0.01 and "
    "grows without bound as p → 0. Another base of the logarithm rescales loss and gradients by one constant "
    "and leaves the relative priority of examples as it was.",
    formula=r"\mathcal{L} = -\ln p_y, \qquad -\ln 0.01 = 2\,(-\ln 0.1) = 2 \ln 10",
    source="The Probabilistic Foundation: Cross-Entropy as a Measure of Surprise; problem 3103406",
    correct="From logits the loss is −ln p without bound; from probabilities Keras' losses end at −ln(1e−7). "
    "The base is one constant of the loss alone: whatever else has a scale must be rescaled with it, a "
    "penalty's coefficient and Adam's ε too.",
)

SEEDS = {"smoke": 8, "standard": 128, "full": 128}  # Adam's ε moves each by another amount
DTYPES = ("float64", "float32")
LN2 = math.log(2)
TINY = 10.0 ** -np.array([1, 2, 5, 7, 10, 20, 30])  # probabilities that float32 and float64 can both hold
LOGITS = -np.array([1, 10, 16, 50, 100, 1e3, 1e4])
BUILT_IN = tuple(
    f"{kind}, {api}" for kind in ("binary", "categorical", "sparse") for api in ("class", "function")
)
BATCH, EPOCHS, RATE, PENALTY = 64, 5, 0.1, 1e-2

CHECKS = (
    Check(
        "values",
        "−ln 0.1 and −ln 0.01, their ratio 2 and difference ln 10: ours and each of Keras', both ways in.",
        Identity(ulps=8),  # the probability, its logit, the loss and the ratio are each rounded
        r"-\ln 0.1,\; -\ln 0.01",
        control="the Brier score",
        settings=DTYPES,
        exact=True,
    ),
    Check(
        "unbounded",
        "On logits down to −10,000 this package's loss is −ln p, however small p.",
        Identity(ulps=4),
        r"-\ln \sigma(z)",
        control="the Brier score",
        settings=DTYPES,
        exact=True,
    ),
    Check(
        "unbounded_probabilities",
        "So are Keras' losses, given probabilities down to 1e−30.",
        Identity(ulps=8),
        r"-\ln p",
        control="squared error",
        settings=BUILT_IN,
        scope=True,
        exact=True,
    ),
    Check(
        "cap",
        "Below p = 1e−7 they all stop at −ln(1e−7) = 16.118.",
        Identity(ulps=4),
        r"-\ln 10^{-7}",
        control="the same probabilities handed over as logits",
        settings=BUILT_IN,
        exact=True,
    ),
    Check(
        "value_paths",
        "So are Keras' losses on every execution path.",
        Identity(ulps=4),
        r"-\ln p_y",
        control="squared error through the same head",
        settings=("tensorflow",),
        scope=True,
        exact=True,
    ),
    Check(
        "base",
        "In base 2 every example's gradient is 1/ln 2 times as large, so its share of the whole is the same.",
        Identity(ulps=8),  # a softmax, a logarithm, a norm, a quotient
        r"\frac{|g_i|}{\sum_j |g_j|}",
        control="the Brier score in place of base 2",
        exact=True,
    ),
    Check(
        "base_sgd",
        "Under SGD, base 2 with the rate times ln 2 ends at the same weights, relative to the way they went.",
        Equal(margin=0.001),
        r"\frac{\lVert w_2 - w_e\rVert}{\lVert w_e - w_0\rVert} = 0",
        control="base 2 with the rate left as it is",
    ),
    Check(
        "base_adam",
        "Under Adam, which divides by the gradient's size, base 2 needs no other rate.",
        Equal(margin=0.001),
        r"\frac{\lVert w_2 - w_e\rVert}{\lVert w_e - w_0\rVert} = 0",
        control="base 2 with the rate times ln 2",
        scope=True,
    ),
    Check(
        "base_adam_epsilon",
        "It does not once Adam's ε, which is not rescaled, is too small to matter: 1e−12.",
        Equal(margin=0.001),
        r"\frac{\lVert w_2 - w_e\rVert}{\lVert w_e - w_0\rVert} = 0",
        control="base 2 with the rate times ln 2",
        scope=True,
    ),
    Check(
        "base_penalty",
        "With an L2 penalty, left as it is, base 2 with the rate times ln 2 still ends at the same weights.",
        Equal(margin=0.001),
        r"\frac{\lVert w_2 - w_e\rVert}{\lVert w_e - w_0\rVert} = 0",
        control="base 2 with the rate left as it is, and the penalty divided by ln 2",
        scope=True,
    ),
    Check(
        "base_penalty_divided",
        "With the penalty divided by ln 2 as well, it does.",
        Equal(margin=0.001),
        r"\frac{\lVert w_2 - w_e\rVert}{\lVert w_e - w_0\rVert} = 0",
        control="base 2 with the rate left as it is, and the penalty divided by ln 2",
        scope=True,
    ),
)


# --- theory -----------------------------------------------------------------------------------------


def surprise(p: float) -> float:
    return -math.log(p)


def surprise_by_integration(p: float) -> float:
    return float(mpmath.quad(lambda t: 1 / t, [p, 1]))


THEORIES = (Theory("surprise", surprise, surprise_by_integration, [(0.1,), (0.01,), (0.5,), (1e-4,)]),)


# --- experiments ------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    seeds = tuple(range(SEEDS[scale]))
    return [
        *path_units(scale, backends=("tensorflow",)),
        Unit("surprise", "measure_values"),
        Unit("surprise", "measure_shares", {}, (), ("digits",)),
        Unit("surprise", "train_bases", {}, seeds, ("digits",), cost=8),
    ]


def measure_values(seeds: tuple[int, ...]) -> pd.DataFrame:
    parts = [value_rows(name, dtype) for name in (*BUILT_IN, "ours") for dtype in DTYPES]
    parts += [unbounded_rows(dtype) for dtype in DTYPES]
    return pd.concat([*parts, *(probability_rows(name) for name in BUILT_IN), brier_rows()])


def value_rows(name: str, dtype: str) -> pd.DataFrame:
    """The two values, their ratio and their difference, from probabilities and from logits."""
    p = np.array([0.1, 0.01])
    entries = ("logits",) if name == "ours" else ("probabilities", "logits")
    found = np.stack([loss_of(name, entry, p, dtype) for entry in entries])  # [E, 2]
    claim = four_numbers(found, dtype, arm="claim")
    brier = losses.brier(np.ones((len(p), 1), dtype), as_tensor(logit(p, dtype)))
    control = four_numbers(autodiff.numbers(brier)[None], dtype, arm="control")
    return pd.concat([claim, control])


def four_numbers(values: np.ndarray, dtype: str, arm: str) -> pd.DataFrame:
    """Of losses [E, 2] at p = 0.1 and 0.01."""
    told = np.stack([values[:, 0], values[:, 1], values[:, 1] / values[:, 0], values[:, 1] - values[:, 0]])
    true = np.array([math.log(10), math.log(100), 2, math.log(10)])[:, None]
    eps = np.finfo(dtype).eps
    return rows.tidy(
        check="values", arm=arm, setting=dtype, value=told, reference=true, resolution=eps * true
    )


def loss_of(name: str, entry: str, p: np.ndarray, dtype: str) -> np.ndarray:
    """The loss of a true class with probability p [N], beside one other class: [N], float64."""
    both = np.stack([p, 1 - p], axis=1).astype(dtype)
    kind, _, api = name.partition(", ")
    if kind in ("binary", "ours"):
        given, y = (both[:, :1] if entry == "probabilities" else logit(p, dtype)), np.ones((len(p), 1), dtype)
    else:
        given = both if entry == "probabilities" else np.log(both)
        y = (
            np.tile(np.array([1, 0], dtype), (len(p), 1))
            if kind == "categorical"
            else np.zeros(len(p), "int32")
        )
    return autodiff.numbers(built_in(kind, api, entry, dtype)(y, as_tensor(given))).astype("float64")


def logit(p: np.ndarray, dtype: str) -> np.ndarray:
    """ln p/(1 − p), as a column."""
    return (np.log(p) - np.log1p(-p)).astype(dtype)[:, None]


def as_tensor(array: np.ndarray):
    return keras.ops.convert_to_tensor(array, dtype=array.dtype.name)


def built_in(kind: str, api: str, entry: str, dtype: str):
    """A loss of Keras that gives a value per example; or ours."""
    if kind == "ours":
        return losses.binary_crossentropy
    functions = {
        "binary": (keras.losses.BinaryCrossentropy, keras.losses.binary_crossentropy),
        "categorical": (keras.losses.CategoricalCrossentropy, keras.losses.categorical_crossentropy),
        "sparse": (keras.losses.SparseCategoricalCrossentropy, keras.losses.sparse_categorical_crossentropy),
    }
    made, function = functions[kind]
    from_logits = entry == "logits"
    if api == "class":
        return made(from_logits=from_logits, reduction=None, dtype=dtype)
    return lambda y, p: function(y, p, from_logits=from_logits)


def unbounded_rows(dtype: str) -> pd.DataFrame:
    z, true = LOGITS, np.logaddexp(0, -LOGITS)
    y, given = np.ones((len(z), 1), dtype), as_tensor(z[:, None].astype(dtype))
    return pd.concat(
        rows.tidy(
            check="unbounded",
            arm=arm,
            setting=dtype,
            quantity="loss",
            x=z,
            value=autodiff.numbers(loss(y, given)),
            reference=true,
            resolution=np.finfo(dtype).eps * np.maximum(1, true),
        )
        for arm, loss in (("claim", losses.binary_crossentropy), ("control", losses.brier))
    )


def probability_rows(name: str) -> pd.DataFrame:
    """Keras' losses fed the probability itself, in float64; squared error is the control."""
    true = -np.log(TINY)
    shared = {"check": "unbounded_probabilities", "setting": name, "quantity": "loss", "x": TINY}
    unit = np.finfo("float64").eps * true
    found = loss_of(name, "probabilities", TINY, "float64")
    given = as_tensor(TINY[:, None])
    squared = autodiff.numbers(keras.losses.mean_squared_error(np.ones_like(TINY)[:, None], given))
    below = TINY < 1e-7
    as_logits = autodiff.numbers(losses.binary_crossentropy(np.ones((below.sum(), 1)), given[below]))
    cap = {
        "check": "cap",
        "setting": name,
        "reference": math.log(1e7),
        "resolution": 16 * np.finfo("float64").eps,
    }
    return pd.concat(
        [
            rows.tidy(value=found, reference=true, resolution=unit, **shared),
            rows.tidy(arm="control", value=squared, reference=true, resolution=unit, **shared),
            rows.tidy(value=found[below], **cap),
            rows.tidy(arm="control", value=as_logits, **cap),
        ]
    )


def brier_rows() -> pd.DataFrame:
    """Only shown: what the Brier score makes of the same probabilities."""
    found = losses.brier(np.ones((len(TINY), 1)), as_tensor(logit(TINY, "float64")))
    return rows.tidy(quantity="brier", x=TINY, value=autodiff.numbers(found))


def measure_shares(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Each example's share of the gradient, of 256 digits under an untrained network, in float64."""
    digits = data.load("digits")
    x, y = digits.x_train[:256], digits.y_train[:256]
    z = 3 * replicates.Replicates(models.perceptron(x.shape[1], [32], 10), [0]).predict(x)[0].astype(
        "float64"
    )
    in_base_2 = lambda y, z: -keras.ops.sum(y * keras.ops.log2(keras.ops.softmax(z)), -1)  # noqa: E731
    squared = lambda y, z: keras.ops.sum(keras.ops.square(keras.ops.softmax(z) - y), -1)  # noqa: E731
    hot = np.eye(10)[y]
    natural, size = shares(losses.categorical_crossentropy, hot, z)
    binary, size_2 = shares(in_base_2, hot, z)
    brier, _ = shares(squared, hot, z)
    eps = np.finfo("float64").eps
    shared = {"check": "base", "x": natural, "reference": natural, "resolution": eps * natural}
    constant = rows.tidy(check="base", value=size_2 / size, reference=1 / LN2, resolution=eps / LN2)
    claim = rows.tidy(quantity="share", value=binary, **shared)
    control = rows.tidy(quantity="share", arm="control", value=brier, **shared)
    return pd.concat([constant, claim, control])


def shares(loss, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each example's part of Σ‖g‖, and ‖g‖ itself: [N] each."""
    size = np.linalg.norm(autodiff.logit_gradient(loss, y, z), axis=1)
    return size / size.sum(), size


def train_bases(seeds: tuple[int, ...]) -> pd.DataFrame:
    """How far base 2 ends from base e, relative to the way from the start: [R] each."""
    sgd, adam = (keras.optimizers.SGD, RATE), (keras.optimizers.Adam, 0.001)
    exact = (lambda rate: keras.optimizers.Adam(rate, epsilon=1e-12), 0.001)
    slower = lambda made, rate: (made, rate * LN2)  # noqa: E731
    pairs = {  # check: what base 2 is held against, as claimed, and the control
        "base_sgd": ((*sgd, 1.0, 0.0), (*slower(*sgd), LN2, 0.0), (*sgd, LN2, 0.0)),
        "base_adam": ((*adam, 1.0, 0.0), (*adam, LN2, 0.0), (*slower(*adam), LN2, 0.0)),
        "base_adam_epsilon": ((*exact, 1.0, 0.0), (*exact, LN2, 0.0), (*slower(*exact), LN2, 0.0)),
        "base_penalty": (
            (*sgd, 1.0, PENALTY),
            (*slower(*sgd), LN2, PENALTY),
            (*sgd, LN2, PENALTY / LN2),
        ),
        "base_penalty_divided": (
            (*sgd, 1.0, PENALTY),
            (*slower(*sgd), LN2, PENALTY / LN2),
            (*sgd, LN2, PENALTY / LN2),
        ),
    }
    runs = {
        run: trained(seeds, *run) for run in dict.fromkeys(run for three in pairs.values() for run in three)
    }
    start = replicates.Replicates(models.perceptron(64, [32], 10), seeds).get_weights()
    return pd.concat(
        rows.tidy(check=check, arm=arm, seed=seeds, value=distance(runs[run], runs[natural], start))
        for check, (natural, *both) in pairs.items()
        for arm, run in zip(("claim", "control"), both, strict=True)
    )


def trained(seeds: tuple[int, ...], made, rate: float, divisor: float, penalty: float) -> list[np.ndarray]:
    """Weights after a few epochs on the digits of the loss divided by ln(base), with an L2 penalty."""
    digits = data.load("digits")

    def build():
        dense = [keras.layers.Dense(n, kernel_regularizer=keras.regularizers.L2(penalty)) for n in (32, 10)]
        return keras.Sequential([keras.Input((64,)), dense[0], keras.layers.ReLU(), dense[1]])

    replicas = replicates.Replicates(build, seeds)
    replicas.compile(made(rate), lambda y, z: losses.sparse_categorical_crossentropy(y, z) / divisor)
    replicas.fit(digits.x_train, digits.y_train, batch_size=BATCH, epochs=EPOCHS)
    return replicas.get_weights()


def distance(one: list[np.ndarray], other: list[np.ndarray], start: list[np.ndarray]) -> np.ndarray:
    """‖one − other‖ / ‖other − start‖ of each replicate: [R]."""
    apart, went = (
        np.sqrt(sum(((a - b) ** 2).reshape(len(a), -1).sum(1) for a, b in zip(*pair, strict=True)))
        for pair in ((one, other), (other, start))
    )
    return apart / went


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The loss at small probabilities."""
    claim = rows[(rows["quantity"] == "loss") & (rows["arm"] == "claim")]
    given = claim[claim["check"] == "unbounded_probabilities"]
    wide = given.pivot_table("value", "x", "setting", sort=False)
    wide.insert(0, "−ln p", given.groupby("x")["reference"].first())
    wide["Brier score"] = rows[rows["quantity"] == "brier"].set_index("x")["value"]
    return wide.rename_axis("p", axis=0).rename_axis(None, axis=1).reset_index()


def figure(rows: pd.DataFrame):
    """The loss against p, the examples' shares in two bases, and what the base does to training."""
    canvas, axes = figures.panels(3, 1, height=3.6)
    for panel, ax in zip((draw_loss, draw_shares, draw_bases), axes, strict=True):
        panel(ax, rows)
    return canvas


def draw_loss(ax, rows: pd.DataFrame) -> None:
    p = np.geomspace(1e-30, 1, 200)
    figures.theory_line(ax, p, -np.log(p), "−ln p")
    claim = rows[(rows["quantity"] == "loss") & (rows["arm"] == "claim")]
    given = claim[claim["setting"] == "categorical, class"]
    ax.plot(given["x"], given["value"], "s", label="Keras, from p", color=figures.PALETTE[1])
    ours = claim[(claim["check"] == "unbounded") & (claim["setting"] == "float32") & (claim["x"] > -70)]
    ax.plot(1 / (1 + np.exp(-ours["x"])), ours["value"], "o", label="ours, from z", color=figures.PALETTE[0])
    brier = rows[rows["quantity"] == "brier"]
    ax.plot(brier["x"], brier["value"], "^", label="Brier score", color=figures.PALETTE[6])
    ax.set(title="Surprise", xlabel="probability p of what happened", ylabel="loss (nats)", xscale="log")
    ax.legend(loc="upper right")


def draw_shares(ax, rows: pd.DataFrame) -> None:
    for arm, label, marker in (("claim", "base 2", "o"), ("control", "Brier score", "^")):
        part = rows[(rows["quantity"] == "share") & (rows["arm"] == arm)]
        ax.plot(part["x"] * 100, part["value"] * 100, marker, label=label, alpha=0.5, rasterized=True)
    ends = np.array([0, rows[rows["quantity"] == "share"]["x"].max() * 100])
    figures.theory_line(ax, ends, ends, "the same share")
    ax.set(title="Share of the gradient", xlabel="in base e (%)", ylabel="in another loss (%)")
    ax.legend()


def draw_bases(ax, rows: pd.DataFrame) -> None:
    names = {
        "base_sgd": "SGD",
        "base_adam": "Adam",
        "base_adam_epsilon": "Adam, ε = 1e−12",
        "base_penalty": "SGD, penalty",
        "base_penalty_divided": "penalty / ln 2",
    }
    for arm, label, colour in (("claim", "as claimed", 0), ("control", "control", 1)):
        for i, check in enumerate(names):
            part = rows[(rows["check"] == check) & (rows["arm"] == arm)]
            place = np.full(len(part), i) + (0.12 if arm == "control" else -0.12)
            ax.plot(
                place,
                part["value"],
                "o",
                alpha=0.4,
                color=figures.PALETTE[colour],
                label=label if i == 0 else "",
            )
    figures.theory_line(ax, [-0.5, len(names) - 0.5], 0.001, "margin")
    ax.set(title="Base 2 against base e", ylabel="distance of weights / way", yscale="log")
    ax.set_xticks(range(len(names)), names.values(), rotation=20, ha="right")
    ax.legend(loc=(0.5, 0.27))

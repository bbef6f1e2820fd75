"""The loss is the surprise −ln p: without bound as p → 0, and the logarithm's base does not matter.

Expect: exact from logits; from probabilities Keras stops at −ln 1e−7 = 16.1. The base is a matter of units
until something else has units too: a penalty, or Adam's ε. Costs half a minute beside the paths of
`execution_paths`.
"""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Identity, Theory, Unit
from crosscheck.lazy import autodiff, data, figures, heads, keras, losses, models, paths, pd, replicates, rows
from crosscheck.studies.execution_paths import path_units

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

SEEDS = {
    "SGD": {"smoke": 8, "standard": 32, "full": 128},
    "Adam": {"smoke": 8, "standard": 128, "full": 128},  # its ε moves each by another amount
}
DTYPES = ("float64", "float32")
LN2 = math.log(2)
Run = tuple[Any, float, float, float]  # an optimiser, its rate, ln of the loss's base, an L2 penalty
TINY = 10.0 ** -np.array([1, 2, 5, 7, 10, 20, 30])  # probabilities that float32 and float64 can both hold
LOGITS = -np.array([1, 10, 16, 50, 100, 1e3, 1e4])
BUILT_IN = tuple(
    f"{kind}, {api}" for kind in ("binary", "categorical", "sparse") for api in ("class", "function")
)
BATCH, EPOCHS, RATE, ADAM_RATE, PENALTY = 64, 5, 0.1, 0.001, 1e-2
DISTANCE = r"\frac{\lVert w_2 - w_e\rVert}{\lVert w_e - w_0\rVert} = 0"

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
        "So it is for Keras' losses, given the probabilities themselves, down to 1e−30.",
        Identity(ulps=8),
        r"-\ln p",
        control="squared error of the same probabilities",
        settings=BUILT_IN,
        scope=True,
        exact=True,
    ),
    Check(
        "cap",
        "Given probabilities below 1e−7, Keras' losses all stop at −ln(1e−7) = 16.118.",
        Identity(ulps=4),
        r"-\ln 10^{-7}",
        control="the same numbers handed over as logits",
        settings=BUILT_IN,
        exact=True,
    ),
    Check(
        "value_paths",
        "Keras' losses are −ln p on every execution path.",
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
        DISTANCE,
        control="base 2 with the rate left as it is",
    ),
    Check(
        "base_adam",
        "Under Adam, which divides by the gradient's size, base 2 needs no other rate.",
        Equal(margin=0.001),
        DISTANCE,
        control="base 2 with the rate times ln 2",
        scope=True,
    ),
    Check(
        "base_adam_epsilon",
        "With an ε of 1e−12, too small to matter, it needs none either: what moves the weights above is ε.",
        Equal(margin=0.001),
        DISTANCE,
        control="base 2 with the rate times ln 2",
        scope=True,
    ),
    Check(
        "base_penalty",
        "With an L2 penalty, left as it is, base 2 with the rate times ln 2 still ends at the same weights.",
        Equal(margin=0.001),
        DISTANCE,
        control="base 2 with the rate left as it is, and the penalty divided by ln 2",
        scope=True,
    ),
    Check(
        "base_penalty_divided",
        "With the penalty divided by ln 2 as well, it does.",
        Equal(margin=0.001),
        DISTANCE,
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
    training = [
        Unit(
            "surprise", "train_bases", {"optimiser": each}, tuple(range(counts[scale])), ("digits",), cost=15
        )
        for each, counts in SEEDS.items()
    ]
    return [
        *path_units(scale, backends=("tensorflow",)),
        Unit("surprise", "measure_values"),
        Unit("surprise", "measure_shares", {}, (), ("digits",)),
        *training,
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
    brier = values(losses.brier, "binary", logit(p, dtype))
    control = four_numbers(brier[None], dtype, arm="control")
    return pd.concat([claim, control])


def four_numbers(found: np.ndarray, dtype: str, arm: str) -> pd.DataFrame:
    """Of losses [E, 2] at p = 0.1 and 0.01."""
    one, other = found.T  # [E] each
    told = np.stack([one, other, other / one, other - one])
    true = np.array([math.log(10), math.log(100), 2, math.log(10)])[:, None]
    eps = np.finfo(dtype).eps
    return rows.tidy(
        check="values", arm=arm, setting=dtype, value=told, reference=true, resolution=eps * true
    )


def loss_of(name: str, entry: str, p: np.ndarray, dtype: str) -> np.ndarray:
    """The loss of a true class with probability p [N], beside one other class: [N], float64."""
    both = np.stack([p, 1 - p], axis=1).astype(dtype)
    if name == "ours":
        return values(losses.binary_crossentropy, "binary", logit(p, dtype))
    kind, _, api = name.partition(", ")
    loss = heads.keras_own(kind, api, entry == "logits", reduction=None, dtype=dtype)
    if kind == "binary":
        return values(loss, kind, both[:, :1] if entry == "probabilities" else logit(p, dtype))
    return values(loss, kind, both if entry == "probabilities" else np.log(both))


def values(loss, kind: str, given: np.ndarray) -> np.ndarray:
    """A loss at these predictions, [N, 1] or [N, 2], where the first class is the true one: [N], float64."""
    labels = {
        "binary": np.ones_like(given),
        "categorical": np.tile(np.array([1, 0], given.dtype), (len(given), 1)),
        "sparse": np.zeros(len(given), "int32"),
    }
    return autodiff.numbers(loss(*autodiff.tensors(labels[kind], given))).astype("float64")


def logit(p: np.ndarray, dtype: str) -> np.ndarray:
    """ln p/(1 − p), as a column."""
    return (np.log(p) - np.log1p(-p)).astype(dtype)[:, None]


def unbounded_rows(dtype: str) -> pd.DataFrame:
    z, true = LOGITS, paths.oracle("binary", LOGITS, np.ones_like(LOGITS)).value
    return pd.concat(
        rows.tidy(
            check="unbounded",
            arm=arm,
            setting=dtype,
            quantity="loss",
            x=z,
            value=values(loss, "binary", z[:, None].astype(dtype)),
            reference=true,
            resolution=np.finfo(dtype).eps * np.maximum(1, true),
        )
        for arm, loss in (("claim", losses.binary_crossentropy), ("control", losses.brier))
    )


def probability_rows(name: str) -> pd.DataFrame:
    """One of Keras' losses fed the probability itself, in float64, and what becomes of it below 1e−7."""
    true, below = -np.log(TINY), TINY < 1e-7
    kind, _, api = name.partition(", ")
    found = loss_of(name, "probabilities", TINY, "float64")
    squared = values(keras.losses.mean_squared_error, "binary", TINY[:, None])
    logits = TINY[:, None] if kind == "binary" else np.stack([TINY, 1 - TINY], axis=1)
    mistaken = values(heads.keras_own(kind, api, True, reduction=None, dtype="float64"), kind, logits)
    eps = np.finfo("float64").eps
    whole = {"check": "unbounded_probabilities", "setting": name, "quantity": "loss", "x": TINY}
    cap = {"check": "cap", "setting": name, "reference": math.log(1e7), "resolution": eps * math.log(1e7)}
    return pd.concat(
        [
            rows.tidy(value=found, reference=true, resolution=eps * true, **whole),
            rows.tidy(arm="control", value=squared, reference=true, resolution=eps * true, **whole),
            rows.tidy(value=found[below], **cap),
            rows.tidy(arm="control", value=mistaken[below], **cap),
        ]
    )


def brier_rows() -> pd.DataFrame:
    """Only shown: what the Brier score makes of the same probabilities."""
    return rows.tidy(quantity="brier", x=TINY, value=values(losses.brier, "binary", logit(TINY, "float64")))


def measure_shares(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Each example's share of the gradient, of 256 digits under an untrained network, in float64."""
    digits = data.load("digits")
    x, y = digits.x_train[:256], digits.y_train[:256]
    untrained = replicates.Replicates(models.perceptron(x.shape[1], [32], 10), [0])
    z = 3 * untrained.predict(x)[0].astype("float64")
    in_base_2 = lambda y, z: -keras.ops.sum(y * keras.ops.log2(keras.ops.softmax(z)), -1)  # noqa: E731
    hot = np.eye(10)[y]
    natural, size = shares(losses.categorical_crossentropy, hot, z)
    binary, size_2 = shares(in_base_2, hot, z)
    brier, _ = shares(losses.categorical_brier, hot, z)
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


def train_bases(seeds: tuple[int, ...], optimiser: str) -> pd.DataFrame:
    """How far base 2 ends from base e, relative to the way from the start: [R] each."""
    compared = under_sgd() if optimiser == "SGD" else under_adam()
    weights = trained(seeds, list(dict.fromkeys(run for runs in compared.values() for run in runs)))
    start = replicates.Replicates(perceptron, seeds).get_weights()
    return pd.concat(
        rows.tidy(
            check=check, arm=arm, seed=seeds, value=models.distance(weights[run], weights[natural], start)
        )
        for check, (natural, *both) in compared.items()
        for arm, run in zip(("claim", "control"), both, strict=True)
    )


def under_sgd() -> dict[str, tuple[Run, ...]]:
    """By check: base e; base 2 as claimed; the control."""
    sgd = keras.optimizers.SGD
    plain, penalised = (sgd, RATE, 1.0, 0.0), (sgd, RATE, 1.0, PENALTY)
    careless = sgd, RATE, LN2, PENALTY / LN2
    return {
        "base_sgd": (plain, (sgd, RATE * LN2, LN2, 0.0), (sgd, RATE, LN2, 0.0)),
        "base_penalty": (penalised, (sgd, RATE * LN2, LN2, PENALTY), careless),
        "base_penalty_divided": (penalised, (sgd, RATE * LN2, LN2, PENALTY / LN2), careless),
    }


def under_adam() -> dict[str, tuple[Run, ...]]:
    """The same, with Keras' ε and with one too small to matter."""
    adam = keras.optimizers.Adam
    exact = lambda rate: adam(rate, epsilon=1e-12)  # noqa: E731
    made = {"base_adam": adam, "base_adam_epsilon": exact}
    bases = ((ADAM_RATE, 1.0), (ADAM_RATE, LN2), (ADAM_RATE * LN2, LN2))
    return {check: tuple((each, *base, 0.0) for base in bases) for check, each in made.items()}


def trained(seeds: tuple[int, ...], runs: list[Run]) -> dict[Run, list[np.ndarray]]:
    """Weights after a few epochs on the digits; what has one optimiser and rate trains as one program."""
    weights: dict[Run, list[np.ndarray]] = {}
    for made, rate in dict.fromkeys(run[:2] for run in runs):
        alike = [run for run in runs if run[:2] == (made, rate)]
        ends = trained_together(seeds, made(rate), *np.array([run[2:] for run in alike], "float32").T)
        weights |= dict(zip(alike, ends, strict=True))
    return weights


def trained_together(
    seeds: tuple[int, ...], optimizer, divisors: np.ndarray, penalties: np.ndarray
) -> list[list[np.ndarray]]:
    """By run, of the loss divided by ln(base), with an L2 penalty: [A] of each."""
    digits, count = data.load("digits"), len(divisors)
    replicas = replicates.Replicates(perceptron, seeds * count, paired=True)
    replicas.compile(
        optimizer,
        lambda y, z, ln_base: losses.sparse_categorical_crossentropy(y, z) / ln_base,
        loss_arguments={"ln_base": np.repeat(divisors, len(seeds))},
        penalty_scale=np.repeat(penalties, len(seeds)),
    )
    replicas.fit(digits.x_train, digits.y_train, batch_size=BATCH, epochs=EPOCHS)
    split = (np.split(each, count) for each in replicas.get_weights())
    return [list(run) for run in zip(*split, strict=True)]


def perceptron():
    """Its penalty is each replicate's own times the squares of the kernels."""
    dense = [keras.layers.Dense(n, kernel_regularizer=keras.regularizers.L2(1.0)) for n in (32, 10)]
    return keras.Sequential([keras.Input((64,)), dense[0], keras.layers.ReLU(), dense[1]])


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

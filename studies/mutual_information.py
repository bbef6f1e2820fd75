"""Independent binary losses cost the mutual information that one joint softmax does not.

Expect: with no features the gap is I(Y₁;Y₂); with informative features it is the conditional mutual
information, which the chapter's formula overstates. Costs half a minute at the standard scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from suite.claims import Check, Claim, Theory, Unit
from suite.criteria import Equal, Exceeds
from suite.lazy import data, figures, keras, losses, models, pd, replicates, rows

CLAIM = Claim(
    title="What independent binary losses cannot capture is the labels' mutual information",
    statement="Two labels can be learned by two independent binary cross-entropies or by one softmax over "
    "their four joint outcomes. The best independent loss exceeds the best joint loss by the mutual "
    "information I(Y₁;Y₂) of the labels.",
    formula=r"(H(Y_1) + H(Y_2)) - H(Y_1, Y_2) = I(Y_1; Y_2)",
    source="Modeling Implications of Cross-Entropy; problem 3103399",
    correct="The gap is the mutual information conditional on the features, the mean over x of "
    "I(Y₁;Y₂ | X = x). It equals I(Y₁;Y₂) only when the features say nothing about what the labels share.",
)

SEEDS = {"smoke": 8, "standard": 16, "full": 64}
COST_SEEDS = {"smoke": 128, "standard": 1024, "full": 4096}  # an excess of chance alone needs many seeds
STRENGTHS = (0.5, 0.7, 0.9, 1.0)  # the weakest has 0.03 nats: more than the margin, or no control could fail
REVEALED = (0.25, 0.5, 0.75, 1.0)
LABELS = (2, 3, 4, 5)
STRENGTH = 0.8  # where the features or the number of labels vary
EXAMPLES = 2048
RATE, STEPS = 0.05, 300  # Adam on the whole set at once: a convex problem, run to its optimum
TAGS = {"even": (0, 2, 4, 6, 8), "closed loop": (0, 6, 8, 9), "five or more": (5, 6, 7, 8, 9)}
HELD_OUT = 500
TAG_EPOCHS = 30

CHECKS = (
    Check(
        "gap",
        "Best independent loss minus best joint loss is I(Y₁;Y₂), from weak to full dependence (nats).",
        Equal(margin=0.01),
        r"I(Y_1; Y_2)",
        control="the labels of one task shuffled",
        settings=tuple(f"strength {s:g}" for s in STRENGTHS),
    ),
    Check(
        "zero",
        "Independent labels leave no gap (nats).",
        Equal(margin=0.01),
        r"I(Y_1; Y_2) = 0",
        control="labels of strength 0.5, the weakest dependence above",
    ),
    Check(
        "conditional",
        "With features that reveal the common cause, the gap is the conditional mutual information (nats).",
        Equal(margin=0.01),
        r"\mathbb{E}_x\, I(Y_1; Y_2 \mid X = x)",
        control="the features shuffled among the examples",
        settings=tuple(f"revealed {r:g}" for r in REVEALED),
    ),
    Check(
        "unconditional",
        "The same gap is the unconditional mutual information, as the chapter's formula has it (nats).",
        Equal(margin=0.01),
        r"I(Y_1; Y_2)",
        control="the labels of one task shuffled",
        settings=tuple(f"revealed {r:g}" for r in REVEALED),
        scope=True,
    ),
    Check(
        "many",
        "With L labels the gap is their total correlation (nats).",
        Equal(margin=0.02),
        r"\sum_l H(Y_l) - H(Y_1, \dots, Y_L)",
        control="one of the labels shuffled",
        settings=tuple(f"L = {n}" for n in LABELS),
    ),
    Check(
        "many_cost",
        "Held out, the joint model pays (2^L − 1)/(2N) nats for its outputs: the ratio to that is 1.",
        Equal(margin=0.2),
        r"\frac{2N}{2^L - 1}\,(\mathcal{L} - H(Y_1, \dots, Y_L)) = 1",
        control="the same on the examples trained on, where the excess over the truth is negative",
        settings=tuple(f"L = {n}" for n in LABELS),
    ),
    Check(
        "real",
        "Tags derived from real digits (even, closed loop, five or more), no features: the held-out gap is "
        "their total correlation (nats).",
        Equal(margin=0.03),
        r"\sum_l H(Y_l) - H(Y_1, \dots, Y_L)",
        control="one of the tags shuffled",
    ),
    Check(
        "real_pixels",
        "Given the digits' pixels, a perceptron's held-out gap is smaller by at least 0.1 nats.",
        Exceeds(margin=0.1),
        r"\Delta_{\text{no features}} - \Delta_{\text{pixels}}",
        control="every image replaced by the mean image",
    ),
    Check(
        "real_linear",
        "The same with linear outputs, which cannot express each tag on its own.",
        Exceeds(margin=0.1),
        r"\Delta_{\text{no features}} - \Delta_{\text{pixels}}",
        control="every image replaced by the mean image",
        scope=True,
    ),
)


# --- theory -----------------------------------------------------------------------------------------


def information(labels: int, strength: float, revealed: float) -> float:
    """Conditional total correlation of labels with a common cause; for L = 2, the mutual information."""
    return data.CommonCause(labels, strength, revealed).conditional_total_correlation()


def enumerated(labels: int, strength: float, revealed: float) -> float:
    """The same from the full table of probabilities: Σ_x P(x) (Σ_l H(Y_l|x) − H(Y|x))."""
    cause = data.CommonCause(labels, strength, revealed)
    tables = cause.joint_given_feature().reshape(3, *[2] * labels)
    gaps = [sum(entropy(marginal(p, keep)) for keep in range(labels)) - entropy(p) for p in tables]
    return float(cause.feature_probabilities() @ gaps)


def entropy(p: np.ndarray) -> float:
    """−Σ p ln p in nats, with 0 ln 0 = 0."""
    return float(-np.sum(p * np.log(np.where(p > 0, p, 1))))


def marginal(p: np.ndarray, keep: int) -> np.ndarray:
    return p.sum(axis=tuple(axis for axis in range(p.ndim) if axis != keep))


THEORIES = (
    Theory("gap", information, enumerated, [(2, s, 0.0) for s in (0.0, *STRENGTHS)]),
    Theory("conditional", information, enumerated, [(2, STRENGTH, r) for r in REVEALED]),
    Theory("many", information, enumerated, [(n, STRENGTH, 0.0) for n in LABELS]),
)


# --- experiments ------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    seeds, cost_seeds = tuple(range(SEEDS[scale])), tuple(range(COST_SEEDS[scale]))
    return [
        Unit("mutual_information", "train_strengths", {}, seeds, cost=10),
        Unit("mutual_information", "train_features", {}, seeds, cost=10),
        *(Unit("mutual_information", "train_many", {"labels": n}, seeds, cost=6) for n in LABELS),
        Unit("mutual_information", "train_cost", {}, cost_seeds, cost=8),
        Unit("mutual_information", "train_tags", {}, seeds, ("digits",), cost=10),
    ]


def train_strengths(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Two labels, no features, dependence from none to full."""
    causes = {strength: data.CommonCause(2, strength, revealed=0.0) for strength in (0.0, *STRENGTHS)}
    measured = gaps(seeds, [(cause, shuffle) for cause in causes.values() for shuffle in ("", "label")])
    claims, controls = measured[::2], measured[1::2]
    controls[0] = claims[1]  # independence is controlled by the weakest dependence
    parts = []
    for strength, claim, control in zip(causes, claims, controls, strict=True):
        check, setting = ("gap", f"strength {strength:g}") if strength else ("zero", "")
        theory = information(2, strength, 0.0)
        shared = {"check": check, "setting": setting, "x": strength, "seed": seeds, "reference": theory}
        parts += [rows.tidy(value=claim, **shared), rows.tidy(arm="control", value=control, **shared)]
    return pd.concat(parts)


def train_features(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Two labels whose common cause the features reveal with growing probability."""
    causes = [data.CommonCause(2, STRENGTH, revealed) for revealed in REVEALED]
    measured = gaps(seeds, [(cause, shuffle) for cause in causes for shuffle in ("", "features", "label")])
    parts = []
    for cause, (claim, no_features, no_label) in zip(
        causes, measured.reshape(-1, 3, len(seeds)), strict=True
    ):
        shared = {"setting": f"revealed {cause.revealed:g}", "x": cause.revealed, "seed": seeds}
        conditional, unconditional = (information(2, STRENGTH, r) for r in (cause.revealed, 0.0))
        for check, arm, value, theory in (
            ("conditional", "claim", claim, conditional),
            ("conditional", "control", no_features, conditional),
            ("unconditional", "claim", claim, unconditional),
            ("unconditional", "control", no_label, unconditional),
        ):
            parts.append(rows.tidy(check=check, arm=arm, value=value, reference=theory, **shared))
    return pd.concat(parts)


def train_many(seeds: tuple[int, ...], labels: int) -> pd.DataFrame:
    """L labels of a common cause, no features."""
    cause = data.CommonCause(labels, STRENGTH, revealed=0.0)
    return rows.tidy(
        check="many",
        arm=np.array(["claim", "control"])[:, None],
        setting=f"L = {labels}",
        x=labels,
        seed=seeds,
        value=gaps(seeds, [(cause, ""), (cause, "label")]),
        reference=information(labels, STRENGTH, 0.0),
    )


def gaps(seeds: Sequence[int], cases: Sequence[tuple]) -> np.ndarray:
    """Expected loss of independent outputs minus that of joint outputs, both trained on N examples: [C, S].

    Each case is a cause and what is shuffled among its examples: the first label, the features, or nothing.
    All cases and seeds train as one. The expectation is exact, over the distribution of the examples.
    """
    labels = cases[0][0].labels
    samples = [sample(cause, seed, shuffle) for cause, shuffle in cases for seed in seeds]
    x, y = (np.stack(part) for part in zip(*samples, strict=True))  # [R, N, 3], [R, N, L], R = C × S
    outcomes = bits(labels)  # [2^L, L]
    everyone = tuple(seeds) * len(cases)
    binary = train(everyone, x, y.astype("float32"), losses.binary_crossentropy, labels)  # [R, 3, L]
    joint = train(everyone, x, y @ place(labels), losses.sparse_categorical_crossentropy, len(outcomes))
    independent = -log_sigmoid(binary[:, :, None] * (2 * outcomes - 1)).sum(-1)  # [R, 3, 2^L]
    difference = (independent + log_softmax(joint)).reshape(len(cases), len(seeds), 3, -1)
    population = np.stack([shuffled_population(*case) for case in cases])[:, None]  # [C, 1, 3, 2^L]
    features = np.stack([cause.feature_probabilities() for cause, _ in cases])  # [C, 3]
    return np.einsum("csf,cf->cs", (difference * population).sum(-1), features)


def sample(cause, seed: int, shuffle: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, y = cause.sample(rng, EXAMPLES)
    if shuffle == "label":
        y[:, 0] = rng.permutation(y[:, 0])
    if shuffle == "features":
        x = rng.permutation(x)
    return x, y


def shuffled_population(cause, shuffle: str) -> np.ndarray:
    """P(y | feature), [3, 2^L], after shuffling."""
    given = cause.joint_given_feature()
    if shuffle == "features":
        return np.broadcast_to(cause.joint().ravel(), given.shape)
    if shuffle == "label":
        others = given.reshape(3, 2, -1).sum(1)  # label 0, a fair coin, is the highest bit
        return np.concatenate([others, others], axis=1) / 2
    return given


def train(seeds: Sequence[int], x: np.ndarray, y: np.ndarray, loss, outputs: int) -> np.ndarray:
    """Logits of a linear model for each of the three features, after training on the whole set: [R, 3, K]."""
    replicas = replicates.Replicates(models.perceptron(3, [], outputs), seeds, paired=True)
    replicas.compile(keras.optimizers.Adam(RATE), loss)
    replicas.fit(x, y, batch_size=x.shape[1], epochs=STEPS, shuffle=False)
    return replicas.predict(np.eye(3, dtype="float32")).astype("float64")


def bits(labels: int) -> np.ndarray:
    """The outcomes in order, label 0 the highest bit: [2^L, L]."""
    return (np.arange(2**labels)[:, None] >> np.arange(labels)[::-1]) & 1


def place(labels: int) -> np.ndarray:
    """The value of each label's bit: [L]."""
    return 2 ** np.arange(labels, dtype="int32")[::-1]


def log_sigmoid(z: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -z)


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.logaddexp.reduce(z, axis=-1, keepdims=True)


def train_cost(seeds: tuple[int, ...]) -> pd.DataFrame:
    """What chance costs held out: softmax over 2^L outcomes fitted to the frequencies of N examples.

    Without features the whole set is one soft-labelled example, which makes a thousand seeds affordable.
    """
    parts = []
    for labels in LABELS:
        cause = data.CommonCause(labels, STRENGTH, revealed=0.0)
        truth = cause.joint().ravel()
        counts = np.stack([np.random.default_rng(seed).multinomial(EXAMPLES, truth) for seed in seeds])
        target = (counts / EXAMPLES).astype("float32")[:, None]  # [R, 1, 2^L]
        replicas = replicates.Replicates(models.perceptron(1, [], 2**labels), seeds)
        replicas.compile(keras.optimizers.Adam(RATE), losses.categorical_crossentropy)
        ones = np.ones((len(seeds), 1, 1), "float32")
        replicas.fit(ones, target, batch_size=1, epochs=STEPS, shuffle=False)
        fitted = log_softmax(replicas.predict(ones)[:, 0].astype("float64"))
        worse = np.log(truth) - fitted  # [R, 2^L]: loss above the truth's
        excess, in_sample = (worse * truth).sum(1), (worse * counts / EXAMPLES).sum(1)
        unit = (2**labels - 1) / (2 * EXAMPLES)
        shared = {"check": "many_cost", "setting": f"L = {labels}", "x": labels, "seed": seeds}
        parts.append(rows.tidy(value=excess / unit, reference=1.0, **shared))
        parts.append(rows.tidy(arm="control", value=in_sample / unit, reference=1.0, **shared))
        parts.append(rows.tidy(quantity="excess", x=labels, seed=seeds, value=excess))
    return pd.concat(parts)


def train_tags(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Tags derived from the digits' classes, each seed with its own random split."""
    digits = data.load("digits")
    x = np.concatenate([digits.x_train, digits.x_test])
    tags = tags_of(np.concatenate([digits.y_train, digits.y_test]))  # [N, L]
    theory = total_correlation(tags)
    nothing, mean = np.ones((len(x), 1), "float32"), np.broadcast_to(x.mean(0), x.shape)
    bare, noise = held_out_gap(seeds, nothing, tags)
    shuffled, _ = held_out_gap(seeds, nothing, tags, shuffle=True)
    parts = [
        rows.tidy(check="real", seed=seeds, value=bare, reference=theory, resolution=noise),
        rows.tidy(check="real", arm="control", seed=seeds, value=shuffled, reference=theory),
    ]
    for check, hidden in (("real_pixels", [64]), ("real_linear", [])):
        for arm, images in (("claim", x), ("control", mean)):
            given, noise = held_out_gap(seeds, images, tags, hidden)
            shared = {"check": check, "arm": arm, "seed": seeds, "resolution": noise}
            parts.append(rows.tidy(value=bare, reference=given, **shared))
    return pd.concat(parts)


def tags_of(digits: np.ndarray) -> np.ndarray:
    """One column a tag: [N, L]."""
    return np.stack([np.isin(digits, members) for members in TAGS.values()], axis=1).astype("int32")


def total_correlation(tags: np.ndarray) -> float:
    """Of the tags' own frequencies, by enumeration."""
    p = np.bincount(tags @ place(tags.shape[1]), minlength=2 ** tags.shape[1]) / len(tags)
    p = p.reshape([2] * tags.shape[1])
    return sum(entropy(marginal(p, keep)) for keep in range(p.ndim)) - entropy(p)


def held_out_gap(
    seeds: Sequence[int], x: np.ndarray, tags: np.ndarray, hidden: Sequence[int] = (), shuffle: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Gap on examples not trained on, and its standard error over those examples: [R] each."""
    splits = [split(x, tags, seed, shuffle) for seed in seeds]
    x, y = (np.stack(part) for part in zip(*splits, strict=True))  # [R, N, D], [R, N, L]
    outcome = y @ place(y.shape[-1])
    single, several = losses.binary_crossentropy, losses.sparse_categorical_crossentropy
    binary = tag_logits(seeds, x, y.astype("float32"), single, [*hidden, y.shape[-1]])
    joint = tag_logits(seeds, x, outcome, several, [*hidden, 2 ** y.shape[-1]])
    y, outcome = y[:, :HELD_OUT], outcome[:, :HELD_OUT]
    independent = -log_sigmoid(binary * (2 * y - 1)).sum(-1)  # [R, HELD_OUT]
    together = -np.take_along_axis(log_softmax(joint), outcome[..., None], -1)[..., 0]
    difference = independent - together
    return difference.mean(1), difference.std(1, ddof=1) / np.sqrt(HELD_OUT)


def split(x: np.ndarray, tags: np.ndarray, seed: int, shuffle: bool) -> tuple[np.ndarray, np.ndarray]:
    """A random order, of which the first `HELD_OUT` are held out; `shuffle` permutes the first tag."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    y = tags[order].copy()
    if shuffle:
        y[:, 0] = rng.permutation(y[:, 0])
    return x[order], y


def tag_logits(seeds: Sequence[int], x: np.ndarray, y: np.ndarray, loss, widths: Sequence[int]) -> np.ndarray:
    """Held-out logits of a network whose layers have these widths: [R, HELD_OUT, K]."""
    *hidden, outputs = widths
    replicas = replicates.Replicates(models.perceptron(x.shape[-1], hidden, outputs), seeds)
    replicas.compile(keras.optimizers.Adam(0.01), loss)
    replicas.fit(x[:, HELD_OUT:], y[:, HELD_OUT:], batch_size=64, epochs=TAG_EPOCHS)
    return replicas.predict(x[:, :HELD_OUT]).astype("float64")


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Theory and measured gap at every setting."""
    judged = rows[(rows["check"] != "") & (rows["arm"] == "claim")]
    means = judged.groupby(["check", "setting"], sort=False)[["reference", "value"]].agg(["mean", "std"])
    return pd.DataFrame(
        {
            "Check": means.index.get_level_values("check"),
            "Setting": means.index.get_level_values("setting"),
            "Theory or comparison": means["reference"]["mean"].to_numpy(),
            "Measured": means["value"]["mean"].to_numpy(),
            "SD over seeds": means["value"]["std"].to_numpy(),
        }
    )


def figure(rows: pd.DataFrame):
    """The gap against dependence, against what the features reveal, and against the number of labels."""
    canvas, (left, middle, right) = figures.panels(3)
    claim = rows[rows["arm"] == "claim"]
    strength = np.linspace(0, 1, 101)
    figures.theory_line(left, strength, [information(2, s, 0.0) for s in strength], "I(Y₁;Y₂)")
    figures.curve(left, claim[claim["check"].isin(["zero", "gap"])], "trained gap", marker="o", linestyle="")
    left.set(title="No features", xlabel="strength of dependence", ylabel="independent − joint loss (nats)")

    revealed = np.linspace(0, 1, 101)
    unconditional = information(2, STRENGTH, 0.0)
    figures.theory_line(middle, revealed, (1 - revealed) * unconditional, "conditional I(Y₁;Y₂ | X)")
    middle.axhline(unconditional, color=figures.PALETTE[1], label="I(Y₁;Y₂), as the chapter has it")
    figures.curve(middle, claim[claim["check"] == "conditional"], "trained gap", marker="o", linestyle="")
    middle.set(title="Features reveal the cause", xlabel="probability that the cause is seen", ylim=(0, None))

    labels = np.array(LABELS)
    figures.theory_line(right, labels, [information(n, STRENGTH, 0.0) for n in LABELS], "total correlation")
    figures.curve(right, claim[claim["check"] == "many"], "trained gap", marker="o", linestyle="")
    cost = claim[claim["quantity"] == "excess"]
    figures.curve(
        right, cost.assign(value=cost["value"] * 1000), "held-out cost × 1000", marker="s", linestyle=":"
    )
    right.set(title="More labels", xlabel="number of labels L", ylabel="nats", xticks=labels, ylim=(0, None))
    left.legend()
    middle.legend(loc="lower left", fontsize=8)
    right.legend()
    return canvas

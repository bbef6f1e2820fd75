"""Independent binary losses cost the mutual information that one joint softmax does not.

Expect: with no features the gap is I(Y₁;Y₂); with informative features it is the conditional mutual
information, which the chapter's formula overstates. Costs a minute at the standard scale. Run it with
`crosscheck run mutual_information`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Theory, Unit, unit
from crosscheck.lazy import data, figures, independence, label_counts, pd, rows
from crosscheck.lazy import information as nats

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
STRENGTH = 0.8  # of dependence, where the features or the number of labels vary
EXAMPLES = 2048
RATE, STEPS = 0.05, 300  # Adam on the whole set at once: a convex problem, run to its optimum
DOTS: Any = {"marker": "o", "linestyle": ""}  # of what is measured, beside the lines of theory


def information(labels: int, strength: float, revealed: float) -> float:
    """Conditional total correlation of labels with a common cause; for L = 2, the mutual information."""
    return data.CommonCause(labels, strength, revealed).conditional_total_correlation()


def enumerated(labels: int, strength: float, revealed: float) -> float:
    """The same from the full table of probabilities: Σ_x P(x) (Σ_l H(Y_l|x) − H(Y|x))."""
    cause = data.CommonCause(labels, strength, revealed)
    tables = cause.joint_given_feature().reshape(3, *[2] * labels)
    return float(cause.feature_probabilities() @ [nats.total_correlation(p) for p in tables])


# --- two labels: is the gap their mutual information? ---

STRENGTHS = (0.5, 0.7, 0.9, 1.0)  # the weakest has 0.03 nats: more than the margin, or no control could fail

GAP = Check(
    "gap",
    "Best independent loss minus best joint loss is I(Y₁;Y₂), from weak to full dependence (nats).",
    Equal(margin=0.01),
    r"I(Y_1; Y_2)",
    control="the labels of one task shuffled",
    settings=tuple(f"strength {s:g}" for s in STRENGTHS),
)
ZERO = Check(
    "zero",
    "Independent labels leave no gap (nats).",
    Equal(margin=0.01),
    r"I(Y_1; Y_2) = 0",
    control="labels of strength 0.5, the weakest dependence above",
)


def train_pairs(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Two labels: dependence from none to full, and a cause that the features reveal ever more often."""
    causes = [data.CommonCause(2, strength, revealed=0.0) for strength in (0.0, *STRENGTHS)]
    causes += [data.CommonCause(2, STRENGTH, revealed) for revealed in REVEALED]
    cases = [(cause, shuffle) for cause in causes for shuffle in ("", "label", "features")]
    tables = [label_counts.sampled(cause, EXAMPLES, seed, how) for cause, how in cases for seed in seeds]
    logits = independence.trained_on_counts(seeds, np.stack(tables), RATE, STEPS)
    logits = logits.reshape(len(causes), 3, len(seeds), 3, -1)  # [causes, arms, S, features, outputs]
    population = np.stack([label_counts.population(*case) for case in cases]).reshape(-1, 3, 1, 3, 4)
    seen = np.stack([cause.feature_probabilities() for cause in causes])
    gaps = np.einsum("kasf,kf->kas", independence.gap(logits, population), seen)  # [causes, arms, S]
    yield from strength_rows(seeds, gaps[: -len(REVEALED)])
    yield from feature_rows(seeds, gaps[-len(REVEALED) :])


def strength_rows(seeds: tuple[int, ...], gaps: np.ndarray) -> Iterator[pd.DataFrame]:
    """Without features: gaps of the claim and with a label shuffled, at every strength."""
    (independent, _, _), (weakest, _, _) = gaps[:2]
    yield ZERO.rows(independent, weakest, information(2, 0.0, 0.0), x=0.0, seed=seeds)
    for strength, (claim, shuffled, _) in zip(STRENGTHS, gaps[1:], strict=True):
        theory = information(2, strength, 0.0)
        yield GAP.rows(claim, shuffled, theory, setting=f"strength {strength:g}", x=strength, seed=seeds)


def draw_strengths(ax, claim: pd.DataFrame) -> None:
    strength = np.linspace(0, 1, 101)
    figures.theory_line(ax, strength, [information(2, s, 0.0) for s in strength], "I(Y₁;Y₂)")
    figures.curve(ax, claim[claim["check"].isin(["zero", "gap"])], "trained gap", **DOTS)
    ax.set(title="No features", xlabel="strength of dependence", ylabel="independent − joint loss (nats)")


# --- features: is the gap conditional on what they reveal? ---

REVEALED = (0.25, 0.5, 0.75, 1.0)

CONDITIONAL = Check(
    "conditional",
    "With features that reveal the common cause, the gap is the conditional mutual information (nats).",
    Equal(margin=0.01),
    r"\mathbb{E}_x\, I(Y_1; Y_2 \mid X = x)",
    control="the features shuffled among the examples",
    settings=tuple(f"revealed {r:g}" for r in REVEALED),
)
UNCONDITIONAL = Check(
    "unconditional",
    "The same gap is the unconditional mutual information, as the chapter's formula has it (nats).",
    Equal(margin=0.01),
    r"I(Y_1; Y_2)",
    control="the labels of one task shuffled",
    settings=tuple(f"revealed {r:g}" for r in REVEALED),
    scope=True,
)


def feature_rows(seeds: tuple[int, ...], gaps: np.ndarray) -> Iterator[pd.DataFrame]:
    """With features, held against the conditional and the unconditional mutual information."""
    for revealed, (claim, no_label, no_features) in zip(REVEALED, gaps, strict=True):
        shared = {"setting": f"revealed {revealed:g}", "x": revealed, "seed": seeds}
        yield CONDITIONAL.rows(claim, no_features, information(2, STRENGTH, revealed), **shared)
        yield UNCONDITIONAL.rows(claim, no_label, information(2, STRENGTH, 0), **shared)


def draw_features(ax, claim: pd.DataFrame) -> None:
    revealed, unconditional = np.linspace(0, 1, 101), information(2, STRENGTH, 0.0)
    figures.theory_line(ax, revealed, (1 - revealed) * unconditional, "conditional I(Y₁;Y₂ | X)")
    ax.axhline(unconditional, color=figures.PALETTE[1], label="I(Y₁;Y₂), as the chapter has it")
    figures.curve(ax, claim[claim["check"] == "conditional"], "trained gap", **DOTS)
    ax.set(title="Features reveal the cause", xlabel="probability that the cause is seen", ylim=(0, 0.28))


# --- many labels: is it their total correlation, and what does chance cost the joint model? ---

LABELS = (2, 3, 4, 5)
COST_SEEDS = {"smoke": 448, "standard": 1024, "full": 4096}  # an excess of chance alone needs many seeds
FEW = 64  # of them for a control that is far off

MANY = Check(
    "many",
    "With L labels the gap is their total correlation (nats).",
    Equal(margin=0.02),
    r"\sum_l H(Y_l) - H(Y_1, \dots, Y_L)",
    control="one of the labels shuffled",
    settings=tuple(f"L = {n}" for n in LABELS),
)
MANY_COST = Check(
    "many_cost",
    "Held out, the joint model pays (2^L − 1)/(2N) nats for its outputs: the ratio to that is 1.",
    Equal(margin=0.2),
    r"\frac{2N}{2^L - 1}\,(\mathcal{L} - H(Y_1, \dots, Y_L)) = 1",
    control="the same on the examples trained on, where the excess over the truth is negative",
    settings=tuple(f"L = {n}" for n in LABELS),
)


def train_many(seeds: tuple[int, ...], labels: int) -> Iterator[pd.DataFrame]:
    """L labels of a common cause, no features: the gap, and what chance costs the joint model held out."""
    truth = data.CommonCause(labels, STRENGTH, revealed=0.0).joint().ravel()
    generators = [np.random.default_rng(seed) for seed in seeds]
    drawn = np.stack([rng.multinomial(EXAMPLES, truth) for rng in generators])  # [S, 2^L]
    pairs = zip(generators[:FEW], drawn[:FEW], strict=True)
    counts = np.concatenate([drawn, [nats.first_shuffled(*pair) for pair in pairs]])[:, None]
    logits = independence.trained_on_counts(seeds, counts, RATE, STEPS)[:, 0]
    claim, control = np.split(logits, [len(seeds)])
    apart = independence.gap(control, nats.first_apart(truth, truth))
    theory, shared = information(labels, STRENGTH, 0.0), {"setting": f"L = {labels}", "x": labels}
    yield MANY.rows(claim=independence.gap(claim, truth), reference=theory, seed=seeds, **shared)
    yield MANY.rows(control=apart, reference=theory, seed=seeds[:FEW], **shared)
    _, joint = independence.log_likelihoods(claim)
    worse = np.log(truth) - joint  # [S, 2^L]: loss above the truth's
    excess, in_sample = (worse * truth).sum(1), (worse * drawn / EXAMPLES).sum(1)
    cost = (2**labels - 1) / (2 * EXAMPLES)
    yield MANY_COST.rows(excess / cost, in_sample / cost, reference=1.0, seed=seeds, **shared)
    yield rows.tidy(quantity="excess", x=labels, seed=seeds, value=excess)


def draw_many(ax, claim: pd.DataFrame) -> None:
    figures.theory_line(ax, LABELS, [information(n, STRENGTH, 0.0) for n in LABELS], "total correlation")
    figures.curve(ax, claim[claim["check"] == "many"], "trained gap", **DOTS)
    cost = claim[claim["quantity"] == "excess"]
    cost = cost.assign(value=100 * cost["value"])
    figures.curve(ax, cost, "joint outputs' cost × 100", marker="s", linestyle=":")
    ax.set(title="More labels", xlabel="number of labels L", ylabel="independent − joint loss (nats)")
    ax.set(xticks=LABELS, ylim=(0, None))


# --- real labels: is the held-out gap their total correlation? ---

TAGS = {"even": (0, 2, 4, 6, 8), "closed loop": (0, 6, 8, 9), "five or more": (5, 6, 7, 8, 9)}
# So many of the most frequent labels, at most five, that their outcomes cost less than a third of the margin.
FREQUENT = {"emotions": 3, "yeast": 4, "goemotions": 5}
BARE_SPLITS = 256  # without features
MOST = 6_000  # examples to learn from features with, at most
TRAINING: Any = {"batch_size": 64, "steps": 540, "rate": 0.01}  # from features

REAL = Check(
    "real",
    "Real labels, no features: the held-out gap is their total correlation (nats). Tags derived from the "
    "digits (even, closed loop, five or more), and the most frequent labels of multi-label sets. The "
    "intervals are over random splits of the set at hand: other examples they do not speak of.",
    Equal(margin=0.03),
    r"\sum_l H(Y_l) - H(Y_1, \dots, Y_L)",
    control="one of the labels shuffled",
    settings=("digits", *FREQUENT),
)


def examples_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features of the first `MOST`, and all labels [N, L]: tags of digits, or the set's most frequent."""
    whole = data.load(name)
    x = np.concatenate([whole.x_train[:MOST], whole.x_test[:MOST]])[:MOST]
    y = np.concatenate([whole.y_train, whole.y_test])
    if name == "digits":
        return x, np.stack([np.isin(y, members) for members in TAGS.values()], axis=1).astype("int32")
    return x, y[:, np.argsort(-y.sum(0), kind="stable")[: FREQUENT[name]]]


def train_frequencies(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Real labels without features, whose counts are all there is to learn."""
    _, y = examples_of(name)
    gaps, shuffled = bare_gaps(seeds, y)
    yield REAL.rows(gaps, shuffled, nats.empirical_total_correlation(y), setting=name, seed=seeds)


def bare_gaps(seeds: Sequence[int], y: np.ndarray) -> np.ndarray:
    """Held-out gaps without features, on random splits: of the labels, and the first one shuffled, [2, S]."""
    return label_counts.held_out_gaps(seeds, y, TRAINING["batch_size"], RATE, STEPS)


def draw_real(ax, claim: pd.DataFrame) -> None:
    """Gaps without, with shuffled and with features, two standard errors about the mean over splits."""
    real = claim[claim["check"] == "real"]
    theory = real.groupby("setting", sort=False)["reference"].first()
    places = np.arange(len(theory))
    ax.axhline(0, color="#999999", linewidth=0.8)
    ax.hlines(theory, places - 0.3, places + 0.3, color=figures.THEORY, label="total correlation")
    shown = {
        "no features": real,
        "features shuffled": claim[claim["quantity"] == "shuffled features"],
        "features": claim[claim["check"] == "real_joint"],
    }
    for shift, (label, part) in zip((-0.15, 0, 0.15), shown.items(), strict=True):
        gaps = part.groupby("setting")["value"].agg(["mean", "sem"]).reindex(theory.index)
        ax.errorbar(places + shift, gaps["mean"], 2 * gaps["sem"], fmt="o", label=label)
    ax.set(title="Real labels, held out", ylabel="independent − joint loss (nats)")
    ax.set_xticks(places, theory.index)


# --- real features: how much of the gap do they take away? ---

SPLITS = {"emotions": 192, "yeast": 32, "goemotions": 32}  # more where few examples are held out
COMPONENTS = 32  # principal ones, of standardised features

REAL_PIXELS = Check(
    "real_pixels",
    "Given the digits' pixels, a perceptron's held-out gap is smaller by at least 0.1 nats.",
    Exceeds(margin=0.1),
    r"\Delta_{\text{no features}} - \Delta_{\text{pixels}}",
    control="every image replaced by the mean image",
)
REAL_LINEAR = Check(
    "real_linear",
    "The same with linear outputs, which cannot express each tag on their own.",
    Exceeds(margin=0.1),
    r"\Delta_{\text{no features}} - \Delta_{\text{pixels}}",
    control="every image replaced by the mean image",
    scope=True,
)
REAL_FEATURES = Check(
    "real_features",
    "On multi-label sets the features that linear outputs are given lower the held-out gap by at least "
    "0.03 nats, against the same features shuffled among the examples.",
    Exceeds(margin=0.03),
    r"\Delta_{\text{shuffled}} - \Delta_{\text{features}}",
    control="features shuffled another time, in place of the true ones",
    settings=tuple(FREQUENT),
    scope=True,
)
REAL_JOINT = Check(
    "real_joint",
    "Given those features, the joint loss is still lower held out, by at least 0.03 nats: what its "
    "outputs cost in examples does not outweigh what they capture.",
    Exceeds(margin=0.03),
    r"\mathcal{L}_{\text{independent}} - \mathcal{L}_{\text{joint}}",
    control="each label shuffled on its own, so that there is nothing to capture",
    settings=tuple(FREQUENT),
    scope=True,
)


def train_tags(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The digits' tags, given the pixels."""
    x, y = examples_of("digits")
    bare, _ = bare_gaps(seeds, y)
    for check, hidden in ((REAL_PIXELS, [64]), (REAL_LINEAR, [])):
        gaps, noise = independence.held_out_gaps(seeds, x, y, ("", "mean"), hidden, **TRAINING)
        yield check.rows(claim=bare, reference=gaps[0], seed=seeds, resolution=noise[0])
        yield check.rows(control=bare, reference=gaps[1], seed=seeds, resolution=noise[1])


def train_sets(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """The most frequent labels of a multi-label set, given its features."""
    x, y = examples_of(name)
    arms = ("", "features", "features again", "labels")
    (gap, moved, again, alone), noise = independence.held_out_gaps(
        seeds, data.principal_components(x, COMPONENTS), y[: len(x)], arms, **TRAINING
    )
    shared = {"setting": name, "seed": seeds, "resolution": noise[0]}
    yield REAL_FEATURES.rows(moved - gap, moved - again, **shared)
    yield REAL_JOINT.rows(gap, alone, **shared)
    yield rows.tidy(quantity="shuffled features", value=moved, **shared)


# --- the whole study ---

CHECKS = (
    GAP,
    ZERO,
    CONDITIONAL,
    UNCONDITIONAL,
    MANY,
    MANY_COST,
    REAL,
    REAL_PIXELS,
    REAL_LINEAR,
    REAL_FEATURES,
    REAL_JOINT,
)
THEORIES = (
    Theory("gap", information, enumerated, [(2, s, 0.0) for s in (0.0, *STRENGTHS)]),
    Theory("conditional", information, enumerated, [(2, STRENGTH, r) for r in REVEALED]),
    Theory("many", information, enumerated, [(n, STRENGTH, 0.0) for n in LABELS]),
)


def units(scale: str) -> list[Unit]:
    seeds, bare = range(SEEDS[scale]), range(BARE_SPLITS)
    return [
        unit(train_pairs, seeds, cost=4),
        *(unit(train_many, range(COST_SEEDS[scale]), labels=n, cost=3) for n in LABELS),
        *(unit(train_frequencies, bare, data=name, cost=3) for name in ("digits", *FREQUENT)),
        unit(train_tags, seeds, data=("digits",), cost=10),
        *(unit(train_sets, range(SPLITS[name]), data=name, cost=12) for name in FREQUENT),
    ]


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
    """The gap against dependence, what the features reveal and the number of labels; and on real labels."""
    canvas, axes = figures.panels(2, 2)
    claim = rows[rows["arm"] == "claim"]
    for draw, ax in zip((draw_strengths, draw_features, draw_many, draw_real), axes, strict=True):
        draw(ax, claim)
        ax.legend(fontsize=8)
    return canvas

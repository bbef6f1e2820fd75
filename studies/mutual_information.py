"""Independent binary losses cost the mutual information that one joint softmax does not.

Expect: with no features the gap is I(Y₁;Y₂); with informative features it is the conditional mutual
information, which may be smaller or larger. Costs a minute at the standard scale. Run it with
`crosscheck run mutual_information`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Theory, Unit, unit
from crosscheck.lazy import data, figures, gap_panels, independence, label_counts, multilabel, pd, rows
from crosscheck.lazy import information as nats

CLAIM = Claim(
    title="What independent binary losses cannot capture is the labels' mutual information",
    statement="Two labels can be learned by two independent binary cross-entropies or by one softmax over "
    "their four joint outcomes. The best independent loss exceeds the best joint loss by the mutual "
    "information I(Y₁;Y₂) of the labels.",
    formula=r"(H(Y_1) + H(Y_2)) - H(Y_1, Y_2) = I(Y_1; Y_2)",
    source="Modeling Implications of Cross-Entropy; problem 3103399",
    correct="The gap is the mutual information given the features, the mean over x of I(Y₁;Y₂ | X = x), if "
    "each label's own model is right. It is smaller than I(Y₁;Y₂) where features tell a common cause, larger "
    "where they tell of one label through the other (X = Y₁ ⊕ Y₂) or a label's own model cannot express it.",
)

SEEDS = {"smoke": 6, "standard": 16, "full": 64}
STRENGTH = 0.8  # of dependence, where the features or the number of labels vary
EXAMPLES = 2048
RATE, STEPS = 0.05, 300  # Adam on the whole set at once: a convex problem, run to its optimum
FITTED = "the same counts fitted in closed form, half an example added to each"
GROUP = 16  # samples, or splits, where theory speaks of means over them


def information(labels: int, strength: float, revealed: float) -> float:
    """Conditional total correlation of labels with a common cause; for L = 2, the mutual information."""
    return data.CommonCause(labels, strength, revealed).conditional_total_correlation()


# --- two labels: is the gap their mutual information? ---

STRENGTHS = (0.5, 0.7, 0.9, 1.0)  # the weakest has 0.03 nats: more than the margin, or no control could fail

GAP = Check(
    "gap",
    "Best independent loss minus best joint loss is I(Y₁;Y₂), from weak to full dependence (nats).",
    Equal(margin=0.01),
    r"I(Y_1; Y_2)",
    control="the labels of one task shuffled",
    positive=FITTED,
    population="generator",
    settings=tuple(f"strength {s:g}" for s in STRENGTHS),
)
ZERO = Check(
    "zero",
    "Independent labels leave no gap (nats).",
    Equal(margin=0.01),
    r"I(Y_1; Y_2) = 0",
    control="labels of strength 0.5, the weakest dependence above",
    positive=FITTED,
    population="generator",
)


def train_pairs(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Two labels: dependence from none to full, and a cause that the features reveal ever more often."""
    causes = [data.CommonCause(2, strength, revealed=0.0) for strength in (0.0, *STRENGTHS)]
    causes += [data.CommonCause(2, STRENGTH, revealed) for revealed in REVEALED]
    gaps = label_counts.gaps_of_causes(causes, seeds, EXAMPLES, RATE, STEPS)  # [causes, arms, S]
    yield from strength_rows(seeds, gaps[: -len(REVEALED)])
    yield from feature_rows(seeds, gaps[-len(REVEALED) :])


def strength_rows(seeds: tuple[int, ...], gaps: np.ndarray) -> Iterator[pd.DataFrame]:
    """Without features: gaps of the claim, with a label shuffled, and in closed form, at every strength."""
    (independent, _, _, fitted), (weakest, _, _, _) = gaps[:2]
    yield ZERO.rows(independent, weakest, information(2, 0.0, 0.0), positive=fitted, x=0.0, seed=seeds)
    for strength, (claim, shuffled, _, fitted) in zip(STRENGTHS, gaps[1:], strict=True):
        theory, place = information(2, strength, 0.0), {"setting": f"strength {strength:g}", "x": strength}
        yield GAP.rows(claim, shuffled, theory, positive=fitted, seed=seeds, **place)


# --- features: is the gap conditional on what they reveal? ---

REVEALED = (0.25, 0.5, 0.75, 1.0)
XOR, WRONG = "X = Y₁ ⊕ Y₂", 0.2
CHANCES = (0.2, 0.5, 0.9)  # of a label at each of three features

CONDITIONAL = Check(
    "conditional",
    "With features that reveal a common cause, or whether the labels differ, the gap is the conditional "
    "mutual information (nats).",
    Equal(margin=0.01),
    r"\mathbb{E}_x\, I(Y_1; Y_2 \mid X = x)",
    control="the features shuffled among the examples",
    positive=FITTED,
    population="generator",
    settings=(*(f"revealed {r:g}" for r in REVEALED), XOR),
)
UNCONDITIONAL = Check(
    "unconditional",
    "The same gap is the unconditional mutual information, as the chapter's formula has it (nats).",
    Equal(margin=0.01),
    r"I(Y_1; Y_2)",
    control="the labels of one task shuffled",
    positive="the features shuffled among the examples",
    population="generator",
    settings=tuple(f"revealed {r:g}" for r in REVEALED),
    scope=True,
)


def feature_rows(seeds: tuple[int, ...], gaps: np.ndarray) -> Iterator[pd.DataFrame]:
    """With features, held against the conditional and the unconditional mutual information."""
    for revealed, (claim, no_label, no_features, fitted) in zip(REVEALED, gaps, strict=True):
        shared = {"setting": f"revealed {revealed:g}", "x": revealed, "seed": seeds}
        given, alone = information(2, STRENGTH, revealed), information(2, STRENGTH, 0)
        yield CONDITIONAL.rows(claim, no_features, given, positive=fitted, **shared)
        yield UNCONDITIONAL.rows(claim, no_label, alone, positive=no_features, **shared)


# --- synergy: what if the features tell of both labels at once, or one label is the other? ---

SYNERGY = Check(
    "synergy",
    "Of two fair, independent labels and the feature X = Y₁ ⊕ Y₂ the gap is I(Y₁;Y₂) = 0, as the chapter's "
    "formula has it (nats).",
    Equal(margin=0.01),
    r"I(Y_1; Y_2) = 0",
    control="the feature wrong in a fifth of the examples",
    positive="the feature shuffled among the examples",
    population="generator",
    scope=True,
)
MARGINALS = Check(
    "marginals",
    "Two labels that are always alike, which summed binary losses take to be independent, come out with "
    "wrong probabilities of their own: off by at least 0.03 (root mean square).",
    Exceeds(margin=0.03),
    r"\sqrt{\overline{(\hat P(Y_l | x) - P(Y_l | x))^2}} \ge 0.03",
    control="independent labels of the same probabilities",
    positive="a tenth of each label flipped in training",
    population="generator",
    scope=True,
)


def train_synergy(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Fair, independent labels, and a feature that tells whether they differ: always, often or never."""
    laws = [label_counts.exclusive_or(wrong) for wrong in (0.0, WRONG, 0.5)]
    (claim, wrong, shuffled), fitted = label_counts.gaps_of_laws(laws, seeds, EXAMPLES, RATE, STEPS)
    yield SYNERGY.rows(claim, wrong, 0.0, positive=shuffled, seed=seeds)
    exact, place = label_counts.exclusive_or_information(0.0), {"setting": XOR, "seed": seeds}
    yield CONDITIONAL.rows(claim, shuffled, exact, positive=fitted[0], **place)


def train_marginals(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Each label's own probability, of labels that are always alike, independent, or often mistaken."""
    alike, apart = (label_counts.of_probabilities(CHANCES, same) for same in (True, False))
    laws = (alike, apart, label_counts.flipped(alike, 0.1))
    logits = label_counts.trained_on_laws(laws, seeds, 4 * EXAMPLES, RATE, STEPS)
    off, independent, mistaken = independence.marginal_error(logits, np.array(CHANCES))
    yield MARGINALS.rows(off, independent, positive=mistaken, seed=seeds)


# --- many labels: is it their total correlation, and what does chance cost the joint model? ---

LABELS = (2, 3, 4, 5)
# An excess of chance alone needs many seeds, fewer the more outputs there are to average over.
COST_SEEDS = {
    "smoke": dict.fromkeys(LABELS, 28 * GROUP),
    "standard": {2: 1024, 3: 768, 4: 512, 5: 512},
    "full": dict.fromkeys(LABELS, 4096),
}
FEW = 16 * GROUP  # for a control that is far off

MANY = Check(
    "many",
    "With L labels the gap is their total correlation (nats).",
    Equal(margin=0.02, group=GROUP),
    r"\sum_l H(Y_l) - H(Y_1, \dots, Y_L)",
    control="one of the labels shuffled",
    positive=FITTED,
    population="generator",
    settings=tuple(f"L = {n}" for n in LABELS),
)
MANY_COST = Check(
    "many_cost",
    "Held out, the joint model pays on the mean (2^L − 1)/(2N) nats for its outputs: the ratio to that is 1.",
    Equal(margin=0.2, group=GROUP),
    r"\frac{2N}{2^L - 1}\,(\mathcal{L} - H(Y_1, \dots, Y_L)) = 1",
    control="the same on the examples trained on, where the excess over the truth is negative",
    positive=FITTED,
    population="generator",
    settings=tuple(f"L = {n}" for n in LABELS),
)


def train_many(seeds: tuple[int, ...], labels: int) -> Iterator[pd.DataFrame]:
    """L labels of a common cause, no features: the gap, and what chance costs the joint model held out."""
    truth = data.CommonCause(labels, STRENGTH, revealed=0.0).joint().ravel()
    drawn, shuffled = label_counts.drawn_and_shuffled(truth, EXAMPLES, seeds, FEW)  # [S, 2^L]
    counts = np.concatenate([drawn, shuffled])[:, None]
    logits = independence.trained_on_counts(seeds, counts, RATE, STEPS)[:, 0]
    claim, control = np.split(logits, [len(seeds)])
    apart = independence.gap(control, nats.first_apart(truth, truth))
    fitted = independence.fitted_to_counts(drawn)
    theory, shared = information(labels, STRENGTH, 0.0), {"setting": f"L = {labels}", "x": labels}
    gaps = (independence.gap(at, truth) for at in (claim, fitted))
    for arm, values in zip(("claim", "positive"), gaps, strict=True):
        yield MANY.rows(**{arm: values}, reference=theory, seed=seeds, **shared)
    yield MANY.rows(control=apart, reference=theory, seed=seeds[:FEW], **shared)
    cost = (2**labels - 1) / (2 * EXAMPLES)
    log_truth = np.log(truth)
    worse, plainly = (log_truth - independence.log_likelihoods(at)[1] for at in (claim, fitted))  # [S, 2^L]
    excess, in_sample = (worse * truth).sum(1), (worse * drawn / EXAMPLES).sum(1)
    yield MANY_COST.rows(excess / cost, in_sample / cost, reference=1.0, seed=seeds, **shared)
    yield MANY_COST.rows(positive=(plainly * truth).sum(1) / cost, reference=1.0, seed=seeds, **shared)
    yield rows.tidy(quantity="excess", x=labels, seed=seeds, value=excess)


# --- real labels: is the held-out gap their total correlation? ---

FREQUENT = ("emotions", "yeast", "goemotions")
BARE_SPLITS = {"smoke": 6 * GROUP, "standard": 24 * GROUP, "full": 16 * GROUP}  # without features
BATCH = 64
TRAINING: Any = {"batch_size": BATCH, "steps": 540, "rate": 0.01}  # from features

REAL = Check(
    "real",
    "Real labels, no features: the held-out gap is their total correlation (nats). Tags derived from the "
    "digits (even, closed loop, five or more), and the most frequent labels of multi-label sets. On the "
    "mean over random splits of the set at hand.",
    Equal(margin=0.03, group=GROUP),
    r"\sum_l H(Y_l) - H(Y_1, \dots, Y_L)",
    control="one of the labels shuffled",
    positive="as many labels as the digits have, drawn from a common cause",
    population="splits of this set",
    settings=("digits", *FREQUENT),
)


def train_frequencies(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Real labels without features, whose counts are all there is to learn."""
    _, y = multilabel.examples_of(name)
    gaps, shuffled = label_counts.held_out_gaps(seeds, y, BATCH, RATE, STEPS)
    yield REAL.rows(gaps, shuffled, nats.empirical_total_correlation(y), setting=name, seed=seeds)
    if name == "digits":
        _, known = data.CommonCause(y.shape[1], STRENGTH, 0.0).sample(np.random.default_rng(0), len(y))
        drawn, _ = label_counts.held_out_gaps(seeds, known, BATCH, RATE, STEPS)
        theory = nats.empirical_total_correlation(known)
        yield REAL.rows(positive=drawn, reference=theory, setting=name, seed=seeds)


# --- real features: how much of the gap do they take away? ---

SPLITS = {"emotions": 400, "yeast": 64, "goemotions": 32}  # more where few examples are held out
COMPONENTS = 32  # principal ones, of standardised features

REAL_PIXELS = Check(
    "real_pixels",
    "Given the digits' pixels, a perceptron's held-out gap is smaller by at least 0.1 nats.",
    Exceeds(margin=0.1),
    r"\Delta_{\text{no features}} - \Delta_{\text{pixels}}",
    control="every image replaced by the mean image",
    positive="the tags themselves in place of the first pixels",
    population="splits of this set",
)
REAL_LINEAR = Check(
    "real_linear",
    "The same with linear outputs, which cannot express each tag on their own.",
    Exceeds(margin=0.1),
    r"\Delta_{\text{no features}} - \Delta_{\text{pixels}}",
    control="every image replaced by the mean image",
    positive="the tags themselves in place of the first pixels",
    population="splits of this set",
    scope=True,
)
REAL_FEATURES = Check(
    "real_features",
    "On multi-label sets the features that linear outputs are given lower the held-out gap by at least "
    "0.03 nats, against the same features shuffled among the examples.",
    Exceeds(margin=0.03),
    r"\Delta_{\text{shuffled}} - \Delta_{\text{features}}",
    control="features shuffled another time, in place of the true ones",
    positive="labels whose dependence the features cause, on all sets but the emotions",
    population="splits of this set",
    settings=FREQUENT,
    scope=True,
)
REAL_JOINT = Check(
    "real_joint",
    "Given those features, the joint loss is still lower held out, by at least 0.03 nats: what its "
    "outputs cost in examples does not outweigh what they capture.",
    Exceeds(margin=0.03),
    r"\mathcal{L}_{\text{independent}} - \mathcal{L}_{\text{joint}}",
    control="each label shuffled on its own, so that there is nothing to capture",
    positive="the features shuffled",
    population="splits of this set",
    settings=FREQUENT,
    scope=True,
)


def train_tags(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The digits' tags, given the pixels."""
    x, y = multilabel.examples_of("digits")
    bare, _ = label_counts.held_out_gaps(seeds, y, BATCH, RATE, STEPS)
    for check, hidden in ((REAL_PIXELS, [64]), (REAL_LINEAR, [])):
        arms = ("claim", "control", "positive")
        gaps, noise = independence.held_out_gaps(seeds, x, y, ("", "mean", "told"), hidden, **TRAINING)
        for arm, gap, error in zip(arms, gaps, noise, strict=True):
            yield check.rows(**{arm: bare}, reference=gap, seed=seeds, resolution=error)


def train_sets(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """The most frequent labels of a multi-label set, given its features."""
    x, y = multilabel.examples_of(name)
    x, arms = data.principal_components(x, COMPONENTS), ("", "features", "features again", "labels")
    held_out = lambda arms: independence.held_out_gaps(seeds, x, y[: len(x)], arms, **TRAINING)
    (gap, moved, again, alone), noise = held_out(arms)
    shared = {"setting": name, "seed": seeds, "resolution": noise[0]}
    yield REAL_FEATURES.rows(moved - gap, moved - again, **shared)
    if name != "emotions":  # which has many splits
        (caused, apart), _ = held_out(("caused", "features caused"))
        yield REAL_FEATURES.rows(positive=apart - caused, **shared)
    yield REAL_JOINT.rows(gap, alone, positive=moved, **shared)
    yield rows.tidy(quantity="shuffled features", value=moved, **shared)


# --- the whole study ---

CHECKS = (
    GAP,
    ZERO,
    CONDITIONAL,
    UNCONDITIONAL,
    SYNERGY,
    MARGINALS,
    MANY,
    MANY_COST,
    REAL,
    REAL_PIXELS,
    REAL_LINEAR,
    REAL_FEATURES,
    REAL_JOINT,
)
counted = lambda labels, strength, revealed: label_counts.enumerated(labels, strength, revealed)
THEORIES = (
    Theory("gap", information, counted, [(2, s, 0.0) for s in (0.0, *STRENGTHS)]),
    Theory("conditional", information, counted, [(2, STRENGTH, r) for r in REVEALED]),
    Theory(
        "synergy",
        lambda wrong: label_counts.exclusive_or_information(wrong),
        lambda wrong: label_counts.conditional_information(label_counts.exclusive_or(wrong)),
        [(0.0,), (WRONG,), (0.5,)],
    ),
    Theory("many", information, counted, [(n, STRENGTH, 0.0) for n in LABELS]),
)


def units(scale: str) -> list[Unit]:
    seeds, bare, many = range(SEEDS[scale]), range(BARE_SPLITS[scale]), COST_SEEDS[scale]
    splits = {"emotions": 192, "yeast": 12, "goemotions": 12} if scale == "smoke" else SPLITS
    return [
        unit(train_pairs, seeds, cost=4),
        unit(train_synergy, seeds, cost=2),
        unit(train_marginals, seeds, cost=2),
        *(unit(train_many, range(many[n]), labels=n, cost=3) for n in LABELS),
        *(unit(train_frequencies, bare, data=name, cost=3) for name in ("digits", *FREQUENT)),
        unit(train_tags, seeds, data=("digits",), cost=10),
        *(unit(train_sets, range(splits[name]), data=name, cost=12) for name in FREQUENT),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Theory and measured gap at every setting."""
    judged = rows[(rows["check"] != "") & (rows["arm"] == "claim")]
    by_setting = judged.groupby(["check", "setting"], sort=False)
    numbers = by_setting.agg(theory=("reference", "mean"), value=("value", "mean"), sd=("value", "std"))
    titles = ["Check", "Setting", "Theory or comparison", "Measured", "SD over seeds"]
    return numbers.reset_index().set_axis(titles, axis=1)


def figure(rows: pd.DataFrame):
    """The gap against dependence, what the features reveal and the number of labels; and on real labels."""
    canvas, axes = figures.panels(2, 2)
    claim = rows[rows["arm"] == "claim"]
    gap_panels.draw_strengths(axes[0], claim, information)
    gap_panels.draw_features(axes[1], claim, information, STRENGTH)
    gap_panels.draw_many(axes[2], claim, information, STRENGTH, LABELS)
    gap_panels.draw_real(axes[3], claim)
    for ax in axes:
        ax.legend(fontsize=8)
    return canvas

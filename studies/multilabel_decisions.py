"""Deciding on tags: the best threshold is half the F1 it reaches, and whole sets want a joint decision.

Expect: thresholds at F*/2, far below ½; sigmoids better calibrated than a softmax where examples have several
tags, and hardly where nearly all have one; an accuracy of 0.95 for saying nothing. Costs a quarter of a
minute at the standard scale. Run it with `crosscheck run multilabel_decisions`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Theory, Unit, unit
from crosscheck.lazy import figures, independence, multilabel, optimize, pd, rows, special, tagging, tags

CLAIM = Claim(
    title="Tags are decided at half the F1 that can be reached, and whole sets jointly",
    statement="Cross-entropy is adapted to multi-label tagging: each tag's probability is compared with ½.",
    formula=r"t^* = F^* / 2",
    source="Introduction; Lipton, Elkan & Naryanaswamy 2014; Elkan & Noto 2008",
    correct="½ is best for the share of right single decisions, which is high for saying nothing where "
    "tags are rare. For F1 decide at F*/2, from calibrated probabilities; for whole sets from the joint law; "
    "where tags are missing, after dividing by the chance to be written down.",
)
SEEDS = {"smoke": 6, "standard": 32, "full": 64}
SPLITS = {"smoke": 6, "standard": 40, "full": 64}
WHOLE_SPLITS = {"smoke": 12, "standard": 48, "full": 128}
EXAMPLES, MANY = 4096, 65_536
MARGINALS = (0.7, 0.5, 0.3, 0.3)
COUNTED = "the sample's own frequencies, without training"


# --- real tags: calibration, the best threshold, and the accuracy of saying nothing ------------------------

SETS = ("emotions", "yeast", "goemotions")
BETA, SAMPLES = (0.5, 2.0), 8  # samples a seed: a best threshold is found to N^(−1/3) only

CALIBRATION = Check(
    "calibration",
    "Sigmoids are better calibrated, tag by tag, than either softmax: by 0.02 at least (rms, debiased).",
    Exceeds(margin=0.02),
    r"E_{\text{softmax}} - E_{\text{sigmoids}}",
    control="one tag an example kept",
    positive="the sigmoids' own probabilities divided by their sum, in place of a softmax",
    population="splits of this set",
    settings=SETS,
    scope=True,
)
THRESHOLD = Check(
    "threshold",
    "F1 is greatest at the threshold F*/2, F* being that F1, of posteriors from a beta distribution.",
    Equal(margin=0.02),
    r"t^* = F^* / 2",
    control="logits doubled",
    positive="posteriors from a uniform distribution",
    population="generator",
)
THRESHOLD_REAL = Check(
    "threshold_real",
    "On real tags the threshold F*/2 loses no more than 0.01 of F1 (of all tags together, held out) against "
    "the best one, both taken from the other half of the examples.",
    Exceeds(margin=-0.01),
    r"F(F^*/2) - F(t^*) \ge -0.01",
    control="the threshold F*, not halved",
    positive="tags drawn anew from the probabilities themselves",
    population="splits of this set",
    settings=("yeast", "goemotions"),
)
TRAP = Check(
    "accuracy_trap",
    "To say that no tag is there has a binary accuracy of 0.95 or more.",
    Exceeds(margin=0.95),
    r"1 - \overline{\pi} \ge 0.95",
    control="macro-averaged F1 of trained sigmoids, at ½, in place of accuracy",
    positive="their accuracy",
    population="splits of this set",
    settings=("goemotions",),
)


def train_real(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Linear heads of all tags of a set."""
    split = tagging.split_of(name, seeds)
    p, y = tagging.heads_of(seeds, name, split), split.y_test
    place, kept = {"setting": name, "seed": seeds}, tagging.one_of(y, [seed + 1 for seed in seeds])
    errors = {arm: tagging.calibration_error(at, kept if "one" in arm else y) for arm, at in p.items()}
    own = p["sigmoids"] / p["sigmoids"].sum(-1, keepdims=True)
    worse = {c: np.minimum(errors["multi-hot" + c], errors["normalised" + c]) for c in ("", ", one")}
    gained = [worse[c] - errors["sigmoids" + c] for c in worse]
    yield CALIBRATION.rows(*gained, **place)
    if name != "goemotions":  # whose comments have hardly more than one tag each
        divided = tagging.calibration_error(own, y) - errors["sigmoids"]
        yield CALIBRATION.rows(positive=divided, **place)
    if name in THRESHOLD_REAL.settings:
        yield from threshold_rows(p["sigmoids"], y, place)
    if name in TRAP.settings:
        macro = [tagging.macro_f1(*pair, 0.5) for pair in zip(p["sigmoids"], y, strict=True)]
        right = ((p["sigmoids"] > 0.5) == y).mean((1, 2))
        yield TRAP.rows((y == 0).mean((1, 2)), np.array(macro), positive=right, **place)
    for head in tags.HEADS:
        precision, recall = tagging.first_choice(p[head], y)
        shown = {"error": errors[head], "precision": precision, "recall": recall}
        for quantity, value in shown.items():
            yield rows.tidy(quantity=quantity, path=head, value=value, **place)


def threshold_rows(p: np.ndarray, y: np.ndarray, place: dict) -> Iterator[pd.DataFrame]:
    """What F1 loses by F*/2, and by F*; of tags as they are, and drawn from the probabilities."""
    if p.shape[-1] > 10:  # GoEmotions' largest tags
        largest = np.argsort(-y.mean((0, 1)), kind="stable")[:10]
        p, y = p[..., largest], y[..., largest]
    drawn = np.random.default_rng(place["seed"][0]).random(p.shape) < p
    lost, lost_by_whole = np.transpose([tagging.regrets(*pair) for pair in zip(p, y, strict=True)])
    own, _ = np.transpose([tagging.regrets(*pair) for pair in zip(p, drawn, strict=True)])
    yield THRESHOLD_REAL.rows(lost, lost_by_whole, positive=own, **place)
    best = [tagging.threshold_and_f1(a.ravel(), b.ravel()) for a, b in zip(p, y, strict=True)]
    for threshold, reached in best:
        yield rows.tidy(quantity="threshold", x=reached, value=threshold, setting=place["setting"])


def measure_beta(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Posteriors drawn from a beta distribution, and tags from them: best thresholds beside half their F1."""
    for seed in seeds:
        for repetition in range(SAMPLES):
            rng = np.random.default_rng([seed, repetition])
            for arm, p, q in beta_samples(rng):
                threshold, reached = tagging.threshold_and_f1(q, rng.random(len(p)) < p)
                yield THRESHOLD.rows(**{arm: threshold}, reference=reached / 2, seed=seed)


def beta_samples(rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """By arm, posteriors and what is taken for them, [N] each."""
    p, even = rng.beta(*BETA, EXAMPLES * 8), rng.random(EXAMPLES * 8)
    yield "claim", p, p
    yield "control", p, p**2 / (p**2 + (1 - p) ** 2)
    yield "positive", even, even


def best_by_fixed_point(a: float, b: float) -> float:
    """The t at which t = F(t)/2, of posteriors from Beta(a, b)."""
    return float(optimize.brentq(lambda t: 2 * t - tagging.expected_f1(t, a, b), 1e-6, 1 - 1e-6))


def best_on_a_grid(a: float, b: float) -> float:
    """Where F is greatest, by sums over a million equally likely posteriors."""
    p = special.betaincinv(a, b, (np.arange(1_000_000) + 0.5) / 1_000_000)[::-1]
    f = 2 * np.cumsum(p) / (np.arange(1, len(p) + 1) + p.sum())
    return float(p[np.argmax(f)])


def f1_by_quadrature(t: float, a: float, b: float) -> float:
    """2 ∫_t p dF / (∫_t dF + E[p]), by sums over a million equally likely posteriors."""
    p = special.betaincinv(a, b, (np.arange(1_000_000) + 0.5) / 1_000_000)
    chosen = p >= t
    return float(2 * p[chosen].sum() / (chosen.sum() + p.sum()))


def draw_threshold(ax, rows: pd.DataFrame) -> None:
    part = (
        rows[rows["check"] == THRESHOLD.id].groupby(["arm", "seed"], as_index=False).mean(numeric_only=True)
    )
    names = {"claim": "Beta(½, 2)", "positive": "uniform", "control": "Beta(½, 2), logits doubled"}
    for arm, label in names.items():
        at = part[part["arm"] == arm]
        ax.plot(2 * at["reference"], at["value"], "x" if arm == "control" else "o", label=label, alpha=0.7)
    for name, at in rows[rows["quantity"] == "threshold"].groupby("setting", sort=False):
        ax.plot(at["x"], at["value"], "o", label=name, alpha=0.7)
    f = np.array([0.2, 0.8])
    figures.theory_line(ax, f, f / 2, "F*/2")
    ax.set(title="The best threshold", xlabel="greatest F1, F*", ylabel="threshold", ylim=(0, 0.5))
    ax.legend(fontsize=7)


def draw_calibration(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["quantity"] == "error"]
    figures.intervals(ax, part.set_index(["path", "setting", "seed"])["value"])
    ax.set(title="Calibration error, tag by tag", xlabel="root mean square, debiased", xlim=(0, None))


# --- whole sets: does the joint mode win? ------------------------------------------------------------------

TWO = {"": 0.4, "A": 0.3, "AB": 0.3}  # marginals say {A}, the joint law says none

SUBSET = Check(
    "subset",
    "Where whole sets have to be right, a softmax over sets gets at least three in a hundred more right "
    "than tags decided each for itself.",
    Exceeds(margin=0.03),
    r"P(\hat S_{\text{joint}} = S) - P(\hat S_{\text{tags}} = S)",
    control="the tags made independent",
    positive="the same counts fitted in closed form",
    population="generator",
)
SUBSET_REAL = Check(
    "subset_real",
    "So it does on the four most frequent tags of yeast, from their features: one in a hundred more.",
    Exceeds(margin=0.01),
    r"P(\hat S_{\text{joint}} = S) - P(\hat S_{\text{tags}} = S)",
    control="each tag shuffled on its own",
    positive="tags of one cause that the features do not tell",
    population="splits of this set",
    settings=("yeast",),
)


def train_subset(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Two tags of a known law: what is decided, and how likely it then is."""
    law = tags.law_of(TWO, "AB")
    apart = tags.independent(tags.marginals_of(law))
    counts = np.stack([tags.drawn(at, EXAMPLES, seed) for at in (law, apart) for seed in seeds])[:, None]
    logits = independence.trained_on_counts(seeds, counts, 0.05, 300)[:, 0]
    fitted = independence.fitted_to_counts(counts)[: len(seeds), 0]
    chance = lambda z, law: law[tagging.decisions(z, 2)[1]] - law[tagging.decisions(z, 2)[0]]
    claim, control = chance(logits[: len(seeds)], law), chance(logits[len(seeds) :], apart)
    yield SUBSET.rows(claim, control, positive=chance(fitted, law), seed=seeds)


def train_real_subset(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """The four most frequent tags of a set, from its features."""
    alone, joint = tagging.exact_matches(
        seeds, *multilabel.examples_of(name), ("", "labels", "features caused")
    )
    claim, control, caused = joint - alone
    yield SUBSET_REAL.rows(claim, control, positive=caused, setting=name, seed=seeds)


# --- missing tags: what if a tag that is there is written down with chance c only? -------------------------

KEPT = {"c = 1": 1.0, "c = 1/2": 0.5, "c = 1/4": 0.25}

MISSING = Check(
    "missing",
    "Where a tag that is there is written down with chance c, sigmoids learn cπ.",
    Equal(margin=0.02),
    r"p_k = c\,\pi_k",
    control="trained with another c: 1/2 for 1, 1 for the others",
    positive=COUNTED,
    population="generator",
    settings=tuple(KEPT),
)
RESTORED = Check(
    "restored",
    "Divided by c, they are π again.",
    Equal(margin=0.02),
    r"p_k / c = \pi_k",
    control="divided by another c: 1/2 for 1, 1 for the others",
    positive=COUNTED,
    population="generator",
    settings=tuple(KEPT),
)


def train_missing(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Sigmoids on samples of which tags are missing."""
    law, pi = tags.nested(MARGINALS), np.array(MARGINALS)
    seen = {name: tags.thinned(law, c) for name, c in KEPT.items()}
    p = dict(zip(KEPT, tags.trained(seeds, [("sigmoids", at) for at in seen.values()], MANY), strict=True))
    for name, c in KEPT.items():
        other, place = "c = 1/2" if c == 1 else "c = 1", {"setting": name, "seed": seeds}
        counted = np.stack([tags.marginals_of(tags.drawn(seen[name], MANY, s) / MANY) for s in seeds])
        off = (tags.furthest(at, c * pi) for at in (p[name], p[other], counted))
        claim, control, positive = off
        yield MISSING.rows(claim, control, positive=positive, **place)
        off = (tags.furthest(at, pi) for at in (p[name] / c, p[name] / KEPT[other], counted / c))
        claim, control, positive = off
        yield RESTORED.rows(claim, control, positive=positive, **place)


# --- the study ---------------------------------------------------------------------------------------------

CHECKS = (THRESHOLD, THRESHOLD_REAL, CALIBRATION, SUBSET, SUBSET_REAL, TRAP, MISSING, RESTORED)
THEORIES = (
    Theory("threshold", best_by_fixed_point, best_on_a_grid, [BETA, (1.0, 1.0), (2.0, 5.0)], 1e-4),
    Theory(
        "expected_f1",
        lambda t, a, b: tagging.expected_f1(t, a, b),
        f1_by_quadrature,
        [(0.2, *BETA), (0.5, 2.0, 5.0)],
        1e-6,
    ),
)


def units(scale: str) -> list[Unit]:
    splits = range(SPLITS[scale])
    return [
        unit(measure_beta, range(SEEDS[scale]), cost=2),
        *(unit(train_real, splits, data=name, cost=5) for name in SETS),
        unit(train_subset, range(SEEDS[scale]), cost=4),
        unit(train_real_subset, range(WHOLE_SPLITS[scale]), data="yeast", cost=5),
        unit(train_missing, range(SEEDS[scale]), cost=4),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Held-out calibration error, precision and recall of the first choice; means over seeds."""
    names = {"error": "Calibration error", "precision": "Precision at 1", "recall": "Recall at 1"}
    wide = rows[rows["quantity"].isin(names)].pivot_table(
        "value", ["setting", "path"], "quantity", sort=False
    )
    wide = wide.reindex(columns=list(names)).rename(columns=names).rename_axis(None, axis=1)
    return wide.rename_axis(["Data set", "Head"]).reset_index()


def figure(rows: pd.DataFrame):
    """Best thresholds against the F1 that they reach, and calibration errors of the heads."""
    canvas, axes = figures.panels(2, 1, height=3.6)
    for draw, ax in zip((draw_threshold, draw_calibration), axes, strict=True):
        draw(ax, rows)
    return canvas

"""The energy out of distribution: what cross-entropy leaves free, what margins fix, and where they do harm.

Every score is larger the more an input looks out of distribution. FPR95 is the share of outliers let in where
95 % of the inliers are (in-distribution positive), unless the other convention is named.

Expect: the identities hold; the energy falls in training where the head lets it, on some outliers further;
auxiliary outliers help where they cover the test's, and may do harm elsewhere. Photographs: `ood_published`.
A minute at the standard scale: `crosscheck run ood_energy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.claims import Check, Claim, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    arms,
    data,
    detecting,
    detection,
    exposure,
    figures,
    harm,
    identities,
    laws,
    models,
    panels,
    pd,
    perceptrons,
    rows,
)

CLAIM = Claim(
    title="Energy margins enable reliable detection of outliers",
    statement="Training under cross-entropy implicitly pushes the energy E(x) low in distribution and leaves "
    "it uncontrolled elsewhere. A margin loss that pushes the energy of outliers up while keeping that of "
    "in-distribution inputs low improves robustness and enables reliable out-of-distribution detection.",
    formula=r"E(x) = -\ln\sum_k e^{z_k(x)}, \qquad L = -z_y - E + \lambda \left[(E_{\mathrm{in}} - "
    r"m_{\mathrm{in}})_+^2 + (m_{\mathrm{out}} - E_{\mathrm{out}})_+^2\right]",
    source="Advanced Perspectives and Applications; problem 3103448",
    correct="Cross-entropy fixes the energy only up to any c(x): it falls where the head lets it, on some "
    "outliers further than in distribution. Margins improve detection of what the auxiliary outliers cover; "
    "of others it may get far worse, near the data or not: with mixtures of Fashion-MNIST's images as "
    "auxiliary outliers, AUROC of MNIST's falls by half. It is not reliable.",
)

SEEDS = {"smoke": 6, "standard": 16, "full": 64}
DIGIT_SEEDS = {"smoke": 6, "standard": 48, "full": 64}  # close to its margins
COUNTS = {"digits": DIGIT_SEEDS, "mnist": SEEDS, "fashion_mnist": SEEDS, "clinc_oos": SEEDS}
MOST = {"smoke": 640, "standard": 1500, "full": 10_000}  # examples of a role, at most
LARGER = {"smoke": 640, "standard": 8000, "full": 20_000}  # images of Fashion-MNIST where margins harm
SETS = tuple(COUNTS)
KINDS = ("classes 8, 9", "gaussian noise", "rotated", "inverted")  # test outliers of the digits 0–5
PAIRS = (*KINDS, *SETS[1:])  # the other sets against their first kind: each other; real queries out of scope
THESE = "these data sets"
ON_PAIRS: dict[str, Any] = {"settings": PAIRS, "population": THESE}
NARROWS = ON_PAIRS | {"scope": True}
BOTH_WAYS = ON_PAIRS | {
    "control": "margins of the wrong sign: inliers pushed up, outliers down",
    "positive": "auxiliary outliers of the test's own kind, where there are such",
}


# --- identity: what does cross-entropy say of the energy? ----------------------------------------------

IDENTITY = Check(
    "identity",
    "Cross-entropy is −z_y − E; adding c(x) to all logits leaves it as it is and moves E by −c.",
    Identity(ulps=8),
    r"L = -z_y - E, \quad L(z + c) = L(z), \quad E(z + c) = E(z) - c",
    control="the same in float32, judged as float64",
    positive="SciPy's ln Σ e^z in place of this package's loss and energy",
    settings=("value", "shifted loss", "shifted energy"),
    exact=True,
)


def measure_identity(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Random logits and shifts in float64; the sum −z_y − E is taken at 50 digits."""
    theory, (claim, control, positive), ulp = identities.compared()
    for setting in IDENTITY.settings:
        values = (claim[setting], control[setting], theory[setting])
        yield IDENTITY.rows(*values, positive=positive[setting], setting=setting, resolution=ulp)


# --- the networks: trained plainly, then fine-tuned in every way -----------------------------------------

STAGES = 5  # at whose ends the energy is looked at while training
DENSE = ("in", "classes 8, 9", "rotated")  # kinds whose distribution is drawn
ROCS = (("before", "softmax"), ("before", "energy"), ("mixed", "energy"), ("exposure", "softmax"))


def train(seeds: tuple[int, ...], name: str, most: int, tuning: Sequence[int]) -> Iterator[pd.DataFrame]:
    """One in-distribution set: classifiers, every way to fine-tune them, every kind of test outlier."""
    roles = data.roles(name, most)
    sets = {"in": roles.x_test, **roles.outliers}
    beside = {TRAINED_ON: roles.x_train, EMPTY: np.zeros_like(roles.x_test[:1])}
    build = models.perceptron(roles.x_train.shape[1], arms.HIDDEN, len(roles.cast.classes))
    classifiers = exposure.classifiers(build, seeds, arms.PLAIN_RATE)
    epochs = [arms.EPOCHS[name] // STAGES] * STAGES
    few = (seeds[: SEEDS["standard"]], arms.PLAIN_RATE)
    held = exposure.self_normalised(build, *few, roles, arms.BATCH, sum(epochs))
    stages = exposure.stages(classifiers, roles, arms.BATCH, epochs, {**sets, **beside})
    ways = arms.arms_of(roles.cast)
    tuned = exposure.fine_tuned(build, classifiers, roles, ways, exposure.Schedule(arms.RATE, *tuning))
    before = {kind: stages[-1][kind] for kind in sets}
    logits = {"before": before, **exposure.logits_by_arm(tuned, list(ways), sets)}
    separated = {arm: detection.separations("energy", kinds) for arm, kinds in logits.items()}
    yield from implicit_rows(name, seeds, stages, perceptrons.logits(held, roles.x_test))
    yield from score_rows(name, seeds, logits, separated)
    yield from margin_rows(name, seeds, logits, separated)
    yield from accuracy_rows(name, seeds, logits, roles.y_test)
    if name == "digits":
        yield from coverage_rows(seeds, logits, separated)
        yield from detecting.curve_rows(logits, DENSE, KINDS[0], ROCS)


# --- implicit: does plain training push the energy down, and where? --------------------------------------

TRAINED_ON, EMPTY = "training examples", "an empty input"
IMPLICIT = Check(
    "implicit",
    "With free logits, training lowers the mean energy of in-distribution test examples by ≥ 1 nat.",
    Exceeds(margin=1.0),
    r"\bar E_{\mathrm{start}} - \bar E_{\mathrm{end}}",
    control="with 0.1 E² added to the loss, which holds the energy near 0 (self-normalisation)",
    positive="training examples in place of test examples",
    settings=SETS,
    population=THESE,
)
IMPLICIT_ANY_HEAD = Check(
    "implicit_any_head",
    "So it does whatever the head: here a log-softmax, at the same loss (mean over networks).",
    Exceeds(margin=1.0),
    r"\bar E_{\mathrm{start}} - \bar E_{\mathrm{end}}",
    control="free logits with 0.1 E² added to the loss",
    positive="free logits, on the digits",
    settings=SETS,
    scope=True,
    exact=True,
)
IMPLICIT_APART = Check(
    "implicit_apart",
    "Training lowers the energy in distribution by ≥ 1 nat more than that of outliers.",
    Exceeds(margin=1.0),
    r"\Delta\bar E_{\mathrm{out}} - \Delta\bar E_{\mathrm{in}}",
    control="every other test example in place of outliers",
    positive="an input that is 0 everywhere in place of outliers",
    **NARROWS,
)


def implicit_rows(name: str, seeds: tuple[int, ...], stages, held) -> Iterator[pd.DataFrame]:
    """Mean energy by kind while training; at last, also through a log-softmax, and where it was held at 0."""
    free = {kind: np.stack([detection.scored("energy", z[kind]) for z in stages]) for kind in stages[0]}
    flat = detecting.normalised(stages[0]["in"]) - detecting.normalised(stages[-1]["in"]) + 0.0  # not −0
    near = free["in"][0][: len(held)] - detection.scored("energy", held)  # they started alike
    fall = {kind: detecting.fallen(energies).mean(-1) for kind, energies in free.items()}
    yield IMPLICIT.rows(fall["in"], positive=fall[TRAINED_ON], setting=name, seed=seeds)
    yield IMPLICIT.rows(control=near.mean(-1), setting=name, seed=seeds[: len(near)])
    free_too = fall["in"].mean() if name == "digits" else None
    yield IMPLICIT_ANY_HEAD.rows(flat.mean(), near.mean(), positive=free_too, setting=name)
    one, other = (half.mean(-1) for half in detecting.halves(detecting.fallen(free["in"])))
    outliers = [kind for kind in free if kind not in ("in", TRAINED_ON, EMPTY)]
    for setting, kind in arms.kinds_by_setting(name, outliers).items():
        place = {"setting": setting, "seed": seeds}
        yield IMPLICIT_APART.rows(claim=fall["in"], reference=fall[kind], **place)
        yield IMPLICIT_APART.rows(control=one, reference=other, **place)
        yield IMPLICIT_APART.rows(positive=fall["in"], reference=fall[EMPTY], **place)
    shown = {"quantity": "energy while training", "x": np.arange(STAGES + 1)[:, None] / STAGES, "seed": seeds}
    for kind, energies in free.items():
        yield rows.tidy(setting=f"{name}: {kind}", value=energies.mean(-1), **shown)


# --- score: is the energy the better detector without retraining? ----------------------------------------

SCORE = Check(
    "score",
    "Without retraining, the energy's AUROC is ≥ 0.01 above that of the largest softmax probability.",
    Exceeds(margin=0.01),
    r"\mathrm{AUROC}(E) - \mathrm{AUROC}(\max p)",
    control="the largest probability in half precision, whose rounding makes ties, in place of the energy",
    positive="the energy after fine-tuning with margins, on inverted digits",
    **NARROWS,
)


def score_rows(name: str, seeds: tuple[int, ...], logits, separated) -> Iterator[pd.DataFrame]:
    """Every detector before fine-tuning, on every kind; energy against softmax where it is judged."""
    before = {score: detection.separations(score, logits["before"]) for score in detection.SCORES}
    for setting, kind in arms.kinds_by_setting(name, list(separated["mixed"])).items():
        softmax, energy = (before[score][kind]["AUROC"] for score in ("softmax", "energy"))
        rounded = detecting.auroc_by_half(logits["before"], kind)
        yield SCORE.rows(energy, rounded, softmax, setting=setting, seed=seeds)
        if kind == "inverted":
            tuned = separated["mixed"][kind]["AUROC"]
            yield SCORE.rows(positive=tuned, reference=softmax, setting=setting, seed=seeds)
    yield from (detecting.separation_rows(name, seeds, of, score, "before") for score, of in before.items())


# --- margin, margin_auroc, needs_outliers, reliable; margin_accuracy: what do margins gain, and cost? -----

MARGIN = Check(
    "margin",
    "Fine-tuned with margins on outliers of other kinds, FPR95 (in-distribution positive) is ≥ 0.05 "
    "below that after fine-tuning without (λ = 0).",
    Exceeds(margin=0.05),
    r"\mathrm{FPR}_{95}(\lambda = 0) - \mathrm{FPR}_{95}(\lambda = 0.1)",
    **BOTH_WAYS | {"control": "half of the test examples in place of outliers"},
)
MARGIN_AUROC = Check(
    "margin_auroc",
    "And its AUROC is ≥ 0.01 above.",
    Exceeds(margin=0.01),
    r"\mathrm{AUROC}(\lambda = 0.1) - \mathrm{AUROC}(\lambda = 0)",
    **BOTH_WAYS,
)
NEEDS_OUTLIERS = Check(
    "needs_outliers",
    "The gain comes from outliers: with in-distribution data in their place AUROC is ≥ 0.01 lower.",
    Exceeds(margin=0.01),
    r"\mathrm{AUROC}(\mathrm{mixed}) - \mathrm{AUROC}(\mathrm{in})",
    **BOTH_WAYS | NARROWS,
)
EXPOSED = Check(
    "outlier_exposure",
    "On the same auxiliary outliers, margins and the energy detect better than outlier exposure and the "
    "largest probability: AUROC is ≥ 0.01 above.",
    Exceeds(margin=0.01),
    r"\mathrm{AUROC}(E, \lambda = 0.1) - \mathrm{AUROC}(\max p, \mu = 0.5)",
    control="margins of the wrong sign",
    positive="against the largest probability without exposure (μ = 0), on inverted digits",
    **NARROWS,
)
RELIABLE = Check(
    "reliable",
    "As the chapter has it: detection is reliable. Of test outliers at least 95 % are found where 95 % "
    "of in-distribution examples pass.",
    Exceeds(margin=0.95),
    r"1 - \mathrm{FPR}_{95} \ge 0.95",
    **BOTH_WAYS,
)


def margin_rows(name: str, seeds: tuple[int, ...], logits, separated) -> Iterator[pd.DataFrame]:
    """The margins' gain over fine-tuning without, on the pairs that are judged."""
    exposed, plain = (detection.separations("softmax", logits[arm]) for arm in ("exposure", "λ = 0"))
    blank = [detecting.of_none(detection.fpr95, logits[arm], "in") for arm in ("λ = 0", "mixed")]
    for setting, kind in arms.kinds_by_setting(name, list(separated["mixed"])).items():
        rate, area = ({arm: s[kind][m] for arm, s in separated.items()} for m in ("FPR95 in", "AUROC"))
        place = {"setting": setting, "seed": seeds}
        noise = {"resolution": np.sqrt(rate["mixed"] * (1 - rate["mixed"]) / logits["mixed"][kind].shape[1])}
        own = arms.OWN.get(kind, "")
        mixed, wrong, none, known = (area.get(arm) for arm in ("mixed", "wrong sign", "λ = 0", own))
        fall = {arm: rate["λ = 0"] - of for arm, of in rate.items()}
        yield MARGIN.rows(fall["mixed"], blank[0] - blank[1], positive=fall.get(own), **place, **noise)
        yield MARGIN_AUROC.rows(mixed, wrong, none, positive=known, **place)
        yield NEEDS_OUTLIERS.rows(mixed, wrong, area["in distribution"], positive=known, **place)
        found = {arm: 1 - of for arm, of in rate.items()}
        yield RELIABLE.rows(found["mixed"], found["wrong sign"], positive=found.get(own), **place, **noise)
        yield EXPOSED.rows(mixed, wrong, exposed[kind]["AUROC"], **place)
        if kind == "inverted":
            yield EXPOSED.rows(positive=mixed, reference=plain[kind]["AUROC"], **place)
    for arm in [arm for arm in logits if arm != "before"]:
        yield detecting.separation_rows(name, seeds, separated[arm], "energy", arm)
    yield detecting.separation_rows(name, seeds, exposed, "softmax", "exposure")


MARGIN_ACCURACY = Check(
    "margin_accuracy",
    "Test accuracy is kept to within 0.01.",
    Exceeds(margin=-0.01),
    r"\mathrm{acc}(\lambda = 0.1) - \mathrm{acc}(\lambda = 0)",
    control="the same fine-tuning on shuffled labels",
    positive="outlier exposure in place of margins, on the digits",
    settings=SETS,
    population=THESE,
)


def accuracy_rows(name: str, seeds: tuple[int, ...], logits, y_test: np.ndarray) -> Iterator[pd.DataFrame]:
    """Test accuracy, kept or not; and the calibration error of every arm."""
    accuracy = detecting.accuracies(logits, y_test)
    kept = (accuracy[arm] for arm in ("mixed", "labels shuffled", "λ = 0"))
    exposed = accuracy["exposure"] if name == "digits" else None
    yield MARGIN_ACCURACY.rows(*kept, positive=exposed, setting=name, seed=seeds)
    yield from detecting.quality_rows(name, seeds, logits, y_test)


# --- coverage, coverage_contrast, coverage_images: whatever the auxiliary outliers? ------------------------

CELLS = tuple(
    f"{auxiliary} → {kind}"
    for auxiliary in ("uniform noise", "patches shuffled", "classes 6, 7")
    for kind in KINDS
    if (auxiliary, kind) != ("uniform noise", "gaussian noise")  # one family: not disjoint
)
TITLES = {"digits": "the digits", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}  # of the matrices
COVERAGE = Check(
    "coverage",
    "Whatever the auxiliary outliers, margins cost test outliers of other kinds no more than 0.01 AUROC.",
    Exceeds(margin=-0.01),
    r"\mathrm{AUROC}(\lambda = 0.1) - \mathrm{AUROC}(\lambda = 0)",
    control="margins of the wrong sign",
    positive="auxiliary noise for test noise, of one family",
    settings=CELLS,
    scope=True,
    population=THESE,
)
COVERAGE_CONTRAST = Check(
    "coverage_contrast",
    "What they cover decides: the best auxiliary kind gains ≥ 0.02 AUROC more than the worst (both of "
    "other kinds than the test outliers, and chosen on the other seeds).",
    Exceeds(margin=0.02),
    r"\mathrm{AUROC}(\mathrm{best}) - \mathrm{AUROC}(\mathrm{worst})",
    control="the same two where half of the test examples stand in for the outliers",
    positive="auxiliary noise, of one family with the test's, in place of the best",
    settings=KINDS,
    scope=True,
    population=THESE,
)
COVERAGE_IMAGES = replace(
    COVERAGE,
    id="coverage_images",
    statement="Nor with more images (8,000; at full scale 20,000): margins on mixtures of pairs of Fashion-"
    "MNIST's images cost those of MNIST no more than 0.01 AUROC.",
    control="MNIST's own training images, with margins of the wrong sign",
    positive="MNIST's own training images as auxiliary outliers",
    settings=("fashion_mnist",),
)


def coverage_rows(seeds: tuple[int, ...], logits, separated) -> Iterator[pd.DataFrame]:
    """The digits' matrix: AUROC by auxiliary and test kind, of different families alone."""
    area = {arm: {kind: s["AUROC"] for kind, s in kinds.items()} for arm, kinds in separated.items()}
    own = {kind: area[arm][kind] for kind, arm in arms.OWN.items() if arm in area}
    pairs = list(data.CASTS["digits"].pairs())
    for auxiliary, kind in pairs:
        gain = (area[arm][kind] for arm in (auxiliary, "wrong sign", "λ = 0"))
        yield COVERAGE.rows(*gain, positive=own.get(kind), setting=f"{auxiliary} → {kind}", seed=seeds)
    none = {arm: detecting.of_none(detection.auroc, kinds) for arm, kinds in logits.items()}
    for kind in KINDS:
        fair = [auxiliary for auxiliary, tested in pairs if tested == kind]
        values = ([area[arm][kind] for arm in fair], [none[arm] for arm in fair])
        best, worst, *blank = detecting.extremes(*map(np.stack, values))
        place = {"setting": kind, "seed": seeds}
        yield COVERAGE_CONTRAST.rows(claim=best, positive=own.get(kind), reference=worst, **place)
        yield COVERAGE_CONTRAST.rows(control=blank[0], reference=blank[1], **place)


def train_larger(seeds: tuple[int, ...], images: int) -> Iterator[pd.DataFrame]:
    """Fashion-MNIST against MNIST, more images and a wider network: AUROC by auxiliary outliers."""
    area, shown = harm.measured(seeds, images)
    gain = (area[arm] for arm in (harm.PAIRS, "mnist, wrong sign", "λ = 0"))
    yield COVERAGE_IMAGES.rows(*gain, positive=area["mnist"], setting="fashion_mnist", seed=seeds)
    yield from shown


# --- all of it -------------------------------------------------------------------------------------------

CHECKS = (IDENTITY, IMPLICIT, IMPLICIT_ANY_HEAD, IMPLICIT_APART, SCORE, MARGIN, MARGIN_AUROC, NEEDS_OUTLIERS,
          EXPOSED, MARGIN_ACCURACY, RELIABLE, COVERAGE, COVERAGE_CONTRAST, COVERAGE_IMAGES)  # fmt: skip
pair = lambda law: (lambda *at: getattr(laws, law)(*at), lambda *at: getattr(laws, laws.REFEREES[law])(*at))
THEORIES = (
    Theory("normal_auroc", *pair("normal_auroc"), [(1.0, 1.0), (0.3, 2.0)]),
    Theory("log_loss", *pair("log_loss"), [(0.0, 10), (3.0, 10), (-5.0, 4)]),
)


def units(scale: str) -> list[Unit]:
    most, sizes = MOST[scale], arms.SMALL if scale == "smoke" else arms.TUNING
    trained = [
        unit(train, range(n[scale]), data=data.CASTS[s].reads, cost=12, name=s, most=most, tuning=sizes[s])
        for s, n in COUNTS.items()
    ]
    larger: dict[str, Any] = {"data": ("fashion_mnist", "mnist"), "images": LARGER[scale]}
    return [unit(measure_identity), *trained, unit(train_larger, range(SEEDS[scale]), cost=30, **larger)]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Every pair with every detector, before and after fine-tuning."""
    larger = [name for name in rows["setting"].unique() if " images: " in name]
    settings = [f"digits: {kind}" for kind in KINDS] + [f"{n}: {data.CASTS[n].outliers[0]}" for n in SETS[1:]]
    detectors = [("before", score) for score in ("softmax", "logit", "energy", "entropy")]
    detectors += [(arm, "energy") for arm in ("λ = 0", "mixed", "margins swapped", "pairs mixed")]
    return panels.detection_table(rows, settings + larger, [*detectors, ("exposure", "softmax")])


def figure(rows: pd.DataFrame):
    """Energy and sureness before and after, the ROC, energy while training; and the matrices."""
    canvas, axes = figures.panels(3, 3, height=3.0)
    panels.draw_densities([axes[i] for i in (0, 1, 3, 4)], rows, DENSE, "digits 0–5")
    panels.draw_roc(axes[2], rows, ROCS, "Classes 8, 9 from digits 0–5")
    panels.draw_training(axes[5], rows, "digits", KINDS, "digits 0–5")
    panels.draw_matrices(axes[6:], rows, TITLES, data.CASTS, data.family)
    return canvas

"""The energy out of distribution: what cross-entropy leaves free, what margins fix, and where they do harm.

Every score is larger the more an input looks out of distribution. FPR95 is the share of outliers let in where
95 % of the inliers are (in-distribution positive), unless the other convention is named.

Expect: the identities hold; the energy falls in training where the head lets it, on some outliers further;
fine-tuning with auxiliary outliers helps far from the data, and harms near it. Photographs: `ood_published`.
It costs a minute at the standard scale: `crosscheck run ood_energy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    data,
    detecting,
    detection,
    exposure,
    figures,
    keras,
    losses,
    models,
    panels,
    pd,
    rows,
    special,
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
    "outliers further than in distribution. Margins improve detection of what the auxiliary outliers cover, "
    "most of all where it was bad; of outliers near the data it may get worse, and it is not reliable.",
)

SEEDS = {"smoke": 12, "standard": 16, "full": 64}
IMAGE_SEEDS = {"smoke": 12, "standard": 24, "full": 64}
DIGIT_SEEDS = {"smoke": 24, "standard": 24, "full": 64}
MOST = {"smoke": 640, "standard": 1500, "full": 10_000}  # examples of a role, at most
COUNTS = {"digits": DIGIT_SEEDS, "mnist": IMAGE_SEEDS, "fashion_mnist": IMAGE_SEEDS, "clinc_oos": SEEDS}
SETS = tuple(COUNTS)
KINDS = ("classes 8, 9", "gaussian noise", "rotated", "inverted")  # test outliers of the digits 0–5
PAIRS = (*KINDS, *SETS[1:])  # the other sets against their first kind: each other; real queries out of scope


# --- identity: what does cross-entropy say of the energy? ----------------------------------------------

IDENTITY = Check(
    "identity",
    "Cross-entropy is −z_y − E; adding c(x) to all logits leaves it as it is and moves E by −c.",
    Identity(ulps=8),
    r"L = -z_y - E, \quad L(z + c) = L(z), \quad E(z + c) = E(z) - c",
    control="the Brier score, K sigmoids under binary cross-entropy, and ln(1 − max p), in this order",
    settings=("value", "shifted loss", "shifted energy"),
    exact=True,
)


def log_loss(gap: float, classes: int) -> float:
    """−z_y − E at logits (g, 0, …, 0), y the first."""
    return -gap + float(np.logaddexp(gap, np.log(classes - 1)))


def exact_log_loss(z: Sequence[float] | np.ndarray, label: int) -> float:
    """−z_y − E = ln Σ exp(z_k − z_y) of one example at 50 digits, rounded to float64 once."""
    with mpmath.workdps(50):
        own = mpmath.mpf(z[label])
        return float(mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(logit) - own) for logit in z)))


def measure_identity(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Random logits and shifts in float64; the sum −z_y − E is taken at 50 digits."""
    rng = np.random.default_rng(0)
    z, labels, c = 5 * rng.normal(size=(64, 6)), rng.integers(0, 6, 64), 20 * rng.normal(size=(64, 1))
    y, moved = np.eye(6)[labels], z + c
    cross, sigmoids = losses.categorical_crossentropy, losses.binary_crossentropy
    energy, softmax = losses.energy, detection.softmax_score
    sides = {
        "value": (cross(y, z), losses.categorical_brier(y, z), np.array([*map(exact_log_loss, z, labels)])),
        "shifted loss": (cross(y, moved) - cross(y, z), sigmoids(y, moved) - sigmoids(y, z), 0.0),
        "shifted energy": (energy(moved) - energy(z), softmax(moved) - softmax(z), -c[:, 0]),
    }
    ulp = np.finfo("float64").eps * (np.abs(z).max(1) + np.abs(c[:, 0]))
    for setting, (*tensors, reference) in sides.items():
        claim, control = (keras.ops.convert_to_numpy(tensor) for tensor in tensors)
        yield IDENTITY.rows(claim, control, reference, setting=setting, resolution=ulp)


# --- the networks: trained plainly, then fine-tuned in every way -----------------------------------------

HIDDEN = [64]
RATE, BATCH = 2e-3, 64
EPOCHS = {"digits": 30, "mnist": 15, "fashion_mnist": 15, "clinc_oos": 20}
STAGES = 5  # at whose ends the energy is looked at while training
TUNING = {  # batch, epochs, inliers, outliers
    "digits": (64, 10, 600, 300),
    **dict.fromkeys(("mnist", "fashion_mnist", "clinc_oos"), (64, 5, 1000, 500)),
}
SMALL = dict.fromkeys(TUNING, (64, 10, 512, 256))  # whole batches: a shorter one is compiled anew
TUNING_RATE, WEIGHT, EXPOSURE = 1e-3, 0.1, 0.5  # λ and μ as published
DENSE = ("in", "classes 8, 9", "rotated")  # kinds whose distribution is drawn
ROCS = (("before", "softmax"), ("before", "energy"), ("mixed", "energy"), ("exposure", "softmax"))


def train(seeds: tuple[int, ...], name: str, most: int, tuning: Sequence[int]) -> Iterator[pd.DataFrame]:
    """One in-distribution set: classifiers, every way to fine-tune them, every kind of test outlier."""
    roles = data.roles(name, most)
    sets = {"in": roles.x_test, **roles.outliers}
    build = models.perceptron(roles.x_train.shape[1], HIDDEN, len(roles.cast.classes))
    classifiers = exposure.classifiers(build, seeds, RATE)
    stages = exposure.stages(classifiers, roles, BATCH, [EPOCHS[name] // STAGES] * STAGES, sets)
    arms, schedule = arms_of(roles.cast), exposure.Schedule(TUNING_RATE, *tuning)
    tuned = exposure.fine_tuned(build, classifiers, roles, arms, schedule)
    logits = {"before": stages[-1], **exposure.logits_by_arm(tuned, list(arms), sets)}
    separated = {arm: detection.separations("energy", kinds) for arm, kinds in logits.items()}
    yield from implicit_rows(name, seeds, stages)
    yield from score_rows(name, seeds, logits)
    yield from margin_rows(name, seeds, logits, separated)
    yield from accuracy_rows(name, seeds, logits, roles.y_test)
    if name == "digits":
        yield from coverage_rows(seeds, separated)
        yield from detecting.curve_rows(logits, DENSE, KINDS[0], ROCS)


def arms_of(cast) -> dict[str, exposure.Arm]:
    """Ways to fine-tune, by name; single kinds by their own."""
    arm, mixed = exposure.Arm, cast.mixed
    return {
        "λ = 0": arm(mixed, 0.0),
        **{kind: arm((kind,), WEIGHT) for kind in cast.auxiliary},
        "mixed": arm(mixed, WEIGHT),
        "margins swapped": arm(mixed, WEIGHT, swapped=True),
        "wrong sign": arm(mixed, WEIGHT, reversed=True),
        "in distribution": arm((exposure.INSIDE,), WEIGHT),
        "exposure": arm(mixed, 0.0, EXPOSURE),
        "labels shuffled": arm(mixed, WEIGHT, shuffled=True),
    }


def kinds_by_setting(name: str, kinds: Sequence[str]) -> dict[str, str]:
    """The settings in which a set is judged, of `PAIRS`, and the kind of outliers that each stands for."""
    return {kind: kind for kind in KINDS} if name == "digits" else {name: kinds[1]}


# --- implicit: does plain training push the energy down, and where? --------------------------------------

LOWERED = 10.0  # nats, by which all logits of the control of `implicit_any_head` are lowered
IMPLICIT = Check(
    "implicit",
    "With free logits, training lowers the mean energy of in-distribution test examples by ≥ 1 nat.",
    Exceeds(margin=1.0),
    r"\bar E_{\mathrm{start}} - \bar E_{\mathrm{end}}",
    control="the same networks through a log-softmax: the same loss and probabilities, and E = 0",
    settings=SETS,
)
IMPLICIT_ANY_HEAD = Check(
    "implicit_any_head",
    "So it does whatever the head: here a log-softmax, which takes the same steps.",
    Exceeds(margin=1.0),
    r"\bar E_{\mathrm{start}} - \bar E_{\mathrm{end}}",
    control="free logits, all lowered by 10 nats after training: the same loss",
    settings=SETS,
    scope=True,
)
IMPLICIT_APART = Check(
    "implicit_apart",
    "Training lowers the energy in distribution by ≥ 1 nat more than that of outliers.",
    Exceeds(margin=1.0),
    r"\Delta\bar E_{\mathrm{out}} - \Delta\bar E_{\mathrm{in}}",
    control="the same networks through a log-softmax",
    settings=PAIRS,
    scope=True,
)


def implicit_rows(name: str, seeds: tuple[int, ...], stages) -> Iterator[pd.DataFrame]:
    """Mean energy by kind while training: as it is, and through a log-softmax."""
    ends = (stages[0], stages[-1])
    free = {kind: [detection.scored("energy", z[kind]).mean(1) for z in stages] for kind in stages[0]}
    fixed = {kind: [detecting.normalised(z[kind]).mean(1) for z in ends] for kind in stages[0]}
    lowered = detection.scored("energy", stages[-1]["in"] - LOWERED).mean(1)
    columns = {"setting": name, "seed": seeds}
    yield IMPLICIT.rows(claim=free["in"][0], reference=free["in"][-1], **columns)
    yield IMPLICIT.rows(control=fixed["in"][0], reference=fixed["in"][-1], **columns)
    yield IMPLICIT_ANY_HEAD.rows(claim=fixed["in"][0], reference=fixed["in"][-1], **columns)
    yield IMPLICIT_ANY_HEAD.rows(control=free["in"][0], reference=lowered, **columns)
    for setting, kind in kinds_by_setting(name, list(free)).items():
        for arm, energies in (("claim", free), ("control", fixed)):
            inside, outside = (energies[of][0] - energies[of][-1] + 0.0 for of in ("in", kind))  # not −0
            yield IMPLICIT_APART.rows(**{arm: inside}, reference=outside, setting=setting, seed=seeds)
    drawn = {"quantity": "energy while training", "x": np.arange(STAGES + 1)[:, None] / STAGES, "seed": seeds}
    for kind, means in free.items():
        yield rows.tidy(setting=f"{name}: {kind}", value=means, **drawn)


# --- score: is the energy the better detector without retraining? ----------------------------------------

SCORE = Check(
    "score",
    "Without retraining, the energy's AUROC is ≥ 0.01 above that of the largest softmax probability.",
    Exceeds(margin=0.01),
    r"\mathrm{AUROC}(E) - \mathrm{AUROC}(\max p)",
    control="the largest probability by its definition in place of the energy",
    settings=PAIRS,
    scope=True,
)


def normal_auroc(shift: float, spread: float) -> float:
    """AUROC of N(d, s²) against N(0, 1): Φ(d / √(1 + s²))."""
    return float(special.ndtr(shift / np.hypot(1, spread)))


def normal_auroc_by_integration(shift: float, spread: float) -> float:
    """∫ φ(x) P(N(d, s²) > x) dx."""
    return float(mpmath.quad(lambda x: mpmath.npdf(x) * mpmath.ncdf((shift - x) / spread), [-12, 0, 12]))


def score_rows(name: str, seeds: tuple[int, ...], logits) -> Iterator[pd.DataFrame]:
    """Every detector before fine-tuning, on every kind; energy against softmax where it is judged."""
    separated = {score: detection.separations(score, logits["before"]) for score in detection.SCORES}
    unsure = {kind: -special.softmax(z, axis=-1).max(-1) for kind, z in logits["before"].items()}
    for setting, kind in kinds_by_setting(name, list(unsure)).items():
        softmax, energy = (separated[score][kind]["AUROC"] for score in ("softmax", "energy"))
        by_definition = detection.auroc(unsure["in"], unsure[kind])
        yield SCORE.rows(energy, by_definition, softmax, setting=setting, seed=seeds)
    for score, kinds in separated.items():
        yield detecting.separation_rows(name, seeds, kinds, score, "before")


# --- margin, margin_auroc, needs_outliers, reliable; margin_accuracy: what do margins gain, and cost? -----

LARGE = 100.0  # nats: spread of the c(x) that is added to all logits
MARGIN = Check(
    "margin",
    "Fine-tuned with margins on outliers of other kinds, FPR95 (in-distribution positive) is ≥ 0.05 "
    "below that after fine-tuning without (λ = 0).",
    Exceeds(margin=0.05),
    r"\mathrm{FPR}_{95}(\lambda = 0) - \mathrm{FPR}_{95}(\lambda = 0.1)",
    control="the fine-tuned networks through a log-softmax, whose energy is 0 to 9 decimals",
    settings=PAIRS,
)
MARGIN_AUROC = Check(
    "margin_auroc",
    "And its AUROC is ≥ 0.01 above.",
    Exceeds(margin=0.01),
    r"\mathrm{AUROC}(\lambda = 0.1) - \mathrm{AUROC}(\lambda = 0)",
    control="margins of the wrong sign: inliers pushed up, outliers down",
    settings=PAIRS,
)
NEEDS_OUTLIERS = Check(
    "needs_outliers",
    "The gain comes from outliers: with in-distribution data in their place AUROC is ≥ 0.01 lower.",
    Exceeds(margin=0.01),
    r"\mathrm{AUROC}(\mathrm{mixed}) - \mathrm{AUROC}(\mathrm{in})",
    control="outliers with margins of the wrong sign",
    settings=PAIRS,
    scope=True,
)
RELIABLE = Check(
    "reliable",
    "As the chapter has it: detection is reliable. Of test outliers at least 95 % are found where 95 % "
    "of in-distribution examples pass.",
    Exceeds(margin=0.95),
    r"1 - \mathrm{FPR}_{95} \ge 0.95",
    control="a random c(x) added to all logits, which cross-entropy does not see",
    settings=PAIRS,
)


def margin_rows(name: str, seeds: tuple[int, ...], logits, separated) -> Iterator[pd.DataFrame]:
    """The margins' gain over fine-tuning without, on the pairs that are judged."""
    detached = detecting.detached(logits["mixed"], LARGE)
    fixed = {kind: detecting.normalised(z) for kind, z in logits["mixed"].items()}
    for setting, kind in kinds_by_setting(name, list(fixed)).items():
        rate, area = ({arm: s[kind][m] for arm, s in separated.items()} for m in ("FPR95 in", "AUROC"))
        columns = {"setting": setting, "seed": seeds}
        noise = {"resolution": np.sqrt(rate["mixed"] * (1 - rate["mixed"]) / fixed[kind].shape[1])}
        flat = detection.fpr95(fixed["in"], fixed[kind], "in")
        yield MARGIN.rows(claim=rate["λ = 0"], reference=rate["mixed"], **columns, **noise)
        yield MARGIN.rows(control=rate["λ = 0"], reference=flat, **columns, **noise)
        yield MARGIN_AUROC.rows(area["mixed"], area["wrong sign"], area["λ = 0"], **columns)
        yield NEEDS_OUTLIERS.rows(area["mixed"], area["wrong sign"], area["in distribution"], **columns)
        yield RELIABLE.rows(1 - rate["mixed"], 1 - detached[kind]["FPR95 in"], **columns, **noise)
    for arm in [arm for arm in logits if arm != "before"]:
        yield detecting.separation_rows(name, seeds, separated[arm], "energy", arm)
    softmax = detection.separations("softmax", logits["exposure"])
    yield detecting.separation_rows(name, seeds, softmax, "softmax", "exposure")


MARGIN_ACCURACY = Check(
    "margin_accuracy",
    "Test accuracy is kept to within 0.01.",
    Exceeds(margin=-0.01),
    r"\mathrm{acc}(\lambda = 0.1) - \mathrm{acc}(\lambda = 0)",
    control="the same fine-tuning on shuffled labels",
    settings=SETS,
)


def accuracy_rows(name: str, seeds: tuple[int, ...], logits, y_test: np.ndarray) -> Iterator[pd.DataFrame]:
    """Test accuracy, kept or not; and the calibration error of every arm."""
    accuracy = detecting.accuracies(logits, y_test)
    kept = (accuracy[arm] for arm in ("mixed", "labels shuffled", "λ = 0"))
    yield MARGIN_ACCURACY.rows(*kept, setting=name, seed=seeds)
    yield from detecting.quality_rows(name, seeds, logits, y_test)


# --- coverage, coverage_contrast: whatever the auxiliary outliers? ---------------------------------------

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
    settings=CELLS,
    scope=True,
)
COVERAGE_CONTRAST = Check(
    "coverage_contrast",
    "What they cover decides: the best auxiliary kind gains ≥ 0.02 AUROC more than the worst (both of "
    "other kinds than the test outliers, and chosen on the other seeds).",
    Exceeds(margin=0.02),
    r"\mathrm{AUROC}(\mathrm{best}) - \mathrm{AUROC}(\mathrm{worst})",
    control="the worst in place of the best, and the best in that of the worst",
    settings=KINDS,
    scope=True,
)


def coverage_rows(seeds: tuple[int, ...], separated) -> Iterator[pd.DataFrame]:
    """The digits' matrix: AUROC by auxiliary and test kind, of different families alone."""
    area = {arm: {kind: s["AUROC"] for kind, s in kinds.items()} for arm, kinds in separated.items()}
    pairs = list(data.CASTS["digits"].pairs())
    for auxiliary, kind in pairs:
        gain = (area[arm][kind] for arm in (auxiliary, "wrong sign", "λ = 0"))
        yield COVERAGE.rows(*gain, setting=f"{auxiliary} → {kind}", seed=seeds)
    for kind in KINDS:
        fair = [area[auxiliary][kind] for auxiliary, tested in pairs if tested == kind]
        best, worst = detecting.extremes(np.stack(fair))
        yield COVERAGE_CONTRAST.rows(claim=best, reference=worst, setting=kind, seed=seeds)
        yield COVERAGE_CONTRAST.rows(control=worst, reference=best, setting=kind, seed=seeds)


# --- all of it -------------------------------------------------------------------------------------------

CHECKS = (IDENTITY, IMPLICIT, IMPLICIT_ANY_HEAD, IMPLICIT_APART, SCORE, MARGIN, MARGIN_AUROC, NEEDS_OUTLIERS,
          MARGIN_ACCURACY, RELIABLE, COVERAGE, COVERAGE_CONTRAST)  # fmt: skip
exactly = lambda gap, classes: exact_log_loss([gap, *[0.0] * (classes - 1)], 0)
THEORIES = (
    Theory("normal_auroc", normal_auroc, normal_auroc_by_integration, [(1.0, 1.0), (0.3, 2.0)]),
    Theory("log_loss", log_loss, exactly, [(0.0, 10), (3.0, 10), (-5.0, 4)]),
)


def units(scale: str) -> list[Unit]:
    most, sizes = MOST[scale], SMALL if scale == "smoke" else TUNING
    trained = [
        unit(train, range(n[scale]), data=data.CASTS[s].reads, cost=12, name=s, most=most, tuning=sizes[s])
        for s, n in COUNTS.items()
    ]
    return [unit(measure_identity), *trained]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Every pair with every detector, before and after fine-tuning on the mixed auxiliary outliers."""
    settings = [f"digits: {kind}" for kind in KINDS] + [f"{n}: {data.CASTS[n].outliers[0]}" for n in SETS[1:]]
    detectors = [("before", score) for score in ("softmax", "logit", "energy", "entropy")]
    detectors += [(arm, "energy") for arm in ("λ = 0", "mixed", "margins swapped")]
    return panels.detection_table(rows, settings, [*detectors, ("exposure", "softmax")])


def figure(rows: pd.DataFrame):
    """Energy and sureness before and after, the ROC, energy while training; and the matrices."""
    canvas, axes = figures.panels(3, 3, height=3.0)
    panels.draw_densities([axes[i] for i in (0, 1, 3, 4)], rows, DENSE, "digits 0–5")
    panels.draw_roc(axes[2], rows, ROCS, "Classes 8, 9 from digits 0–5")
    panels.draw_training(axes[5], rows, "digits", KINDS, "digits 0–5")
    panels.draw_matrices(axes[6:], rows, TITLES, data.CASTS, data.family)
    return canvas

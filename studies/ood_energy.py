"""The energy out of distribution: what cross-entropy leaves free, what margins fix, and where they do harm.

Conventions: every score is larger the more an input looks out of distribution. FPR95 is the share of outliers
let in where 95 % of the inliers are (in-distribution positive), unless the other convention is named.

Expect: the identities hold; the energy falls in training where the head lets it, on some outliers further;
fine-tuning with auxiliary outliers helps far from the data, and harms near it. Costs a minute.
"""

from __future__ import annotations

import os

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Published, PublishedNumber, Theory, Unit
from crosscheck.lazy import (
    checkpoints,
    data,
    detecting,
    detection,
    exposure,
    figures,
    image_training,
    keras,
    losses,
    models,
    panels,
    pd,
    rows,
    special,
    wide_resnet,
)

PAPER = Published(
    what="FPR95, in-distribution positive",
    by="Liu et al. 2020 (CIFAR-10, WRN-40-2, mean over six sets of outliers)",
    numbers=(
        PublishedNumber("softmax", 0.5104, "published_softmax"),
        PublishedNumber("energy", 0.3301, "published_energy"),
        PublishedNumber("energy, fine-tuned", 0.0332, "published"),
    ),
    differences={
        "auxiliary outliers": ("80 Million Tiny Images, withdrawn in 2020", "CIFAR-100"),
        "test outliers": (
            "Textures, SVHN, Places365, LSUN-Crop, LSUN-Resize, iSUN, 2,000 each",
            "those of the first three that are prepared, at most 10,000 each; TFDS has none of the others so",
        ),
        "margins": ("swapped in the text; −23 and −5 for m_in and m_out in the runs", "−23 and −5"),
        "FPR95": (
            "in-distribution positive",
            "the same, and beside it the opposite convention, in the table",
        ),
        "spread": ("resampled test sets of one model", "seeds: networks trained anew"),
        "arithmetic": ("float32, PyTorch", "float32, or bfloat16 with a float32 head on a GPU, Keras"),
        "momentum": ("gradients summed, then scaled by the rate", "scaled by the rate, then summed"),
    },
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
    published=PAPER,
)

NAME = "ood_energy"
SEEDS = {"smoke": 12, "standard": 16, "full": 64}
IMAGE_SEEDS = {"smoke": 12, "standard": 24, "full": 64}
DIGIT_SEEDS = {"smoke": 24, "standard": 24, "full": 64}
MOST = {"smoke": 1000, "standard": 1500, "full": 10_000}  # examples of a role, at most
HIDDEN = [64]
RATE, BATCH = 2e-3, 64
EPOCHS = {"digits": 30, "mnist": 15, "fashion_mnist": 15, "clinc_oos": 20}
STAGES = 5  # at whose ends the energy is looked at while training
TUNING = {"digits": (64, 10, 600, 300)}  # batch, epochs, inliers, outliers
TUNING |= dict.fromkeys(("mnist", "fashion_mnist", "clinc_oos"), (64, 5, 1000, 500))
TUNING_RATE, WEIGHT, EXPOSURE = 1e-3, 0.1, 0.5  # λ and μ as published
LARGE = 100.0  # nats: spread of the c(x) that is added to all logits
LOWERED = 10.0  # nats, by which all logits of the control of `implicit_any_head` are lowered

KINDS = ("classes 8, 9", "gaussian noise", "rotated", "inverted")  # test outliers of the digits 0–5
COUNTS = {"digits": DIGIT_SEEDS, "mnist": IMAGE_SEEDS, "fashion_mnist": IMAGE_SEEDS, "clinc_oos": SEEDS}
SETS = tuple(COUNTS)
PAIRS = (*KINDS, *SETS[1:])  # the other sets against their first kind: each other; real queries out of scope
CELLS = tuple(
    f"{a} → {t}"
    for a in ("uniform noise", "patches shuffled", "classes 6, 7")
    for t in KINDS
    if (a, t) != ("uniform noise", "gaussian noise")  # one family: not disjoint
)

PHOTOGRAPH_SEEDS = {"full": 10}
NETWORK = {"depth": 40, "width": 2, "epochs": [100, 10]}
HALF_OF_IT = (PAPER.numbers[0].value - PAPER.numbers[-1].value) / 2
FULL_ONLY = ("full",)

CHECKS = (
    Check(
        "identity",
        "Cross-entropy is −z_y − E; adding c(x) to all logits leaves it as it is and moves E by −c.",
        Identity(ulps=8),
        r"L = -z_y - E, \quad L(z + c) = L(z), \quad E(z + c) = E(z) - c",
        control="the Brier score, K sigmoids under binary cross-entropy, and ln(1 − max p), in this order",
        settings=("value", "shifted loss", "shifted energy"),
        exact=True,
    ),
    Check(
        "implicit",
        "With free logits, training lowers the mean energy of in-distribution test examples by ≥ 1 nat.",
        Exceeds(margin=1.0),
        r"\bar E_{\mathrm{start}} - \bar E_{\mathrm{end}}",
        control="the same networks through a log-softmax: the same loss and probabilities, and E = 0",
        settings=SETS,
    ),
    Check(
        "implicit_any_head",
        "So it does whatever the head: here a log-softmax, which takes the same steps.",
        Exceeds(margin=1.0),
        r"\bar E_{\mathrm{start}} - \bar E_{\mathrm{end}}",
        control="free logits, all lowered by 10 nats after training: the same loss",
        settings=SETS,
        scope=True,
    ),
    Check(
        "implicit_apart",
        "Training lowers the energy in distribution by ≥ 1 nat more than that of outliers.",
        Exceeds(margin=1.0),
        r"\Delta\bar E_{\mathrm{out}} - \Delta\bar E_{\mathrm{in}}",
        control="the same networks through a log-softmax",
        settings=PAIRS,
        scope=True,
    ),
    Check(
        "score",
        "Without retraining, the energy's AUROC is ≥ 0.01 above that of the largest softmax probability.",
        Exceeds(margin=0.01),
        r"\mathrm{AUROC}(E) - \mathrm{AUROC}(\max p)",
        control="the largest probability by its definition in place of the energy",
        settings=PAIRS,
        scope=True,
    ),
    Check(
        "margin",
        "Fine-tuned with margins on outliers of other kinds, FPR95 (in-distribution positive) is ≥ 0.05 "
        "below that after fine-tuning without (λ = 0).",
        Exceeds(margin=0.05),
        r"\mathrm{FPR}_{95}(\lambda = 0) - \mathrm{FPR}_{95}(\lambda = 0.1)",
        control="the fine-tuned networks through a log-softmax, whose energy is 0 to 9 decimals",
        settings=PAIRS,
    ),
    Check(
        "margin_auroc",
        "And its AUROC is ≥ 0.01 above.",
        Exceeds(margin=0.01),
        r"\mathrm{AUROC}(\lambda = 0.1) - \mathrm{AUROC}(\lambda = 0)",
        control="margins of the wrong sign: inliers pushed up, outliers down",
        settings=PAIRS,
    ),
    Check(
        "needs_outliers",
        "The gain comes from outliers: with in-distribution data in their place AUROC is ≥ 0.01 lower.",
        Exceeds(margin=0.01),
        r"\mathrm{AUROC}(\mathrm{mixed}) - \mathrm{AUROC}(\mathrm{in})",
        control="outliers with margins of the wrong sign",
        settings=PAIRS,
        scope=True,
    ),
    Check(
        "margin_accuracy",
        "Test accuracy is kept to within 0.01.",
        Exceeds(margin=-0.01),
        r"\mathrm{acc}(\lambda = 0.1) - \mathrm{acc}(\lambda = 0)",
        control="the same fine-tuning on shuffled labels",
        settings=SETS,
    ),
    Check(
        "reliable",
        "As the chapter has it: detection is reliable. Of test outliers at least 95 % are found where 95 % "
        "of in-distribution examples pass.",
        Exceeds(margin=0.95),
        r"1 - \mathrm{FPR}_{95} \ge 0.95",
        control="a random c(x) added to all logits, which cross-entropy does not see",
        settings=PAIRS,
    ),
    Check(
        "coverage",
        "Whatever the auxiliary outliers, margins cost test outliers of other kinds no more than 0.01 AUROC.",
        Exceeds(margin=-0.01),
        r"\mathrm{AUROC}(\lambda = 0.1) - \mathrm{AUROC}(\lambda = 0)",
        control="margins of the wrong sign",
        settings=CELLS,
        scope=True,
    ),
    Check(
        "coverage_contrast",
        "What they cover decides: the best auxiliary kind gains ≥ 0.02 AUROC more than the worst (both of "
        "other kinds than the test outliers, and chosen on the other seeds).",
        Exceeds(margin=0.02),
        r"\mathrm{AUROC}(\mathrm{best}) - \mathrm{AUROC}(\mathrm{worst})",
        control="the worst in place of the best, and the best in that of the worst",
        settings=KINDS,
        scope=True,
    ),
    *(
        Check(
            number.check,
            f"{PAPER.what}, of {number.of} is within 0.10 of the published {number.value:.4f}: {PAPER.by}. "
            "The differences of protocol stand beside it in the report.",
            Equal(margin=0.10),
            rf"\mathrm{{FPR}}_{{95}} = {number.value}",
            control="in-distribution test examples in place of the outliers",
            settings=("cifar10",),
            scope=True,
            scales=FULL_ONLY,
        )
        for number in PAPER.numbers
    ),
    Check(
        "published_gain",
        "At least half of the published fall of FPR95 from softmax to energy fine-tuned is found, "
        f"{HALF_OF_IT:.4f}; of CIFAR-10's training images "
        "alone, six classes against the other four, noise and grey sets.",
        Exceeds(margin=HALF_OF_IT),
        r"\mathrm{FPR}_{95}(\max p) - \mathrm{FPR}_{95}(E, \lambda = 0.1)",
        control="in-distribution test examples in place of the outliers",
        settings=("cifar10", "cifar10_train"),
        scope=True,
        scales=FULL_ONLY,
    ),
)


# --- theory -----------------------------------------------------------------------------------------


def normal_auroc(shift: float, spread: float) -> float:
    """AUROC of N(d, s²) against N(0, 1): Φ(d / √(1 + s²))."""
    return float(special.ndtr(shift / np.hypot(1, spread)))


def normal_auroc_by_integration(shift: float, spread: float) -> float:
    """∫ φ(x) P(N(d, s²) > x) dx."""
    return float(mpmath.quad(lambda x: mpmath.npdf(x) * mpmath.ncdf((shift - x) / spread), [-12, 0, 12]))


def log_loss(gap: float, classes: int) -> float:
    """−z_y − E at logits (g, 0, …, 0), y the first."""
    return -gap + float(np.logaddexp(gap, np.log(classes - 1)))


def log_loss_in_digits(gap: float, classes: int) -> float:
    return float(mpmath.log1p((classes - 1) * mpmath.exp(-mpmath.mpf(gap))))


THEORIES = (
    Theory("normal_auroc", normal_auroc, normal_auroc_by_integration, [(1.0, 1.0), (0.3, 2.0)]),
    Theory("log_loss", log_loss, log_loss_in_digits, [(0.0, 10), (3.0, 10), (-5.0, 4)]),
)


# --- experiments ------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    trained = []
    for name in SETS:
        seeds = tuple(range(COUNTS[name][scale]))
        setting = {"name": name, "most": MOST[scale]}
        trained.append(Unit(NAME, "train", setting, seeds, data.CASTS[name].reads, cost=10))
    return [Unit(NAME, "measure_identity"), *trained, *photograph_units(scale)]


def photograph_units(scale: str) -> list[Unit]:
    """One a seed and kind of outliers; the kinds share a training: a missing set costs its own rows."""
    policy = "mixed_bfloat16" if os.environ.get("GPU") == "1" else "float32"
    found = []
    for name, cast in data.PHOTOGRAPHS.items() if scale in PHOTOGRAPH_SEEDS else ():
        for kind in cast.outliers:
            setting = {"name": name, "kind": kind, **NETWORK, "policy": policy, "most": 50_000}
            reads = data.photographs_read(name, kind)
            found += [
                Unit(NAME, "measure_photographs", setting, (seed,), reads, cost=1000)
                for seed in range(PHOTOGRAPH_SEEDS[scale])
            ]
    return found


def measure_photographs(
    seeds: tuple[int, ...],
    name: str,
    kind: str,
    depth: int,
    width: int,
    epochs: list[int],
    policy: str,
    most: int,
) -> pd.DataFrame:
    """Networks on photographs, before and after fine-tuning, against one kind of outliers."""
    found = data.photographs(name, kind, most)
    classes = len(data.PHOTOGRAPHS[name].classes)
    build = wide_resnet.wide_resnet(found.x_train.shape[1:], classes, depth, width, policy=policy)
    protocol, y = image_training.published(*epochs), np.eye(classes, dtype="float32")[found.y_train]
    read = {each: data.identity(each) for each in data.photographs_read(name)}
    told = {"name": name, "read": read, "network": [depth, width, policy], "epochs": epochs, "most": most}
    sets = {"in": found.x_test, kind: found.outliers[:10_000]}
    parts = []
    for seed in seeds:
        with checkpoints.place(seed=seed, **told) as folder:
            logits = image_training.both(
                build, protocol, found.x_train, y, found.auxiliary, seed, folder, lambda m: seen(m, sets)
            )
        parts += photograph_rows(name, kind, seed, logits, found.y_test)
    return pd.concat(parts)


def seen(model, sets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Logits by kind, float64 [1, N, K]."""
    return {
        kind: model.predict(x, batch_size=500, verbose=0).astype("float64")[None] for kind, x in sets.items()
    }


def photograph_rows(name: str, kind: str, seed: int, logits, y_test: np.ndarray) -> list[pd.DataFrame]:
    """The published table's numbers beside the published ones, and everything else that is shown."""
    before, after = logits[image_training.TRAINED], logits[image_training.TUNED]
    after_and_before = {"before": before, "mixed": after}
    detectors = {"softmax": ("softmax", before), "energy": ("energy", before)}
    detectors["energy, fine-tuned"] = ("energy", after)
    out, none = {}, {}
    for detector, (score, z) in detectors.items():
        inside, outside = (detection.scored(score, z[each]) for each in ("in", kind))
        out[detector] = detection.fpr95(inside, outside, "in")
        none[detector] = detection.fpr95(inside[:, ::2], inside[:, 1::2], "in")
    parts, told = [], {"setting": name, "seed": seed}
    for number in PAPER.numbers if name == "cifar10" else ():
        arms = out[number.of], none[number.of]
        parts += detecting.arms_pair(number.check, arms, [number.value] * 2, **told)
    ends = ((each["softmax"], each["energy, fine-tuned"]) for each in (out, none))
    parts += detecting.arms_pair("published_gain", *zip(*ends, strict=True), **told)
    for arm, z in after_and_before.items():
        for score in ("softmax", "energy"):
            parts += detecting.separation_rows(name, (seed,), detection.separations(score, z), score, arm)
    accuracy, off = detecting.quality(after_and_before, y_test)
    for arm in after_and_before:
        parts.append(rows.tidy(quantity="accuracy", path=arm, value=accuracy[arm], **told))
        parts.append(rows.tidy(quantity="ECE", path=arm, value=off[arm], **told))
    return parts


def measure_identity(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Random logits and shifts in float64; the sum −z_y − E is taken at 50 digits."""
    rng = np.random.default_rng(0)
    z, y, c = 5 * rng.normal(size=(64, 6)), np.eye(6)[rng.integers(0, 6, 64)], 20 * rng.normal(size=(64, 1))
    cross = losses.categorical_crossentropy
    sides = {
        "value": (cross(y, z), losses.categorical_brier(y, z), exact_sum(y, z)),
        "shifted loss": (cross(y, z + c) - cross(y, z), sigmoids(y, z + c) - sigmoids(y, z), 0.0),
        "shifted energy": (
            losses.energy(z + c) - losses.energy(z),
            detection.softmax_score(z + c) - detection.softmax_score(z),
            -c[:, 0],
        ),
    }
    unit = np.finfo("float64").eps * (np.abs(z).max(1) + np.abs(c[:, 0]))
    return pd.concat(
        rows.tidy(
            check="identity",
            arm=arm,
            setting=setting,
            value=keras.ops.convert_to_numpy(value),
            reference=reference,
            resolution=unit,
        )
        for setting, (*values, reference) in sides.items()
        for arm, value in zip(("claim", "control"), values, strict=True)
    )


def sigmoids(y: np.ndarray, z: np.ndarray):
    return losses.binary_crossentropy(y, z)


def exact_sum(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """−z_y − E, rounded to float64 once."""
    with mpmath.workdps(50):
        totals = [mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(each)) for each in row)) for row in z]
        return np.array([float(t - mpmath.mpf(each)) for t, each in zip(totals, (y * z).sum(1), strict=True)])


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


def train(seeds: tuple[int, ...], name: str, most: int) -> pd.DataFrame:
    """One in-distribution set: classifiers, every way to fine-tune them, every kind of test outlier."""
    found = data.roles(name, most)
    sets = {"in": found.x_test, **found.outliers}
    trained, stages = classified(found, name, seeds, sets)
    after = {"before": stages[-1], **tuned(found, name, trained, arms_of(found.cast), sets)}
    return pd.concat(
        [
            *implicit_rows(name, seeds, stages),
            *score_rows(name, seeds, after),
            *margin_rows(name, seeds, after),
            *accuracy_rows(name, seeds, after, found.y_test),
            *coverage_rows(name, seeds, after),
            *(detecting.curve_rows(after, DENSE, KINDS[0], ROCS) if name == "digits" else []),
        ]
    )


def builder(found):
    return models.perceptron(found.x_train.shape[1], HIDDEN, len(found.cast.classes))


def classified(found, name: str, seeds: tuple[int, ...], sets):
    """Classifiers trained plainly, and their logits by kind at the ends of the stages."""
    trained = exposure.classifiers(builder(found), seeds, RATE)
    stages = [exposure.logits_by_kind(trained, sets)]
    y = np.eye(len(found.cast.classes), dtype="float32")[found.y_train]
    for _ in range(STAGES):
        trained.fit(found.x_train, y, batch_size=BATCH, epochs=EPOCHS[name] // STAGES)
        stages.append(exposure.logits_by_kind(trained, sets))
    return trained, stages


def tuned(found, name: str, trained, arms, sets):
    """Logits of the fine-tuned copies, by arm and kind."""
    schedule = exposure.Schedule(TUNING_RATE, *TUNING[name])
    copies = exposure.fine_tuned(builder(found), trained, found, arms, schedule)
    logits = exposure.logits_by_kind(copies, sets)
    return {
        arm: {kind: np.split(z, len(arms))[a] for kind, z in logits.items()} for a, arm in enumerate(arms)
    }


def judged(name: str, kinds) -> dict[str, str]:
    """The settings of a set and the kinds of outliers that they stand for."""
    outside = [kind for kind in kinds if kind != "in"]
    return dict(zip(outside, outside, strict=True)) if name == "digits" else {name: outside[0]}


def implicit_rows(name: str, seeds: tuple[int, ...], stages) -> list[pd.DataFrame]:
    """Mean energy by kind while training: as it is, and through a log-softmax."""
    mean = {kind: [detection.scored("energy", z[kind]).mean(1) for z in stages] for kind in stages[0]}
    through = {
        kind: [detecting.normalised(z[kind]).mean(1) for z in (stages[0], stages[-1])] for kind in stages[0]
    }
    fall, none = ({kind: e[0] - e[-1] for kind, e in each.items()} for each in (mean, through))
    shared, zero = {"setting": name, "seed": seeds}, np.zeros(len(seeds))
    parts = detecting.arms_pair(
        "implicit", (mean["in"][0], through["in"][0]), (mean["in"][-1], through["in"][-1]), **shared
    )
    starts = (through["in"][0], mean["in"][0])
    lowered = detection.scored("energy", stages[-1]["in"] - LOWERED).mean(1)
    parts += detecting.arms_pair("implicit_any_head", starts, (through["in"][-1], lowered), **shared)
    for setting, kind in judged(name, mean).items():
        pairs = ((fall["in"], none["in"] + zero), (fall[kind], none[kind] + zero))
        parts += detecting.arms_pair("implicit_apart", *pairs, setting=setting, seed=seeds)
    for kind, energies in mean.items():
        for stage, value in enumerate(energies):
            told = {"setting": f"{name}: {kind}", "x": stage / STAGES, "seed": seeds}
            parts.append(rows.tidy(quantity="energy while training", value=value, **told))
    return parts


def score_rows(name: str, seeds: tuple[int, ...], after) -> list[pd.DataFrame]:
    """Every detector before fine-tuning, on every kind; energy against softmax where it is judged."""
    found = {score: detection.separations(score, after["before"]) for score in detection.SCORES}
    plain = {kind: -special.softmax(z, axis=-1).max(-1) for kind, z in after["before"].items()}
    parts = []
    for setting, kind in judged(name, after["before"]).items():
        soft, energy = (found[score][kind]["AUROC"] for score in ("softmax", "energy"))
        again = detection.auroc(plain["in"], plain[kind])
        parts += detecting.arms_pair("score", (energy, again), (soft, soft), setting=setting, seed=seeds)
    for score, kinds in found.items():
        parts += detecting.separation_rows(name, seeds, kinds, score, "before")
    return parts


def margin_rows(name: str, seeds: tuple[int, ...], after) -> list[pd.DataFrame]:
    """The margins' gain over fine-tuning without, on the pairs that are judged."""
    found = {arm: detection.separations("energy", z) for arm, z in after.items()}
    parts, loose = [], detecting.detached(after["mixed"], LARGE)
    flat = {kind: detecting.normalised(z) for kind, z in after["mixed"].items()}
    for setting, kind in judged(name, after["mixed"]).items():
        told = {"setting": setting, "seed": seeds}
        rate, area = ({arm: each[kind][m] for arm, each in found.items()} for m in ("FPR95 in", "AUROC"))
        noise = {"resolution": np.sqrt(rate["mixed"] * (1 - rate["mixed"]) / flat[kind].shape[1])}
        wrong = detection.fpr95(flat["in"], flat[kind], "in")
        parts += detecting.arms_pair("margin", [rate["λ = 0"]] * 2, (rate["mixed"], wrong), **told, **noise)
        turned = (area["mixed"], area["wrong sign"])
        parts += detecting.arms_pair("margin_auroc", turned, [area["λ = 0"]] * 2, **told)
        inside = area["in distribution"]
        parts += detecting.arms_pair(
            "needs_outliers", (area["mixed"], area["wrong sign"]), [inside] * 2, **told
        )
        caught = (1 - rate["mixed"], 1 - loose[kind]["FPR95 in"])
        parts += detecting.arms_pair("reliable", caught, (0.0, 0.0), **told, **noise)
    for arm in [each for each in after if each != "before"]:
        parts += detecting.separation_rows(name, seeds, found[arm], "energy", arm)
    soft = detection.separations("softmax", after["exposure"])
    return [*parts, *detecting.separation_rows(name, seeds, soft, "softmax", "exposure")]


def accuracy_rows(name: str, seeds: tuple[int, ...], after, y_test: np.ndarray) -> list[pd.DataFrame]:
    """Test accuracy, kept or not; and the calibration error of every arm."""
    accuracy, off = detecting.quality(after, y_test)
    kept, told = (accuracy["mixed"], accuracy["labels shuffled"]), {"setting": name, "seed": seeds}
    parts = detecting.arms_pair("margin_accuracy", kept, [accuracy["λ = 0"]] * 2, **told)
    for arm in after:
        for quantity, value in (("accuracy", accuracy[arm]), ("ECE", off[arm])):
            parts.append(rows.tidy(quantity=quantity, path=arm, value=value, **told))
    return parts


def coverage_rows(name: str, seeds: tuple[int, ...], after) -> list[pd.DataFrame]:
    """The digits' matrix: AUROC by auxiliary and test kind, of different families alone."""
    if name != "digits":
        return []
    found = {arm: detection.separations("energy", z) for arm, z in after.items()}
    area = {arm: {kind: each["AUROC"] for kind, each in kinds.items()} for arm, kinds in found.items()}
    parts = []
    for auxiliary, kind in data.CASTS[name].pairs():
        pair = (area[auxiliary][kind], area["wrong sign"][kind])
        told = {"setting": f"{auxiliary} → {kind}", "seed": seeds}
        parts += detecting.arms_pair("coverage", pair, [area["λ = 0"][kind]] * 2, **told)
    for kind in KINDS:
        fair = [auxiliary for auxiliary, test in data.CASTS[name].pairs() if test == kind]
        ends = detecting.extremes(np.stack([area[auxiliary][kind] for auxiliary in fair]))
        parts += detecting.arms_pair("coverage_contrast", ends, ends[::-1], setting=kind, seed=seeds)
    return parts


# --- table and figure -------------------------------------------------------------------------------

SHOWN = [("before", score) for score in ("softmax", "logit", "energy", "entropy")]
SHOWN += [(arm, "energy") for arm in ("λ = 0", "mixed", "margins swapped")] + [("exposure", "softmax")]
SHOWN_SETS = {"digits": "the digits", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
DENSE = ("in", "classes 8, 9", "rotated")  # kinds whose distribution is drawn
INSIDE = "digits 0–5"
ROCS = (("before", "softmax"), ("before", "energy"), ("mixed", "energy"), ("exposure", "softmax"))
DENSITIES = (
    ("energy", "before", "Energy before"),
    ("energy", "mixed", "Energy after, mixed auxiliary"),
    ("sureness", "before", "Confidence before"),
    ("sureness", "mixed", "Confidence after"),
)
MEASURES = ("AUROC", "AUPR in", "AUPR out", "FPR95 in", "FPR95 out")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Every pair with every detector, before and after fine-tuning on the mixed auxiliary outliers."""
    known = rows[rows["quantity"].str.contains(", ")]
    measure, score = (known["quantity"].str.split(", ").str[i] for i in (0, 1))
    wide = known.assign(measure=measure, score=score).pivot_table(
        "value", ["setting", "path", "score"], "measure", sort=False
    )
    told = [f"digits: {kind}" for kind in KINDS] + [f"{n}: {data.CASTS[n].outliers[0]}" for n in SETS[1:]]
    told += [f"{name}: {kind}" for name, cast in data.PHOTOGRAPHS.items() for kind in cast.outliers]
    chosen = [key for key in wide.index if key[1:] in SHOWN and key[0] in told]
    wide = wide.loc[chosen, list(MEASURES)].reset_index()
    for quantity in ("accuracy", "ECE"):
        mean = rows[rows["quantity"] == quantity].groupby(["setting", "path"])["value"].mean()
        sets = wide["setting"].str.split(": ").str[0]
        wide[quantity] = [mean[pair] for pair in zip(sets, wide["path"], strict=True)]
    titles = ["In distribution: outliers", "Fine-tuned", "Detector", "AUROC", "AUPR (in positive)"]
    titles += [
        "AUPR (out positive)",
        "FPR95 (in positive)",
        "FPR95 (out positive)",
        "Accuracy",
        "ECE (15 bins)",
    ]
    return pd.concat([wide.set_axis(titles, axis=1), published_lines(titles)], ignore_index=True)


def published_lines(titles: list[str]) -> pd.DataFrame:
    """The published numbers; to be set beside the lines `cifar10: …`, which the full scale alone has."""
    fixed = {
        titles[0]: "CIFAR-10: mean of six sets (published)",
        titles[6]: [each.value for each in PAPER.numbers],
    }
    arms = ["mixed" if "fine-tuned" in each.of else "before" for each in PAPER.numbers]
    detectors = [each.of.split(",")[0] for each in PAPER.numbers]
    lines = pd.DataFrame({**fixed, titles[1]: arms, titles[2]: detectors})
    return lines.reindex(columns=titles).astype(dict.fromkeys(titles[3:], "float64"))


def figure(rows: pd.DataFrame):
    """Energy and sureness before and after, the ROC, energy while training; and the matrices."""
    canvas, axes = figures.panels(3, 3, height=3.0)
    for i, (quantity, arm, title) in enumerate(DENSITIES):
        ax = axes[i // 2 * 3 + i % 2]
        panels.draw_density(ax, rows, quantity, arm, title, DENSE, INSIDE)
    panels.draw_roc(axes[2], rows, ROCS, "Classes 8, 9 from digits 0–5")
    panels.draw_training(axes[5], rows, "digits", KINDS, INSIDE)
    for ax, (name, shown) in zip(axes[6:], SHOWN_SETS.items(), strict=True):
        panels.draw_matrix(ax, rows, name, shown, data.CASTS[name], data.family)
    return canvas

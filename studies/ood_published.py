"""The published detection of outliers on photographs: does this suite's protocol find the published numbers?

Conventions: every score is larger the more an input looks out of distribution. FPR95 is the share of outliers
let in where 95 % of the inliers are (in-distribution positive), unless the other convention is named.

Expect: the published numbers alone at the smoke and standard scales, which train nothing. The full scale
trains wide residual networks as published, 110 epochs a seed, with a checkpoint an epoch: a killed run goes
on where it was. It wants a GPU. It needs `cifar10` and `cifar100`, and takes of `dtd`, `svhn_cropped` and
`places365_small` those that are prepared; `cifar10_train` alone judges the gain.
Run it by `make ood_published SCALE=full GPU=1`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Published, PublishedNumber, Theory, Unit, unit
from crosscheck.lazy import (
    checkpoints,
    data,
    detecting,
    detection,
    figures,
    image_training,
    laws,
    panels,
    pd,
    wide_resnet,
)

SOFTMAX = PublishedNumber("softmax", 0.5104, "published_softmax")
ENERGY = PublishedNumber("energy", 0.3301, "published_energy")
TUNED = PublishedNumber("energy, fine-tuned", 0.0332, "published")
NUMBERS = (SOFTMAX, ENERGY, TUNED)

PAPER = Published(
    what="FPR95, in-distribution positive",
    by="Liu et al. 2020 (CIFAR-10, WRN-40-2, mean over six sets of outliers)",
    numbers=NUMBERS,
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
    title="The published detection of outliers by energy is reproduced",
    statement="A wide residual network trained on CIFAR-10 lets in half of all outliers where 95 % of the "
    "inliers pass, by its largest probability; a third by its energy; and 3 % by its energy once it is "
    "fine-tuned with margins on auxiliary outliers. The same protocol finds these numbers again, with those "
    "of the published sets that can still be had.",
    formula=r"\mathrm{FPR}_{95}(\max p) = 0.5104, \quad \mathrm{FPR}_{95}(E) = 0.3301, \quad "
    r"\mathrm{FPR}_{95}(E, \lambda = 0.1) = 0.0332",
    source="Liu et al. 2020; Advanced Perspectives and Applications, problem 3103448",
    published=PAPER,
)

SEEDS = {"full": 16}  # the least that decide
FULL_ONLY = ("full",)


# --- the networks: trained as published, then fine-tuned with outliers ------------------------------------

NETWORK: dict[str, Any] = {"depth": 40, "width": 2, "epochs": [100, 10]}
TESTED = 10_000  # outliers of a kind, at most


def measure_photographs(
    seeds: tuple[int, ...],
    name: str,
    kind: str,
    depth: int,
    width: int,
    epochs: list[int],
    policy: str,
    most: int,
) -> Iterator[pd.DataFrame]:
    """Networks on photographs, before and after fine-tuning, against one kind of outliers.

    The kinds of a seed share its training, by its checkpoints.
    """
    photographs = data.photographs(name, kind, most)
    classes = len(data.PHOTOGRAPHS[name].classes)
    build = wide_resnet.wide_resnet(photographs.x_train.shape[1:], classes, depth, width, policy=policy)
    protocol = image_training.published_protocol(*epochs)
    y = np.eye(classes, dtype="float32")[photographs.y_train]
    examples = photographs.x_train, y, photographs.auxiliary
    sets = {"in": photographs.x_test, kind: photographs.outliers[:TESTED]}
    read = {source: data.identity(source) for source in data.photographs_read(name)}
    settings = {"name": name, "read": read, "network": [depth, width, policy], "epochs": epochs, "most": most}
    for seed in seeds:
        with checkpoints.place(seed=seed, **settings) as folder:
            logits = image_training.train_and_tune(
                build, protocol, *examples, seed, folder, lambda model: logits_of(model, sets)
            )
        by_arm = {"before": logits[image_training.TRAINED], "mixed": logits[image_training.TUNED]}
        yield from photograph_rows(name, kind, seed, by_arm, photographs.y_test)


def logits_of(model, sets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Logits by kind, float64 [1, N, K]."""
    return {
        kind: model.predict(x, batch_size=500, verbose=0).astype("float64")[None] for kind, x in sets.items()
    }


def photograph_rows(name: str, kind: str, seed: int, logits, y_test: np.ndarray) -> Iterator[pd.DataFrame]:
    """What is judged, and every measure before fine-tuning and after, from logits by arm and kind."""
    rates = rates_by_detector(logits, kind, seed)
    if name == "cifar10":
        yield from number_rows(rates, seed)
    yield gain_rows(rates, name, seed)
    for arm, kinds in logits.items():
        for score in ("softmax", "energy"):
            separated = detection.separations(score, kinds)
            yield detecting.separation_rows(name, (seed,), separated, score, arm)
    yield from detecting.quality_rows(name, (seed,), logits, y_test)


def rates_by_detector(logits, kind: str, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """FPR95 [1] by detector: of a kind of outliers ("claim"), of inliers in their place ("control"), and of
    normal scores as far apart as the published number says ("positive").
    """
    detectors = {
        SOFTMAX: ("before", "softmax"),
        ENERGY: ("before", "energy"),
        TUNED: ("mixed", "energy"),
    }
    rates = {}
    for number, (arm, score) in detectors.items():
        inside, outside = (detection.scored(score, logits[arm][of]) for of in ("in", kind))
        rates[number.of] = {
            "claim": detection.fpr95(inside, outside, "in"),
            "control": detection.fpr95(*detecting.halves(inside), "in"),
            "positive": detection.fpr95(*normal_scores(number.value, inside, outside, seed), "in"),
        }
    return rates


def normal_scores(
    rate: float, inside: np.ndarray, outside: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """As many scores, of inliers and of outliers, from normal distributions with this FPR95."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=inside.shape), laws.normal_shift(rate) + rng.normal(size=outside.shape)


# --- published_softmax, published_energy, published: are the published numbers found? ---------------------


def near(number: PublishedNumber) -> dict[str, Any]:
    """What the three checks of a published number say alike; each adds its id and its setting."""
    return {
        "statement": f"{PAPER.what}, of {number.of} is within 0.10 of the published {number.value:.4f}: "
        f"{PAPER.by}. The differences of protocol stand beside it in the report.",
        "criterion": Equal(margin=0.10),
        "theory": rf"\mathrm{{FPR}}_{{95}} = {number.value}",
        "control": "in-distribution test examples in place of the outliers",
        "positive": "normal scores, as far apart as the published number says, in place of the network's",
        "population": "these data sets",
        "scope": True,
        "scales": FULL_ONLY,
    }


PUBLISHED_SOFTMAX = Check("published_softmax", settings=("cifar10",), **near(SOFTMAX))
PUBLISHED_ENERGY = Check("published_energy", settings=("cifar10",), **near(ENERGY))
PUBLISHED = Check("published", settings=("cifar10",), **near(TUNED))


def number_rows(rates, seed: int) -> Iterator[pd.DataFrame]:
    for check, number in zip((PUBLISHED_SOFTMAX, PUBLISHED_ENERGY, PUBLISHED), NUMBERS, strict=True):
        place = {"reference": number.value, "setting": "cifar10", "seed": seed}
        found = rates[number.of]["claim"]
        yield check.rows(**rates[number.of], **place, resolution=np.sqrt(found * (1 - found) / TESTED))


def draw_numbers(ax, rows: pd.DataFrame) -> None:
    """The published numbers, and every seed and kind of outliers of ours."""
    places = np.arange(len(NUMBERS))
    ax.bar(places, [number.value for number in NUMBERS], 0.6, color="0.85", label="published")
    judged = rows[(rows["arm"] == "claim") & (rows["setting"] == "cifar10")]
    ours = [judged.loc[judged["check"] == number.check, "value"] for number in NUMBERS]
    for place, values in zip(places, ours, strict=True):
        label = "ours, every seed and kind" if place == 0 and len(values) else None
        ax.plot(
            place + np.linspace(-0.2, 0.2, len(values)), values, "o", color=figures.PALETTE[0], label=label
        )
    ax.set_xticks(places, [number.of.replace(", ", ",\n") for number in NUMBERS])
    ax.set(title="CIFAR-10, WRN-40-2", ylabel="FPR95 (in positive)", ylim=(0, 1.05))
    if not judged["check"].ne("").any():
        ax.text(0.5, 0.8, "ours: not run here", transform=ax.transAxes, ha="center")
    ax.legend(fontsize=8, loc="upper right")


# --- published_gain: is at least half of the published gain found? ----------------------------------------

HALF_OF_IT = (SOFTMAX.value - TUNED.value) / 2

PUBLISHED_GAIN = Check(
    "published_gain",
    "At least half of the published fall of FPR95 from softmax to energy fine-tuned is found, "
    f"{HALF_OF_IT:.4f}; of CIFAR-10's training images "
    "alone, six classes against the other four, noise and grey sets.",
    Exceeds(margin=HALF_OF_IT),
    r"\mathrm{FPR}_{95}(\max p) - \mathrm{FPR}_{95}(E, \lambda = 0.1)",
    control="in-distribution test examples in place of the outliers",
    positive="normal scores, as far apart as the published numbers say, in place of the networks'",
    settings=("cifar10", "cifar10_train"),
    population="these data sets",
    scope=True,
    scales=FULL_ONLY,
)


def gain_rows(rates, name: str, seed: int) -> pd.DataFrame:
    place = {"setting": name, "seed": seed}
    return pd.concat(
        PUBLISHED_GAIN.rows(**{arm: before}, reference=rates[TUNED.of][arm], **place)
        for arm, before in rates[SOFTMAX.of].items()
    )


def draw_gains(ax, rows: pd.DataFrame) -> None:
    """FPR95 of every kind of outliers, by the largest probability and by the energy after fine-tuning."""
    arms = {"softmax": ("before", "softmax"), "energy, fine-tuned": ("mixed", "energy")}
    kinds = [f"{name}: {kind}" for name, cast in data.PHOTOGRAPHS.items() for kind in cast.outliers]
    kinds = [kind for kind in kinds if (rows["setting"] == kind).any()]
    places = np.arange(len(kinds))
    for i, (label, (arm, score)) in enumerate(arms.items()):
        part = rows[(rows["quantity"] == f"FPR95 in, {score}") & (rows["path"] == arm)]
        means = part.groupby("setting")["value"].mean().reindex(kinds)
        ax.barh(places + 0.38 * (i - 0.5), means, 0.36, label=label, color=figures.PALETTE[i])
    ax.set_yticks(places, [kind.replace("_", " ").replace(": ", ":\n") for kind in kinds], fontsize=8)
    ax.invert_yaxis()
    ax.set(title="Before and after fine-tuning", xlabel="FPR95 (in positive)", xlim=(0, 1.05))
    if kinds:
        ax.legend(fontsize=8)
    else:
        figures.not_run(ax)


# --- all of it ---------------------------------------------------------------------------------------------

CHECKS = (PUBLISHED_SOFTMAX, PUBLISHED_ENERGY, PUBLISHED, PUBLISHED_GAIN)
THEORIES: tuple[Theory, ...] = ()


def units(scale: str) -> list[Unit]:
    """One a seed and kind of outliers; the kinds share a training: a missing set costs its own rows."""
    policy = "mixed_bfloat16" if os.environ.get("GPU") == "1" else "float32"
    return [
        unit(
            measure_photographs,
            (seed,),
            data=data.photographs_read(name, kind),
            cost=1000,
            name=name,
            kind=kind,
            **NETWORK,
            policy=policy,
            most=50_000,
        )
        for name, cast in data.PHOTOGRAPHS.items()
        for kind in cast.outliers
        for seed in range(SEEDS.get(scale, 0))
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The published numbers, below what was found with every kind of outliers."""
    settings = [f"{name}: {kind}" for name, cast in data.PHOTOGRAPHS.items() for kind in cast.outliers]
    detectors = [("before", "softmax"), ("before", "energy"), ("mixed", "energy")]
    ours = panels.detection_table(rows, settings, detectors)
    keys, values = list(panels.KEYS.values()), [panels.TITLES["FPR95 in"]]
    name = "CIFAR-10: mean of six sets (published)"
    arms = ["mixed" if number is TUNED else "before" for number in NUMBERS]
    lines = [
        (name, arm, number.of.split(",")[0], number.value) for arm, number in zip(arms, NUMBERS, strict=True)
    ]
    published = pd.DataFrame(lines, columns=keys + values).reindex(columns=ours.columns)
    published = published.astype(dict.fromkeys([c for c in ours.columns if c not in keys], "float64"))
    return pd.concat([ours, published], ignore_index=True) if len(ours) else published


def figure(rows: pd.DataFrame):
    """The published numbers beside ours; and the gain by kind of outliers."""
    canvas, axes = figures.panels(2, 1, height=3.6)
    draw_numbers(axes[0], rows)
    draw_gains(axes[1], rows)
    return canvas

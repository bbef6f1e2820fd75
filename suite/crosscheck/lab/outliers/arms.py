"""Ways to fine-tune with outliers: those of the study `ood_energy`, and the kinds on which it judges them.

Nothing here needs Keras: a study reads its sizes from it to say what there is to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

INSIDE = "in distribution"  # the auxiliary kind that is none: training examples without their labels
WEIGHT, EXPOSURE = 0.1, 0.5  # λ and μ as published
HIDDEN, PLAIN_RATE, BATCH = [64], 2e-3, 64  # of the classifiers
EPOCHS = {"digits": 30, "mnist": 15, "fashion_mnist": 15, "clinc_oos": 20}
RATE = 1e-3  # of fine-tuning
TUNING = {  # batch, epochs, inliers, outliers
    "digits": (64, 10, 600, 300),
    **dict.fromkeys(("mnist", "fashion_mnist", "clinc_oos"), (64, 5, 1000, 500)),
}
SMALL = dict.fromkeys(TUNING, (64, 10, 512, 256))  # whole batches: a shorter one is compiled anew
# Of a test kind, the arm that trains on that kind itself, or on one of its family.
OWN = {"gaussian noise": "uniform noise", "mnist": "fashion_mnist", "fashion_mnist": "mnist"}


@dataclass(frozen=True)
class Arm:
    """One way to fine-tune.

    Attributes:
        auxiliary: kinds of outliers, in equal parts.
        weight: λ of the energy's margins; `exposure`: that of the cross-entropy to the uniform.
        swapped: the two margins exchanged; `reversed`: inliers pushed up and outliers down.
        shuffled: labels of inliers dealt out at random.
    """

    auxiliary: tuple[str, ...]
    weight: float = 0.1
    exposure: float = 0.0
    swapped: bool = False
    reversed: bool = False
    shuffled: bool = False


def arms_of(cast: Any) -> dict[str, Arm]:
    """Ways to fine-tune, by name; single kinds by their own."""
    mixed = cast.mixed
    return {
        "λ = 0": Arm(mixed, 0.0),
        **{kind: Arm((kind,), WEIGHT) for kind in cast.auxiliary},
        "mixed": Arm(mixed, WEIGHT),
        "margins swapped": Arm(mixed, WEIGHT, swapped=True),
        "wrong sign": Arm(mixed, WEIGHT, reversed=True),
        "in distribution": Arm((INSIDE,), WEIGHT),
        "exposure": Arm(mixed, 0.0, EXPOSURE),
        "labels shuffled": Arm(mixed, WEIGHT, shuffled=True),
    }


def kinds_by_setting(name: str, outliers: Sequence[str]) -> dict[str, str]:
    """The settings in which a set is judged, and the kind of outliers that each stands for.

    The digits' are their kinds; another set is judged on its first kind, under its own name.
    """
    return {kind: kind for kind in outliers} if name == "digits" else {name: outliers[0]}

"""The faults that are seeded: each a change of one thing, what shows it, and the checks that name it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from crosscheck.practice.diagnose.recipes import Recipe

NONE = "none"
SICK, HEALTHY = 7, 3  # programs of a set


@dataclass(frozen=True)
class Fault:
    """A fault of the table in `docs/diagnose.md`, as the rates of `crosscheck diagnose` call it.

    Attributes:
        changes: of the recipe.
        evidence: observations, any of which points to it.
        checks: of `crosscheck diagnose` that name it.
    """

    changes: dict[str, Any]
    evidence: tuple[str, ...]
    checks: tuple[str, ...] = field(default=())


FAULTS: dict[str, Fault] = {
    "probabilities to a loss of logits": Fault(
        {"softmax": True}, ("loss stays high though answers are right",), ("head-fits-loss",)
    ),
    "logits to a loss of probabilities": Fault(
        {"from_logits": False},
        ("loss starts far above ln 10", "answers stay near chance", "loss rises above its start"),
        ("head-fits-loss",),
    ),
    "validation_split of sorted rows": Fault(
        {"is_split": True}, ("validation far worse than training",), ("validation-split",)
    ),
    "kernels of zeros": Fault({"zero_kernels": True}, ("kernels begin all alike",), ("units-differ",)),
    "learning rate of 0": Fault({"rate": 0.0}, ("kernels do not move at all",), ("learning-rate",)),
    "all sample weights zero": Fault({"weightless": True}, ("loss is exactly 0",), ("sample-weight",)),
    "NaN or infinity in x": Fault(
        {"unknown": True}, ("kernels end as no numbers", "loss is not finite"), ("inputs-are-finite",)
    ),
    "labels of other rows": Fault(
        {"labels": "of other rows"},
        ("validation far worse than training", "answers stay near chance"),
        ("labels-follow-inputs",),
    ),
    "learning rate too high": Fault(
        {"rate": 2.0},
        ("loss rises above its start", "answers stay near chance"),
        ("learning-rate-high", "finite-numbers"),
    ),
    "learning rate too low": Fault(
        {"rate": 2e-6}, ("loss hardly moves, with gradients",), ("learning-rate-low",)
    ),
    "ReLU pushed below 0": Fault({"bias": -50.0}, ("hidden units are all off",), ("dead-units",)),
    "dropout too strong": Fault(
        {"dropout": 0.9},
        ("training far worse than validation",),
        ("modes-agree", "overfits-few-rows"),
    ),
    "history: overfitting": Fault(
        {"rows": 60, "labels": "partly wrong", "epochs": 60, "rate": 0.02},
        ("validation loss rises", "validation far worse than training"),
        ("overfitting",),
    ),
    "large initial logits": Fault({"spread": 100.0}, ("loss starts far above ln 10",), ("initial-loss",)),
}


def drawn_set(seed: int) -> dict[str, tuple[str, Recipe]]:
    """The programs of a folder by name, each with its fault, or "none", and its recipe.

    No two have the same fault. The healthy ones differ in width, rate and epochs, as the sick ones do.
    """
    rng = np.random.default_rng([seed, 1])
    names = [*rng.choice(sorted(FAULTS), SICK, replace=False), *[NONE] * HEALTHY]
    programs = {}
    for number, place in enumerate(rng.permutation(len(names)), 1):
        fault = str(names[place])
        healthy = Recipe(
            width=int(rng.choice([24, 32, 48])),
            rate=float(rng.choice([2e-3, 3e-3, 5e-3])),
            epochs=int(rng.choice([20, 30])),
            seed=int(rng.integers(2**31)),
        )
        changes = FAULTS[fault].changes if fault != NONE else {}
        programs[f"program-{number:02}"] = (fault, replace(healthy, **changes))
    return programs

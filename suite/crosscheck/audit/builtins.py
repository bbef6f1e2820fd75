"""Every classification loss that Keras ships, in the settings that people use, and what each claims to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras

from crosscheck.audit.contract import Kind

SMOOTHED = {"label_smoothing": 0.1}


class Entry(NamedTuple):
    """A class of `keras.losses` with a kind of labels: its theory, and settings beside the default one.

    Attributes:
        from_logits: None where the constructor is asked.
    """

    name: str
    kind: Kind
    theory: str
    from_logits: bool | None = None
    settings: tuple[Mapping[str, Any], ...] = ({},)


FOCAL_SETTINGS: tuple[Mapping[str, Any], ...] = ({}, {"gamma": 0.5})
ENTRIES: tuple[Entry, ...] = (
    Entry("BinaryCrossentropy", "binary", "binary crossentropy", None, ({}, SMOOTHED)),
    Entry("BinaryCrossentropy", "multilabel", "binary crossentropy"),
    Entry(
        "BinaryFocalCrossentropy",
        "binary",
        "binary focal",
        None,
        (*FOCAL_SETTINGS, {"gamma": 0.0}, {"apply_class_balancing": True}),
    ),
    Entry("CategoricalCrossentropy", "categorical", "categorical crossentropy", None, ({}, SMOOTHED)),
    Entry(
        "CategoricalFocalCrossentropy",
        "categorical",
        "categorical focal",
        None,
        (*FOCAL_SETTINGS, {"gamma": 0.0, "alpha": 1.0}),
    ),
    Entry(
        "SparseCategoricalCrossentropy",
        "sparse",
        "categorical crossentropy",
        None,
        ({}, {"ignore_class": -1}),
    ),
    Entry(
        "CategoricalGeneralizedCrossEntropy",
        "sparse",
        "generalized crossentropy",
        False,
        ({}, {"q": 0.9}),
    ),
    Entry("KLDivergence", "categorical", "kl divergence", False),
    Entry("Poisson", "categorical", "categorical poisson", False),
    Entry("Poisson", "binary", "binary poisson", False),
    Entry("Hinge", "binary", "hinge", True),
    Entry("SquaredHinge", "binary", "squared hinge", True),
    Entry("CategoricalHinge", "categorical", "keras categorical hinge", True),
    Entry("Dice", "categorical", "dice", False, ({}, {"axis": -1})),
    Entry(
        "Tversky",
        "categorical",
        "tversky",
        False,
        ({"axis": -1}, {"axis": -1, "alpha": 0.3, "beta": 0.7}),
    ),
    Entry("Dice", "multilabel", "multilabel dice", False, ({"axis": -1},)),
    Entry("Tversky", "multilabel", "multilabel tversky", False, ({"axis": -1, "alpha": 0.3, "beta": 0.7},)),
)


def settings() -> list[tuple[str, Kind, dict[str, Any]]]:
    """(class, kind, constructor arguments) of all, those from logits first."""
    doubled = [each for each in ENTRIES if each.from_logits is None]
    single = [each for each in ENTRIES if each.from_logits is not None]
    from_both = [
        (each.name, each.kind, {"from_logits": logits, **setting})
        for logits in (True, False)
        for each in doubled
        for setting in each.settings
    ]
    return from_both + [(each.name, each.kind, dict(it)) for each in single for it in each.settings]


def shipped(found: Any, kind: str | None) -> Entry | None:
    """What is known of a loss class of Keras, for this kind of labels or the first that it is used with."""
    name = getattr(found, "__name__", "")
    if not name or getattr(keras.losses, name, None) is not found:
        return None
    return next((each for each in ENTRIES if each.name == name and kind in (None, each.kind)), None)

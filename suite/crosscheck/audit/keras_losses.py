"""The classification losses that Keras ships, in the settings that people use, each with its theory."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras

from crosscheck.audit.contract import Kind

SMOOTHED = {"label_smoothing": 0.1}


class KerasLoss(NamedTuple):
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
OF_ANY_VERSION: tuple[KerasLoss, ...] = (
    KerasLoss("BinaryCrossentropy", "binary", "binary crossentropy", None, ({}, SMOOTHED)),
    KerasLoss("BinaryCrossentropy", "multilabel", "binary crossentropy"),
    KerasLoss(
        "BinaryFocalCrossentropy",
        "binary",
        "binary focal",
        None,
        (*FOCAL_SETTINGS, {"gamma": 0.0}, {"apply_class_balancing": True}),
    ),
    KerasLoss("CategoricalCrossentropy", "categorical", "categorical crossentropy", None, ({}, SMOOTHED)),
    KerasLoss(
        "CategoricalFocalCrossentropy",
        "categorical",
        "categorical focal",
        None,
        (*FOCAL_SETTINGS, {"gamma": 0.0, "alpha": 1.0}),
    ),
    KerasLoss(
        "SparseCategoricalCrossentropy",
        "sparse",
        "categorical crossentropy",
        None,
        ({}, {"ignore_class": -1}, SMOOTHED),
    ),
    KerasLoss("SparseCategoricalFocalCrossentropy", "sparse", "categorical focal"),
    KerasLoss(
        "CategoricalGeneralizedCrossEntropy",
        "sparse",
        "generalized crossentropy",
        False,
        ({}, {"q": 0.9}),
    ),
    KerasLoss("KLDivergence", "categorical", "kl divergence", False),
    KerasLoss("Poisson", "categorical", "categorical poisson", False),
    KerasLoss("Poisson", "binary", "binary poisson", False),
    KerasLoss("Hinge", "binary", "hinge", True),
    KerasLoss("SquaredHinge", "binary", "squared hinge", True),
    KerasLoss("CategoricalHinge", "categorical", "keras categorical hinge", True),
    KerasLoss("Dice", "categorical", "dice", False, ({}, {"axis": -1})),
    KerasLoss(
        "Tversky",
        "categorical",
        "tversky",
        False,
        ({"axis": -1}, {"axis": -1, "alpha": 0.3, "beta": 0.7}),
    ),
    KerasLoss("Dice", "multilabel", "multilabel dice", False, ({"axis": -1},)),
    KerasLoss(
        "Tversky", "multilabel", "multilabel tversky", False, ({"axis": -1, "alpha": 0.3, "beta": 0.7},)
    ),
)


def as_shipped(entry: KerasLoss) -> KerasLoss:
    """The entry with those settings whose arguments the constructor has in this version of Keras."""
    known = inspect.signature(getattr(keras.losses, entry.name)).parameters.keys()
    settings = tuple(setting for setting in entry.settings if setting.keys() <= known)
    return KerasLoss(entry.name, entry.kind, entry.theory, entry.from_logits, settings)


# Keras 3.16 brings the sparse focal loss, and smoothing of class numbers.
KERAS_LOSSES = tuple(as_shipped(entry) for entry in OF_ANY_VERSION if hasattr(keras.losses, entry.name))


def configurations() -> list[tuple[str, Kind, dict[str, Any]]]:
    """(class, kind, constructor arguments) of all that this Keras has, those from logits first."""
    either_input = [entry for entry in KERAS_LOSSES if entry.from_logits is None]
    one_input = [entry for entry in KERAS_LOSSES if entry.from_logits is not None]
    either_settings = [
        (entry.name, entry.kind, {"from_logits": logits, **setting})
        for logits in (True, False)
        for entry in either_input
        for setting in entry.settings
    ]
    return either_settings + [
        (entry.name, entry.kind, dict(setting)) for entry in one_input for setting in entry.settings
    ]


def find_keras_loss(loss_class: Any, kind: str | None) -> KerasLoss | None:
    """The entry of a class of Keras for a kind of labels, or its first; None for any other loss."""
    name = getattr(loss_class, "__name__", "")
    if not name or getattr(keras.losses, name, None) is not loss_class:
        return None
    return next((entry for entry in KERAS_LOSSES if entry.name == name and kind in (None, entry.kind)), None)

"""Builders of Keras models that end in logits, and a classifier chain for dependent labels."""

import importlib
from typing import Any

from crosscheck.models._networks import RadialBasis, perceptron, radial, side_by_side
from crosscheck.models.chain import ClassifierChain

__all__ = ["ClassifierChain", "RadialBasis", "perceptron", "radial", "side_by_side"]

_MOVED = ("distance", "stepped")  # to `crosscheck.lab.steps`; goes when the last caller has followed


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        return getattr(importlib.import_module("crosscheck.lab.steps"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Preprocessing layers that learn from data by `adapt`, and never did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from crosscheck._keras import layers_within
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault
from crosscheck.diagnose.checks._alike import array

ADAPTED = "layers-are-adapted"
L = keras.layers
OF_WORDS = (L.TextVectorization, L.StringLookup, L.IntegerLookup)


def adapted(program: Program) -> Iterator[Finding]:
    """Layers that stand as they were built: no vocabulary, no bounds, mean 0 and variance 1."""
    layers = layers_within(program.model)
    of_others = {
        id(inner) for one in layers if isinstance(one, L.TextVectorization) for inner in layers_within(one)
    }
    for layer in layers:
        if id(layer) not in of_others and (what := lacking(layer)):
            yield fault(
                ADAPTED,
                f'{type(layer).__name__} "{layer.name}" was never adapted: {what}.',
                "`fit` does not adapt it: that is done once, before.",
                f"{layer.name}.adapt(x), or what goes into it, before fit",
            )


def lacking(layer: Any) -> str:
    """What a layer does not know for want of `adapt`; "" where nothing is known to be missing."""
    if isinstance(layer, OF_WORDS):
        return "" if layer.get_vocabulary(include_special_tokens=False) else "its vocabulary is empty"
    if isinstance(layer, L.Discretization):
        bounds = layer.bin_boundaries
        return "" if bounds is not None and len(bounds) else "it has no bounds between its bins"
    if isinstance(layer, L.Normalization) and layer.input_mean is None and hasattr(layer, "adapt_mean"):
        is_as_built = not array(layer.adapt_mean).any() and (array(layer.adapt_variance) == 1).all()
        return "its mean is 0 and its variance 1, as built, so that it does nothing" if is_as_built else ""
    return ""

"""The end of a model: the Dense layer that makes the logits, and what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from crosscheck.errors import UsageError

ACTIVATIONS = (keras.layers.Activation, keras.layers.Softmax)
RESHAPES = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute)
IDLE = (keras.layers.Dropout, keras.layers.Identity)  # they change neither shape nor value of what they get


@dataclass(frozen=True)
class Head:
    """The Dense layer, and the layers behind it in order."""

    dense: keras.layers.Dense
    behind: tuple[keras.Layer, ...]

    @property
    def activation(self) -> str:
        """`sigmoid`, `softmax`, …; `linear` where there is none."""
        names = [name_of(layer) for layer in (self.dense, *self.behind)]
        return next((name for name in names if name != "linear"), "linear")

    @property
    def kind(self) -> str:
        """The head as `crosscheck.paths.Path` names it."""
        if self.activation == "linear":
            return "logits"
        if any(isinstance(layer, RESHAPES) for layer in self.behind):
            return "reshape"
        if name_of(self.dense) != "linear":
            return "dense"
        applied = next(layer for layer in self.behind if name_of(layer) != "linear")
        wide = applied.compute_dtype == "float32" and self.dense.compute_dtype != "float32"
        return "float32" if wide else "activation"

    def __str__(self) -> str:
        own = name_of(self.dense)
        dense = f"Dense({self.dense.units}{'' if own == 'linear' else ', ' + own})"
        return " → ".join([dense, *(told(layer) for layer in self.behind)])


def told(layer: keras.Layer) -> str:
    name = name_of(layer)
    return type(layer).__name__ + (
        f"({name})" if name not in ("linear", type(layer).__name__.lower()) else ""
    )


def name_of(layer: keras.Layer) -> str:
    """The name of the activation that a layer applies."""
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def head_of(model: keras.Model, output: Any) -> Head:
    """What leads to an output of the model.

    Raises:
        UsageError: where the output does not come from a Dense layer through activations and reshapes alone.
    """
    behind: list[keras.Layer] = []
    for layer in reversed(leading_to(model, output)):
        if isinstance(layer, keras.layers.Dense):
            return Head(layer, tuple(reversed(behind)))
        if not isinstance(layer, (*ACTIVATIONS, *RESHAPES, *IDLE)):
            raise UsageError(
                f"The doctor sets the logits through the bias of a Dense layer. Behind the last one "
                f"stands {type(layer).__name__} {layer.name!r}, which it does not understand."
            )
        behind.append(layer)
    raise UsageError("The doctor sets the logits through the bias of a Dense layer, and this model has none.")


def leading_to(model: keras.Model, output: Any) -> list[keras.Layer]:
    """The layers in front of an output as far as they form a chain; of a subclassed model all, as created."""
    if output is None:
        leaves = model._flatten_layers(include_self=False, recursive=True)
        return [layer for layer in leaves if not getattr(layer, "_layers", None)]
    chain: list[keras.Layer] = []
    tensor = output
    while True:
        layer = tensor._keras_history.operation
        chain.append(layer)
        inbound = layer._inbound_nodes[tensor._keras_history.node_index].input_tensors
        if isinstance(layer, keras.layers.Dense) or len(inbound) != 1:
            return chain[::-1]
        tensor = inbound[0]

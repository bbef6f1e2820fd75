"""The end of a model: the Dense layer that makes the logits, and what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from crosscheck._keras import holds_layers, inputs_behind, layer_behind, layers_within
from crosscheck.errors import UsageError

ACTIVATIONS = (keras.layers.Activation, keras.layers.Softmax)
RESHAPES = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute)
IDLE = (keras.layers.Dropout, keras.layers.Identity)  # they change neither shape nor value of what they get


@dataclass(frozen=True)
class Head:
    """The last Dense layer of a model, and the layers behind it in order."""

    dense: keras.layers.Dense
    behind: tuple[keras.Layer, ...]

    @property
    def activation(self) -> str:
        """`sigmoid`, `softmax`, …; `linear` where there is none."""
        names = [activation_name(layer) for layer in (self.dense, *self.behind)]
        return next((name for name in names if name != "linear"), "linear")

    @property
    def kind(self) -> str:
        """The head as `crosscheck.paths.ExecutionPath` names it."""
        if self.activation == "linear":
            return "logits"
        if any(isinstance(layer, RESHAPES) for layer in self.behind):
            return "reshape"
        if activation_name(self.dense) != "linear":
            return "dense"
        activation_layer = next(layer for layer in self.behind if activation_name(layer) != "linear")
        is_wider = activation_layer.compute_dtype == "float32" and self.dense.compute_dtype != "float32"
        return "float32" if is_wider else "activation"

    def __str__(self) -> str:
        activation = activation_name(self.dense)
        dense = f"Dense({self.dense.units}{'' if activation == 'linear' else ', ' + activation})"
        return " → ".join([dense, *(describe_layer(layer) for layer in self.behind)])


def describe_layer(layer: keras.Layer) -> str:
    """The layer's class, with the activation that it applies where the class does not say it."""
    name = activation_name(layer)
    return type(layer).__name__ + (
        f"({name})" if name not in ("linear", type(layer).__name__.lower()) else ""
    )


def activation_name(layer: keras.Layer) -> str:
    """The name of the activation that a layer applies; "linear" where it applies none."""
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def head_of(model: keras.Model, output: Any) -> Head:
    """The head of an output of the model; of the model's only output where `output` is None.

    Raises:
        UsageError: where the output does not come from a Dense layer through activations and reshapes alone.
    """
    behind: list[keras.Layer] = []
    for layer in reversed(layers_before(model, output)):
        if isinstance(layer, keras.layers.Dense):
            return Head(layer, tuple(reversed(behind)))
        if not isinstance(layer, (*ACTIVATIONS, *RESHAPES, *IDLE)):
            raise UsageError(
                f"The doctor sets the logits through the bias of a Dense layer. Behind the last one "
                f"stands {type(layer).__name__} {layer.name!r}, which it does not understand."
            )
        behind.append(layer)
    raise UsageError("The doctor sets the logits through the bias of a Dense layer, and this model has none.")


def layers_before(model: keras.Model, output: Any) -> list[keras.Layer]:
    """The layers that lead to an output, back to a Dense or a branching one; all, of a subclassed model."""
    if output is None:
        return [layer for layer in layers_within(model) if not holds_layers(layer)]
    chain: list[keras.Layer] = []
    tensor = output
    while True:
        layer, inbound = layer_behind(tensor), inputs_behind(tensor)
        chain.append(layer)
        if isinstance(layer, keras.layers.Dense) or len(inbound) != 1:
            return chain[::-1]
        tensor = inbound[0]

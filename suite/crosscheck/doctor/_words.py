"""What the parts of a head are called in a diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import layers as L

from crosscheck.doctor._graph import WITH_ACTIVATION, Activated, Linear, Step, call_behind


def describe(cut: tuple[list[Any], list[Step]]) -> str:
    """The layers from the one that makes the logits to the output, as a diagnosis shows them."""
    tensors, steps = cut
    names = [described_maker(tensors)]
    for step in steps:
        operation = step.operation
        if isinstance(operation, Activated):
            if names[-1].startswith(type(operation.layer).__name__) and "," not in names[-1]:
                names[-1] = names[-1][:-1] + f", {name_of_activation(operation.layer)})"
        else:
            names.append(described(operation))
    return " → ".join(filter(None, names))


def described_maker(tensors: Sequence[Any]) -> str:
    makers = [call[0] for tensor in tensors if (call := call_behind(tensor))]
    texts = dict.fromkeys(
        described(maker.layer if isinstance(maker, Linear) else maker, tensor)
        for maker, tensor in zip(makers, tensors, strict=False)
    )
    return " + ".join(texts)


def described(operation: Any, output: Any = None) -> str:
    """A layer's class with its size and its activation; an operation's class."""
    if isinstance(operation, L.TimeDistributed):
        return f"TimeDistributed({described(operation.layer, output)})"
    if isinstance(operation, Activated):
        made = described(operation.layer, output)
        return made if output is None else f"{made[:-1]}, {name_of_activation(operation.layer)})"
    kind = type(operation).__name__
    if output is not None and isinstance(operation, WITH_ACTIVATION):
        return f"{kind}({output.shape[-1]})"
    name = name_of_activation(operation)
    return f"{kind}({name})" if name and name != kind.lower() else kind


def in_words(operation: Any) -> str:
    """What stands between logits and output: an activation by its name, a layer by its class."""
    return name_of_activation(operation.layer) if isinstance(operation, Activated) else described(operation)


def name_of_activation(layer: Any) -> str:
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__ if activation else "")
    return "" if name == "linear" else name

"""Hidden units that begin alike, and stay so: where all that comes in and all that goes out is the same.

Of a layer whose units have equal weights, every use of its output is followed up to the next weights. If
these are equal, too, and nothing between tells units apart, the gradients of all units are the same at every
step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np

from crosscheck._keras import is_of_keras
from crosscheck.diagnose._program import Program, remembered
from crosscheck.doctor import Call, calls

Fate = Literal["alike", "drawn apart", "apart"]
L = keras.layers
WEIGHTED = (L.Dense, L.Conv1D, L.Conv2D, L.Conv3D)
RECURRENT = (L.LSTM, L.GRU, L.SimpleRNN)
# Layers that do the same to every unit; those of weights where the weights are.
EVEN = (
    L.BatchNormalization,
    L.ELU,
    L.Flatten,
    L.Identity,
    L.LayerNormalization,
    L.LeakyReLU,
    L.PReLU,
    L.ReLU,
    L.Softmax,
    *(
        getattr(L, f"{kind}Pooling{n}D")
        for kind in ("Average", "Max", "GlobalAverage", "GlobalMax")
        for n in (1, 2, 3)
    ),
    *(getattr(L, f"{kind}{n}D") for kind in ("ZeroPadding", "Cropping", "UpSampling") for n in (1, 2, 3)),
)
NOISE = (
    L.Dropout,
    L.SpatialDropout1D,
    L.SpatialDropout2D,
    L.GaussianDropout,
    L.GaussianNoise,
    L.AlphaDropout,
)
# Operations that people call in a `call` of their own; each of one tensor, number by number.
BENT = {"Celu", "Elu", "Gelu", "HardSigmoid", "HardSilu", "HardTanh", "LeakyRelu", "Mish", "Relu", "Relu6"}
BENT |= {"Selu", "Sigmoid", "Silu", "Softmax", "Softplus", "Softsign", "Square", "Tanh"}


@dataclass(frozen=True)
class Units:
    """Where the units of a layer are in a tensor: a stretch of its last axis, again in every `period`."""

    tensor: Any
    start: int
    count: int
    period: int

    def of(self, kernel: np.ndarray) -> np.ndarray:
        """What a kernel [..., in, out] has for each unit that comes in, one column a unit."""
        split = np.moveaxis(kernel, -2, -1).reshape(-1, self.period)
        return split[:, self.start : self.start + self.count]


def units_alike(program: Program) -> Iterator[tuple[Any, bool]]:
    """The layers of equal units whose outputs meet equal weights; with each, whether noise is between."""
    graph = graph_of(program)
    if graph is None:
        return
    found, outputs = graph
    for layer in {id(c.link): c.link for c in found if isinstance(c.link, WEIGHTED)}.values():
        if has_equal_units(layer):
            ends = [fate(at(call, layer), found, outputs) for call in found if call.link is layer]
            if "apart" not in ends:
                yield layer, "drawn apart" in ends


@remembered
def graph_of(program: Program) -> tuple[list[Call], list[Any]] | None:
    """All that the model calls, and its outputs; None where it cannot be followed."""
    return calls(program.model)


def at(call: Call, layer: Any) -> Units:
    units = int(layer.kernel.shape[-1])
    return Units(call.gives[0], 0, units, units)


def has_equal_units(layer: Any) -> bool:
    """Whether the units of a layer that is trained have all the same weights."""
    kernel, bias = array(layer.kernel), array(layer.bias) if layer.use_bias else np.zeros(1)
    several = layer.trainable and kernel.shape[-1] > 1 and has_channels_last(layer)
    return several and bool((kernel == kernel[..., :1]).all() and (bias == bias[:1]).all())


def has_channels_last(layer: Any) -> bool:
    return getattr(layer, "data_format", None) in (None, "channels_last")


def array(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)


# --- what becomes of them ---------------------------------------------------------------------------------


def fate(units: Units, found: list[Call], outputs: list[Any]) -> Fate:
    """Whether all that is made of some units treats them alike; "apart" where that is not known."""
    uses = [call for call in found if any(taken is units.tensor for taken in call.takes)]
    if not uses or any(output is units.tensor for output in outputs):
        return "apart"  # units that are an output have labels of their own
    ends = {through(call, units, found, outputs) for call in uses}
    return "apart" if "apart" in ends else "drawn apart" if "drawn apart" in ends else "alike"


def through(call: Call, units: Units, found: list[Call], outputs: list[Any]) -> Fate:
    """What becomes of units behind one call."""
    link = call.link
    if isinstance(link, (*WEIGHTED, *RECURRENT)):
        kernel = array(link.cell.kernel if isinstance(link, RECURRENT) else link.kernel)
        return "alike" if has_channels_last(link) and meet_equal(units, kernel) else "apart"
    if len(call.gives) != 1:
        return "apart"
    onward = replace(units, tensor=call.gives[0])
    if isinstance(link, NOISE):
        end = fate(onward, found, outputs)
        return "drawn apart" if end == "alike" else end
    if isinstance(link, L.Concatenate):
        moved = beside(call, units)
        return fate(moved, found, outputs) if moved else "apart"
    return fate(onward, found, outputs) if is_even(call) else "apart"


def meet_equal(units: Units, kernel: np.ndarray) -> bool:
    """Whether a kernel is the same for all units, in every place where these come in."""
    if kernel.shape[-2] % units.period:
        return False
    each = units.of(kernel)
    return bool((each == each[:, :1]).all())


def beside(call: Call, units: Units) -> Units | None:
    """Where units are behind a concatenation of last axes; None behind any other."""
    rank, axis = len(units.tensor.shape), call.link.axis
    sizes = [taken.shape[-1] for taken in call.takes]
    places = [i for i, taken in enumerate(call.takes) if taken is units.tensor]
    if axis not in (-1, rank - 1) or None in sizes or len(places) != 1 or sizes[places[0]] != units.period:
        return None
    start = sum(sizes[: places[0]]) + units.start
    return replace(units, tensor=call.gives[0], start=start, period=sum(sizes))


def is_even(call: Call) -> bool:
    """Whether it is known to do the same to every unit, number by number, or along other axes."""
    link = call.link
    if len(call.takes) != 1:
        return False
    if isinstance(link, L.Activation):
        return is_of_keras(link.activation) and call.takes[0].shape == call.gives[0].shape
    if isinstance(link, keras.Layer):
        weights = [array(weight) for weight in link.weights]
        is_known = type(link) in EVEN and has_channels_last(link)
        return is_known and all((w == w.ravel()[:1]).all() for w in weights)
    if isinstance(link, keras.Operation):
        return type(link).__name__ in BENT and is_of_keras(type(link))
    return is_of_keras(link) and call.takes[0].shape == call.gives[0].shape

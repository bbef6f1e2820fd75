"""Layers: is anything trained, can units differ, does a hidden layer add anything, which axis sums to 1?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from crosscheck._keras import compiled_with, is_of_keras, layers_of
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output, outputs_of
from crosscheck.diagnose._program import Program, remembered
from crosscheck.diagnose._saying import fault, fine, note
from crosscheck.diagnose.checks._alike import BENT, WEIGHTED, array, graph_of, has_equal_units, units_alike
from crosscheck.diagnose.checks.arguments import has_own_step
from crosscheck.doctor import chain

TRAINABLE, DROPPED, SYMMETRY, LINEAR, AXIS = (
    "weights-are-trained",
    "dropout",
    "units-differ",
    "hidden-layers-count",
    "softmax-axis",
)
L = keras.layers
DROPPING = (
    L.AlphaDropout,
    L.Dropout,
    L.GaussianDropout,
    *(getattr(L, f"SpatialDropout{n}D") for n in (1, 2, 3)),
)
STRAIGHT = (
    L.InputLayer,
    L.Flatten,
    L.Reshape,
    L.Permute,
    L.Dropout,
    L.SpatialDropout1D,
    L.SpatialDropout2D,
    L.Rescaling,
    L.Normalization,
    L.RepeatVector,
    *(getattr(L, f"{kind}{n}D") for kind in ("AveragePooling", "GlobalAveragePooling") for n in (1, 2, 3)),
    *(getattr(L, f"{kind}{n}D") for kind in ("ZeroPadding", "Cropping", "UpSampling") for n in (1, 2, 3)),
)
RANDOM_START = 'kernel_initializer="glorot_uniform" (Keras\' own)'
UNBENT = {"ConvertToTensor", "Cast", "ExpandDims", "Negative", "Reshape", "Squeeze", "Transpose"}


def layers(program: Program) -> Iterator[Finding]:
    """What is wrong with the layers, whatever the data."""
    yield from unreached(program) or [trainable(program.model)]
    yield from all_dropped(program.model)
    yield from symmetric(program)
    yield from linear_stack(program)
    for output in outputs_of(program):
        yield from sums_along(output)


def trainable(model: keras.Model) -> Finding:
    """Whether anything is trained at all."""
    mine, all_of_them = model.trainable_weights, model.weights
    if mine or not all_of_them:
        size = sum(int(np.prod(w.shape)) for w in mine)
        return fine(TRAINABLE, f"{size} numbers in {len(mine)} weights")
    return fault(
        TRAINABLE,
        f"All {len(all_of_them)} weights are frozen.",
        "`fit` changes nothing.",
        "layer.trainable = True before compile, for the layers that are to learn",
    )


def unreached(program: Program) -> list[Finding]:
    """Weights behind outputs without a loss alone: measured and never trained, or left as drawn."""
    model, config = program.model, compiled_with(program.model)
    losses, outputs = config.get("loss"), getattr(model, "outputs", None) or []
    names = list(getattr(model, "output_names", None) or [])
    if has_own_step(model) or program.memory.get("penalties"):
        return []  # what else is minimised, and of which weights, is not known
    if not isinstance(losses, dict) or len(names) != len(outputs) or not set(losses) <= set(names):
        return []
    with_loss = [tensor for name, tensor in zip(names, outputs, strict=True) if losses.get(name) is not None]
    if not with_loss or len(with_loss) == len(outputs):
        return []
    reached = {id(weight) for weight in keras.Model(model.inputs, with_loss).trainable_weights}
    left = [weight for weight in model.trainable_weights if id(weight) not in reached]
    if not left:
        return []
    bare = [name for name in names if losses.get(name) is None]
    told = [config.get("metrics"), config.get("weighted_metrics"), program.training.y]
    watched = [name for name in bare if any(isinstance(part, dict) and name in part for part in told)]
    say = fault if watched else note
    what = f"No loss reaches {len(left)} weights behind {', '.join(watched or bare)}, such as {left[0].path}."
    return [say(TRAINABLE, what, "They stay as they were drawn.", f"loss={{'{(watched or bare)[0]}': …, …}}")]


def all_dropped(model: keras.Model) -> Iterator[Finding]:
    """Layers that drop everything while they train."""
    for layer in layers_of(model):
        rates = rates_of_dropping(layer)
        whole = next((name for name, rate in rates.items() if rate >= 1), "")
        if whole:
            yield fault(
                DROPPED,
                f"{layer.name}, {type(layer).__name__}, has {whole}={rates[whole]:g}: everything is dropped.",
                "In training nothing passes it, and no gradient comes back; in use it lets everything pass.",
                f"{whole}=0.5 or less",
            )
            return


def rates_of_dropping(layer: keras.Layer) -> dict[str, float]:
    """The shares that a layer of Keras drops, by the name of the argument."""
    if not is_of_keras(type(layer)) or isinstance(layer, keras.Model):
        return {}
    if isinstance(layer, DROPPING):
        return {"rate": float(layer.rate)}
    given = {name: getattr(layer, name, None) for name in ("dropout", "recurrent_dropout")}
    return {name: float(rate) for name, rate in given.items() if isinstance(rate, int | float)}


# --- units that stay alike --------------------------------------------------------------------------------


def symmetric(program: Program) -> Iterator[Finding]:
    """Hidden layers whose units are the same, and stay so: alike in what comes in and in what goes out."""
    found = list(units_alike(program))
    noisy = [layer.name for layer, is_noisy in found if is_noisy]
    still = [layer for layer, is_noisy in found if not is_noisy]
    alike = dict.fromkeys(layer.name for layer in (*dead_layers(program), *still))
    if alike:
        yield fault(
            SYMMETRY,
            f"All units of {', '.join(alike)} have the same weights, in and out.",
            "Their gradients are the same too: each layer is one unit, and remains so.",
            RANDOM_START,
        )
    elif noisy:
        yield note(
            SYMMETRY,
            f"All units of {', '.join(noisy)} begin with the same weights, in and out.",
            "Nothing but the draws of a dropout or a noise behind them tells them apart.",
            RANDOM_START,
        )


def dead_layers(program: Program) -> Iterator[Any]:
    """Layers of ReLU that no input wakes up: no weight, and no bias above 0."""
    hidden = [layer for layer in program.model.layers if isinstance(layer, WEIGHTED) and layer.built][:-1]
    for layer in hidden:
        silent = not array(layer.kernel).any() and not (layer.use_bias and (array(layer.bias) > 0).any())
        if silent and has_equal_units(layer) and meets_relu(program, layer):
            yield layer


def meets_relu(program: Program, layer: Any) -> bool:
    """Whether 0 from a layer gets no further than a ReLU, which passes no gradient on at 0."""
    if layer.activation is not keras.activations.linear:
        return layer.activation is keras.activations.relu
    found, _ = graph_of(program) or ([], [])
    behind = [call for call in found if call.link is layer]
    while len(behind) == 1 and (behind[0].link is layer or is_norm_to_0(behind[0].link)):
        behind = [call for call in found if any(taken is behind[0].gives[0] for taken in call.takes)]
    return bool(behind) and all(is_relu(call.link) for call in behind)


def is_norm_to_0(link: Any) -> bool:
    """Whether a normalisation makes nothing above 0 of numbers that are all alike."""
    if not isinstance(link, L.BatchNormalization | L.LayerNormalization):
        return False
    return link.beta is None or not (array(link.beta) > 0).any()


def is_relu(link: Any) -> bool:
    if isinstance(link, L.ReLU):
        return not link.threshold and not link.negative_slope
    return (link.activation if isinstance(link, L.Activation) else link) is keras.activations.relu


@remembered
def chain_of(program: Program) -> list[Any]:
    """What the model calls, one after the other; nothing where that is not known."""
    return chain(program.model) or []


# --- hidden layers without non-linearity ------------------------------------------------------------------


def linear_stack(program: Program) -> Iterator[Finding]:
    """A model whose hidden Dense layers are all linear: one layer says the same, unless they are narrow."""
    links = chain_of(program)
    weighted = [link for link in links if isinstance(link, WEIGHTED)]
    if len(weighted) < 2 or not outputs_of(program):
        return
    before = links[: links.index(weighted[-1])]
    if any(is_bent(link) for link in before):
        yield fine(LINEAR, "something between the layers is not linear")
    elif all(is_straight(link) for link in before):
        yield judged_stack(links, weighted)


def is_straight(link: Any) -> bool:
    """Whether a layer, its activation apart, is linear in its inputs."""
    return isinstance(link, WEIGHTED + STRAIGHT) or is_identity(link) or type(link).__name__ in UNBENT


def is_bent(link: Any) -> bool:
    """Whether it is known not to be linear: an activation, one of Keras' other layers."""
    if isinstance(link, keras.Layer):
        return is_of_keras(type(link)) and not is_straight(link)
    return (
        type(link).__name__ in BENT | {"Maximum"} if isinstance(link, keras.Operation) else is_of_keras(link)
    )


def is_identity(link: Any) -> bool:
    return isinstance(link, L.Activation) and link.activation is keras.activations.linear


def judged_stack(links: list[Any], weighted: list[Any]) -> Finding:
    """✗ where a single layer could say all that these say; a note where a narrow one binds.

    A layer of positions that are laid side by side behind it stands for as many: only where it keeps all that
    comes in is nothing bound.
    """
    sizes = [int(np.prod(layer.kernel.shape)) for layer in weighted]
    words = f"{len(weighted)} layers with weights, and nothing but linear layers between them"
    if not all(isinstance(layer, L.Dense) for layer in weighted) or is_rearranged(links, weighted):
        return note(LINEAR, f"{words}.", "Together they are one linear layer, of a special form.")
    positions = math.prod(b.kernel.shape[0] // a.kernel.shape[1] for a, b in itertools.pairwise(weighted))
    ends = weighted[0].kernel.shape[0], positions * weighted[-1].kernel.shape[1]
    narrow = min(layer.kernel.shape[1] for layer in weighted[:-1])
    if narrow < min(ends):
        return note(LINEAR, f"{words}.", f"Together they are one linear layer of rank {narrow} at most.")
    return fault(
        LINEAR,
        f"{words}: {sum(sizes)} numbers say what one Dense layer says with {ends[0] * ends[1]}.",
        "Products of matrices are a matrix: the hidden layers add nothing.",
        f'Dense({weighted[0].kernel.shape[1]}, activation="relu")',
    )


def is_rearranged(links: list[Any], weighted: list[Any]) -> bool:
    """Whether axes change places between the first layer with weights and the last."""
    within = links[links.index(weighted[0]) : links.index(weighted[-1])]
    turned = any(isinstance(link, L.Permute | L.Reshape | L.RepeatVector) for link in within)
    return turned or any(type(link).__name__ in ("Reshape", "Transpose") for link in within)


# --- the axis of a softmax --------------------------------------------------------------------------------


def sums_along(output: Output) -> Iterator[Finding]:
    """Probabilities that sum to 1 along another axis than that of the classes: the rows, or the positions."""
    p, axis = output.predictions, output.anatomy.class_axis
    if p is None or p.ndim < 2 or not output.is_classifier or p.dtype.kind != "f" or output.units < 2:
        return
    if not np.isfinite(p).all() or p.min() < 0 or p.max() > 1 or is_one(p, axis):
        return
    others = [i for i in range(p.ndim) if i != axis % p.ndim and p.shape[i] > 1]
    wrong = [i for i in others if is_one(p, i)]
    if not wrong:
        return
    yield fault(
        AXIS,
        f"The output {['N', *p.shape[1:]]} sums to 1 along axis {wrong[0]}, and its classes lie along axis "
        f"{axis % p.ndim}.",
        "Rows compete with one another."
        if wrong[0] == 0
        else "Positions compete with one another, not classes.",
        "softmax along the classes: axis=-1, its default",
        output,
    )


def is_one(p: np.ndarray, axis: int) -> bool:
    """Whether probabilities sum to 1 along an axis, to the rounding of half precision."""
    return bool(np.abs(p.astype("float64").sum(axis) - 1).max() < 5e-3)

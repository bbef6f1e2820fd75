"""What reaches a frozen BatchNormalization, beside the statistics that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from crosscheck._keras import layers_within
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import as_tensor
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fine, note, number
from crosscheck.diagnose.checks._alike import array

STATISTICS = "frozen-statistics"
ROWS = 16
WIDER = 10.0  # times as wide, or as narrow, as what the layer was trained on
SHIFTED = 10.0  # of its standard deviations


def frozen_statistics(program: Program) -> Iterator[Finding]:
    """Whether a frozen network gets inputs of the scale that it was trained on: never a ✗.

    It is read off its first BatchNormalization, whose moving mean and variance tell what reached it then:
    over its channels, the median of σ now / σ then and of |mean now − mean then| / σ then. A network that
    wants [−1, 1] and gets 0 … 255 has about 127 there.
    """
    layer = first_frozen(program.model)
    reached = reaches(program, layer) if layer is not None else None
    if layer is None or reached is None:
        return
    mean, sd = array(layer.moving_mean), np.sqrt(array(layer.moving_variance) + layer.epsilon)
    times = float(np.median(reached.std(0) / sd))
    shift = float(np.median(np.abs(reached.mean(0) - mean) / sd))
    measured = (
        f'what reaches the frozen "{layer.name}" is {number(times)} times as wide as what it was trained on, '
        f"and off by {number(shift)} of its standard deviations (median over {len(mean)} channels)"
    )
    if 1 / WIDER <= times <= WIDER and shift <= SHIFTED:
        yield fine(STATISTICS, measured)
        return
    yield note(
        STATISTICS,
        measured,
        "a network that was trained on inputs of another scale gives features that mean little.",
        "the preprocessing that its weights were trained with (its module's preprocess_input)",
    )


def first_frozen(model: keras.Model) -> Any:
    """Returns the first BatchNormalization that is not trained any more but was; None for none."""
    for layer in layers_within(model):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.built and not layer.trainable:
            is_as_built = not array(layer.moving_mean).any() and (array(layer.moving_variance) == 1).all()
            return None if is_as_built else layer
    return None


def reaches(program: Program, layer: Any) -> np.ndarray | None:
    """Returns what a layer gets for the first rows, [places, channels]; None where that is not seen."""
    seen = []
    call = layer.call

    def recorded(inputs: Any, *args: Any, **options: Any) -> Any:
        seen.append(keras.ops.convert_to_numpy(keras.ops.cast(inputs, "float32")))
        return call(inputs, *args, **options)

    first = keras.tree.map_structure(lambda a: as_tensor(a[:ROWS]), program.training.x)
    layer.call = recorded
    try:
        with keras.StatelessScope(collect_losses=True):  # no layer's state moves on
            program.model(first, training=False)
    except Exception:  # what the model refuses has a check of its own
        return None
    finally:
        del layer.call
    if len(seen) != 1 or not np.isfinite(seen[0]).all():
        return None
    return np.moveaxis(seen[0], layer.axis, -1).reshape(-1, seen[0].shape[layer.axis]).astype("float64")

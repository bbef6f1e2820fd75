"""Copies of the user's model: built anew from its configuration, with new weights or with those at hand."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck._keras import compiled_with, input_specs, keep_exclusions, layers_of, shapes_built_for
from crosscheck.diagnose._clock import Clock
from crosscheck.errors import UsageError

Layers = Callable[[keras.Layer], keras.Layer]
SPREAD = 4.0  # standard errors by which fresh weights may miss the scale of a second draw


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Afterwards Python's and NumPy's generators stand where they stood before."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def same_layer(layer: keras.Layer) -> keras.Layer:
    """Returns a layer of the same configuration, with weights of its own.

    Words that it was adapted to are no weights, and its configuration leaves them out.
    """
    config = layer.get_config()
    if hasattr(layer, "get_vocabulary") and config.get("vocabulary", ()) is None:
        config["vocabulary"] = layer.get_vocabulary(include_special_tokens=False) or None
    return layer.__class__.from_config(config)


def rebuilt(model: keras.Model, layers: Layers = same_layer) -> keras.Model:
    """Returns a model of the same configuration, built, with newly drawn weights.

    Args:
        model: built.
        layers: makes the layer that stands in the place of each; a subclassed model has none to replace.

    Raises:
        UsageError: where the configuration does not make the model again.
    """
    try:
        copy = cloned_bare(model, layers) if has_graph(model) else from_config(model)
        copy.trainable = model.trainable
        for mine, theirs in zip(layers_of(copy), layers_of(model), strict=True):
            mine.trainable = theirs.trainable
    except Exception as error:  # a constructor of the user's may raise anything
        raise UsageError(
            f"{type(model).__name__} cannot be built anew from its configuration: {error}"
        ) from error
    if [v.shape for v in copy.variables] != [v.shape for v in model.variables]:
        raise UsageError(f"{type(model).__name__} rebuilt from its configuration has other weights.")
    return copy


def cloned_bare(model: keras.Model, layers: Layers = same_layer) -> keras.Model:
    """Returns a copy of a model of symbolic inputs and outputs, not compiled, with weights of its own.

    Keras would compile it from the configuration of loss and metrics, which functions of one's own have not.
    """
    is_compiled, model.compiled = model.compiled, False
    try:
        return keras.models.clone_model(model, clone_function=layers)
    finally:
        model.compiled = is_compiled


def has_graph(model: keras.Model) -> bool:
    """Returns whether the model is a `Sequential` or a functional one, of symbolic inputs and outputs."""
    return isinstance(model, keras.Sequential) or bool(getattr(model, "outputs", None))


def from_config(model: keras.Model) -> keras.Model:
    """Returns a subclassed model made again by its class, and built for the same shapes."""
    copy = type(model).from_config(model.get_config())
    shapes = shapes_built_for(model)
    if not copy.built:
        inputs = keras.tree.map_shape_structure(lambda shape: np.zeros((1, *shape[1:]), "float32"), shapes)
        copy(inputs)
    return copy


def step_of(model: keras.Model, x: Any, y: Any) -> Any:
    """Returns the loss of a step on all these rows, which is taken.

    A `train_step` of one's own may unpack two things, as `fit` gives it; `train_on_batch` gives three.
    """
    if type(model).train_step is keras.Model.train_step:
        return model.train_on_batch(x, y)
    rows = len(keras.tree.flatten(x)[0])
    history = model.fit(x, y, batch_size=rows, shuffle=False, verbose=0).history
    return next(iter(history.values()))[0]


def seconds_of_a_step(model: keras.Model, x: Any, y: Any) -> float:
    """Returns the least time of four steps on these rows, which are taken."""
    clocks = []
    for _ in range(4):
        clock = Clock()
        step_of(model, x, y)
        clocks.append(clock.spent())
    return min(clocks)


def with_weights(copy: keras.Model, weights: list[np.ndarray]) -> keras.Model:
    """Returns the copy with these values of its variables."""
    for variable, value in zip(copy.variables, weights, strict=True):
        variable.assign(value)
    return copy


def weights_of(model: keras.Model) -> list[np.ndarray]:
    """Returns the values of `model.variables`."""
    return [keras.ops.convert_to_numpy(v.value) for v in model.variables]


def is_freshly_drawn(model: keras.Model, fresh: keras.Model) -> bool:
    """Returns whether the weights that are to be trained look like the initial ones of a model drawn anew.

    What is not trained says nothing: statistics of an adapted `Normalization`, a frozen pretrained layer.
    What initialisers set to a constant must be that constant. What they draw must have its scale, to four
    standard errors: a pretrained or a trained model fails one or the other.
    """
    pairs = zip(weights_of(model), weights_of(fresh), model.variables, strict=True)
    return all(looks_alike(mine, drawn) for mine, drawn, v in pairs if v.trainable and is_weight(v))


def is_weight(variable: Any) -> bool:
    """Returns whether a variable is a number that layers compute with, no seed or counter."""
    return "float" in str(variable.dtype)


def looks_alike(mine: np.ndarray, drawn: np.ndarray) -> bool:
    """Returns whether two arrays could be two draws of one initialiser."""
    if np.ptp(drawn) == 0:
        return bool(np.array_equal(mine, drawn))
    size = drawn.size
    noise = SPREAD / np.sqrt(size)
    alike_in_scale = abs(np.log((mine.std() + 1e-12) / (drawn.std() + 1e-12))) <= 2 * noise
    return bool(alike_in_scale and abs(mine.mean() - drawn.mean()) <= 2 * noise * drawn.std())


def compile_arguments(model: keras.Model) -> dict[str, Any]:
    """Returns what a copy is compiled with: loss and loss weights, without metrics."""
    wanted = ("loss", "loss_weights")
    return {name: value for name, value in compiled_with(model).items() if name in wanted}


def fresh_optimizer(optimizer: Any, **changed: Any) -> keras.Optimizer:
    """Returns an unused optimiser of the same configuration, but for what is changed."""
    copy = type(optimizer).from_config({**optimizer.get_config(), **changed})
    keep_exclusions(copy, optimizer)
    return copy


def learning_rate_of(optimizer: Any) -> float | None:
    """Returns the constant learning rate; None where a schedule, or the optimiser itself, sets it."""
    rate = optimizer.get_config().get("learning_rate")
    return float(rate) if isinstance(rate, (int, float, np.floating)) else None


def largest_change(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> np.ndarray:
    """The largest ‖Δw‖ / ‖w‖ over arrays of weights [R, …] that do not start at 0, [R]; 0 where all do."""
    size = lambda w: np.sqrt((w.astype("float64") ** 2).reshape(len(w), -1).sum(1))
    started = [(size(b), size(a - b)) for b, a in zip(before, after, strict=True)]
    shares = [np.where(b > 0, change / np.where(b > 0, b, 1), 0) for b, change in started]
    return np.max([np.nan_to_num(share, nan=np.inf) for share in shares], axis=0)


class Inside:
    """The outputs of some layers of a model, by name, for rows of x."""

    def __init__(self, model: keras.Model, layers: Sequence[str]):
        self.model = model
        self.outputs = keras.Model(input_specs(model), [model.get_layer(name).output for name in layers])

    def __call__(self, x: Any) -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(z) for z in keras.tree.flatten(self.outputs(x, training=False))]

"""What replicates ask of a Keras model: whether it will do, its shapes, and what its layers are."""

from __future__ import annotations

from typing import Any

import keras

from crosscheck._keras import layers_of


def require_built(model: Any) -> None:
    """Raises a ValueError for anything but a built Keras model."""
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            f"`build` must return a built Keras model, not {type(model).__name__}: give it an input shape."
        )


def input_shape(model: keras.Model) -> Any:
    """Returns (None, …); a subclassed model tells it only by what it was built with."""
    if hasattr(model, "input_shape"):
        return model.input_shape
    return plain(next(iter(model.get_build_config().values())))


def plain(shapes: Any) -> Any:
    """Shapes in dictionaries and tuples of Python, not those in which Keras keeps track of things."""
    if isinstance(shapes, dict):
        return {name: plain(shape) for name, shape in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return tuple(shapes)
    return [plain(shape) for shape in shapes]


def output_shape(model: keras.Model) -> Any:
    """Returns (None, …)."""
    if hasattr(model, "output_shape"):
        return model.output_shape
    inputs = keras.tree.map_shape_structure(keras.KerasTensor, input_shape(model))
    spec = model.compute_output_spec(inputs)
    return getattr(spec, "shape", [spec])


def has_convolutions(model: keras.Model) -> bool:
    """Returns whether a layer of the model is a convolution, by the name of a class that it inherits."""
    kinds = [base.__name__ for layer in layers_of(model) for base in type(layer).__mro__]
    return any("Conv" in kind for kind in kinds)


def computes_in_float16(model: keras.Model) -> bool:
    """Returns whether a layer of the model computes in float16, so that its loss wants a scale."""
    return any(layer.compute_dtype == "float16" for layer in layers_of(model))

"""What Keras 1 and 2 had and Keras 3 has not, in its words: what scripts need of it up to their `fit`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from crosscheck.errors import UsageError

# --- keras.backend ---------------------------------------------------------------------------------------


def int_shape(x: Any) -> tuple[int | None, ...]:
    return tuple(x.shape)


def ndim(x: Any) -> int:
    return len(x.shape)


def dtype(x: Any) -> str:
    return keras.backend.standardize_dtype(x.dtype)


def count_params(x: Any) -> int:
    return math.prod(x.shape)


def set_value(variable: Any, value: Any) -> None:
    variable.assign(value)


def update(variable: Any, value: Any) -> Any:
    variable.assign(value)
    return variable


def batch_get_value(variables: Sequence[Any]) -> list[np.ndarray]:
    return [ops.convert_to_numpy(variable) for variable in variables]


def batch_set_value(pairs: Sequence[tuple[Any, Any]]) -> None:
    for variable, value in pairs:
        variable.assign(value)


def variable(value: Any, dtype: str | None = None, name: str | None = None) -> keras.Variable:
    return keras.Variable(value, dtype=dtype or keras.config.floatx(), name=name)


def placeholder(
    shape: Any = None, ndim: int | None = None, dtype: str | None = None, name: str | None = None
) -> Any:
    return keras.Input(batch_shape=shape or (None,) * (ndim or 0), dtype=dtype, name=name)


def function(inputs: Any, outputs: Any, updates: Any = None) -> Callable[[Any], list[Any]]:
    """Values of symbolic outputs, given those of the inputs; what stood for the phase is left out."""
    model = keras.Model([i for i in inputs if keras.utils.is_keras_tensor(i)], outputs)
    return lambda values: [
        ops.convert_to_numpy(y) for y in keras.tree.flatten(model(values[: len(model.inputs)]))
    ]


def switch(condition: Any, then: Any, otherwise: Any) -> Any:
    chosen = [value() if callable(value) else value for value in (then, otherwise)]
    return ops.where(condition, *chosen)


def learning_phase() -> int:
    return 0


def set_learning_phase(value: Any) -> None:
    """Keras 3 is told by `training=` alone."""


def in_train_phase(then: Any, otherwise: Any, training: Any = None) -> Any:
    chosen = then if training else otherwise
    return chosen() if callable(chosen) else chosen


def flatten(x: Any) -> Any:
    return ops.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    return ops.reshape(x, (ops.shape(x)[0], -1))


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    return keras.layers.dot([x, y], axes=axes or (len(x.shape) - 1, len(y.shape) - 2))


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    return keras.random.normal(shape, mean, stddev, dtype, seed)


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    return keras.random.uniform(shape, minval, maxval, dtype, seed)


def image_dim_ordering() -> str:
    return {"channels_first": "th", "channels_last": "tf"}[keras.config.image_data_format()]


def set_image_dim_ordering(value: str) -> None:
    keras.config.set_image_data_format({"th": "channels_first", "tf": "channels_last"}[value])


def set_session(session: Any) -> None:
    """Keras 3 has no session."""


def manual_variable_initialization(value: bool) -> None:
    """Keras 3 initialises variables where they are made."""


def name_scope(name: str) -> Any:
    return keras.name_scope(name)


def get_session() -> Any:
    raise UsageError("K.get_session() is of TensorFlow 1: Keras 3 has no session.")


def gradients(loss: Any, variables: Any) -> Any:
    raise UsageError("K.gradients() is of TensorFlow 1: Keras 3 has no symbolic gradients.")


# --- other libraries -------------------------------------------------------------------------------------


def asscalar(array: Any) -> Any:
    return np.asarray(array).item()


# --- layers and models -----------------------------------------------------------------------------------

MERGED = {
    "sum": keras.layers.add,
    "mul": keras.layers.multiply,
    "ave": keras.layers.average,
    "max": keras.layers.maximum,
}


def merge(
    inputs: Sequence[Any], mode: str = "sum", concat_axis: int = -1, dot_axes: Any = -1, **ignored: Any
) -> Any:
    """Keras 1's `merge` of tensors."""
    if mode == "concat":
        return keras.layers.concatenate(inputs, axis=concat_axis)
    if mode in ("dot", "cos"):
        return keras.layers.dot(inputs, axes=dot_axes, normalize=mode == "cos")
    if mode not in MERGED:
        raise UsageError(f"merge(mode={mode!r}) has no equal in Keras 3.")
    return MERGED[mode](inputs)


def refused(name: str, instead: str) -> Callable[..., Any]:
    def refuse(*arguments: Any, **named: Any) -> Any:
        raise UsageError(f"{name} is of Keras 1 and has no equal in Keras 3: {instead}.")

    return refuse


Graph = refused("Graph", "write it with keras.Model(inputs, outputs)")
Merge = refused("Merge of models", "write it with keras.Model(inputs, outputs)")
MaxoutDense = refused("MaxoutDense", "write the layer yourself")
Highway = refused("Highway", "write the layer yourself")


def convolution_2d(*args: Any, **kwargs: Any) -> keras.layers.Layer:
    """`Convolution2D(32, 3, 3)`: a kernel of three by three, where `Conv2D` would read a stride of three."""
    if len(args) >= 3 and isinstance(args[1], int):
        args = (args[0], tuple(args[1:3]), *args[3:])
    return keras.layers.Conv2D(*args, **kwargs)


def time_distributed_dense(units: int, **kwargs: Any) -> keras.layers.Layer:
    return keras.layers.TimeDistributed(keras.layers.Dense(units, **kwargs))


def thresholded_relu(theta: float = 1.0, **kwargs: Any) -> keras.layers.Layer:
    return keras.layers.ReLU(threshold=theta, **kwargs)


def multi_gpu_model(model: keras.Model, *arguments: Any, **named: Any) -> keras.Model:
    return model


def to_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- methods of models -----------------------------------------------------------------------------------


def fit_generator(
    model: keras.Model, generator: Any, steps_per_epoch: Any = None, epochs: int = 1, **rest: Any
):
    """`fit` has taken generators itself since Keras 2.2.

    Keras 1 had the number of samples second; there is no more of it than a number of steps that is too large.
    """
    return model.fit(generator, steps_per_epoch=steps_per_epoch, epochs=epochs, **rest)


def evaluate_generator(model: keras.Model, generator: Any, steps: Any = None, **rest: Any) -> Any:
    return model.evaluate(generator, steps=steps)


def predict_generator(model: keras.Model, generator: Any, steps: Any = None, **rest: Any) -> Any:
    return model.predict(generator, steps=steps)


def predict_proba(model: keras.Model, x: Any, **rest: Any) -> Any:
    return model.predict(x, **rest)


def predict_classes(model: keras.Model, x: Any, **rest: Any) -> Any:
    """The class of the largest output; of a single output, whether it is above one half."""
    outputs = model.predict(x, **rest)
    return outputs.argmax(-1) if outputs.shape[-1] > 1 else (outputs > 0.5).astype("int32")


# --- keras.wrappers.scikit_learn -------------------------------------------------------------------------


class _Wrapped(BaseEstimator):
    """A function that builds a compiled model, as an estimator: the parameters go where they are named."""

    def __init__(self, build_fn: Callable[..., keras.Model], **parameters: Any) -> None:
        self.build_fn, self.parameters = build_fn, parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"build_fn": self.build_fn, **self.parameters}

    def set_params(self, **parameters: Any) -> _Wrapped:
        self.build_fn = parameters.pop("build_fn", self.build_fn)
        self.parameters |= parameters
        return self

    def fit(self, x: Any, y: Any, **given: Any) -> _Wrapped:
        known = inspect.signature(self.build_fn).parameters
        built = {name: value for name, value in self.parameters.items() if name in known}
        fitted = {name: value for name, value in self.parameters.items() if name not in known}
        self.model = self.build_fn(**built)
        self.model.fit(x, self.targets(np.asarray(y)), **fitted, **given)
        return self

    def targets(self, y: np.ndarray) -> np.ndarray:
        return y

    def predict(self, x: Any, **given: Any) -> np.ndarray:
        return np.squeeze(self.model.predict(x, **given), -1)


class KerasRegressor(RegressorMixin, _Wrapped):
    """Keras 2's wrapper of a model for regression."""


class KerasClassifier(ClassifierMixin, _Wrapped):
    """Keras 2's wrapper of a classifier: classes are numbered, and one-hot where the loss asks for it."""

    def targets(self, y: np.ndarray) -> np.ndarray:
        one_hot = y.ndim == 2 and y.shape[1] > 1
        self.classes_ = np.arange(y.shape[1]) if one_hot else np.unique(y)
        labels = y if one_hot else np.searchsorted(self.classes_, y)
        if getattr(self.model, "loss", None) == "categorical_crossentropy" and not one_hot:
            return keras.utils.to_categorical(labels, len(self.classes_))
        return labels

    def predict(self, x: Any, **given: Any) -> np.ndarray:
        return self.classes_[predict_classes(self.model, x, **given).ravel()]

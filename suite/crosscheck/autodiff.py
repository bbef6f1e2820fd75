"""Derivatives of a loss with respect to its logits, by automatic differentiation on any backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = [
    "derivatives",
    "differentiated",
    "gradient",
    "logit_gradient",
    "logit_hessian",
    "numbers",
    "tensors",
]

Function = Callable[[Any], Any]
Functions = Callable[[Any], tuple[Any, ...]]


def gradient(function: Function) -> Function:
    """Returns z ↦ ∂ Σ function(z) / ∂z, of tensors; it can be nested, and compiled by the backend.

    Where the function treats examples apart, it is each example's own gradient. A function that does not
    depend on z has a gradient of 0.
    """
    both = differentiated(lambda z: (function(z),))
    return lambda z: both(z)[0]


def derivatives(function: Function) -> Callable[[Any], tuple[Any, Any, Any]]:
    """Returns z ↦ (function(z), its gradient, the gradient of that), computed in one pass; see `gradient`."""
    twice = differentiated(differentiated(lambda z: (function(z),)))
    return lambda z: twice(z)[::-1]


def differentiated(function: Functions) -> Functions:
    """Returns z ↦ (∂ Σ first / ∂z, first, …) for a function z ↦ (first, …), which is called once.

    Raises:
        NotImplementedError: on another backend than TensorFlow, JAX and PyTorch.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return with_tape(function)
    if backend == "jax":
        return with_jax(function)
    if backend == "torch":
        return with_torch(function)
    raise NotImplementedError(f"Derivatives are taken on tensorflow, jax and torch, not on {backend}.")


def with_tape(function: Functions) -> Functions:
    import tensorflow as tf

    def slope(z: Any) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            tape.watch(z)
            first, *others = function(z)
        none = tf.UnconnectedGradients.ZERO
        return tape.gradient(first, z, unconnected_gradients=none), first, *others

    return slope


def with_jax(function: Functions) -> Functions:
    import jax

    def total(z: Any) -> tuple[Any, tuple[Any, ...]]:
        first, *others = function(z)
        return ops.sum(first), (first, *others)

    def slope(z: Any) -> tuple[Any, ...]:
        derivative, values = jax.grad(total, has_aux=True)(z)
        return derivative, *values

    return slope


def with_torch(function: Functions) -> Functions:
    import torch

    def slope(z: Any) -> tuple[Any, ...]:
        z = z if z.requires_grad else z.detach().requires_grad_()
        first, *others = function(z)
        derivative = None
        if first.requires_grad:
            (derivative,) = torch.autograd.grad(first.sum(), z, create_graph=True, allow_unused=True)
        return torch.zeros_like(z) if derivative is None else derivative, first, *others

    return slope


def numbers(tensor: Any) -> np.ndarray:
    """Returns a tensor's values as an array; half precision, which NumPy may not know, as float32."""
    if keras.backend.standardize_dtype(tensor.dtype) in ("bfloat16", "float16"):
        tensor = ops.cast(tensor, "float32")
    return ops.convert_to_numpy(tensor)


def tensors(*arrays: np.ndarray) -> list[Any]:
    """Returns the arrays as tensors of their own dtypes; Keras on PyTorch would make float32 of float64."""
    return [ops.convert_to_tensor(array, dtype=np.asarray(array).dtype.name) for array in arrays]


def logit_gradient(loss: Callable[[Any, Any], Any], y_true: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Returns ∂ loss(y_true, logits) / ∂ logits, in their shape and dtype, for a loss per example."""
    y, z = tensors(y_true, logits)
    return numbers(gradient(lambda z: loss(y, z))(z))


def logit_hessian(loss: Callable[[Any, Any], Any], y_true: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Returns H[n, i, j] = ∂² loss_n / ∂z_ni ∂z_nj for logits [N, K], in their dtype: [N, K, K].

    Each row is the gradient of a component of the gradient, so that symmetry is not assumed.
    """
    y, z = tensors(y_true, logits)
    slope = gradient(lambda z: loss(y, z))
    component = lambda i: lambda z: slope(z)[:, i]
    rows = [gradient(component(i))(z) for i in range(z.shape[-1])]
    return numbers(ops.stack(rows, axis=1))

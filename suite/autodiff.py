"""Derivatives of a loss with respect to its logits, by automatic differentiation on any backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Function = Callable[[Any], Any]


def gradient(function: Function) -> Function:
    """z ↦ ∂ Σ function(z) / ∂z, of tensors; can be nested, and compiled by the backend.

    Where the function treats examples apart, that is each example's own gradient. What does not depend on z
    has a gradient of 0.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return with_tape(function)
    if backend == "jax":
        import jax

        return jax.grad(lambda z: ops.sum(function(z)))
    if backend == "torch":
        return with_torch(function)
    raise NotImplementedError(f"Derivatives are taken on tensorflow, jax and torch, not on {backend}.")


def with_tape(function: Function) -> Function:
    import tensorflow as tf

    def slope(z: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = function(z)
        return tape.gradient(value, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return slope


def with_torch(function: Function) -> Function:
    import torch

    def slope(z: Any) -> Any:
        z = z if z.requires_grad else z.detach().requires_grad_()
        value = function(z).sum()
        if not value.requires_grad:
            return torch.zeros_like(z)
        (found,) = torch.autograd.grad(value, z, create_graph=True, allow_unused=True)
        return torch.zeros_like(z) if found is None else found

    return slope


def numbers(tensor: Any) -> np.ndarray:
    """A tensor's values; half precision, which NumPy may not know, as float32."""
    if keras.backend.standardize_dtype(tensor.dtype) in ("bfloat16", "float16"):
        tensor = ops.cast(tensor, "float32")
    return ops.convert_to_numpy(tensor)


def tensors(*arrays: np.ndarray) -> list[Any]:
    """In the dtypes that they have; left alone, Keras would make float32 of float64 on PyTorch."""
    return [ops.convert_to_tensor(each, dtype=np.asarray(each).dtype.name) for each in arrays]


def logit_gradient(loss: Callable[[Any, Any], Any], y_true: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """∂ loss(y_true, logits) / ∂ logits, in their shape and dtype; the loss gives a value per example."""
    y, z = tensors(y_true, logits)
    return numbers(gradient(lambda z: loss(y, z))(z))


def logit_hessian(loss: Callable[[Any, Any], Any], y_true: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """H[n, i, j] = ∂² loss_n / ∂z_ni ∂z_nj for logits [N, K], in their dtype: [N, K, K].

    Each row is the gradient of a component of the gradient, so that nothing of its symmetry is put in.
    """
    y, z = tensors(y_true, logits)
    slope = gradient(lambda z: loss(y, z))
    component = lambda i: lambda z: slope(z)[:, i]  # noqa: E731
    rows = [gradient(component(i))(z) for i in range(z.shape[-1])]
    return numbers(ops.stack(rows, axis=1))

"""Sends logits down a path and reads off loss, gradient and second derivative."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import set_jit_compile
from crosscheck.autodiff import derivatives, numbers
from crosscheck.paths._grid import ExecutionPath
from crosscheck.paths._oracle import Derivatives
from crosscheck.paths.heads import global_policy, implementation, labels, one_layer, outer, restart
from crosscheck.replicates.backends import current

__all__ = ["compiled", "device", "number", "probe", "probe_together", "settled_step", "skipped_steps"]

Loss = Callable[[Any, Any], Any]
SMALLEST_SCALE = 2.0**-40  # of a loss: whatever float16 can hold times this is too small to overflow


def probe(path: ExecutionPath, z: np.ndarray, y: np.ndarray, loss: Loss | None = None) -> Derivatives:
    """Loss, dL/dz and d²L/dz² at logits z [N] with labels y [N], down this path: [N] each, float64.

    z is the first logit and y the label of its class, as in `oracle`. A step of `train_on_batch` knows no
    second derivative: NaN. Under mixed_float16 its gradient is that of the first step that Keras' loss
    scaling does not skip; `skipped_steps` counts those before it.

    Args:
        path: which way, on the backend of this process.
        z: must be exact in the policy's compute dtype.
        y: 0 or 1.
        loss: another loss to send down the same path, a value per example from (y_true, y_pred).

    Raises:
        ValueError: for a path of another backend, or a loss that, called directly, does not give one value
            per example.
    """
    require_backend(path)
    with global_policy(path.policy):
        used_loss = loss or implementation(path)
        if not path.trains:
            return through_call(path, z, y, used_loss)
        value, slope, _ = through_fit(path, z, y, used_loss)
        return Derivatives(value, slope, np.full(len(z), np.nan))


def require_backend(path: ExecutionPath) -> None:
    """Raises a ValueError where the path is of another backend than this process runs."""
    if path.backend != keras.backend.backend():
        raise ValueError(f"This process runs {keras.backend.backend()}; {path} needs {path.backend}.")


def device() -> str:
    """What this process computes on: "cpu" or "gpu"."""
    return current().device()


def skipped_steps(path: ExecutionPath, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How many steps loss scaling skips before one counts, starting at Keras' scale of 2¹⁵: [N].

    Only a path through `train_on_batch` under mixed_float16 has any.
    """
    with global_policy(path.policy):
        return through_fit(path, z, y, implementation(path))[2]


def probe_together(
    paths: Sequence[ExecutionPath], z: np.ndarray, y: np.ndarray, losses: Sequence[Loss | None] = ()
) -> list[Derivatives]:
    """What `probe` returns for each of these paths, in less time where a direct call is made a program.

    The paths of a policy are then one program, and XLA compiles once what they have in common. The numbers
    are the same to the last bit (tests/test_paths.py).

    Args:
        paths: of one mode and policy.
        z, y: as for `probe`.
        losses: another loss for each of the paths, as for `probe`; their own where there are none.

    Raises:
        ValueError: as `probe`, or for paths that differ in mode or policy.
    """
    if len({(path.mode, path.policy) for path in paths}) != 1:
        raise ValueError("Paths are probed together that share mode and policy.")
    first, pairs = paths[0], list(zip(paths, losses or [None] * len(paths), strict=True))
    if first.mode not in ("graph", "xla"):
        return [probe(path, z, y, loss) for path, loss in pairs]
    require_backend(first)
    with global_policy(first.policy):
        x = ops.convert_to_tensor(z[:, None], dtype=outer(first.policy))
        if losses or keras.backend.backend() != "tensorflow":
            program = compiled(calls_along(pairs, y), x, first.mode)
        else:
            graph = graph_of(tuple(dataclasses.replace(path, mode="graph") for path in paths), x, tuple(y))
            program = graph if first.mode == "graph" else compiled(graph, x, first.mode)
        derivatives_by_path = program(x)
    return [as_derivatives(call_path, len(z)) for call_path in derivatives_by_path]


def calls_along(
    pairs: Sequence[tuple[ExecutionPath, Loss | None]], y: np.ndarray
) -> Callable[[Any], list[Any]]:
    """The function x [N, 1] ↦ loss and derivatives along each of these paths."""
    calls = [call_along(path, y, loss or implementation(path)) for path, loss in pairs]
    return lambda x: [call_path(x) for call_path in calls]


# Of one set of paths, as no other is asked for twice, with its calls: a graph does not keep its variables.
LAST_GRAPH: dict[Any, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {}


def graph_of(paths: tuple[ExecutionPath, ...], x: Any, y: tuple[float, ...]) -> Callable[[Any], Any]:
    """These paths' calls as one graph on TensorFlow, traced once for the modes "graph" and "xla".

    XLA compiles what it is handed, and takes a call of a graph for the graph itself.
    """
    key = (paths, x.shape, y)
    if key not in LAST_GRAPH:
        LAST_GRAPH.clear()
        calls = calls_along([(path, None) for path in paths], np.array(y))
        LAST_GRAPH[key] = (compiled(calls, x, "graph"), calls)
    return LAST_GRAPH[key][0]


def through_call(path: ExecutionPath, z: np.ndarray, y: np.ndarray, loss: Loss) -> Derivatives:
    """Derivatives from one direct call of the loss for all examples."""
    x = ops.convert_to_tensor(z[:, None], dtype=outer(path.policy))
    return as_derivatives(compiled(call_along(path, y, loss), x, path.mode)(x), len(z))


def call_along(path: ExecutionPath, y: np.ndarray, loss: Loss) -> Callable[[Any], Any]:
    """The function x [N, 1] ↦ loss and derivatives by x, which are those by the logit: the weight is 1."""
    model = one_layer(path)
    labels_array = labels(path.loss, y, outer(path.policy))
    label = ops.convert_to_tensor(labels_array, dtype=labels_array.dtype.name)
    return derivatives(lambda x: loss(label, model(x, training=True)))


def as_derivatives(tensors: Sequence[Any], examples: int) -> Derivatives:
    """Value [N], gradient [N, 1] and second derivative [N, 1] as arrays [N] of float64."""
    value, slope, curvature = (numbers(tensor).astype("float64") for tensor in tensors)
    if value.shape != (examples,):
        raise ValueError(
            f"The loss gave shape {value.shape} for {examples} examples, not one value for each."
        )
    return Derivatives(value, slope[:, 0], curvature[:, 0])


def compiled(function: Callable[[Any], Any], x: Any, mode: str) -> Callable[[Any], Any]:
    """`function` as the mode runs it, for arguments like x."""
    if mode == "eager":
        return function
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    program = tf.function(function, jit_compile=mode == "xla", autograph=False)
    return program.get_concrete_function(x)  # else TensorFlow warns of retracing


def through_fit(path: ExecutionPath, z: np.ndarray, y: np.ndarray, loss: Loss) -> np.ndarray:
    """Loss, dL/dz and skipped steps, [3, N], from a `train_on_batch` of SGD at rate 1 for each example."""
    model, dtype, mode = one_layer(path), outer(path.policy), path.mode.removeprefix("fit ")
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=mode == "eager", jit_compile=False)
    set_jit_compile(model, mode == "xla")  # the runner's deterministic kernels would have it left out
    model.optimizer.build(model.trainable_variables)
    dense, steps = model.layers[0], []
    for x, label in zip(z.astype(dtype), labels(path.loss, y, dtype), strict=True):
        value, skipped = settled_step(model, x.reshape(1, 1), label[None], lambda: restart(dense))
        steps.append((value, 0.0 - number(dense.bias), skipped))  # the bias began at 0
    return np.array(steps).T


def settled_step(
    model: keras.Model, x: Any, label: np.ndarray, reset_weights: Callable[[], None]
) -> tuple[float, int]:
    """Loss of a training step from the weights of `reset_weights`, and how many were skipped before it.

    A LossScaleOptimizer skips a step whose gradient overflows and halves its scale: weights that have not
    moved then say nothing about the gradient, so the step is taken again until the scale stays. A gradient
    that is not finite below `SMALLEST_SCALE` is so at every smaller one: training would halve the scale down
    to 0 and leave the weights where they were, for good. It counts as 0. What overflows at a scale does so at
    every larger one, so that the first scale that stays is found by halving the interval.
    """
    scale = getattr(model.optimizer, "dynamic_scale", None)

    def step_after(halvings: int) -> tuple[float, bool]:
        """Loss of a step at the scale halved so often, and whether it was taken."""
        if scale is not None:
            scale.assign(model.optimizer.initial_scale * 2.0**-halvings)
        scale_before = number(scale)
        reset_weights()
        value = model.train_on_batch(x, label)
        return float(np.ravel(value)[0]), number(scale) == scale_before

    value, taken = step_after(0)
    if taken:
        return value, 0
    skipped, most = 0, 1 + round(np.log2(model.optimizer.initial_scale / SMALLEST_SCALE))
    value, taken = step_after(most)
    if not taken:
        return value, most
    while most - skipped > 1:
        middle = (skipped + most) // 2
        if step_after(middle)[1]:
            most = middle
        else:
            skipped = middle
    return step_after(most)[0], most


def number(variable: Any) -> float:
    """The first number that a variable holds; 1.0 for None, the loss scale of an optimiser that has none."""
    return 1.0 if variable is None else float(np.ravel(ops.convert_to_numpy(variable))[0])

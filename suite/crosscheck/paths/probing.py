"""Sends logits down a path and reads off loss, gradient and second derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.autodiff import derivatives, numbers
from crosscheck.paths.grid import Path
from crosscheck.paths.heads import global_policy, implementation, labels, one_layer, outer, restart
from crosscheck.paths.oracle import Derivatives
from crosscheck.replicates.program import seam

Loss = Callable[[Any, Any], Any]
SMALLEST_SCALE = 2.0**-40  # of a loss: whatever float16 can hold times this is too small to overflow


def probe(path: Path, z: np.ndarray, y: np.ndarray, loss: Loss | None = None) -> Derivatives:
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
        used = loss or implementation(path)
        if not path.trains:
            return direct(path, z, y, used)
        value, slope, _ = through_fit(path, z, y, used)
        return Derivatives(value, slope, np.full(len(z), np.nan))


def require_backend(path: Path) -> None:
    if path.backend != keras.backend.backend():
        raise ValueError(f"This process runs {keras.backend.backend()}; {path} needs {path.backend}.")


def device() -> str:
    """What this process computes on: "cpu" or "gpu"."""
    return seam().device()


def skipped_steps(path: Path, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Steps that loss scaling throws away before one counts, starting at Keras' scale of 2¹⁵: [N].

    Only a path through `train_on_batch` under mixed_float16 has any.
    """
    with global_policy(path.policy):
        return through_fit(path, z, y, implementation(path))[2]


def probe_together(paths: Sequence[Path], z: np.ndarray, y: np.ndarray) -> list[Derivatives]:
    """As `probe` tells of each of these paths, in less time where XLA compiles a direct call.

    It then compiles the paths of a policy as one program, and what they have in common once. The numbers are
    the same to the last bit (tests/test_paths.py).

    Raises:
        ValueError: as `probe`, or for paths that differ in mode or policy.
    """
    if len({(path.mode, path.policy) for path in paths}) != 1:
        raise ValueError("Paths are probed together that share mode and policy.")
    first = paths[0]
    if first.mode != "xla":
        return [probe(path, z, y) for path in paths]
    require_backend(first)
    with global_policy(first.policy):
        calls = [call(path, y, implementation(path)) for path in paths]
        x = ops.convert_to_tensor(z[:, None], dtype=outer(first.policy))
        found = compiled(lambda x: [each(x) for each in calls], x, first.mode)(x)
    return [told(each, len(z)) for each in found]


def direct(path: Path, z: np.ndarray, y: np.ndarray, loss: Loss) -> Derivatives:
    """One call for all examples."""
    x = ops.convert_to_tensor(z[:, None], dtype=outer(path.policy))
    return told(compiled(call(path, y, loss), x, path.mode)(x), len(z))


def call(path: Path, y: np.ndarray, loss: Loss) -> Callable[[Any], Any]:
    """x [N, 1] ↦ loss and derivatives: the weight being 1, that by the input is that by the logit."""
    model = one_layer(path)
    given = labels(path.loss, y, outer(path.policy))
    label = ops.convert_to_tensor(given, dtype=given.dtype.name)
    return derivatives(lambda x: loss(label, model(x, training=True)))


def told(found: Sequence[Any], examples: int) -> Derivatives:
    """As numbers, one for each example."""
    value, slope, bend = (numbers(each).astype("float64") for each in found)
    if value.shape != (examples,):
        raise ValueError(
            f"The loss gave shape {value.shape} for {examples} examples, not one value for each."
        )
    return Derivatives(value, slope[:, 0], bend[:, 0])


def compiled(function: Callable[[Any], Any], x: Any, mode: str) -> Callable[[Any], Any]:
    """`function` as the mode runs it, for arguments like x."""
    if mode == "eager":
        return function
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    whole = tf.function(function, jit_compile=mode == "xla", autograph=False)
    return whole.get_concrete_function(x)  # else TensorFlow warns of retracing


def through_fit(path: Path, z: np.ndarray, y: np.ndarray, loss: Loss) -> np.ndarray:
    """Loss, dL/dz and skipped steps, [3, N], one example a `train_on_batch` of plain SGD at rate 1."""
    model, dtype, mode = one_layer(path), outer(path.policy), path.mode.removeprefix("fit ")
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=mode == "eager", jit_compile=False)
    # Set by hand: `compile` leaves XLA out where deterministic kernels are switched on, as in the runner.
    model._jit_compile = mode == "xla"
    model.optimizer.build(model.trainable_variables)
    dense, steps = model.layers[0], []
    for x, label in zip(z.astype(dtype), labels(path.loss, y, dtype), strict=True):
        value, skipped = settled_step(model, x.reshape(1, 1), label[None], lambda: restart(dense))
        steps.append((value, 0.0 - number(dense.bias), skipped))  # the bias began at 0
    return np.array(steps).T


def settled_step(
    model: keras.Model, x: Any, label: np.ndarray, begin: Callable[[], None]
) -> tuple[float, int]:
    """Loss of a step of training from where `begin` puts the weights, and the number skipped before it.

    A LossScaleOptimizer skips a step whose gradient overflows and halves its scale: weights that have not
    moved then say nothing about the gradient, so the step is taken again until the scale stays. A gradient
    that is not finite at `SMALLEST_SCALE` is so at every smaller one: training would halve the scale down to
    0 and leave the weights where they were, for good. It counts as 0.
    """
    scale = getattr(model.optimizer, "dynamic_scale", None)
    if scale is not None:
        scale.assign(model.optimizer.initial_scale)
    skipped = 0
    while True:
        before = number(scale)
        begin()
        value = model.train_on_batch(x, label)
        moved = number(scale) == before
        if moved or before < SMALLEST_SCALE:
            return float(np.ravel(value)[0]), skipped
        skipped += 1


def number(variable: Any) -> float:
    """The first number that a variable holds; 1 for the loss scale of an optimiser that has none."""
    return 1.0 if variable is None else float(np.ravel(ops.convert_to_numpy(variable))[0])

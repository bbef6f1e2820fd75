"""The execution-path grid: one and the same loss, reached in every way that a Keras user reaches it.

A path is data. `probe` sends logits down a path, through a real one-unit model, and reads off the loss and
its gradient with respect to the logit; `oracle_gradient` says at 50 digits what it should have been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from suite.lazy import keras, losses

MODES = ("eager", "graph", "xla", "fit eager", "fit graph", "fit xla")
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")  # "float64" on request
HEADS = ("dense", "activation", "float32", "reshape", "logits")
ULP = {"float64": 2.0**-52, "float32": 2.0**-23, "mixed_bfloat16": 2.0**-7, "mixed_float16": 2.0**-10}


@dataclass(frozen=True)
class Path:
    """How a loss was reached.

    Attributes:
        backend: "tensorflow"; device: "cpu".
        mode: "eager", "graph" or "xla" for a direct call; with "fit ", through `train_on_batch`.
        policy: dtype policy of the model.
        head: "dense" (activation in the Dense layer), "activation" (in a layer of its own), "float32" (the
            same in float32), "reshape" (a Reshape behind the first), "logits" (none).
        entry: "probabilities" or "logits".
        implementation: "keras class", "keras function" or "ours".
    """

    backend: str
    device: str
    mode: str
    policy: str
    head: str
    entry: str
    implementation: str

    def __str__(self) -> str:
        return "/".join(astuple(self))


def grid(modes: Iterable[str] = MODES, policies: Iterable[str] = POLICIES) -> tuple[Path, ...]:
    """All paths of these modes and policies; a policy may also be "float64"."""
    policies = tuple(policies)
    return tuple(
        Path("tensorflow", "cpu", mode, policy, head, entry_of(head), implementation)
        for mode in modes
        for policy in policies
        for head in HEADS
        for implementation in implementations(mode, head)
    )


def entry_of(head: str) -> str:
    return "logits" if head == "logits" else "probabilities"


def implementations(mode: str, head: str) -> tuple[str, ...]:
    """Ours takes logits only; `compile` turns Keras' function into its class."""
    keras_own = ("keras class",) if mode.startswith("fit") else ("keras class", "keras function")
    return (*keras_own, "ours") if head == "logits" else keras_own


def probe(
    path: Path, z: np.ndarray, y: np.ndarray, loss: Callable[[Any, Any], Any] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Loss and dL/dz of binary cross-entropy at logits z [N] with labels y [N], down this path: [N] each.

    Through `train_on_batch` under mixed_float16, the gradient is that of the first step that Keras' loss
    scaling does not skip; `skipped_steps` counts those before it.

    Args:
        path: which way.
        z: must be exact in the policy's compute dtype.
        y: 0 or 1.
        loss: another loss to send down the same path, a value per example from (y_true, y_pred).

    Raises:
        ValueError: for a loss that, called directly, does not give one value per example.
    """
    with global_policy(path.policy):
        used = loss or implementation(path)
        if not path.mode.startswith("fit"):
            return direct(path, z, y, used)
        value, slope, _ = through_fit(path, z, y, used)
        return value, slope


def skipped_steps(path: Path, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Steps that loss scaling throws away before one counts, starting at Keras' scale of 2¹⁵: [N].

    Only a path through `train_on_batch` under mixed_float16 has any.
    """
    with global_policy(path.policy):
        return through_fit(path, z, y, implementation(path))[2]


@contextmanager
def global_policy(policy: str) -> Iterator[None]:
    """Keras' dtype policy for a while.

    A dtype for each layer would not do: `compile` wraps the optimiser in a LossScaleOptimizer by the policy
    of the model, which is the global one (keras/src/trainers/trainer.py, `Trainer.compile`).
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def implementation(path: Path) -> Callable[[Any, Any], Any]:
    from_logits = path.entry == "logits"
    through_compile = path.mode.startswith("fit")
    if path.implementation == "ours":  # `compile` would make a float32 object of the function
        return losses.BinaryCrossentropy() if through_compile else losses.binary_crossentropy
    if path.implementation == "keras class":
        reduction = "sum_over_batch_size" if through_compile else None
        return keras.losses.BinaryCrossentropy(from_logits=from_logits, reduction=reduction)
    return lambda y, p: keras.losses.binary_crossentropy(y, p, from_logits=from_logits)


def one_unit(path: Path) -> keras.Model:
    """A model whose logit is its input: one unit of weight 1 and bias 0 under the path's head."""
    layers = keras.layers
    in_dense = "sigmoid" if path.head in ("dense", "reshape") else None
    dense = layers.Dense(1, in_dense, kernel_initializer="ones", bias_initializer="zeros")
    behind = {
        "activation": [layers.Activation("sigmoid")],
        "float32": [layers.Activation("sigmoid", dtype="float32")],
        "reshape": [layers.Reshape((1,))],
    }
    return keras.Sequential([keras.Input((1,), dtype=outer(path.policy)), dense, *behind.get(path.head, [])])


def outer(policy: str) -> str:
    """The dtype of inputs and weights under a policy."""
    return "float64" if policy == "float64" else "float32"


def direct(path: Path, z: np.ndarray, y: np.ndarray, loss: Callable) -> tuple[np.ndarray, np.ndarray]:
    """One call for all: the weight being 1, the derivative by the input is that by the logit."""
    import tensorflow as tf  # here, so that listing the paths does not load it

    model, dtype = one_unit(path), outer(path.policy)
    x, label = tf.constant(z[:, None], dtype), tf.constant(y[:, None], dtype)

    def value_and_gradient(x: Any, label: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(label, model(x, training=True))
        return value, tape.gradient(value, x, unconnected_gradients="zero")

    if path.mode != "eager":
        compiled = tf.function(value_and_gradient, jit_compile=path.mode == "xla")
        value_and_gradient = compiled.get_concrete_function(x, label)  # else TensorFlow warns of retracing
    value, slope = (tf.cast(found, "float64").numpy() for found in value_and_gradient(x, label))
    if value.shape != z.shape:
        raise ValueError(f"The loss gave shape {value.shape} for {len(z)} examples, not one value for each.")
    return value, slope[:, 0]


def through_fit(path: Path, z: np.ndarray, y: np.ndarray, loss: Callable) -> np.ndarray:
    """Loss, dL/dz and skipped steps, [3, N], one example a `train_on_batch` of plain SGD at rate 1."""
    model, dtype, mode = one_unit(path), outer(path.policy), path.mode.removeprefix("fit ")
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=mode == "eager", jit_compile=mode == "xla")
    model.optimizer.build(model.trainable_variables)
    examples = zip(z.astype(dtype), y.astype(dtype), strict=True)
    return np.array([settled_step(model, x.reshape(1, 1), label.reshape(1, 1)) for x, label in examples]).T


def settled_step(model: keras.Model, x: np.ndarray, label: np.ndarray) -> tuple[float, float, int]:
    """Loss, dL/dz (minus the step of the bias) and the number of steps skipped before, from a fresh start.

    A LossScaleOptimizer skips a step whose gradient overflows and halves its scale: an unmoved bias then
    says nothing about the gradient, so the step is taken again until the scale stays. A gradient that is not
    finite at any scale brings the scale down to 0 and leaves the bias where it was, for good: it counts as 0.
    """
    kernel, bias = model.trainable_variables
    scale = getattr(model.optimizer, "dynamic_scale", None)
    if scale is not None:
        scale.assign(model.optimizer.initial_scale)
    skipped = 0
    while True:
        before = number(scale)
        kernel.assign([[1.0]]), bias.assign([0.0])
        value = model.train_on_batch(x, label)
        if number(scale) == before:
            return float(value), 0.0 - number(bias), skipped
        skipped += 1


def number(variable: Any) -> float:
    """The one number that a variable holds; 1 for the loss scale of an optimiser that has none."""
    return 1.0 if variable is None else float(np.ravel(keras.ops.convert_to_numpy(variable))[0])


def oracle_gradient(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """σ(z) − y at 50 digits, rounded to float64: [N].

    Computed as (1 − y) σ(z) − y σ(−z): at y = 1 and z > 115 all 50 digits of σ(z) − y would cancel.
    """
    formula = lambda mp, t, y: (1 - y) / (1 + mp.exp(-t)) - y / (1 + mp.exp(t))  # noqa: E731
    return at_50_digits(formula, z, y)


def oracle_value(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """y ln(1 + e^−z) + (1 − y) ln(1 + e^z) at 50 digits, rounded to float64: [N]."""
    formula = lambda mp, t, y: y * mp.log1p(mp.exp(-t)) + (1 - y) * mp.log1p(mp.exp(t))  # noqa: E731
    return at_50_digits(formula, z, y)


def at_50_digits(formula: Callable[..., Any], z: np.ndarray, y: np.ndarray) -> np.ndarray:
    import mpmath

    with mpmath.workdps(50):
        pairs = zip(np.asarray(z, float).tolist(), np.asarray(y, float).tolist(), strict=True)
        return np.array([float(formula(mpmath, mpmath.mpf(a), mpmath.mpf(b))) for a, b in pairs])


def ulp(path: Path) -> float:
    """One unit in the last place, at 1, of the dtype that the user chose: gradients lie within ±1.

    That is the policy's compute dtype, or the float32 of a float32 head. A loss object that computes in less,
    as Keras' do under a float64 policy, is not excused.
    """
    return max(ULP[path.policy], ULP["float32"] if path.head == "float32" else 0.0)

"""The execution-path grid: one and the same loss, reached in every way that a Keras user reaches it.

A path is data. `probe` sends logits down a path, through a real one-unit model, and reads off the loss and
its gradient with respect to the logit; `oracle_gradient` says at 50 digits what it should have been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from suite.lazy import keras, losses

MODES = ("eager", "graph", "xla", "fit eager", "fit graph", "fit xla")
POLICIES = ("float64", "float32", "mixed_bfloat16", "mixed_float16")
HEADS = ("dense", "activation", "float32", "reshape", "logits")
ULP = {"float64": 2.0**-52, "float32": 2.0**-23, "mixed_bfloat16": 2.0**-7, "mixed_float16": 2.0**-10}
SETTLING = 3  # steps in which a loss-scaling optimiser, which may skip its first ones, has to move


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
    """All paths of these modes and policies."""
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

    Args:
        path: which way.
        z: must be exact in the policy's compute dtype.
        y: 0 or 1.
        loss: another loss to send down the same path, a value per example from (y_true, y_pred).
    """
    return (through_fit if path.mode.startswith("fit") else direct)(path, z, y, loss or implementation(path))


def implementation(path: Path) -> Callable[[Any, Any], Any]:
    from_logits = path.entry == "logits"
    if path.implementation == "ours":
        return losses.binary_crossentropy
    if path.implementation == "keras class":
        reduction = "sum_over_batch_size" if path.mode.startswith("fit") else None
        return keras.losses.BinaryCrossentropy(from_logits=from_logits, reduction=reduction)
    return lambda y, p: keras.losses.binary_crossentropy(y, p, from_logits=from_logits)


def one_unit(path: Path) -> keras.Model:
    """A model whose logit is its input: one unit of weight 1 and bias 0 under the path's head."""
    layers, policy = keras.layers, path.policy
    in_dense = "sigmoid" if path.head in ("dense", "reshape") else None
    dense = layers.Dense(1, in_dense, kernel_initializer="ones", bias_initializer="zeros", dtype=policy)
    behind = {
        "activation": [layers.Activation("sigmoid", dtype=policy)],
        "float32": [layers.Activation("sigmoid", dtype="float32")],
        "reshape": [layers.Reshape((1,), dtype=policy)],
    }
    return keras.Sequential([keras.Input((1,), dtype=outer(policy)), dense, *behind.get(path.head, [])])


def outer(policy: str) -> str:
    """The dtype of inputs and weights under a policy."""
    return "float64" if policy == "float64" else "float32"


def direct(path: Path, z: np.ndarray, y: np.ndarray, loss: Callable) -> tuple[np.ndarray, np.ndarray]:
    """One call for all: the weight being 1, the derivative by the input is that by the logit."""
    import tensorflow as tf

    model, dtype = one_unit(path), outer(path.policy)

    def value_and_gradient(x: Any, label: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(label, model(x, training=True))
        return value, tape.gradient(value, x)

    if path.mode != "eager":
        value_and_gradient = tf.function(value_and_gradient, jit_compile=path.mode == "xla")
    value, slope = value_and_gradient(tf.constant(z[:, None], dtype), tf.constant(y[:, None], dtype))
    return tf.cast(value, "float64").numpy(), tf.cast(slope, "float64").numpy()[:, 0]


def through_fit(path: Path, z: np.ndarray, y: np.ndarray, loss: Callable) -> tuple[np.ndarray, np.ndarray]:
    """One example a `train_on_batch`, plain SGD of rate 1: the step of the bias is −dL/dz."""
    model, dtype = one_unit(path), outer(path.policy)
    mode = path.mode.removeprefix("fit ")
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=mode == "eager", jit_compile=mode == "xla")
    kernel, bias = model.trainable_variables
    found = []
    for x, label in zip(z, y, strict=True):
        for _ in range(SETTLING):
            kernel.assign([[1.0]]), bias.assign([0.0])
            value = model.train_on_batch(np.array([[x]], dtype), np.array([[label]], dtype))
            step = float(keras.ops.convert_to_numpy(bias)[0])
            if step:
                break
        found.append((float(value), -step))
    value, slope = np.array(found).T
    return value, slope


def oracle_gradient(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """σ(z) − y at 50 digits, rounded to float64: [N]."""
    return at_50_digits(lambda mp, t, label: 1 / (1 + mp.exp(-t)) - label, z, y)


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
    """One unit in the last place, at 1, of the coarsest dtype on a path: gradients lie within ±1.

    A Keras loss object computes in `floatx`, float32, unless it is told otherwise; `compile` makes one of a
    function.
    """
    as_object = path.implementation == "keras class" or path.mode.startswith("fit")
    in_float32 = path.head == "float32" or as_object
    return max(ULP[path.policy], ULP["float32"] if in_float32 else 0.0)

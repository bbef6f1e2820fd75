"""The examination: sets logits on a copy of the model and reads dL/dz off steps of its own training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from scipy.special import expit

from crosscheck._keras import holds_layers, input_specs, layers_within
from crosscheck.doctor._diagnosis import Diagnosis, Reading, judge_readings
from crosscheck.doctor._head import Head, head_of
from crosscheck.errors import UsageError
from crosscheck.losses import LogitLoss
from crosscheck.paths import ExecutionPath, cause, remedy
from crosscheck.paths.probing import number, settled_step

SIZES = (0, 1, 2, 5, 10, 15, 17, 20, 30, 40, 60, 88, 100, 1000, 9984.0)  # exact in bfloat16
ANY_SIZE = 64  # what an input dimension of any size gets
ACTIVATIONS = {
    "binary": "sigmoid",
    "categorical": "softmax",
    "sparse_categorical": "softmax",
    "joint": "softmax",
}


def examine(model: keras.Model, loss: Any = None) -> list[Diagnosis]:
    """Whether the gradients of confident errors survive in the model's training: one diagnosis an output.

    On a copy, the bias of the last Dense layer is set to chosen logits, its kernel to 0, and a step of
    `train_on_batch` with plain SGD shows dL/dz in the change of the bias; everything else is the model's own:
    its loss, dtype policies, train step (of a model with one output; of several, each is examined in a plain
    `keras.Model`), compilation and loss scaling. The model is not changed.

    Args:
        model: built and compiled.
        loss: in place of the one it was compiled with.

    Returns:
        For each output of the model, in order, a `Diagnosis`; `print` it, or ask `.sound`.

    Raises:
        UsageError: for a model that is not built or compiled, cannot be copied by `get_config`, or whose
            outputs do not come from Dense layers.
    """
    if loss is None and not model.compiled:
        raise UsageError("The model is not compiled: compile it, or name its loss (`loss=`, `--loss`).")
    if not model.built:
        raise UsageError("The model is not built: call it once, or give it an `Input`.")
    losses = loss if loss is not None else model.loss
    outputs = getattr(model, "outputs", None)
    if outputs is None:
        return [examine_output(model, None, losses)]
    names = list(getattr(model, "output_names", None) or range(len(outputs)))
    return [examine_output(model, i, loss_of_output(losses, i, name)) for i, name in enumerate(names)]


def loss_of_output(losses: Any, i: int, name: str) -> Any:
    """The loss of an output, from one for all, a list, or a dictionary."""
    if isinstance(losses, dict):
        return losses.get(name)
    return losses[i] if isinstance(losses, list | tuple) else losses


def examine_output(model: keras.Model, i: int | None, loss: Any) -> Diagnosis:
    """The diagnosis of the i-th output; of the only one of a subclassed model, where i is None."""
    clone = clone_of(model)
    if i is not None and len(clone.outputs) > 1:
        clone = keras.Model(clone.inputs, clone.outputs[i])
    output = None if i is None else clone.outputs[0]
    head, used_loss = head_of(clone, output), keras.losses.get(loss)
    if used_loss is None:
        raise UsageError("An output of the model has no loss: there is nothing to examine.")
    prepare_clone(clone, head, model, used_loss)
    kind = kind_of(used_loss)
    readings = tuple(readings_of(clone, head, kind, used_loss))
    judgement = judge_readings(readings, kind is not None)
    if mismatch := mismatch_of_head_and_loss(head, kind):
        judgement = {**judgement, "limit": 0.0, "symptom": mismatch}
    if np.isfinite(judgement["limit"]):
        judgement |= cause_and_remedy(head, kind, used_loss)
    return Diagnosis(
        output=getattr(model, "output_names", [model.name])[i or 0] if i is not None else model.name,
        loss=loss_name(used_loss),
        head=str(head),
        policy=head.dense.dtype_policy.name,
        backend=keras.backend.backend(),
        known=kind is not None,
        rivals=head.dense.units - 1 if ACTIVATIONS.get(kind or "") == "softmax" else 1,
        readings=readings,
        **judgement,
    )


def clone_of(model: keras.Model) -> keras.Model:
    """An untrained model of the same class and configuration, all of whose Dense layers have a bias.

    Raises:
        UsageError: where the configuration does not suffice to make it.
    """
    try:
        config = copy.deepcopy(model.get_config())
        give_every_dense_a_bias(config)
        clone = type(model).from_config(config)
        if not clone.built:
            clone(inputs_of(model))
    except Exception as error:
        raise UsageError(
            f"The doctor works on a copy, and {type(model).__name__} cannot be copied: {error}. "
            "Give it `get_config` and `from_config`."
        ) from error
    return clone


def give_every_dense_a_bias(config: Any) -> None:
    """Sets `use_bias` of every Dense layer in a nested configuration."""
    if isinstance(config, dict):
        if config.get("class_name") == "Dense":
            config["config"]["use_bias"] = True
        for value in config.values():
            give_every_dense_a_bias(value)
    elif isinstance(config, list | tuple):
        for value in config:
            give_every_dense_a_bias(value)


def prepare_clone(clone: keras.Model, head: Head, model: keras.Model, loss: Any) -> None:
    """Compiles the clone as the model is compiled, but with plain SGD, and makes only the head trainable."""
    for layer in layers_within(clone):
        layer.trainable = layer is head.dense or holds_layers(layer)
    head.dense.bias.regularizer = None
    optimizer: Any = keras.optimizers.SGD(learning_rate_for(head.dense))
    if isinstance(getattr(model, "optimizer", None), keras.optimizers.LossScaleOptimizer):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    compile_options: dict[str, Any] = {}
    if model.compiled:
        weights = model.get_compile_config().get("loss_weights")
        compile_options = {"run_eagerly": model.run_eagerly, "jit_compile": model.jit_compile}
        compile_options |= {"loss_weights": weights} if isinstance(weights, int | float) else {}
    clone.compile(optimizer, loss, auto_scale_loss=False, **compile_options)
    clone.optimizer.build(clone.trainable_variables)


def readings_of(clone: keras.Model, head: Head, kind: str | None, loss: Any) -> Iterator[Reading]:
    """Yields a reading for wrong or undecided examples of both labels, at every size of the logit."""
    x = inputs_of(clone)
    shape = tuple(keras.ops.shape(clone(x, training=False)))
    for label in (0, 1):
        for size in SIZES:
            z = size if label == 0 else -size
            y = labels_for(shape, kind or likely_label_kind(head), label)
            value, slope = step_at_logit(clone, head.dense, x, y, z)
            expected = expected_gradient(z, label, shape[-1], kind, getattr(loss, "label_smoothing", 0.0))
            yield Reading(z, label, value, slope, expected)


def step_at_logit(
    clone: keras.Model, dense: keras.layers.Dense, x: Any, y: np.ndarray, z: float
) -> tuple[float, float]:
    """Loss and dL/dz of the first logit, which the bias sets to z whatever the input."""
    bias = np.zeros(dense.bias.shape)
    bias[0] = z

    def reset_weights() -> None:
        dense.kernel.assign(np.zeros(dense.kernel.shape))
        dense.bias.assign(bias)

    value, _ = settled_step(clone, x, y, reset_weights)
    return value, (z - number(dense.bias)) / learning_rate_for(dense)


def learning_rate_for(dense: keras.layers.Dense) -> float:
    """The learning rate at which a small gradient still moves a large bias.

    At rate 1, a gradient of 1/5000 would be rounded away at a bias of 9984. In float16 the rate is no larger
    than what keeps the bias finite.
    """
    return 2.0**15 if keras.backend.standardize_dtype(dense.bias.dtype) == "float16" else 2.0**20


def inputs_of(model: keras.Model) -> Any:
    """A batch of one for the model: zeros, for the kernel of its head is 0 and the input does not matter."""
    specs = input_specs(model)
    if specs is None:
        shapes = model.get_build_config()["input_shape"]
        return np.zeros([1, *(size or ANY_SIZE for size in shapes[1:])], "float32")
    return keras.tree.map_structure(
        lambda spec: np.zeros([1, *(size or ANY_SIZE for size in spec.shape[1:])], spec.dtype), specs
    )


def likely_label_kind(head: Head) -> str:
    """The kind of labels that an unknown loss most likely takes: one for each output, or one class."""
    return "binary" if head.activation == "sigmoid" or head.dense.units == 1 else "categorical"


def labels_for(shape: tuple[int, ...], kind: str, label: int) -> np.ndarray:
    """Labels for outputs of this shape: the first is 1 or 0; where it is not the class, the next one is."""
    if kind == "sparse_categorical":
        return np.full(shape[:-1], 1 - label, "int32")
    if kind == "joint":  # the first outcome is that of all labels 0, the next that of the last label alone
        y = np.zeros((*shape[:-1], int(np.log2(shape[-1]))), "float32")
        y[..., -1] = 1 - label
        return y
    y = np.zeros(shape, "float32")
    y[..., 0] = label
    if kind == "categorical" and shape[-1] > 1:
        y[..., 1] = 1 - label
    return y


def expected_gradient(z: float, label: int, outputs: int, kind: str | None, smoothing: float) -> float:
    """p − y of the first logit, all others being 0, with Keras' label smoothing; NaN for an unknown loss."""
    if kind is None:
        return np.nan
    classes = 2 if kind == "binary" else outputs
    with np.errstate(divide="ignore"):
        margin = z - np.log(max(classes - 1, 0))
    p, q = expit(margin), expit(-margin)  # p − 1 is −q, which does not round to 0
    unsmoothed = p if label == 0 else -q
    return float(unsmoothed + smoothing * (label - 1 / classes))


def kind_of(loss: Any) -> str | None:
    """Which cross-entropy a loss is, as a key of `ACTIVATIONS`; None for any other loss."""
    name = function_name(loss)
    return next((kind for kind in ACTIVATIONS if name == f"{kind}_crossentropy"), None)


def function_name(loss: Any) -> str:
    """`binary_crossentropy` for the function of this name and for objects of the class."""
    function = getattr(loss, "fn", loss)
    if isinstance(loss, LogitLoss):
        return type(loss).function.__name__
    return getattr(function, "__name__", type(loss).__name__)


def takes_logits(loss: Any) -> bool:
    """Whether a loss takes logits: one of ours, or one of Keras' with `from_logits`."""
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    return isinstance(loss, LogitLoss) or "logits" in function_name(loss) or bool(config.get("from_logits"))


def loss_name(loss: Any) -> str:
    """The name of a loss as a diagnosis shows it, with "from logits" where it takes them."""
    name = loss.__name__ if hasattr(loss, "__name__") else type(loss).__name__
    return f"{name} from logits" if takes_logits(loss) else name


def execution_path_of(head: Head, kind: str | None, loss: Any) -> ExecutionPath:
    """The path of `crosscheck.paths` that this model is on."""
    short = {"sparse_categorical": "sparse", "joint": "categorical"}.get(kind or "", kind or "binary")
    entry = "logits" if takes_logits(loss) else "probabilities"
    implementation = "ours" if isinstance(loss, LogitLoss) else "keras class"
    policy = head.dense.dtype_policy.name
    return ExecutionPath(
        short, keras.backend.backend(), "cpu", "fit", policy, head.kind, entry, implementation
    )


def mismatch_of_head_and_loss(head: Head, kind: str | None) -> str:
    """How head and loss contradict each other whatever the gradients; "" where they do not.

    TensorFlow may find the logits behind any activation, so that the gradients alone do not show it.
    """
    if head.dense.units == 1 and head.activation == "softmax":
        return "the model's output is 1 whatever the logit"
    if kind and head.activation not in ("linear", ACTIVATIONS[kind]):
        trained = f"what is trained is a {ACTIVATIONS[kind]}, if anything"
        return f"{trained}, and what is predicted a {head.activation}"
    return ""


def cause_and_remedy(head: Head, kind: str | None, loss: Any) -> dict[str, str]:
    """Why the gradient is lost and what to do; that the loss misreads its input is looked for first."""
    activation, logits = head.activation, takes_logits(loss)
    if head.dense.units == 1 and activation == "softmax":
        return {
            "cause": "a softmax over one output is 1 whatever its logit",
            "remedy": "one output with a sigmoid's loss, or two outputs",
        }
    if kind and activation == "linear" and not logits:
        return {
            "cause": "the loss takes the logit for a probability and clips it to [1e-7, 1 − 1e-7]",
            "remedy": "from_logits=True",
        }
    if kind and activation != "linear" and logits:
        return {
            "cause": f"the loss takes the {activation}'s output for a logit, and adds another "
            f"{ACTIVATIONS[kind]}",
            "remedy": f"drop the {activation} from the head, or from_logits=False",
        }
    if kind and activation not in ("linear", ACTIVATIONS[kind]):
        return {
            "cause": f"{loss_name(loss)} wants a {ACTIVATIONS[kind]}'s output, and gets a {activation}'s",
            "remedy": f"a head with {ACTIVATIONS[kind]}, or none and from_logits=True",
        }
    path = execution_path_of(head, kind, loss)
    return {"cause": cause(path), "remedy": remedy(path)} if kind else {}

"""The examination: logits are set on a copy of the model, and one step of its own training is watched."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from scipy.special import expit

from crosscheck.doctor.diagnosis import Diagnosis, Reading, judged
from crosscheck.doctor.head import Head, head_of
from crosscheck.errors import UsageError
from crosscheck.losses import LogitLoss
from crosscheck.paths import Path, cause, remedy
from crosscheck.paths.probing import number, settled_step

SIZES = (0, 1, 2, 5, 10, 15, 17, 20, 30, 40, 60, 88, 100, 1000, 9984.0)  # exact in bfloat16
ANY_SIZE = 64  # what an input dimension of any size gets
KINDS = {"binary": "sigmoid", "categorical": "softmax", "sparse_categorical": "softmax", "joint": "softmax"}


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
    return [examine_output(model, i, loss_of(losses, i, name)) for i, name in enumerate(names)]


def loss_of(losses: Any, i: int, name: str) -> Any:
    """The loss of an output, from one for all, a list, or a dictionary."""
    if isinstance(losses, dict):
        return losses.get(name)
    return losses[i] if isinstance(losses, list | tuple) else losses


def examine_output(model: keras.Model, i: int | None, loss: Any) -> Diagnosis:
    patient = copied(model)
    if i is not None and len(patient.outputs) > 1:
        patient = keras.Model(patient.inputs, patient.outputs[i])
    output = None if i is None else patient.outputs[0]
    head, used = head_of(patient, output), keras.losses.get(loss)
    if used is None:
        raise UsageError("An output of the model has no loss: there is nothing to examine.")
    prepare(patient, head, model, used)
    kind = kind_of(used)
    readings = tuple(readings_of(patient, head, kind, used))
    found = judged(readings, kind is not None)
    if mismatch := mismatched(head, kind):
        found = {**found, "limit": 0.0, "symptom": mismatch}
    if np.isfinite(found["limit"]):
        found |= explained(head, kind, used)
    return Diagnosis(
        output=getattr(model, "output_names", [model.name])[i or 0] if i is not None else model.name,
        loss=name_of_loss(used),
        head=str(head),
        policy=head.dense.dtype_policy.name,
        backend=keras.backend.backend(),
        known=kind is not None,
        rivals=head.dense.units - 1 if KINDS.get(kind or "") == "softmax" else 1,
        readings=readings,
        **found,
    )


def copied(model: keras.Model) -> keras.Model:
    """The model once more, of its own class, untrained; its Dense layers all with a bias.

    Raises:
        UsageError: where its configuration does not suffice to make it.
    """
    try:
        config = copy.deepcopy(model.get_config())
        give_bias(config)
        made = type(model).from_config(config)
        if not made.built:
            made(inputs_of(model))
    except Exception as error:
        raise UsageError(
            f"The doctor works on a copy, and {type(model).__name__} cannot be copied: {error}. "
            "Give it `get_config` and `from_config`."
        ) from error
    return made


def give_bias(config: Any) -> None:
    """Sets `use_bias` of every Dense layer in a nested configuration."""
    if isinstance(config, dict):
        if config.get("class_name") == "Dense":
            config["config"]["use_bias"] = True
        for value in config.values():
            give_bias(value)
    elif isinstance(config, list | tuple):
        for value in config:
            give_bias(value)


def prepare(patient: keras.Model, head: Head, model: keras.Model, loss: Any) -> None:
    """Compiles the copy as the model is compiled, with plain SGD; only the head moves, freely."""
    for layer in patient._flatten_layers(include_self=False):
        layer.trainable = layer is head.dense or bool(getattr(layer, "_layers", None))
    head.dense.bias.regularizer = None
    optimizer: Any = keras.optimizers.SGD(rate_for(head.dense))
    if isinstance(getattr(model, "optimizer", None), keras.optimizers.LossScaleOptimizer):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    how: dict[str, Any] = {}
    if model.compiled:
        weights = model.get_compile_config().get("loss_weights")
        how = {"run_eagerly": model.run_eagerly, "jit_compile": model.jit_compile}
        how |= {"loss_weights": weights} if isinstance(weights, int | float) else {}
    patient.compile(optimizer, loss, auto_scale_loss=False, **how)
    patient.optimizer.build(patient.trainable_variables)


def readings_of(patient: keras.Model, head: Head, kind: str | None, loss: Any) -> Iterator[Reading]:
    """Wrong or undecided examples, on both sides."""
    x = inputs_of(patient)
    shape = tuple(keras.ops.shape(patient(x, training=False)))
    for label in (0, 1):
        for size in SIZES:
            z = size if label == 0 else -size
            y = labels(shape, kind or guess(head), label)
            value, slope = step(patient, head.dense, x, y, z)
            expected = theory(z, label, shape[-1], kind, getattr(loss, "label_smoothing", 0.0))
            yield Reading(z, label, value, slope, expected)


def step(
    patient: keras.Model, dense: keras.layers.Dense, x: Any, y: np.ndarray, z: float
) -> tuple[float, float]:
    """Loss and dL/dz of the first logit, which the bias makes z whatever the input."""
    bias = np.zeros(dense.bias.shape)
    bias[0] = z

    def begin() -> None:
        dense.kernel.assign(np.zeros(dense.kernel.shape))
        dense.bias.assign(bias)

    value, _ = settled_step(patient, x, y, begin)
    return value, (z - number(dense.bias)) / rate_for(dense)


def rate_for(dense: keras.layers.Dense) -> float:
    """A rate at which a small gradient still moves a large bias: at 1, a gradient of 1/5000 is lost at 9984.

    In float16 no larger than what keeps the bias finite.
    """
    return 2.0**15 if keras.backend.standardize_dtype(dense.bias.dtype) == "float16" else 2.0**20


def inputs_of(model: keras.Model) -> Any:
    """A batch of one for the model: zeros, which its head does not look at."""
    specs = getattr(model, "_inputs_struct", None)
    if specs is None:
        shapes = model.get_build_config()["input_shape"]
        return np.zeros([1, *(size or ANY_SIZE for size in shapes[1:])], "float32")
    return keras.tree.map_structure(
        lambda spec: np.zeros([1, *(size or ANY_SIZE for size in spec.shape[1:])], spec.dtype), specs
    )


def guess(head: Head) -> str:
    """The labels that an unknown loss may want: one for each output, or one class."""
    return "binary" if head.activation == "sigmoid" or head.dense.units == 1 else "categorical"


def labels(shape: tuple[int, ...], kind: str, label: int) -> np.ndarray:
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


def theory(z: float, label: int, outputs: int, kind: str | None, smoothing: float) -> float:
    """p − y of the first logit, all others being 0; with Keras' smoothing of the label."""
    if kind is None:
        return np.nan
    classes = 2 if kind == "binary" else outputs
    with np.errstate(divide="ignore"):
        lead = z - np.log(max(classes - 1, 0))
    p, q = expit(lead), expit(-lead)  # p − 1 is −q, which does not round to 0
    hard = p if label == 0 else -q
    return float(hard + smoothing * (label - 1 / classes))


def kind_of(loss: Any) -> str | None:
    """Which cross-entropy a loss is; None for any other loss."""
    name = base_name(loss)
    return next((kind for kind in KINDS if name == f"{kind}_crossentropy"), None)


def base_name(loss: Any) -> str:
    """`binary_crossentropy` for the function of this name and for objects of the class."""
    function = getattr(loss, "fn", loss)
    if isinstance(loss, LogitLoss):
        return type(loss).function.__name__
    return getattr(function, "__name__", type(loss).__name__)


def from_logits(loss: Any) -> bool:
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    return isinstance(loss, LogitLoss) or "logits" in base_name(loss) or bool(config.get("from_logits"))


def name_of_loss(loss: Any) -> str:
    name = loss.__name__ if hasattr(loss, "__name__") else type(loss).__name__
    return f"{name} from logits" if from_logits(loss) else name


def path_of(head: Head, kind: str | None, loss: Any) -> Path:
    """The path of `crosscheck.paths` that this model is on."""
    short = {"sparse_categorical": "sparse", "joint": "categorical"}.get(kind or "", kind or "binary")
    entry = "logits" if from_logits(loss) else "probabilities"
    implementation = "ours" if isinstance(loss, LogitLoss) else "keras class"
    policy = head.dense.dtype_policy.name
    return Path(short, keras.backend.backend(), "cpu", "fit", policy, head.kind, entry, implementation)


def mismatched(head: Head, kind: str | None) -> str:
    """What is wrong whatever the gradients: TensorFlow may find the logits behind any activation."""
    if head.dense.units == 1 and head.activation == "softmax":
        return "the model's output is 1 whatever the logit"
    if kind and head.activation not in ("linear", KINDS[kind]):
        return f"what is trained is a {KINDS[kind]}, if anything, and what is predicted a {head.activation}"
    return ""


def explained(head: Head, kind: str | None, loss: Any) -> dict[str, str]:
    """Why the gradient is lost and what to do; a loss that misunderstands its input comes first."""
    activation, logits = head.activation, from_logits(loss)
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
            "cause": f"the loss takes the {activation}'s output for a logit, and adds another {KINDS[kind]}",
            "remedy": f"drop the {activation} from the head, or from_logits=False",
        }
    if kind and activation not in ("linear", KINDS[kind]):
        return {
            "cause": f"{name_of_loss(loss)} wants a {KINDS[kind]}'s output, and gets a {activation}'s",
            "remedy": f"a head with {KINDS[kind]}, or none and from_logits=True",
        }
    path = path_of(head, kind, loss)
    return {"cause": cause(path), "remedy": remedy(path)} if kind else {}

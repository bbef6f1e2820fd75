"""The patient: a model whose one weight is the logits; its tail, loss and train step are the model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import attributes_of, compiled_with, put_aside, takes_any_input
from crosscheck.doctor._cut import Cut
from crosscheck.doctor._graph import concrete, first_line, inputs_of
from crosscheck.errors import UsageError
from crosscheck.paths.probing import settled_step

# What TensorFlow and PyTorch say of a step where no gradient leads to the logits; JAX gives 0.
WITHOUT_GRADIENT = ("No gradients provided for any variable", "does not require grad")


class Recorder(keras.optimizers.Optimizer):
    """Puts each gradient in the place of its variable."""

    def __init__(self) -> None:
        super().__init__(learning_rate=1.0)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        self.assign(variable, ops.cast(gradient, variable.dtype))


class Patient:
    """A model cut at the logits of one of its outputs.

    Args:
        model: as compiled; it is not changed.
        outputs: all its outputs, symbolic, in its structure.
        cut: of the output that is looked at.
        loss: as `compile` takes it.
        skipped: steps of the cut, by the id of their operation, that are left out.
        last: the dtype of the last activation, in place of its own.
        own: whether it trains as its class does, or as any `keras.Model`.
        numbered: outputs by their id whose loss takes class numbers.
    """

    def __init__(
        self,
        model: keras.Model,
        outputs: Any,
        cut: Cut,
        loss: Any,
        skipped: frozenset[int] = frozenset(),
        last: str | None = None,
        own: bool = True,
        numbered: frozenset[int] = frozenset(),
    ):
        self.cut, self.outputs, self.numbered = cut, outputs, numbered
        self.x = keras.tree.map_structure(lambda spec: zeros_like(spec, cut.batch), inputs_of(model))
        others = {
            id(t): np.full(concrete(t.shape, cut.batch), 0.5, keras.backend.standardize_dtype(t.dtype))
            for t in keras.tree.flatten(outputs)
            if t is not cut.output
        }

        def forward(z: Any) -> Any:
            result = cut.run(z, skipped, last=last)
            return keras.tree.map_structure(
                lambda t: result if t is cut.output else ops.convert_to_tensor(others[id(t)]), outputs
            )

        self.own = own and is_of_own_training(model)
        self.model = blank(model, forward, cut, own)
        self.recorder = Recorder()
        self.applied = self.moved = False
        compile_like(self.model, model, loss, self.recorder)

    def gradient(self, y: Any, t: float) -> tuple[float, float]:
        """Loss and dL/dt of a training step in which the varied logit is t and the others are 0."""
        value, row = self.gradients(y, t)
        return value, float(row[self.cut.varied])

    def gradients(self, y: Any, t: float) -> tuple[float, np.ndarray]:
        """Loss and dL/dz by all logits, [m], of such a step."""
        return self.gradients_from(y, self.cut.at(t))

    def gradients_from(self, y: Any, start: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and dL/dz by all logits, [m], of a step from these logits, [m]."""
        z, before = self.model.logits, self.steps_applied
        value, _ = settled_step(self.model, self.x, self.labels(y), lambda: z.assign(start))
        given = ops.convert_to_numpy(z)
        if self.steps_applied == before:
            self.moved |= not np.allclose(given, start.astype(given.dtype))
            # Loss scaling skips this step for good: training leaves the weights alone.
            return value, np.zeros(self.cut.width)
        self.applied = True
        return value, given

    @property
    def steps_applied(self) -> int:
        """By all optimisers: the class may have its own beside the one it is compiled with."""
        own = [value for value in vars(self.model).values() if isinstance(value, Recorder)]
        recorders = {id(one): one for one in (self.recorder, *own)}
        return sum(int(one.iterations) for one in recorders.values())

    def labels(self, y: Any) -> Any:
        """Labels in the structure of the outputs: those of other outputs are 0."""
        return keras.tree.map_structure(
            lambda t: y if t is self.cut.output else self.no_labels(t), self.outputs
        )

    def no_labels(self, tensor: Any) -> np.ndarray:
        """Labels 0 of another output, in the form that its loss takes."""
        shape = concrete(tensor.shape, self.cut.batch)
        return (
            np.zeros((*shape[:-1], 1), "int32") if id(tensor) in self.numbered else np.zeros(shape, "float32")
        )


def zeros_like(spec: Any, batch: int) -> np.ndarray:
    """Zeros of a spec's shape; empty texts where it is of texts, which only TensorFlow knows."""
    shape, dtype = concrete(spec.shape, batch), keras.backend.standardize_dtype(spec.dtype)
    if dtype != "string":
        return np.zeros(shape, dtype)
    return np.full(shape, "") if keras.backend.backend() == "tensorflow" else np.zeros(shape, "int8")


def blank(model: keras.Model, forward: Any, cut: Cut, own: bool) -> Any:
    """A model of the same class, with the attributes that the class put on it; its weight is the logits."""
    own = own and is_of_own_training(model)
    kind: Any = type(model) if own else keras.Model

    def call(self: Any, inputs: Any, training: Any = None) -> Any:
        return forward(self.logits.value)

    def one_weight(self: Any) -> list[Any]:
        return [self.logits]

    def all_others(self: Any) -> list[Any]:
        return [v for v in self.variables if v is not self.logits]

    def train_step(self: Any, *arguments: Any) -> Any:
        """Takes data as `fit` gives them: no weights where there are none."""
        *state, data = arguments
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        return kind.train_step(self, *state, keras.utils.pack_x_y_sample_weight(x, y, weight))

    methods: dict[str, Any] = {
        **takes_any_input(),
        "call": call,
        "build": lambda self, *_, **__: setattr(self, "built", True),
        "trainable_weights": property(one_weight),
        "trainable_variables": property(one_weight),
        "non_trainable_variables": property(all_others),
        "compute_output_spec": keras.Operation.compute_output_spec,
        "compute_mask": lambda self, *_, **__: None,
    }
    if own:
        methods["train_step"] = train_step
    patient: Any = keras.Model.__new__(type(kind.__name__, (kind,), methods))
    keras.Model.__init__(patient, dtype=model.dtype_policy)
    names = getattr(model, "output_names", None)
    if names is not None:
        patient.output_names = names
    if own:
        give_attributes(patient, model)
    dtype = "float64" if cut.dtype == "float64" else "float32"
    patient.logits = patient.add_weight(
        shape=(cut.width,), initializer="zeros", dtype=dtype, autocast=False, name="logits"
    )
    patient.built = True
    return patient


def is_of_own_training(model: keras.Model) -> bool:
    """Whether its class trains in a way of its own."""
    names = ("train_step", "compute_loss", "_compute_loss", "compute_metrics")
    return any(getattr(type(model), name) is not getattr(keras.Model, name) for name in names)


def give_attributes(patient: Any, model: keras.Model) -> None:
    """What the model's class put on it: optimisers are replaced, and metrics made anew, to leave it alone."""
    for name, value in attributes_of(model).items():
        if isinstance(value, keras.optimizers.Optimizer):
            put_aside(patient, name, Recorder())
        elif isinstance(value, keras.metrics.Metric):
            setattr(patient, name, type(value).from_config(value.get_config()))
        else:
            put_aside(patient, name, value)


def compile_like(patient: Any, model: keras.Model, loss: Any, recorder: Recorder) -> None:
    """Compiles the patient as the model is compiled, its optimiser aside."""
    optimizer: Any = recorder
    if isinstance(getattr(model, "optimizer", None), keras.optimizers.LossScaleOptimizer):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    options: dict[str, Any] = {}
    if model.compiled:
        options = {"run_eagerly": model.run_eagerly, "jit_compile": model.jit_compile}
        options["loss_weights"] = compiled_with(model).get("loss_weights")
    keras.Model.compile(patient, optimizer, loss, auto_scale_loss=False, **options)
    optimizer.build([patient.logits])


def take_steps(patient: Patient, labels: Sequence[Any], ts: Sequence[float]) -> list[tuple[float, float]]:
    """Losses and gradients of steps with these labels and logits; 0 where no gradient leads to these.

    Raises:
        UsageError: where the model cannot take a step.
    """
    try:
        return [patient.gradient(y, t) for y, t in zip(labels, ts, strict=True)]
    except Exception as error:
        if not patient.own and any(words in str(error) for words in WITHOUT_GRADIENT):
            return [(np.nan, 0.0)] * len(ts)
        raise UsageError(
            f"A training step of the model, cut at its logits, cannot be taken: {first_line(error)}"
        ) from error

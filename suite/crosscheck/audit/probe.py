"""Puts logits through a loss, compiled once for each dtype, head and mode: value and gradient per example."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import compute_in
from crosscheck.audit.contract import NotPerExample, Subject
from crosscheck.audit.theories import ValueAndGradient, over, probabilities
from crosscheck.autodiff import differentiated, numbers

BATCH = 256  # rows of a call; what is missing is filled up with copies
CLASSES = {"binary": 1, "multilabel": 2, "categorical": 3, "sparse": 3, "ordinal": 2}  # predictions of a row
HALVES = ("bfloat16", "float16")
NO_THEORY = (
    "what it should give is unknown; name it with --theory NAME (theory= in Python), "
    "or give your own formula as --theory module:function"
)
ProgramKey = tuple[str, str, str]


def fresh_loss(subject: Subject, dtype: str | None = None, reduction: str | None = "none") -> Any:
    """A new loss with this reduction, none by default, that computes in this dtype.

    Without a dtype the loss keeps its own, but for half precision, which is examined apart: it becomes
    float32. Where the constructor takes no such arguments, attributes are set.
    """
    if not subject.is_class:
        return subject.make()
    reduction = subject.unreduced if reduction == "none" else reduction
    loss = with_reduction(subject.make, reduction)
    dtype = dtype or ("float32" if subject.config.get("dtype") in HALVES else None)
    if dtype:
        compute_in(loss, dtype)
    return loss


def with_reduction(make: Callable[..., Any], reduction: str | None) -> Any:
    """A loss made with this reduction, or whose attribute says so where it takes no such argument."""
    try:
        loss: Any = make(reduction=reduction)
    except (TypeError, ValueError):
        loss = make()
    loss.reduction = reduction
    return loss


@dataclass
class Probe:
    """A subject, with the programs that have been compiled for it so far.

    Attributes:
        dtypes: by the dtype of predictions, the dtype in which the loss gave its values.
    """

    subject: Subject
    compiled: dict[ProgramKey, Callable[..., Any]] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)

    @property
    def heads(self) -> tuple[str, ...]:
        """How logits reach the loss: bare, or behind an activation, which is plain or hidden from Keras."""
        return ("logits",) if self.subject.from_logits else ("plain", "hidden")

    @property
    def k(self) -> int:
        return CLASSES[self.subject.kind]

    @property
    def rows_in_a_call(self) -> int:
        """One for a loss that does not treat examples apart: it is asked about each alone."""
        return BATCH if self.subject.values == "one each" else 1

    def __call__(
        self, z: np.ndarray, y: np.ndarray, dtype: str = "float32", head: str = "", mode: str = "graph"
    ) -> ValueAndGradient:
        """Value [N] and gradient [N, K] at logits [N, K] with labels in rows, [N, K].

        Raises:
            NotPerExample: where the loss does not give one value an example.
        """
        n = self.rows_in_a_call
        parts = [
            self.batch(z[i : i + n], y[i : i + n], dtype, head or self.heads[0], mode)
            for i in range(0, len(z), n)
        ]
        return ValueAndGradient(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def batch(self, z: np.ndarray, y: np.ndarray, dtype: str, head: str, mode: str) -> ValueAndGradient:
        padding = self.rows_in_a_call - len(z)
        z, y = (np.concatenate([array, np.repeat(array[:1], padding, axis=0)]) for array in (z, y))
        logits, labels = ops.convert_to_tensor(z, dtype=dtype), labels_as_taken(self.subject, y, dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            key = (dtype, head, mode)
            if key not in self.compiled:
                self.compiled[key] = compile_for(self.gradient_and_value(dtype, head), labels, logits, mode)
            gradient, value = self.compiled[key](labels, logits)
        value_array = numbers(value)
        self.dtypes[dtype] = value_array.dtype.name
        rows_given = self.rows_in_a_call - padding
        return ValueAndGradient(
            value_array.astype("float64")[:rows_given], numbers(gradient).astype("float64")[:rows_given]
        )

    def values_alone(
        self, z: np.ndarray, y: np.ndarray, dtype: str = "float32", head: str = ""
    ) -> np.ndarray:
        """The values at a few rows, eagerly and without their gradients: [N]."""
        values, n, rows = self.values(dtype, head), self.rows_in_a_call, len(z)
        filling = -rows % n  # one shape for all: JAX compiles each operation anew for another
        z, y = (np.concatenate([array, np.repeat(array[:1], filling, axis=0)]) for array in (z, y))
        parts = [
            values(
                labels_as_taken(self.subject, y[i : i + n], dtype),
                ops.convert_to_tensor(z[i : i + n], dtype=dtype),
            )
            for i in range(0, len(z), n)
        ]
        return np.concatenate([numbers(part).astype("float64") for part in parts])[:rows]

    def gradient_and_value(self, dtype: str, head: str) -> Callable[[Any, Any], Any]:
        """(labels, logits) → (gradient, value), per example."""
        values = self.values(dtype, head)
        return lambda y, z: differentiated(lambda z: (values(y, z),))(z)

    def values(self, dtype: str, head: str = "") -> Callable[[Any, Any], Any]:
        """(labels, logits) → one value per example."""
        loss = fresh_loss(self.subject, "float64" if dtype == "float64" else None)
        activated = self.head(head or self.heads[0])
        shaped = self.in_its_shape
        return lambda y, z: flat_per_example(ops.convert_to_tensor(loss(y, shaped(activated(z)))), z)

    def raw_values(self) -> Callable[[Any, Any], Any]:
        """(labels, predictions) → one value per example, of predictions as they are."""
        loss, shaped = fresh_loss(self.subject), self.in_its_shape
        return lambda y, x: flat_per_example(ops.convert_to_tensor(loss(y, shaped(x))), x)

    def in_its_shape(self, x: Any) -> Any:
        """[N, K] as [N, 1, K] or [N, 1, 1, K] for a loss that takes such."""
        return ops.reshape(x, (-1, *[1] * self.subject.axes, x.shape[-1])) if self.subject.axes else x

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        return probabilities(self.subject.kind, z)

    def head(self, name: str) -> Callable[[Any], Any]:
        if name == "logits":
            return lambda z: z
        activation = ops.sigmoid if over(self.subject.kind) == "labels" else ops.softmax
        return activation if name == "plain" else lambda z: ops.reshape(activation(z), (-1, z.shape[-1]))

    @property
    def factor(self) -> float:
        """How many times its theory the loss is."""
        return self.subject.parameters.get("factor", 1.0)

    @property
    def precise(self) -> str:
        """float64 where the loss computes in it, else float32."""
        if "float64" not in self.dtypes:
            try:
                z, y = np.zeros((1, self.k)), hard_labels(self.subject.kind)[:1]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    values = self.values("float64")
                    value = values(
                        labels_as_taken(self.subject, y, "float64"), ops.convert_to_tensor(z, "float64")
                    )
                self.dtypes["float64"] = numbers(value).dtype.name
            except NotPerExample:
                raise
            except Exception:
                self.dtypes["float64"] = "float32"
        return self.dtypes["float64"]

    def expected(self, z: np.ndarray, y: np.ndarray, factor: bool = True) -> ValueAndGradient | None:
        """Exact value and gradient, `factor` times the theory's or once; None where no theory is known.

        A loss that is k times its theory is compared with the plain theory once, and not in every check.
        """
        exact = self.subject.expected(z, y)
        times = self.factor if factor else 1.0
        return None if exact is None else ValueAndGradient(times * exact.value, times * exact.gradient)


def flat_per_example(values: Any, z: Any) -> Any:
    """[N]: the mean of whatever numbers the loss gives for each example, or of all for one alone.

    Raises:
        NotPerExample: where it gives no numbers for each.
    """
    shape, n = tuple(values.shape), z.shape[0]
    if shape == (n,):
        return values
    if n == 1:
        return ops.reshape(ops.mean(values), (1,))
    if shape[:1] != (n,):
        raise NotPerExample(f"It gave values of shape {shape} for {n} examples, not one each")
    return ops.mean(ops.reshape(values, (n, -1)), axis=-1)


def labels_as_taken(subject: Subject, y: np.ndarray, dtype: str) -> Any:
    """Labels in rows as the loss takes them: integers for a sparse or an ordinal one."""
    middle = (1,) * subject.axes
    if subject.kind in ("sparse", "ordinal"):
        classes = y.argmax(-1) if subject.kind == "sparse" else y.sum(-1)
        return ops.convert_to_tensor(classes.astype("int32").reshape(len(y), *middle))
    return ops.convert_to_tensor(y.reshape(len(y), *middle, y.shape[-1]), dtype=dtype)


def hard_labels(kind: str) -> np.ndarray:
    """The hard labels of one example, in rows: [J, K]; of an ordinal one the levels that are reached."""
    k = CLASSES[kind]
    if kind == "binary":
        return np.array([[0.0], [1.0]])
    if kind == "ordinal":
        return np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    return np.eye(k) if kind != "multilabel" else np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])


def compile_for(function: Callable[..., Any], y: Any, z: Any, mode: str) -> Callable[..., Any]:
    """The function compiled for the mode "eager", "graph" or "xla" and such arguments; eager on PyTorch."""
    backend = keras.backend.backend()
    if mode == "eager" or backend == "torch":
        return function
    if backend == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    program = tf.function(function, jit_compile=mode == "xla", autograph=False)
    return program.get_concrete_function(y, z)


_last: list[Probe] = []


def probe_of(subject: Subject) -> Probe:
    """The probe of a subject. The last one is kept, so that the checks of a loss share what is compiled."""
    if not (_last and _last[0].subject is subject):
        _last[:] = [Probe(subject)]
    return _last[0]

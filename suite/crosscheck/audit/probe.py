"""Puts logits through a loss: value and gradient of each example, compiled once for a dtype and a way."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.audit.contract import NoExamples, Subject
from crosscheck.audit.theories import Told, expected, over
from crosscheck.autodiff import differentiated, numbers

BATCH = 256  # rows of a call; what is missing is filled up with copies
CLASSES = {"binary": 1, "multilabel": 2, "categorical": 3, "sparse": 3}
HALVES = ("bfloat16", "float16")
NO_THEORY = (
    "what it should give is unknown; name it with --theory NAME (theory= in Python), "
    "or give your own formula as --theory module:function"
)
Way = tuple[str, str, str]


def fresh(subject: Subject, dtype: str | None = None, reduction: str | None = None) -> Any:
    """The loss, unreduced unless told otherwise, computing in this dtype.

    Without one it is left as it is, but for a loss that was configured in half precision: that is a question
    of its own, and all others are put in float32. Attributes are set, for a constructor may hand nothing on.
    """
    loss: Any = subject.make()
    if not subject.is_class:
        return loss
    loss.reduction = reduction
    dtype = dtype or ("float32" if subject.config.get("dtype") in HALVES else None)
    return computing_in(loss, dtype) if dtype else loss


def computing_in(loss: Any, dtype: str) -> Any:
    loss._dtype_policy, loss._dtype = keras.dtype_policies.get(dtype), dtype
    return loss


@dataclass
class Probe:
    """A subject, with what has been compiled for it so far."""

    subject: Subject
    compiled: dict[Way, Callable[..., Any]] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict)

    @property
    def heads(self) -> tuple[str, ...]:
        """How logits reach the loss: as they are, or behind an activation that Keras can undo or cannot."""
        return ("logits",) if self.subject.from_logits else ("plain", "hidden")

    @property
    def k(self) -> int:
        return CLASSES[self.subject.kind]

    def __call__(
        self, z: np.ndarray, y: np.ndarray, dtype: str = "float32", head: str = "", mode: str = "graph"
    ) -> Told:
        """Value [N] and gradient [N, K] at logits [N, K] with labels in rows, [N, K].

        Raises:
            NoExamples: where the loss does not give one value an example.
        """
        parts = [
            self.batch(z[i : i + BATCH], y[i : i + BATCH], dtype, head or self.heads[0], mode)
            for i in range(0, len(z), BATCH)
        ]
        return Told(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def batch(self, z: np.ndarray, y: np.ndarray, dtype: str, head: str, mode: str) -> Told:
        fill = BATCH - len(z)
        z, y = (np.concatenate([each, np.repeat(each[:1], fill, axis=0)]) for each in (z, y))
        given, labels = ops.convert_to_tensor(z, dtype=dtype), labels_of(self.subject, y, dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            way = (dtype, head, mode)
            if way not in self.compiled:
                self.compiled[way] = in_mode(self.both(dtype, head), labels, given, mode)
            gradient, value = self.compiled[way](labels, given)
        wide = numbers(value)
        self.known["dtype", dtype] = wide.dtype.name
        keep = BATCH - fill
        return Told(wide.astype("float64")[:keep], numbers(gradient).astype("float64")[:keep])

    def both(self, dtype: str, head: str) -> Callable[[Any, Any], Any]:
        """(labels, logits) → (gradient, value), per example."""
        values = self.values(dtype, head)
        return lambda y, z: differentiated(lambda z: (values(y, z),))(z)

    def values(self, dtype: str, head: str = "") -> Callable[[Any, Any], Any]:
        """(labels, logits) → one value per example."""
        loss = fresh(self.subject, "float64" if dtype == "float64" else None)
        activated = self.head(head or self.heads[0])
        return lambda y, z: per_example(ops.convert_to_tensor(loss(y, activated(z))), z)

    def head(self, name: str) -> Callable[[Any], Any]:
        if name == "logits":
            return lambda z: z
        activation = ops.sigmoid if over(self.subject.kind) == "labels" else ops.softmax
        return activation if name == "plain" else lambda z: ops.reshape(activation(z), (-1, self.k))

    @property
    def factor(self) -> float:
        """How many times its theory the loss is."""
        return self.subject.parameters.get("factor", 1.0)

    @property
    def precise(self) -> str:
        """float64 where the loss computes in it, else float32."""
        if "precise" not in self.known:
            try:
                self(np.zeros((1, self.k)), hot(self.subject.kind)[:1], "float64")
                self.known["precise"] = self.known["dtype", "float64"]
            except NoExamples:
                raise
            except Exception:
                self.known["precise"] = "float32"
        return self.known["precise"]

    def expected(self, z: np.ndarray, y: np.ndarray, factor: bool = True) -> Told | None:
        """By the theory; None where none is known.

        A loss that is k times its theory fails where `factor` is False, once, and not in every check.
        """
        told = expected(self.subject, z, y)
        k = self.factor if factor else 1.0
        return None if told is None else Told(k * told.value, k * told.gradient)


def per_example(found: Any, z: Any) -> Any:
    """[N], from [N] or [N, 1].

    Raises:
        NoExamples: otherwise.
    """
    shape = tuple(found.shape)
    if shape not in ((z.shape[0],), (z.shape[0], 1)):
        raise NoExamples(f"It gave values of shape {shape} for {z.shape[0]} examples, not one each")
    return ops.reshape(found, (z.shape[0],))


def labels_of(subject: Subject, y: np.ndarray, dtype: str) -> Any:
    """Labels in rows as the loss takes them: integers for a sparse one."""
    if subject.kind == "sparse":
        return ops.convert_to_tensor(y.argmax(-1).astype("int32"))
    return ops.convert_to_tensor(y, dtype=dtype)


def hot(kind: str) -> np.ndarray:
    """The hard labels of one example, in rows: [J, K]."""
    k = CLASSES[kind]
    if kind == "binary":
        return np.array([[0.0], [1.0]])
    return np.eye(k) if kind != "multilabel" else np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])


def in_mode(function: Callable[..., Any], y: Any, z: Any, mode: str) -> Callable[..., Any]:
    """The function as eager, graph or XLA runs it for arguments like these; PyTorch is always eager."""
    backend = keras.backend.backend()
    if mode == "eager" or backend == "torch":
        return function
    if backend == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    whole = tf.function(function, jit_compile=mode == "xla", autograph=False)
    return whole.get_concrete_function(y, z)


_last: list[Probe] = []


def probe_of(subject: Subject) -> Probe:
    """The probe of a subject; that of the last one is kept, so that its checks share what is compiled."""
    if not (_last and _last[0].subject is subject):
        _last[:] = [Probe(subject)]
    return _last[0]

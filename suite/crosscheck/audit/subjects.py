"""Makes subjects of an audit from what a user names or has at hand, and from the losses that Keras ships."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crosscheck.audit.contract import KINDS, Kind, Subject
from crosscheck.audit.keras_losses import configurations, find_keras_loss
from crosscheck.audit.points import tail
from crosscheck.audit.probe import Probe
from crosscheck.audit.recognition import recognise, silenced, theory_parameters, with_claim
from crosscheck.errors import UsageError

OF_EVERY_LOSS = ("name", "reduction", "dtype")
WORDS: Mapping[Kind, tuple[str, ...]] = {  # in this order: a sparse categorical loss is sparse
    "sparse": ("sparse",),
    "categorical": ("categorical", "softmax", "multiclass"),
    "multilabel": ("multilabel",),
    "binary": ("binary", "sigmoid"),
}


def keras_subjects() -> tuple[Subject, ...]:
    """Keras' losses of classes, in the configurations that people use."""
    return tuple(
        make_subject(f"keras.losses:{name}", getattr(keras.losses, name), kind, config)
        for name, kind, config in configurations()
    )


def load_subject(
    target: str, kind: str | None = None, config: Mapping[str, Any] | None = None, theory: str | None = None
) -> Subject:
    """The loss named `package.module:Name`, a class or a function of (y_true, y_pred).

    Raises:
        UsageError: where it cannot be imported, made or called, or what it takes cannot be told.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise UsageError(f"Name the loss as package.module:Name; '{target}' is not of that form.")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            loss = getattr(importlib.import_module(module), name)
    except AttributeError as error:
        raise UsageError(f"Module {module} has no {name}.") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"Module {module} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(loss):
        raise UsageError(f"{target} is neither a class nor a function, but a {type(loss).__name__}.")
    return make_subject(target, loss, kind, dict(config or {}), theory=theory)


def subject_of(loss: Any, kind: str | None = None, theory: str | None = None, **config: Any) -> Subject:
    """The subject of a loss that is at hand: an instance, a class, or a function.

    An instance is checked as it is, and not as its `get_config` would make it again.

    Raises:
        UsageError: where it cannot be made or called, or what it takes cannot be inferred.
    """
    if inspect.isclass(loss) or not isinstance(loss, keras.losses.Loss):
        return make_subject(name_of(loss), loss, kind, config, theory=theory)
    arguments = {name: value for name, value in loss.get_config().items() if name not in OF_EVERY_LOSS}
    return make_subject(name_of(loss), type(loss), kind, {**arguments, **config}, loss, theory)


def name_of(loss: Any) -> str:
    return getattr(loss, "__name__", type(loss).__name__)


def make_subject(
    name: str,
    loss: Any,
    kind: str | None,
    config: dict[str, Any],
    instance: keras.losses.Loss | None = None,
    theory: str | None = None,
) -> Subject:
    """The subject of a class or function; what is not given is inferred. `instance` is used as it is.

    Raises:
        UsageError: as `subject_of`.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(f"A loss is of kind {', '.join(KINDS)}, not '{kind}'.")
    is_class = inspect.isclass(loss)
    make = constructor_of(loss, config, is_class) if instance is None else copies_of(instance, config)
    try:
        make()
    except Exception as error:
        raise UsageError(
            f"{name} cannot be made: {error} Give constructor arguments as --config '{{\"name\": value}}'."
        ) from error
    from_logits = config.get("from_logits", default_argument(loss, "from_logits"))
    unknown = Subject(name, make, "binary", True, None, config, is_class)
    entry = find_keras_loss(loss, kind)
    if entry is not None:
        logits = bool(from_logits) if entry.from_logits is None else entry.from_logits
        parameters = theory_parameters(entry.theory, config)
        shipped_subject = replace(
            unknown, kind=entry.kind, from_logits=logits, theory=entry.theory, parameters=parameters
        )
        return with_claim(shipped_subject, theory)
    return infer_subject(unknown, kind or kind_in_name(name), from_logits, theory)


def infer_subject(unknown: Subject, kind: str | None, from_logits: Any, theory: str | None) -> Subject:
    """The subject with what it takes and claims, inferred from its name, its arguments and its values.

    Raises:
        UsageError: where its kind cannot be inferred.
    """
    inputs = (True, False) if from_logits is None else (bool(from_logits),)
    for candidate in candidate_subjects(unknown, [kind] if kind else list(KINDS), inputs):
        recognised_subject = recognise(candidate)
        if recognised_subject.theory:
            return with_claim(recognised_subject, theory)
    if not kind:
        raise UsageError(f"What labels does {unknown.name} take? Say --kind {'|'.join(KINDS)}.")
    of_kind = replace(unknown, kind=kind)  # type: ignore[arg-type]
    logits = takes_logits(of_kind) if from_logits is None else bool(from_logits)
    return with_claim(replace(of_kind, from_logits=logits), theory)


def candidate_subjects(unknown: Subject, kinds: list[str], inputs: tuple[bool, ...]) -> Iterator[Subject]:
    for logits in inputs:
        for kind in kinds:
            yield replace(unknown, kind=kind, from_logits=logits)  # type: ignore[arg-type]


def kind_in_name(name: str) -> Kind | None:
    """The kind of labels that the name of a loss contains; None where it contains none."""
    plain_name = name.rpartition(":")[2].lower().replace("_", "")
    return next((kind for kind, words in WORDS.items() if any(word in plain_name for word in words)), None)


def constructor_of(loss: Any, config: Mapping[str, Any], is_class: bool) -> Callable[..., Any]:
    if is_class:
        return lambda **changed: loss(**{**config, **changed})

    def bound(**changed: Any) -> Any:
        """Returns the function itself where no argument is bound to it: Keras saves it by its name."""
        arguments = {**config, **changed}
        return functools.partial(loss, **arguments) if arguments else loss

    return bound


def copies_of(instance: keras.losses.Loss, config: Mapping[str, Any]) -> Callable[..., Any]:
    """A function that returns copies of a loss, or a new loss where constructor arguments are changed."""

    def make(**changed: Any) -> Any:
        if set(changed) - {"reduction"}:
            return type(instance)(**{**config, **changed})
        loss = object.__new__(type(instance))  # `copy` would go by way of the config
        vars(loss).update(vars(instance) | changed)
        return loss

    return make


def default_argument(loss: Any, argument: str) -> Any:
    try:
        parameter = inspect.signature(loss).parameters.get(argument)
    except (TypeError, ValueError):
        return None
    return None if parameter is None else parameter.default


def takes_logits(unknown: Subject) -> bool:
    """Whether the loss distinguishes numbers outside of [0, 1], which a loss of probabilities clips.

    True for a loss that cannot be called: the checks report why.
    """
    z, y = tail(unknown.kind, right=False, ts=(3, 5))
    try:
        with silenced():
            value = Probe(unknown)(z, y).value
    except Exception:
        return True
    return bool(np.isfinite(value).all() and value[0] != value[-1])

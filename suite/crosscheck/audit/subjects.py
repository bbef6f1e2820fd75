"""From what a user names to a loss that can be checked, and the losses that Keras ships."""

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

from crosscheck.audit.builtins import settings, shipped
from crosscheck.audit.contract import KINDS, Kind, Subject
from crosscheck.audit.points import tail
from crosscheck.audit.probe import Probe
from crosscheck.audit.recognition import claiming, parameters_of, quiet, recognised
from crosscheck.errors import UsageError

WORDS: Mapping[Kind, tuple[str, ...]] = {  # in this order: a sparse categorical loss is sparse
    "sparse": ("sparse",),
    "categorical": ("categorical", "softmax", "multiclass"),
    "multilabel": ("multilabel",),
    "binary": ("binary", "sigmoid"),
}


def builtins() -> tuple[Subject, ...]:
    """Keras' losses of classes, in the configurations that people use."""
    return tuple(
        subject(f"keras.losses:{name}", getattr(keras.losses, name), kind, config)
        for name, kind, config in settings()
    )


def loaded(
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
            found = getattr(importlib.import_module(module), name)
    except AttributeError as error:
        raise UsageError(f"Module {module} has no {name}.") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"Module {module} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise UsageError(f"{target} is neither a class nor a function, but a {type(found).__name__}.")
    return subject(target, found, kind, dict(config or {}), theory=theory)


def subject(
    name: str,
    found: Any,
    kind: str | None,
    config: dict[str, Any],
    made: keras.losses.Loss | None = None,
    theory: str | None = None,
) -> Subject:
    """A subject, with what is not told of it found out; `made` is a loss of the class that is there already.

    Raises:
        UsageError: as `loaded`.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(f"A loss is of kind {', '.join(KINDS)}, not '{kind}'.")
    is_class = inspect.isclass(found)
    make = maker(found, config, is_class) if made is None else copier(made, config)
    try:
        make()
    except Exception as error:
        raise UsageError(
            f"{name} cannot be made: {error} Give constructor arguments as --config '{{\"name\": value}}'."
        ) from error
    told = config.get("from_logits", default(found, "from_logits"))
    unknown = Subject(name, make, "binary", True, None, config, is_class)
    known = shipped(found, kind)
    if known is not None:
        logits = bool(told) if known.from_logits is None else known.from_logits
        parameters = parameters_of(known.theory, config)
        whole = replace(
            unknown, kind=known.kind, from_logits=logits, theory=known.theory, parameters=parameters
        )
        return claiming(whole, theory)
    return inferred(unknown, kind or kind_in(name), told, theory)


def inferred(unknown: Subject, kind: str | None, told: Any, theory: str | None) -> Subject:
    """What it takes, as its name and arguments say, else as its values agree with a theory.

    Raises:
        UsageError: where neither tells its kind.
    """
    heads = (True, False) if told is None else (bool(told),)
    for each in ways(unknown, [kind] if kind else list(KINDS), heads):
        known = recognised(each)
        if known.theory:
            return claiming(known, theory)
    if not kind:
        raise UsageError(f"What labels does {unknown.name} take? Say --kind {'|'.join(KINDS)}.")
    nameless = replace(unknown, kind=kind)  # type: ignore[arg-type]
    logits = takes_logits(nameless) if told is None else bool(told)
    return claiming(replace(nameless, from_logits=logits), theory)


def ways(unknown: Subject, kinds: list[str], heads: tuple[bool, ...]) -> Iterator[Subject]:
    for logits in heads:
        for kind in kinds:
            yield replace(unknown, kind=kind, from_logits=logits)  # type: ignore[arg-type]


def kind_in(name: str) -> Kind | None:
    """The kind of labels that a loss's name tells."""
    plain = name.rpartition(":")[2].lower().replace("_", "")
    return next((kind for kind, words in WORDS.items() if any(word in plain for word in words)), None)


def maker(found: Any, config: Mapping[str, Any], is_class: bool) -> Callable[..., Any]:
    if is_class:
        return lambda **changed: found(**{**config, **changed})

    def bound(**changed: Any) -> Any:
        """The function itself where nothing is bound to it: Keras saves it by its name."""
        told = {**config, **changed}
        return functools.partial(found, **told) if told else found

    return bound


def copier(made: keras.losses.Loss, config: Mapping[str, Any]) -> Callable[..., Any]:
    """Copies of a loss; a new one only where a constructor argument is to be another."""

    def make(**changed: Any) -> Any:
        if set(changed) - {"reduction"}:
            return type(made)(**{**config, **changed})
        loss = object.__new__(type(made))  # `copy` would go by way of the config
        vars(loss).update(vars(made) | changed)
        return loss

    return make


def default(found: Any, argument: str) -> Any:
    try:
        given = inspect.signature(found).parameters.get(argument)
    except (TypeError, ValueError):
        return None
    return None if given is None else given.default


def takes_logits(unknown: Subject) -> bool:
    """Whether numbers that are no probabilities make a difference: a loss of probabilities cuts them off.

    Of a loss that cannot be called nothing is known; the checks will tell why.
    """
    z, y = tail(unknown.kind, right=False, ts=(3, 5))
    try:
        with quiet():
            value = Probe(unknown)(z, y).value
    except Exception:
        return True
    return bool(np.isfinite(value).all() and value[0] != value[-1])

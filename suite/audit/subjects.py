"""From what a user names to a loss that can be checked, and the losses that Keras ships."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np

from suite.audit.contract import KINDS, Kind, Subject
from suite.audit.theory import gradients, logits_of, recognised
from suite.errors import UsageError

BUILTINS: tuple[tuple[str, Kind, Mapping[str, Any]], ...] = (
    *(("BinaryCrossentropy", "binary", {"from_logits": it}) for it in (True, False)),
    ("BinaryCrossentropy", "binary", {"from_logits": True, "label_smoothing": 0.1}),
    *(("BinaryFocalCrossentropy", "binary", {"from_logits": it}) for it in (True, False)),
    ("BinaryFocalCrossentropy", "binary", {"from_logits": True, "gamma": 0.0}),
    *(("CategoricalCrossentropy", "categorical", {"from_logits": it}) for it in (True, False)),
    ("CategoricalCrossentropy", "categorical", {"from_logits": True, "label_smoothing": 0.1}),
    *(("CategoricalFocalCrossentropy", "categorical", {"from_logits": it}) for it in (True, False)),
    ("CategoricalFocalCrossentropy", "categorical", {"from_logits": True, "gamma": 0.0, "alpha": 1.0}),
    *(("SparseCategoricalCrossentropy", "sparse", {"from_logits": it}) for it in (True, False)),
    ("SparseCategoricalCrossentropy", "sparse", {"from_logits": True, "ignore_class": -1}),
    ("CategoricalGeneralizedCrossEntropy", "sparse", {}),
    ("KLDivergence", "categorical", {}),
)


def builtins() -> tuple[Subject, ...]:
    """Keras' losses of classes, in the configurations that people use."""
    return tuple(
        subject(f"keras.losses:{name}", getattr(keras.losses, name), kind, dict(config))
        for name, kind, config in BUILTINS
    )


def loaded(target: str, kind: str | None = None, config: Mapping[str, Any] | None = None) -> Subject:
    """The loss named `package.module:Name`, a class or a function of (y_true, y_pred).

    Raises:
        UsageError: where it cannot be imported, made or called, or its kind cannot be told from its name.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise UsageError(f"Name the loss as package.module:Name; '{target}' is not of that form.")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
    except AttributeError as error:
        raise UsageError(f"Module {module} has no {name}.") from error
    except Exception as error:
        raise UsageError(f"Module {module} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise UsageError(f"{target} is neither a class nor a function, but a {type(found).__name__}.")
    return subject(target, found, kind, dict(config or {}))


def subject(
    name: str, found: Any, kind: str | None, config: dict[str, Any], made: keras.losses.Loss | None = None
) -> Subject:
    """A subject, with what is not told of it found out; `made` is a loss of the class that is there already.

    Raises:
        UsageError: as `loaded`.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(f"A loss is of kind {', '.join(KINDS)}, not '{kind}'.")
    kind = kind or kind_of(name)
    is_class = inspect.isclass(found)
    make = maker(found, config, is_class) if made is None else copier(made, config)
    try:
        make()
    except Exception as error:
        raise UsageError(
            f"{name} cannot be made: {error} Give constructor arguments as --config '{{\"name\": value}}'."
        ) from error
    unknown = Subject(name, make, kind, from_logits=True, theory=None, config=config, is_class=is_class)  # type: ignore[arg-type]
    told = config.get("from_logits", default(found, "from_logits"))
    from_logits = takes_logits(unknown) if told is None else bool(told)
    known = Subject(name, make, unknown.kind, from_logits, None, config, is_class)
    with contextlib.redirect_stdout(io.StringIO()):
        return dataclasses.replace(known, theory=recognised(known))


def kind_of(name: str) -> str:
    plain = name.rpartition(":")[2].lower().replace("_", "")
    for kind in ("sparse", "categorical", "multilabel", "binary"):
        if kind in plain:
            return kind
    raise UsageError(f"What labels does {name} take? Say --kind {'|'.join(get_args(Kind))}.")


def maker(found: Any, config: Mapping[str, Any], is_class: bool) -> Callable[..., Any]:
    if is_class:
        return lambda **changed: found(**{**config, **changed})
    return lambda **changed: functools.partial(found, **{**config, **changed})


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
    y, z = logits_of(unknown.kind, np.array([-3.0, -5.0]), np.ones(2))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            value, _ = gradients(unknown, y, z)
    except Exception:
        return True
    return bool(np.isfinite(value).all() and value[0] != value[1])

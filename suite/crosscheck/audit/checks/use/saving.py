"""Does a loss come back from its config, from JSON and from a saved model as it was? (check 16)"""

from __future__ import annotations

import inspect
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crosscheck.audit.checks.use.calls import near, outcome, parameters, refusal, shown, tensors, told
from crosscheck.audit.checks.use.examples import identity
from crosscheck.audit.checks.use.inputs import batch, typed
from crosscheck.audit.contract import Check, Finding, Subject, failed, not_applicable, passed

FUNCTION = "a function has no config; it is saved by its name"
OTHERS: dict[str, tuple[Any, ...]] = {  # values to try in place of the default, the first that is accepted
    "name": ("another_name",),
    "reduction": ("sum",),
    "dtype": ("float64",),
    "axis": (1, 0),
    "ignore_class": (1,),
}


def config(subject: Subject) -> Finding:
    """Each constructor argument but the dtype, changed alone, survives `from_config(get_config())`."""
    return returning("config", subject, [n for n in parameters(subject) if n != "dtype"])


def dtype(subject: Subject) -> Finding:
    """The dtype survives it too."""
    if subject.is_class and "dtype" not in parameters(subject):
        return not_applicable("config dtype", "the constructor takes no dtype")
    return returning("config dtype", subject, ["dtype"])


def returning(check: str, subject: Subject, names: list[str]) -> Finding:
    if not subject.is_class:
        return not_applicable(check, FUNCTION)
    told(subject.make()(*tensors(batch(subject))))  # or else nothing can be compared
    changed = {name: value for name in names if (value := another(subject, name)) is not None}
    for name, (value,) in changed.items():
        loss = subject.make(**{name: value})
        lost = difference(subject, loss, name, value)
        if lost:
            return forgotten(check, subject, name, value, lost)
    left = sorted(set(names) - set(changed))
    note = f"changed and rebuilt: {', '.join(changed) or 'nothing to change'}"
    return passed(check, note + (f"; no other value known for {', '.join(left)}" if left else ""))


def another(subject: Subject, name: str) -> tuple[Any] | None:
    """In a tuple a value, not the present one, that the constructor accepts; None where none is known."""
    present = subject.config.get(name, parameters(subject)[name].default)
    for value in candidates(name, present):
        if value != present and not isinstance(outcome(made, subject, name, value), str):
            return (value,)
    return None


def made(subject: Subject, name: str, value: Any) -> float:
    subject.make(**{name: value})
    return 0.0


def candidates(name: str, present: Any) -> tuple[Any, ...]:
    if name in OTHERS:
        return OTHERS[name]
    if isinstance(present, bool):
        return (not present,)
    if isinstance(present, (int, float)):
        return (present + 0.25, present / 2, present + 1, present - 0.25)
    if present is None or present is inspect.Parameter.empty:
        return (0.75, 2)
    return ()


def difference(subject: Subject, loss: Any, name: str, value: Any) -> str:
    """What is not as it was once rebuilt; "" where everything is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = type(loss).from_config(json.loads(json.dumps(loss.get_config())))
    except Exception as error:
        return refusal(error)
    if name not in loss.get_config():
        return f"get_config() gives {sorted(loss.get_config())}"
    if getattr(again, name, value) != getattr(loss, name, value) or again.dtype != loss.dtype:
        return f"{name} = {getattr(again, name, again.dtype)!r}"
    before, after = (value_of(subject, each) for each in (loss, again))
    return "" if alike(before, after) else f"a loss of {shown(after)}, not {shown(before)}"


def alike(before: np.ndarray | str, after: np.ndarray | str) -> bool:
    if isinstance(before, str) or isinstance(after, str):
        return isinstance(before, str) and isinstance(after, str) and before == after
    return near(before, after, 0)


def value_of(subject: Subject, loss: Any) -> np.ndarray | str:
    given = batch(subject)
    return outcome(lambda: told(loss(given.y, given.x)))


def forgotten(check: str, subject: Subject, name: str, value: Any, lost: str) -> Finding:
    return failed(
        check,
        f"loss = {subject.name}({name}={value!r}); type(loss).from_config(loss.get_config())",
        measured=lost,
        expected=f"{name} = {value!r}",
        cause=f"`get_config` leaves out `{name}`, or gives another value or what JSON cannot hold",
        remedy=f'return {{**super().get_config(), "{name}": self.{name}}}',
    )


def saved(subject: Subject) -> Finding:
    """A compiled model saved as `.keras` and loaded has the same loss: value, dtype and reduction."""
    if not subject.is_class and subject.config:
        return not_applicable(
            "saved model", "Keras saves a function by its name, not with arguments bound to it"
        )
    arguments = unlike(subject) if subject.is_class else {}
    loss = subject.make(**arguments)
    before = told(loss(*tensors(batch(subject))))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = through(subject, loss, Path(folder) / "model.keras")
    if isinstance(again, str):
        return lost_on_the_way(subject, again)
    after = told(again(*tensors(batch(subject))))
    kept = all(getattr(loss, a, None) == getattr(again, a, None) for a in ("reduction", "dtype"))
    if near(before, after, 0) and kept:
        return passed("saved model", f"saved and loaded with {arguments}")
    return failed(
        "saved model",
        f"model.compile(loss={typed(subject, batch(subject), **arguments)}); save as .keras; load",
        measured=f"{shown(after)}, {getattr(again, 'reduction', None)}, {getattr(again, 'dtype', None)}",
        expected=f"{shown(before)}, {getattr(loss, 'reduction', None)}, {getattr(loss, 'dtype', None)}",
        cause="what `get_config` leaves out takes its default again",
        remedy="every constructor argument into `get_config`",
    )


def unlike(subject: Subject) -> dict[str, Any]:
    """Other values for all arguments at once but the dtype, of which `config dtype` speaks, and the axis."""
    names = [name for name in parameters(subject) if name not in ("dtype", "axis", "name")]
    found = {name: value[0] for name in names if (value := another(subject, name)) is not None}
    return found if not isinstance(outcome(lambda: bool(subject.make(**found))), str) else {}


def lost_on_the_way(subject: Subject, refused: str) -> Finding:
    return failed(
        "saved model",
        f"model.compile(loss={subject.name}); model.save('model.keras'); load_model('model.keras')",
        measured=refused,
        expected="the loss that was saved",
        cause="Keras saves a class by its config and a function by its name",
        remedy="a class with `get_config`, or a function with a name of its own",
    )


def through(subject: Subject, loss: Any, path: Path) -> Any:
    """The loss that a model compiled with it has after saving and loading; what was raised instead."""
    try:
        return saved_and_loaded(subject, loss, path)
    except Exception as error:
        return refusal(error)


def saved_and_loaded(subject: Subject, loss: Any, path: Path) -> Any:
    identity(batch(subject), loss).save(path)
    custom = {getattr(loss, "__name__", type(loss).__name__): loss if not subject.is_class else type(loss)}
    return keras.saving.load_model(path, custom_objects=custom).loss


CHECKS = (
    Check(
        "config",
        "Every constructor argument comes back from `get_config` through JSON.",
        config,
        "other arguments",
    ),
    Check("config dtype", "So does the dtype.", dtype, "other arguments"),
    Check("saved model", "A loaded model has the loss that was saved.", saved, "other arguments"),
)

"""A loss comes back from its config, from JSON and from a saved model as it was. (check 16)"""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crosscheck._keras import is_of_keras
from crosscheck.audit.checks.use.calls import (
    accepted_arguments,
    as_float64,
    as_tensors,
    error_line,
    is_close,
    reportable,
    value_or_error,
)
from crosscheck.audit.checks.use.examples import identity_model
from crosscheck.audit.checks.use.inputs import call_as_typed, valid_batch
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed

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
    return survives_config("config", subject, [n for n in accepted_arguments(subject) if n != "dtype"])


def dtype(subject: Subject) -> Finding:
    """The dtype survives it too."""
    if subject.is_class and "dtype" not in accepted_arguments(subject):
        return not_applicable("config dtype", "the constructor takes no dtype")
    kind: Any = type(subject.make())
    if subject.is_class and is_of_keras(kind.__init__) and not is_of_keras(kind):
        return not_applicable(
            "config dtype", "the constructor is Keras' own, and so is what becomes of a dtype"
        )
    return survives_config("config dtype", subject, ["dtype"])


def survives_config(check: str, subject: Subject, names: list[str]) -> Finding:
    if not subject.is_class:
        return not_applicable(check, FUNCTION)
    as_float64(subject.make()(*as_tensors(valid_batch(subject))))  # or else nothing can be compared
    changed = {name: value for name in names if (value := another_value(subject, name)) is not None}
    for name, (value,) in changed.items():
        loss = subject.make(**{name: value})
        difference_found = difference(subject, loss, name, value)
        if difference_found:
            return forgets_argument(check, subject, name, value, difference_found)
    unchanged = sorted(set(names) - set(changed))
    note = f"changed and rebuilt: {', '.join(changed) or 'nothing to change'}"
    return passed(check, note + (f"; no other value known for {', '.join(unchanged)}" if unchanged else ""))


def another_value(subject: Subject, name: str) -> tuple[Any] | None:
    """A 1-tuple of another value that the constructor accepts for an argument; None where none is known."""
    present = subject.config.get(name, accepted_arguments(subject)[name].default)
    for value in candidate_values(name, present):
        if differs(value, present) and not isinstance(value_or_error(construct, subject, name, value), str):
            return (value,)
    return None


def construct(subject: Subject, name: str, value: Any) -> float:
    subject.make(**{name: value})
    return 0.0


def candidate_values(name: str, present: Any) -> tuple[Any, ...]:
    """Values whose meaning is known by the name, or by the type of the present one; none are invented."""
    if name in OTHERS:
        return OTHERS[name]
    if isinstance(present, bool):
        return (not present,)
    if isinstance(present, int):
        return (present + 1, present - 1)
    if isinstance(present, float):
        return (present + 0.25, present / 2, present + 1, present - 0.25)
    if isinstance(present, (list, tuple)) and all(isinstance(number, float) for number in present):
        return (type(present)(number / 2 for number in present),)
    return ()


def difference(subject: Subject, loss: Any, name: str, value: Any) -> str:
    """In words, what differs once the loss is rebuilt from its config; "" where nothing does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = type(loss).from_config(json.loads(json.dumps(loss.get_config())))
    except Exception as error:
        return error_line(error)
    if name not in loss.get_config():
        return f"get_config() gives {sorted(loss.get_config())}"
    if differs(getattr(again, name, value), getattr(loss, name, value)) or again.dtype != loss.dtype:
        return f"{name} = {getattr(again, name, again.dtype)!r}"
    before, after = (value_of(subject, version) for version in (loss, again))
    return "" if is_same(before, after) else f"a loss of {reportable(after)}, not {reportable(before)}"


def differs(a: Any, b: Any) -> bool:
    """Whether two arguments differ; arrays are compared number by number."""
    if isinstance(a, (np.ndarray, list, tuple)) or isinstance(b, (np.ndarray, list, tuple)):
        return not np.array_equal(np.asarray(a), np.asarray(b))
    return bool(a != b)


def is_same(before: np.ndarray | str, after: np.ndarray | str) -> bool:
    if isinstance(before, str) or isinstance(after, str):
        return isinstance(before, str) and isinstance(after, str) and before == after
    return is_close(before, after, 0)


def value_of(subject: Subject, loss: Any) -> np.ndarray | str:
    batch = valid_batch(subject)
    return value_or_error(lambda: as_float64(loss(batch.y, batch.x)))


def forgets_argument(check: str, subject: Subject, name: str, value: Any, lost: str) -> Finding:
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
    arguments = other_arguments(subject) if subject.is_class else {}
    loss = subject.make(**arguments)
    before = as_float64(loss(*as_tensors(valid_batch(subject))))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = saved_and_loaded(subject, loss, Path(folder) / "model.keras")
    if isinstance(loaded, str):
        return not_saved(subject, loaded)
    after = as_float64(loaded(*as_tensors(valid_batch(subject))))
    if is_close(before, after, 0) and reduction_and_dtype(loss) == reduction_and_dtype(loaded):
        return passed("saved model", f"saved and loaded with {arguments}")
    call = call_as_typed(subject, valid_batch(subject), **arguments)
    return failed(
        "saved model",
        f"model.compile(loss={call}); save as .keras; load",
        measured=", ".join([str(reportable(after)), *reduction_and_dtype(loaded)]),
        expected=", ".join([str(reportable(before)), *reduction_and_dtype(loss)]),
        cause="what `get_config` leaves out takes its default again",
        remedy="every constructor argument into `get_config`",
    )


def reduction_and_dtype(loss: Any) -> list[str]:
    return [str(getattr(loss, name, None)) for name in ("reduction", "dtype")]


def other_arguments(subject: Subject) -> dict[str, Any]:
    """Other values for all arguments at once but the dtype, of which `config dtype` speaks, and the axis."""
    names = [name for name in accepted_arguments(subject) if name not in ("dtype", "axis", "name")]
    values = {name: value[0] for name in names if (value := another_value(subject, name)) is not None}
    return values if not isinstance(value_or_error(lambda: bool(subject.make(**values))), str) else {}


def not_saved(subject: Subject, error: str) -> Finding:
    return failed(
        "saved model",
        f"model.compile(loss={subject.name}); model.save('model.keras'); load_model('model.keras')",
        measured=error,
        expected="the loss that was saved",
        cause="Keras saves a class by its config and a function by its name",
        remedy="a class with `get_config`, or a function with a name of its own",
    )


def saved_and_loaded(subject: Subject, loss: Any, path: Path) -> Any:
    """The loss of a model that was compiled with it, saved and loaded; the error in a line if that raises."""
    try:
        return save_and_load(subject, loss, path)
    except Exception as error:
        return error_line(error)


def save_and_load(subject: Subject, loss: Any, path: Path) -> Any:
    identity_model(valid_batch(subject), loss).save(path)
    custom = {getattr(loss, "__name__", type(loss).__name__): loss if not subject.is_class else type(loss)}
    return keras.saving.load_model(path, custom_objects=custom).loss


CHECKS = (
    LossCheck(
        "config",
        "Every constructor argument comes back from `get_config` through JSON.",
        config,
        "other arguments",
    ),
    LossCheck("config dtype", "So does the dtype.", dtype, "other arguments"),
    LossCheck("saved model", "A loaded model has the loss that was saved.", saved, "other arguments"),
)

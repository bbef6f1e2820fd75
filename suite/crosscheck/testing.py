"""The audit inside anyone's pytest, in the manner of scikit-learn's `check_estimator`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import keras
import pytest

from crosscheck.audit import scorecard, subjects
from crosscheck.audit.contract import Check, Finding, Subject, finding_of

OF_EVERY_LOSS = ("name", "reduction", "dtype")


def check_loss(loss: Any, kind: str | None = None, theory: str | None = None, **config: Any) -> None:
    """Every check of the audit on one loss.

    Args:
        loss: a `keras.losses.Loss`, its class, or a function of (y_true, y_pred).
        kind: "binary", "categorical", "sparse" or "multilabel"; from the name or the values where not given.
        theory: what the loss is meant to be, as `crosscheck audit --theory`: "focal", "hinge", …, or your own
            formula as "module:function"; recognised by its values where not given.
        config: constructor arguments, of a class or a function.

    Raises:
        AssertionError: where a check fails, with the scorecard.
        UsageError: where the kind cannot be told, or the loss cannot be made.
    """
    card = scorecard.scorecard(subject_of(loss, kind, theory, **config), beside=False)
    assert card.sound, f"\n{card}"


def parametrize_with_checks(
    losses: Iterable[Any], kind: str | None = None, theory: str | None = None
) -> pytest.MarkDecorator:
    """Decorates a test of (`loss`, `check`), a case for each pair; `check(loss)` raises where it fails."""
    cases, names = [], []
    for each in losses:
        known = functools.cache(functools.partial(subject_of, each, kind, theory))
        cases += [(each, asserted(check, known)) for check in scorecard.CHECKS]
        names += [f"{name_of(each)}-{check.id}" for check in scorecard.CHECKS]
    return pytest.mark.parametrize(("loss", "check"), cases, ids=names)


def asserted(check: Check, known: Callable[[], Subject]) -> Any:
    """The check of a loss; all checks of one share its subject, and so what is compiled for it."""

    def ask(loss: Any) -> Finding:
        found = finding_of(check, known())
        if found.verdict == "failed":
            raise AssertionError("\n".join([f"{check.id}: {check.statement}", *scorecard.details(found)]))
        return found

    return ask


def subject_of(loss: Any, kind: str | None, theory: str | None = None, **config: Any) -> Subject:
    """A loss that was made already is checked as it is: what its `get_config` leaves out is not lost."""
    if inspect.isclass(loss) or not isinstance(loss, keras.losses.Loss):
        return subjects.subject(name_of(loss), loss, kind, config, theory=theory)
    told = {name: value for name, value in loss.get_config().items() if name not in OF_EVERY_LOSS}
    return subjects.subject(name_of(loss), type(loss), kind, {**told, **config}, made=loss, theory=theory)


def name_of(loss: Any) -> str:
    return getattr(loss, "__name__", type(loss).__name__)

"""The audit inside anyone's pytest, in the manner of scikit-learn's `check_estimator`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from crosscheck.audit import CHECKS, Finding, LossCheck, Subject, audit
from crosscheck.audit.contract import run_check
from crosscheck.audit.scorecard import detail_lines
from crosscheck.audit.subjects import name_of, subject_of

__all__ = ["check_loss", "parametrize_with_checks"]


def check_loss(loss: Any, kind: str | None = None, theory: str | None = None, **config: Any) -> None:
    """Asserts that a loss passes every check of the audit.

    Args:
        loss: a `keras.losses.Loss`, its class, or a function of (y_true, y_pred).
        kind: "binary", "categorical", "sparse" or "multilabel"; from the name or the values where not given.
        theory: what the loss is meant to be, as `crosscheck audit --theory`: "focal", "hinge", …, or your own
            formula as "module:function"; recognised by its values where not given.
        config: constructor arguments, of a class or a function.

    Raises:
        AssertionError: where a check fails, with the scorecard.
        UsageError: where the kind cannot be inferred, or the loss cannot be made.
    """
    card = audit(loss, kind, theory, beside=False, **config)
    assert card.sound, f"\n{card}"


def parametrize_with_checks(
    losses: Iterable[Any], kind: str | None = None, theory: str | None = None
) -> pytest.MarkDecorator:
    """Decorates a test of (`loss`, `check`), a case for each pair; `check(loss)` raises where it fails."""
    cases, names = [], []
    for loss in losses:
        subject = functools.cache(functools.partial(subject_of, loss, kind, theory))
        cases += [(loss, asserting(check, subject)) for check in CHECKS]
        names += [f"{name_of(loss)}-{check.id}" for check in CHECKS]
    return pytest.mark.parametrize(("loss", "check"), cases, ids=names)


def asserting(check: LossCheck, subject: Callable[[], Subject]) -> Callable[[Any], Finding]:
    """The check as a function that raises an AssertionError where it fails.

    All checks of a loss share the subject, and so what is compiled for it.
    """

    def assert_passes(loss: Any) -> Finding:
        finding = run_check(check, subject())
        if finding.verdict == "failed":
            raise AssertionError("\n".join([f"{check.id}: {check.statement}", *detail_lines(finding)]))
        return finding

    return assert_passes

"""The audit inside anyone's pytest, in the manner of scikit-learn's `check_estimator`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from crosscheck.audit import CHECKS, Finding, LossCheck, Subject, audit
from crosscheck.audit.expected import require_known
from crosscheck.audit.scorecard import detail_lines, judge
from crosscheck.audit.subjects import name_of, subject_of

__all__ = ["check_loss", "parametrize_with_checks"]


def check_loss(
    loss: Any,
    kind: str | None = None,
    theory: str | None = None,
    class_weights: Any = None,
    expected_failures: Mapping[str, str] | None = None,
    strict: bool = False,
    **config: Any,
) -> None:
    """Asserts that a loss passes every check of the audit.

    Args:
        loss: a `keras.losses.Loss`, its class, or a function of (y_true, y_pred).
        kind: "binary", "categorical", "sparse", "multilabel" or "ordinal"; from the name or the values where
            not given.
        theory: what the loss is meant to be, as `crosscheck audit --theory`: "focal", "hinge", …, or your own
            formula as "module:function"; recognised by its values where not given.
        class_weights: the weights by which the loss multiplies its theory, one a class.
        expected_failures: {check: reason} of checks that are to fail.
        strict: whether an expected failure that does not come is one.
        config: constructor arguments, of a class or a function; `from_logits` tells what predictions are
            where the loss has no such argument.

    Raises:
        AssertionError: where a check fails or could not look, with the scorecard.
        UsageError: where the kind cannot be inferred, or the loss cannot be made.
    """
    card = audit(loss, kind, theory, False, class_weights, None, expected_failures, strict, **config)
    assert card.sound, f"\n{card}"


def parametrize_with_checks(
    losses: Iterable[Any],
    kind: str | None = None,
    theory: str | None = None,
    expected_failures: Mapping[str, str] | Callable[[Any], Mapping[str, str]] | None = None,
    strict: bool = False,
    **config: Any,
) -> pytest.MarkDecorator:
    """Decorates a test of (`loss`, `check`), a case for each pair; `check(loss)` raises where it fails.

    `expected_failures` are {check: reason}, or a function of the loss that returns them: those cases are
    marked `xfail`, strictly on request. `config` goes to every loss.
    """
    cases = []
    for loss in losses:
        subject = functools.cache(functools.partial(subject_of, loss, kind, theory, **config))
        expected = expected_failures(loss) if callable(expected_failures) else expected_failures or {}
        require_known(expected, [check.id for check in CHECKS])
        for check in CHECKS:
            reason = expected.get(check.id)
            marks = [pytest.mark.xfail(reason=reason, strict=strict)] if reason else []
            name = f"{name_of(loss)}-{check.id}"
            cases.append(pytest.param(loss, asserting(check, subject), id=name, marks=marks))
    return pytest.mark.parametrize(("loss", "check"), cases)


def asserting(check: LossCheck, subject: Callable[[], Subject]) -> Callable[[Any], Finding]:
    """The check as a function that raises an AssertionError where it fails or could not look.

    All checks of a loss share the subject, and so what is compiled for it. A loss that cannot be looked at
    fails the first check alone: the others are skipped.
    """

    def assert_passes(loss: Any) -> Finding:
        obstacle = subject().obstacle
        if obstacle and check is not CHECKS[0]:
            pytest.skip(obstacle.note)
        finding = obstacle or judge(check, subject())
        if finding.verdict in ("failed", "could not look"):
            raise AssertionError("\n".join([f"{check.id}: {check.statement}", *detail_lines(finding)]))
        return finding

    return assert_passes

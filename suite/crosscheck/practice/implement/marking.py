"""Marks a solution: the audit's checks by name, and the smallest input at which anything is off."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from crosscheck.audit import CHECKS
from crosscheck.audit.contract import Finding, Subject, run_checks
from crosscheck.audit.form import with_form
from crosscheck.audit.subjects import constructor_of
from crosscheck.practice.implement import further
from crosscheck.practice.implement.exercises import Exercise
from crosscheck.practice.implement.failure import Failure
from crosscheck.practice.implement.hints import hint_for
from crosscheck.practice.implement.smallest import is_half_known, smallest_failure

Functions = Mapping[str, Callable[..., Any]]
CALL = "call"
HALF = "half precision"
NO_FACTOR = "wrong by a factor 0"  # of values that are mostly 0: it says nothing


def failures_of(exercise: Exercise, functions: Functions) -> list[Failure]:
    """Every check that a solution fails, the one to mend first before all; empty where it is right.

    Args:
        exercise: what was to be written.
        functions: of the learner's file, by name.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # what a solution prints
        found = list(all_failures(exercise, functions))
    return [replace(failure, hint=hint_for(exercise.name, failure)) for failure in found]


def all_failures(exercise: Exercise, functions: Functions) -> Iterator[Failure]:
    missing = [name for name in (exercise.function, exercise.inverse) if name and name not in functions]
    if missing:
        yield Failure(CALL, f"there is no function {missing[0]} in the file")
        return
    function = functions[exercise.function]
    try:
        smallest = smallest_failure(exercise, function, exercise.arguments[0], "float32")
    except Exception as error:
        yield raised(exercise.function, error)
        return
    yield from audited(exercise, function, smallest)
    yield from of_arguments(exercise, function)
    yield from further.failures(exercise, functions)


def raised(function: str, error: Exception) -> Failure:
    """The failure of a call that raises, or that gives no value an example."""
    if isinstance(error, NotImplementedError):
        return Failure(CALL, f"{function} is not written yet")
    message = " ".join(str(error).split())[:300]
    return Failure(
        CALL, f"{function} on a batch of logits [N, K]", cause=f"{type(error).__name__}: {message}"
    )


def audited(exercise: Exercise, function: Callable[..., Any], smallest: Failure | None) -> Iterator[Failure]:
    """The audit's checks that fail, the first of them at the smallest input where there is one."""
    findings = [finding for finding in audit_findings(exercise, function) if finding.verdict == "failed"]
    if smallest and not findings:
        yield replace(smallest, check="formula")
    for number, finding in enumerate(findings):
        where = smallest if number == 0 else None
        if finding.check == HALF and where is None:
            where = half_failure(exercise, function)
        yield of_finding(finding, where)


def of_finding(finding: Finding, where: Failure | None) -> Failure:
    """An audit's finding as a failure; its remedy, which may be the solution, is left out."""
    cause = "" if finding.cause == NO_FACTOR else finding.cause
    if where:
        return replace(where, check=finding.check, cause=where.cause or cause)
    return Failure(finding.check, finding.at, finding.measured, finding.expected, cause)


def audit_findings(exercise: Exercise, function: Callable[..., Any]) -> list[Finding]:
    subject = subject_of(exercise, function)
    return run_checks([check for check in CHECKS if check.id in exercise.checks], subject)


def subject_of(exercise: Exercise, function: Callable[..., Any]) -> Subject:
    """The solution as a subject of the audit, held against the exercise's theory at its first arguments."""
    arguments = exercise.arguments[0]
    subject = Subject(
        name=exercise.function,
        make=constructor_of(exercise.as_loss(function), arguments, is_class=False),
        kind=exercise.kind,
        from_logits=True,
        theory=exercise.name,
        config=dict(arguments),
        is_class=False,
        parameters={**exercise.defaults, **arguments},
        own_theory=exercise.theory,
        told=True,
        hard=exercise.hard,
    )
    return with_form(subject, axes=0)


def half_failure(exercise: Exercise, function: Callable[..., Any]) -> Failure | None:
    if not is_half_known():
        return None
    with contextlib.suppress(Exception):  # the audit has said what it raises
        return smallest_failure(exercise, function, exercise.arguments[0], "float16")
    return None


def of_arguments(exercise: Exercise, function: Callable[..., Any]) -> Iterator[Failure]:
    """The function with other arguments than its defaults."""
    for arguments in exercise.arguments[1:]:
        try:
            found = smallest_failure(exercise, function, arguments, "float32")
        except Exception as error:
            found = raised(exercise.function, error)
        if found:
            yield replace(found, check="arguments")
            return

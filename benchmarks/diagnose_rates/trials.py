"""One trial: a random program, healthy or with a fault, first trained for the truth, then examined.

Truth and examination are apart, so that a change of the diagnosis does not train everything anew. Everything
is drawn from the seed and the trial's place alone: a draft is drawn again where it is needed again.
"""

from __future__ import annotations

import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from benchmarks.diagnose_rates.drafts import Draft, build
from benchmarks.diagnose_rates.exact_faults import EXACT_FAULTS
from benchmarks.diagnose_rates.faults import Fault
from benchmarks.diagnose_rates.health import Health, cleared, trained
from benchmarks.diagnose_rates.healthy import healthy_draft
from benchmarks.diagnose_rates.trained_faults import TRAINED_FAULTS
from crosscheck.diagnose import Finding, Program, examine
from crosscheck.errors import UsageError

FAULTS = {fault.name: fault for fault in (*EXACT_FAULTS, *TRAINED_FAULTS)}
ATTEMPTS = 20
FAILED = "the check could not be made"  # as the diagnosis says where a check ended with an error


class Truth(msgspec.Struct, frozen=True):
    """What training says of a program.

    Attributes:
        seed, place, attempt: by which its healthy draft is drawn again.
        about: the program in words.
        thrown: programs that were drawn before and did not reach their goal, in words.
        fault, size: what was seeded; "" for a healthy program.
        is_fault: whether the seeded fault is one at this size.
        scores, goals, history, error: as `Health` has them.
    """

    seed: int
    place: int
    attempt: int
    about: str
    thrown: tuple[str, ...] = ()
    fault: str = ""
    size: float = 1.0
    is_fault: bool = False
    scores: tuple[float | None, ...] = ()
    goals: tuple[float, ...] = ()
    history: dict[str, list[float | None]] = {}
    error: str = ""

    @property
    def key(self) -> str:
        return f"{self.seed}/{self.place}/{self.fault}"


class Said(msgspec.Struct, frozen=True):
    """What one check said."""

    check: str
    verdict: str
    measured: str
    decided: str


class Examined(msgspec.Struct, frozen=True):
    """What the diagnosis said of a program: all that is not ✓.

    Attributes:
        key: of the truth.
        said: in the order in which it was said.
        exact_seconds: of the exact checks alone.
        seconds: of the whole diagnosis; None where only the exact checks were made.
        refused: why it could not look; "" where it could.
        crashed: the error that it ended with, which is a defect of the diagnosis.
    """

    key: str
    said: tuple[Said, ...] = ()
    exact_seconds: float = 0.0
    seconds: float | None = None
    refused: str = ""
    crashed: str = ""

    @property
    def faults(self) -> list[str]:
        """The checks that say ✗."""
        return [said.check for said in self.said if said.verdict == "✗"]

    @property
    def failed(self) -> list[str]:
        """The checks that ended with an error, which the diagnosis reports as a ?."""
        return [said.check for said in self.said if FAILED in said.measured]


# --- drawing -----------------------------------------------------------------------------------------------


def drawn(seed: int, place: int, attempt: int) -> Draft:
    return healthy_draft(np.random.default_rng([seed, place, attempt]))


def seeded(fault: Fault, draft: Draft, truth_of: tuple[int, int], size: float) -> Draft:
    """The draft with the fault; to be built once, since its edits draw."""
    rng = np.random.default_rng([*truth_of, zlib.crc32(fault.name.encode())])
    return fault.operator(rng, draft, size)


def draft_of(truth: Truth) -> Draft:
    """The draft again of which a truth was found."""
    draft = drawn(truth.seed, truth.place, truth.attempt)
    if not truth.fault:
        return draft
    return seeded(FAULTS[truth.fault], draft, (truth.seed, truth.place), truth.size)


# --- the truth ---------------------------------------------------------------------------------------------


def find_healthy(seed: int, place: int) -> Truth:
    """The first program of this place that reaches its goal.

    Raises:
        RuntimeError: where none does in many attempts, which is a defect of the generator.
    """
    thrown: list[str] = []
    for attempt in range(ATTEMPTS):
        draft = drawn(seed, place, attempt)
        health = health_of(draft)
        if health.is_reached:
            return of_health(health, Truth(seed, place, attempt, str(draft), tuple(thrown)))
        thrown.append(f"{draft}: {health.error or health.scores}")
    raise RuntimeError(f"no healthy program at {seed}, {place}: {thrown}")


def find_mutant(healthy: Truth, fault_name: str, size: float) -> Truth:
    """The truth about a fault in a healthy program."""
    fault = FAULTS[fault_name]
    truth = Truth(healthy.seed, healthy.place, healthy.attempt, healthy.about, (), fault_name, size, True)
    if not fault.trains:
        return truth
    draft = draft_of(truth)
    health = health_of(draft)
    return of_health(health, truth, fault.truth(draft, to_health(healthy), health))


def health_of(draft: Draft) -> Health:
    """What training makes of a draft; an error where Keras does not even build it."""
    try:
        return quietly(trained, draft, quietly(build, draft))
    except Exception as error:  # whatever Keras refuses with
        return Health((), (), {}, f"cannot be built: {type(error).__name__}: {str(error)[:200]}")
    finally:
        cleared()


def of_health(health: Health, truth: Truth, is_fault: bool = False) -> Truth:
    """The truth with what training said. JSON has no NaN: it is None."""
    return msgspec.structs.replace(
        truth,
        is_fault=is_fault,
        scores=tuple(finite(s) for s in health.scores),
        goals=health.goals,
        history={name: [finite(v) for v in values] for name, values in health.history.items()},
        error=health.error,
    )


def finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def number(value: float | None) -> float:
    return float("nan") if value is None else value


def to_health(truth: Truth) -> Health:
    return Health(tuple(map(number, truth.scores)), truth.goals, numbers(truth.history), truth.error)


def numbers(history: dict[str, list[float | None]]) -> dict[str, list[float]]:
    return {name: [number(v) for v in values] for name, values in history.items()}


# --- the examination ---------------------------------------------------------------------------------------


def program_of(truth: Truth) -> Program:
    """The program to examine, with the history of its training where its author would have one."""
    draft = draft_of(truth)
    program = build(draft)
    health = to_health(truth)
    if draft.with_history and health.history and (truth.fault or not health.overfits):
        return replace(program, history=health.history)
    return program


def examined(truth: Truth, exact_only: bool) -> Examined:
    """What the diagnosis says."""
    try:
        program = quietly(program_of, truth)
        start = time.perf_counter()
        findings = list(quietly(examine, program, None, 0.0))
        exact_seconds = time.perf_counter() - start
        if exact_only:
            return Examined(truth.key, said(findings), exact_seconds)
        start = time.perf_counter()
        findings = list(quietly(examine, program))
        return Examined(truth.key, said(findings), exact_seconds, time.perf_counter() - start)
    except UsageError as error:
        return Examined(truth.key, refused=str(error))
    except Exception as error:  # a defect, which must not end the count
        return Examined(truth.key, crashed=f"{type(error).__name__}: {str(error)[:300]}")
    finally:
        cleared()


def said(findings: Sequence[Finding]) -> tuple[Said, ...]:
    return tuple(Said(f.check, f.verdict, f.measured[:300], f.decided) for f in findings if f.verdict != "✓")


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result, without the warnings that faults bring about."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*arguments)

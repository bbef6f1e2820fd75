"""Repairs tried one after the other on copies, and the whole list of exact checks run again after each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import keep_what_is_known
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._words import first_line

Examination = Callable[[Program], list[Finding]]
Key = tuple[str, str]  # check and output
MOST = 6  # repairs that are tried; a program with more faults is mended step by step

# What the loss or the labels of an output decide is judged when these are mended, not twice.
LABELS = ("labels-are-numbers", "labels-are-finite", "labels-form", "labels-units", "labels-in-range")
WHOLE = ("labels-form", "labels-units", "labels-one-of-many")  # whose fix changes loss or head
BEFORE = {
    "inputs-accepted": ("inputs-in-vocabulary", "layers-are-adapted"),
    "compile-fits-outputs": ("names-of-outputs", "labels-given"),
    "head-fits-loss": (*WHOLE, "softmax-axis", "loss-computes", "compile-fits-outputs", "names-of-outputs"),
    "softmax-axis": WHOLE,
    "metric-fits-problem": (*LABELS, "labels-one-of-many", "loss-computes", "head-fits-loss"),
    "class-weight": LABELS,
}


@dataclass
class Mending:
    """A program that is mended as far as it can be, and what was found on the way.

    Attributes:
        program: with every repair that helped.
        findings: of the program as it was, and what showed when a fault before it was mended.
        fine: the checks in which nothing was wrong before any repair.
        repaired: the checks whose fault is gone.
    """

    program: Program
    findings: list[Finding]
    fine: set[Key] = field(default_factory=set)
    repaired: list[str] = field(default_factory=list)


def mended(program: Program, found: Sequence[Finding], examine: Examination) -> Mending:
    """The program with the repairs of its faults, each tried on a copy and examined again."""
    fine = {key_of(f) for f in found if f.verdict == "✓"}
    result = Mending(program, first_causes(found), fine)
    latest = {key_of(f): f for f in result.findings}
    for _ in range(MOST):
        pending = next((f for f in result.findings if is_to_try(f, latest)), None)
        if pending is None:
            return result
        latest = tried(result, pending, latest[key_of(pending)], examine) or latest
    return result


def key_of(finding: Finding) -> Key:
    return finding.check, finding.output


def is_to_try(finding: Finding, latest: dict[Key, Finding]) -> bool:
    """Whether a fault has a repair that was not tried yet, and is there still."""
    now = latest.get(key_of(finding))
    return (
        finding.verdict == "✗" and "copy:" not in finding.tried and now is not None and now.repair is not None
    )


def tried(
    result: Mending, fault: Finding, latest: Finding, examine: Examination
) -> dict[Key, Finding] | None:
    """Tries the repair of a fault, and notes in the result what it did; the findings afterwards.

    Returns:
        The findings of the mended program by check and output; None where the repair did not help.
    """
    assert latest.repair is not None
    try:
        candidate = latest.repair(result.program)
        keep_what_is_known(result.program, candidate)
        after = first_causes(examine(candidate))
    except Exception as error:
        told(result, fault, f"on a copy: could not be tried: {first_line(error)}")
        return None
    faults = [f for f in after if f.verdict == "✗"]
    if key_of(fault) in map(key_of, faults):
        told(result, fault, "on a copy: it remains")
        return None
    known = {key_of(f) for f in result.findings if f.verdict == "✗"}
    fresh = [shown_by(fault, f, key_of(f) in result.fine) for f in faults if key_of(f) not in known]
    told(result, fault, f"on a copy: {words(faults)}")
    result.program = candidate
    result.repaired.append(fault.check)
    result.findings = [f for f in result.findings if key_of(f) not in map(key_of, fresh)] + fresh
    return {key_of(f): f for f in after if f.verdict == "✗"}


def words(faults: Sequence[Finding]) -> str:
    """What is wrong with the mended program, in words."""
    names = list(dict.fromkeys(f.check for f in faults))
    return (
        f"mended; then {', '.join(names)} remain{'s' if len(names) == 1 else ''}"
        if names
        else "mended, and nothing else is wrong"
    )


def told(result: Mending, fault: Finding, text: str) -> None:
    """Writes into a finding what its fix did, behind what is known already."""
    whole = f"{fault.tried}; {text}" if fault.tried else text
    result.findings = [replace(f, tried=whole) if f is fault else f for f in result.findings]


def shown_by(cause: Finding, finding: Finding, was_fine: bool) -> Finding:
    """A fault that shows when another is mended; a note where the fix itself asks for it."""
    if was_fine:
        return replace(finding, verdict="note", measured=f"With the fix of {cause.check}: {finding.measured}")
    return replace(finding, measured=f"{finding.measured} (seen once {cause.check} is mended)")


def first_causes(findings: Iterable[Finding]) -> list[Finding]:
    """The findings without those that follow from a fault, of their output or of all, to be mended first."""
    findings = list(findings)
    wrong = {key_of(f) for f in findings if f.verdict == "✗"}
    return [
        f for f in findings if not wrong & {(c, o) for c in BEFORE.get(f.check, ()) for o in (f.output, "")}
    ]

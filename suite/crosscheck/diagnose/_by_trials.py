"""All statistical checks of a program, judged together: a healthy one gets any ✗ with at most 1 %."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crosscheck.diagnose._chance import LEVEL, holm
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose.checks import HISTORY, ONE_STEP, STATISTICAL
from crosscheck.errors import UsageError

SECONDS = 45.0  # of training, in all


@dataclass(frozen=True)
class Trials:
    """What trials found, and what was not tried, in a sentence each, with the reason."""

    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()


def by_trials(program: Program, seconds: float = SECONDS) -> Trials:
    """Trains copies of the model for seconds, and judges what they show.

    Args:
        program: its model is built and compiled; it is not changed.
        seconds: that all training may take.

    Returns:
        One finding a check. ✗: the seeds showed a fault of the stated size beside its control, at 1 % for
        all checks together. ✓: it was as sure that there is none. ?: neither, with the reason.
    """
    certain = [finding for check in (*ONE_STEP, *HISTORY) for finding in check(program)]
    trials = tried(program, seconds)
    placed = [replace(f, place=f.place or program.place) for f in (*certain, *trials.findings)]
    return Trials(tuple(placed), trials.skipped)


def tried(program: Program, seconds: float) -> Trials:
    """Returns what training itself shows."""
    try:
        lab = Laboratory(program, seconds=seconds)
    except UsageError as error:
        return Trials((), (f"Nothing was trained. {error}",))
    found: list[Finding | Suspicion] = []
    for check in STATISTICAL:
        try:
            found += check(lab)
        except UsageError as error:
            lab.skipped.append(f"{words_of(check.__name__)}: {error}")
    suspicions = [item for item in found if isinstance(item, Suspicion)]
    notes = [item for item in found if isinstance(item, Finding)]
    return Trials((*judged(suspicions), *notes), tuple(dict.fromkeys(lab.skipped)))


def words_of(name: str) -> str:
    """Returns a function's name as words."""
    return name.replace("_", " ").capitalize()


def judged(suspicions: Sequence[Suspicion], level: float = LEVEL) -> list[Finding]:
    """Returns the verdicts, at a level that all suspicions share (Holm); what to mend first comes first.

    Of several faults that are shown, the first is ✗; the others may follow from it, and are ?.
    """
    suspicions = sorted(suspicions, key=lambda s: s.rank)
    faulty = holm([s.chance_of_fault for s in suspicions], level)
    healthy = holm([s.chance_of_health for s in suspicions], level)
    findings: list[Finding] = []
    first = ""
    for suspicion, is_fault, is_healthy in zip(suspicions, faulty, healthy, strict=True):
        if is_fault and not suspicion.limit and not first:
            findings.append(suspicion.finding)
            first = suspicion.check
        elif is_fault and not suspicion.limit:
            findings.append(undecided(suspicion, f"it may follow from {first}: mend that first"))
        elif is_healthy:
            measured = suspicion.finding.measured
            findings.append(Finding(suspicion.check, "✓", measured, "statistical"))
        else:
            seeds = suspicion.shown.any(0)
            reason = suspicion.limit or f"{int(seeds.sum())} of {len(seeds)} seeds show it"
            findings.append(undecided(suspicion, reason))
    return findings


def undecided(suspicion: Suspicion, reason: str) -> Finding:
    """Returns a ? with what was measured and why it decides nothing."""
    finding = suspicion.finding
    return Finding(
        suspicion.check, "?", finding.measured, "statistical", why=f"undecided: {reason}.", fix=finding.fix
    )

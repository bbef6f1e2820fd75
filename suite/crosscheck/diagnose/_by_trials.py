"""All statistical checks of a program, judged together: a healthy one gets any ✗ with at most 1 %."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crosscheck.diagnose._chance import LEVEL, holm
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose._words import first_line
from crosscheck.diagnose.checks import HISTORY, NOTES, ONE_STEP, STATISTICAL, Check, Trial
from crosscheck.errors import UsageError

SECONDS = 45.0  # of training, in all
UNTRAINED = "training"  # the check of which a ? says that there was none
HALFWAY = "under most seeds the program comes less than half of the way from the prior to fitting its rows"
BY_LEARNING = {  # what is told from whether another setting learns
    "inputs-scale",
    "exploding-gradients",
    "learning-rate-high",
    "learning-rate-low",
    "vanishing-gradients",
    "overfits-few-rows",
}


@dataclass(frozen=True)
class Trials:
    """What trials found, and what was not tried, in a sentence each, with the reason."""

    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()


def by_trials(program: Program, seconds: float = SECONDS) -> Trials:
    """Trains copies of the model for seconds, and judges what they show.

    Args:
        program: its model is built and compiled; it is not changed.
        seconds: that all training may take; 0 trains nothing, but for one step.

    Returns:
        One finding a check. ✗: the seeds showed a fault of the stated size beside its control, at 1 % for
        all checks together. ✓: it was as sure that there is none. ?: neither, with the reason.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Keras warns of is diagnosed here
        return quietly(program, seconds)


def quietly(program: Program, seconds: float) -> Trials:
    """The work of `by_trials`."""
    certain = [finding for check in (*ONE_STEP, *HISTORY) for finding in said(check, program)]
    if any(f.check == "finite-numbers" and f.verdict == "✗" for f in certain):
        trials = Trials((), ("Nothing was trained, for one step is not finite: mend that first.",))
    else:
        trials = tried(program, seconds)
    placed = [replace(f, place=f.place or program.place) for f in (*certain, *trials.findings)]
    return Trials(tuple(placed), trials.skipped)


def tried(program: Program, seconds: float) -> Trials:
    """Returns what training itself shows."""
    if seconds <= 0:
        return Trials(())
    try:
        lab = Laboratory(program, seconds=seconds)
    except UsageError as error:
        return Trials((untrained(str(error), STATISTICAL),))
    except Exception as error:  # such as of a model that cannot take its data, which has checks of its own
        return Trials((untrained(f"{type(error).__name__}: {first_line(error)}", STATISTICAL),))
    suspicions: list[Suspicion] = []
    findings: list[Finding] = []
    for name, trial in (*STATISTICAL.items(), *((words_of(note), note) for note in NOTES)):
        for item in heard(name, trial, lab):
            if isinstance(item, Suspicion):
                suspicions.append(item)
            else:
                findings.append(item)
        if suspicions and suspicions[-1].is_shown(LEVEL / len(STATISTICAL)):
            lab.skipped.append(f"What may follow from {suspicions[-1].check} was not tried: mend that first.")
            break
    found = judged(suspicions)
    if learns_nothing(lab):
        named = next((finding.check for finding in found if finding.verdict == "✗"), "")
        found = [unlearnt(finding, lab, named) for finding in found]
    return Trials((*found, *together(findings, lab)), tuple(dict.fromkeys(lab.skipped)))


def untrained(reason: str, checks: Iterable[str]) -> Finding:
    """Returns what is said of checks for which nothing could be trained: that is no all-clear."""
    why = f"undecided for want of it: {', '.join(checks)}."
    return Finding(UNTRAINED, "?", f"nothing was trained: {reason}", "statistical", why=why)


def together(findings: Sequence[Finding], lab: Laboratory) -> Iterator[Finding]:
    """Yields the findings; those of checks for which the program itself could not be trained as one."""
    failure = lab.trained_as_it_is if findings else None
    lacking = [f for f in findings if isinstance(failure, UsageError) and f.measured == not_tried(failure)]
    if lacking:
        yield untrained(str(failure), [finding.check for finding in lacking])
    yield from (finding for finding in findings if finding not in lacking)


def not_tried(error: Exception) -> str:
    """Returns why a check was not tried, in words."""
    if isinstance(error, UsageError):
        return f"not tried: {error}"
    return f"not tried: {type(error).__name__}: {first_line(error)}"


def said(check: Check, program: Program) -> list[Finding]:
    """Returns what a check finds; a ? where it fails."""
    try:
        return list(check(program))
    except Exception as error:  # a model of the user's may do anything; the other checks go on
        text = f"the check could not be made: {type(error).__name__}: {first_line(error)}"
        return [Finding(check.__name__.replace("_", "-"), "?", text)]


def heard(name: str, trial: Trial, lab: Laboratory) -> Iterator[Finding | Suspicion]:
    """Yields what a trial says; where it cannot be held, a ? of its check, and of a note what was skipped."""
    try:
        yield from trial(lab)
    except Exception as error:  # a model of the user's may do anything; the other trials go on
        if name in STATISTICAL:
            yield Finding(name, "?", not_tried(error), "statistical")
        elif not isinstance(lab.trained_as_it_is, UsageError):
            lab.skipped.append(f"{name}: {not_tried(error)}")


def words_of(trial: Trial) -> str:
    """Returns a function's name as words."""
    return trial.__name__.replace("_", " ").capitalize()


def judged(suspicions: Sequence[Suspicion], level: float = LEVEL) -> list[Finding]:
    """Returns the verdicts, at a level that all checks share.

    A ✗ is held against the level over the number of all checks (Bonferroni), so that it may be said before
    the others are tried. A ✓ shares its own level with the other ✓ (Holm 1979).
    """
    healthy = holm([s.chance_of_health for s in suspicions], level)
    return [verdict(*pair, level) for pair in zip(suspicions, healthy, strict=True)]


def verdict(suspicion: Suspicion, is_healthy: bool, level: float) -> Finding:
    """Returns the finding of one suspicion."""
    if suspicion.is_shown(level / len(STATISTICAL)):
        return suspicion.finding
    if is_healthy:
        return Finding(suspicion.check, "✓", suspicion.finding.measured, "statistical")
    seeds = np.atleast_1d(suspicion.shown.any(0))
    return undecided(suspicion, suspicion.limit or f"{int(seeds.sum())} of {len(seeds)} seeds show it")


def learns_nothing(lab: Laboratory) -> bool:
    """Whether the program lags under most seeds; False where it could not be trained."""
    try:
        return lab.lags
    except Exception:  # which the trials have told already
        return False


def unlearnt(finding: Finding, lab: Laboratory, named: str = "") -> Finding:
    """A ✓ that says that no other setting learns is none where nothing learns, whatever the reason."""
    if finding.verdict != "✓" or finding.check not in BY_LEARNING:
        return finding
    why = f"the program does not learn, see {named}: mend that first" if named else f"{HALFWAY}{beside(lab)}"
    return replace(finding, verdict="?", why=f"undecided: {why}.")


def beside(lab: Laboratory) -> str:
    """What became of the other rates, and of other scales of the inputs, in words that are true of each.

    Some may fit the rows trained on, and do no better on others: then these are learnt by heart.
    """
    tried, own = list(lab.rescues.values()), lab.as_it_is
    rescued = {outcome.arm.name: int(own.rescued_by(outcome).sum()) for outcome in tried}
    most = max(rescued.values(), default=0)
    fitted = [outcome.arm.name for outcome in tried if not outcome.lags.all()]
    if not tried:
        return ", and no other setting was tried"
    if most:
        names = listed(name for name, seeds in rescued.items() if seeds == most)
        return f"; it comes further, on other rows too, under {most} of {len(own.loss)} seeds with {names}"
    if not fitted:
        return f", and no further with {listed(outcome.arm.name for outcome in tried)}"
    return f"; with {listed(fitted)} it fits the rows that it is trained on, and others hardly better"


def listed(names: Iterable[str]) -> str:
    """Names in a row, the last behind "or"."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def undecided(suspicion: Suspicion, reason: str) -> Finding:
    """Returns a ? with what was measured and why it decides nothing."""
    finding = suspicion.finding
    fix = finding.fix if not suspicion.limit and suspicion.shown.any() else ""  # of what no seed shows, none
    return Finding(
        suspicion.check, "?", finding.measured, "statistical", why=f"undecided: {reason}.", fix=fix
    )

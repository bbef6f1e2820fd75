"""The audit's rates of false alarm and of misses over random losses, with exact intervals."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np
from scipy import stats

from benchmarks.audit_rates.catalogue import broken
from benchmarks.audit_rates.choices import Choices, NumpyChoices, RandomLoss
from benchmarks.audit_rates.forms import formed
from benchmarks.audit_rates.sound import sound
from crosscheck.audit.contract import LossCheck, run_check
from crosscheck.audit.scorecard import CHECKS

LEVEL = 0.95
SEED = 20261301  # fresh: what losses of 20261203 and of those before showed was mended
WRITTEN_AFTER = 12  # a multiple of 4: as many told as not, sound as broken
BY_CLAIM = ("factor", "easy examples forgiven", "a class preferred", "normaliser punished")
CHECKS_RUN = tuple(check for check in CHECKS if check.id != "cost")  # which never fails, and takes its time


@dataclass(frozen=True)
class Trial:
    """A random loss and what failed.

    Attributes:
        told: whether the audit was told what the loss claims to be.
        fault, check: of a broken one what is wrong, and the check named for it; else "".
        failed: the checks that failed, without those that every loss of its form fails; "input" where it was
            taken for a loss of other predictions.
        unseen: whether the audit said that it could not look.
        seconds: of the processor; 0 where they were not counted.
    """

    about: str
    told: bool
    fault: str
    check: str
    failed: tuple[str, ...]
    unseen: bool = False
    seconds: float = 0.0

    @property
    def wrong(self) -> bool:
        """A false alarm, or a miss; neither where the audit said that it could not look."""
        return not self.unseen and bool(self.failed) != bool(self.fault)


def run_trials(
    n: int, report: Callable[[str], Any], seed: int = SEED, write: Callable[[list[Trial]], Any] = len
) -> list[Trial]:
    """n random losses, sound and broken in turn, their claim told or not in turn.

    `write` gets all that there are after every `WRITTEN_AFTER`.
    """
    choices, trials = NumpyChoices(np.random.default_rng(seed)), []
    for i in range(n):
        told = i % 4 < 2
        loss = broken_loss(choices, told) if i % 2 else sound(choices)
        start = time.process_time()
        trial = run_trial(formed(choices, loss), told)
        trials.append(replace(trial, seconds=time.process_time() - start))
        if trials[-1].wrong:
            report(
                f"{'missed' if trials[-1].fault else 'false alarm'}: {trials[-1].about} {trials[-1].failed}"
            )
        if len(trials) % WRITTEN_AFTER == 0:
            write(trials)
    return trials


def broken_loss(choices: Choices, told: bool) -> RandomLoss:
    """A random broken loss; where its claim is not told, one whose fault is no matter of the claim alone."""
    loss = broken(choices)
    while not told and loss.fault in BY_CLAIM:
        loss = broken(choices)
    return loss


def run_trial(loss: RandomLoss, claim_told: bool, checks: Iterable[LossCheck] = CHECKS_RUN) -> Trial:
    """Audits one random loss."""
    subject = loss.subject(claim_told)
    if subject.obstacle:
        return Trial(loss.about, claim_told, loss.fault, loss.check, (), unseen=True)
    verdicts = {check.id: run_check(check, subject).verdict for check in checks}
    failed = tuple(name for name, verdict in verdicts.items() if verdict == "failed" and name not in loss.due)
    misread = ("input",) if subject.from_logits != loss.from_logits else ()
    unseen = "could not look" in verdicts.values() and not failed
    return Trial(loss.about, claim_told, loss.fault, loss.check, misread + failed, unseen)


def rate(wrong: int, of: int) -> dict[str, Any]:
    """The share with its exact interval, after Clopper and Pearson (1934)."""
    interval = stats.binomtest(wrong, of).proportion_ci(LEVEL, "exact")
    return {"wrong": wrong, "of": of, "rate": wrong / of, "interval": [interval.low, interval.high]}


def summary(trials: list[Trial]) -> dict[str, Any]:
    """The content of rates.json: rates of false alarms and misses, told and not told, and what was wrong."""
    rates = {}
    for is_told in (True, False):
        sound_ones = [trial for trial in trials if trial.told == is_told and not trial.fault]
        broken_ones = [trial for trial in trials if trial.told == is_told and trial.fault]
        rates["claim told" if is_told else "claim not told"] = {
            "false alarms": rate(sum(trial.wrong for trial in sound_ones), len(sound_ones)),
            "misses": rate(sum(trial.wrong for trial in broken_ones), len(broken_ones)),
            "could not look": rate(
                sum(trial.unseen for trial in (*sound_ones, *broken_ones)), len(sound_ones) + len(broken_ones)
            ),
            "misses by the named check": rate(
                sum(trial.check not in trial.failed for trial in broken_ones), len(broken_ones)
            ),
        }
    return {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "seed": SEED,
        "level": LEVEL,
        "rates": rates,
        "faults": per_fault(trials),
        "wrong": [without_seconds(trial) for trial in trials if trial.wrong],
    }


def without_seconds(trial: Trial) -> dict[str, Any]:
    """They are of the machine, and not of the audit."""
    return {name: value for name, value in asdict(trial).items() if name != "seconds"}


def per_fault(trials: list[Trial]) -> dict[str, dict[str, Any]]:
    """Of each fault its check, how many losses had it, and how many of these were missed, told or not."""
    by_fault: dict[str, dict[str, Any]] = {}
    for name in sorted({trial.fault for trial in trials if trial.fault}):
        of_fault = [trial for trial in trials if trial.fault == name]
        by_fault[name] = {
            "check": of_fault[0].check,
            "of": len(of_fault),
            "missed": sum(trial.wrong for trial in of_fault),
            "missed by the named check": sum(trial.check not in trial.failed for trial in of_fault),
        }
    return by_fault


def to_json(trials: list[Trial]) -> str:
    return json.dumps(summary(trials), indent=1, ensure_ascii=False) + "\n"


def to_markdown(trials: list[Trial]) -> str:
    record = summary(trials)
    lines = [
        f"# How often the loss check is wrong, on {record['backend']} with Keras {record['keras']}",
        "",
        f"{len(trials)} random losses (seed {record['seed']}), half of them broken; "
        f"intervals at {LEVEL:.0%}, "
        "after Clopper and Pearson. A false alarm: any check fails a sound loss. A miss: no check fails a "
        "broken one. The claim is what the loss is meant to be: told as with --theory, or left to be "
        "recognised; then what only a claim can tell (a factor, a preferred class, an improper or shifting "
        "loss) is described and no fault. Among them are losses of probabilities, whose tails no such loss "
        "has, losses that give one number for the batch, which must be said and does not count as an alarm, "
        "and losses of [B, T, K] or [B, H, W, K] alone. To take logits for probabilities is an alarm.",
        "",
        "| Claim | What | Wrong | Rate | Interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for claim, rates in record["rates"].items():
        for what, numbers in rates.items():
            low, high = numbers["interval"]
            lines.append(
                f"| {claim} | {what} | {numbers['wrong']} of {numbers['of']} | {numbers['rate']:.1%} "
                f"| {low:.1%} to {high:.1%} |"
            )
    seconds = [trial.seconds for trial in trials]
    lines += ["", f"Processor seconds a loss: median {np.median(seconds):.1f}, at most {max(seconds):.1f}."]
    lines += [
        "",
        "| Fault | Its check | Losses | Missed | Missed by its check |",
        "| --- | --- | --- | --- | --- |",
    ]
    columns = ("check", "of", "missed", "missed by the named check")
    for name, numbers in record["faults"].items():
        cells = (name, *(numbers[column] for column in columns))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", *wrongs(trials)]) + "\n"


def wrongs(trials: list[Trial]) -> list[str]:
    """The lines that list every false alarm and every miss, with what failed."""
    count = Counter(check for trial in trials if trial.wrong and not trial.fault for check in trial.failed)
    by_check = ", ".join(f"{check} {number}" for check, number in count.most_common())
    heads = [f"False alarms by check: {by_check or 'none'}.", ""]
    lines = [
        f"- {'missed' if trial.fault else 'false alarm'}, {'' if trial.told else 'not '}told: {trial.about}"
        + (f": {', '.join(trial.failed)}" if trial.failed else "")
        for trial in trials
        if trial.wrong
    ]
    return heads + lines

"""The audit's rates of false alarm and of misses over random losses, with exact intervals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from scipy import stats

from benchmarks.audit_rates.catalogue import broken
from benchmarks.audit_rates.draws import Made, Random
from benchmarks.audit_rates.sound import sound
from crosscheck.audit.contract import Check, finding_of
from crosscheck.audit.scorecard import CHECKS

LEVEL = 0.95
SEED = 20261126  # fresh: tolerances were set while looking at losses of two others
ASKED = tuple(check for check in CHECKS if check.id != "cost")  # which never fails, and takes its time


@dataclass(frozen=True)
class Trial:
    """A random loss and what failed.

    Attributes:
        told: whether the audit was told what the loss claims to be.
        fault, check: of a broken one what is wrong, and the check named for it; else "".
    """

    about: str
    told: bool
    fault: str
    check: str
    failed: tuple[str, ...]

    @property
    def wrong(self) -> bool:
        """A false alarm, or a miss."""
        return bool(self.failed) != bool(self.fault)


def trials(n: int, tell: Callable[[str], Any], seed: int = SEED) -> list[Trial]:
    """n random losses, sound and broken in turn, their claim told or not in turn."""
    draw, found = Random(np.random.default_rng(seed)), []
    for i in range(n):
        found.append(trial(broken(draw) if i % 2 else sound(draw), told=i % 4 < 2))
        if found[-1].wrong:
            tell(f"{'missed' if found[-1].fault else 'false alarm'}: {found[-1].about} {found[-1].failed}")
    return found


def trial(made: Made, told: bool, checks: Iterable[Check] = ASKED) -> Trial:
    subject = made.subject(told)
    failed = tuple(c.id for c in checks if finding_of(c, subject).verdict == "failed")
    return Trial(made.about, told, made.fault, made.check, failed)


def rate(wrong: int, of: int) -> dict[str, Any]:
    """The share with its exact interval, after Clopper and Pearson (1934)."""
    interval = stats.binomtest(wrong, of).proportion_ci(LEVEL, "exact")
    return {"wrong": wrong, "of": of, "rate": wrong / of, "interval": [interval.low, interval.high]}


def summary(found: list[Trial]) -> dict[str, Any]:
    """False alarms, misses, and misses by the check that is named for the fault; told and not told."""
    rates = {}
    for told in (True, False):
        sound_ones = [t for t in found if t.told == told and not t.fault]
        broken_ones = [t for t in found if t.told == told and t.fault]
        rates["claim told" if told else "claim not told"] = {
            "false alarms": rate(sum(t.wrong for t in sound_ones), len(sound_ones)),
            "misses": rate(sum(t.wrong for t in broken_ones), len(broken_ones)),
            "misses by the named check": rate(
                sum(t.check not in t.failed for t in broken_ones), len(broken_ones)
            ),
        }
    return {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "seed": SEED,
        "level": LEVEL,
        "rates": rates,
        "faults": per_fault(found),
        "wrong": [asdict(t) for t in found if t.wrong],
    }


def per_fault(found: list[Trial]) -> dict[str, dict[str, Any]]:
    """Of each fault its check, how many losses had it, and how many of these were missed, told or not."""
    told: dict[str, dict[str, Any]] = {}
    for name in sorted({t.fault for t in found if t.fault}):
        ones = [t for t in found if t.fault == name]
        told[name] = {
            "check": ones[0].check,
            "of": len(ones),
            "missed": sum(t.wrong for t in ones),
            "missed by the named check": sum(t.check not in t.failed for t in ones),
        }
    return told


def to_json(found: list[Trial]) -> str:
    return json.dumps(summary(found), indent=1, ensure_ascii=False) + "\n"


def to_markdown(found: list[Trial]) -> str:
    told = summary(found)
    lines = [
        f"# How often the loss check is wrong, on {told['backend']} with Keras {told['keras']}",
        "",
        f"{len(found)} random losses (seed {told['seed']}), half of them broken; intervals at {LEVEL:.0%}, "
        "after Clopper and Pearson. A false alarm: any check fails a sound loss. A miss: no check fails a "
        "broken one. The claim is what the loss is meant to be: told as with --theory, or left to be "
        "recognised; then a loss with a temperature or with class weights fails `proper`, for its "
        "probabilities are not the true ones, and one with class weights or with labels in another order "
        "`symmetry`: nothing but the claim says that this is meant.",
        "",
        "| Claim | What | Wrong | Rate | Interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for claim, rates in told["rates"].items():
        for what, each in rates.items():
            low, high = each["interval"]
            lines.append(
                f"| {claim} | {what} | {each['wrong']} of {each['of']} | {each['rate']:.1%} "
                f"| {low:.1%} to {high:.1%} |"
            )
    lines += [
        "",
        "| Fault | Its check | Losses | Missed | Missed by its check |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, each in told["faults"].items():
        cells = (name, each["check"], each["of"], each["missed"], each["missed by the named check"])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", *wrongs(found)]) + "\n"


def wrongs(found: list[Trial]) -> list[str]:
    """Every false alarm and every miss, by what failed."""
    count = Counter(check for t in found if t.wrong and not t.fault for check in t.failed)
    heads = [f"False alarms by check: {', '.join(f'{c} {n}' for c, n in count.most_common()) or 'none'}.", ""]
    told = [
        f"- {'missed' if t.fault else 'false alarm'}, {'' if t.told else 'not '}told: {t.about}"
        + (f": {', '.join(t.failed)}" if t.failed else "")
        for t in found
        if t.wrong
    ]
    return heads + told

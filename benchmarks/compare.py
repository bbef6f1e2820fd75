"""Comparisons: two contenders in turn, round by round, so that a slow minute hits both."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.process import Process
from crosscheck.running import provenance

Entry = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """A contender in its process; its seconds count `scale`-fold where only a part of the work is run."""

    label: str
    process: Process
    contender: str
    setting: Mapping[str, Any]
    scale: float = 1.0
    warm: bool = True  # whether the first run, which compiles, is left out and told apart

    def seconds(self) -> float:
        return self.process.ask(self.contender, self.setting)["seconds"] * self.scale

    def first(self) -> float:
        """Seconds of the contender's first run ever, whichever comparison that was for."""
        return self.process.ask(self.contender, self.setting)["first"] * self.scale


def compare(bench: str, subject: Side, against: Side, rounds: int, note: str = "") -> Entry:
    """One entry of bench.json: the ratio of the subject's time to the other's, below 1 where it is faster."""
    sides = {"subject": subject, "against": against}
    first = {name: side.first() for name, side in sides.items() if side.warm}
    pairs = [(subject.seconds(), against.seconds()) for _ in range(rounds)]
    subject_seconds, against_seconds = (list(times) for times in zip(*pairs, strict=True))
    entry = record(
        bench, subject.label, against.label, [ours / theirs for ours, theirs in pairs], subject.setting, note
    )
    seconds = {"subject": spread(subject_seconds), "against": spread(against_seconds)}
    return {**entry, "rounds": rounds, "seconds": seconds, "first_run_seconds": first}


def record(
    bench: str,
    subject: str,
    against: str,
    ratios: Sequence[float],
    setting: Mapping[str, Any],
    note: str = "",
) -> Entry:
    return {
        "bench": bench,
        "subject": subject,
        "against": against,
        "ratio": spread(ratios),
        "setting": dict(setting),
        "machine": provenance.device(),
        "versions": provenance.versions("jax") | provenance.versions("torch"),
        "note": note,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}

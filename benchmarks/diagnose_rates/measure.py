"""The rates, from what was found: false alarms by check, misses by fault, sizes that are seen, seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy import stats

from benchmarks.diagnose_rates.names import names_of, row_of
from benchmarks.diagnose_rates.published import PUBLISHED
from benchmarks.diagnose_rates.trials import FAILED, FAULTS, Examined, Truth

LEVEL = 0.95
UNTRAINED = "training"  # the check of which a ? says that nothing could be trained
OUTCOMES = ("named", "otherwise", "undecided", "noted", "missed", "refused", "crashed")


@dataclass(frozen=True)
class Asked:
    """What is to be measured.

    Attributes:
        seed: of all that is drawn.
        exact_only: whether the exact checks alone are asked, without the seconds of training.
        decided: which faults are seeded, as `Fault.decided` has them.
        count, each: healthy programs, and mutants of each fault.
    """

    seed: int
    exact_only: bool
    decided: tuple[str, ...]
    count: int
    each: int


@dataclass(frozen=True)
class Trial:
    """A program, what it is in truth, and what was said of it; nothing where a mutant is harmless."""

    truth: Truth
    said: Examined

    @property
    def outcome(self) -> str:
        """Of a program with a fault: one of `OUTCOMES`."""
        if self.said.crashed or self.said.refused:
            return "crashed" if self.said.crashed else "refused"
        names = names_of(self.truth.fault)
        if self.said.faults:
            return "named" if set(self.said.faults) & set(names) else "otherwise"
        shows_in_training = FAULTS[self.truth.fault].trains
        names = (*names, UNTRAINED) if shows_in_training else names
        verdicts = {said.verdict for said in self.said.said if said.check in names}
        return "undecided" if "?" in verdicts else "noted" if "note" in verdicts else "missed"


def rate(count: int, of: int) -> dict[str, Any]:
    """The share with its exact interval, after Clopper and Pearson (1934)."""
    if not of:
        return {"count": 0, "of": 0, "rate": None, "interval": [0.0, 1.0]}
    interval = stats.binomtest(count, of).proportion_ci(LEVEL, "exact")
    return {"count": count, "of": of, "rate": count / of, "interval": [interval.low, interval.high]}


def paired(truths: Sequence[Truth], said: dict[str, Examined]) -> list[Trial]:
    """Harmless mutants are not examined: of them nothing is said, and nothing is judged."""
    return [Trial(t, said[t.key] if t.is_fault or not t.fault else Examined(t.key)) for t in truths]


def summary(healthy: Sequence[Trial], mutants: Sequence[Trial], asked: Asked) -> dict[str, Any]:
    """The content of rates.json. Mutants that are no fault at their size are counted, and not judged."""
    faulty = [trial for trial in mutants if trial.truth.is_fault]
    examined = [*healthy, *faulty]
    return {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "seed": asked.seed,
        "level": LEVEL,
        "exact_checks_alone": asked.exact_only,
        "asked": {"decided": list(asked.decided), "healthy": asked.count, "each": asked.each},
        "healthy": of_healthy(healthy),
        "exact": rates_of([t for t in faulty if FAULTS[t.truth.fault].decided == "exact"]),
        "statistical": rates_of([t for t in faulty if FAULTS[t.truth.fault].decided == "statistical"]),
        "faults": [of_fault(name, mutants) for name in FAULTS if any(t.truth.fault == name for t in mutants)],
        "not_seeded": not_seeded(mutants, asked),
        "seconds": {
            "exact": spread([t.said.exact_seconds for t in examined]),
            "whole": spread([t.said.seconds for t in examined if t.said.seconds is not None]),
        },
        "published": PUBLISHED,
        "wrong": wrongs(healthy, faulty),
    }


def not_seeded(mutants: Sequence[Trial], asked: Asked) -> list[str]:
    """Faults for which there was no program, of those that were asked for."""
    names = [name for name, fault in FAULTS.items() if fault.decided in asked.decided]
    return [name for name in names if not any(trial.truth.fault == name for trial in mutants)]


def of_healthy(trials: Sequence[Trial]) -> dict[str, Any]:
    """False alarms: any ✗. A crash or a refusal is counted by itself."""
    thrown = sum(len(trial.truth.thrown) for trial in trials)
    alarms = Counter(check for trial in trials for check in set(trial.said.faults))
    return {
        "drawn": len(trials) + thrown,
        "not_learning": thrown,
        "kept": len(trials),
        "false_alarms": rate(sum(bool(t.said.faults) for t in trials), len(trials)),
        "by_check": {check: rate(count, len(trials)) for check, count in alarms.most_common()},
        "undecided": rate(sum(any(s.verdict == "?" for s in t.said.said) for t in trials), len(trials)),
        "refused": rate(sum(bool(t.said.refused) for t in trials), len(trials)),
        "crashed": rate(sum(bool(t.said.crashed) for t in trials), len(trials)),
        "failed_checks": dict(Counter(check for t in trials for check in set(t.said.failed)).most_common()),
    }


def rates_of(faulty: Sequence[Trial]) -> dict[str, Any]:
    """How the faults of a kind came out, each with its interval."""
    outcomes = Counter(trial.outcome for trial in faulty)
    return {outcome: rate(outcomes[outcome], len(faulty)) for outcome in OUTCOMES}


def of_fault(name: str, mutants: Sequence[Trial]) -> dict[str, Any]:
    """One fault: its outcomes, and the share that is named at each size."""
    fault = FAULTS[name]
    trials = [trial for trial in mutants if trial.truth.fault == name]
    faulty = [trial for trial in trials if trial.truth.is_fault]
    return {
        "fault": name,
        "row": row_of(name),
        "decided": fault.decided,
        "names": list(names_of(name)),
        "seeded": len(trials),
        "harmless": len(trials) - len(faulty),
        "of": len(faulty),
        **{outcome: sum(t.outcome == outcome for t in faulty) for outcome in OUTCOMES},
        "not_caught": rate(sum(not t.said.faults for t in faulty), len(faulty)),
        "unit": fault.unit,
        "sizes": [of_size(size, trials) for size in fault.sizes] if fault.unit else [],
    }


def of_size(size: float, trials: Sequence[Trial]) -> dict[str, Any]:
    of_it = [trial for trial in trials if trial.truth.size == size]
    faulty = [trial for trial in of_it if trial.truth.is_fault]
    return {
        "size": size,
        "seeded": len(of_it),
        "caught": rate(sum(bool(t.said.faults) for t in faulty), len(faulty)),
        "named": rate(sum(t.outcome == "named" for t in faulty), len(faulty)),
    }


def spread(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    return {
        "median": float(np.median(seconds)),
        "95 %": float(np.quantile(seconds, 0.95)),
        "largest": float(np.max(seconds)),
    }


def wrongs(healthy: Sequence[Trial], faulty: Sequence[Trial]) -> list[dict[str, Any]]:
    """Every false alarm, miss and crash, so that it can be looked into."""
    alarms = [t for t in healthy if t.said.faults or t.said.failed or t.said.crashed or t.said.refused]
    return [line(trial) for trial in (*alarms, *(t for t in faulty if t.outcome != "named"))]


def line(trial: Trial) -> dict[str, Any]:
    truth, said = trial.truth, trial.said
    return {
        "place": truth.place,
        "about": truth.about,
        "fault": truth.fault,
        "size": truth.size,
        "outcome": trial.outcome if truth.fault else of_alarm(said),
        "said": [f"{s.check}: {s.measured}" for s in said.said if s.verdict == "✗" or FAILED in s.measured],
        "error": said.crashed or said.refused,
    }


def is_wrong(record: dict[str, Any]) -> bool:
    """Whether a healthy program got a ✗, an exact fault got none, or the diagnosis crashed."""
    healthy, exact = record["healthy"], record["exact"]
    unseen = sum(exact[outcome]["count"] for outcome in OUTCOMES if outcome not in ("named", "otherwise"))
    crashes = healthy["crashed"]["count"] + record["statistical"]["crashed"]["count"]
    return bool(healthy["false_alarms"]["count"] or unseen or crashes)


def of_alarm(said: Examined) -> str:
    """What was wrong with the examination of a healthy program."""
    return "false alarm" if said.faults else "crashed" if said.crashed or said.failed else "could not look"

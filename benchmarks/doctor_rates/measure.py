"""The doctor's rates of false alarm, of false all-clear and of refusal over random models."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from scipy import stats

from benchmarks.doctor_rates.random_models import build, random_recipe
from benchmarks.doctor_rates.truth import is_broken
from crosscheck.doctor import examine
from crosscheck.errors import UsageError

LEVEL = 0.95
WRITTEN_AFTER = 50
SEED = 20261501  # fresh: what 20261401 and those before it showed was mended


@dataclass(frozen=True)
class Trial:
    """A random model, whether it is broken in truth, the doctor's exit code, its words, and its seconds."""

    about: str
    broken: bool
    code: int
    words: str
    seconds: float

    @property
    def false_alarm(self) -> bool:
        return self.code == 1 and not self.broken

    @property
    def false_all_clear(self) -> bool:
        return self.code == 0 and self.broken


def run_trials(
    n: int, report: Callable[[str], Any], seed: int = SEED, write: Callable[[list[Trial]], Any] = len
) -> list[Trial]:
    """n random models; `write` gets all that there are after every `WRITTEN_AFTER`."""
    before, trials = keras.config.dtype_policy(), []
    try:
        for i in range(n):
            trials.append(run_trial(np.random.default_rng([seed, i])))
            if trials[-1].false_alarm or trials[-1].false_all_clear or trials[-1].code == 2:
                report(f"{i}: {verdict(trials[-1])}: {trials[-1].about}: {trials[-1].words}")
            if len(trials) % WRITTEN_AFTER == 0:
                write(trials)
    finally:
        keras.config.set_dtype_policy(before)
    return trials


def run_trial(rng: np.random.Generator) -> Trial:
    """Makes a random model, asks the doctor, and then trains the model itself for the truth."""
    keras.backend.clear_session()
    recipe = random_recipe(rng)
    model = build(recipe)
    start = time.perf_counter()
    try:
        (diagnosis,) = examine(model)
        code, words = diagnosis.exit_code, diagnosis.verdict
    except UsageError as error:
        code, words = 2, str(error)
    seconds = time.perf_counter() - start
    return Trial(str(recipe), is_broken(recipe, model), code, words, seconds)


def verdict(trial: Trial) -> str:
    if trial.code == 2:
        return "refused"
    return "false alarm" if trial.false_alarm else "false all-clear" if trial.false_all_clear else "right"


def rate(count: int, of: int) -> dict[str, Any]:
    """The share with its exact interval, after Clopper and Pearson (1934)."""
    if not of:
        return {"count": 0, "of": 0, "rate": 0.0, "interval": [0.0, 1.0]}
    interval = stats.binomtest(count, of).proportion_ci(LEVEL, "exact")
    return {"count": count, "of": of, "rate": count / of, "interval": [interval.low, interval.high]}


def summary(trials: list[Trial]) -> dict[str, Any]:
    """The content of rates.json."""
    sound = [t for t in trials if not t.broken]
    broken = [t for t in trials if t.broken]
    seconds = np.array([t.seconds for t in trials])
    return {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "seed": SEED,
        "level": LEVEL,
        "models": len(trials),
        "rates": {
            "false alarms among sound models": rate(sum(t.false_alarm for t in sound), len(sound)),
            "false all-clears among broken models": rate(sum(t.false_all_clear for t in broken), len(broken)),
            "refusals": rate(sum(t.code == 2 for t in trials), len(trials)),
        },
        "refusals": dict(Counter(t.words.split(":")[0] for t in trials if t.code == 2)),
        "seconds": {"median": float(np.median(seconds)), "largest": float(seconds.max())},
        "wrong": [asdict(t) for t in trials if t.false_alarm or t.false_all_clear],
    }


def to_json(trials: list[Trial]) -> str:
    record = summary(trials)
    record.pop("seconds")  # of the machine, and not of the doctor
    for trial in record["wrong"]:
        trial.pop("seconds")
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def to_markdown(trials: list[Trial]) -> str:
    record = summary(trials)
    lines = [
        f"# How often the doctor is wrong, on {record['backend']} with Keras {record['keras']}",
        "",
        f"{len(trials)} random models (seed {record['seed']}), {len({t.about for t in trials})} different: "
        "twelve kinds of heads, with temperatures, caps and dropouts behind them, activations in six forms, "
        "losses of thirteen kinds, four dtype policies, and five ways of putting a model together; some "
        "with a fault on purpose. The truth is found without the doctor: the model itself is trained for a "
        "step at logits up to 1000, and the change of its bias is compared with the derivative of its "
        f"mathematics in float64. Intervals at {LEVEL:.0%}, after Clopper and Pearson.",
        "",
        "| What | Count | Rate | Interval |",
        "| --- | --- | --- | --- |",
    ]
    for what, numbers in record["rates"].items():
        low, high = numbers["interval"]
        lines.append(
            f"| {what} | {numbers['count']} of {numbers['of']} | {numbers['rate']:.1%} "
            f"| {low:.1%} to {high:.1%} |"
        )
    lines += [
        "",
        "Seconds a model: median {median:.2f}, at most {largest:.1f}.".format(**record["seconds"]),
    ]
    lines += [
        "",
        "Refusals: " + (", ".join(f"{k} ({n})" for k, n in record["refusals"].items()) or "none") + ".",
        "",
    ]
    lines += [f"- {verdict(t)}: {t.about}: {t.words}" for t in trials if t.false_alarm or t.false_all_clear]
    return "\n".join(lines).rstrip() + "\n"

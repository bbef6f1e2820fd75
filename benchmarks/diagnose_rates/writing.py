"""rates.json, the table, the figure and the page rates.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.diagnose_rates import drawing
from benchmarks.diagnose_rates.tasks import SHARE
from crosscheck._files import write_atomically
from crosscheck.report import figures, tables

Record = Mapping[str, Any]
COLUMNS = {
    "named": "named rightly",
    "otherwise": "named otherwise",
    "undecided": "undecided",
    "noted": "noted",
    "missed": "missed",
    "refused": "could not look",
    "crashed": "crashed",
}


def write(record: Record, folder: Path) -> None:
    """All that is left in results/diagnose."""
    write_atomically(folder / "rates.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    table = of_faults(record)
    tables.save(table, folder)
    write_atomically(folder / "rates.md", page(record, table))
    with figures.theme():
        figures.save(drawing.figure(record), folder)


def of_faults(record: Record) -> pd.DataFrame:
    """One line a fault."""
    return pd.DataFrame([fault_line(fault) for fault in record["faults"]])


def fault_line(fault: Record) -> dict[str, Any]:
    low, high = fault["not_caught"]["interval"]
    return {
        "row": fault["row"],
        "fault": fault["fault"],
        "decided": fault["decided"],
        "faults": fault["of"],
        **{column: fault[outcome] for outcome, column in COLUMNS.items()},
        "without any ✗": f"{low:.0%} to {high:.0%}" if fault["of"] else "—",
        "caught by size": "; ".join(size_words(size) for size in fault["sizes"]) or "—",
        "harmless": fault["harmless"],
    }


def size_words(size: Record) -> str:
    caught = size["caught"]
    return f"{size['size']:g}: {caught['count']} of {caught['of']}"


def page(record: Record, table: pd.DataFrame) -> str:
    """rates.md: how it was measured, the false alarms, the faults, the seconds, and what others publish."""
    parts = [
        heading(record),
        "\n".join(false_alarm_lines(record["healthy"])),
        "\n".join(kind_lines(record)),
        "![What becomes of each seeded fault](figure.svg)",
        tables.to_markdown(table),
        seconds_words(record["seconds"]),
        "\n".join(published_lines(record)),
        "\n".join(wrong_lines(record)),
    ]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def heading(record: Record) -> str:
    healthy = record["healthy"]
    scope = " Only the exact checks were asked." if record["exact_checks_alone"] else ""
    scope += " Only faults that show in training were seeded." if is_of_training(record) else ""
    if healthy["kept"] < record["asked"]["healthy"]:
        scope += f" {record['asked']['healthy']} healthy programs were asked for: the time ended it before."
    return (
        f"# How often the diagnosis is wrong, on {record['backend']} with Keras {record['keras']}\n\n"
        f"{healthy['drawn']} random programs were drawn (seed {record['seed']}) and trained as they stand; "
        f"{healthy['not_learning']} did not reach their goal ({SHARE:.0%} of the way from the best constant "
        "prediction to a good model, on rows that they had not seen) and were thrown away. "
        "Into the others faults were seeded, one at a time. A fault that comes in sizes counts where the "
        "mutant, trained once, misses the goal that its original reached; a mutant that reaches it is "
        "harmless and is not judged. The others are faults as they are written. "
        "No code of the diagnosis takes part. "
        "Exact faults are put to the exact checks alone, the others to the whole diagnosis. "
        f"Intervals at {record['level']:.0%}, after Clopper and Pearson.{scope}"
    )


def is_of_training(record: Record) -> bool:
    return record["asked"]["decided"] == ["statistical"]


def rate_words(rate: Record) -> str:
    if not rate["of"]:
        return "0 of 0 | — | —"
    low, high = rate["interval"]
    return f"{rate['count']} of {rate['of']} | {rate['rate']:.1%} | {low:.1%} to {high:.1%}"


def false_alarm_lines(healthy: Record) -> Iterator[str]:
    yield "## Healthy programs\n"
    yield "| What | Count | Rate | Interval |\n| --- | --- | --- | --- |"
    yield f"| false alarms: any ✗ | {rate_words(healthy['false_alarms'])} |"
    for check, rate in healthy["by_check"].items():
        yield f"| – by {check} | {rate_words(rate)} |"
    yield f"| some check undecided | {rate_words(healthy['undecided'])} |"
    yield f"| could not look | {rate_words(healthy['refused'])} |"
    yield f"| crashed | {rate_words(healthy['crashed'])} |"
    for check, count in healthy["failed_checks"].items():
        yield f"| – a check ended with an error: {check} | {count} of {healthy['kept']} | | |"


def kind_lines(record: Record) -> Iterator[str]:
    yield "## Programs with a fault\n"
    yield "| Faults | Outcome | Count | Rate | Interval |\n| --- | --- | --- | --- | --- |"
    for kind in record["asked"]["decided"]:
        for outcome, column in COLUMNS.items():
            yield f"| {kind} | {column} | {rate_words(record[kind][outcome])} |"
    if record["not_seeded"]:
        yield f"\nNot seeded, for want of a program to which they apply: {', '.join(record['not_seeded'])}."


def seconds_words(seconds: Record) -> str:
    words = [
        f"{kind} {s['median']:.2f} (median), {s['95 %']:.2f} (95 %), {s['largest']:.2f} (largest)"
        for kind, s in seconds.items()
        if s
    ]
    return f"Seconds a diagnosis, on the machine at hand: {'; '.join(words)}."


def published_lines(record: Record) -> Iterator[str]:
    published = record["published"]
    best, single = published["best"], published["single_truth"]
    yield "## What others publish\n"
    yield f"Of {published['tools']}: [{published['study']}]({published['link']}).\n"
    yield "| Of | Recall | Precision | False alarms on healthy programs |\n| --- | --- | --- | --- |"
    figures_of_best = f"{best['recall']} | {best['precision']} | {published['false_alarms']}"
    yield f"| {best['tool']}, {best['of']} | {figures_of_best} |"
    yield f"| {single['of']} | at most {single['recall']} | at most {single['precision']} | |"
    yield f"| ours | {our_recall(record)} | {our_precision(record)} | {our_alarms(record)} |"
    yield "\nThe protocols differ, so that the lines are beside each other and not to be subtracted:\n"
    yield from (f"- {difference}" for difference in published["differences"])


def our_recall(record: Record) -> str:
    """The share of all seeded faults that was named rightly."""
    counts = [record[kind]["named"] for kind in ("exact", "statistical")]
    of = sum(count["of"] for count in counts)
    return f"{sum(count['count'] for count in counts) / of:.2f}" if of else "—"


def our_precision(record: Record) -> str:
    """Of programs with a fault and a ✗, the share whose ✗ name the fault; healthy ones are a line apart."""
    named = sum(record[kind]["named"]["count"] for kind in ("exact", "statistical"))
    other = sum(record[kind]["otherwise"]["count"] for kind in ("exact", "statistical"))
    return f"{named / (named + other):.2f}" if named + other else "—"


def our_alarms(record: Record) -> str:
    alarms = record["healthy"]["false_alarms"]
    low, high = alarms["interval"]
    return f"{alarms['count']} of {alarms['of']} ({low:.1%} to {high:.1%})"


def wrong_lines(record: Record) -> Iterator[str]:
    yield "## Every program about which it was wrong, or did not say\n"
    for wrong in record["wrong"]:
        fault = f"{wrong['fault']} ({wrong['size']:g})" if wrong["fault"] else "healthy"
        said = "; ".join(wrong["said"]) or wrong["error"] or "no ✗"
        yield f"- {wrong['outcome']}: {fault}, in {wrong['about']} (program {wrong['place']}): {said}"
    if not record["wrong"]:
        yield "None."

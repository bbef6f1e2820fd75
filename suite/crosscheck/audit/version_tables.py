"""The comparison of two versions of Keras as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from crosscheck.audit.contract import USES
from crosscheck.audit.scorecard import USE_OF
from crosscheck.audit.versions import FATES, Change, Comparison
from crosscheck.audit.written_up import Printed

WORDS = {"otherwise": "**otherwise**"}


def to_markdown(comparison: Comparison, scripts: Sequence[Printed]) -> str:
    """Counts by check; what was mended, is new, or changed, each with its input; the scripts that differ."""
    parts = [
        f"# The losses of {comparison.before} beside {comparison.after}",
        *(["\n".join(f"- {packages}" for packages in comparison.run_with)] if comparison.run_with else []),
        f"{comparison.compared} configurations that both have, every check on either side, from runs.",
        "\n".join(f"- **{fate}**: {meaning}." for fate, meaning in FATES.items()),
        counts(comparison),
        *(listed(comparison, fate) for fate in FATES if fate != "unchanged" and comparison.count(fate)),
        *only_one(comparison),
        *written_up(comparison, scripts),
    ]
    return "\n\n".join(parts) + "\n"


def rows_to_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def counts(comparison: Comparison) -> str:
    """A row a check, in the order in which they are asked: how many configurations met which fate."""
    tally = Counter((change.check, change.fate) for change in comparison.changes)
    checks = sorted({change.check for change in comparison.changes}, key=list(USE_OF).index)
    rows = [
        [check, USE_OF[check], *(str(tally[check, fate] or "–") for fate in FATES)]
        for check in sorted(checks, key=lambda check: list(USES).index(USE_OF[check]))
    ]
    total = ["all", "", *(str(comparison.count(fate)) for fate in FATES)]
    return rows_to_table(["check", "use", *FATES], [*rows, total])


def listed(comparison: Comparison, fate: str) -> str:
    """The changes of one fate, those of one check together."""
    changes = [change for change in comparison.changes if change.fate == fate]
    return f"## {fate.capitalize()}\n\n" + "\n".join(line(change) for change in changes)


def line(change: Change) -> str:
    seen = f"{change.before} → {change.after}, at `{shortened(change.at)}`"
    return f"- **{change.check}**, `{change.loss}`: {seen}"


def shortened(text: str, width: int = 160) -> str:
    return text if len(text) <= width else f"{text[:width]}…"


def only_one(comparison: Comparison) -> list[str]:
    sides = {comparison.before: comparison.only_before, comparison.after: comparison.only_after}
    return [
        f"## Only {side}\n\n" + "\n".join(f"- `{title}`" for title in titles)
        for side, titles in sides.items()
        if titles
    ]


def written_up(comparison: Comparison, scripts: Sequence[Printed]) -> list[str]:
    """The scripts of the defects that were written up: a table, then what those print that differ."""
    if not scripts:
        return []
    rows = [
        [f"[{script.title}]({script.file})", script.backend, WORDS.get(script.finding, script.finding)]
        for script in scripts
    ]
    blocks = [
        f"### {script.title}\n\n{fenced(comparison.before, script.backend, script.before)}\n\n"
        f"{fenced(comparison.after, script.backend, script.after)}"
        for script in scripts
        if script.finding == "otherwise"
    ]
    head = "## The scripts of the defects that were written up\n\n"
    return [head + rows_to_table(["defect", "on", "its script prints"], rows), *blocks]


def fenced(side: str, backend: str, output: str) -> str:
    return f"{side.partition(' on ')[0]} on {backend}:\n\n```\n{output}\n```"

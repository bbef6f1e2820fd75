"""What `crosscheck diagnose` does behind its options: a program of a script or of files, and its text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from crosscheck.diagnose._diagnose import examine
from crosscheck.diagnose._findings import Findings
from crosscheck.diagnose._harvest import harvest
from crosscheck.diagnose._saved import program_of_files
from crosscheck.scripts import Call


def diagnose_call(call: Call, expected: dict[str, str], seconds: float, style: str) -> tuple[str, int]:
    """The text on a script that was stopped at its `fit`, and the exit code."""
    program = harvest(call)
    findings = examine(program, expected, seconds)
    return written(findings, style, program.place, call.translated), findings.exit_code


def diagnose_files(
    model: Path,
    data: Path,
    history: Path | None,
    modules: Sequence[str],
    expected: dict[str, str],
    seconds: float,
    style: str,
) -> tuple[str, int]:
    """The text on a saved model and its data, and the exit code."""
    program = program_of_files(model, data, history, modules)
    findings = examine(program, expected, seconds)
    return written(findings, style, program.place), findings.exit_code


def written(findings: Findings, style: str, place: str, translated: Sequence[str] = ()) -> str:
    """The findings as "text", "json" or "markdown", with the old names of Keras that were translated."""
    if style == "json":
        record = {"place": place, "translated": list(translated)} | json.loads(findings.to_json())
        return json.dumps(record, indent=2, ensure_ascii=False)
    body = findings.to_markdown() if style == "markdown" else str(findings)
    return "\n".join(filter(None, [body, *(f"translated: {line}" for line in translated)]))

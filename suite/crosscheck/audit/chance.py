"""A loss that gives other numbers each time it is called: what compares two calls of it cannot tell why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crosscheck.audit.contract import Finding, could_not_look

CHECK = "deterministic"
WHY = "cannot tell: the loss gives other numbers for the same inputs, see `deterministic`"
REMEDY = "make it a function of labels and predictions alone, and ask again"


def apart_from_chance(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings; where the loss is not deterministic, failures of numbers that differ become open."""
    is_random = any((finding.check, finding.verdict) == (CHECK, "failed") for finding in findings)
    return tuple(
        could_not_look(
            finding.check, f"{WHY}; here {finding.measured}, expected {finding.expected}", REMEDY, finding.at
        )
        if is_random and finding.check != CHECK and compares_numbers(finding)
        else finding
        for finding in findings
    )


def compares_numbers(finding: Finding) -> bool:
    """Whether it failed because one number, or one list of them, is not another."""
    is_lost = str(finding.measured).startswith("a loss of ")  # what a rebuilt loss gives
    is_pair = is_number(finding.measured) and is_number(finding.expected)
    return finding.verdict == "failed" and (is_lost or is_pair)


def is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, str) and value.startswith("["))

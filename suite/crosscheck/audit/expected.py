"""Failures that a user expects, each with its reason, as scikit-learn's `expected_failed_checks`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from crosscheck.audit.contract import Finding, failed
from crosscheck.errors import UsageError


def parse_expected(items: Iterable[str]) -> dict[str, str]:
    """{check: reason} of items `check=reason`.

    Raises:
        UsageError: where an item has no reason.
    """
    pairs = [item.partition("=") for item in items]
    for name, _, reason in pairs:
        if not reason.strip():
            raise UsageError(
                f"Expect a failure with its reason, as in '{name or 'proper'}=it is a margin loss'."
            )
    return {name.strip(): reason.strip() for name, _, reason in pairs}


def require_known(expected_failures: Mapping[str, str], checks: Collection[str]) -> None:
    """Raises UsageError where a failure is expected of a check that there is not, or without a reason."""
    unknown = sorted(set(expected_failures) - set(checks))
    if unknown:
        raise UsageError(f"There is no check {unknown[0]!r}. There are: {', '.join(checks)}.")
    without_reason = [name for name, reason in expected_failures.items() if not str(reason).strip()]
    if without_reason:
        raise UsageError(f"The failure of {without_reason[0]!r} is expected without a reason; give one.")


def as_expected(finding: Finding, expected_failures: Mapping[str, str], strict: bool) -> Finding:
    """The finding with the reason for which it was to fail; strictly, one that does not fail then fails.

    A check that does not apply cannot fail as expected either.
    """
    reason = expected_failures.get(finding.check)
    if reason is None or finding.verdict == "could not look":
        return finding
    if finding.verdict == "failed":
        return replace(finding, verdict="expected", reason=reason)
    if not strict:
        return finding
    return failed(
        finding.check,
        "the list of expected failures",
        measured=finding.verdict,
        expected=f"failed: {reason}",
        note=finding.note,
        cause="a failure was expected, and did not come",
        remedy="take it off the list",
    )

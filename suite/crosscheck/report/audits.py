"""What the loss audit has left in results/audit, for the report: scorecards, and the defects it wrote up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crosscheck.claims.claim import BACKEND_NAMES
from crosscheck.errors import UsageError
from crosscheck.report import schema

SIGNS = {"passed": "✓", "failed": "✗", "not applicable": "–"}
TOLD = {"at": "", "cause": "", "remedy": "", "measured": None, "expected": None}  # left out where empty
VALUE = (int, float, str, type(None))
FINDING = {
    **{"check": str, "verdict": set(SIGNS), "at?": str, "cause?": str, "remedy?": str},
    **{"measured?": VALUE, "expected?": VALUE},
}
CARD = {
    **{"loss": str, "config": {}, "kind": str, "backend": str, "keras": str, "checks": schema.Each(FINDING)},
    "failed": {"valid": int},
}


def read(folder: Path) -> dict[str, Any] | None:
    """Scorecards and defects under results/audit; None where no audit has been run.

    Raises:
        UsageError: where its file is broken or not ours.
    """
    place = folder / "audit" / "audit.json"
    if not place.exists():
        return None
    try:
        cards = json.loads(place.read_text(encoding="utf-8"), parse_constant=schema.refuse)
        schema.conform(cards, schema.Each(CARD), "the file")
        if not isinstance(cards, list) or not cards:
            raise ValueError("it holds no scorecards")
    except (OSError, ValueError, RecursionError) as error:
        remedy = "Move it away, or write it afresh with `crosscheck audit`."
        raise UsageError(f"{place} is not an audit written by crosscheck: {error}. {remedy}") from error
    lines = [line(card) for card in cards]
    return {
        "keras": cards[0]["keras"],
        "backend": BACKEND_NAMES.get(cards[0]["backend"], cards[0]["backend"]),
        "checks": list(dict.fromkeys(found["check"] for card in cards for found in card["checks"])),
        "lines": lines,
        "sound": sum(card["failed"]["valid"] == 0 for card in cards),
        "defects": list(defects(place.parent / "defects")),
    }


def line(card: dict[str, Any]) -> dict[str, Any]:
    """A loss with the sign of each check, and what failed."""
    given = ", ".join(f"{key}={value!r}" for key, value in card["config"].items())
    return {
        "name": card["loss"].rpartition(":")[2],
        "given": given,
        "kind": card["kind"],
        "signs": {found["check"]: SIGNS[found["verdict"]] for found in card["checks"]},
        "failed": [TOLD | found for found in card["checks"] if found["verdict"] == "failed"],
    }


def defects(folder: Path) -> Iterator[dict[str, str]]:
    """The defects' reports: the first line of each is its title."""
    for file in sorted(folder.glob("*.md")):
        title, _, text = file.read_text(encoding="utf-8", errors="replace").partition("\n")
        yield {"file": file.name, "title": title.removeprefix("# ").strip(), "text": text.strip()}

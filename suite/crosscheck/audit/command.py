"""`crosscheck audit`: from a loss's name, or none, to its scorecard."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from crosscheck._files import write_atomically
from crosscheck.audit import elsewhere, scorecard, tables
from crosscheck.audit.subjects import builtins, loaded
from crosscheck.errors import UsageError


def one(
    target: str, kind: str | None, config: str, as_json: bool, theory: str | None = None
) -> tuple[str, bool]:
    """The scorecard of a user's loss, and whether it is sound.

    Raises:
        UsageError: where the loss cannot be had.
    """
    (subject,) = elsewhere.compared(
        [loaded(target, kind, arguments(config), theory)], keras.backend.backend()
    )
    card = scorecard.scorecard(subject)
    return scorecard.to_json([card]) if as_json else str(card), card.sound


def every(folder: Path, tell: Callable[[str], Any]) -> bool:
    """Keras' own losses, into audit.json and table.md of a folder; whether all are sound.

    On another backend than TensorFlow the files bear its name.
    """
    cards = []
    for each in elsewhere.compared(builtins(), keras.backend.backend()):
        card = scorecard.scorecard(each, beside=False)
        count = len(card.failures())
        tell(f"{count:3} of {len(card.findings)} checks failed  {scorecard.named(each)}")
        cards.append(card)
    backend = keras.backend.backend()
    ending = "" if backend == "tensorflow" else f"-{backend}"
    write_atomically(folder / f"audit{ending}.json", scorecard.to_brief_json(cards))
    write_atomically(folder / f"table{ending}.md", tables.to_markdown(cards))
    return all(card.sound for card in cards)


def measured(count: int, folder: Path, tell: Callable[[str], Any]) -> bool:
    """The audit's own error rates, into rates.json and rates.md of a folder; whether it was never wrong."""
    from benchmarks.audit_rates import measure

    out = sys.stdout

    def aloud(line: str) -> None:
        with contextlib.redirect_stdout(out):
            tell(line)

    with contextlib.redirect_stdout(io.StringIO()):  # some of these losses print
        found = measure.trials(count, aloud)
    write_atomically(folder / "rates.json", measure.to_json(found))
    write_atomically(folder / "rates.md", measure.to_markdown(found))
    return not any(each.wrong for each in found)


def arguments(config: str) -> dict[str, Any]:
    try:
        found = json.loads(config)
    except ValueError as error:
        raise UsageError(f"--config is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError("--config must be a JSON object, as in '{\"alpha\": 0.3}'.")
    return found

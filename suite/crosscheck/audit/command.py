"""`crosscheck audit`: audits the loss that a user names, or all losses that Keras ships."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from crosscheck._files import write_atomically
from crosscheck.audit import other_backends, scorecard, tables
from crosscheck.audit.subjects import keras_subjects, load_subject
from crosscheck.errors import UsageError


def audit_loss(
    target: str, kind: str | None, config: str, as_json: bool, theory: str | None = None
) -> tuple[str, bool]:
    """The scorecard of the loss `package.module:Name` as text or JSON, and whether the loss is sound.

    Raises:
        UsageError: where the loss cannot be imported or made, or `config` is no JSON object.
    """
    subject = load_subject(target, kind, parse_config(config), theory)
    (subject,) = other_backends.with_other_backends([subject], keras.backend.backend())
    card = scorecard.scorecard(subject)
    return scorecard.to_json([card]) if as_json else str(card), card.sound


def audit_keras_losses(folder: Path, report: Callable[[str], Any]) -> bool:
    """Audits Keras' own losses and writes audit.json and table.md into a folder; whether all are sound.

    On another backend than TensorFlow the files bear its name. `report` gets a line for each loss.
    """
    cards = []
    for subject in other_backends.with_other_backends(keras_subjects(), keras.backend.backend()):
        card = scorecard.scorecard(subject, beside=False)
        failed = len(card.failures())
        report(f"{failed:3} of {len(card.findings)} checks failed  {scorecard.title_of(subject)}")
        cards.append(card)
    backend = keras.backend.backend()
    ending = "" if backend == "tensorflow" else f"-{backend}"
    write_atomically(folder / f"audit{ending}.json", scorecard.to_brief_json(cards))
    write_atomically(folder / f"table{ending}.md", tables.to_markdown(cards))
    return all(card.sound for card in cards)


def parse_config(text: str) -> dict[str, Any]:
    """The constructor arguments in a JSON object.

    Raises:
        UsageError: where the text is no JSON object.
    """
    try:
        config = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--config is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise UsageError("--config must be a JSON object, as in '{\"alpha\": 0.3}'.")
    return config

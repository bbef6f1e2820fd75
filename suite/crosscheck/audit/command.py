"""`crosscheck audit`: audits the loss that a user names, or all losses that Keras ships."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from msgspec import structs

from crosscheck._files import write_atomically
from crosscheck.audit import other_backends, scorecard, tables, version_tables, versions, written_up
from crosscheck.audit.expected import parse_expected
from crosscheck.audit.subjects import Told, keras_subjects, load_subject
from crosscheck.errors import UsageError

WRITTEN_UP = ("defects", "said")  # found by the audit; said elsewhere, and none of its questions


def audit_loss(
    target: str,
    told: Told,
    config: Mapping[str, Any],
    as_json: bool,
    expected_failures: Mapping[str, str],
    strict: bool = False,
) -> tuple[str, int]:
    """The scorecard of the loss `package.module:Name` as text or JSON, and the exit code.

    Raises:
        UsageError: where the loss cannot be imported or made.
    """
    subject = load_subject(target, told, config)
    (subject,) = other_backends.with_other_backends([subject], keras.backend.backend())
    card = scorecard.scorecard(subject, expected_failures=expected_failures, strict=strict)
    return scorecard.to_json([card]) if as_json else str(card), card.exit_code


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


def compare_versions(
    others: Sequence[Path], arguments: Sequence[str], out: Path, report: Callable[[str], Any]
) -> int:
    """What other Pythons' Keras makes of the losses, beside this one's; the exit code.

    Args:
        others: one side, to be held against this Python, or two; a Python, or the JSON that an audit left.
        arguments: of `crosscheck audit` that name one loss; none for Keras' own losses, whose comparison is
            written to versions.json and versions.md.
        out: the folder; the scripts of what is written up in its `WRITTEN_UP` are run, too.
        report: gets a line at a time.

    Raises:
        UsageError: where there are more than two, a file is no audit, a Python cannot audit, or both have the
            same Keras.
    """
    if len(others) > 2:
        raise UsageError("--against compares two: give one other, or two that are held against each other.")
    sides = [Path(sys.executable), *others] if len(others) == 1 else list(others)
    backend = keras.backend.backend()
    comparison = versions.compare(*versions.sides(sides, arguments, backend, report))
    report(versions.to_text(comparison))
    if not arguments:
        printed = []
        if not any(map(versions.is_saved, sides)):
            packages = [versions.packages_under(side, backend) for side in sides]
            comparison = structs.replace(comparison, run_with=packages)
            printed = scripts_under(sides, out, backend, report)
        write_atomically(out / "versions.json", versions.to_json(comparison, printed))
        write_atomically(out / "versions.md", version_tables.to_markdown(comparison, printed))
    return comparison.exit_code


def scripts_under(
    pythons: Sequence[Path], out: Path, backend: str, report: Callable[[str], Any]
) -> list[written_up.Printed]:
    return [
        printed
        for name in WRITTEN_UP
        for printed in written_up.run_scripts(out / name, pythons, backend, report)
    ]


def parse_told(
    kind: str | None,
    theory: str | None,
    from_logits: bool | None,
    class_weights: str | None,
    axes: int | None,
) -> Told:
    """What the command line says of a loss.

    Raises:
        UsageError: where the class weights are no JSON list or object of numbers.
    """
    if class_weights is None:
        return Told(kind, theory, from_logits, None, axes)
    try:
        weights = json.loads(class_weights)
        numbers = list(weights.values()) if isinstance(weights, dict) else list(weights)
        if not numbers or not all(isinstance(number, (int, float)) for number in numbers):
            raise ValueError("they are no numbers")
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"--class-weights is a JSON list or object of numbers, as in '[0.5, 2, 10]': {error}"
        ) from error
    return Told(kind, theory, from_logits, weights, axes)


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


__all__ = [
    "audit_keras_losses",
    "audit_loss",
    "compare_versions",
    "parse_config",
    "parse_expected",
    "parse_told",
]

"""All checks on a loss, beside the nearest loss of Keras, as text and as data."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from crosscheck.audit.chance import apart_from_chance
from crosscheck.audit.checks import theory, use
from crosscheck.audit.contract import OF_KERAS, USES, Finding, LossCheck, Subject, Use, run_check, run_checks
from crosscheck.audit.expected import as_expected, require_known
from crosscheck.audit.recognition import recognise
from crosscheck.audit.subjects import subject_of

CHECKS: tuple[LossCheck, ...] = (*theory.CHECKS, *use.CHECKS)
USE_OF: dict[str, Use] = {"call": "valid", "input": "valid", **{check.id: check.use for check in CHECKS}}
SIGNS = {
    "passed": "passed",
    "failed": "FAILED",
    "described": "described",
    "not applicable": "–",
    "could not look": "COULD NOT LOOK",
    "expected": "expected",
}
TOLD_BESIDE = ("described", "could not look")


@dataclasses.dataclass(frozen=True)
class Scorecard:
    """The findings of all checks about a loss, and about the nearest loss that Keras ships.

    Attributes:
        beside: the name of the loss of Keras; "" where none was asked for.
        theirs: the findings about that one.
    """

    subject: Subject
    findings: tuple[Finding, ...]
    beside: str = ""
    theirs: tuple[Finding, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing failed, and every check could look."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 where it is sound, 1 where a check failed, 2 where none did but one could not look."""
        if self.failures():
            return 1
        return 2 if self.unseen() else 0

    def unseen(self) -> list[Finding]:
        """The findings of checks that could not look."""
        return [finding for finding in self.findings if finding.verdict == "could not look"]

    def failures(self, use: Use | None = None) -> list[Finding]:
        """The findings that failed, of all checks or of those of one use."""
        return [
            finding
            for finding in self.findings
            if finding.verdict == "failed" and use in (None, USE_OF[finding.check])
        ]

    def to_dict(self, brief: bool = False) -> dict[str, Any]:
        """The scorecard for JSON; `brief` leaves out the notes of what passed."""
        subject = self.subject
        beside = {"loss": self.beside, "checks": [finding_to_dict(finding, brief) for finding in self.theirs]}
        return {
            "loss": subject.name,
            "config": subject.config,
            "kind": subject.kind,
            "from_logits": subject.from_logits,
            "evidence": subject.evidence,
            "values": subject.values,
            "theory": subject.theory,
            "parameters": subject.parameters,
            **({"class_weights": list(subject.class_weights)} if subject.class_weights else {}),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "failed": {name: len(self.failures(name)) for name in USES},
            "checks": [finding_to_dict(finding, brief) for finding in self.findings],
            **({"beside": beside} if self.beside else {}),
        }

    def __str__(self) -> str:
        lines = [headline(self.subject), self.verdict_line()]
        for name, meaning in USES.items():
            of_use = self.lines(name)
            lines += ["", f"{name}: {meaning}", *of_use] if of_use else []
        return "\n".join(lines)

    def verdict_line(self) -> str:
        if self.subject.obstacle:
            is_fault = self.subject.obstacle.verdict == "failed"
            return self.subject.obstacle.cause if is_fault else "it could not be looked at"
        counts = [(sum(finding.verdict == what for finding in self.findings), what) for what in TOLD_BESIDE]
        beside = [f"{count} {what}" for count, what in counts if count]
        return ", ".join([f"{len(self.failures())} of {len(self.findings)} checks failed", *beside])

    def lines(self, use: Use) -> list[str]:
        verdicts_beside = {finding.check: SIGNS[finding.verdict] for finding in self.theirs}
        lines = []
        for finding in self.findings:
            if USE_OF[finding.check] == use:
                beside = verdicts_beside.get(finding.check, "")
                lines.append(f"{finding.check:20}{SIGNS[finding.verdict]:12}{beside}".rstrip())
                lines += [f"{'':4}{line}" for line in detail_lines(finding)]
        return [f"{'':20}{'this loss':12}{self.beside}", *lines] if lines and self.beside else lines


def headline(subject: Subject) -> str:
    """What the loss is taken for, and why."""
    title = f"{title_of(subject)}: {subject.kind}"
    if subject.obstacle:
        return f"{title}, on {keras.backend.backend()}"
    inputs = "logits" if subject.from_logits else "probabilities"
    evidence = f" ({subject.evidence})" if subject.evidence else ""
    return f"{title}, of {inputs}{evidence}, {claim_of(subject)}, on {keras.backend.backend()}"


def claim_of(subject: Subject) -> str:
    """In words, what it is held against."""
    if subject.reverse:
        return f"the reverse of {subject.reverse}: labels and predictions are exchanged"
    if not subject.theory:
        unknown = "of no theory that is known here: what it is by design is described, not judged"
        told = f"; told class weights {list(subject.told_weights)} are judged" if subject.told_weights else ""
        return unknown + told
    factor = subject.parameters.get("factor")
    parameters = [f"{k} = {v:.6g}" for k, v in subject.parameters.items() if k != "factor"]
    words = [subject.theory, *parameters]
    words += [f"{factor:.6g} times it"] if factor else []
    words += [f"class weights {list(subject.class_weights)}"] if subject.class_weights else []
    return f"held against {', '.join(words)}"


def title_of(subject: Subject) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in subject.config.items())
    return f"{subject.name}({arguments})" if subject.is_class else subject.name


def detail_lines(finding: Finding) -> list[str]:
    """The lines below a check: input, numbers, cause and remedy where it failed, else what it examined."""
    if finding.verdict == "expected":
        return [f"failed as expected: {finding.reason}"]
    if finding.verdict == "could not look":
        return [finding.note, *([f"remedy: {finding.remedy}"] if finding.remedy else [])]
    if finding.verdict not in ("failed", "described"):
        measured = (
            "" if str(finding.measured) in f"{finding.note} None" else f": {format_number(finding.measured)}"
        )
        return [f"{finding.note}{measured}"] if finding.note else []
    expected = "" if finding.expected is None else f", expected {format_number(finding.expected)}"
    examined_line = [f"what: {finding.note}"] if finding.note else []
    cause_line = [f"cause: {finding.cause}"] if finding.cause else []
    remedy_line = [f"remedy: {finding.remedy}"] if finding.remedy else []
    return [
        f"at {finding.at}",
        f"measured {format_number(finding.measured)}{expected}",
        *examined_line,
        *cause_line,
        *remedy_line,
    ]


def format_number(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def finding_to_dict(finding: Finding, brief: bool = False) -> dict[str, Any]:
    record = {
        "check": finding.check,
        "use": USE_OF[finding.check],
        **{key: for_json(value) for key, value in dataclasses.asdict(finding).items() if key != "check"},
    }
    if not brief:
        return record
    left_out = {"use", "note"} if finding.verdict == "passed" else {"use"}
    return {key: value for key, value in record.items() if value not in ("", None) and key not in left_out}


def for_json(value: Any) -> Any:
    """JSON knows neither NaN nor infinity; seven digits are what float32 has."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.7g}") if math.isfinite(value) else str(value)


def run_all_checks(subject: Subject) -> tuple[Finding, ...]:
    """The findings of all checks; what the loss prints is kept off the terminal."""
    with contextlib.redirect_stdout(io.StringIO()):
        return apart_from_chance(run_checks(CHECKS, subject))


def audit(
    loss: Any,
    kind: str | None = None,
    theory: str | None = None,
    beside: bool = True,
    class_weights: Any = None,
    axes: int | None = None,
    expected_failures: Mapping[str, str] | None = None,
    strict: bool = False,
    **config: Any,
) -> Scorecard:
    """Runs all checks on a loss; `print` the scorecard, or ask `.sound` and `.failures()`.

    Args:
        loss: a `keras.losses.Loss`, its class, or a function of (y_true, y_pred).
        kind: "binary", "categorical", "sparse", "multilabel" or "ordinal" (class numbers, K − 1 logits);
            from the name or the values where not given.
        theory: what the loss is meant to be: "focal", "hinge", …, or your own formula as "module:function";
            recognised by its values where not given.
        beside: whether the nearest loss of Keras is asked the checks that failed, too.
        class_weights: the weights by which the loss multiplies its theory, one a class; (w₀, w₁) for binary.
        axes: how many axes lie between the examples and the classes; tried where not given.
        expected_failures: {check: reason} of checks that are to fail; they do not make it unsound.
        strict: whether an expected failure that does not come is one.
        config: constructor arguments, of a class or a function. `from_logits` tells what predictions are
            where the loss has no such argument.

    Raises:
        UsageError: where the kind cannot be inferred, or the loss cannot be made.
    """
    subject = subject_of(loss, kind, theory, class_weights, axes, **config)
    return scorecard(subject, beside, expected_failures, strict)


def scorecard(
    subject: Subject,
    beside: bool = True,
    expected_failures: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Scorecard:
    """The scorecard of a subject and, unless `beside` is False, what Keras' nearest makes of its faults."""
    expected_failures = expected_failures or {}
    require_known(expected_failures, [check.id for check in CHECKS])
    findings = tuple(as_expected(found, expected_failures, strict) for found in run_all_checks(subject))
    failed = {finding.check for finding in findings if finding.verdict == "failed"}
    asked = failed if beside else {check for check in failed if USE_OF[check] == "misuse"}
    neighbour = nearest(subject)
    if neighbour is None or not (beside or asked):
        return Scorecard(subject, findings)
    neighbour = recognise(neighbour) if asked else neighbour
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = tuple(run_checks([check for check in CHECKS if check.id in asked], neighbour))
    findings = tuple(as_shared(finding, subject, theirs, neighbour) for finding in findings)
    return Scorecard(subject, findings, *((title_of(neighbour), theirs) if beside else ()))


def judge(check: LossCheck, subject: Subject) -> Finding:
    """The finding of one check as a scorecard holds it."""
    finding, neighbour = run_check(check, subject), nearest(subject)
    if finding.verdict != "failed" or check.use != "misuse" or neighbour is None:
        return finding
    return as_shared(finding, subject, [run_check(check, recognise(neighbour))], neighbour)


def nearest(subject: Subject) -> Subject | None:
    """The loss of Keras beside which a loss is shown; None where there is none."""
    if subject.obstacle or subject.kind == "ordinal" or subject.axes:
        return None
    return use.nearest_keras_loss(subject)


def as_shared(finding: Finding, subject: Subject, theirs: Iterable[Finding], neighbour: Subject) -> Finding:
    """A failure under misuse that Keras' own loss has as well is described: no fault that this loss adds.

    On valid use, and with other arguments, it is a failure whoever shares it. Keras' own losses fail for it.
    """
    if finding.verdict != "failed" or USE_OF[finding.check] != "misuse" or subject.evidence == OF_KERAS:
        return finding
    if not any((other.check, other.verdict) == (finding.check, "failed") for other in theirs):
        return finding
    shared = f"no fault that this loss adds, for {title_of(neighbour)} fails it too"
    note = f"{finding.note}; {shared}" if finding.note else shared
    return dataclasses.replace(finding, verdict="described", note=note)


def to_json(cards: Iterable[Scorecard]) -> str:
    return json.dumps([card.to_dict() for card in cards], indent=1, ensure_ascii=False, default=str) + "\n"


def to_brief_json(cards: Iterable[Scorecard]) -> str:
    """A line a finding: of all losses together it stays readable, and small."""
    return "[\n" + ",\n".join(to_brief_object(card) for card in cards) + "\n]\n"


def to_brief_object(card: Scorecard) -> str:
    record = card.to_dict(brief=True)
    checks = ",\n  ".join(
        json.dumps(check, ensure_ascii=False, default=str) for check in record.pop("checks")
    )
    head = json.dumps(record, ensure_ascii=False, default=str)
    return f'{head[:-1]}, "checks": [\n  {checks}]}}'

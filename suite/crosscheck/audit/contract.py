"""What the audit's parts say to each other: the loss at hand, a check, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from crosscheck.audit.theories import Theory

Kind = Literal["binary", "categorical", "sparse", "multilabel"]
KINDS: tuple[Kind, ...] = ("binary", "categorical", "sparse", "multilabel")
Verdict = Literal["passed", "failed", "not applicable"]
Use = Literal["valid", "other arguments", "misuse"]
USES: Mapping[Use, str] = {
    "valid": "the loss as configured, with labels and shapes that its documentation allows",
    "other arguments": "constructor arguments that the configuration leaves alone, and whether they are kept",
    "misuse": "labels, shapes, predictions or arguments that are none: right, NaN or an error",
}


@dataclass(frozen=True)
class Subject:
    """A loss to be checked.

    Attributes:
        name: what the user called it: `mypackage.losses:MyLoss`.
        make: a fresh loss, called with constructor arguments that replace those of `config`; for a function
            the function itself, and arguments are bound to it.
        kind: what the labels are: "binary" [B, 1] in {0, 1}, "categorical" [B, K] one-hot or soft, "sparse"
            [B] integers, "multilabel" [B, L] in {0, 1}.
        from_logits: whether predictions are logits; else probabilities, behind a sigmoid or a softmax.
        theory: what it claims to be: a key of `crosscheck.audit.theories.THEORIES`, or the name of the user's
            own `formula`; None where nothing is known.
        config: constructor arguments; `is_class`: whether it is a `keras.losses.Loss`, not a function.
        parameters: of the theory, such as {"gamma": 2.0}; "factor" where the loss is that many times its
            theory.
        formula: the user's own theory; None for one of ours.
        elsewhere: what the same loss gives on the other backends, from
            `crosscheck.audit.elsewhere`; None where nobody asked.
    """

    name: str
    make: Callable[..., Callable[[Any, Any], Any]]
    kind: Kind
    from_logits: bool
    theory: str | None
    config: dict[str, Any] = field(default_factory=dict)
    is_class: bool = True
    parameters: dict[str, float] = field(default_factory=dict)
    formula: Theory | None = None
    elsewhere: Callable[[], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: its id; `verdict`: passed, failed or not applicable, never silence.
        at: the first, else the smallest, input at which it was seen to fail, as a user could type it; ""
            where it passes.
        measured, expected: the numbers there; `threshold`: what the difference was held against.
        note: what was examined, or why the check does not apply.
        cause, remedy: in one line each where recognised.
    """

    check: str
    verdict: Verdict
    at: str = ""
    measured: float | str | None = None
    expected: float | str | None = None
    threshold: float | None = None
    note: str = ""
    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Check:
    """One question put to a loss: `ask(subject)` gives a finding; what it raises counts as failed.

    `use` says what is put to it: a sound loss may be asked anything on valid use; what it owes to misuse is
    not to answer silently with a wrong number.
    """

    id: str
    statement: str
    ask: Callable[[Subject], Finding]
    use: Use = "valid"


class NoExamples(ValueError):
    """The loss gives no value for each example: what looks at single examples cannot be asked."""


def passed(check: str, note: str, **numbers: Any) -> Finding:
    return Finding(check, "passed", note=note, **numbers)


def failed(check: str, at: str, **said: Any) -> Finding:
    return Finding(check, "failed", at=at, **said)


def not_applicable(check: str, why: str) -> Finding:
    return Finding(check, "not applicable", note=why)


def asked(checks: Iterable[Check], subject: Subject) -> list[Finding]:
    """The findings of all checks; one that raises has failed, and the others go on.

    Raises:
        RuntimeError: where a check speaks under another name: silence must not look like soundness.
    """
    found = []
    for check in checks:
        found.append(finding_of(check, subject))
        if found[-1].check != check.id:
            raise RuntimeError(f"The check {check.id!r} gave a finding of {found[-1].check!r}.")
    return found


def finding_of(check: Check, subject: Subject) -> Finding:
    try:
        return check.ask(subject)
    except NoExamples as error:
        return not_applicable(check.id, f"{error}; see `per example`")
    except Exception as error:
        line = str(error).strip().splitlines()[:1]
        return failed(check.id, "the call itself", measured=f"{type(error).__name__}: {' '.join(line)[:300]}")

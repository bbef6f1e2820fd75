"""The words of the audit: a `Subject` is the loss, a `LossCheck` a question, a `Finding` its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from crosscheck.audit.theories import THEORIES, LossTheory, ValueAndGradient, evaluate

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
        theory: the name of what it claims to be: a key of `crosscheck.audit.theories.THEORIES`, or that of
            `own_theory`; None where nothing is known.
        config: constructor arguments; `is_class`: whether it is a `keras.losses.Loss`, not a function.
        parameters: of the theory, such as {"gamma": 2.0}; "factor" where the loss is that many times its
            theory.
        own_theory: the user's own theory; None for one of ours.
        other_backends: returns what the same loss gives on the other backends, by their names; None where
            they are not to be asked (`crosscheck.audit.other_backends`).
    """

    name: str
    make: Callable[..., Callable[[Any, Any], Any]]
    kind: Kind
    from_logits: bool
    theory: str | None
    config: dict[str, Any] = field(default_factory=dict)
    is_class: bool = True
    parameters: dict[str, float] = field(default_factory=dict)
    own_theory: LossTheory | None = None
    other_backends: Callable[[], Mapping[str, Any]] | None = None

    @property
    def claimed(self) -> LossTheory | None:
        """The theory that it claims to follow: the user's own, or one of `THEORIES`; None where unknown."""
        return self.own_theory or (THEORIES[self.theory] if self.theory else None)

    def expected(self, z: np.ndarray, y: np.ndarray) -> ValueAndGradient | None:
        """Exact value and gradient of the claimed theory at logits and labels [N, K]; None where unknown.

        The "factor" among `parameters` is left out.
        """
        return None if self.claimed is None else evaluate(self.claimed, self.parameters, z, y)


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
class LossCheck:
    """One question put to a loss: `ask(subject)` returns a finding; an exception counts as failed.

    `use` says what kind of call is examined. On valid use a sound loss gives the right number; on misuse it
    may raise or give NaN, but not silently another number.
    """

    id: str
    statement: str
    ask: Callable[[Subject], Finding]
    use: Use = "valid"


class NotPerExample(ValueError):
    """Raised where the loss does not give one value per example, as checks of single examples need."""


def passed(check: str, note: str, **numbers: Any) -> Finding:
    return Finding(check, "passed", note=note, **numbers)


def failed(check: str, at: str, **details: Any) -> Finding:
    return Finding(check, "failed", at=at, **details)


def not_applicable(check: str, reason: str) -> Finding:
    return Finding(check, "not applicable", note=reason)


def run_checks(checks: Iterable[LossCheck], subject: Subject) -> list[Finding]:
    """The findings of all checks, one each; a check that raises has failed, and the others go on.

    Raises:
        RuntimeError: where a check returns a finding under another name, so that its own would be missing.
    """
    findings = []
    for check in checks:
        findings.append(run_check(check, subject))
        if findings[-1].check != check.id:
            raise RuntimeError(f"The check {check.id!r} gave a finding of {findings[-1].check!r}.")
    return findings


def run_check(check: LossCheck, subject: Subject) -> Finding:
    """The finding of one check; failed where it raises, not applicable where it raises `NotPerExample`."""
    try:
        return check.ask(subject)
    except NotPerExample as error:
        return not_applicable(check.id, f"{error}; see `per example`")
    except Exception as error:
        first_line = str(error).strip().splitlines()[:1]
        return failed(
            check.id, "the call itself", measured=f"{type(error).__name__}: {' '.join(first_line)[:300]}"
        )

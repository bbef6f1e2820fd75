"""The words of the audit: a `Subject` is the loss, a `LossCheck` a question, a `Finding` its answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_tb
from typing import Any, Literal

import numpy as np

from crosscheck.audit.theories import THEORIES, LossTheory, ValueAndGradient, evaluate

Kind = Literal["binary", "categorical", "sparse", "multilabel", "ordinal"]
KINDS: tuple[Kind, ...] = ("binary", "categorical", "sparse", "multilabel", "ordinal")
Verdict = Literal["passed", "failed", "described", "not applicable", "could not look", "expected"]
Values = Literal["one each", "one for all", "coupled"]
HERE = str(Path(__file__).parent)
HELPERS = ("/numpy/", "/mpmath/", "/json/", "/inspect.py", "/pathlib.py", "/tempfile.py")
OF_KERAS = "one of Keras' own"  # as evidence of what a loss takes
REPORT = "tell the authors of crosscheck: the other findings stand"
Use = Literal["valid", "other arguments", "misuse"]
USES: Mapping[Use, str] = {
    "valid": "the loss as configured, with labels and shapes that its documentation allows",
    "other arguments": "constructor arguments that the configuration leaves alone, and whether they are kept",
    "misuse": "labels, shapes, predictions or arguments that are none: right, NaN or an error",
}


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: its id; `verdict`: passed, failed, described (no fault of the loss, and the user must know it),
            not applicable, could not look, or failed as expected; never silence.
        at: the first, else the smallest, input at which it was seen to fail, as a user could type it; ""
            where it passes.
        measured, expected: the numbers there; `threshold`: what the difference was held against.
        note: what was examined, or why the check does not apply.
        cause, remedy: in one line each where recognised.
        reason: why its failure was expected.
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
    reason: str = ""


@dataclass(frozen=True)
class Subject:
    """A loss to be checked.

    Attributes:
        name: what the user called it: `mypackage.losses:MyLoss`.
        make: a fresh loss, called with constructor arguments that replace those of `config`; for a function
            the function itself, and arguments are bound to it.
        kind: what the labels are: "binary" [B, 1] in {0, 1}, "categorical" [B, K] one-hot or soft, "sparse"
            [B] integers, "multilabel" [B, L] in {0, 1}, "ordinal" [B] integers beside K − 1 logits.
        from_logits: whether predictions are logits; else probabilities, behind a sigmoid or a softmax.
        theory: the name of what it claims to be: a key of `crosscheck.audit.theories.THEORIES`, or that of
            `own_theory`; None where nothing is known.
        config: constructor arguments; `is_class`: whether it is a `keras.losses.Loss`, not a function.
        parameters: of the theory, such as {"gamma": 2.0}; "factor" where the loss is that many times its
            theory.
        own_theory: the user's own theory; None for one of ours.
        told: whether the user said what it is meant to be; a theory that is merely recognised is no claim
            about its factor, nor about soft labels.
        class_weights: by which the theory is multiplied, class by class; () for none.
        told_weights: the class weights that the user said it has; () where nothing was said.
        hard: whether the theory holds for labels of 0 and 1 alone.
        axes: how many axes lie between the examples and the classes: 0 for [B, K], 1 for [B, T, K], 2 for
            [B, H, W, K].
        values: what it gives without reduction: one number for each example, one for the whole batch, or
            numbers that change with an example's neighbours. Of the latter two the mathematics is asked one
            example at a time.
        unreduced: the reduction that leaves the values as they are, as this class understands it.
        evidence: why it is taken for a loss of logits, or of probabilities.
        reverse: the proper theory whose values it has with labels and predictions exchanged; "" where it is
            none.
        obstacle: why it cannot be looked at; None where it can.
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
    told: bool = False
    class_weights: tuple[float, ...] = ()
    told_weights: tuple[float, ...] = ()
    hard: bool = False
    axes: int = 0
    values: Values = "one each"
    unreduced: str | None = "none"
    evidence: str = ""
    reverse: str = ""
    obstacle: Finding | None = None
    other_backends: Callable[[], Mapping[str, Any]] | None = None

    @property
    def claimed(self) -> LossTheory | None:
        """The theory that it claims to follow: the user's own, or one of `THEORIES`; None where unknown."""
        return self.own_theory or (THEORIES[self.theory] if self.theory else None)

    def expected(self, z: np.ndarray, y: np.ndarray) -> ValueAndGradient | None:
        """Exact value and gradient of the claimed theory at logits and labels [N, K]; None where unknown.

        The "factor" among `parameters` is left out.
        """
        if self.claimed is None:
            return None
        return evaluate(self.claimed, self.parameters, z, y, self.class_weights)


@dataclass(frozen=True)
class LossCheck:
    """One question put to a loss: `ask(subject)` returns a finding; what the loss raises counts as failed.

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


def described(check: str, at: str, **details: Any) -> Finding:
    return Finding(check, "described", at=at, **details)


def not_applicable(check: str, reason: str) -> Finding:
    return Finding(check, "not applicable", note=reason)


def could_not_look(check: str, reason: str, remedy: str = "", at: str = "") -> Finding:
    return Finding(check, "could not look", at=at, note=reason, remedy=remedy)


def run_checks(checks: Iterable[LossCheck], subject: Subject) -> list[Finding]:
    """The findings of all checks, one each; a check that raises has failed, and the others go on.

    Of a loss that cannot be looked at there is one finding: why.

    Raises:
        RuntimeError: where a check returns a finding under another name, so that its own would be missing.
    """
    if subject.obstacle:
        return [subject.obstacle]
    findings = []
    for check in checks:
        findings.append(run_check(check, subject))
        if findings[-1].check != check.id:
            raise RuntimeError(f"The check {check.id!r} gave a finding of {findings[-1].check!r}.")
    return findings


def run_check(check: LossCheck, subject: Subject) -> Finding:
    """The finding of one check: failed where the loss raises, "could not look" where the audit does.

    It is not applicable where it raises `NotPerExample`. What the loss warns of is kept off the terminal.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return check.ask(subject)
    except NotPerExample as error:
        return not_applicable(check.id, f"{error}; see `per example`")
    except Exception as error:
        message = f"{type(error).__name__}: {' '.join(str(error).strip().splitlines()[:1])[:300]}"
        if is_the_audits_own(error):
            return could_not_look(check.id, f"an error of the audit, not of the loss: {message}", REPORT)
        return failed(check.id, "the call itself", measured=message)


def is_the_audits_own(error: Exception) -> bool:
    """Whether an error was raised by the audit's own lines, or by what they called without the loss.

    The loss and the backend below it raise in files of their own.
    """
    files = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)]
    last_of_ours = max((i for i, file in enumerate(files) if file.startswith(HERE)), default=-1)
    below = files[last_of_ours + 1 :]
    return not any(not any(library in file for library in HELPERS) for file in below)

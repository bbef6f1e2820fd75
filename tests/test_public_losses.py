"""Ten published losses have the scorecard that their formulas deserve: design is described, and no fault."""

from __future__ import annotations

import functools
from typing import Any

import public_losses as public
import pytest
from audited import without_xla

from crosscheck.audit import CHECKS, Finding
from crosscheck.audit.contract import run_checks
from crosscheck.audit.subjects import subject_of

pytestmark = pytest.mark.every_backend

LOSSES = {  # the loss, its kind, what it is told to be
    "focal": (public.BalancedFocal, "binary", "public_losses:focal"),
    "asymmetric": (public.Asymmetric, "multilabel", "public_losses:asymmetric"),
    "LDAM": (public.LDAM, "categorical", "public_losses:ldam"),
    "Poly-1": (public.Poly1, "categorical", "public_losses:poly1"),
    "symmetric": (public.Symmetric, "categorical", "public_losses:symmetric"),
    "generalised": (public.Generalized, "categorical", "public_losses:generalized"),
    "bi-tempered": (public.BiTempered, "categorical", "public_losses:bi_tempered"),
    "Dice": (public.Dice, "multilabel", None),
    "Tversky": (public.Tversky, "multilabel", "tversky"),
    "class-balanced": (public.ClassBalanced, "categorical", "public_losses:class_balanced"),
}
DESCRIBED = {  # of each, told what it is, a check and the words in which it describes the design
    "focal": ("proper", "not proper, as its theory says"),
    "asymmetric": ("symmetry", "not alike by its theory"),
    "LDAM": ("symmetry", "not alike by its theory"),
    "Poly-1": ("proper", "not proper, as its theory says"),
    "symmetric": ("proper", "not proper, as its theory says"),
    "generalised": ("proper", "not proper, as its theory says"),
    "bi-tempered": ("dead gradient", "the least gradient is"),
    "Dice": ("proper", "not proper, by design"),
    "Tversky": ("symmetry", "not alike by its theory"),
    "class-balanced": ("symmetry", "not alike by its theory"),
}
RECOGNISED = {
    "focal": "binary focal",
    "asymmetric": "asymmetric",
    "Poly-1": "poly1",
    "generalised": "generalized crossentropy",
    "Tversky": "multilabel tversky",
    "class-balanced": "categorical crossentropy",
}
CHECKS_RUN = [check for check in CHECKS if check.id not in ("cost", "awake", "saved model")]


@functools.cache
def findings(name: str, told: bool) -> dict[str, Finding]:
    loss, kind, theory = LOSSES[name]
    with without_xla():
        subject = subject_of(loss, kind, theory if told else None)
        return {finding.check: finding for finding in run_checks(CHECKS_RUN, subject)}


def failed(name: str, told: bool) -> dict[str, Any]:
    return {
        check: (finding.measured, finding.expected, finding.at)
        for check, finding in findings(name, told).items()
        if finding.verdict in ("failed", "could not look")
    }


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("asymmetric", "symmetric") else pytest.param(name, marks=pytest.mark.long)
        for name in LOSSES
    ],
)
def test_a_published_loss_that_is_told_fails_nothing(name: str) -> None:
    assert failed(name, told=True) == {}
    check, words = DESCRIBED[name]
    assert words in findings(name, told=True)[check].note


@pytest.mark.long
@pytest.mark.parametrize("name", LOSSES)
def test_a_published_loss_that_nobody_told_of_fails_nothing_either(name: str) -> None:
    assert failed(name, told=False) == {}


@pytest.mark.parametrize("name", LOSSES)
def test_what_it_takes_and_is_is_found(name: str) -> None:
    loss, kind, _ = LOSSES[name]
    subject = subject_of(loss, kind)
    assert (subject.obstacle, subject.from_logits, subject.theory) == (None, True, RECOGNISED.get(name))

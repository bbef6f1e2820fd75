"""The losses of imbalance, noise, trees and many labels pass the audit with their theory."""

from __future__ import annotations

import pytest
from applied_losses import APPLIED

from crosscheck.audit import CHECKS, audit

THEORIES = {
    "adjusted": "applied_losses:adjusted",
    "adjusted label": "applied_losses:adjusted_label",
    "weighted": "categorical crossentropy",
    "weighted label": "applied_losses:weighted_label",
    "corrected": "applied_losses:corrected",
    "corrected label": "applied_losses:corrected_label",
    "generalised": "generalized crossentropy",
    "generalised label": "generalized crossentropy",
    "tree": "applied_losses:on_tree",
    "asymmetric": "asymmetric",
    "asymmetric, no margin": "asymmetric",
}
USE = {check.id: check.use for check in CHECKS}


@pytest.mark.parametrize("name", APPLIED)
def test_no_check_of_valid_use_fails(name: str) -> None:
    kinds = ("categorical", "sparse") if APPLIED[name].kind == "categorical" else ("binary", "multilabel")
    for kind in kinds:
        card = audit(APPLIED[name].loss(), kind, THEORIES[name], beside=False)
        bad = [found for found in card.findings if found.verdict in ("failed", "could not look")]
        assert not [found for found in bad if USE[found.check] == "valid"], f"\n{card}"
        assert not bad, f"\n{card}"

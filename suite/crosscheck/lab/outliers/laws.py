"""What theory says of the energy and of the measures of detection, each by two independent ways."""

from __future__ import annotations

from collections.abc import Sequence

import mpmath
import numpy as np
from scipy import special

REFEREES = {"normal_auroc": "normal_auroc_by_integration", "log_loss": "log_loss_in_digits"}


def log_loss(gap: float, classes: int) -> float:
    """−z_y − E at logits (g, 0, …, 0), y the first."""
    return -gap + float(np.logaddexp(gap, np.log(classes - 1)))


def log_loss_in_digits(gap: float, classes: int) -> float:
    return exact_log_loss([gap, *[0.0] * (classes - 1)], 0)


def exact_log_loss(z: Sequence[float] | np.ndarray, label: int) -> float:
    """−z_y − E = ln Σ exp(z_k − z_y) of one example at 50 digits, rounded to float64 once."""
    with mpmath.workdps(50):
        own = mpmath.mpf(z[label])
        return float(mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(logit) - own) for logit in z)))


def normal_auroc(shift: float, spread: float) -> float:
    """AUROC of N(d, s²) against N(0, 1): Φ(d / √(1 + s²))."""
    return float(special.ndtr(shift / np.hypot(1, spread)))


def normal_auroc_by_integration(shift: float, spread: float) -> float:
    """∫ φ(x) P(N(d, s²) > x) dx."""
    return float(mpmath.quad(lambda x: mpmath.npdf(x) * mpmath.ncdf((shift - x) / spread), [-12, 0, 12]))


def normal_shift(fpr95: float) -> float:
    """The d at which N(d, 1) has this FPR95 (in positive) against N(0, 1): Φ⁻¹(0.95) − Φ⁻¹(FPR95)."""
    return float(special.ndtri(0.95) - special.ndtri(fpr95))

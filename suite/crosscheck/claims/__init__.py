"""The contract between a study and everything else: claims, checks and their criteria, units, rows."""

from crosscheck.claims.claim import (
    BACKEND_NAMES,
    BACKENDS,
    POPULATIONS,
    SCALES,
    Advice,
    Check,
    Claim,
    Published,
    PublishedNumber,
    Study,
    Theory,
    Unit,
    unit,
)
from crosscheck.claims.criteria import Criterion, Equal, Exceeds, Identity, Trend
from crosscheck.claims.words import Verdict

__all__ = [
    "BACKENDS",
    "BACKEND_NAMES",
    "POPULATIONS",
    "SCALES",
    "Advice",
    "Check",
    "Claim",
    "Criterion",
    "Equal",
    "Exceeds",
    "Identity",
    "Published",
    "PublishedNumber",
    "Study",
    "Theory",
    "Trend",
    "Unit",
    "Verdict",
    "unit",
]

"""Is a compiled model on a broken path? `examine(model)` finds out through the model's own train step."""

from crosscheck.doctor._anatomy import Anatomy, anatomies, loss_anatomy
from crosscheck.doctor._chain import Call, calls, chain
from crosscheck.doctor._diagnosis import Diagnosis, Reading
from crosscheck.doctor._examination import examine

__all__ = [
    "Anatomy",
    "Call",
    "Diagnosis",
    "Reading",
    "anatomies",
    "calls",
    "chain",
    "examine",
    "loss_anatomy",
]

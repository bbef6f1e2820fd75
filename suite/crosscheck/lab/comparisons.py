"""Which held-out score of whom is compared with whose, and how that reads; without Keras or pandas.

A subject is "kind, loss": what it was trained on or as, and by which loss. Behind a subject may stand one
thing that is changed about it (`CHANGES`): the controls are made so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crosscheck.claims import Check, Criterion, Equal, Exceeds

WORDS = {
    "small": "a linear model of four grey values",
    "wide": "a wide perceptron",
    "shares": "a linear model of people's shares",
    "most": "a linear model of what most people choose",
    "brier": "the Brier score",
    "cross-entropy": "cross-entropy",
}
CHANGES = {
    "flat": "its logits a quarter as large",
    "wrong": "a tenth of its held-out labels replaced",
    "rounded": "its logits in half precision",
}
EQUAL = {"accuracy": 0.02, "ln T": 0.2}  # scores of which as much is asked for, with the margin


@dataclass(frozen=True)
class Comparison:
    """Of a held-out score, one subject's against another's; and the same with one thing changed.

    Attributes:
        score: its name.
        larger, smaller: the subjects, of which the first has more, or as much where `EQUAL` has the score.
        control, positive: the pairs of the controls that must fail and hold.
    """

    score: str
    larger: str
    smaller: str
    control: tuple[str, str]
    positive: tuple[str, str]

    @property
    def pairs(self) -> dict[str, tuple[str, str]]:
        return {"claim": (self.larger, self.smaller), "control": self.control, "positive": self.positive}


def changed(score: str, larger: str, smaller: str) -> Comparison:
    """A comparison whose controls change one of the subjects as evaluated: nothing else is trained."""
    if score in EQUAL:
        control = larger, f"{smaller}, wrong"
        return Comparison(score, larger, smaller, control, (f"{smaller}, rounded", smaller))
    return Comparison(score, larger, smaller, (larger, f"{smaller}, flat"), (f"{larger}, flat", smaller))


def relabelled(score: str, larger: str, smaller: str) -> Comparison:
    """A comparison whose controls train one of the subjects on what most people choose instead."""
    most = lambda subject: f"most, {subject.split(', ')[1]}"
    return Comparison(score, larger, smaller, (larger, most(smaller)), (most(larger), smaller))


COMPARED = {  # check: what it compares
    "training": changed("NLL", "small, brier", "small, cross-entropy"),
    "training_brier": changed("Brier score", "small, cross-entropy", "small, brier"),
    "training_accuracy_small": changed("accuracy", "small, brier", "small, cross-entropy"),
    "training_wide": changed("NLL", "wide, brier", "wide, cross-entropy"),
    "training_accuracy": changed("accuracy", "wide, brier", "wide, cross-entropy"),
    "training_calibration": changed("ln T", "wide, brier", "wide, cross-entropy"),
    "soft_labels": changed("(p − q)²", "most, cross-entropy", "shares, cross-entropy"),
    "soft_labels_brier": changed("(p − q)²", "most, brier", "shares, brier"),
    "soft_labels_own": relabelled("KL", "shares, brier", "shares, cross-entropy"),
    "soft_labels_own_brier": relabelled("(p − q)²", "shares, cross-entropy", "shares, brier"),
}


def check(id: str, settings: Sequence[str], scope: bool = False) -> Check:
    """The check of a comparison of `COMPARED`, in words."""
    compared = COMPARED[id]
    larger, smaller = (" trained on ".join(map(WORDS.get, one.split(", "))) for one in pair_of(compared))  # type: ignore[arg-type]
    amount, criterion, theory = sides(compared.score)
    return Check(
        id,
        f"Held-out {compared.score}: {larger} has {amount} {smaller}.",
        criterion,
        theory,
        control=difference(compared, compared.control),
        positive=difference(compared, compared.positive),
        settings=tuple(settings),
        scope=scope,
        population="splits of this set",
    )


def pair_of(compared: Comparison) -> tuple[str, str]:
    return compared.larger, compared.smaller


def sides(score: str) -> tuple[str, Criterion, str]:
    """How much the first is said to have, the criterion and its theory."""
    if score in EQUAL:
        return "as much as", Equal(EQUAL[score]), r"\Delta = 0"
    return "more than", Exceeds(0.0), r"\Delta > 0"


def difference(compared: Comparison, pair: tuple[str, str]) -> str:
    """What a control changes, in words."""
    if pair[0] == f"{pair[1]}, rounded":
        return f"the latter against itself, {CHANGES['rounded']}"
    first = pair[0] != compared.larger
    subject, parts = ("the former", pair[0].split(", ")) if first else ("the latter", pair[1].split(", "))
    change = CHANGES[parts[2]] if len(parts) > 2 else f"instead of it {WORDS[parts[0]]}"
    return f"{subject}: {change}"

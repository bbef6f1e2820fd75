"""The register of the chapter's sentences: what each asserts in our own words, and the checks that decide it.

The sentences stand in `sentences.toml`, in the chapter's order; its head says what each key means. Nothing
here judges: `crosscheck.claims.chapter` does, from saved records.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

FILE = Path(__file__).with_name("sentences.toml")
CONTROL = "/control"  # behind a check's id: its control, which measures the other side of a condition


class Half(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One of the parts of a sentence, with checks of its own.

    Attributes:
        says: the part, as a clause.
        decides, against: as in `Sentence`.
    """

    says: str
    decides: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


class Sentence(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A sentence of the chapter. Checks are named by their full ids, `study/check`.

    Attributes:
        id: S01 and on; `section`: a key of `Register.sections`.
        text: what the chapter asserts, in our words.
        decides: checks that all have to hold.
        against: checks that say the opposite: the sentence is false where one of them holds.
        conditions: by check, the condition under which alone the sentence is true where that check fails.
        parts: halves that are judged each on its own.
        supports: checks that are shown behind the sentence and decide nothing.
        paths: checks over execution paths of Keras; `losses`: the kinds of loss that count there, or all.
        probabilities: checks in which Keras is handed a probability; behind a `!` one whose holding shows
            that Keras then breaks.
        keras: checks of something that Keras ships, as it comes.
        data: sets that it was measured on, beyond those that are settings of its checks.
        evidence: a line with numbers to be filled in, as `crosscheck.claims.evidence` reads it.
        correct: what may be taught in its place.
        testable: whether a measurement could contradict it: no definition, motivation or opinion.
    """

    id: str
    section: str
    text: str
    evidence: str = ""
    decides: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    conditions: dict[str, str] = msgspec.field(default_factory=dict)
    parts: tuple[Half, ...] = ()
    supports: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    probabilities: tuple[str, ...] = ()
    keras: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    correct: str = ""
    testable: bool = True

    @property
    def halves(self) -> tuple[Half, ...]:
        """Its parts; a sentence without any is one by itself."""
        return self.parts or (Half(says=self.text, decides=self.decides, against=self.against),)

    @property
    def deciding(self) -> tuple[str, ...]:
        """The checks that can make it false, in order."""
        return tuple(dict.fromkeys(id for half in self.halves for id in (*half.decides, *half.against)))

    def roles(self) -> Iterator[tuple[str, str]]:
        """Every check that it names with what the check is to it; a check may have several roles."""
        for id in self.deciding:
            yield id, "decides"
        for id in self.conditions:
            yield id.removesuffix(CONTROL), "condition"
        for id in (*self.paths, *self.probabilities, *self.keras):
            yield id.removeprefix("!"), "in Keras"
        for id in self.supports:
            yield id, "supports"


class Beyond(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Checks that no sentence names."""

    checks: tuple[str, ...] = ()


class Register(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The whole register.

    Attributes:
        sections: titles by key, in the chapter's order.
        sentences: in the chapter's order.
        wanted: checks that are named and not there yet, with what they would measure.
        beyond: checks of the studies that no sentence names.
        doubts: what speaks against a check as it stands, by its id.
    """

    sections: dict[str, str]
    sentences: tuple[Sentence, ...] = msgspec.field(name="sentence")
    wanted: dict[str, str] = msgspec.field(default_factory=dict)
    beyond: Beyond = Beyond()
    doubts: dict[str, str] = msgspec.field(default_factory=dict)

    def sentence(self, id: str) -> Sentence | None:
        return next((sentence for sentence in self.sentences if sentence.id == id), None)

    def deciding(self) -> dict[str, list[tuple[str, str]]]:
        """By check, the sentences that name it: their ids, each with the check's first role there."""
        named: dict[str, dict[str, str]] = {}
        for sentence in self.sentences:
            for check, role in sentence.roles():
                named.setdefault(check, {}).setdefault(sentence.id, role)
        return {check: list(roles.items()) for check, roles in named.items()}


@functools.cache
def register() -> Register:
    return msgspec.toml.decode(FILE.read_bytes(), type=Register)


IDS = tuple(f"S{number:02}" for number in range(1, 60))

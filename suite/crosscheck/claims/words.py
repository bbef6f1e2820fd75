"""The verdict words, and everything that goes with a word: rank, symbol, colours, meaning, grammar."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a check, or a whole study, comes to. It is the plain word wherever a string is wanted.

    They stand in the order in which they are explained.

    Attributes:
        rank: 0 for the worst. The worst verdict that occurs decides.
        symbol: a character for tables.
        chip: a coloured sign for Markdown, which has no other colours.
        colour: on pages. White text on it reads at 4.5:1, and it stands out at 3:1 from a white page and
            from a near-black one.
        terminal: the colour in a terminal, by its ANSI name.
        plural, singular: how several claims or one are counted: `3 hold`, `1 fails`.
        meaning: of the word, for a whole study.
    """

    rank: int
    symbol: str
    chip: str
    colour: str
    terminal: str
    plural: str
    singular: str
    meaning: str

    def __new__(
        cls,
        word: str,
        rank: int,
        symbol: str,
        chip: str,
        colour: str,
        terminal: str,
        plural: str,
        singular: str,
        meaning: str,
    ) -> Verdict:
        verdict = str.__new__(cls, word)
        verdict._value_ = word
        verdict.rank, verdict.symbol, verdict.chip = rank, symbol, chip
        verdict.colour, verdict.terminal = colour, terminal
        verdict.plural, verdict.singular, verdict.meaning = plural, singular, meaning
        return verdict

    HOLDS = (
        *("holds", 5, "✓", "🟢", "#0b7f5b", "green", "hold", "holds"),
        "every check came out whole inside its region",
    )
    SCOPED = (
        *("scoped", 4, "◐", "🔵", "#2b6cb8", "blue", "hold within limits", "holds within limits"),
        "holds where the chapter states it, and breaks on some execution path or condition named here",
    )
    FAILS = (
        *("fails", 1, "✗", "🔴", "#c8371f", "red", "fail", "fails"),
        "at least one check came out whole outside its region",
    )
    UNDECIDED = (
        *("undecided", 2, "?", "⚪", "#6d7178", "yellow", "are undecided", "is undecided"),
        "the evidence here does not suffice; the reason says what would",
    )
    OPEN = (
        *("open", 3, "◌", "🟡", "#8a6100", "cyan", "are open", "is open"),
        "what would decide was not run here; what was run, if anything, agrees with the reference",
    )
    INVALID = (
        *("invalid", 0, "⊘", "🟣", "#9650b0", "magenta", "are invalid", "is invalid"),
        "a control, which must fail, did not: the measurement cannot be trusted either way",
    )

    @property
    def predicate(self) -> str:
        """As a sentence says it of one claim or check: `holds`, `is undecided`."""
        return str(self) if self in (Verdict.HOLDS, Verdict.FAILS) else f"is {self}"

    def tally(self, count: int) -> str:
        """So many claims of this verdict: `3 hold`, `1 is undecided`."""
        return f"{count} {self.singular if count == 1 else self.plural}"


WORST_FIRST = tuple(sorted(Verdict, key=lambda verdict: verdict.rank))
BEST_FIRST = WORST_FIRST[::-1]


class Truth(StrEnum):
    """What a sentence of the chapter comes to, in the order in which the words are explained.

    Attributes:
        symbol, chip, colour, terminal: as those of `Verdict`.
        slug: the word as a name on pages.
        plural: how several are counted; `meaning`: of the word.
    """

    symbol: str
    chip: str
    colour: str
    terminal: str
    plural: str
    meaning: str

    def __new__(
        cls, word: str, symbol: str, chip: str, colour: str, terminal: str, plural: str, meaning: str
    ) -> Truth:
        truth = str.__new__(cls, word)
        truth._value_ = word
        truth.symbol, truth.chip, truth.colour, truth.terminal = symbol, chip, colour, terminal
        truth.plural, truth.meaning = plural, meaning
        return truth

    TRUE = (
        *("true", "✓", "🟢", "#0b7f5b", "green", "true"),
        "every check that decides it holds, and no condition that was measured breaks it",
    )
    TRUE_IF = (
        *("true if", "◐", "🔵", "#2b6cb8", "blue", "true under a condition"),
        "true under a condition that the chapter leaves out and that was measured",
    )
    HALF = (
        *("half", "◧", "🟠", "#a4550c", "bright_yellow", "half true"),
        "one part of it stands, another does not; both are named",
    )
    FALSE = (
        *("false", "✗", "🔴", "#c8371f", "red", "false"),
        "a counter-example was measured",
    )
    OPEN = (
        *("open", "◌", "🟡", "#8a6100", "cyan", "open"),
        "not decided here: no check decides it yet, or one was not run or came out undecided or invalid",
    )
    NOT_TESTABLE = (
        *("not testable", "–", "⚪", "#6d7178", "yellow", "not testable"),
        "a definition, a motivation or an opinion",
    )

    @property
    def slug(self) -> str:
        return self.replace(" ", "-")

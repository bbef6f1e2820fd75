"""Senseless command lines: met, or refused in one line that names the word; never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import in_process
import pytest
from harm import EXAMPLES, content_of, fuzzed, values
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.claims import BACKENDS, SCALES, register
from crosscheck.cli import run, show

COMMANDS = ("list", "show", "run", "report", "verify", "doctor", "audit", "data", "completion", "help")
OPTIONS = (
    *(
        "--results",
        "--store",
        "--scale",
        "--backend",
        "--data",
        "--replace",
        "--seeds",
        "--jobs",
        "--json",
        "--quiet",
    ),
    *("-q", "-v", "--gpu", "--open", "--against", "--reference", "--scratch", "--out", "--from", "--loss"),
    *("--kind", "--config", "--theory"),
    *("--debug", "--version", "--help", "-h", "--", "-", "--import", "--no-such-option", "-x"),
)
WORDS = (
    *register.NAMES[:3],
    *SCALES,
    *BACKENDS,
    "mnist",
    "ood_*",
    "[",
    "0",
    "-1",
    "2",
    "1e9",
    "",
    ".",
    "a/b",
    "~",
    "keras.losses:BinaryCrossentropy",
    "keras.losses:Nothing",
    "no.such:Loss",
    ":",
    "binary",
    "focal",
    "{}",
    '{"gamma": "x"}',
    '{"no": 1}',
)
word = (
    st.sampled_from(OPTIONS)
    | st.sampled_from(WORDS)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
)


@settings(fuzzed, max_examples=8 * EXAMPLES)
@given(command=st.sampled_from(COMMANDS), words=st.lists(word, max_size=5))
def test_any_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: list[str]
) -> None:
    """Nothing is trained, fetched or shown: a request that can be met ends there."""
    from crosscheck import data
    from crosscheck.audit import command as auditing
    from crosscheck.running import pipeline

    class Met(Exception):
        """The arguments were good."""

        exit_code = 0

    def meet(*told: object, **more: object) -> None:
        raise Met("met")

    monkeypatch.chdir(tmp_path)
    for name in ("meet", "carry_out"):
        monkeypatch.setattr(run, name, meet)
    monkeypatch.setattr(data, "prepare", meet)
    monkeypatch.setattr(auditing, "audit_keras_losses", meet)
    monkeypatch.setattr(auditing.scorecard, "scorecard", meet)
    monkeypatch.setattr(show.click, "launch", meet)
    monkeypatch.setattr(pipeline, "up_to_date", lambda request: False)
    monkeypatch.setenv("CROSSCHECK_DEBUG", "")
    before = content_of(tmp_path)
    ran = in_process.crosscheck(command, *[each for each in words if each != "--debug"])
    assert ran.code in (0, 2), ran
    assert ran.code == 0 or in_process.refused(ran), ran
    assert content_of(tmp_path) == before


@fuzzed
@given(
    target=st.sampled_from(("keras.losses:BinaryCrossentropy", "keras.losses:Nothing", "no.such:Loss", ":")),
    config=values.map(json.dumps)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    theory=st.sampled_from(("", "focal", "no.such:formula", ":")),
)
def test_any_arguments_of_the_audit(
    monkeypatch: pytest.MonkeyPatch, target: str, config: str, theory: str
) -> None:
    """The loss is had or refused; it is not checked."""
    from crosscheck.audit import command as auditing

    class Met(Exception):
        exit_code = 0

    def meet(*told: object, **more: object) -> None:
        raise Met("met")

    monkeypatch.setattr(auditing.scorecard, "scorecard", meet)
    monkeypatch.setenv("CROSSCHECK_DEBUG", "")
    options = ["--theory", theory] if theory else []
    ran = in_process.crosscheck("audit", target, "--config", config, *options)
    assert ran.code == 0 or in_process.refused(ran), ran

"""The register of the chapter's sentences: all of them, in order, with checks that exist or are wanted."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import msgspec
import pytest

from crosscheck.claims import evidence, register, sentences
from crosscheck.claims.in_keras import AXES
from crosscheck.claims.words import Truth
from crosscheck.report import chapter, records
from crosscheck.running.reference import PACKAGED

KNOWN = sentences.register()
CHECKS = {f"{name}/{check.id}": check for name in register.NAMES for check in register.load(name).CHECKS}
NAMED = {check for sentence in KNOWN.sentences for check, _ in sentence.roles()}
RECORDS = records.read_all(PACKAGED)
JUDGED = chapter.of_records(RECORDS)


def test_every_sentence_is_there_in_order_and_in_a_section() -> None:
    assert [sentence.id for sentence in KNOWN.sentences] == [f"S{i:02}" for i in range(1, 60)]
    assert list(sentences.IDS) == [sentence.id for sentence in KNOWN.sentences]
    in_order = [section for section, _ in groupby(sentence.section for sentence in KNOWN.sentences)]
    assert in_order == list(KNOWN.sections)


def test_every_check_of_the_register_exists_or_is_wanted_and_not_both() -> None:
    assert {id for id in NAMED if id not in CHECKS} == set(KNOWN.wanted)
    assert set(KNOWN.doubts) <= set(CHECKS)


def test_every_check_of_the_studies_is_named_by_a_sentence_or_beyond_the_chapter_and_not_both() -> None:
    beyond = KNOWN.beyond.checks
    assert set(CHECKS) - NAMED == set(beyond) and len(set(beyond)) == len(beyond)


def test_what_a_sentence_needs_to_be_judged_is_there() -> None:
    for sentence in KNOWN.sentences:
        assert sentence.text.endswith(".") and (sentence.deciding or not sentence.testable), sentence.id
        assert not (sentence.parts and (sentence.decides or sentence.against)), sentence.id
        assert len(sentence.parts) != 1, sentence.id


def test_a_line_of_evidence_names_checks_behind_the_sentence_at_settings_that_they_have() -> None:
    judged = chapter.checks_of(RECORDS)
    for sentence in KNOWN.sentences:
        assert sentence.evidence.count("{") == len(evidence.checks_in(sentence.evidence)), sentence.id
        for place in evidence.PLACE.finditer(sentence.evidence):
            assert place["check"] in judged, (sentence.id, place[0])
            assert evidence.written(place, judged), (sentence.id, place[0])


def test_whatever_is_not_plainly_true_says_why_and_what_would_be_correct() -> None:
    for one in JUDGED.sentences:
        assert bool(one.correct) == (one.verdict in ("true if", "half", "false")), one.id
        assert bool(one.reason) == (one.verdict == "open"), one.id
        assert bool(one.provided) == (one.verdict == "true if"), one.id
        assert one.evidence or one.verdict == "open", one.id


def test_paths_of_the_register_are_checks_over_execution_paths() -> None:
    judged = chapter.checks_of(RECORDS)
    for sentence in KNOWN.sentences:
        for id in sentence.paths:
            labels = [label.rpartition(" · ")[2] for label in judged[id].scope]
            assert labels and all(len(label.split("/")) == AXES for label in labels), (sentence.id, id)
            kinds = {label.split("/")[0] for label in labels}
            assert kinds.issuperset(sentence.losses) or kinds.intersection(sentence.losses), sentence.id


def test_sets_that_are_settings_of_a_deciding_check_are_named() -> None:
    sets = chapter.data_sets(RECORDS)
    for sentence, one in zip(KNOWN.sentences, JUDGED.sentences, strict=True):
        assert set(sentence.data) <= sets, sentence.id
        settings = {name for id in sentence.deciding if id in CHECKS for name in CHECKS[id].settings}
        if one.verdict in ("true", "true if", "half"):
            assert settings.intersection(sets) <= set(one.data), sentence.id


def test_no_evidence_explains_itself_by_a_checks_name() -> None:
    for one in JUDGED.sentences:
        said = " ".join([one.text, one.evidence, one.correct, one.reason, *one.provided, *one.doubts])
        assert not [id for id in CHECKS if id in said], one.id


def test_the_readme_counts_the_sentences_as_they_are_judged() -> None:
    readme = " ".join((Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").split())
    count = dict(chapter.counted(JUDGED))
    said = (
        f"{count[Truth.TRUE]} are true as they stand, {count[Truth.TRUE_IF]} under a condition "
        f"that the chapter leaves out, {count[Truth.HALF]} half, {count[Truth.FALSE]} false; "
        f"{count[Truth.OPEN]} {'is' if count[Truth.OPEN] == 1 else 'are'} open"
    )
    assert said in readme and f"{len(JUDGED.sentences)} sentences in its order" in readme


def test_a_key_that_the_register_does_not_know_is_refused() -> None:
    content = sentences.FILE.read_text(encoding="utf-8").replace("\nsupports =", "\nsupport =", 1)
    with pytest.raises(msgspec.ValidationError, match="support"):
        msgspec.toml.decode(content, type=sentences.Register)

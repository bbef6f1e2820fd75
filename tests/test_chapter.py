"""The verdict on a sentence, word by word, from made-up records of checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import in_process
import pytest
from judged_checks import FAILS, HOLDS, INVALID, UNDECIDED, check, control, register, sentence
from msgspec.structs import replace

from crosscheck.claims import chapter, evidence, in_keras
from crosscheck.claims.chapter import SentenceRecord
from crosscheck.claims.judged import CheckRecord
from crosscheck.claims.sentences import Half, Sentence
from crosscheck.claims.words import Truth, Verdict
from crosscheck.errors import UsageError
from crosscheck.report import chapter as chapters
from crosscheck.report import comparison
from crosscheck.report.records import read_all, to_json

RESULTS = Path(__file__).parents[1] / "results"
PARTS = (Half(says="one", decides=("s/a",)), Half(says="other", decides=("s/b",)))


def judge(one: Sentence, checks: dict[str, CheckRecord], **fields: Any) -> SentenceRecord:
    return chapter.judge(one, checks, {"digits", "mnist"}, register(one, **fields))


# --- the words --------------------------------------------------------------------------------------


def test_true_where_all_that_decide_hold() -> None:
    one = sentence(decides=("s/a", "s/b"), correct="Rather so.")
    judged = judge(one, {"s/a": check(), "s/b": check()})
    assert (judged.verdict, judged.correct, judged.reason) == (Truth.TRUE, "", "")


def test_false_where_one_that_decides_fails_whatever_the_others() -> None:
    one = sentence(decides=("s/a", "s/b", "s/c"), correct="Rather so.")
    for other in (check(), check(UNDECIDED), check(INVALID)):
        judged = judge(one, {"s/a": other, "s/b": check(FAILS)}, wanted={"s/c": "more"})
        assert (judged.verdict, judged.correct) == (Truth.FALSE, "Rather so.")


def test_a_failure_counts_only_where_its_positive_control_held_and_says_where_there_was_none() -> None:
    one = sentence(decides=("s/a",))
    held = judge(one, {"s/a": check(FAILS, positive=control(HOLDS))})
    assert held.verdict is Truth.FALSE and not held.doubts
    for word in (FAILS, UNDECIDED):
        failed = judge(one, {"s/a": check(FAILS, positive=control(word))})
        assert failed.verdict is Truth.OPEN and "positive control" in failed.reason
    without = judge(one, {"s/a": check(FAILS)})
    assert without.verdict is Truth.FALSE and without.doubts == [chapter.ONE_CONTROL]


def test_a_check_that_says_the_opposite_refutes_by_holding() -> None:
    one = sentence(against=("s/a",))
    assert judge(one, {"s/a": check(HOLDS)}).verdict is Truth.FALSE
    assert judge(one, {"s/a": check(FAILS)}).verdict is Truth.TRUE
    assert judge(one, {"s/a": check(UNDECIDED)}).verdict is Truth.OPEN


def test_true_if_where_a_condition_fails() -> None:
    conditions = {"s/b": "it rains", "s/c": "it rains", "s/d": "it pours"}
    one = sentence(decides=("s/a",), conditions=conditions)
    checks = {"s/a": check(), "s/b": check(FAILS), "s/c": check(FAILS), "s/d": check(FAILS)}
    judged = judge(one, checks)
    assert judged.verdict is Truth.TRUE_IF and judged.said == "true if it rains and it pours"
    assert judge(one, {**checks, "s/d": check()}).provided == ["it rains"]
    assert judge(one, {id: check() for id in checks}).verdict is Truth.TRUE
    assert judge(one, {**checks, "s/a": check(FAILS)}).verdict is Truth.FALSE
    assert judge(one, {**checks, "s/a": check(UNDECIDED)}).verdict is Truth.OPEN


def test_a_control_measures_the_other_side_of_a_condition() -> None:
    one = sentence(decides=("s/a",), conditions={"s/a/control": "N is not forgotten"})
    assert judge(one, {"s/a": check()}).said == "true if N is not forgotten"
    assert judge(one, {"s/a": check(INVALID)}).verdict is Truth.OPEN
    of_another = sentence(decides=("s/a",), conditions={"s/b/control": "N is not forgotten"})
    for word in (UNDECIDED, INVALID):  # what its control says counts as little as what it says itself
        other = check(word, control=control(FAILS))
        assert judge(of_another, {"s/a": check(), "s/b": other}).verdict is Truth.OPEN


def test_a_condition_that_was_not_measured_leaves_it_open_unless_another_fails() -> None:
    one = sentence(decides=("s/a",), conditions={"s/b": "it rains", "s/c": "it pours"})
    for other in ({}, {"s/b": check(UNDECIDED)}, {"s/b": check(INVALID)}):
        judged = judge(one, {"s/a": check(), "s/c": check(), **other}, wanted={"s/b": "the weather"})
        assert judged.verdict is Truth.OPEN and judged.reason
        broken = judge(one, {"s/a": check(), "s/c": check(FAILS), **other}, wanted={"s/b": "the weather"})
        assert broken.said == "true if it pours"


def test_half_where_one_part_stands_and_another_does_not() -> None:
    one = sentence(parts=PARTS, correct="The one.")
    judged = judge(one, {"s/a": check(), "s/b": check(FAILS)})
    assert judged.verdict is Truth.HALF and [part.stands for part in judged.parts] == [True, False]
    assert judge(one, {"s/a": check(), "s/b": check()}).verdict is Truth.TRUE
    assert judge(one, {"s/a": check(FAILS), "s/b": check(FAILS)}).verdict is Truth.FALSE
    for word in (UNDECIDED, INVALID):
        for known in (HOLDS, FAILS):
            pending = judge(one, {"s/a": check(known), "s/b": check(word)})
            assert pending.verdict is Truth.OPEN and pending.parts[1].stands is None


def test_open_says_what_would_decide() -> None:
    one = sentence(decides=("s/a", "s/b"), correct="Rather so.")
    judged = judge(one, {"s/a": check()}, wanted={"s/b": "the other half"})
    assert (judged.verdict, judged.reason) == (Truth.OPEN, "not measured yet: the other half")
    assert not (judged.correct or judged.known or judged.unrun)
    reason = "about 40 seeds would decide"
    assert judge(one, {"s/a": check(), "s/b": check(UNDECIDED, reason=reason)}).reason == reason


def test_what_was_not_run_leaves_it_open_and_is_named() -> None:
    one = sentence(decides=("s/a", "s/b"))
    for others in ({}, {"s/b": check(Verdict.OPEN, unrun=True, reason="not run here: mnist")}):
        judged = judge(one, {"s/a": check(), **others})
        assert judged.verdict is Truth.OPEN and judged.unrun and "not run here" in judged.reason
        assert not judge(one, {"s/a": check(FAILS), **others}).unrun  # it is decided all the same
    failed = check(FAILS, unrun=True)
    assert judge(one, {"s/a": check(), "s/b": failed}).verdict is Truth.OPEN


def test_an_invalid_control_never_gives_a_verdict() -> None:
    invalid = {"s/a": check(INVALID, reason="the control did not fail")}
    conditions = {"s/b": "it rains"}
    for one in (
        sentence(decides=("s/a",)),
        sentence(against=("s/a",)),
        sentence(decides=("s/a",), conditions=conditions),
        sentence(decides=("s/b",), conditions={"s/a": "it rains"}),
        sentence(parts=(PARTS[0], Half(says="other", against=("s/b",)))),
    ):
        for word in (HOLDS, FAILS):
            judged = judge(one, {**invalid, "s/b": check(word)})
            refuted = one.decides == ("s/b",) and word is FAILS
            assert judged.verdict is (Truth.FALSE if refuted else Truth.OPEN)


def test_what_no_measurement_could_contradict_is_not_judged() -> None:
    judged = judge(sentence(testable=False, decides=("s/a",)), {"s/a": check(FAILS)})
    assert (judged.verdict, judged.known, judged.reason) == (Truth.NOT_TESTABLE, "", "")


def test_a_sentence_without_a_check_is_open() -> None:
    assert judge(sentence(), {}).reason == "no check decides it"


def test_what_speaks_against_a_check_stands_beside_the_verdict_that_rests_on_it() -> None:
    doubts = {"s/a": "a weak control", "s/b": "another"}
    one = sentence(decides=("s/a",), supports=("s/b",))
    assert judge(one, {"s/a": check(), "s/b": check()}, doubts=doubts).doubts == ["a weak control"]
    assert judge(one, {"s/a": check(UNDECIDED)}, doubts=doubts).doubts == []


# --- how known --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checks", "fields", "known", "data"),
    [
        ([check(level=1, kind="identity")], {}, chapter.IDENTITY, []),
        ([check(level=1, kind="identity"), check(level=1, kind="exceeds")], {}, chapter.THEOREM, []),
        ([check(level=1, kind="identity"), check()], {}, chapter.SIMULATION, []),
        ([check(settings={"mnist, SGD": HOLDS, "α = 1": HOLDS})], {}, chapter.DATA, ["mnist"]),
        ([check()], {"data": ("digits", "yeast")}, chapter.DATA, ["digits"]),
    ],
)
def test_how_it_is_known_is_the_weakest_evidence(
    checks: list[CheckRecord], fields: dict[str, Any], known: str, data: list[str]
) -> None:
    named = {f"s/{i}": one for i, one in enumerate(checks)}
    judged = judge(sentence(decides=tuple(named), **fields), named)
    assert (judged.known, judged.data) == (known, data)


def test_a_false_sentence_is_known_by_what_refutes_it() -> None:
    checks = {"s/a": check(), "s/b": check(FAILS, level=1, kind="exceeds")}
    assert judge(sentence(decides=("s/a", "s/b")), checks).known == chapter.THEOREM


# --- in Keras ---------------------------------------------------------------------------------------


def path(
    entry: str = "logits", policy: str = "float32", how: str = "keras class", loss: str = "binary"
) -> str:
    return f"tensorflow · {loss}/tensorflow/cpu/eager/{policy}/dense/{entry}/{how}"


def kept(paths: dict[str, Verdict], **fields: Any) -> tuple[str, str]:
    one = sentence(decides=("s/a",), paths=("s/paths",), **fields)
    return in_keras.in_keras(one, {"s/paths": check(FAILS, settings=paths), "s/cap": check(HOLDS)})


def test_everywhere_from_logits_or_not_as_shipped() -> None:
    good = {path(): HOLDS, path("probabilities"): HOLDS}
    assert kept(good) == (in_keras.EVERYWHERE, "1 of 1 paths from logits, 1 of 1 from probabilities")
    assert kept({**good, path("probabilities"): FAILS})[0] == in_keras.FROM_LOGITS
    assert kept({**good, path(): FAILS})[0] == in_keras.NOT_AS_SHIPPED
    assert kept(good, probabilities=("!s/cap",))[0] == in_keras.FROM_LOGITS
    assert kept(good, probabilities=("s/cap",))[0] == in_keras.EVERYWHERE
    assert kept({path(): UNDECIDED})[0] == ""


def test_focal_losses_and_a_float64_policy_count_but_do_not_decide() -> None:
    broken = {path(): HOLDS, path(how="keras focal"): FAILS, path(policy="float64"): FAILS}
    assert kept(broken) == (in_keras.FROM_LOGITS, "1 of 3 paths from logits")


def test_paths_of_other_losses_are_left_out() -> None:
    paths = {path(): HOLDS, path(loss="sparse"): FAILS}
    assert kept(paths, losses=("binary",))[0] == in_keras.EVERYWHERE


def test_what_keras_ships_and_fails_is_not_as_shipped_and_nothing_measured_says_nothing() -> None:
    one = sentence(keras=("s/l1",))
    assert in_keras.in_keras(one, {"s/l1": check(FAILS)}) == (in_keras.NOT_AS_SHIPPED, "")
    assert in_keras.in_keras(one, {"s/l1": check(HOLDS)}) == in_keras.in_keras(one, {}) == ("", "")
    untrusted = check(INVALID, settings={path(): HOLDS})
    assert in_keras.in_keras(sentence(paths=("s/paths",)), {"s/paths": untrusted}) == ("", "")


def test_a_path_never_turns_the_verdict() -> None:
    one = sentence(decides=("s/a",), paths=("s/paths",))
    paths = check(FAILS, settings={path(): FAILS})
    judged = judge(one, {"s/a": check(), "s/paths": paths})
    assert (judged.verdict, judged.in_keras) == (Truth.TRUE, in_keras.NOT_AS_SHIPPED)


# --- evidence ---------------------------------------------------------------------------------------


def test_a_line_of_evidence_is_filled_in_with_numbers_as_the_report_writes_them() -> None:
    checks = {"s/a": check(settings={"batch of 64": HOLDS}, estimate=-0.484), "s/b": check(estimate=4.2e-6)}
    template = "{s/a[batch of 64]:.0%}, {s/a:.1f|abs}, {s/b:.1e}, {s/b.theory:.2f}, {s/b.control}, {s/a.n}"
    assert evidence.line(template, checks) == "−48 %, 0.5, 4.2 × 10⁻⁶, 0.25, 0.9, 16"
    assert evidence.line("{s/a:.2g|exp}", {"s/a": check(estimate=0.0)}) == "1"
    assert evidence.line("{s/a:.2g|exp}", {"s/a": check(estimate=1e9)}) == "inf"


def test_a_line_of_which_a_number_was_not_measured_here_is_left_out() -> None:
    for template in ("{s/b}", "{s/a[mnist]}", "{s/c}"):
        assert evidence.line(f"It is {template}.", {"s/a": check(), "s/c": check(estimate=None)}) == ""


# --- a machine that has less ------------------------------------------------------------------------


def record_of_sentence(verdict: Truth, **fields: Any) -> SentenceRecord:
    judged = judge(sentence(decides=("s/a",)), {"s/a": check()})
    return replace(judged, verdict=verdict, **fields)


def test_a_sentence_that_only_what_was_not_run_would_turn_is_open() -> None:
    true, false = record_of_sentence(Truth.TRUE, absent=["mnist"]), record_of_sentence(Truth.FALSE)
    turned = chapters.beside(true, whole=false, common=true)
    assert (turned.verdict, turned.reason, turned.unrun) == (Truth.OPEN, chapters.AGREES, True)
    assert chapters.beside(true, whole=false, common=false) == true  # this run says something else
    complete = replace(true, absent=[])
    assert chapters.beside(complete, whole=false, common=true) == complete


def test_the_digits_alone_say_less_of_the_chapter_and_nothing_else() -> None:
    whole = read_all(RESULTS)
    here = [without(record, {"mnist", "fashion_mnist", "clinc_oos", "jax", "torch"}) for record in whole]
    less = chapters.of_records(here, lambda: whole)
    for small, large in zip(less.sentences, chapters.of_records(whole).sentences, strict=True):
        assert small.said in (large.said, "open"), small.id
        assert small.in_keras in (large.in_keras, ""), small.id
    assert any(small.unrun for small in less.sentences)


def without(record: Any, absent: set[str]) -> Any:
    """A study as a machine would judge it that lacks these sets and backends."""
    from crosscheck.claims.verdicts import at_settings

    checks = []
    for one in record.checks:
        lacking = [part.setting for part in one.parts if part.setting.split(" · ")[0] in absent]
        rest = at_settings(one, {part.setting for part in one.parts} - set(lacking))
        checks.append(replace(rest or replace(one, unrun=True), absent=lacking))
    return replace(record, checks=checks)


# --- the file ---------------------------------------------------------------------------------------


def test_the_committed_chapter_is_what_the_committed_records_say() -> None:
    assert to_json(chapters.of_records(read_all(RESULTS))) == (RESULTS / "chapter.json").read_text("utf-8")
    assert chapters.read(RESULTS) == chapters.of_records(read_all(RESULTS))


def test_a_chapter_with_a_sentence_twice_is_foreign(tmp_path: Path) -> None:
    told = json.loads((RESULTS / "chapter.json").read_text("utf-8"))
    told["sentences"].append(told["sentences"][0])
    (tmp_path / "chapter.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match="twice"):
        chapters.read(tmp_path)


def test_verify_sees_a_sentence_that_moved_and_only_those_of_studies_that_both_have() -> None:
    old = chapters.read(RESULTS)
    studies = {check.id.partition("/")[0] for one in old.sentences for check in one.checks}
    new = replace(old, sentences=[replace(old.sentences[3], verdict=Truth.OPEN), *old.sentences[4:]])
    lines = {line.id: line for line in comparison.compare_chapters(old, new, studies)}
    assert lines["chapter/S04"].drift == "verdict" and lines["chapter/S04"].verdicts == ("true", "open")
    assert lines["chapter/S02"].verdicts == ("true", "—")
    without = comparison.compare_chapters(old, new, studies - {"neural_collapse"})
    assert "chapter/S24" in lines and "chapter/S24" not in {line.id for line in without}
    assert lines["chapter/S02"].drift and not lines["chapter/S05"].drift
    other = replace(old.sentences[1], in_keras=in_keras.EVERYWHERE)
    (_, moved) = comparison.compare_chapters(
        replace(old, sentences=[old.sentences[1]]), replace(old, sentences=[other]), studies
    )
    assert (moved.drift, moved.verdicts) == ("in Keras", ("from logits", "everywhere"))
    assert not list(comparison.compare_chapters(old, new, {"ood_published"}))
    less = replace(new, sentences=[replace(one, unrun=True) for one in new.sentences])
    assert not any(line.id == "chapter/S04" for line in comparison.compare_chapters(old, less, studies))


# --- list and show ----------------------------------------------------------------------------------


def test_the_list_begins_with_the_chapter_by_section() -> None:
    lines = in_process.crosscheck("list", "--results", RESULTS).out.splitlines()
    judged = chapters.read(RESULTS)
    assert lines[0] == judged.sentences[0].section
    shown = {line.split()[0]: line for line in lines if line[:1] == "S" and line[1:3].isdigit()}
    assert list(shown) == [one.id for one in judged.sentences]
    assert all(str(one.verdict) in shown[one.id] and one.text in shown[one.id] for one in judged.sentences)


def test_sentences_can_be_listed_by_pattern_and_for_scripts() -> None:
    told = json.loads(in_process.crosscheck("list", "S2*", "--json", "--results", RESULTS).out)
    assert [one["id"] for one in told["sentences"]] == [f"S2{i}" for i in range(10)] and not told["studies"]
    told = json.loads(in_process.crosscheck("list", "ood_*", "--json", "--results", RESULTS).out)
    assert not told["sentences"] and len(told["studies"]) == 3


def test_show_prints_a_sentence_with_evidence_conditions_and_checks() -> None:
    one = chapters.sentence_of(chapters.read(RESULTS), "S22")
    assert one
    squeezed = " ".join(in_process.crosscheck("show", "S22", "--results", RESULTS).out.split())
    assert all(part in squeezed for part in (one.text, one.said, one.evidence, one.correct))
    assert all(check.id in squeezed for check in one.checks)
    told = json.loads(in_process.crosscheck("show", "S22", "--json", "--results", RESULTS).out)
    assert told.pop("verdict_from") == "results" and told["verdict"] == one.verdict


def test_show_knows_a_sentence_that_is_not_judged_and_refuses_one_that_is_none(tmp_path: Path) -> None:
    ran = in_process.crosscheck("show", "S22", "--results", tmp_path)
    assert ran.code == 0 and "not judged yet" in ran.out
    for id in ("S60", "S1", "S99999"):
        ran = in_process.crosscheck("show", id, "--results", tmp_path)
        assert in_process.refused(ran) and ran.code == 2 and "S01 to S59" in ran.err
    assert in_process.refused(in_process.crosscheck("show", "S22", "--open", "--results", RESULTS))

"""The rates of the diagnosis: what is counted as what, kept, written and shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_up_study as made_up
import pytest
from click.testing import CliRunner

from benchmarks.diagnose_rates import measure, running, trials, writing
from benchmarks.diagnose_rates.__main__ import main
from benchmarks.diagnose_rates.measure import Trial
from benchmarks.diagnose_rates.trials import FAULTS, Examined, Said, Truth
from crosscheck.errors import UsageError
from crosscheck.report.page import write_report


def truth(fault: str = "", place: int = 0, is_fault: bool = True, size: float = 1.0) -> Truth:
    return Truth(1, place, 0, "a program", (), fault, size, bool(fault) and is_fault)


def said(*pairs: tuple[str, str]) -> tuple[Said, ...]:
    return tuple(Said(check, verdict, "measured", "exact") for check, verdict in pairs)


ASKED = measure.Asked(1, False, ("exact", "statistical"), 2, 1)
LOGITS = "logits to a loss of probabilities"


@pytest.mark.parametrize(
    ("examined", "outcome"),
    [
        (Examined("", said(("head-fits-loss", "✗"))), "named"),
        (Examined("", said(("labels-units", "✗"), ("head-fits-loss", "✗"))), "named"),
        (Examined("", said(("labels-units", "✗"), ("head-fits-loss", "?"))), "otherwise"),
        (Examined("", said(("head-fits-loss", "?"), ("labels-units", "note"))), "undecided"),
        (Examined("", said(("head-fits-loss", "note"))), "noted"),
        (Examined("", said(("labels-units", "note"))), "missed"),
        (Examined("", ()), "missed"),
        (Examined("", refused="no model"), "refused"),
        (Examined("", crashed="ValueError"), "crashed"),
    ],
)
def test_an_outcome_goes_by_the_check_that_is_right(examined: Examined, outcome: str) -> None:
    assert Trial(truth(LOGITS), examined).outcome == outcome


@pytest.mark.parametrize(("count", "of", "low", "high"), [(0, 100, 0, 1 - 0.025**0.01), (1, 1, 0.025, 1)])
def test_the_interval_is_exact(count: int, of: int, low: float, high: float) -> None:
    assert measure.rate(count, of)["interval"] == pytest.approx([low, high], rel=1e-6)


def record_of(healthy: list[Trial], mutants: list[Trial]) -> dict[str, Any]:
    return measure.summary(healthy, mutants, ASKED)


RATE = "learning rate too high"
HEALTHY = [
    Trial(truth(place=0), Examined("", (), 0.1, 1.0)),
    Trial(truth(place=1), Examined("", said(("labels-units", "✗"), ("head-fits-loss", "✗")), 0.2, 2.0)),
]
MUTANTS = [
    Trial(truth(LOGITS, 0), Examined("", said(("head-fits-loss", "✗")))),
    Trial(truth(LOGITS, 1), Examined("", ())),
    Trial(truth(RATE, 0, size=1000.0), Examined("", said(("learning-rate-high", "✗")))),
    Trial(truth(RATE, 1, size=10.0), Examined("", ())),
    Trial(truth(RATE, 2, is_fault=False, size=10.0), Examined("", ())),
]


def test_alarms_misses_and_harmless_mutants_are_told_apart() -> None:
    record = record_of(HEALTHY, MUTANTS)
    assert (record["healthy"]["false_alarms"]["count"], record["healthy"]["kept"]) == (1, 2)
    assert set(record["healthy"]["by_check"]) == {"labels-units", "head-fits-loss"}
    assert (record["exact"]["missed"]["count"], record["exact"]["missed"]["of"]) == (1, 2)
    (fault,) = [fault for fault in record["faults"] if fault["fault"] == RATE]
    assert (fault["seeded"], fault["of"], fault["harmless"], fault["missed"]) == (3, 2, 1, 1)
    caught = {size["size"]: (size["caught"]["count"], size["caught"]["of"]) for size in fault["sizes"]}
    assert caught == {10.0: (0, 1), 100.0: (0, 0), 1000.0: (1, 1)}
    assert [wrong["outcome"] for wrong in record["wrong"]] == ["false alarm", "missed", "missed"]


@pytest.mark.parametrize(
    ("healthy", "mutants", "wrong"),
    [
        (HEALTHY, [], True),
        (HEALTHY[:1], MUTANTS[1:2], True),
        (HEALTHY[:1], MUTANTS[3:4], False),  # of a statistical fault a miss is a rate, and no failure
        (HEALTHY[:1], [*MUTANTS[:1], *MUTANTS[2:3]], False),
        ([Trial(truth(), Examined("", crashed="KeyError"))], [], True),
    ],
)
def test_the_exit_code_says_whether_it_was_wrong(
    healthy: list[Trial], mutants: list[Trial], wrong: bool
) -> None:
    assert measure.is_wrong(record_of(healthy, mutants)) == wrong


def test_everything_is_written(tmp_path: Path) -> None:
    writing.write(record_of(HEALTHY, MUTANTS), tmp_path)
    page = (tmp_path / "rates.md").read_text()
    assert "| false alarms: any ✗ | 1 of 2 | 50.0% |" in page and "Clopper and Pearson" in page
    assert f"- missed: {RATE} (10)" in page and "DeepFD" in page
    for file in ("rates.json", "table.md", "table.csv", "table.tex", "figure.png", "figure.svg"):
        assert (tmp_path / file).stat().st_size
    assert json.loads((tmp_path / "rates.json").read_text())["healthy"]["kept"] == 2


# --- running -----------------------------------------------------------------------------------------------


def test_a_store_goes_on_where_it_was_and_drops_half_a_line(tmp_path: Path) -> None:
    store = running.Store(tmp_path / "truths.jsonl", Truth)
    store.add(truth(place=1))
    store.add(truth(LOGITS, 2))
    with store.path.open("a") as file:
        file.write('{"seed": 1, "pla')
    again = running.Store(store.path, Truth)
    assert set(again.records) == {"1/1/", f"1/2/{LOGITS}"}
    asked: list[int] = []
    jobs = [
        ("1/1/", asked.append, (1,)),
        ("1/3/", lambda place: asked.append(place) or truth(place=place), (3,)),
    ]
    running.run(again, jobs, 0, str)
    assert asked == [3] and "1/3/" in running.Store(store.path, Truth).records


def test_a_short_run_from_nothing_to_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: FAULTS[name] for name in (LOGITS, "no epochs")}
    for module in (running, measure, trials):
        monkeypatch.setattr(module, "FAULTS", few)
    arguments = ["2", "--each", "1", "--exact", "--jobs", "0", "--seed", "11"]
    arguments += ["--out", str(tmp_path / "out"), "--kept", str(tmp_path / "kept")]
    ran = CliRunner().invoke(main, arguments, catch_exceptions=True)
    assert ran.exit_code in (0, 1), ran.output  # 1 where the diagnosis was wrong: that is for the long run
    record = json.loads((tmp_path / "out" / "rates.json").read_text())
    assert record["healthy"]["kept"] == 2 and record["exact_checks_alone"]
    assert {fault["fault"] for fault in record["faults"]} | set(record["not_seeded"]) == set(few)


# --- the report --------------------------------------------------------------------------------------------


@pytest.fixture
def reported(tmp_path: Path) -> Path:
    """A results folder with a study and the rates."""
    made_up.write(tmp_path, "saturation", made_up.study())
    writing.write(record_of(HEALTHY, MUTANTS), tmp_path / "diagnose")
    return tmp_path


def test_the_report_shows_alarms_misses_and_what_others_publish(reported: Path) -> None:
    write_report(reported)
    page, readme = (reported / "report.html").read_text(), (reported / "README.md").read_text()
    for text in (page, readme):
        assert "1 of 2, 1.3% to 98.7%" in text and "DeepFD" in text and "The protocols differ" in text
    assert f"| {RATE} | 2 | 1 | 0 | 0 | 0 | 1 | 0 | 0 |" in readme
    assert 'href="#diagnose"' in page and f"{RATE}<small>" in page


def test_the_checks_that_train_have_rates_of_their_own_in_the_report(reported: Path) -> None:
    asked = replace(ASKED, decided=("statistical",), count=3)
    record = measure.summary(HEALTHY[:1], MUTANTS[2:], asked)
    writing.write(record, reported / "diagnose" / "trained")
    write_report(reported)
    for file in ("report.html", "README.md"):
        text = (reported / file).read_text()
        assert "gave a false alarm to 0 of 1, 0.0% to 97.5%, of those" in text
        assert "Of 2 programs with a fault that shows in training and does harm: 1 named rightly" in text
    page = (reported / "diagnose" / "trained" / "rates.md").read_text()
    assert "3 healthy programs were asked for" in page and "| exact |" not in page


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"keras": 3}', "\x00"])
def test_rates_that_are_broken_are_named(reported: Path, content: str) -> None:
    (reported / "diagnose" / "rates.json").write_text(content)
    with pytest.raises(UsageError, match=r"rates\.json is not the diagnosis' rates.*make diagnose-rates"):
        write_report(reported)


def test_without_rates_the_report_says_nothing_of_them(tmp_path: Path) -> None:
    made_up.write(tmp_path, "saturation", made_up.study())
    write_report(tmp_path)
    assert "diagnosis" not in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(("fault", "outcome"), [(RATE, "undecided"), (LOGITS, "missed")])
def test_what_could_not_be_trained_is_undecided_where_the_fault_shows_in_training(
    fault: str, outcome: str
) -> None:
    assert Trial(truth(fault), Examined("", said(("training", "?")))).outcome == outcome

"""The runner over published collections: pairs are recognised, and a refusal is counted without its words."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import made_up_study as made_up
import numpy as np
import pytest
from people_scripts import HEAD, write

from benchmarks.diagnose_rates import collected, collections
from crosscheck.errors import UsageError
from crosscheck.report.page import write_report

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # from Python 3.12 on


@pytest.mark.parametrize(
    ("path", "id", "version"),
    [
        ("StackOverflow/1/Buggy Code/1.py", "StackOverflow/1/1", "buggy"),
        ("StackOverflow/1/Correct Model/1.py", "StackOverflow/1/1", "fixed"),
        ("DeepFD/2/origin.py", "DeepFD/2", "buggy"),
        ("DeepLocalize/2/CorrectCode/repair.py", "DeepLocalize/2", "fixed"),
        ("SFData/s3_context.py", "SFData/s3", "buggy"),
        ("SFData/s3_ground_truth.py", "SFData/s3", "fixed"),
        ("Defects4ML/006/buggy/auto/Runner.py", "Defects4ML/006/auto/Runner", "buggy"),
        ("Defects4ML/006/fixed/auto/Runner.py", "Defects4ML/006/auto/Runner", "fixed"),
    ],
)
def test_a_pair_has_one_id(path: str, id: str, version: str) -> None:
    script = collections.script_at(Path("/all") / path, Path("/all"))
    assert script is not None and (script.id, script.version) == (id, version)


def test_what_is_of_neither_version_is_left_out() -> None:
    assert collections.script_at(Path("/all/Defects4ML/006/test_suite.py"), Path("/all")) is None


@pytest.mark.parametrize(
    ("complaint", "counted"),
    [
        ("train.py:3 reads secret.csv, which is not there.", "reads a file that is not there"),
        ("train.py:3 fails before it calls fit: KeyError: 'secret'", "fails before its fit: KeyError"),
        ("train.py never calls fit, nor train_on_batch", "never calls fit"),
        ("KeyError: 'secret'. This is a fault of crosscheck", "crosscheck failed"),
    ],
)
def test_a_refusal_is_counted_without_what_the_script_says(complaint: str, counted: str) -> None:
    assert collections.reason(f"crosscheck: {complaint}") == counted


def test_images_and_labels_are_read_as_they_were_written(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    head = bytes([0, 0, 8, 3]) + np.array(array.shape, ">i4").tobytes()
    (tmp_path / "a.gz").write_bytes(gzip.compress(head + array.tobytes()))
    np.testing.assert_array_equal(collections.idx(tmp_path / "a.gz"), array)


def test_a_process_says_how_it_ended(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+") as out, (tmp_path / "err").open("w+") as err:
        streams = out.fileno(), err.fileno()
        assert collections.in_a_fork(lambda: print("said", flush=True), *streams, timeout=60) == 1
        assert collections.in_a_fork(lambda: exit(3), *streams, timeout=60) == 3
        assert collections.in_a_fork(lambda: collections.time.sleep(99), *streams, timeout=0.3) is None
        assert collections.read(out) == "said"


@pytest.mark.long  # it forks, which may hang in a process where TensorFlow has run before
def test_every_script_gets_a_row(tmp_path: Path) -> None:
    for name, text in (("origin", HEAD + "model.fit(x, y)\n"), ("repair", "1 / 0\n")):
        write(tmp_path, text, f"{name}.py")
    scripts = list(collections.scripts_in(tmp_path))
    rows = [collections.diagnosed(script, timeout=100)[0] for script in scripts]
    assert [(row.version, row.ran, row.why_not) for row in rows] == [
        ("buggy", True, ""),
        ("fixed", False, "fails before its fit: ZeroDivisionError"),
    ]


# --- what is kept of it -----------------------------------------------------------------------------------


def row(id: str, version: str, found: tuple[str, ...] = (), why_not: str = "", ran: bool = True) -> dict:
    return asdict(collections.Row(id, version, ran, why_not, 1.0, found))


ROWS = [
    row("a", "buggy", ("units-differ",)),
    row("a", "fixed"),
    row("b", "buggy", ("units-differ",)),
    row("b", "fixed", ("inputs-vary",)),
    row("c", "buggy"),
    row("c", "fixed", why_not="never calls fit", ran=False),
    row("d", "buggy", why_not="is not diagnosed in time"),
]


def test_a_script_counts_where_it_was_diagnosed_and_a_pair_where_both_were() -> None:
    counts = collected.counts("made up", ROWS)
    assert (counts["scripts"], counts["ran"]) == (7, 5)
    assert counts["buggy"] == {"ran": 3, "with_fault": 2} and counts["fixed"] == {"ran": 2, "with_fault": 1}
    assert counts["pairs"] == {"buggy alone": 1, "both": 1, "fixed alone": 0, "neither": 0}
    assert counts["why_not"] == {"never calls fit": 1, "is not diagnosed in time": 1}


def test_a_fault_of_a_repaired_version_that_nobody_read_is_told_to_be_so() -> None:
    assert collected.counts("made up", ROWS)["fixed_read"] == {"not read": 1}


def kept(folder: Path) -> Path:
    for name in ("one.jsonl", "two.jsonl"):
        (folder / name).write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    results = folder / "results"
    made_up.write(results, "saturation", made_up.study())
    files = [str(folder / name) for name in ("one.jsonl", "two.jsonl")]
    collected.write.main([*files, "--out", str(results / "diagnose")], standalone_mode=False)
    return results


def test_the_report_shows_what_was_said_of_the_collections(tmp_path: Path) -> None:
    results = kept(tmp_path)
    write_report(results)
    words = (
        "something is wrong in 2 of 3 buggy ones, and in 1 of 2 repaired ones (by reading these: not read 1)"
    )
    for file in ("report.html", "README.md"):
        assert words in (results / file).read_text()
    page = (results / "diagnose" / "collections.md").read_text()
    assert "| b | inputs-vary | not read |  |" in page and "| never calls fit | 0 | 1 |" in page


def test_broken_counts_are_named(tmp_path: Path) -> None:
    results = kept(tmp_path)
    (results / "diagnose" / "collections.json").write_text("{}")
    with pytest.raises(UsageError, match=r"collections\.json is not what was said of the collections"):
        write_report(results)

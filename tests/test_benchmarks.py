"""The benches run, do the same work on both sides, and say what they measured. Their numbers are no tests."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import limit, report, whole
from benchmarks.__main__ import main
from benchmarks.compare import Side, compare
from crosscheck.errors import CrosscheckError, UsageError

ROOT = Path(__file__).parents[1]


def benchmarks(*arguments: object) -> None:
    """`python -m benchmarks` in this process; its errors are raised."""
    main([str(argument) for argument in arguments], standalone_mode=False)


def test_a_smoke_run_writes_entries_table_and_figure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "limit", "--smoke", "--out", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    entries = json.loads((tmp_path / "bench.json").read_text())
    promised = {"bench", "subject", "against", "ratio", "setting", "machine", "versions"}
    assert entries and all(promised <= set(entry) for entry in entries)
    for entry in entries:
        assert 0 < entry["ratio"]["min"] <= entry["ratio"]["median"] <= entry["ratio"]["max"]
    assert len(pd.read_csv(tmp_path / "table.csv")) == len(entries)
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_an_unknown_bench_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No bench is called speed"):
        benchmarks("speed", "--out", tmp_path)
    assert not list(tmp_path.iterdir())


class Clock:
    """A process whose contenders take the seconds they are told to."""

    def __init__(self, **seconds: list[float]):
        self.seconds, self.asked, self.first = seconds, [], {}

    def ask(self, contender: str, setting: dict) -> dict:
        self.asked.append(contender)
        took = self.seconds[contender].pop(0)
        return {"seconds": took, "first": self.first.setdefault(contender, took)}


def test_sides_take_turns_and_the_first_run_is_told_apart() -> None:
    clock = Clock(ours=[9.0, 1.0, 2.0, 3.0], theirs=[8.0, 4.0, 4.0, 4.0])
    sides = [Side(name, clock, name, {"R": 2}, scale) for name, scale in (("ours", 1.0), ("theirs", 0.5))]
    entry = compare("made up", *sides, rounds=3)
    assert clock.asked == ["ours", "theirs"] * 4
    assert entry["ratio"] == {"median": 1.0, "min": 0.5, "max": 1.5}
    assert entry["first_run_seconds"] == {"subject": 9.0, "against": 4.0}
    assert entry["seconds"]["against"]["median"] == 2.0
    table = report.table([entry | {"setting": {"R": 2, "inputs": [64]}}])
    assert table.loc[0, "times faster"] == 1.0 and table.loc[0, "against, first run, s"] == 4.0


def grown(r: int, seconds: float) -> dict:
    """An entry of the sweep in R."""
    spread = {"median": seconds, "min": seconds, "max": seconds}
    clock = Clock(ours=[seconds] * 2, smallest=[1.0] * 2)
    sides = [Side(name, clock, name, {"R": r, "inputs": [64]}) for name in ("ours", "smallest")]
    sized = {"peak_bytes": 3_000_000, "base_bytes": 1_000_000, "seconds": {"subject": spread}}
    return {**compare("growth in R", *sides, rounds=1), **sized}


def test_the_slope_is_that_of_the_last_three_points() -> None:
    entries = [grown(r, seconds) for r, seconds in ((1, 7.0), (4, 2.0), (16, 8.0), (64, 32.0))]
    assert report.table(entries)["slope"].tolist() == pytest.approx([1.0] * 4)
    assert report.table(entries[:2])["slope"].isna().all()


def test_a_table_can_be_drawn_again_from_what_was_measured(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(json.dumps([grown(1, 1.0), grown(4, 2.0), grown(16, 3.0)]))
    benchmarks("--redraw", "--out", tmp_path)
    assert len(pd.read_csv(tmp_path / "table.csv")) == 3
    with pytest.raises(UsageError, match="Measure some first"):
        benchmarks("--redraw", "--out", tmp_path / "nowhere")


def test_the_limit_takes_the_fastest_way_of_each_product() -> None:
    one = {"products": {"a": [1.0, 5.0], "b": [2.0, 3.0]}, "copy": 2.0}
    other = {"products": {"c": [4.0, 1.5]}, "copy": 0.1}
    assert limit.step_limit([one, other]) == pytest.approx(1.0 + 1.5 + 0.35)
    shapes = limit.products({"batch": 5, "inputs": [7], "hidden": 3})
    assert shapes == [(5, 7, 3), (5, 3, 10), (7, 5, 3), (3, 5, 10), (5, 10, 3)]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_what_is_written_by_hand_does_the_same_work(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; pip install 'crosscheck[{backend}]'")
    code = f"""
import numpy as np
from benchmarks import contenders
setting = {{"data": "digits", "inputs": [64], "hidden": 8, "batch": 64, "epochs": 3, "R": 3}}
ours = contenders.replicates_steady(setting)()
hand = contenders.{backend}_steady(setting)()
np.testing.assert_allclose(np.array(hand), ours, rtol=1e-4)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_the_whole_suite_is_measured_with_its_workers(tmp_path: Path) -> None:
    """A process that holds 60 MB and starts another, which holds 200 MB for a second: both are seen."""
    hold = (
        "held = bytearray(200_000_000); held[::4096] = bytes(len(held[::4096])); import time; time.sleep(1)"
    )
    burn = (
        "import subprocess, sys; held = bytearray(60_000_000); held[::4096] = bytes(len(held[::4096]))\n"
        "subprocess.run([sys.executable, '-c', sys.argv[1]])"
    )
    used = whole.run([sys.executable, "-c", burn, hold], tmp_path)
    assert used.wall >= 1 and used.cpu > 0
    assert 200_000_000 <= used.largest < 260_000_000 <= used.peak < 400_000_000


def test_memory_that_processes_share_is_counted_once(tmp_path: Path) -> None:
    code = (
        "import os, time; held = bytearray(200_000_000); held[::4096] = bytes(len(held[::4096]))\n"
        "child = os.fork(); time.sleep(1); child and os.wait()"
    )
    used = whole.run([sys.executable, "-c", code], tmp_path)
    assert 200_000_000 <= used.peak < 300_000_000


def test_a_command_that_cannot_be_met_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(CrosscheckError, match="exit code 2"):
        whole.run([sys.executable, "-c", "raise SystemExit(2)"], tmp_path)


def test_what_the_suite_takes_stands_in_the_table_beside_the_others() -> None:
    entries = [
        whole.entry("whole suite", "…", 360.0, whole.Usage(180.0, 300.0, 10**9, 10**8), "standard", ())
    ]
    table = report.table([*entries, grown(1, 1.0)])
    assert table.loc[0, "times faster"] == 2.0 and table.loc[0, "peak, MB"] == 1000.0
    assert table.loc[0, "CPU, s"] == 300.0 and table.loc[1, "R"] == 1

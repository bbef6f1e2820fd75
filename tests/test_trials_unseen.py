"""What a copy learns by heart and what holds on other rows; and trainings that cannot be."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from trial_programs import blobs, network, program

from crosscheck.diagnose import Data, Program
from crosscheck.diagnose._by_trials import by_trials
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose.checks.unseen import contradicted, decisions
from crosscheck.errors import UsageError

BINARY = keras.losses.BinaryCrossentropy(from_logits=True)
SECONDS = 300.0  # plenty, so that no verdict hangs on what else the machine does


def relabelled(share: float, seed: int = 1) -> Program:
    """Classes far apart, a share of whose rows have the label of another row; 100 epochs."""
    x, y = blobs(400, separation=6.0)
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(y), round(share * len(y)), replace=False)
    y[rows] = y[rng.permutation(rows)]
    return program(network(64, 64), (x, y), epochs=100)


def said_of(given: Program) -> dict[str, Finding]:
    return {finding.check: finding for finding in by_trials(given, SECONDS).findings}


def test_labels_that_are_wrong_in_most_rows_get_no_all_clear() -> None:
    finding = said_of(relabelled(0.9))["holds-on-other-rows"]
    assert finding.verdict == "?" and "labels that are wrong" in finding.why


def test_labels_that_are_wrong_in_some_rows_are_named() -> None:
    given = relabelled(0.2)
    right = blobs(400, separation=6.0)[1]
    found = said_of(given)
    assert found["labels-contradicted"].verdict == "note"
    named = [int(row) for row in found["labels-contradicted"].fix.removeprefix("look at rows ").split(", ")]
    assert len(named) == 5 and np.mean(right[named] != given.training.y[named]) >= 0.8


def test_labels_that_are_right_are_let_be() -> None:
    found = said_of(relabelled(0.0))
    assert found["holds-on-other-rows"].verdict == "✓" and "labels-contradicted" not in found


def test_a_row_is_contradicted_by_every_copy_that_did_not_see_it() -> None:
    y = np.array([0, 1, 0, 1])
    rows = np.array([[0, 1], [0, 1], [0, 2], [2, 3]])  # held out under each seed
    decided = np.array([[1, 1], [1, 0], [1, 1], [1, 0]])  # row 3 is seen once: too rarely
    lab: Any = SimpleNamespace(
        y=y,
        splits=(None, rows),
        task=SimpleNamespace(kind="classes", width=2),
        as_it_is=SimpleNamespace(outputs=np.eye(2)[decided]),
    )
    found, of = contradicted(lab)
    assert found.tolist() == [0] and of == 1


@pytest.mark.parametrize(
    ("outputs", "kind", "decided"),
    [
        ([[0.2], [0.9]], "labels", [0, 1]),
        ([[-1.0], [0.4]], "labels", [0, 1]),
        ([[0.2, 0.8], [0.9, 0.1]], "classes", [1, 0]),
        ([[0.2, 0.8], [0.9, 0.1]], "labels", None),
        ([[np.nan], [0.4]], "labels", None),
        ([[0.2], [0.9]], "numbers", None),
    ],
)
def test_what_is_decided_for_a_row(outputs: Any, kind: str, decided: Any) -> None:
    found = decisions(np.array([outputs]), kind)
    assert (found is None) if decided is None else found.tolist() == [decided]


def test_wrong_labels_of_two_classes_are_named_as_well() -> None:
    x, y = blobs(400, separation=6.0)
    y = (y > 0).astype("int64")
    turned = np.random.default_rng(1).choice(400, 20, replace=False)
    y[turned] = 1 - y[turned]
    given = program(network(64, outputs=1), (x, y[:, None].astype("float32")), loss=BINARY, epochs=100)
    finding = said_of(given)["labels-contradicted"]
    named = [int(row) for row in finding.fix.removeprefix("look at rows ").split(", ")]
    assert finding.verdict == "note" and np.isin(named, turned).mean() >= 0.8


def test_inputs_that_do_better_when_they_are_standardised_get_no_all_clear() -> None:
    """Columns of noise, a thousand times as wide as the eight that tell the classes."""
    x, y = blobs(400, separation=6.0)
    noise = 1000 * np.random.default_rng(0).normal(size=(400, 4)).astype("float32")
    wide = np.concatenate([x, noise], 1), y
    given = program(network(128, inputs=(12,)), wide, keras.optimizers.Adam(1e-3), epochs=100)
    finding = said_of(given)["inputs-scale"]
    assert finding.verdict == "?" and "standardised inputs do better" in finding.why


def test_what_cannot_be_trained_is_tried_once_and_is_no_all_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refused(*arguments: Any, **options: Any) -> None:
        calls.append(1)
        raise UsageError("Its copies cannot be trained.")

    monkeypatch.setattr(Laboratory, "train", refused)
    trials = by_trials(program(), 20)
    assert len(calls) == 1
    (finding,) = [f for f in trials.findings if f.check == "training"]
    assert finding.verdict == "?" and "Its copies cannot be trained." in finding.measured
    assert "inputs-scale" in finding.why and "labels-follow-inputs" not in finding.why
    assert not trials.skipped


def test_an_error_of_a_backend_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Laboratory, "train", lambda *arguments, **options: 1 / 0)
    (finding,) = [f for f in by_trials(program(), 20).findings if f.check == "training"]
    assert "ZeroDivisionError" in finding.measured


def test_a_program_of_two_outputs_is_not_said_to_be_in_order() -> None:
    given = program()
    two = replace(given, training=Data(given.training.x, [given.training.y, given.training.y]))
    (finding,) = [f for f in by_trials(two, 20).findings if f.check == "training"]
    assert finding.verdict == "?" and "one output" in finding.measured


def test_the_seconds_that_would_do_are_told() -> None:
    lab = Laboratory(program(), seconds=0.01)
    with pytest.raises(UsageError, match=r"seconds=\d+ would do"):
        lab.as_it_is  # noqa: B018

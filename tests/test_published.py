"""The published table: what stands beside it, what differs, what is missing; a small scale says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from crosscheck import data
from crosscheck.claims import Equal, verdicts
from crosscheck.claims.rows import tidy
from crosscheck.data.catalogue import Dataset
from crosscheck.data.outliers import colour
from crosscheck.errors import UsageError
from crosscheck.lab.photographs import checkpoints, image_training
from crosscheck.lab.photographs.image_training import TRAINED, TUNED, published_protocol
from crosscheck.running import plan
from crosscheck.studies import ood_published as study

K, N = 10, 400


def logits(spread: float, seed: int) -> np.ndarray:
    """[1, N, K], the true class ahead by `spread`."""
    z = np.random.default_rng(seed).normal(size=(1, N, K))
    z[0, np.arange(N), np.arange(N) % K] += spread
    return z


@pytest.fixture(scope="module")
def rows():
    """Rows of a network that tells the outliers apart after fine-tuning, and hardly before."""
    by_arm = {
        "before": {"in": logits(6, 0), "dtd": logits(4, 1)},
        "mixed": {"in": logits(20, 2), "dtd": logits(0, 3)},
    }
    frames = [study.photograph_rows("cifar10", "dtd", seed, by_arm, np.arange(N) % K) for seed in range(3)]
    return pd.concat([frame for part in frames for frame in part], ignore_index=True)


def test_the_protocol_is_the_published_one() -> None:
    training, tuning = published_protocol().training, published_protocol().tuning
    assert dataclasses.astuple(training)[:4] == (0.1, 100, 128, 0)
    assert dataclasses.astuple(tuning) == (0.001, 10, 128, 256, (-23.0, -5.0), 0.1)
    assert published_protocol(3, 2).tuning == dataclasses.replace(tuning, epochs=2)
    assert study.NETWORK == {"depth": 40, "width": 2, "epochs": [100, 10]}


def test_the_published_numbers_stand_in_the_table_beside_ours(rows) -> None:
    table = study.table(rows)
    line = table.iloc[:, 0].str.contains("published")
    assert [*table.loc[line, "FPR95 (in positive)"]] == [0.5104, 0.3301, 0.0332]
    assert table.loc[line, "AUROC"].isna().all()
    ours = table[table.iloc[:, 0] == "cifar10: dtd"]
    assert {"FPR95 (in positive)", "FPR95 (out positive)"} <= {*table.columns}
    shown = rows[rows["quantity"].eq("FPR95 out, energy") & rows["path"].eq("mixed")]["value"].mean()
    tuned = ours[(ours["Fine-tuned"] == "mixed") & (ours["Detector"] == "energy")]
    assert tuned["FPR95 (out positive)"].item() == pytest.approx(shown)


def test_each_published_number_has_its_check_and_the_claim_the_differences_of_protocol() -> None:
    paper = study.CLAIM.published
    for number, check in zip(paper.numbers, study.CHECKS[:3], strict=True):
        assert number.check == check.id and f"{number.value:.4f}" in check.statement
        assert isinstance(check.criterion, Equal)
    traps = " ".join(map(" ".join, paper.differences.values()))
    assert all(word in traps for word in ("swapped", "opposite convention", "resampled", "withdrawn"))


def test_the_control_has_no_outliers_and_misses_every_published_number(rows) -> None:
    for check in study.CHECKS:
        part = rows[rows["check"] == check.id]
        claim, control = (part[part["arm"] == arm] for arm in ("claim", "control"))
        assert len(claim) == len(control) == 3
        off = (control["value"] - control["reference"]).abs()
        if isinstance(check.criterion, Equal):
            assert (off > check.criterion.margin).all() and (control["value"] > 0.8).all()
        else:
            assert (off < check.criterion.margin).all()


def test_smaller_scales_train_nothing_and_say_so() -> None:
    assert not study.units("smoke") and not study.units("standard")
    judged = verdicts.judge_study(study, tidy(value=[]), 0.99, scale="standard")
    assert judged.verdict == "undecided" and len(judged.checks) == 4
    reasons = {check.reason for check in judged.checks}
    assert reasons == {"not run at the standard scale, only at: full"}


def test_without_rows_the_published_numbers_are_shown_alone() -> None:
    nothing = tidy(value=[])
    table = study.table(nothing)
    assert [*table["FPR95 (in positive)"]] == [0.5104, 0.3301, 0.0332]
    numbers, gains = study.figure(nothing).axes
    assert [bar.get_height() for bar in numbers.patches] == [0.5104, 0.3301, 0.0332]
    assert [text.get_text() for ax in (numbers, gains) for text in ax.texts] == [
        "ours: not run here",
        "not run here",
    ]


def test_the_figure_sets_every_seed_beside_its_published_number(rows) -> None:
    numbers, gains = study.figure(rows).axes
    for line, check in zip(numbers.lines, study.CHECKS[:3], strict=True):
        judged = rows[(rows["check"] == check.id) & (rows["arm"] == "claim")]
        np.testing.assert_array_equal(line.get_ydata(), judged["value"])
    assert not numbers.texts and not gains.texts and len(gains.patches) == 2


def test_networks_are_trained_once_for_all_kinds_and_measured_on_each(monkeypatch, tmp_path) -> None:
    trained = []

    def train_and_tune(build, protocol, x, y, outside, seed, folder, look):
        trained.append((seed, folder))
        return {arm: look(FixedModel()) for arm in (TRAINED, TUNED)}

    class FixedModel:
        def predict(self, x, **options):
            return logits(3, len(x))[0, : len(x)].astype("float32")

    images = np.zeros((20, 32, 32, 3), "uint8")
    photographs = colour.Photographs(images, np.arange(20) % K, images, np.arange(20) % K, images, images)
    monkeypatch.setattr(data, "photographs", lambda name, kind, most: photographs)
    monkeypatch.setattr(data, "identity", lambda name: f"{name} 1.0")
    monkeypatch.setattr(image_training, "train_and_tune", train_and_tune)
    monkeypatch.setenv(checkpoints.ROOT, str(tmp_path))
    network = {"depth": 10, "width": 1, "epochs": [1, 1], "policy": "float32", "most": 20}
    for kind in ("dtd", "svhn_cropped"):
        measured = pd.concat(study.measure_photographs((0, 1), name="cifar10", kind=kind, **network))
        assert {*measured["check"]} == {"", *(check.id for check in study.CHECKS)}
        assert f"cifar10: {kind}" in {*measured["setting"]}
    seeds, folders = zip(*trained, strict=True)
    assert seeds == (0, 1, 0, 1) and folders[:2] == folders[2:] and folders[0] != folders[1]


def test_a_missing_set_is_named_and_costs_its_own_units_alone(monkeypatch) -> None:
    prepared = {"cifar10", "cifar100", "svhn_cropped", "cifar10_train", "mnist"}
    monkeypatch.setattr(data, "prepared", lambda name: name in prepared)
    planned = plan.make(plan.Request(("ood_published",), *[None] * 2, scale="full"))  # type: ignore[arg-type]
    assert planned.unprepared == {"dtd", "places365_small", "fashion_mnist"}
    kinds = {(unit.setting["name"], unit.setting["kind"]) for unit in planned.units["ood_published"]}
    assert kinds == {
        ("cifar10", "svhn_cropped"),
        *(("cifar10_train", kind) for kind in ("classes 8, 9", "gaussian noise", "mnist")),
    }


def test_without_cifar10_the_checks_say_so_and_are_open() -> None:
    absent = ["cifar10", "cifar10_train"]
    checks = verdicts.judge_study(study, tidy(value=[]), 0.99, absent, "full").checks
    for check, record in zip(study.CHECKS, checks, strict=True):
        assert record.absent == list(check.settings) and record.verdict == "open"


# --- photographs ------------------------------------------------------------------------------------


def made_up(name: str) -> Dataset:
    """Twenty images a class and split; the pixel tells set, split and class."""
    grey = name in ("mnist", "fashion_mnist")
    shape = (28, 28, 1) if grey else (32, 32, 3)
    y = np.repeat(np.arange(10, dtype="int32"), 20)
    marks = {"cifar10_train": 0, "cifar10": 0, "cifar100": 120, "mnist": 160, "svhn_cropped": 200}
    x = [
        np.ones((200, np.prod(shape)), "float32")
        * ((marks[name] + shift + y) / 255)[:, None].astype("float32")
        for shift in (0, 20)
    ]
    return Dataset(name, "0", "", x[0], y, x[1], y, 10, shape)


@pytest.fixture
def sets(monkeypatch):
    monkeypatch.setattr(colour, "load", made_up)


def values(x: np.ndarray) -> set[int]:
    return {*np.unique(x).tolist()}


def test_held_out_classes_are_trained_on_nowhere(sets) -> None:
    photographs = colour.photographs("cifar10_train", "classes 8, 9", 10_000)
    assert values(photographs.x_train) == {*range(6)} and values(photographs.x_test) == {*range(20, 26)}
    assert values(photographs.auxiliary) == {6, 7}  # of the training split
    assert values(photographs.outliers) == {8, 9, 28, 29}
    assert {*photographs.y_train} == {*photographs.y_test} == {*range(6)}


def test_other_sets_give_their_training_split_to_train_and_their_test_split_to_test(sets) -> None:
    photographs = colour.photographs("cifar10", "svhn_cropped", 10_000)
    assert values(photographs.auxiliary) == {*range(120, 130)}
    assert values(photographs.outliers) == {*range(220, 230)}
    assert photographs.outliers.dtype == np.uint8 and photographs.outliers.shape[1:] == (32, 32, 3)


def test_grey_images_become_colour_images_of_the_same_size(sets) -> None:
    digits = colour.photographs("cifar10_train", "mnist", 10_000).outliers
    assert digits.shape == (200, 32, 32, 3) and values(digits) == {*range(180, 190)}
    noise = colour.photographs("cifar10_train", "gaussian noise", 10_000).outliers
    assert noise.shape == (120, 32, 32, 3) and len(values(noise)) > 5


def test_no_cast_tests_on_what_it_trains_on() -> None:
    for name, cast in colour.PHOTOGRAPHS.items():
        assert not {*cast.auxiliary} & {*cast.outliers} and {*cast.reads} <= {*data.CATALOGUE}
        for kind in cast.outliers:
            assert {*colour.photographs_read(name, kind)} <= {*cast.reads}
        with pytest.raises(ValueError, match="is tested on"):
            colour.photographs(name, cast.auxiliary[0], 10) if data.prepared(name) else refused(name)


def refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is not prepared"):
        data.photographs(name, "", 10)
    raise ValueError("is tested on")


def test_cifar10_training_images_are_split_and_not_called_the_test_set() -> None:
    from crosscheck.data.builders import cifar10_train

    content = np.zeros((2, cifar10_train.RECORD), np.uint8)
    content[1, 0], content[1, 1:1025], content[1, 1 + 2048 + 33] = 7, 5, 9
    x, y = cifar10_train.records(content.tobytes())
    assert [*y] == [0, 7] and (x[1, :, :, 0] == 5).all() and x[1, 1, 1, 2] == 9 and x[1, :, :, 1].max() == 0
    assert cifar10_train.TRAIN == 45_000
    entry = data.lookup("cifar10_train")
    assert entry.folders == ("cifar10",) and entry.archive


def test_the_shorter_side_is_brought_to_size_and_the_middle_cut_out() -> None:
    from crosscheck.data.preparing.forms import resized

    image = np.zeros((64, 192, 3), np.uint8)
    image[:, 64:128] = 200  # the middle third
    cut = resized(image, 32)
    assert cut.shape == (32, 32, 3) and (cut[:, 2:-2] == 200).all()


@pytest.mark.parametrize("others", [1, 0])
def test_the_report_does_not_say_of_a_control_that_was_not_run_that_it_did_not_fail(tmp_path, others) -> None:
    import made_up_study

    from crosscheck.report import page

    later = dataclasses.replace(made_up_study.CHECKS[3], scales=("full",))
    made = made_up_study.study((*made_up_study.CHECKS[:others], later))
    level = made_up_study.PROVENANCE["level"]
    judged = verdicts.judge_study(made, made_up_study.measured(), level, scale="smoke")
    made_up_study.write(tmp_path, "one", made, judged)
    for path in (tmp_path / file for file in page.PAGES if page.write_report(tmp_path)):
        text = path.read_text()
        assert "not run at the smoke scale, only at: full" in text
        if path.suffix == ".md":
            assert "did not fail" not in text

"""CIFAR-10N where a user has it: its pickle is read and never run, and its one check says when it is not."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorflow_datasets.core.download.checksums import UrlInfo

from crosscheck import data
from crosscheck.claims import sentences, verdicts
from crosscheck.data.builders import cifar10_train, cifar10n
from crosscheck.data.catalogue import Dataset
from crosscheck.errors import UsageError
from crosscheck.lab.photographs import checkpoints, image_training, relabelled_training, relabelling
from crosscheck.running import plan
from crosscheck.studies import human_noise as study

N = 40
RIGHT = np.arange(N) * 3 % 10
PEOPLE = {name: (RIGHT + i) % 10 for i, name in enumerate(data.CIFAR10N_LABELS) if i}
LABELS = {cifar10n.RIGHT: RIGHT, **PEOPLE}


def archived(program: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    return content.getvalue()


def published(labels: dict) -> bytes:
    """A file of the published form: an archive of a pickle, at protocol 2, of a dictionary of arrays."""
    return archived(pickle.dumps(labels, protocol=2))


# --- its file -------------------------------------------------------------------------------------------


def test_labels_are_read_by_name_from_a_file_of_the_published_form() -> None:
    for name, labels in cifar10n.labels_by_name(published(LABELS)).items():
        np.testing.assert_array_equal(labels, LABELS[name])


class Runs:
    """Unpickled, it would leave a folder."""

    def __init__(self, trace: Path):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize("among", [True, False], ids=["beside the labels", "alone"])
def test_a_pickle_that_is_a_program_is_not_run(tmp_path: Path, among: bool) -> None:
    trace = tmp_path / "trace"
    program = pickle.dumps({"first": Runs(trace), **LABELS} if among else Runs(trace), protocol=2)
    if among:
        np.testing.assert_array_equal(cifar10n.labels_by_name(archived(program))[cifar10n.RIGHT], RIGHT)
    else:
        with pytest.raises(ValueError, match="not of the published form"):
            cifar10n.labels_by_name(archived(program))
    assert not trace.exists()
    pickle.loads(program)  # the control: to unpickle it would have run it
    assert trace.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"junk", "not a zip file"),
        (published({**LABELS, "aggre_label": RIGHT + 1}), "no classes follow 'aggre_label'"),
        (published({**LABELS, "aggre_label": RIGHT - 1}), "no classes follow 'aggre_label'"),
        (
            published({name: labels for name, labels in LABELS.items() if name != "worse_label"}),
            "worse_label",
        ),
        (published({**LABELS, "random_label3": RIGHT.astype("int8")}), "no classes follow|buffer size"),
        (archived(pickle.dumps(LABELS, protocol=2)[:-900]), "form"),
    ],
    ids=["junk", "class 10", "class −1", "a name is lacking", "bytes", "cut off"],
)
def test_another_form_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        cifar10n.labels_by_name(content)


def test_labels_of_other_images_are_refused() -> None:
    y = cifar10n.in_columns(LABELS, RIGHT)
    np.testing.assert_array_equal(y.T, [*LABELS.values()])
    with pytest.raises(ValueError, match="not those of the images, in the order"):
        cifar10n.in_columns(LABELS, np.roll(RIGHT, 1))


# --- the set --------------------------------------------------------------------------------------------


@pytest.fixture
def originals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files in the place of the original ones: images in `from/cifar10`, labels in `from/cifar10n`."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    content = np.random.default_rng(0).integers(0, 256, (N, cifar10_train.RECORD)).astype("uint8")
    content[:, 0] = RIGHT
    files = {f"data_batch_{i}.bin": part.tobytes() for i, part in enumerate(np.split(content, 5), 1)}
    infos = {name: UrlInfo(len(part), hashlib.sha256(part).hexdigest(), name) for name, part in files.items()}
    labels = published(LABELS)
    monkeypatch.setattr(cifar10_train, "infos", lambda: infos)
    monkeypatch.setattr(cifar10_train, "TRAIN", N - 8)
    monkeypatch.setattr(cifar10n, "SIZE", len(labels))
    monkeypatch.setattr(cifar10n, "CHECKSUM", hashlib.sha256(labels).hexdigest())
    for folder, own in (("cifar10", files), ("cifar10n", {cifar10n.FILE: labels})):
        (tmp_path / "from" / folder).mkdir(parents=True)
        for name, part in own.items():
            (tmp_path / "from" / folder / name).write_bytes(part)
    return tmp_path / "from"


def test_it_is_prepared_from_files_that_a_user_has_in_their_order(originals: Path) -> None:
    data.prepare("cifar10n", originals)
    own = data.load("cifar10n")
    assert (own.x_train.shape, own.x_test.shape) == ((N - 8, 3072), (8, 3072))
    assert own.y_train.dtype == np.int32
    np.testing.assert_array_equal(np.concatenate([own.y_train, own.y_test]).T, [*LABELS.values()])
    red = np.frombuffer((originals / "cifar10" / "data_batch_1.bin").read_bytes(), np.uint8)[1]
    assert np.rint(255 * own.x_train[0, 0]) == red


def test_altered_labels_prepare_nothing(originals: Path) -> None:
    (originals / "cifar10n" / cifar10n.FILE).write_bytes(published(LABELS | {"worse_label": RIGHT}))
    with pytest.raises(UsageError, match=r"No file in .*cifar10n or .*cifar10 has .*CIFAR-10_human.pt \(\d+"):
        data.prepare("cifar10n", originals)
    assert not data.prepared("cifar10n")


@pytest.mark.parametrize("ask", [data.load, data.identity, data.prepare])
def test_where_it_is_not_an_error_says_where_its_files_are(ask, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(
        UsageError, match=r"CIFAR-10_human.pt from .*NC 4.0.* --from .*/cifar10n or .*/cifar10"
    ):
        ask("cifar10n")


def test_the_published_checksum_is_held(tmp_path: Path) -> None:
    """Of the repository's file at its newest commit, 2026; the images are `cifar10_train`'s."""
    assert (cifar10n.SIZE, cifar10n.CHECKSUM[:8]) == (2_401_007, "873e69c3")
    infos = cifar10n.Cifar10N(data_dir=tmp_path).url_infos
    assert len(infos) == 6 and {info.checksum for info in infos.values()} == {
        cifar10n.CHECKSUM,
        *cifar10_train.ORIGINALS.values(),
    }


# --- what is trained ------------------------------------------------------------------------------------


def many(count: int = 20_000) -> np.ndarray:
    """Columns of labels: the worst is wrong in two of five."""
    right = np.random.default_rng(1).integers(0, 10, count)
    y = np.repeat(right[:, None], 6, 1)
    y[: 2 * count // 5, data.CIFAR10N_LABELS.index("worse_label")] += 1
    return y % 10


@pytest.mark.parametrize(("arm", "wrong"), [(relabelling.BY_CHANCE, 0.72), (relabelling.AS_OFTEN_WRONG, 0.4)])
def test_made_up_labels_are_wrong_as_often_as_they_say_every_class_alike(arm: str, wrong: float) -> None:
    y = many()
    labels = relabelling.labelled(y, arm, seed=3)
    error = 5 * np.sqrt(wrong * (1 - wrong) / len(y))
    assert abs((labels != y[:, 0]).mean() - wrong) < error
    shift = np.bincount((labels - y[:, 0]) % 10, minlength=10)[1:] / len(y)
    assert np.abs(shift - wrong / 9).max() < error
    assert (labels != relabelling.labelled(y, arm, seed=4)).any()


def test_arms_are_trained_on_their_own_labels_and_judged_by_the_right_ones(monkeypatch, tmp_path) -> None:
    """A network that says what it was told most often for a colour; the colour tells the right class."""
    told: dict[str, np.ndarray] = {}

    class Learnt:
        def predict(self, x, **options):
            return np.eye(10)[x[:, 0, 0, 0]]

    def fit(model, phase, x, y, seed, folder):
        assert x.dtype == np.uint8 and x.shape[1:] == (32, 32, 3) and phase.epochs == 3
        told[folder.name] = y.argmax(-1)
        return Learnt()

    y = np.column_stack([RIGHT, *PEOPLE.values()])
    y_test = np.where(np.arange(6) > 0, (y + 1) % 10, y)  # people are all wrong of the held-out ones
    x = np.repeat(RIGHT[:, None], 3072, 1).astype("float32") / 255
    own = Dataset("cifar10n", "1", "", x, y, x, y_test, 10, (32, 32, 3))
    monkeypatch.setattr(data, "load", lambda name: own)
    monkeypatch.setattr(data, "identity", lambda name: "1/0")
    monkeypatch.setattr(image_training, "fit", fit)
    monkeypatch.setattr(relabelled_training, "wide_resnet", lambda *_, **__: lambda: None)
    monkeypatch.setenv(checkpoints.ROOT, str(tmp_path))
    wrong = relabelling.wrong_shares("cifar10n", 7)
    for arm, label in relabelling.BY_PEOPLE.items():
        assert wrong[arm] == pytest.approx((PEOPLE[label] != RIGHT).mean())
    right = relabelled_training.accuracies("cifar10n", 7, 10, 1, 3, "float32")
    assert right == dict.fromkeys(relabelling.ARMS, 1.0)
    assert len(told) == len(relabelling.ARMS), "each has checkpoints of its own"
    by_people = ("aggre_label", "worse_label", "random_label1", "random_label2")
    assert relabelling.ARMS[:4] == ("most of three", "the worst of three", "one person", "another person")
    for labels, name in zip(list(told.values())[:4], by_people, strict=True):
        np.testing.assert_array_equal(labels, PEOPLE[name])


# --- what is judged -------------------------------------------------------------------------------------


def judged(monkeypatch: pytest.MonkeyPatch, worst: float, scale: str = "full"):
    def accuracies(name: str, seed: int, **network) -> dict[str, float]:
        of = {"the worst of three": worst, relabelling.BY_CHANCE: 0.4, "most of three": 0.9}
        chance = np.random.default_rng(seed)
        return {arm: of.get(arm, 0.8) + 0.001 * chance.normal() for arm in relabelling.ARMS}

    monkeypatch.setattr(relabelled_training, "accuracies", accuracies)
    monkeypatch.setattr(relabelling, "wrong_shares", lambda *_: dict.fromkeys(relabelling.ARMS, 0.25))
    rows = pd.concat(study.train_on_people(tuple(range(16)), name="cifar10n", **study.NETWORK))
    return rows, verdicts.judge_study(study, rows, 0.999, scale=scale).checks[0]


@pytest.mark.parametrize(("worst", "verdict"), [(0.8, "holds"), (0.89, "fails")])
def test_the_gap_between_most_and_worst_decides(monkeypatch, worst: float, verdict: str) -> None:
    rows, check = judged(monkeypatch, worst)
    assert check.verdict == verdict
    assert (check.control.verdict, check.positive.verdict) == ("fails", "holds")
    table = study.table(rows).set_index("Labels by")
    assert set(table.index) == set(relabelling.ARMS)
    assert table.loc["most of three", "Held-out accuracy"] == pytest.approx(0.9, abs=0.001)
    assert (table["Wrong labels"] == 0.25).all()
    assert len(study.figure(rows).axes[0].get_yticks())


def test_without_the_set_and_at_other_scales_the_check_says_so() -> None:
    no_rows = pd.DataFrame(columns=["check", "arm"])
    for scale, absent, reason in (
        ("standard", [], "not run at the standard scale, only at: full"),
        ("full", ["cifar10n"], "not run here: cifar10n"),
    ):
        record = verdicts.judge_study(study, no_rows, 0.999, absent, scale)
        assert record.checks[0].reason == reason and record.checks[0].unrun
    assert not study.units("smoke") and not study.units("standard")
    assert study.figure(pd.DataFrame(columns=["quantity", "path", "seed", "value"])).axes[0].texts


def test_without_a_run_the_table_has_an_arm_a_line_and_no_number() -> None:
    table = study.table(pd.DataFrame(columns=["quantity", "path", "value"])).set_index("Labels by")
    assert {*table.index} == {*relabelling.ARMS} and table.isna().all(axis=None)


def test_it_costs_a_machine_without_it_nothing(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    planned = plan.make(plan.Request(("human_noise",), tmp_path, tmp_path, scale="full"))
    assert planned.unprepared == {"cifar10n"} and not planned.units["human_noise"]


def test_no_sentence_of_the_chapter_rests_on_it() -> None:
    known = sentences.register()
    assert "human_noise/cifar10n" in known.beyond.checks
    assert not [sentence.id for sentence in known.sentences if "human_noise" in repr(sentence)]

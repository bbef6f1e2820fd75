"""Data sets by name: what is in them, what goes wrong with them, and what they need."""

import select
import shutil
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from data_folders import ORDINARY, run, seconds, use_proxy
from sklearn.datasets import load_digits

from crosscheck import data
from crosscheck.data import embedded
from crosscheck.data.preparing import cache, packed, sources
from crosscheck.errors import UsageError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


# --- sets -----------------------------------------------------------------------------------------


def test_digits_are_those_of_scikit_learn():
    digits, original = data.load("digits"), load_digits()
    ours = np.column_stack(
        [np.concatenate([digits.x_train, digits.x_test]) * 16, [*digits.y_train, *digits.y_test]]
    )
    theirs = np.column_stack([original.data, original.target])
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_digits_split_is_stratified():
    digits = data.load("digits")
    assert (len(digits.x_train), len(digits.x_test)) == (1297, 500)
    np.testing.assert_array_equal(np.bincount(digits.y_test), 50)
    assert not {*map(bytes, digits.x_train)} & {*map(bytes, digits.x_test)}


def test_digits_are_as_promised():
    digits = data.load("digits")
    assert {a: getattr(digits, a).dtype.name for a in ARRAYS} == {
        a: {"x": "float32", "y": "int32"}[a[0]] for a in ARRAYS
    }
    assert (digits.x_train.min(), digits.x_train.max()) == (0, 1)
    assert digits.x_train.shape[1] == np.prod(digits.shape) and digits.classes == 10
    assert data.identity("digits") == f"{digits.version}/{digits.checksum[:16]}"


def test_digits_are_stored_and_shuffled_as_tfds_does_it(digits_dir):
    prepared = sources.arrays("digits", ORDINARY, digits_dir)
    arrays = embedded.digits_arrays()
    assert packed.content_checksum(arrays) == packed.content_checksum(prepared)
    for name in packed.NAMES:
        np.testing.assert_array_equal(arrays[name], prepared[name])


# --- without TensorFlow and without TensorFlow Datasets -------------------------------------------

TFDS = ("tensorflow_datasets", "array_record", "importlib_resources")
AS_ORDINARY = (
    "import dataclasses; digits = data.CATALOGUE['digits'];"
    "data.CATALOGUE['digits'] = dataclasses.replace(digits, origin=None);"
)


def test_a_packed_set_needs_no_tensorflow(digits_dir):
    process = run(
        f"{AS_ORDINARY}"
        "assert data.prepared('digits') and not data.prepared('mnist'); data.identity('digits');"
        "data.load('digits'); print({'tensorflow', 'sklearn'} & {*sys.modules})",
        digits_dir,
        TFDS,
    )
    assert process.communicate() == ("set()\n", "")


def test_the_digits_need_neither_tensorflow_datasets_nor_a_folder(tmp_path):
    process = run(
        "data.prepare('digits'); digits = data.load('digits', 3);"
        "print(data.prepared('digits'), digits.y_train.tolist(), data.identity('digits'));"
        "print({'tensorflow', 'sklearn'} & {*sys.modules}, os.path.exists(data.data_dir()))",
        tmp_path / "absent",
        TFDS,
    )
    first = data.load("digits").y_train[:3].tolist()
    said = f"True {first} 1.0.0/6ebb3d2fee246a4e\nset() False\n"
    assert process.communicate() == (said, "")


@pytest.mark.parametrize("package", TFDS)
@pytest.mark.parametrize("ask", ["load", "prepare", "identity"])
def test_other_sets_name_what_to_install(ask, package, empty_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"'mnist'.* {package}: pip install 'keras-crosscheck\[studies\]'"):
        getattr(data, ask)("mnist")
    assert not data.prepared("mnist")


def test_a_set_that_tfds_has_prepared_names_it_where_it_has_to_be_packed(
    copy_dir, ordinary_digits, monkeypatch
):
    shutil.rmtree(copy_dir / "crosscheck")
    monkeypatch.setitem(sys.modules, "array_record", None)
    with pytest.raises(UsageError, match=r"'digits' needs array_record: pip install 'keras-crosscheck"):
        data.load("digits")


def test_a_lock_keeps_the_second_waiting(tmp_path):
    """Two processes on one lock, the first of which dies while it holds it."""
    code = (
        "from pathlib import Path; from crosscheck._files import locked\n"
        "with locked(Path(os.environ['TFDS_DATA_DIR']) / 'sub' / 'lock'):\n"
        "    print('held', flush=True); input(); os._exit(1)"
    )
    processes = [run(code, tmp_path), run(code, tmp_path)]
    try:
        waiting = select.select([process.stdout for process in processes], [], [], 60)[0]
        first = next(process for process in processes if process.stdout in waiting)
        (second,) = (process for process in processes if process is not first)
        assert first.stdout.readline() == "held\n"
        assert not select.select([second.stdout], [], [], 0.5)[0]
        first.stdin.write("\n")
        first.stdin.flush()
        assert select.select([second.stdout], [], [], 60)[0] and second.stdout.readline() == "held\n"
    finally:
        for process in processes:
            process.communicate("\n" if process.poll() is None else None)


def test_two_processes_may_pack_at_once(copy_dir):
    shutil.rmtree(copy_dir / "crosscheck")
    code = f"{AS_ORDINARY} print(data.load('digits').y_train[:5])"
    outputs = [process.communicate() for process in [run(code, copy_dir), run(code, copy_dir)]]
    assert outputs[0][0] == outputs[1][0] != "", outputs


# --- missing and unknown --------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [data.load, data.identity])
def test_a_missing_set_is_an_error_at_once(ask, empty_dir):
    def refused():
        with pytest.raises(
            UsageError, match=r"'mnist' is not prepared in .*`crosscheck data mnist`.*--from FOLDER"
        ):
            ask("mnist")

    assert seconds(refused) < 1
    assert not [*empty_dir.iterdir()]


@pytest.mark.parametrize("ask", [data.load, data.identity, data.prepared, data.prepare])
def test_an_unknown_set_is_an_error(ask):
    with pytest.raises(
        UsageError, match=r"Unknown data set 'minst'. Did you mean 'mnist'\? Known: digits, mnist"
    ):
        ask("minst")


@pytest.mark.parametrize("behaviour", ["refuses", "keeps silent"])
def test_preparing_without_a_network_fails_soon(behaviour, digits_dir, empty_dir, monkeypatch):
    monkeypatch.setattr(cache, "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        use_proxy(monkeypatch, server.getsockname()[1])
        if behaviour == "refuses":
            server.close()

        def refused():
            with pytest.raises(UsageError, match=r"'mnist' needs a network.*--from FOLDER.*train-images"):
                data.prepare("mnist")

        assert seconds(refused) < 5
    assert not data.prepared("mnist")


def test_a_name_that_never_resolves_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(cache, "PATIENCE", 0.2)
    monkeypatch.setattr(cache, "_ask", lambda *_: threading.Event().wait(10))

    def refused():
        with pytest.raises(UsageError, match="no answer came from host"):
            cache.require_hosts("mnist", ["any://host/train.gz"])

    assert seconds(refused) < 5


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"Cannot prepare data set 'mnist' in .*file.*TFDS_DATA_DIR"):
        data.prepare("mnist")


def test_default_folder_is_that_of_tfds(monkeypatch):
    from tensorflow_datasets.core import constants

    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert data.data_dir() == Path(constants.get_default_data_dir())
    monkeypatch.setenv("TFDS_DATA_DIR", "~/elsewhere")
    assert data.data_dir() == Path.home() / "elsewhere"

"""Original and packed files of data sets: taken whatever their name, refused where altered, packed anew."""

import hashlib
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from data_folders import ORDINARY, packed_folder

from crosscheck import data
from crosscheck.data import embedded
from crosscheck.data.preparing import cache, packed, sources
from crosscheck.errors import UsageError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


# --- original files -------------------------------------------------------------------------------


@pytest.fixture
def builder(tmp_path):
    """As much of a TFDS builder as the cache looks at, with one original file on its records."""
    from tensorflow_datasets.core.download.checksums import UrlInfo

    info = UrlInfo(size=8, checksum=hashlib.sha256(b"original").hexdigest(), filename=None)
    (tmp_path / "source").mkdir()
    return SimpleNamespace(
        name="toy", data_dir_root=str(tmp_path / "data"), url_infos={"host/train.gz": info}
    )


def test_original_files_are_taken_whatever_their_name(builder, tmp_path):
    (tmp_path / "source" / "any name").write_bytes(b"original")
    assert cache.missing(builder) == ["host/train.gz"]
    cache.seed(builder, [tmp_path / "source"])
    assert cache.missing(builder) == []
    assert {path.read_bytes() for path in (tmp_path / "data").rglob("*.gz")} == {b"original"}


@pytest.mark.parametrize("content", [b"Original", b"original and more", None])
def test_altered_or_absent_files_are_refused(content, builder, tmp_path):
    if content is not None:
        (tmp_path / "source" / "train.gz").write_bytes(content)
    with pytest.raises(
        UsageError, match=r"No file in .*source has the .* of the original of: train.gz \(8 bytes"
    ):
        cache.seed(builder, [tmp_path / "source"])
    assert not (tmp_path / "data").exists()


def test_a_wrong_source_prepares_nothing(digits_dir, empty_dir):
    (empty_dir / "from" / "mnist").mkdir(parents=True)
    (empty_dir / "from" / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"no images")
    with pytest.raises(UsageError, match="has the size and sha256 of the original"):
        data.prepare("mnist", empty_dir / "from")
    assert not data.prepared("mnist")


# --- packed files ---------------------------------------------------------------------------------


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["x_train.npy", "y_test.npy", "manifest.json"])
def test_a_damaged_file_is_set_aside_and_packed_anew(name, copy_dir, ordinary_digits):
    sound = data.load("digits")
    path = packed_folder(copy_dir) / name
    before = path.read_bytes()
    flip_last_byte(path)
    damaged = path.read_bytes()
    with pytest.warns(RuntimeWarning, match=rf"{name}.* packed anew"):
        again = data.load("digits")
    assert all(np.array_equal(getattr(again, a), getattr(sound, a)) for a in ARRAYS)
    assert path.read_bytes() == before
    assert path.with_name(f"{name}.damaged").read_bytes() == damaged


def test_an_embedded_set_is_read_from_its_library_whatever_lies_there(copy_dir):
    packed_folder(copy_dir).joinpath("manifest.json").write_bytes(b"damaged")
    for path in copy_dir.rglob("*.array_record*"):
        path.write_bytes(b"damaged")
    assert data.load("digits").checksum == embedded.digits_checksum()


@pytest.mark.parametrize("manifest", ["[]", "{}", '{"checksum": 1, "files": {}}', "\xff"])
def test_a_foreign_manifest_is_damage(manifest, tmp_path):
    (tmp_path / "manifest.json").write_text(manifest, encoding="latin-1")
    with pytest.raises(packed.DamagedError, match="is not a manifest"):
        packed.read_manifest(tmp_path)


def test_a_set_prepared_elsewhere_is_packed_on_first_use(copy_dir, ordinary_digits):
    shutil.rmtree(copy_dir / "crosscheck")
    assert data.prepared("digits")
    identity = data.identity("digits")
    shutil.rmtree(copy_dir / "digits")
    assert data.prepared("digits")
    assert identity == f"1.0.0/{data.load('digits').checksum[:16]}"


def test_a_damaged_set_without_its_source_is_missing(copy_dir, ordinary_digits):
    shutil.rmtree(copy_dir / "digits")
    flip_last_byte(packed_folder(copy_dir) / "x_test.npy")
    with pytest.warns(RuntimeWarning), pytest.raises(UsageError, match="is not prepared"):
        data.load("digits")


def test_tfrecord_files_give_the_same_arrays(digits_dir, empty_dir):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "FILE_FORMAT", "tfrecord")
        sources.prepare("digits", ORDINARY, empty_dir)
    assert [*(empty_dir / "digits").rglob("*.tfrecord*")]
    checksums = {
        packed.content_checksum(sources.arrays("digits", ORDINARY, folder))
        for folder in (empty_dir, digits_dir)
    }
    assert len(checksums) == 1


def test_content_checksum_sees_values_types_and_shapes():
    def checksum(x):
        return packed.content_checksum(dict.fromkeys(packed.NAMES, np.zeros(1)) | {"x_test": x})

    variants = [np.zeros((2, 3)), np.zeros((3, 2)), np.zeros((2, 3), int), np.ones((2, 3))]
    assert len({checksum(x) for x in variants}) == len(variants)
    assert checksum(np.zeros((3, 2)).T) == checksum(np.zeros((2, 3)))  # not the order in memory

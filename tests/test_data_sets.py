"""The real sets, and what is new beside pictures with a class: tables, bags of words, shares of people."""

import dataclasses
import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from data_folders import run, seconds, use_proxy

from crosscheck import data
from crosscheck.data.preparing import cache, forms, packed, sources, words
from crosscheck.errors import UsageError

MADE_UP = """% a comment: @attribute none numeric
@RELATION toy
@attribute first NUMERIC
@attribute 'label b' {0,1}
@Attribute second numeric
@attribute label-a {0,1}

@DATA
0.5,1,-2e3,0
% another
1.25,0,0.1,1
"""
LABELS = """<?xml version="1.0" encoding="utf-8"?>
<labels xmlns="http://mulan.sourceforge.net/labels">
<label name="label-a"></label><label name="label b"></label>
</labels>"""


def loaded(name):
    """The set, or a skip where this machine does not have it."""
    if not data.prepared(name):
        pytest.skip(f"{name} is not prepared in {data.data_dir()}: run `crosscheck data {name}`")
    return data.load(name)


@pytest.fixture
def empty_dir(tmp_path, monkeypatch):
    """An empty data folder in use."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


# --- real sets ------------------------------------------------------------------------------------

# name: rows to train and to test on, first training labels, identity
FACTS = {
    "mnist": ((60_000, 10_000), [4, 1, 0, 7, 8], "3.0.1/d26314997a0fae5b"),
    "fashion_mnist": ((60_000, 10_000), [2, 1, 8, 4, 1], "3.0.1/e35f07f8c1faa2ac"),
    "clinc_oos": ((15_000, 4_500), [85, 90, 92, 87, 15], "0.1.0/8393f37d6cbb6dfb"),
    "goemotions": ((43_410, 5_427), [[27], [0], [6, 25], [27], [7, 10]], "0.1.0/95ceab490345140f"),
    "emotions": ((391, 202), [[1, 2], [0, 5], [1, 5], [2], [3]], "1.0.0/9206b504165a350a"),
    "yeast": ((1_500, 917), [[2, 3]], "1.0.0/d126dfb749aa6157"),
    "fashion_mnist_h": ((8_000, 2_000), None, "1.0.0/003e128986c22b04"),
    "cifar10_train": ((45_000, 5_000), [6, 9, 9, 4, 1], "1.0.0/631351bf628fdffa"),
}


@pytest.mark.parametrize("name", FACTS)
def test_a_set_is_the_one_that_is_documented(name):
    (train, test), first, identity = FACTS[name]
    dataset, entry = loaded(name), data.CATALOGUE[name]
    assert data.identity(name) == f"{dataset.version}/{dataset.checksum[:16]}" == identity
    assert dataset.x_train.shape == (train, np.prod(dataset.shape)) and len(dataset.y_train) == train
    assert dataset.x_test.shape == (test, np.prod(dataset.shape)) and len(dataset.y_test) == test
    assert (dataset.x_train.dtype, dataset.x_test.dtype) == (np.float32, np.float32)
    assert (dataset.version, dataset.classes, dataset.shape) == (entry.version, entry.classes, entry.shape)
    if first is not None:
        rows = dataset.y_train[: len(first)]
        assert first == [row.nonzero()[0].tolist() if row.ndim else row for row in rows]


@pytest.mark.parametrize("name", ["emotions", "yeast", "goemotions"])
def test_labels_are_0_or_1(name):
    dataset = loaded(name)
    for y in (dataset.y_train, dataset.y_test):
        assert y.shape[1] == dataset.classes and y.dtype == np.int32
        assert {*np.unique(y)} == {0, 1} and y.any(axis=0).all()


@pytest.mark.parametrize("name", ["clinc_oos", "goemotions"])
def test_bags_of_words_are_0_or_1(name):
    dataset = loaded(name)
    assert {*np.unique(dataset.x_train)} == {0, 1}
    assert dataset.x_train.any(axis=0).all()  # every word of the vocabulary occurs in training
    assert (np.sort(dataset.x_train.sum(axis=0))[::-1][:3] > 0.1 * len(dataset.x_train)).all()


def test_queries_of_no_intent_stand_apart():
    dataset = loaded("clinc_oos")
    np.testing.assert_array_equal(np.bincount(dataset.y_train), 100)
    np.testing.assert_array_equal(np.bincount(dataset.y_test), 30)
    assert dataset.classes == 150 == len(np.bincount(dataset.y_train))
    assert dataset.x_outside_train.shape == (100, words.SIZE)
    assert dataset.x_outside_test.shape == (1000, words.SIZE)
    assert dataset.x_outside_test.dtype == np.float32


def test_other_sets_have_nothing_outside():
    digits = data.load("digits")
    assert digits.x_outside_train is None and digits.x_outside_test is None


def test_people_saw_what_the_label_says_on_four_in_five_images():
    people, original = loaded("fashion_mnist_h"), loaded("fashion_mnist")
    label = dict(zip(map(bytes, original.x_test), original.y_test, strict=True))
    for x, y in ((people.x_train, people.y_train), (people.x_test, people.y_test)):
        assert y.dtype == np.float32 and y.shape == (len(x), 10)
        np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
        agree = y.argmax(axis=1) == [label[bytes(image)] for image in x]
        assert 0.80 < agree.mean() < 0.84
        assert (y.argmax(axis=1) == np.roll([label[bytes(image)] for image in x], 1)).mean() < 0.15


def test_the_catalogue_agrees_with_tfds():
    for name, entry in data.CATALOGUE.items():
        features = sources._builder(name, entry, data.data_dir()).info.features
        shapes = {"image": entry.shape, "x": entry.shape, "y": (entry.classes,), "counts": (entry.classes,)}
        if entry.side:  # images of many sizes, brought to one
            assert entry.shape[:2] == (entry.side, entry.side)
            shapes["image"] = features["image"].shape
        for feature in {*features} & {*shapes}:
            assert features[feature].shape == shapes[feature], name
        if "label" in features:
            assert features["label"].num_classes == entry.classes
        if isinstance(entry.x, forms.Words):
            assert entry.x.text in features and entry.shape == (words.SIZE,)
    assert [*data.CATALOGUE["goemotions"].y.names] == [
        name for name in goemotions_of_tfds() if name != "comment_text"
    ]


def goemotions_of_tfds():
    from tensorflow_datasets.text import goemotions

    return goemotions._EMOTION_LABELS


def test_every_set_states_its_licence():
    assert all(entry.licence for entry in data.CATALOGUE.values())
    for name, entry in data.CATALOGUE.items():
        if entry.builder:
            assert sources._builder(name, entry, data.data_dir()).info.redistribution_info.license


# --- absent sets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [data.load, data.identity, data.prepare])
def test_a_set_without_a_download_says_where_its_files_are(ask, empty_dir):
    def refused():
        with pytest.raises(UsageError, match=r"mulan.sourceforge.net.* --from .*/yeast or FOLDER/mulan"):
            ask("yeast")

    assert seconds(refused) < 1


def test_asking_what_is_there_imports_nothing_heavy(empty_dir):
    process = run(
        "print([name for name in data.CATALOGUE if data.prepared(name)],"
        "{'tensorflow', 'tensorflow_datasets', 'scipy', 'sklearn', 'filelock'} & {*sys.modules})",
        empty_dir,
    )
    assert process.communicate() == ("['digits'] set()\n", "")


def test_shares_without_a_network_name_both_original_files(empty_dir, monkeypatch):
    monkeypatch.setattr(cache, "PATIENCE", 1.0)
    use_proxy(monkeypatch, 9)  # nothing listens there
    with pytest.raises(UsageError, match=r"'fashion_mnist_h' needs a network.*fmh_counts.csv, t10k-images"):
        data.prepare("fashion_mnist_h")


# --- original files -------------------------------------------------------------------------------


def record(content):
    return len(content), hashlib.sha256(content).hexdigest()


@pytest.fixture
def toy_emotions(empty_dir, monkeypatch):
    """A small set in the place of `emotions`, its original files in `from/mulan`."""
    from crosscheck.data.builders import mulan

    files = {"-train.arff": MADE_UP, "-test.arff": MADE_UP.replace("0.5", "0.75"), ".xml": LABELS}
    folder = empty_dir / "from" / "mulan"
    folder.mkdir(parents=True)
    for ending, text in files.items():
        (folder / f"renamed{ending}").write_text(text)
    monkeypatch.setattr(mulan.Emotions, "ORIGINALS", {e: record(t.encode()) for e, t in files.items()})
    monkeypatch.setattr(mulan.Emotions, "FEATURES", 2)
    monkeypatch.setattr(mulan.Emotions, "LABELS", 2)
    return folder


def test_a_table_is_prepared_from_its_original_files(toy_emotions):
    data.prepare("emotions", toy_emotions.parent)
    dataset = data.load("emotions")
    np.testing.assert_array_equal(dataset.x_train, np.float32([[0.5, -2000], [1.25, 0.1]]))
    np.testing.assert_array_equal(dataset.y_train, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(dataset.x_test[:, 0], [0.75, 1.25])


def test_altered_originals_of_a_table_prepare_nothing(toy_emotions):
    (toy_emotions / "renamed.xml").write_text(LABELS.replace("label-a", "label-c"))
    with pytest.raises(UsageError, match=r"No file in .*emotions or .*mulan has .*emotions.xml \(\d+ bytes"):
        data.prepare("emotions", toy_emotions.parent)
    assert not data.prepared("emotions")


def test_shares_are_prepared_in_the_order_of_the_original_files(empty_dir, monkeypatch):
    from tensorflow_datasets.core.download.checksums import UrlInfo

    from crosscheck.data.builders import fashion_mnist_h

    pictures = np.arange(5 * 784, dtype=np.uint32).astype(np.uint8)
    counts = b"1,0,0,0,0,0,0,0,0,3\n" + b"0,2,0,0,0,0,0,0,0,0\n" * 4
    images = gzip.compress(bytes(16) + pictures.tobytes())
    for folder, content in (("fashion_mnist_h", counts), ("fashion_mnist", images)):
        (empty_dir / "from" / folder).mkdir(parents=True)
        (empty_dir / "from" / folder / "file").write_bytes(content)
    infos = {"http://host/t10k-images-idx3-ubyte.gz": UrlInfo(*record(images), "images")}
    monkeypatch.setattr(fashion_mnist_h.FashionMnistH, "_of_fashion_mnist", lambda _: infos)
    monkeypatch.setattr(fashion_mnist_h, "SIZE", len(counts))
    monkeypatch.setattr(fashion_mnist_h, "CHECKSUM", record(counts)[1])
    monkeypatch.setattr(fashion_mnist_h, "TRAIN", 3)
    data.prepare("fashion_mnist_h", empty_dir / "from")
    dataset = data.load("fashion_mnist_h")
    assert (len(dataset.x_train), len(dataset.x_test)) == (3, 2)
    np.testing.assert_array_equal(np.concatenate([dataset.x_train, dataset.x_test]).ravel() * 255, pictures)
    np.testing.assert_array_equal(dataset.y_train[0], [0.25, 0, 0, 0, 0, 0, 0, 0, 0, 0.75])


def test_features_and_labels_come_in_the_order_of_the_columns():
    from crosscheck.data.builders import mulan

    x, y = mulan.examples(MADE_UP, LABELS)
    assert (x.dtype, y.dtype) == (np.float32, np.uint8)
    np.testing.assert_array_equal(x, np.float32([[0.5, -2000], [1.25, 0.1]]))
    assert y.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1.25,0,0.1,1", "1.25,0,?,1", "value is missing"),
        ("1.25,0,0.1,1", "1.25,0,word,1", "could not convert"),
        ("label-a {0,1}", "label-a {1,2}", "0 value not in"),
        ("label-a {0,1}\n\n@DATA\n0.5,1,-2e3,0", "label-a {1,2}\n\n@DATA\n0.5,1,-2e3,2", "neither 0 nor 1"),
        ("label-a", "label-c", "no columns for the labels label-a"),
    ],
)
def test_a_table_that_is_not_numbers_and_labels_is_refused(old, new, message):
    from crosscheck.data.builders import mulan

    assert old in MADE_UP
    with pytest.raises(ValueError, match=message):
        mulan.examples(MADE_UP.replace(old, new), LABELS)


# --- bags of words --------------------------------------------------------------------------------


def test_words_are_lower_case_ascii_with_their_apostrophes():
    assert words.words("Don't, DON\N{RIGHT SINGLE QUOTATION MARK}T: 'it's' 2nd_café!") == [
        *("don't", "don't", "it's", "2nd", "caf")
    ]


def test_the_vocabulary_is_the_most_frequent_words_of_the_training_texts(monkeypatch):
    monkeypatch.setattr(words, "SIZE", 3)
    train, test = ["b b a", "d a", "c b"], ["d d d d c", ""]
    assert words.vocabulary(train) == ["b", "a", "c"]  # `c` before `d`, as frequent
    bits = [np.unpackbits(bag, axis=-1, count=3).tolist() for bag in words.bags(train, test)]
    assert bits == [[[1, 1, 0], [0, 1, 0], [1, 0, 1]], [[0, 0, 1], [0, 0, 0]]]


def test_few_words_leave_columns_empty():
    (bag,) = words.bags(["two words"])
    assert bag.shape == (1, words.SIZE // 8)
    assert np.unpackbits(bag).sum() == 2


def test_the_recipe_changes_with_the_code_and_not_with_a_comment(tmp_path, monkeypatch):
    code, now = Path(words.__file__).read_text("utf-8"), words.recipe()
    variants = {"same": code + "\n# a comment\n", "other": code.replace("SIZE = 1000", "SIZE = 2000")}
    for name, text in variants.items():
        (tmp_path / name).write_text(text, "utf-8")
        monkeypatch.setattr(words, "__file__", str(tmp_path / name))
        assert (words.recipe.__wrapped__() == now) == (name == "same")


@dataclasses.dataclass(frozen=True)
class Inverted(forms.Pixels):
    """The digits by another featuriser."""

    def recipe(self):
        return "inverted"

    def pack(self, *splits):
        return [self.peak - pixels for pixels in super().pack(*splits)]


def test_a_pack_by_another_recipe_is_not_read(empty_dir, monkeypatch):
    entry = dataclasses.replace(data.CATALOGUE["digits"], origin=None)
    monkeypatch.setitem(data.CATALOGUE, "digits", entry)
    data.prepare("digits")
    before = data.load("digits")
    monkeypatch.setitem(data.CATALOGUE, "digits", dataclasses.replace(entry, x=Inverted(16)))
    after = data.load("digits")
    np.testing.assert_array_equal(after.x_train, 1 - before.x_train)
    assert after.checksum != before.checksum
    monkeypatch.setitem(data.CATALOGUE, "digits", entry)
    np.testing.assert_array_equal(data.load("digits").x_train, before.x_train)


# --- stored arrays --------------------------------------------------------------------------------


@pytest.fixture
def arrays():
    names = (*packed.NAMES, *packed.OUTSIDE)
    return {name: np.full((2, 3), index, np.uint8) for index, name in enumerate(names)}


def test_inputs_of_no_class_are_stored_and_summed(arrays, tmp_path):
    packed.write(tmp_path, arrays, "sum")
    checksum, back = packed.read(tmp_path)
    assert checksum == "sum" and [*back] == [*arrays]
    assert all(isinstance(back[name], np.memmap) and (back[name] == arrays[name]).all() for name in arrays)
    other = {**arrays, "x_outside_test": arrays["x_test"]}
    without = {name: arrays[name] for name in packed.NAMES}
    assert len({packed.content_checksum(content) for content in (arrays, other, without)}) == 3


@pytest.mark.parametrize("name", packed.OUTSIDE)
def test_a_manifest_that_lost_one_of_them_is_damage(name, arrays, tmp_path):
    packed.write(tmp_path, arrays, "sum")
    manifest = tmp_path / packed.MANIFEST
    manifest.write_text(manifest.read_text().replace(f'"{name}"', '"x_other"'))
    with pytest.raises(packed.DamagedError, match="is not a manifest"):
        packed.read(tmp_path)


@pytest.mark.parametrize("value", [-1, 256])
def test_what_does_not_fit_into_a_byte_is_refused(value):
    with pytest.raises(ValueError, match="do not fit into a byte"):
        forms.Label("intent").pack([{"intent": 0}, {"intent": value}])

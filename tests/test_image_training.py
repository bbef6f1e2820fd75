"""The published network and its training, tiny: its size, its batches, its checkpoints, and a kill."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

import filelock
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from crosscheck import losses
from crosscheck.errors import UsageError
from crosscheck.lab.photographs import checkpoints
from crosscheck.lab.photographs.image_training import (
    TRAINED,
    TUNED,
    Phase,
    Protocol,
    augmented,
    epoch_of,
    fit,
    train_and_tune,
)
from crosscheck.models.wide_resnet import wide_resnet

# TensorFlow says that it compiles the reading of the examples all the same.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config.*run_functions_eagerly")
K, SHAPE, SEED = 3, (8, 8, 3), 4
TINY = wide_resnet(SHAPE, K, depth=10, width=1)
PHASE, TUNING = Phase(0.1, 3, 16), Phase(0.01, 2, 16, 32)


def numpy(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


@contextlib.contextmanager
def functions_run(eagerly: bool) -> Iterator[None]:
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(eagerly)
    yield
    tf.config.run_functions_eagerly(before)


@pytest.fixture(scope="module", autouse=True)
def eager() -> Iterator[None]:
    """A dozen steps of a network: to trace it would take ten times as long."""
    with functions_run(eagerly=True):
        yield


@pytest.fixture(scope="module")
def images():
    """Images of K colours, with noise: enough to learn from, N no multiple of the batch."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % K
    x = rng.integers(0, 120, (40, *SHAPE)) + 120 * np.eye(3, dtype=int)[labels][:, None, None]
    outside = rng.integers(0, 256, (20, *SHAPE)).astype("uint8")
    return x.astype("uint8"), np.eye(K, dtype="float32")[labels], outside


def built() -> keras.Model:
    keras.utils.set_random_seed(SEED)
    return TINY()


def compiled(model: keras.Model) -> keras.Model:
    rate = keras.optimizers.schedules.CosineDecay(0.1, 9)
    model.compile(keras.optimizers.SGD(rate, 0.9, nesterov=True), "mse")
    return model


def same(one, other) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


# --- the network ------------------------------------------------------------------------------------


def parameters(depth: int, width: int, classes: int) -> int:
    """Of a wide residual network on colour images, counted block by block."""
    n, filters = (depth - 4) // 6, 16
    total = 9 * 3 * filters
    for wide in (16 * width, 32 * width, 64 * width):
        for i in range(n):
            before = filters if i == 0 else wide
            total += 9 * before * wide + 9 * wide * wide + 2 * (before + wide)
            total += before * wide if before != wide else 0
        filters = wide
    return total + 2 * filters + filters * classes + classes


@pytest.mark.parametrize(("depth", "width"), [(10, 1), (16, 2), (40, 2)])
def test_the_network_has_the_published_number_of_parameters(depth: int, width: int) -> None:
    model = wide_resnet((32, 32, 3), 10, depth, width)()
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == parameters(depth, width, 10)
    if (depth, width) == (40, 2):
        assert round(parameters(40, 2, 10) / 1e6, 1) == 2.2  # Zagoruyko & Komodakis 2016, table 4
        convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
        assert sum(layer.kernel_size == (3, 3) for layer in convolutions) == 40 - 4 + 1


def test_depths_that_are_none_are_refused() -> None:
    for depth in (4, 11, 41):
        with pytest.raises(ValueError, match="6 n"):
            wide_resnet(SHAPE, K, depth)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_images_of_bytes_become_logits_in_float32(policy: str) -> None:
    model = wide_resnet((32, 32, 3), 10, 10, 1, policy=policy)()
    z = model(np.zeros((2, 32, 32, 3), "uint8"))
    assert z.shape == (2, 10) and keras.backend.standardize_dtype(z.dtype) == "float32"
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    sizes = [layer.output.shape[1] for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert sizes == [32, 16, 8]


def test_a_stride_looks_at_the_pixels_that_the_published_network_looks_at() -> None:
    """With a border on all sides, output (0, 0) of a stride of 2 is centred on input (0, 0)."""
    from crosscheck.models.wide_resnet import Parts

    x = keras.Input((4, 4, 1))
    model = keras.Model(x, Parts(0.0, "float32").strided(x, 1, 2))
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[1, 1] = 1
    model.set_weights([kernel])
    grid = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(numpy(model(grid))[0, :, :, 0], grid[0, ::2, ::2, 0])


def test_the_penalty_decays_every_parameter_at_the_published_rate() -> None:
    model = built()
    squares = sum((numpy(v) ** 2).sum() for v in model.trainable_variables)
    assert float(numpy(sum(model.losses))) == pytest.approx(5e-4 / 2 * squares, rel=1e-5)


# --- batches ----------------------------------------------------------------------------------------


def test_augmenting_mirrors_and_moves_by_at_most_four_pixels() -> None:
    image = np.random.default_rng(1).integers(1, 256, SHAPE).astype("uint8")
    images = augmented(np.stack([image] * 400), np.random.default_rng(2))
    padded = {side: np.pad(image[:, ::side], ((4, 4), (4, 4), (0, 0))) for side in (1, -1)}
    possible = {
        padded[side][i : i + 8, j : j + 8].tobytes() for side in padded for i in range(9) for j in range(9)
    }
    drawn = {image.tobytes() for image in images}
    assert drawn <= possible and len(drawn) > 140
    assert images.dtype == np.uint8


def test_an_epoch_holds_every_inlier_once_and_is_a_function_of_seed_and_number(images) -> None:
    x, y, _ = images
    first, again, second = (epoch_of(PHASE, x, y, None, SEED, number) for number in (0, 0, 1))
    np.testing.assert_array_equal(first.x, again.x)
    assert (first.x != second.x).any()
    assert (first.x != epoch_of(PHASE, x, y, None, SEED + 1, 0).x).any()
    np.testing.assert_array_equal(first.y.sum(0), y.sum(0))
    assert (first.weights == 1).all()


def test_batches_with_outliers_weigh_both_parts_alike(images) -> None:
    """The mean of a batch is the published objective; the last batch, with fewer inliers, too."""
    x, y, outside = images
    epoch = epoch_of(TUNING, x, y, outside, SEED, 0)
    rng, size = np.random.default_rng(3), 16 + 32
    z = (4 * rng.normal(size=epoch.y.shape)).astype("float32")
    loss = losses.EnergyMarginCrossentropy(-23.0, -5.0, 0.1)
    for start, inside in ((0, 16), (size, 16), (2 * size, 40 - 32)):
        rows = slice(start, start + inside + 32)
        labels, logits = epoch.y[rows], z[rows]
        assert (labels.sum(1) == np.repeat([1, 0], [inside, 32])).all()
        e = -np.log(np.exp(logits.astype("float64")).sum(1))
        cross = -(labels * logits).sum(1)[:inside] - e[:inside]
        objective = cross.mean() + 0.1 * (
            (np.maximum(e[:inside] + 23, 0) ** 2).mean() + (np.maximum(-5 - e[inside:], 0) ** 2).mean()
        )
        assert float(numpy(loss(labels, logits, epoch.weights[rows]))) == pytest.approx(objective, rel=1e-5)
    assert len(epoch.x) == 40 + 3 * 32


# --- training and checkpoints -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """An undisturbed training."""
    return fit(built(), PHASE, *images[:2], SEED, tmp_path_factory.mktemp("whole"))


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def left_behind(images, tmp_path_factory):
    """The folder of the same training, dead while it computes the epoch after two."""
    from crosscheck.lab.photographs import image_training

    original, folder = image_training.epoch_of, tmp_path_factory.mktemp("killed")

    def dying(phase, x, y, outside, seed, number):
        if number == 2:
            raise KilledError
        return original(phase, x, y, outside, seed, number)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(image_training, "epoch_of", dying)
        fit(built(), PHASE, *images[:2], SEED, folder)
    return folder


@pytest.fixture
def killed(left_behind, tmp_path):
    return shutil.copytree(left_behind, tmp_path, dirs_exist_ok=True)


def test_a_resumed_training_equals_an_undisturbed_one(images, whole, killed) -> None:
    assert [path.name[:11] for path in checkpoints.saved(killed)] == ["epoch-00001", "epoch-00002"]
    keras.utils.set_random_seed(99)  # whatever the new process starts from
    assert same(fit(TINY(), PHASE, *images[:2], SEED, killed), whole)


def test_compiled_too_it_goes_on_as_an_undisturbed_one(images, whole, killed) -> None:
    with functions_run(eagerly=False):
        resumed = fit(TINY(), PHASE, *images[:2], SEED, killed)
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)  # three steps' rounding


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_used(
    images, whole, killed, tmp_path
) -> None:
    first, last = checkpoints.saved(tmp_path)
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(bytes(content))
    model = compiled(TINY())
    with pytest.warns(RuntimeWarning, match="checksum in its name"):
        assert checkpoints.restore(tmp_path, model) == 1
    assert not last.exists() and last.with_name(last.name + ".damaged").exists() and first.exists()
    assert same(fit(TINY(), PHASE, *images[:2], SEED, tmp_path), whole)


def test_a_checkpoint_of_another_model_or_cut_short_is_not_used(tmp_path) -> None:
    other = compiled(wide_resnet(SHAPE, K + 1, 10, 1)())
    checkpoints.save(tmp_path, 1, other)
    (tmp_path / "epoch-00002-0123456789abcdef.npz").write_bytes(b"PK")
    model = compiled(built())
    with pytest.warns(RuntimeWarning):
        assert checkpoints.restore(tmp_path, model) == 0
    assert same(model, built()) and not checkpoints.saved(tmp_path)


def test_a_pickle_is_never_read(tmp_path) -> None:
    import io

    packed = io.BytesIO()
    np.savez(packed, **{"variable 0": np.array([{}], dtype=object)})
    content = packed.getvalue()
    (tmp_path / checkpoints.file_name(1, content)).write_bytes(content)
    model = compiled(built())
    with pytest.warns(RuntimeWarning, match=r"allow_pickle|[Oo]bject"):
        assert checkpoints.restore(tmp_path, model) == 0


def energy_gap(images):
    """What to look at in a network: how far outliers' energies lie above inliers'."""
    x, _, outside = images

    def gap(model) -> float:
        inside, out = (losses.energy(model.predict(of, verbose=0)) for of in (x, outside))
        return float(numpy(out).mean() - numpy(inside).mean())

    return gap


MARGINS = (-6.0, -1.0)


def test_both_trainings_are_a_function_of_the_seed(images, tmp_path) -> None:
    brief = Protocol(Phase(0.1, 2, 40), Phase(0.01, 1, 40, 32, MARGINS))
    arguments = (TINY, brief, *images)
    once, again, other = (
        train_and_tune(*arguments, seed, tmp_path / folder, energy_gap(images))
        for seed, folder in ((1, "a"), (1, "b"), (2, "c"))
    )
    assert once == again
    assert once[TRAINED] != other[TRAINED] and once[TUNED] != other[TUNED]
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.npz")}
    assert train_and_tune(*arguments, 1, tmp_path / "a", energy_gap(images)) == once
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.npz")}


def test_margins_part_the_energies(images, tmp_path) -> None:
    protocol = Protocol(PHASE, Phase(0.01, 4, 16, 32, MARGINS))
    gaps = train_and_tune(TINY, protocol, *images, 1, tmp_path, energy_gap(images))
    assert gaps[TUNED] > gaps[TRAINED]


def test_a_training_is_one_processs_at_a_time(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(checkpoints.ROOT, str(tmp_path))
    with checkpoints.place(seed=1) as folder:
        assert folder.parent == tmp_path
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(folder / "lock", timeout=0).acquire()
        with checkpoints.place(seed=2) as other:
            assert other != folder
    filelock.FileLock(folder / "lock", timeout=0).acquire()


def test_a_folder_that_cannot_be_made_is_named_with_a_remedy(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(checkpoints.ROOT, str(tmp_path / "file"))
    with pytest.raises(UsageError, match="not a folder"), checkpoints.place(seed=1):
        pass

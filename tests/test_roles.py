"""Outliers of many kinds, and the roles that share no kind of data."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck import data
from crosscheck.data import Roles, outliers

SHAPE = (8, 8, 1)
PREPARED = [name for name, cast in data.CASTS.items() if all(map(data.prepared, cast.reads))]


def images(n: int = 50) -> np.ndarray:
    """Images without two equal pixels."""
    return np.random.default_rng(0).permuted(np.tile(np.linspace(0, 1, 64), (n, 1)), axis=1)


# --- makers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", data.MAKERS)
def test_makers_are_seeded_functions_of_images(kind: str) -> None:
    x = images().astype("float32")
    kept = x.copy()
    spoilt = data.make_outliers(kind, 1, x, SHAPE)
    assert spoilt.shape == x.shape and spoilt.dtype == np.float32
    assert spoilt.min() >= 0 and spoilt.max() <= 1
    assert (spoilt == data.make_outliers(kind, 1, x, SHAPE)).all() and (x == kept).all()
    assert not (spoilt == x).all(1).any(), "an outlier is an image as it was"
    settled = {"mirrored", "inverted", "blurred"}
    assert (spoilt == data.make_outliers(kind, 2, x, SHAPE)).all() == (kind in settled)


@pytest.mark.parametrize("kind", ["pixels shuffled", "patches shuffled", "rotated", "mirrored"])
def test_what_only_moves_pixels_keeps_them_all(kind: str) -> None:
    x = images().astype("float32")
    np.testing.assert_array_equal(np.sort(data.make_outliers(kind, 0, x, SHAPE)), np.sort(x))


def test_a_patch_stays_whole() -> None:
    x = np.arange(64.0).reshape(1, 64) / 63
    spoilt = data.make_outliers("patches shuffled", 0, x.astype("float32"), SHAPE).reshape(4, 2, 4, 2)
    corners = spoilt[:, 0, :, 0]
    np.testing.assert_allclose(spoilt[:, 1, :, 0] - corners, 8 / 63, atol=1e-6)
    np.testing.assert_allclose(spoilt[:, 0, :, 1] - corners, 1 / 63, atol=1e-6)


def test_a_quarter_turn_is_one() -> None:
    x = np.zeros((30, 8, 8), "float32")
    x[:, 0, 2] = 1
    turned = data.make_outliers("rotated", 0, x.reshape(30, 64), SHAPE).reshape(30, 8, 8)
    turns = {tuple(int(i) for i in np.argwhere(image)[0]) for image in turned}
    assert turns == {(5, 0), (2, 7)}


def test_blurring_keeps_an_even_image_and_lowers_the_contrast() -> None:
    even = np.full((2, 64), 0.3, "float32")
    np.testing.assert_allclose(data.make_outliers("blurred", 0, even, SHAPE), even, rtol=1e-6)
    assert data.make_outliers("blurred", 0, images(), SHAPE).std() < images().std() / 2


def test_pooling_averages_blocks() -> None:
    x = np.arange(16.0).reshape(1, 16)
    np.testing.assert_allclose(outliers.pooled(x, (4, 4, 1)), [[2.5, 4.5, 10.5, 12.5]])


@pytest.mark.parametrize(("kind", "shape"), [("patches shuffled", (7, 7, 1)), ("rotated", (4, 16, 1))])
def test_images_that_do_not_fit_are_refused(kind: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=str(shape[0])):
        data.make_outliers(kind, 0, np.zeros((2, int(np.prod(shape)))), shape)
    with pytest.raises(ValueError, match="blocks"):
        outliers.pooled(np.zeros((2, 49)), (7, 7, 1))


# --- roles ------------------------------------------------------------------------------------------


def test_every_maker_has_a_family() -> None:
    assert set(outliers.FAMILIES) == set(data.MAKERS)


@pytest.mark.parametrize("name", data.CASTS)
def test_kinds_in_different_roles_are_disjoint(name: str) -> None:
    cast = data.CASTS[name]
    assert set(cast.mixed) <= set(cast.auxiliary)
    assert all(data.family(a) != data.family(t) for a, t in cast.pairs())
    inside = {name, *map(str, cast.classes)}
    assert not inside & {*cast.auxiliary, *cast.outliers}
    trained, tested = (set(numbers(kinds)) for kinds in (cast.auxiliary, cast.outliers))
    assert not trained & tested and not (trained | tested) & set(cast.classes)


def numbers(kinds: tuple[str, ...]) -> list[int]:
    """Classes that kinds name, as in "classes 6, 7" or "intents 30–49"."""
    classes: list[int] = []
    for kind in kinds:
        word, _, rest = kind.partition(" ")
        if word in ("classes", "intents"):
            ends = [int(number) for number in rest.replace("–", ",").split(",")]
            classes += range(ends[0], ends[1] + 1) if "–" in rest else ends
    return classes


@pytest.fixture(scope="module", params=PREPARED)
def played(request) -> tuple[str, Roles]:
    return request.param, data.roles(request.param, 600)


def test_no_example_plays_two_roles(played: tuple[str, Roles]) -> None:
    """Repetitions inside a set aside, of which Fashion-MNIST and bags of words have some."""
    name, roles = played
    groups = {
        "train": roles.x_train,
        "validation": roles.x_validation,
        "test": roles.x_test,
        **{f"auxiliary {kind}": x for kind, x in roles.auxiliary.items()},
        **{f"test {kind}": x for kind, x in roles.outliers.items()},
    }
    seen = {role: {row.tobytes() for row in x} for role, x in groups.items()}
    for first in seen:
        for second in seen:
            shared = len(seen[first] & seen[second]) if first < second else 0
            assert shared <= (0.02 * len(seen[first]) if name == "clinc_oos" else 0), (first, second)


def test_labels_are_those_of_the_classes_in_distribution(played: tuple[str, Roles]) -> None:
    _, roles = played
    for y in (roles.y_train, roles.y_validation, roles.y_test):
        assert set(y) == set(range(len(roles.cast.classes)))
    assert set(roles.auxiliary) == set(roles.cast.auxiliary)
    assert set(roles.outliers) == set(roles.cast.outliers)
    widths = {x.shape[1] for x in (roles.x_train, *roles.auxiliary.values(), *roles.outliers.values())}
    assert len(widths) == 1 and min(map(len, roles.outliers.values())) >= 300


def test_test_outliers_are_made_from_test_images_and_auxiliary_ones_from_training_images() -> None:
    roles = data.roles("digits", 300)
    np.testing.assert_allclose(roles.outliers["inverted"], 1 - roles.x_test, atol=1e-6)
    shuffled = roles.auxiliary["patches shuffled"]
    np.testing.assert_array_equal(np.sort(shuffled), np.sort(roles.x_train))


def test_the_same_names_give_the_same_examples() -> None:
    first, second = data.roles("digits", 300), data.roles("digits", 300)
    np.testing.assert_array_equal(first.x_train, second.x_train)
    for kind, x in first.outliers.items():
        np.testing.assert_array_equal(x, second.outliers[kind])

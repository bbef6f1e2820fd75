"""Fine-tuning with outliers: arms, margins by rule, and what moves; networks of radial basis functions."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from crosscheck import losses, models
from crosscheck.lab.outliers import exposure
from crosscheck.lab.outliers.exposure import INSIDE, Arm, Schedule
from crosscheck.replicates import Replicates

K, D = 3, 4
SEEDS = (0, 1)
SCHEDULE = Schedule(rate=0.02, batch=16, epochs=8, inliers=48, outliers=24)
ARMS = {
    "none": Arm(("far",), 0.0),
    "again": Arm(("far",), 0.0),
    "margins": Arm(("far",)),
    "both": Arm(("far", "near")),
    "swapped": Arm(("far",), swapped=True),
    "reversed": Arm(("far",), reversed=True),
    "inside": Arm((INSIDE,)),
    "shuffled": Arm(("far",), shuffled=True),
}


def numpy(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def clusters(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    return (3 * np.eye(K, D)[y] + rng.normal(size=(n, D))).astype("float32"), y


@pytest.fixture(scope="module")
def examples():
    (x, y), (held, _), rng = clusters(60, 0), clusters(30, 1), np.random.default_rng(2)
    far, near = (scale * rng.normal(size=(40, D)).astype("float32") for scale in (5, 0.5))
    return SimpleNamespace(x_train=x, y_train=y, x_validation=held, auxiliary={"far": far, "near": near})


@pytest.fixture(scope="module")
def trained(examples):
    replicas = exposure.classifiers(models.perceptron(D, [8], K), SEEDS, 0.01)
    replicas.fit(examples.x_train, np.eye(K, dtype="float32")[examples.y_train], batch_size=20, epochs=20)
    return replicas


@pytest.fixture(scope="module")
def weights_before(trained):
    """Those of the classifiers before anything was made of them."""
    return [weight.copy() for weight in trained.get_weights()]


@pytest.fixture(scope="module")
def tuned(examples, trained, weights_before):
    build = models.perceptron(D, [8], K)
    copies = exposure.fine_tuned(build, trained, examples, ARMS, SCHEDULE)
    sets = {"in": examples.x_validation, **examples.auxiliary}
    logits = exposure.logits_by_kind(copies, sets)
    return copies, {k: numpy(losses.energy(z)).reshape(len(ARMS), 2, -1).mean(-1) for k, z in logits.items()}


def test_the_loss_is_that_of_the_library_with_its_switches() -> None:
    rng = np.random.default_rng(0)
    y = np.concatenate([np.eye(K), np.zeros((3, K))]).astype("float32")
    z = (3 * rng.normal(size=(6, K))).astype("float32")
    margins = numpy(exposure.role_loss(y, z, -3.0, -1.0, 0.2, 0.0, 0.0))
    np.testing.assert_allclose(
        margins, numpy(losses.energy_margin_crossentropy(y, z, -3.0, -1.0, 0.2)), rtol=1e-6
    )
    exposed = numpy(exposure.role_loss(y, z, -3.0, -1.0, 0.0, 0.4, 0.0))
    np.testing.assert_allclose(exposed, numpy(losses.outlier_exposure_crossentropy(y, z, 0.4)), rtol=1e-6)
    turned = numpy(exposure.role_loss(y, z, -3.0, -1.0, 1.0, 0.0, 1.0))
    e, cross = numpy(losses.energy(z)), numpy(losses.inlier_crossentropy(y, z))
    penalty = np.where(y.any(1), np.maximum(-1 - e, 0), np.maximum(e + 3, 0)) ** 2
    np.testing.assert_allclose(turned - cross, penalty, rtol=1e-5, atol=1e-5)


def test_logits_by_kind_are_those_of_every_kind(examples, trained) -> None:
    together = exposure.logits_by_kind(trained, {"in": examples.x_validation, **examples.auxiliary})
    assert [z.shape for z in together.values()] == [(2, 30, K), (2, 40, K), (2, 40, K)]
    np.testing.assert_allclose(
        together["near"], trained.predict(examples.auxiliary["near"]), rtol=1e-5, atol=1e-5
    )


def test_stages_train_as_one_training_does_and_look_at_its_ends(examples) -> None:
    replicas, whole = (exposure.classifiers(models.perceptron(D, [8], K), SEEDS, 0.01) for _ in range(2))
    sets = {"in": examples.x_validation, **examples.auxiliary}
    start = exposure.logits_by_kind(whole, sets)
    logits = exposure.stages(replicas, examples, 20, [1, 2], sets)
    whole.fit(examples.x_train, np.eye(K, dtype="float32")[examples.y_train], batch_size=20, epochs=3)
    end = exposure.logits_by_kind(whole, sets)
    assert len(logits) == 3
    for kind in sets:
        np.testing.assert_array_equal(logits[0][kind], start[kind])
        np.testing.assert_allclose(logits[-1][kind], end[kind], rtol=1e-5, atol=1e-6)
        assert (logits[1][kind] != logits[2][kind]).any()


def test_logits_by_arm_are_those_of_the_arms_own_copies(examples, tuned) -> None:
    copies, _ = tuned
    logits = exposure.logits_by_arm(copies, list(ARMS), {"in": examples.x_validation, **examples.auxiliary})
    assert list(logits) == list(ARMS)
    place = list(ARMS).index("reversed") * len(SEEDS)
    own = copies.predict(examples.auxiliary["near"])[place : place + len(SEEDS)]
    np.testing.assert_allclose(logits["reversed"]["near"], own, rtol=1e-5, atol=1e-5)


def test_margins_are_each_classifiers_own(examples, trained) -> None:
    pairs = dict(zip(ARMS, exposure.margins(trained, examples, ARMS), strict=True))
    inside = numpy(losses.energy(trained.predict(examples.x_validation)))
    far = numpy(losses.energy(trained.predict(examples.auxiliary["far"])))
    np.testing.assert_allclose(pairs["margins"], losses.energy_margins(inside, far), rtol=1e-5)
    assert (pairs["margins"][0] < pairs["margins"][1]).all()
    np.testing.assert_array_equal(pairs["swapped"], pairs["margins"][::-1])


def test_all_arms_of_a_seed_see_the_same_inliers_and_their_own_outliers(examples) -> None:
    sets = {name: exposure.mixture(examples, arm, SCHEDULE, 5) for name, arm in ARMS.items()}
    for name, (x, y) in sets.items():
        assert x.shape == (72, D) and y.shape == (72, K)
        np.testing.assert_array_equal(x[:48], sets["none"][0][:48])
        assert (y.sum(1) == np.repeat([1, 0], [48, 24])).all()
        if name != "shuffled":
            np.testing.assert_array_equal(y, sets["none"][1])
    labels = sets["shuffled"][1]
    assert (labels != sets["none"][1]).any() and (labels.sum(0) == sets["none"][1].sum(0)).all()
    rows = {kind: {row.tobytes() for row in x} for kind, x in examples.auxiliary.items()}
    outside = [row.tobytes() for row in sets["both"][0][48:]]
    assert [sum(row in rows[kind] for row in outside) for kind in ("far", "near")] == [12, 12]
    inside = {row.tobytes() for row in examples.x_train}
    assert all(row.tobytes() in inside for row in sets["inside"][0][48:])


def test_equal_arms_train_alike_and_margins_move_the_energies_apart(tuned) -> None:
    copies, energies = tuned
    apart = dict(zip(ARMS, energies["far"] - energies["in"], strict=True))
    np.testing.assert_array_equal(apart["none"], apart["again"])
    assert (apart["margins"] > apart["none"] + 0.5).all()
    assert (apart["reversed"] < apart["margins"] - 0.5).all()
    assert isinstance(copies, Replicates) and len(copies) == len(ARMS) * len(SEEDS)


@pytest.mark.usefixtures("tuned")
def test_the_classifiers_stay_as_they_were(trained, weights_before) -> None:
    for after, before in zip(trained.get_weights(), weights_before, strict=True):
        np.testing.assert_array_equal(after, before)


# --- radial basis functions -------------------------------------------------------------------------


def test_a_radial_layer_follows_its_formula() -> None:
    model = models.radial(D, 5, K)()
    x = np.random.default_rng(0).normal(size=(7, D)).astype("float32")
    points, kernel, bias = model.get_weights()
    squares = ((x[:, None] - points) ** 2).sum(-1)
    np.testing.assert_allclose(numpy(model(x)), np.exp(-8 * squares / D) @ kernel + bias, atol=1e-5)


def test_far_from_all_centres_the_logits_are_the_biases() -> None:
    model = models.radial(D, 5, K)()
    model.layers[-1].bias.assign([1.0, -2.0, 0.5])
    np.testing.assert_array_equal(numpy(model(1e4 * np.ones((1, D), "float32")))[0], [1.0, -2.0, 0.5])


def test_a_radial_network_survives_saving(tmp_path) -> None:
    model, x = models.radial(D, 5, K)(), np.ones((2, D), "float32")
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        numpy(keras.saving.load_model(tmp_path / "model.keras")(x)), numpy(model(x))
    )

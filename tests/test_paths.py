"""The execution-path grid: what it lists, what it finds on known paths, and that a broken loss is caught."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np
import pytest

from crosscheck import losses, paths
from crosscheck.paths import Derivatives, ExecutionPath
from crosscheck.paths.heads import outer
from crosscheck.paths.probing import probe, probe_together, skipped_steps

Z = np.array([-1000.0, -40, -15, -2, 0, 2, 15, 40, 1000])
KERAS = ExecutionPath(
    "binary", "tensorflow", "cpu", "graph", "float32", "dense", "probabilities", "keras class"
)
OURS = ExecutionPath("binary", "tensorflow", "cpu", "graph", "float32", "logits", "logits", "ours")
CAP = -np.log(1e-7)  # the value at which Keras' clipping of probabilities ends
HALF = ("mixed_bfloat16", "mixed_float16")


def one(path: ExecutionPath, z: float, y: float = 1.0, loss=None) -> tuple[float, float]:
    value, slope, _ = probe(path, np.array([z]), np.array([y]), loss)
    return float(value[0]), float(slope[0])


def probes(mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Both labels in a direct call; the wrong side alone through `train_on_batch`."""
    if mode.startswith("fit"):
        return Z[Z <= 0], np.ones(np.sum(Z <= 0))
    return np.tile(Z, 2), np.repeat([0.0, 1.0], len(Z))


@functools.cache  # of one path ours is right or not, however many broken losses are held against it
def is_right(path: ExecutionPath, loss=None) -> bool:
    z, y = probes(path.mode)
    error = probe(path, z, y, loss).gradient - paths.oracle(path.loss, z, y).gradient
    return bool((np.abs(error) <= 4 * path.ulp).all())


# --- the table --------------------------------------------------------------------------------------


def test_a_path_reads_as_its_parts():
    path = replace(KERAS, policy="mixed_float16")
    assert str(path) == "binary/tensorflow/cpu/graph/mixed_float16/dense/probabilities/keras class"


def test_the_grid_holds_each_path_once_and_ours_on_logits_alone():
    everywhere = paths.grid(["binary"])
    direct, fitted = 4 * 4 + 5, 4 * 1 + 2  # four sigmoid heads and the logits; Keras' four or one, and ours
    assert len(set(everywhere)) == len(everywhere) == len(paths.POLICIES) * (3 * direct + 3 * fitted)
    assert {path.entry for path in everywhere if path.implementation == "ours"} == {"logits"}
    assert len(paths.grid(["categorical"])) == len(everywhere)  # of sparse labels there is no focal loss
    assert len(paths.grid(["sparse"])) == len(everywhere) - len(paths.POLICIES) * 3 * len(paths.HEADS)


def test_the_grid_can_be_narrowed():
    narrow = paths.grid(["sparse"], "jax", modes=("xla",), policies=("float64",))
    assert {(path.loss, path.backend, path.mode, path.policy) for path in narrow} == {
        ("sparse", "jax", "xla", "float64")
    }


def test_a_path_of_another_backend_is_refused():
    with pytest.raises(ValueError, match="needs torch"):
        probe(replace(OURS, backend="torch", mode="eager"), Z, np.ones_like(Z))


@pytest.mark.parametrize(
    ("mode", "policy"),
    [
        ("xla", "mixed_bfloat16"),
        ("graph", "mixed_bfloat16"),
        pytest.param("xla", "float32", marks=pytest.mark.long),
    ],
)
def test_what_is_probed_together_has_the_same_numbers(mode: str, policy: str) -> None:
    z, y = np.concatenate([-Z, Z]), np.repeat([1.0, 0.0], len(Z))
    everywhere = paths.grid(["categorical"], OURS.backend, [mode], [policy], OURS.device)
    together = everywhere[::7]  # of three implementations one, behind three heads
    for path, derivatives in zip(together, probe_together(together, z, y), strict=True):
        for array, alone in zip(derivatives, probe(path, z, y), strict=True):
            np.testing.assert_array_equal(array, alone, str(path))


def test_one_graph_serves_both_modes_and_no_other_labels() -> None:
    for mode, label in (("graph", 1), ("xla", 1), ("xla", 0), ("graph", 0)):
        path, y = replace(OURS, loss="categorical", mode=mode), np.full_like(Z, label)
        (together,) = probe_together([path], Z, y)
        gc.collect()  # a graph does not keep the variables that it reads
        np.testing.assert_array_equal(together, probe(path, Z, y))


def test_other_losses_are_probed_together_in_the_place_of_the_paths_own() -> None:
    twice = lambda y, z: 2 * losses.categorical_crossentropy(y, z)
    path = replace(OURS, loss="categorical", mode="graph")
    y = np.ones_like(Z)
    own, other = probe_together([path, path], Z, y, [None, twice])
    for one, two in zip(own, other, strict=True):
        np.testing.assert_array_equal(2 * one, two)


def test_what_differs_in_mode_is_not_probed_together() -> None:
    with pytest.raises(ValueError, match="share mode and policy"):
        probe_together([OURS, replace(OURS, mode="fit eager")], Z, np.ones_like(Z))


# --- theory -----------------------------------------------------------------------------------------


def test_the_oracle_loses_no_digit_in_the_tails():
    z = np.array([200.0, -200, 700])
    true = paths.oracle("binary", z, np.ones(3))
    np.testing.assert_allclose(true.value, [np.exp(-200), 200, np.exp(-700)])
    np.testing.assert_allclose(true.gradient, [-np.exp(-200), -1, -np.exp(-700)])
    np.testing.assert_allclose(true.second, np.exp([-200.0, -200, -700]))


@pytest.mark.parametrize("loss", paths.LOSSES)
@pytest.mark.parametrize("y", [0.0, 0.3, 1.0])
def test_the_oracle_agrees_with_the_definition(loss, y):
    """−Σ y ln p of logits (z, 0) or (z, 0, 0); its derivatives by differences of the value."""
    z, step = np.array([-3.0, 0, 2]), 1e-4
    logits = np.stack([z] + [np.zeros(3)] * (1 if loss == "binary" else 2), axis=1)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    true = paths.oracle(loss, z, np.full(3, y))
    np.testing.assert_allclose(true.value, -y * log_p[:, 0] - (1 - y) * log_p[:, 1])
    before, after = (paths.oracle(loss, z + sign * step, np.full(3, y)).value for sign in (-1, 1))
    np.testing.assert_allclose(true.gradient, (after - before) / (2 * step), atol=1e-8)
    np.testing.assert_allclose(true.second, (after - 2 * true.value + before) / step**2, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "bits"),
    [
        ({}, 23),
        ({"policy": "mixed_bfloat16"}, 7),
        ({"policy": "mixed_float16", "head": "float32"}, 10),
        ({"policy": "mixed_float16"}, 10),
        ({"policy": "float64"}, 52),  # though the loss object computes in float32
        ({"policy": "float64", "head": "float32"}, 23),
    ],
)
def test_the_unit_is_that_of_the_dtype_the_user_chose(change, bits):
    assert replace(KERAS, **change).ulp == 2.0**-bits


# --- known facts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ("eager", "graph", "xla", "fit graph"))
def test_keras_keeps_the_gradient_of_a_sigmoid_head_in_float32(mode):
    value, slope = one(replace(KERAS, mode=mode), -40.0)
    assert slope == -1
    assert value == pytest.approx(40)


@pytest.mark.parametrize("mode", ("eager", "graph", "xla", "fit eager", "fit graph", "fit xla"))
@pytest.mark.parametrize("policy", HALF)
def test_keras_loses_it_under_mixed_precision(policy, mode):
    """The loss object's cast to float32 makes a new tensor, without the logits that Keras had attached."""
    value, slope = one(replace(KERAS, mode=mode, policy=policy), -40.0)
    assert slope == 0
    assert value == pytest.approx(CAP)


@pytest.mark.parametrize("policy", HALF)
def test_a_float32_activation_or_the_function_keeps_it_under_mixed_precision(policy):
    assert one(replace(KERAS, policy=policy, head="float32"), -40.0)[1] == -1
    assert one(replace(KERAS, policy=policy, implementation="keras function"), -40.0)[1] == -1


@pytest.mark.parametrize("policy", ("float32", *HALF))
def test_a_reshape_behind_the_sigmoid_loses_it_everywhere(policy):
    assert one(replace(KERAS, policy=policy, head="reshape"), -40.0)[1] == 0


@pytest.mark.parametrize("policy", HALF)
def test_the_function_behind_a_reshape_is_nan_on_a_correct_example(policy):
    """In half precision the upper bound of the clip, 1 − 1e−7, is 1: 0 · ln 0."""
    path = replace(KERAS, policy=policy, head="reshape", implementation="keras function")
    assert np.isnan(one(path, 15.0)).all()


@pytest.mark.parametrize(("compiled", "plain"), [("xla", "graph"), ("fit xla", "fit graph")])
def test_xla_loses_a_float16_gradient_earlier(compiled, plain):
    """e^15 overflows float16, so that XLA's 1 / (1 + e^−z) is 0 where TensorFlow's kernel finds 3e−7."""
    path = replace(KERAS, policy="mixed_float16")
    value, slope = one(replace(path, mode=compiled), -15.0)
    assert slope == 0 and value == pytest.approx(CAP)
    value, slope = one(replace(path, mode=plain), -15.0)
    assert slope != 0 and value == pytest.approx(15, abs=0.1)


@pytest.fixture
def deterministic_kernels() -> Iterator[None]:
    """As the runner has them."""
    from tensorflow.python.framework import config

    config.enable_op_determinism()
    keras.utils.set_random_seed(0)  # without a seed TensorFlow then refuses to draw initial weights
    yield
    config.disable_op_determinism()


@pytest.mark.usefixtures("deterministic_kernels")
def test_training_is_compiled_by_xla_also_where_kernels_are_deterministic():
    """Keras would leave XLA out there, and the sign of it above would be gone."""
    path = replace(KERAS, policy="mixed_float16")
    assert one(replace(path, mode="fit graph"), -15.0)[1] != 0
    assert one(replace(path, mode="fit xla"), -15.0)[1] == 0


def survives(loss: str, mode: str, policy: str, measured: Derivatives) -> None:
    path, (z, y) = replace(OURS, loss=loss, mode=mode, policy=policy), probes(mode)
    true = paths.oracle(loss, z, y)
    np.testing.assert_allclose(measured.gradient, true.gradient, rtol=0, atol=4 * path.ulp, err_msg=str(path))
    # `train_on_batch` returns the loss through a metric in float32, whatever it was computed in.
    ulp = max(path.ulp, 2.0**-23 if path.trains else 0)
    np.testing.assert_allclose(measured.value, true.value, rtol=8 * ulp, atol=4 * ulp, err_msg=str(path))
    if path.trains:
        assert np.isnan(measured.second).all()
    else:
        np.testing.assert_allclose(measured.second, true.second, rtol=0, atol=4 * path.ulp, err_msg=str(path))


@pytest.mark.parametrize("policy", paths.POLICIES)
@pytest.mark.parametrize("mode", ("eager", "graph", "xla"))
def test_ours_survives_every_direct_call(mode, policy):
    together = [replace(OURS, loss=loss, mode=mode, policy=policy) for loss in paths.LOSSES]
    for loss, measured in zip(paths.LOSSES, probe_together(together, *probes(mode)), strict=True):
        survives(loss, mode, policy, measured)


def of_all_trainings() -> Iterator[object]:
    """Under float16 the loss is scaled: there every loss in every program, elsewhere the first."""
    for mode in ("fit eager", "fit graph", "fit xla"):
        for policy in paths.POLICIES:
            for loss in paths.LOSSES:
                short = mode == "fit graph" or policy == "mixed_float16" or loss == "binary"
                yield pytest.param(mode, policy, loss, marks=[] if short else pytest.mark.long)


@pytest.mark.parametrize(("mode", "policy", "loss"), list(of_all_trainings()))
def test_ours_survives_every_training(mode, policy, loss):
    survives(loss, mode, policy, probe(replace(OURS, loss=loss, mode=mode, policy=policy), *probes(mode)))


OTHER_LOSSES = {
    "smoothed": (
        "binary",
        lambda y, z: losses.binary_crossentropy(y, z, 0.1),
        lambda dtype: losses.BinaryCrossentropy(0.1, dtype=dtype),
    ),
    "smoothed classes": (
        "categorical",
        lambda y, z: losses.categorical_crossentropy(y, z, 0.1),
        lambda dtype: losses.CategoricalCrossentropy(0.1, dtype=dtype),
    ),
    "brier": ("binary", losses.brier, lambda dtype: losses.Brier(dtype=dtype)),
}


@functools.cache
def gradient_in_float64(name: str, mode: str) -> np.ndarray:
    """By autodiff on the bare logits, which `test_losses` holds against 50 digits."""
    kind, function, _ = OTHER_LOSSES[name]
    return probe(replace(OURS, loss=kind, policy="float64", mode="eager"), *probes(mode), function).gradient


def of_all_policies(modes) -> Iterator[object]:
    """XLA rewrites what overflows half precision; in wider ones it has the losses above to show the same."""
    for mode in modes:
        for policy in paths.POLICIES:
            short = mode != "xla" or policy in HALF
            yield pytest.param(mode, policy, marks=[] if short else pytest.mark.long)


@pytest.mark.parametrize(("mode", "policy"), list(of_all_policies(("eager", "graph", "xla", "fit graph"))))
@pytest.mark.parametrize("name", OTHER_LOSSES)
def test_our_other_losses_survive_everywhere(name, mode, policy):
    kind, function, make = OTHER_LOSSES[name]
    path = replace(OURS, loss=kind, policy=policy, mode=mode)
    measured = probe(path, *probes(mode), make(outer(policy)) if path.trains else function).gradient
    np.testing.assert_allclose(measured, gradient_in_float64(name, mode), rtol=0, atol=4 * path.ulp)


def test_keras_objects_leave_float64_and_ours_do_not():
    """The logit 1 has no exact sigmoid: what is computed in float32 is off by more than float64 can round."""
    path = replace(OURS, mode="fit graph", policy="float64")
    theory = paths.oracle("binary", np.array([-1.0]), np.ones(1)).gradient[0]
    assert abs(one(path, -1.0)[1] - theory) <= 4 * 2.0**-52
    assert abs(one(replace(path, implementation="keras class"), -1.0)[1] - theory) > 1e-10


# --- loss scaling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ("fit eager", "fit graph"))
def test_a_step_skipped_by_loss_scaling_is_not_taken_for_a_dead_gradient(mode):
    """1/p is up to 3e6: Keras' loss scale has to come down to where scale / p fits into float16."""
    path = replace(KERAS, mode=mode, policy="mixed_float16")
    assert one(path, -15.0)[1] == pytest.approx(-1, abs=4 * path.ulp)
    p = float(np.float16(1 / (1 + np.exp(15.0))))
    halvings = np.ceil(np.log2(2**15 / p / float(np.finfo("float16").max)))
    # Beginning afresh for each example, the count does not depend on those before.
    z = np.array([-15.0, -40, -15])
    np.testing.assert_array_equal(skipped_steps(path, z, np.ones(3)), [halvings, 0, halvings])


def test_only_mixed_float16_skips_steps():
    z = np.array([-15.0, -2])
    for policy in ("float32", "mixed_bfloat16"):
        path = replace(KERAS, mode="fit graph", policy=policy)
        assert not skipped_steps(path, z, np.ones(2)).any()


def test_a_gradient_that_is_nan_at_every_scale_comes_to_an_end():
    nan = lambda y, p: np.nan * p[:, 0]
    value, slope = one(replace(KERAS, mode="fit graph", policy="mixed_float16"), -2.0, loss=nan)
    assert np.isnan(value) and slope == 0


# --- broken losses ----------------------------------------------------------------------------------


def squared_error(y, p):
    return keras.ops.mean(keras.ops.square(p - keras.ops.cast(y, p.dtype)), axis=-1)


BROKEN = {
    "squared error": losses.brier,
    "wrong sign": lambda y, z: -losses.binary_crossentropy(y, z),
    "5 % too large": lambda y, z: 1.05 * losses.binary_crossentropy(y, z),
    "blind to its logits": lambda y, z: keras.ops.zeros_like(y[:, 0]),
    "labels swapped": lambda y, z: losses.binary_crossentropy(1 - y, z),
}


@pytest.mark.parametrize("policy", paths.POLICIES)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_loss_is_caught(name, policy):
    path = replace(OURS, policy=policy, mode="graph" if policy == "float32" else "eager")
    assert is_right(path)
    assert not is_right(path, BROKEN[name])


@pytest.mark.parametrize("mode", ("graph", "fit graph"))
@pytest.mark.parametrize("policy", ("float32", "mixed_float16"))  # bfloat16's step at 1 is 0.8 %
def test_one_per_cent_too_much_is_seen_in_units_of_the_path(policy, mode):
    path, (z, y) = replace(OURS, policy=policy, mode=mode), probes(mode)
    scaled = lambda y, z: 1.01 * losses.binary_crossentropy(y, z)
    units = lambda loss: (
        np.max(np.abs(probe(path, z, y, loss).gradient - paths.oracle("binary", z, y).gradient)) / path.ulp
    )
    assert units(None) <= 4 < units(scaled)


@pytest.mark.parametrize("mode", ("fit eager", "fit graph", pytest.param("fit xla", marks=pytest.mark.long)))
def test_a_broken_loss_is_caught_through_fit(mode):
    for path, foil in ((OURS, losses.brier), (KERAS, squared_error)):
        assert is_right(replace(path, mode=mode))
        assert not is_right(replace(path, mode=mode), foil)


def test_a_loss_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="one value for each"):
        one(OURS, 1.0, loss=lambda y, z: keras.ops.square(z - y))


@pytest.mark.parametrize("mode", ("graph", "fit graph"))
def test_the_dtype_policy_is_restored_whatever_happens(mode):
    def raising(y, z):
        raise RuntimeError("on purpose")

    before = keras.config.dtype_policy().name
    path = replace(OURS, mode=mode, policy="mixed_float16")
    one(path, 1.0)
    assert keras.config.dtype_policy().name == before
    with pytest.raises(RuntimeError, match="on purpose"):
        one(path, 1.0, loss=raising)
    assert keras.config.dtype_policy().name == before


def test_softmax_derivatives_at_50_digits_keep_what_float64_would_lose() -> None:
    """At a lead of 40, p rounds to 1: p − 1 and p (1 − p) are −2e^−40 and 2e^−40 for three classes."""
    z, y = np.array([[40.0, 0.0, 0.0]]), np.eye(3)[:1]
    small = np.exp(-40)
    np.testing.assert_allclose(paths.softmax_gradient(z, y), [[-2 * small, small, small]], rtol=1e-14)
    jacobian = [[2, -1, -1], [-1, 1, 0], [-1, 0, 1]]
    np.testing.assert_allclose(paths.softmax_jacobian(z)[0] / small, jacobian, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(paths.softmax(z), [[1, small, small]], rtol=1e-14)

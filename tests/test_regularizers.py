"""The priors against SciPy's densities, and their λ against what a mean over batches makes of it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy import stats

from crosscheck import autodiff
from crosscheck.regularizers import GaussianPrior, LaplacePrior

pytestmark = pytest.mark.every_backend

N = 40
PRIORS = {
    "gaussian": lambda **more: GaussianPrior(0.7, N, **more),
    "laplace": lambda **more: LaplacePrior(0.7, N, **more),
}
DENSITIES = {"gaussian": stats.norm(0, 0.7), "laplace": stats.laplace(0, 0.7)}
CONSTANTS = {"gaussian": 0.5 * np.log(2 * np.pi * 0.7**2), "laplace": np.log(2 * 0.7)}


def weights(dtype="float64"):
    return np.random.default_rng(0).normal(size=(3, 4)).astype(dtype)


def penalty(prior, w):
    return float(autodiff.numbers(prior(*autodiff.tensors(w))))


@pytest.mark.parametrize("name", PRIORS)
def test_n_times_the_penalty_is_minus_the_log_density_up_to_its_constant(name):
    w = weights()
    density = -DENSITIES[name].logpdf(w).sum() - w.size * CONSTANTS[name]
    assert N * penalty(PRIORS[name](), w) == pytest.approx(density, rel=1e-14)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize(("batch_size", "share"), [(None, 1.0), (10, 10 / N)])
def test_a_summed_loss_takes_the_batch_s_share_of_the_whole(name, batch_size, share):
    w = weights()
    summed = PRIORS[name](reduction="sum", batch_size=batch_size)
    assert penalty(summed, w) == pytest.approx(N * share * penalty(PRIORS[name](), w), rel=1e-14)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
def test_over_an_epoch_of_minibatches_the_steps_add_up_to_the_log_posterior(name, reduction):
    """Σ over steps of (loss + penalty), rescaled as the loss is, equals Σ_n ℓ_n − ln prior."""
    values, w, size = np.random.default_rng(1).exponential(size=N), weights(), 8
    prior = PRIORS[name](reduction=reduction, batch_size=size)
    batches = values.reshape(-1, size)
    losses = batches.mean(1) * size if reduction == "sum" else batches.mean(1)
    unit = 1 if reduction == "sum" else size
    total = unit * (losses + penalty(prior, w)).sum()
    assert total == pytest.approx(values.sum() + N * penalty(PRIORS[name](), w), rel=1e-12)


def test_the_coefficient_is_the_one_that_keras_own_regularizers_take():
    w = weights("float32")
    gaussian, laplace = GaussianPrior(0.7, N), LaplacePrior(0.7, N)
    assert gaussian.l2 == pytest.approx(1 / (2 * 0.7**2 * N), rel=1e-15)
    assert laplace.l1 == pytest.approx(1 / (0.7 * N), rel=1e-15)
    assert penalty(gaussian, w) == pytest.approx(penalty(keras.regularizers.L2(gaussian.l2), w), rel=1e-6)
    assert penalty(laplace, w) == pytest.approx(penalty(keras.regularizers.L1(laplace.l1), w), rel=1e-6)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_penalty_keeps_the_weights_dtype(name, dtype):
    actual = PRIORS[name]()(*autodiff.tensors(weights(dtype)))
    assert keras.backend.standardize_dtype(actual.dtype) == dtype


@pytest.mark.parametrize("name", PRIORS)
def test_configuration_survives_the_round_trip(name):
    prior = PRIORS[name](reduction="sum", batch_size=8)
    again = keras.regularizers.deserialize(keras.regularizers.serialize(prior))
    assert type(again) is type(prior)
    own = {"gaussian": "tau", "laplace": "scale"}[name]
    assert again.get_config() == {own: 0.7, "n": N, "reduction": "sum", "batch_size": 8}
    assert penalty(again, weights()) == penalty(prior, weights())


@pytest.mark.parametrize("name", PRIORS)
def test_a_layer_that_has_one_is_saved_and_loaded_with_it(name, tmp_path):
    layer = keras.layers.Dense(2, kernel_regularizer=PRIORS[name]())
    model = keras.Sequential([keras.Input((3,)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    (before,), (after,) = (map(keras.ops.convert_to_numpy, copy.losses) for copy in (model, again))
    assert after == before > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianPrior(0.0, N), "tau"),
        (lambda: GaussianPrior(float("nan"), N), "tau"),
        (lambda: LaplacePrior(-1.0, N), "scale"),
        (lambda: GaussianPrior(1.0, 0), "`n`"),
        (lambda: LaplacePrior(1.0, 0), "`n`"),
        (lambda: LaplacePrior(1.0, N, reduction="mean"), "reduction"),
        (lambda: GaussianPrior(1.0, N, "sum", batch_size=0), "batch_size"),
    ],
)
def test_what_makes_no_prior_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

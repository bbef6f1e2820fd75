"""Trainings watched or compared: several runs as one program are the same as each on its own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure

from crosscheck.claims import Check, Equal
from crosscheck.claims.rows import gathered
from crosscheck.lab import distances, trajectories

SEEDS = (0, 1)
CHECK = Check("apart", "They end at the same weights.", Equal(margin=0.001), "0", control="another rate")


def penalised() -> keras.Model:
    dense = keras.layers.Dense(10, kernel_regularizer=keras.regularizers.L2(1.0))
    return keras.Sequential([keras.Input((64,)), dense])


def scaled_cross_entropy(y, z, scale):
    return scale * keras.losses.sparse_categorical_crossentropy(y, z, from_logits=True)


def ends(penalties: tuple[float, ...], scales: tuple[float, ...]) -> list[list[np.ndarray]]:
    optimizer, arguments = keras.optimizers.SGD(0.1), {"scale": np.array(scales, "float32")}
    return trajectories.ends(
        penalised, SEEDS, optimizer, scaled_cross_entropy, penalties, arguments, jit_compile=False
    )


def test_each_run_ends_where_it_ends_alone() -> None:
    together = ends((0.0, 0.1), (1.0, 0.5))
    for run, alone in zip(together, [*ends((0.0,), (1.0,)), *ends((0.1,), (0.5,))], strict=True):
        assert [weights.shape for weights in run] == [(2, 64, 10), (2, 10)]
        for weights, weights_alone in zip(run, alone, strict=True):
            assert weights == pytest.approx(weights_alone, abs=1e-4)
    assert np.abs(together[0][0] - together[1][0]).max() > 0.1


def test_the_panel_sets_the_claim_left_of_the_control_and_draws_the_margin() -> None:
    rows = gathered([CHECK.rows([1e-4, 2e-4], [0.1, 0.2], seed=SEEDS)])
    ax = Figure().subplots()
    distances.draw_distances(ax, rows, {"SGD": (CHECK, "")}, "same", "other")
    claim, control, margin = ax.lines
    assert (claim.get_label(), control.get_label()) == ("same", "other")
    assert max(claim.get_xdata()) < 0 < min(control.get_xdata())
    assert list(control.get_ydata()) == [0.1, 0.2] and set(margin.get_ydata()) == {0.001}

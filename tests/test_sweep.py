"""Settings times seeds in parts: the table, what is refused, and the same numbers on a cluster."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import ray_cluster
from made_up_ray import MadeUpRay
from plainly import PLAINLY

from crosscheck.models import perceptron
from crosscheck.replicates import Replicates, grid, sweep

SETTINGS = {"width": [2, 3], "learning_rate": [0.1, 0.01]}


def recorded(calls: list):
    def train(seeds, **numbers):
        calls.append((list(seeds), numbers))
        return {"product": np.array(seeds) * numbers["rate"], "width": numbers["units"] + 0 * np.array(seeds)}

    return train


def test_a_row_for_every_combination_under_every_seed() -> None:
    calls: list = []
    table = sweep(recorded(calls), {"rate": [1.0, 10.0], "units": [4, 5]}, [7, 8, 9], apart=["units"], most=4)
    assert list(table) == ["rate", "units", "seed", "product", "width"]
    assert len(table) == 12 and not table.duplicated(["rate", "units", "seed"]).any()
    assert (table["product"] == table["rate"] * table["seed"]).all() and (
        table["width"] == table["units"]
    ).all()
    assert [len(seeds) for seeds, _ in calls] == [4, 2, 4, 2] and calls[0][1]["units"] == 4


def test_parts_follow_the_grid() -> None:
    seeds, numbers = grid([1, 2], rate=[1.0, 2.0], units=[3, 4])
    table = sweep(recorded([]), {"rate": [1.0, 2.0], "units": [3, 4]}, [1, 2], most=3)
    assert table["seed"].tolist() == seeds
    assert table["rate"].tolist() == numbers["rate"].tolist()


def test_a_setting_may_be_a_list() -> None:
    table = sweep(
        lambda seeds, hidden: {"layers": np.full(len(seeds), len(hidden))},
        {"hidden": [[8, 4], [16]]},
        range(2),
        apart=["hidden"],
    )
    assert table["hidden"].tolist() == [[8, 4], [8, 4], [16], [16]]
    assert table["layers"].tolist() == [2, 2, 1, 1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"apart": ["depth"]}, "`apart` names 'depth', which is no setting"),
        ({"settings": {"rate": []}}, "The setting 'rate' has no values"),
        ({"seeds": []}, "`seeds` must name at least one"),
        ({"most": 0}, "`most` must be at least 1, not 0"),
        ({"train": lambda seeds, rate: 1.0}, "must return numbers by name, not float"),
        (
            {"train": lambda seeds, rate: {"loss": 1.0}},
            r"returned 'loss' of shape \(\): .* of the 2 replicates",
        ),
        ({"train": lambda seeds, rate: {"seed": rate}}, "returned 'seed', which is the name of a setting"),
    ],
)
def test_what_is_refused(change: dict, words: str) -> None:
    asked = {"train": lambda seeds, rate: {}, "settings": {"rate": [1.0]}, "seeds": [1, 2], **change}
    with pytest.raises(ValueError, match=words):
        sweep(**asked)


def trained(seeds, width, **numbers):
    x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
    replicas = Replicates(perceptron(3, [width], 2), seeds, paired=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    replicas.compile(keras.optimizers.SGD(), loss, optimizer_arguments=numbers, **PLAINLY)
    return {"loss": replicas.fit(x, np.arange(32) % 2, epochs=2).history["loss"][-1]}


def test_a_part_is_one_training_of_its_replicates() -> None:
    table = sweep(trained, SETTINGS, [1, 2], apart=["width"])
    seeds, numbers = grid([1, 2], learning_rate=SETTINGS["learning_rate"])
    assert table.loc[table["width"] == 3, "loss"].tolist() == trained(seeds, 3, **numbers)["loss"].tolist()
    assert table["loss"].nunique() == 8


def test_a_cluster_gives_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = MadeUpRay({"a": 1, "b": 1}, lambda node, line: ("", b"")).put_in_place(monkeypatch)
    asked = recorded([]), {"rate": [1.0, 2.0], "units": [3, 4]}, [1, 2]
    assert sweep(*asked, most=3, on="auto").equals(sweep(*asked, most=3))
    assert ray.parts == 3


@pytest.mark.long
@pytest.mark.skipif(
    sys.platform != "linux" or not importlib.util.find_spec("ray"), reason="Ray is not installed"
)
def test_two_nodes_train_what_one_machine_trains() -> None:
    tests = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    with ray_cluster.nodes(tests, tests) as nodes:
        there = sweep(trained, SETTINGS, [1, 2], apart=["width"], on=nodes.address)
    assert there.equals(sweep(trained, SETTINGS, [1, 2], apart=["width"]))

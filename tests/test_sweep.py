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
from crosscheck.replicates import Replicates, SweepError, SweepInterrupted, grid, sweep

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
        ({"settings": {"rate": [1.0], "seed": [3]}}, "No setting can be called 'seed'.* `data_seed`"),
        ({"settings": {"seeds": [3]}, "apart": ["seeds"]}, "No setting can be called 'seeds'.* `data_seed`"),
    ],
)
def test_what_is_refused(change: dict, words: str) -> None:
    asked = {"train": lambda seeds, rate: {}, "settings": {"rate": [1.0]}, "seeds": [1, 2], **change}
    with pytest.raises(ValueError, match=words):
        sweep(**asked)


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        (lambda seeds, rate: 1.0, "must return numbers by name, not float"),
        (lambda seeds, rate: {"loss": 1.0}, r"returned 'loss' of shape \(\): .* of the 2 replicates"),
        (lambda seeds, rate: {"seed": rate}, "returned 'seed', which is the name of a setting"),
    ],
)
def test_what_train_must_return(gives, words: str) -> None:
    with pytest.raises(SweepError, match=words) as caught:
        sweep(gives, {"rate": [1.0]}, [1, 2])
    assert isinstance(caught.value.__cause__, ValueError)
    assert list(caught.value.table) == ["rate", "seed"] and caught.value.table.empty


# --- a part that raises -------------------------------------------------------------------------------

GRID = {"rate": [1.0, 2.0], "units": [3, 4, 5]}


def raising(error: BaseException, units: list[int], calls: list):
    """What `recorded` records, but for these units."""
    train = recorded(calls)

    def raises(seeds, **numbers):
        told = train(seeds, **numbers)
        if numbers["units"] in units:
            raise error
        return told

    return raises


def whole(without: list[int]):
    table = sweep(recorded([]), GRID, [7, 8], apart=["units"])
    return table[~table["units"].isin(without)].reset_index(drop=True)


def test_a_part_that_raises_is_named_and_the_others_are_kept() -> None:
    calls: list = []
    with pytest.raises(SweepError) as caught:
        sweep(raising(OSError("no memory\nat all"), [4], calls), GRID, [7, 8], apart="units")
    assert str(caught.value).splitlines() == [
        "`train` raised for 1 of 3 parts.",
        "units = 4, rate = 1.0, 2.0, seeds 7, 8: OSError: no memory",
        "2 of 3 parts are finished: their rows are this error's `table`.",
    ]
    assert isinstance(caught.value.__cause__, OSError) and len(calls) == 3
    assert caught.value.table.equals(whole(without=[4]))


def test_where_the_first_part_raises_none_follows() -> None:
    calls: list = []
    with pytest.raises(SweepError, match=r"units = 3, .*: KeyError: 'x'"):
        sweep(raising(KeyError("x"), [3, 5], calls), GRID, [7, 8], apart=["units"])
    assert len(calls) == 1


def test_ctrl_c_keeps_what_is_finished() -> None:
    with pytest.raises(KeyboardInterrupt, match="2 of 3 parts are finished") as caught:
        sweep(raising(KeyboardInterrupt(), [5], []), GRID, [7, 8], apart=["units"])
    assert isinstance(caught.value, SweepInterrupted)
    assert caught.value.table.equals(whole(without=[5]))


def test_many_seeds_and_values_are_named_by_their_ends() -> None:
    with pytest.raises(SweepError, match=r"rate = 0, …, 6, seeds 0, …, 8: ZeroDivisionError"):
        sweep(lambda seeds, rate: 1 // 0, {"rate": range(7)}, range(9))


def test_on_a_cluster_too_the_others_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = MadeUpRay({"a": 1}, lambda node, line: ("", b"")).put_in_place(monkeypatch)
    with pytest.raises(SweepError, match=r"units = 3, .*: OSError: lost") as caught:
        sweep(raising(OSError("lost"), [3], []), GRID, [7, 8], apart=["units"], on="auto")
    assert caught.value.table.equals(whole(without=[3])) and not ray.cancelled
    with pytest.raises(SweepInterrupted) as interrupted:
        sweep(raising(KeyboardInterrupt(), [4], []), GRID, [7, 8], apart=["units"], on="auto")
    assert interrupted.value.table.equals(whole(without=[4, 5])) and len(ray.cancelled) == 1


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


def failing(seeds, width, **numbers):
    if width == 3:
        raise OSError("no memory")
    return {"loss": np.zeros(len(seeds))}


@pytest.mark.long
@pytest.mark.skipif(
    sys.platform != "linux" or not importlib.util.find_spec("ray"), reason="Ray is not installed"
)
def test_two_nodes_train_what_one_machine_trains() -> None:
    places = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    tests = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
    with ray_cluster.nodes(tests, tests) as nodes:
        there = sweep(trained, SETTINGS, [1, 2], apart=["width"], on=nodes.address)
        with pytest.raises(SweepError, match=r"\nwidth = 3, .*: OSError: no memory\n") as caught:
            sweep(failing, SETTINGS, [1, 2], apart=["width"], on=nodes.address)
        assert caught.value.table["width"].tolist() == [2] * 4
    assert there.equals(sweep(trained, SETTINGS, [1, 2], apart=["width"]))

"""All blocks of a run: passes over the data, outputs and values of every replicate, [R, …]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from crosscheck.replicates._block import Block, copied
from crosscheck.replicates._data import Data
from crosscheck.replicates._pass import Pass
from crosscheck.replicates._program import Program, refusing_programs
from crosscheck.replicates._task import Task, Values
from crosscheck.replicates._witness import Proof, Witness

Order = Callable[[np.ndarray, int], np.ndarray]


class Blocks:
    """R replicates in blocks that share one program.

    Args:
        program: trains and evaluates a block.
        count: R.
        values: [R, …] each, by the kinds of `Task.variables`; metrics are made anew for every pass.
        numbers: the replicates' own, of some members: `Compiled.own_numbers`.
        parked: whether a block's values leave the device between its passes.
        check: whether the first batches of each new program are compared with Keras' own steps.
    """

    def __init__(
        self,
        program: Program,
        count: int,
        values: Values,
        numbers: Callable[[np.ndarray], dict[str, Any]],
        parked: bool,
        check: bool,
    ):
        self.program, self.count, size = program, count, program.size
        starts = range(0, count, size)
        # The last block is filled up with the last replicate.
        members = [np.minimum(np.arange(start, start + size), count - 1) for start in starts]
        fresh = fresh_metrics(program.task)
        self.blocks = [Block(program, which, values, fresh, numbers, parked) for which in members]
        self.compiled: set[Any] = set()
        self.witness = Witness(program.task) if check else None
        self.proofs: dict[Any, Proof] = {}

    # --- values ------------------------------------------------------------------------------------------

    def values(self, kind: str) -> list[np.ndarray]:
        """Returns the values of a kind, of all replicates: [R, …] each."""
        parts = zip(*(block.arrays(kind) for block in self.blocks), strict=True)
        return [np.concatenate(values)[: self.count] for values in parts]

    def put(self, kind: str, arrays: Sequence[np.ndarray]) -> None:
        """Replaces the values of a kind, of all replicates: [R, …] each."""
        for block in self.blocks:
            block.put(kind, list(arrays))
            block.park()

    def put_one(self, kind: str, i: int, array: np.ndarray) -> None:
        """Replaces one value of a kind, of all replicates, from [R, …]."""
        for block in self.blocks:
            block.put_one(kind, i, array)

    def member(self, r: int, kind: str) -> list[np.ndarray]:
        """Returns the values of a kind, of replicate r."""
        block, place = divmod(r, self.program.size)
        return self.blocks[block].member(place, kind)

    # --- passes over the data ----------------------------------------------------------------------------

    def passes(
        self,
        data: Data,
        batch_size: int,
        epochs: range,
        order: Order,
        active: np.ndarray,
        training: bool,
        steps: int | None = None,
    ) -> list[dict[str, np.ndarray]]:
        """Goes over the data once an epoch, training or not.

        Args:
            data: what to train or to evaluate on.
            batch_size: examples a step.
            epochs: their numbers.
            order: of the examples, [size, N], for the replicates of a block, [size], in an epoch.
            active: which replicates may move, [R] of bool.
            training: whether the optimiser moves the weights.
            steps: batches an epoch; all where None.

        Returns:
            Loss and metrics of every replicate, [R] each, after each epoch; NaN for a block of which no
            replicate may move.
        """
        freezing = training and not active.all()
        begin = self.beginning(data, batch_size, order, active, training, steps, freezing)

        def run(block: Block) -> list[dict[str, np.ndarray]]:
            if training and not active[block.members].any():
                return [self.nothing(block)] * len(epochs)
            passes = (begin(block, epoch) for epoch in epochs)
            return [one_pass.go(0, one_pass.steps) for one_pass in passes]

        parts = self.over_blocks(run, self.key(data, batch_size, training, freezing))
        return [self.joined([part[i] for part in parts]) for i in range(len(epochs))]

    def batch_by_batch(
        self,
        data: Data,
        batch_size: int,
        epoch: int,
        order: Order,
        active: np.ndarray,
        training: bool,
        steps: int | None = None,
    ) -> tuple[int, Callable[[int], dict[str, np.ndarray]]]:
        """Returns how many batches an epoch has, and what runs one and returns loss and metrics so far, [R].

        Arguments as of `passes`; what becomes inactive between batches moves no more.
        """
        begin = self.beginning(data, batch_size, order, active, training, steps, freezing=True)
        passes = [begin(block, epoch) for block in self.blocks]
        self.compiled.add(self.key(data, batch_size, training, frozen=True))

        def go(i: int) -> dict[str, np.ndarray]:
            for one_pass in passes:
                one_pass.activate(active)
            return self.joined([one_pass.go(i, i + 1) for one_pass in passes])

        return passes[0].steps, go

    def key(self, data: Data, batch_size: int, training: bool, frozen: bool) -> Any:
        """Returns what tells one compiled program of passes from another."""
        return (data.shapes, batch_size, training, frozen)

    def beginning(
        self,
        data: Data,
        batch_size: int,
        order: Order,
        active: np.ndarray,
        training: bool,
        steps: int | None,
        freezing: bool,
    ) -> Callable[[Block, int], Pass]:
        """Returns a function of (block, epoch) that begins a pass."""
        key = self.key(data, batch_size, training, freezing)
        if self.witness and key not in self.proofs:
            self.proofs[key] = Proof(self.witness, training)

        def begin(block: Block, epoch: int) -> Pass:
            proof = self.proofs.get(key) if block is self.blocks[0] else None
            moving = active[block.members] if freezing else None
            places = order(block.members, epoch)
            return Pass(block, data, places, batch_size, training, moving, steps, proof)

        return begin

    def nothing(self, block: Block) -> dict[str, np.ndarray]:
        """Returns the results of a block that stands still."""
        return dict.fromkeys(self.names(), np.full(len(block.members), np.nan))

    def names(self) -> list[str]:
        """Returns the names of what a pass reports."""
        return list(self.program.task.model.get_metrics_result())

    def finalize(self, trained: np.ndarray) -> None:
        """Has the optimiser put its averages in the weights' place, as `fit` does at its end.

        Args:
            trained: whose, [R] of bool.
        """
        for block in self.blocks:
            if trained[block.members].any():
                block.finalize(trained[block.members])

    def predict(self, data: Data, batch_size: int) -> Any:
        """Returns the outputs of every replicate for `data`'s x, [R, N, …]."""
        own = "x" in data.own
        x = data.own["x"] if own else data.shared["x"]

        def outputs(block: Block) -> Any:
            cut = lambda start: (
                lambda a: (
                    a[block.members, start : start + batch_size] if own else a[start : start + batch_size]
                )
            )
            starts = range(0, data.n, batch_size)
            first = keras.tree.map_structure(cut(0), x)
            alone = keras.tree.map_structure(lambda array: array[0], first) if own else first
            with refusing_programs(self.program, lambda: self.program.task.model(alone, training=False)):
                parts = [block.predict(keras.tree.map_structure(cut(start), x), own) for start in starts]
            return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays, axis=1), *parts)

        parts = self.over_blocks(outputs, ("predict", data.shapes, own))
        return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays)[: self.count], *parts)

    def joined(self, parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Returns loss and metrics of all replicates, [R] each, from those of the blocks."""
        return {name: np.concatenate([part[name] for part in parts])[: self.count] for name in parts[0]}

    def over_blocks(self, function: Callable[[Block], Any], program: Any) -> list[Any]:
        """Returns `function` of every block, several at once where the backend can.

        Args:
            function: what to do with a block.
            program: what tells the compiled programs apart; the first block goes alone through a new one.
        """
        alone = 0 if program in self.compiled else 1
        self.compiled.add(program)
        try:
            first = [function(block) for block in self.blocks[:alone]]
        except Exception:
            self.compiled.discard(program)
            raise
        workers = self.program.backend.workers()
        if workers == 1 or len(self.blocks) - alone < 2:  # PyTorch takes twice as long in a thread of its own
            return [*first, *map(function, self.blocks[alone:])]
        with ThreadPoolExecutor(workers) as pool:
            return [*first, *pool.map(function, self.blocks[alone:])]


def fresh_metrics(task: Task) -> list[np.ndarray]:
    """Returns what the metrics' variables hold before the first batch."""
    if not task.variables["metrics"]:
        return []
    task.model.reset_metrics()
    return [copied(variable.value) for variable in task.variables["metrics"]]

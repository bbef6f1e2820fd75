"""All blocks of a run: passes over the data, outputs and weights of every replicate, [R, …]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from keras import ops

from crosscheck.replicates._block import Block
from crosscheck.replicates._data import Data
from crosscheck.replicates._program import Program

Order = Callable[[np.ndarray, int], np.ndarray]


class Blocks:
    """R replicates in blocks that share one program.

    Args:
        program: trains and evaluates a block.
        count: R.
        weights: [R, …] each, in the order of `model.variables`.
        others: the optimiser's state, [R, …] each, where there is one to go on from.
        parked: whether a block's state leaves the device between its passes.
    """

    def __init__(
        self,
        program: Program,
        count: int,
        weights: Sequence[np.ndarray],
        others: Sequence[np.ndarray] | None,
        parked: bool,
    ):
        self.program, self.count, size = program, count, program.size
        starts = range(0, count, size)
        # The last block is filled up with the last replicate.
        members = [np.minimum(np.arange(start, start + size), count - 1) for start in starts]
        self.blocks = [Block(program, numbers, weights, others, parked) for numbers in members]
        self.compiled: set[Any] = set()

    # --- weights -----------------------------------------------------------------------------------------

    def weights(self) -> list[np.ndarray]:
        """Returns the weights of all replicates, [R, …] each."""
        return self.gathered(Block.weights)

    def others(self) -> list[np.ndarray]:
        """Returns the optimiser's state of all replicates, [R, …] each."""
        return self.gathered(Block.others)

    def gathered(self, part: Callable[[Block], list[np.ndarray]]) -> list[np.ndarray]:
        """Returns a part of what the blocks hold, over all replicates: [R, …] each."""
        parts = zip(*(part(block) for block in self.blocks), strict=True)
        return [np.concatenate(values)[: self.count] for values in parts]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Replaces the weights of all replicates, [R, …] each."""
        for block in self.blocks:
            block.put(0, block.mine(weights))

    def member_weights(self, r: int) -> list[np.ndarray]:
        """Returns the weights of replicate r."""
        block, place = divmod(r, self.program.size)
        return self.blocks[block].member_weights(place)

    # --- passes over the data ----------------------------------------------------------------------------

    def passes(
        self, data: Data, batch_size: int, epochs: range, order: Order, active: np.ndarray, training: bool
    ) -> list[dict[str, np.ndarray]]:
        """Goes over the data once an epoch, training or not.

        Args:
            data: what to train or to evaluate on.
            batch_size: examples a step.
            epochs: their numbers.
            order: of the examples, [size, N], for the replicates of a block, [size], in an epoch.
            active: which replicates may move, [R] of bool.
            training: whether the optimiser moves the weights.

        Returns:
            Loss and metrics of every replicate, [R] each, after each epoch; NaN for a block of which no
            replicate may move.
        """
        task, batch_size = self.program.task, min(batch_size, data.n)
        shared = {name: ops.convert_to_tensor(value) for name, value in data.shared.items()}
        own = {**data.own, **task.arguments}
        if task.penalty_scale is not None:
            own["penalty_scale"] = task.penalty_scale

        def run(block: Block) -> list[dict[str, np.ndarray]]:
            moving = active[block.members]
            if training and not moving.any():
                nothing = np.full(len(moving), np.nan)
                return [dict.fromkeys(task.names, nothing) for _ in epochs]
            mine = {name: ops.convert_to_tensor(value[block.members]) for name, value in own.items()}
            return [
                block.one_pass(shared, mine, order(block.members, epoch), batch_size, training, moving)
                for epoch in epochs
            ]

        frozen = training and not active.all()
        parts = self.over_blocks(run, (data.shapes, batch_size, training, frozen))
        return [self.joined([part[i] for part in parts]) for i in range(len(epochs))]

    def predict(self, data: Data, batch_size: int) -> np.ndarray:
        """Returns the outputs of every replicate for `data`'s x, [R, N, …]."""
        own = "x" in data.own
        x = data.own["x"] if own else data.shared["x"]

        def outputs(block: Block) -> np.ndarray:
            mine = x[block.members] if own else x
            starts = range(0, data.n, batch_size)
            batches = (mine[:, s : s + batch_size] if own else mine[s : s + batch_size] for s in starts)
            return np.concatenate([block.predict(batch, own) for batch in batches], axis=1)

        return np.concatenate(self.over_blocks(outputs, ("predict", x.shape, own)))[: self.count]

    def joined(self, parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Returns loss and metrics of all replicates, [R] each, from those of the blocks."""
        names = self.program.task.names
        return {name: np.concatenate([part[name] for part in parts])[: self.count] for name in names}

    def over_blocks(self, function: Callable[[Block], Any], program: Any) -> list[Any]:
        """Returns `function` of every block, several at once where the backend can.

        Args:
            function: what to do with a block.
            program: what tells the compiled programs apart; the first block goes alone through a new one.
        """
        alone = 0 if program in self.compiled else 1
        self.compiled.add(program)
        first = [function(block) for block in self.blocks[:alone]]
        if len(self.blocks) - alone < 2:
            return [*first, *map(function, self.blocks[alone:])]
        with ThreadPoolExecutor(self.program.backend.workers()) as pool:
            return [*first, *pool.map(function, self.blocks[alone:])]

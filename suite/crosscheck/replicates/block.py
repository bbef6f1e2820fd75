"""A block of replicates: what they remember between passes, and the program that moves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.replicates.program import Program


class Block:
    """The replicates `members` of a run; the last may be repeated to fill the block.

    Args:
        program: shared by all blocks.
        members: which replicates, [size].
        weights: of all replicates, [R, …] each.
        others: the optimiser's state of all replicates where there is one to go on from.
        parked: whether the state leaves the device between passes.
    """

    def __init__(
        self,
        program: Program,
        members: np.ndarray,
        weights: Sequence[np.ndarray],
        others: Sequence[np.ndarray] | None = None,
        parked: bool = False,
    ):
        self.program, self.members, self.parked = program, members, parked
        fresh = [ops.convert_to_numpy(variable) for variable in program.others]
        values = [*self.mine(weights), *(self.mine(others, program.others) if others else fresh)]
        rate = [ops.convert_to_numpy(variable) for variable in program.learning_rate]
        self.state: list[Any] = []
        self.put(0, [*values, *rate])
        self.park()

    def mine(self, values: Sequence[np.ndarray], like: Sequence[Any] | None = None) -> list[np.ndarray]:
        """This block's part of [R, …] arrays; of counters, which all share, one."""
        stacked = self.program.stacked
        parts = [value[self.members] if stacked else value[self.members[0]] for value in values]
        return [p if not like or len(like[i].shape) else p.ravel()[0] for i, p in enumerate(parts)]

    def put(self, start: int, values: Sequence[np.ndarray]) -> None:
        """Replaces the state from position `start` on."""
        variables = self.program.everything[start : start + len(values)]
        hold = self.program.seam.hold
        held = [hold(value, variable.dtype) for value, variable in zip(values, variables, strict=True)]
        self.state[start : start + len(values)] = held

    def park(self) -> None:
        if self.parked:
            self.state = [copied(value) for value in self.state]

    def unpark(self) -> None:
        if self.parked:
            self.put(0, self.state)

    def weights(self) -> list[np.ndarray]:
        """[size, …] each."""
        return self.spread(0, len(self.program.variables))

    def others(self) -> list[np.ndarray]:
        """The optimiser's state, [size, …] each; counters repeated."""
        start = len(self.program.variables)
        return self.spread(start, start + len(self.program.others))

    def spread(self, start: int, stop: int) -> list[np.ndarray]:
        values = [copied(value) for value in self.state[start:stop]]
        if not self.program.stacked:
            return [value[None] for value in values]
        return [value if value.ndim else np.repeat(value, len(self.members)) for value in values]

    def member(self, place: int) -> list[np.ndarray]:
        """The weights of the replicate at a place of this block."""
        values = self.state[: len(self.program.variables)]
        return [copied(value[place] if self.program.stacked else value) for value in values]

    def one_pass(
        self,
        shared: Mapping[str, Any],
        own: Mapping[str, Any],
        order: np.ndarray,
        batch_size: int,
        training: bool,
        active: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """One pass over the data, training or not.

        Args:
            shared: `x`, `y`, `sample_weight` that all replicates see, [N, …].
            own: those of which each replicate has its own, and the arguments of its loss, [size, …].
            order: the examples in the order each replicate sees them, [size, N].
            batch_size: examples a step.
            training: whether the optimiser moves the weights.
            active: which replicates may move, [size] of bool.

        Returns:
            The mean loss and each metric, [size].
        """
        mapped: dict[str, Any] = {"own": dict(own), "order": order.astype("int32")}
        if training and not active.all():
            mapped["active"] = active
        if not self.program.stacked:
            mapped = keras.tree.map_structure(lambda each: each[0], mapped)
        tensors = keras.tree.map_structure(ops.convert_to_tensor, {**mapped, "shared": dict(shared)})
        rate = [ops.convert_to_numpy(variable) for variable in self.program.learning_rate]
        self.unpark()
        self.put(len(self.program.everything) - len(rate), rate)
        self.state, (loss, metrics) = self.program.run_pass(self.state, tensors, (batch_size, training))
        values = map(ops.convert_to_numpy, (loss, *metrics))
        stacked = self.program.stacked
        return {
            name: v if stacked else v[None] for name, v in zip(self.program.task.names, values, strict=True)
        }

    def predict(self, x: Any, own: bool) -> np.ndarray:
        """The outputs, [size, B, …], for one batch, [B, …] or each replicate's own, [size, B, …]."""
        stacked = self.program.stacked
        x = ops.convert_to_tensor(x[0] if own and not stacked else x)
        self.unpark()
        self.state, output = self.program.run_predict(self.state, x, own and stacked)
        self.park()
        output = ops.convert_to_numpy(output)
        return output if stacked else output[None]


def copied(value: Any) -> np.ndarray:
    """A NumPy copy: what a program gives away it may overwrite."""
    return np.array(ops.convert_to_numpy(value))

"""A block of replicates: what they keep between passes, and the program that moves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.replicates._program import Program


class Block:
    """The replicates `members` of a run; the last may be repeated to fill the block.

    Args:
        program: shared by all blocks.
        members: which replicates, [size].
        weights: of all replicates, [R, …] each.
        others: the optimiser's state of all replicates, [R, …] each, where there is one to go on from.
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
        self.state: list[Any] = []
        self.put(0, [*values, *self.learning_rate()])
        self.park()

    # --- state -------------------------------------------------------------------------------------------

    def mine(self, values: Sequence[np.ndarray], like: Sequence[Any] | None = None) -> list[np.ndarray]:
        """Returns this block's part of [R, …] arrays; of counters, which all replicates share, one."""
        stacked = self.program.stacked
        parts = [value[self.members] if stacked else value[self.members[0]] for value in values]
        return [p if not like or len(like[i].shape) else p.ravel()[0] for i, p in enumerate(parts)]

    def put(self, start: int, values: Sequence[np.ndarray]) -> None:
        """Replaces the state from position `start` on."""
        variables = self.program.everything[start : start + len(values)]
        hold = self.program.backend.hold
        held = [hold(value, variable.dtype) for value, variable in zip(values, variables, strict=True)]
        self.state[start : start + len(values)] = held

    def learning_rate(self) -> list[np.ndarray]:
        """Returns the optimiser's rate, which a callback may have changed; of a schedule there is none."""
        return [ops.convert_to_numpy(variable) for variable in self.program.learning_rate]

    def park(self) -> None:
        """Takes the state off the device, where blocks are parked."""
        if self.parked:
            self.state = [copied(value) for value in self.state]

    def unpark(self) -> None:
        """Puts a parked state back on the device."""
        if self.parked:
            self.put(0, self.state)

    def weights(self) -> list[np.ndarray]:
        """Returns the weights, [size, …] each."""
        return self.spread(0, len(self.program.variables))

    def others(self) -> list[np.ndarray]:
        """Returns the optimiser's state, [size, …] each; counters are repeated."""
        start = len(self.program.variables)
        return self.spread(start, start + len(self.program.others))

    def spread(self, start: int, stop: int) -> list[np.ndarray]:
        """Returns a part of the state with an axis of replicates, [size, …] each."""
        values = [copied(value) for value in self.state[start:stop]]
        if not self.program.stacked:
            return [value[None] for value in values]
        return [value if value.ndim else np.repeat(value, len(self.members)) for value in values]

    def member_weights(self, place: int) -> list[np.ndarray]:
        """Returns the weights of the replicate at a place of this block."""
        values = self.state[: len(self.program.variables)]
        return [copied(value[place] if self.program.stacked else value) for value in values]

    # --- runs of the program -----------------------------------------------------------------------------

    def one_pass(
        self,
        shared: Mapping[str, Any],
        own: Mapping[str, Any],
        order: np.ndarray,
        batch_size: int,
        training: bool,
        active: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Goes over the data once, training or not.

        Args:
            shared: `x`, `y`, `sample_weight` that all replicates see, [N, …].
            own: those of which each replicate has its own, and the arguments of its loss, [size, …].
            order: the examples in the order in which each replicate takes them, [size, N].
            batch_size: examples a step.
            training: whether the optimiser moves the weights.
            active: which replicates may move, [size] of bool.

        Returns:
            The mean loss and each metric, [size].
        """
        stacked = self.program.stacked
        mapped: dict[str, Any] = {"own": dict(own), "order": order.astype("int32")}
        if training and not active.all():
            mapped["active"] = active
        if not stacked:
            mapped = keras.tree.map_structure(lambda values: values[0], mapped)
        tensors = keras.tree.map_structure(ops.convert_to_tensor, {**mapped, "shared": dict(shared)})
        rate = self.learning_rate()
        self.unpark()
        self.put(len(self.program.everything) - len(rate), rate)
        self.state, (loss, metrics) = self.program.run_pass(self.state, tensors, (batch_size, training))
        self.park()
        values = [ops.convert_to_numpy(tensor) for tensor in (loss, *metrics)]
        names = self.program.task.names
        return {name: v if stacked else v[None] for name, v in zip(names, values, strict=True)}

    def predict(self, x: Any, own: bool) -> np.ndarray:
        """Returns the outputs, [size, B, …], for one batch, [B, …] or each replicate's own, [size, B, …]."""
        stacked = self.program.stacked
        x = ops.convert_to_tensor(x[0] if own and not stacked else x)
        self.unpark()
        self.state, output = self.program.run_predict(self.state, x, own and stacked)
        self.park()
        output = ops.convert_to_numpy(output)
        return output if stacked else output[None]


def copied(value: Any) -> np.ndarray:
    """Returns a NumPy copy; the original may be overwritten by the program it was handed to."""
    return np.array(ops.convert_to_numpy(value))

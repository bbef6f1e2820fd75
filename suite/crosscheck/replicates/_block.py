"""A block of replicates: the values that they keep between runs of the program that moves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.replicates._data import Data
from crosscheck.replicates._program import Batches, Program
from crosscheck.replicates._task import Values

KEPT = 2**26  # bytes of a block's own data that stay tensors from one pass to the next


class Block:
    """The replicates `members` of a run; the last may be repeated to fill the block.

    Args:
        program: shared by all blocks.
        members: which replicates, [size].
        values: of all replicates, [R, …] each, by the kinds of `Task.variables`, metrics left out.
        fresh: what the metrics hold before the first batch.
        numbers: the replicates' own numbers, of these members, by `_task.NUMBERS`.
        parked: whether the values leave the device between passes.
    """

    def __init__(
        self,
        program: Program,
        members: np.ndarray,
        values: Values,
        fresh: list[np.ndarray],
        numbers: Callable[[np.ndarray], dict[str, Any]],
        parked: bool = False,
    ):
        self.program, self.members, self.fresh, self.numbers = program, members, fresh, numbers
        self.parked = parked
        self.own: tuple[Data | None, Any] = (None, None)  # the last data, and the tensors of this block's own
        self.values: Values = {}
        for kind, arrays in values.items():
            self.put(kind, arrays)
        self.fresh_metrics()
        self.park()

    def own_numbers(self) -> dict[str, Any]:
        """Returns the replicates' own numbers, [size] each."""
        return self.numbers(self.members)

    # --- values ------------------------------------------------------------------------------------------

    def put(self, kind: str, arrays: list[Any]) -> None:
        """Replaces the values of a kind by those of this block's replicates, from [R, …] each."""
        where = self.members if self.program.stacked else self.members[0]
        self.values[kind] = self.held(kind, [np.asarray(array)[where] for array in arrays])

    def held(self, kind: str, arrays: list[Any]) -> list[Any]:
        """Returns values for a program to start from, in the dtypes of the variables."""
        variables = self.program.task.variables[kind]
        hold = self.program.backend.hold
        return [hold(array, variable.dtype) for array, variable in zip(arrays, variables, strict=True)]

    def park(self) -> None:
        """Takes the values off the device, where blocks are parked."""
        if self.parked:
            self.values = self.kept()

    def unpark(self) -> None:
        """Puts parked values back on the device."""
        if self.parked:
            self.values = {kind: self.held(kind, values) for kind, values in self.values.items()}

    def fresh_metrics(self) -> None:
        """Has the metrics begin anew."""
        count = len(self.members)
        spread = [np.broadcast_to(a, (count, *a.shape)) if self.program.stacked else a for a in self.fresh]
        self.values["metrics"] = self.held("metrics", spread)

    def put_one(self, kind: str, i: int, array: np.ndarray) -> None:
        """Replaces one value of a kind, from [R, …]."""
        where = self.members if self.program.stacked else self.members[0]
        variable = self.program.task.variables[kind][i]
        self.values[kind][i] = self.program.backend.hold(array[where], variable.dtype)

    def kept(self) -> Values:
        """Returns a copy of all values, as `restore` takes them."""
        return {kind: list(map(copied, values)) for kind, values in self.values.items()}

    def restore(self, values: Values) -> None:
        """Goes back to the values that `kept` returned."""
        self.values = {kind: self.held(kind, arrays) for kind, arrays in values.items()}

    def arrays(self, kind: str) -> list[np.ndarray]:
        """Returns the values of a kind, [size, …] each."""
        values = map(copied, self.values[kind])
        return list(values) if self.program.stacked else [value[None] for value in values]

    def member(self, place: int, kind: str) -> list[np.ndarray]:
        """Returns the values of a kind, of the replicate at a place of this block."""
        stacked = self.program.stacked
        return [copied(value[place] if stacked else value) for value in self.values[kind]]

    # --- runs of the program -----------------------------------------------------------------------------

    def run(self, tensors: Mapping[str, Any], first: int, last: int, fixed: Batches) -> dict[str, np.ndarray]:
        """Goes through the batches `first` … `last` − 1.

        Args:
            tensors: as `Program.batches` takes them, but for "first" and "last"; see `tensors`.
            first, last: numbers of batches.
            fixed: the program's constants.

        Returns:
            The loss and each metric since `fresh_metrics`, [size].
        """
        self.unpark()
        runs = [(first, last)] if self.program.loops else [(i, i + 1) for i in range(first, last)]
        for start, stop in runs:
            self.values, results = self.program.run(self.values, {**tensors, **bounds(start, stop)}, fixed)
        self.park()
        results = {name: ops.convert_to_numpy(value) for name, value in results.items()}
        return results if self.program.stacked else {name: value[None] for name, value in results.items()}

    def rehearsed(self, values: Values, tensors: Mapping[str, Any], i: int, fixed: Batches) -> Values:
        """Returns the values of the first replicate after batch i from `values`, by no program kept."""
        start = {kind: self.held(kind, arrays) for kind, arrays in values.items()}
        program = self.program.backend.compiled(self.program.batches, keras.backend.backend() == "jax")
        after, _ = program(start, {**tensors, **bounds(i, i + 1)}, fixed)
        first = lambda value: copied(value[0] if self.program.stacked else value)
        return {kind: list(map(first, mine)) for kind, mine in after.items()}

    def tensors(self, data: Data, order: np.ndarray, active: np.ndarray | None) -> dict[str, Any]:
        """Returns data and order as the program takes them.

        Args:
            data: shared by all replicates, and what each has of its own.
            order: the examples in the order in which each replicate takes them, [size, N].
            active: which replicates may move, [size] of bool; all of them where None.
        """
        mapped = {"own": self.own_numbers(), "order": order.astype("int32")}
        if active is not None:
            mapped["active"] = active
        tensors = keras.tree.map_structure(self.tensor, mapped)
        return {**tensors, "own": {**self.own_data(data), **tensors["own"]}, "shared": data.tensors}

    def own_data(self, data: Data) -> dict[str, Any]:
        """Returns what these replicates have of their own, made once for all passes where it is small."""
        if self.own[0] is data:
            return self.own[1]
        mine = keras.tree.map_structure(lambda array: array[self.members], data.own)
        tensors = keras.tree.map_structure(self.tensor, mine)
        small = sum(array.nbytes for array in keras.tree.flatten(mine)) <= KEPT
        self.own = (data, tensors) if small and not self.parked else (None, None)
        return tensors

    def tensor(self, array: np.ndarray) -> Any:
        """Returns an array [size, …] as the program takes it."""
        return ops.convert_to_tensor(array if self.program.stacked else array[0])

    def finalize(self, trained: np.ndarray) -> None:
        """Has the optimiser put its averages in the weights' place, of these replicates, [size] of bool."""
        self.unpark()
        self.values = self.program.finalized(self.values, self.tensor(trained))
        self.park()

    def predict(self, x: Any, own: bool) -> Any:
        """Returns the outputs, [size, B, …], for one batch, [B, …] or each replicate's own, [size, B, …]."""
        stacked = self.program.stacked
        first = lambda array: ops.convert_to_tensor(array[0] if own and not stacked else array)
        self.unpark()
        x = keras.tree.map_structure(first, x)
        self.values, output = self.program.run_predict(self.values, {"x": x}, own and stacked)
        self.park()
        output = keras.tree.map_structure(ops.convert_to_numpy, output)
        return output if stacked else keras.tree.map_structure(lambda array: array[None], output)


def bounds(first: int, last: int) -> dict[str, Any]:
    """Returns the numbers of the first batch, and of the one after the last, as a program takes them."""
    return {"first": ops.convert_to_tensor(first, "int32"), "last": ops.convert_to_tensor(last, "int32")}


def copied(value: Any) -> np.ndarray:
    """Returns a NumPy copy; the original may be overwritten by the program it was handed to."""
    return np.array(ops.convert_to_numpy(value))

"""The program that trains and evaluates a block of replicates, written once for every backend."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
from keras import ops

from crosscheck.replicates._task import Task, Values
from crosscheck.replicates.backends import current

DATA = ("x", "y", "sample_weight")
PLACE = re.compile(r'Graph execution error:$|Detected at node |Stack trace for op definition|File "')


class Batches(NamedTuple):
    """What a compiled program of some batches depends on.

    Attributes:
        training: whether the weights move.
        start: the examples from one batch to the next.
        length: the examples in each.
        n: the examples that count, where the last batch was filled up; else None.
    """

    training: bool
    start: int
    length: int
    n: int | None = None


class Program:
    """`size` replicates behind one leading axis, or a single one without the axis where `stacked` is false.

    Args:
        task: what each replicate computes.
        size: replicates in the block.
        stacked: whether the values have the axis of replicates.
        jit_compile: whether the backend compiles the whole program.
        loops: whether the program goes from batch to batch itself, rather than being called for each.
    """

    def __init__(self, task: Task, size: int, stacked: bool, jit_compile: bool, loops: bool = True):
        self.task, self.size, self.stacked, self.loops = task, size, stacked, loops
        self.backend, self.alone = current(), not stacked and not jit_compile
        self.run = self.backend.compiled(self.batches, jit_compile)
        self.run_predict = self.backend.compiled(self.outputs, jit_compile)

    def batches(self, values: Values, tensors: Mapping[str, Any], fixed: Batches) -> tuple[Values, Any]:
        """Returns the values after some batches, and each replicate's loss and metrics so far.

        Args:
            values: of `task.variables`, [size, …] each.
            tensors: "shared" and "own" data, the "order" of the examples, [size, N], the numbers of the
                "first" and "last" batch, and which replicates are "active".
            fixed: the program's constants.
        """
        order = tensors["order"]

        def one(i: Any, values: Values) -> Values:
            mapped = {
                "values": values,
                "own": tensors["own"],
                "examples": self.examples(order, i * fixed.start, fixed.length),
            }
            if "active" in tensors:
                mapped["active"] = tensors["active"]
            return self.vectorized(lambda one: self.step(one, tensors["shared"], fixed, i))(mapped)

        if self.loops:
            values = self.backend.repeat(tensors["first"], tensors["last"], one, values)
        else:
            values = one(tensors["first"], values)
        results = self.vectorized(lambda one: self.task.results(one))({"metrics": values["metrics"]})
        return values, results

    def examples(self, order: Any, start: Any, count: int) -> Any:
        """Returns the numbers of a batch's examples, [size, count] of `order` [size, N]."""
        if self.stacked:
            # A zero of the same type: JAX tells 32 bits from 64 where it has both.
            return ops.slice(order, (0 * start, start), (self.size, count))
        return ops.slice(order, (start,), (count,))

    def vectorized(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Returns a function of one replicate as one of all `size`."""
        return self.backend.vectorize(function) if self.stacked else function

    def step(self, mapped: Mapping[str, Any], shared: Mapping[str, Any], fixed: Batches, i: Any) -> Values:
        """Returns the values of a single replicate after batch i."""
        source = {**shared, **mapped["own"]}
        take = lambda array: ops.take(array, mapped["examples"], axis=0)
        batch = {
            name: keras.tree.map_structure(take, part) if name in DATA else part
            for name, part in source.items()
        }
        if fixed.n is not None:
            batch["real"] = ops.minimum(fixed.length, fixed.n - i * fixed.start)
        before = mapped["values"]
        if not fixed.training:
            return self.task.tested(before, batch)
        values = self.task.trained(before, batch, self.alone)
        if "active" in mapped:
            keep = lambda new, old: ops.where(mapped["active"], new, old)
            values = {kind: list(map(keep, values[kind], before[kind])) for kind in values}
        return values

    def outputs(self, values: Values, tensors: Mapping[str, Any], own: bool) -> tuple[Values, Any]:
        """Returns the model's outputs outside training, for one batch, `x`, or each replicate's own."""

        def output(one: Mapping[str, Any]) -> Any:
            return self.task.predicted(one["values"], one["x"] if own else tensors["x"])

        mapped: dict[str, Any] = {"values": {kind: values[kind] for kind in ("trainable", "state")}}
        if own:
            mapped["x"] = tensors["x"]
        return values, self.vectorized(output)(mapped)

    def finalized(self, values: Values, trained: Any) -> Values:
        """Returns the values with the optimiser's averages in the weights' place, where it keeps any.

        Args:
            values: of `task.variables`, [size, …] each.
            trained: of which replicates, [size] of bool.
        """

        def ended(one: Mapping[str, Any]) -> Values:
            keep = lambda new, old: ops.where(one["trained"], new, old)
            before = one["values"]
            return {"trainable": list(map(keep, self.task.finalized(before), before["trainable"]))}

        kinds = {kind: values[kind] for kind in ("trainable", "optimizer")}
        return {**values, **self.vectorized(ended)({"values": kinds, "trained": trained})}


class Unstackable(NotImplementedError):
    """A program of stacked replicates that the backend cannot make; nothing has been trained."""


@contextmanager
def refusing_programs(program: Program, by_keras: Callable[[], Any]) -> Iterator[None]:
    """Raises a NotImplementedError (`Unstackable`) for what fails within, unless Keras fails at it as well.

    Args:
        program: what runs within.
        by_keras: does the same by Keras alone.
    """
    try:
        yield
    except NotImplementedError:
        raise
    except Exception as error:
        try:
            by_keras()
        except Exception:
            raise error from None  # the model's own fault, in the words that Keras has for it
        way = (
            'Replicates(…, mode="loop") trains the replicates one after the other'
            if program.stacked
            else 'Replicates(…, mode="fit") trains the replicates by Keras\' own `fit`'
        )
        refusal = Unstackable if program.stacked else NotImplementedError
        raise refusal(
            f"The replicates cannot be {'stacked' if program.stacked else 'run as a program'}: "
            f"{keras.backend.backend()} refuses with {type(error).__name__}: {gist(error)[:300]}. {way}."
        ) from error


def gist(error: Exception) -> str:
    """Returns an error's text on one line, without the places in the code that TensorFlow puts before it."""
    lines = map(str.strip, str(error).splitlines())
    return " ".join(line for line in lines if line and not PLACE.match(line))

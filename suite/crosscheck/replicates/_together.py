"""Replicates that share programs: their values, the blocks that hold them, and the passes over the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck.replicates._blocks import Blocks, Order
from crosscheck.replicates._compiled import Compiled, Rates, averages, refuse_optimizer, refuse_own_steps
from crosscheck.replicates._data import Data
from crosscheck.replicates._initial import build_under, frozen_as, require_frozen_as
from crosscheck.replicates._plan import Plan
from crosscheck.replicates._program import Program, Unstackable
from crosscheck.replicates._task import Task, Values
from crosscheck.replicates.backends import current


class Together:
    """R replicates that run through programs of one model.

    Args:
        model: of their structure; not compiled.
        build, seeds: as of `Replicates`.
        weights: [R, …] each, in the order of `model.variables`.
        compiled: what `Replicates.compile` was told; None where they only predict.
        planned: the plan for a batch size.

    Attributes:
        plan: how the replicates are run.
        rates: their learning rates, from the first training on.
    """

    def __init__(
        self,
        model: keras.Model,
        build: Callable[[], keras.Model],
        seeds: Sequence[int],
        weights: Sequence[np.ndarray],
        compiled: Compiled | None,
        planned: Callable[[int], Plan],
    ):
        self.model, self.build, self.seeds = model, build, seeds
        self.compiled, self.planned, self.plan = compiled, planned, planned(32)
        self.kinds = kinds_of(model)
        self.stored: Values = self.by_kind(weights)
        self.blocks: Blocks | None = None
        self.rates: Rates | None = None
        self.task: Task | None = None  # of the training
        self.refusal = ""  # why they could not be stacked, where that turned out on trying

    # --- weights -----------------------------------------------------------------------------------------

    def by_kind(self, weights: Sequence[np.ndarray]) -> Values:
        """Returns weights in the order of `model.variables` by the kinds "trainable" and "state"."""
        by_id = dict(zip(map(id, self.model.variables), map(np.asarray, weights), strict=True))
        return {kind: [by_id[id(variable)] for variable in mine] for kind, mine in self.kinds.items()}

    def in_order(self, values: Callable[[str], list[np.ndarray]]) -> list[np.ndarray]:
        """Returns what `values` gives by kind, in the order of `model.variables`."""
        by_id = {
            id(variable): value
            for kind, mine in self.kinds.items()
            for variable, value in zip(mine, values(kind), strict=True)
        }
        return [by_id[id(variable)] for variable in self.model.variables]

    def weights(self) -> list[np.ndarray]:
        """Returns the weights of all replicates, [R, …] each."""
        return self.in_order(self.blocks.values if self.blocks else self.stored.__getitem__)

    def member_weights(self, r: int) -> list[np.ndarray]:
        """Returns the weights of replicate r."""
        blocks = self.blocks
        if blocks:
            return self.in_order(lambda kind: blocks.member(r, kind))
        return [value[r] for value in self.weights()]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Replaces the weights of all replicates, [R, …] each."""
        values = self.by_kind(weights)
        self.stored.update(values)
        for kind, arrays in values.items() if self.blocks else ():
            self.blocks.put(kind, arrays)  # type: ignore[union-attr]

    def optimizer_values(self) -> list[np.ndarray]:
        """Returns the optimiser's state of all replicates, [R, …] each; empty before the first training."""
        return self.blocks.values("optimizer") if self.blocks else self.stored.get("optimizer", [])

    # --- training ----------------------------------------------------------------------------------------

    def prepared(self, batch_size: int, data: Data | None = None) -> Blocks:
        """Returns the blocks, made once; without data, which show what loss and metrics keep, to predict."""
        if self.blocks and (data is None or self.rates):
            return self.blocks
        self.plan, compiled = self.planned(batch_size), self.compiled
        if self.refusal:
            self.plan = self.plan.one_by_one(self.refusal)
        weights, self.kinds = self.weights(), kinds_of(self.model)  # some may be frozen since
        values = self.by_kind(weights)
        self.stored.update(values)
        numbers: Callable[[np.ndarray], dict[str, Any]] = lambda members: {}
        jit_compile: bool | str = "auto"
        if data is None or compiled is None:
            task, values["optimizer"], check = Task(self.model, bare=True), [], False
        else:
            refuse_own_steps(self.model)
            refuse_optimizer(compiled.optimizer)
            example = data.examples(np.arange(min(batch_size, data.n)), 0)
            if self.task is None:
                mine = frozen_as(build_under(self.build, self.seeds[0]), self.model)
                self.task = compiled.task(mine, example)
            task = self.task
            stored = self.stored.get("optimizer")
            values["optimizer"] = compiled.start(task, stored, values["trainable"], len(self.seeds))
            numbers, jit_compile, check = compiled.own_numbers, compiled.jit_compile, compiled.check
            self.rates = Rates(task, values["optimizer"])
        if jit_compile == "auto":
            jit_compile = current().compiles(self.model)
        loops = current().loops(self.model)
        program = Program(task, self.plan.size, self.plan.mode == "stacked", bool(jit_compile), loops)
        self.blocks = Blocks(program, len(self.seeds), values, numbers, self.plan.parked, check)
        return self.blocks

    def require_as_begun(self) -> None:
        """Raises a ValueError where a layer was frozen, or no longer is, since training began."""
        if self.task is not None:
            require_frozen_as(self.task.model, self.model)

    def fall_back(self, refusal: Unstackable) -> None:
        """Goes on one after the other where stacking was the plan's choice and turned out to be impossible.

        Raises:
            Unstackable: stacking was asked for.
        """
        if not self.plan.free:
            raise refusal
        self.refusal = str(refusal).split(" Replicates(…")[0]
        warnings.warn(f"{self.refusal} They are trained one after the other.", stacklevel=4)
        self.blocks = None

    def set_rates(self) -> None:
        """Has the replicates train at the learning rates that callbacks have set meanwhile."""
        assert self.blocks and self.rates
        for place, rates in self.rates.changed():
            self.blocks.put_one("optimizer", place, rates)

    def finalize(self, trained: np.ndarray) -> None:
        """Has the optimiser put its averages, if any, in the place of these replicates' weights."""
        if self.blocks and self.compiled and averages(self.compiled.optimizer):
            self.blocks.finalize(trained)

    def evaluate(
        self, data: Data, batch_size: int, order: Order, active: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns loss and metrics of every replicate, [R]."""
        blocks = self.prepared(batch_size, data)
        return blocks.passes(data, batch_size, range(1), order, active, training=False)[0]

    def predict(self, data: Data, batch_size: int) -> Any:
        """Returns the outputs of every replicate, [R, N, …]."""
        return self.prepared(batch_size).predict(data, batch_size)


def kinds_of(model: keras.Model) -> dict[str, list[Any]]:
    """Returns the model's variables by whether training moves them."""
    return {"trainable": model.trainable_variables, "state": model.non_trainable_variables}

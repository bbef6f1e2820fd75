"""One pass of a block over the data, batch by batch or in one go."""

from __future__ import annotations

import contextlib

import keras
import numpy as np

from crosscheck._keras import constant_draws, layers_of, seed_generators_of
from crosscheck.replicates._additive import fills_up
from crosscheck.replicates._block import Block
from crosscheck.replicates._data import Data
from crosscheck.replicates._program import Batches, refusing_programs
from crosscheck.replicates._witness import Proof


class Pass:
    """A block's way through its examples, from metrics that begin anew.

    Args:
        block: what moves.
        data: what to train or to evaluate on.
        order: the examples in the order in which each replicate takes them, [size, N].
        batch_size: examples a step.
        training: whether the optimiser moves the weights.
        active: which replicates may move, [size] of bool; all of them where None.
        steps: batches to take; all where None.
        proof: what is to be compared with Keras' own steps; None for nothing.
    """

    def __init__(
        self,
        block: Block,
        data: Data,
        order: np.ndarray,
        batch_size: int,
        training: bool,
        active: np.ndarray | None,
        steps: int | None,
        proof: Proof | None,
    ):
        self.block, self.data, self.training, self.proof, self.active = block, data, training, proof, active
        n = order.shape[-1]
        whole, rest = divmod(n, batch_size)
        self.runs = [(0, whole, Batches(training, batch_size, batch_size))] if whole else []
        if whole and rest and fills_up(block.program.task, data):
            order = np.concatenate([order, order[:, : batch_size - rest]], 1)
            self.runs = [(0, whole + 1, Batches(training, batch_size, batch_size, n))]
        elif rest:
            self.runs.append((whole, whole + 1, Batches(training, batch_size, rest)))
        self.order, self.steps = order, -(-n // batch_size) if steps is None else steps
        self.tensors = block.tensors(data, order, active)
        block.fresh_metrics()

    def activate(self, active: np.ndarray) -> None:
        """Has only these replicates move from now on, [R] of bool."""
        self.active = active[self.block.members]
        self.tensors["active"] = self.block.tensor(self.active)

    def go(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Goes through the batches `first` … `last` − 1; returns loss and metrics so far, [size]."""
        results: dict[str, np.ndarray] = {}
        for start, stop, fixed in self.runs:
            begin, end = max(start, first), min(stop, last, self.steps)
            if begin < end:
                results = self.run(begin, end, fixed)
        return results

    def run(self, first: int, last: int, fixed: Batches) -> dict[str, np.ndarray]:
        """Goes through batches of one program; those that are to be compared one by one."""
        filled_last = fixed.n is not None and last == -(-fixed.n // fixed.start)
        moving = self.active is None or self.active[0]
        results: dict[str, np.ndarray] = {}
        for i in self.proof.wanted(first, last, filled_last) if self.proof and moving else ():
            if first < i:
                self.block.run(self.tensors, first, i, fixed)
            results = self.watched(i, fixed)
            first = i + 1
        return self.block.run(self.tensors, first, last, fixed) if first < last else results

    def watched(self, i: int, fixed: Batches) -> dict[str, np.ndarray]:
        """Runs batch i, and has the witness compare the first replicate's step with Keras' own."""
        assert self.proof
        witness = self.proof.witness
        kinds = self.block.program.task.variables
        before = {kind: self.block.member(0, kind) for kind in kinds}
        kept = self.block.kept()
        stop = min((i + 1) * fixed.start, fixed.n or self.order.shape[-1])
        batch = self.data.examples(self.order[0, i * fixed.start : stop], int(self.block.members[0]))
        numbers = keras.tree.map_structure(lambda vector: vector[0], self.block.own_numbers())
        rehearse = lambda: witness.rehearse(before, batch, numbers, self.training)
        with refusing_programs(self.block.program, rehearse):
            results = self.block.run(self.tensors, i, i + 1, fixed)
        after = {kind: self.block.member(0, kind) for kind in kinds}
        try:
            with constant_draws() if self.draws_differ() else contextlib.nullcontext():
                if self.draws_differ():
                    after = self.block.rehearsed(kept, self.tensors, i, fixed)
                witness.require_same(before, after, batch, numbers, self.training)
        except NotImplementedError:
            self.block.restore(kept)
            raise
        self.proof.passed(filled=fixed.n is not None and stop == fixed.n)
        return results

    def draws_differ(self) -> bool:
        """Returns whether random layers draw other numbers in the program than in Keras' own step."""
        layers = layers_of(self.block.program.task.model)
        return self.training and keras.backend.backend() != "jax" and any(map(seed_generators_of, layers))

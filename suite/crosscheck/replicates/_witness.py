"""The proof that a replicate trains as `fit` does: Keras' own step beside it, on the same batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import layers_of
from crosscheck.replicates._task import Task, Values

TOLERANCE = 1e-3  # of the length of a variable's step; the rounding of a step in float32 is about 1e-6 of it
COARSE = 0.1  # where the model computes in 16 bits
# By which weights are moved to see what rounding does to a step: that of what the model computes in.
NUDGES_OF = {"bfloat16": 2.0**-9, "float16": 2.0**-12}
NUDGE = 1e-6
NUDGES, SLACK = 3, 10
STEPS = 2  # of a training that are compared: what an optimiser keeps of the first shows in the second


class Proof:
    """What of a program is still to be compared with Keras' own steps.

    Attributes:
        steps: how many of the next batches.
        filled: whether also the last one, where it is filled up.
    """

    def __init__(self, witness: Witness, training: bool):
        self.witness, self.steps, self.filled = witness, STEPS if training else 1, True

    def wanted(self, first: int, last: int, filled_last: bool) -> list[int]:
        """Returns which of the batches `first` … `last` − 1 are to be compared."""
        batches = set(range(first, min(first + self.steps, last)))
        return sorted(batches | ({last - 1} if filled_last and self.filled else set()))

    def passed(self, filled: bool) -> None:
        """Notes that a batch was compared."""
        self.steps, self.filled = max(self.steps - 1, 0), self.filled and not filled


class Witness:
    """A task's model, trained by `train_on_batch`.

    Args:
        task: its model is moved, and nothing else of it.
    """

    def __init__(self, task: Task):
        self.task = task

    def held(self) -> Values:
        """Returns what the model's variables hold."""
        return {kind: list(map(array, variables)) for kind, variables in self.task.variables.items()}

    def hold(self, values: Values) -> None:
        """Has the model's variables hold these values."""
        for kind, arrays in values.items():
            for variable, value in zip(self.task.variables[kind], arrays, strict=True):
                variable.assign(value)

    def step(self, before: Values, data: Sequence[Any], numbers: Mapping[str, Any], training: bool) -> Values:
        """Returns the values after Keras' own step from those `before`; data is (x, y, sample_weight)."""
        self.hold(before)
        model = self.task.model
        model.reset_metrics = lambda: None  # the metrics go on from `before`
        try:
            with self.task.given_numbers(numbers):
                (model.train_on_batch if training else model.test_on_batch)(*data)
        finally:
            del model.reset_metrics
        return self.held()

    def rehearse(
        self, before: Values, data: Sequence[Any], numbers: Mapping[str, Any], training: bool
    ) -> None:
        """Takes Keras' own step, and takes it back."""
        rest = self.held()
        try:
            self.step(before, data, numbers, training)
        finally:
            self.hold(rest)

    def require_same(
        self, before: Values, after: Values, data: Sequence[Any], numbers: Mapping[str, Any], training: bool
    ) -> None:
        """Raises a NotImplementedError where a replicate's step is another than Keras' own.

        Args:
            before, after: of replicate 0, around one batch.
            data: the batch, (x, y, sample_weight).
            numbers: the replicate's own.
            training: whether the step was one of training.

        Raises:
            NotImplementedError: for a difference beyond rounding; names the first variable that differs.
        """
        rest = self.held()
        try:
            self.compare(before, after, data, numbers, training)
        finally:
            self.hold(rest)

    def compare(
        self, before: Values, after: Values, data: Sequence[Any], numbers: Mapping[str, Any], training: bool
    ) -> None:
        """Does what `require_same` promises, but leaves the model where it came to."""
        expected = self.step(before, data, numbers, training)
        tolerance = dict.fromkeys(self.names(), self.tolerance())
        if not self.differing(before, after, expected, tolerance):
            return
        for seed in range(NUDGES):
            moved = self.disturbed(before, data, numbers, training, seed)
            sensitivity = self.distances(before, moved, expected)
            tolerance = {name: max(tolerance[name], SLACK * sensitivity[name]) for name in tolerance}
        differing = self.differing(before, after, expected, tolerance)
        if differing:
            name, far = next(iter(differing.items()))
            doing, step = ("train", "train_on_batch") if training else ("evaluate", "test_on_batch")
            raise NotImplementedError(
                f"A replicate would not {doing} as Keras does: after one batch, {name} differs from what "
                f"`{step}` gives by {far:.3g} of its change. "
                f'Replicates(…, mode="fit") trains the replicates by Keras\' own `fit`; '
                "`check=False` goes on regardless."
            )

    def differing(
        self, before: Values, after: Values, expected: Values, tolerance: Mapping[str, float]
    ) -> dict[str, float]:
        """Returns the variables that differ by more than they may, and by how much."""
        distances = self.distances(before, after, expected)
        return {name: far for name, far in distances.items() if not far <= tolerance[name]}

    def distances(self, before: Values, after: Values, expected: Values) -> dict[str, float]:
        """Returns, by variable, ‖after − expected‖ / ‖expected − before‖, rounding of the values left out."""
        parts = [zip(before[k], after[k], expected[k], strict=True) for k in self.task.variables]
        triples = [triple for part in parts for triple in part]
        return {name: distance(*triple) for name, triple in zip(self.names(), triples, strict=True)}

    def names(self) -> list[str]:
        """Returns what to call each variable: its path, and of metrics and optimiser what it belongs to."""
        prefix = {"metrics": "the metric's ", "optimizer": "the optimiser's "}
        return [
            f'{prefix.get(kind, "")}"{variable.path}"' + (f" ({i})" if kind in prefix else "")
            for kind, variables in self.task.variables.items()
            for i, variable in enumerate(variables)
        ]

    def tolerance(self) -> float:
        """Returns how far apart two steps may be that differ by rounding alone, in lengths of the step."""
        return COARSE if self.nudge() > NUDGE else TOLERANCE

    def nudge(self) -> float:
        """Returns about a rounding, relative, of the coarsest type that the model computes or keeps in."""
        model = self.task.model
        kinds = [*(layer.compute_dtype for layer in layers_of(model)), *(v.dtype for v in model.variables)]
        return max(NUDGES_OF.get(str(kind), NUDGE) for kind in kinds)

    def nudged(self, values: Values, seed: int) -> Values:
        """Returns the values with the trained ones moved by about a rounding each."""
        rng, by = np.random.default_rng(seed), self.nudge()
        moved = [
            value * (1 + by * rng.normal(size=value.shape)).astype(value.dtype)
            for value in values["trainable"]
        ]
        return {**values, "trainable": moved}

    def disturbed(
        self, before: Values, data: Sequence[Any], numbers: Mapping[str, Any], training: bool, seed: int
    ) -> Values:
        """Returns what a step gives from nudged weights, with the examples' weights moved if it takes any."""
        nudged = self.nudged(before, seed)
        try:
            return self.step(nudged, self.reweighted(data, seed), numbers, training)
        except Exception:
            if data[2] is not None:
                raise
            return self.step(nudged, data, numbers, training)  # a loss along the examples takes no weights

    def reweighted(self, data: Sequence[Any], seed: int) -> tuple[Any, Any, Any]:
        """Returns the batch with the examples' weights moved by about a rounding each.

        Gradients that cancel over a batch, as the signs of an absolute error do, leave a step that is
        rounding alone: moved weights do not show it, moved examples do. Where no weights were given, and
        labels do not tell that the loss takes one an example, the batch stays as it is.
        """
        rng, by = np.random.default_rng(seed), self.nudge()
        x, y, weights = data
        moved = lambda values: (values * (1 + by * rng.normal(size=values.shape))).astype("float32")
        if weights is not None:
            return x, y, keras.tree.map_structure(moved, weights)
        takes_weights = type(self.task.model).train_step is keras.Model.train_step
        one_an_example = hasattr(y, "shape") and 1 <= len(y.shape) <= 2
        return x, y, moved(np.ones(len(y))) if takes_weights and one_an_example else None


def distance(before: np.ndarray, after: np.ndarray, expected: np.ndarray) -> float:
    """Returns how far `after` is from what was expected, in lengths of the step from `before`.

    Not-a-number at the same places is the same; what the dtype cannot tell apart is no distance.
    """
    if expected.dtype.kind not in "fV":
        return 0.0 if np.array_equal(after, expected) else np.inf
    eps = {2: 2.0**-8, 4: 2.0**-23, 8: 2.0**-52}[expected.dtype.itemsize]
    before, after, expected = (np.asarray(value, "float64") for value in (before, after, expected))
    if not np.array_equal(np.isfinite(after), np.isfinite(expected)):
        return np.inf
    finite = np.isfinite(expected) & np.isfinite(before)
    length = lambda values: float(np.linalg.norm(values[finite]))
    apart, step = length(after - expected), length(expected - before)
    grain = 4 * eps * length(np.maximum(np.abs(before), np.abs(expected)))
    if step == 0:
        return 0.0 if apart <= grain else np.inf
    return max(apart - grain, 0.0) / step


def array(variable: keras.Variable) -> np.ndarray:
    """Returns a copy of what a variable holds."""
    return np.array(ops.convert_to_numpy(variable.value))

"""`Replicates`, in Keras' own words: compile, fit, evaluate, predict, member, save."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.replicates import checks, saving
from crosscheck.replicates.block import Block
from crosscheck.replicates.callbacks import Callbacks
from crosscheck.replicates.initial import stacked_weights
from crosscheck.replicates.optimizers import refuse_coupling
from crosscheck.replicates.plan import MODES, Plan, plan
from crosscheck.replicates.program import Program, seam
from crosscheck.replicates.task import Task, loss_of, metric_of


@dataclass
class History:
    """`history["loss"]` is [epochs, R]: each epoch's mean; NaN once a replicate has stopped.

    What callbacks log of all replicates together, such as the learning rate, is [epochs].
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, np.ndarray] = field(default_factory=dict)

    def append(self, epoch: int, logs: Mapping[str, np.ndarray]) -> None:
        self.epoch.append(epoch)
        for name, value in logs.items():
            value = np.asarray(value)  # a number where all share it, such as the learning rate
            before = self.history.get(name, np.empty((0, *value.shape)))
            self.history[name] = np.concatenate([before, value[None]])


def batch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order in which a replicate sees its N examples in an epoch: a permutation of 0…N−1."""
    return np.random.default_rng([seed, epoch]).permutation(n)


class Replicates:
    """R independent copies of one Keras model, trained as one.

    Replicate r equals a plain `keras.Model.fit` that starts from the weights `build()` gives under
    `keras.utils.set_random_seed(seeds[r])` and sees the batches of `batch_order(seeds[r], epoch, N)`,
    up to rounding. Random layers draw independently in each replicate. One difference is deliberate: the
    gradient of an embedding is summed over repeated rows before the optimiser sees it, as its formula says;
    Keras 3.15 on TensorFlow hands on sparse gradients, under which Adam moves rows that repeat otherwise.

    Args:
        build: returns a built Keras model of one input and one output; called once or twice.
        seeds: one integer a replicate.
        paired: whether `seeds` may repeat: replicates that share a seed share initial weights and batches,
            and differ in their data or in the arguments of their loss.
        mode: "stacked" runs all as one program, "loop" one after the other, which suits any model and any
            optimiser; "auto" takes what is faster for the model on this device. `plan` tells the choice.
        memory_limit: bytes a program may take, by estimate; half of what is free where None. Replicates
            that do not fit are run in blocks, to the same results.

    Raises:
        ValueError: if `seeds` is empty or repeats, `mode` is unknown, or `build` returns no such model.
        NotImplementedError: if a layer cannot be stacked; names the layer and the reason.

    >>> from crosscheck.models import perceptron
    >>> x, y = np.random.default_rng(0).normal(size=(64, 3)), np.arange(64) % 2
    >>> replicas = Replicates(perceptron(3, [4], 2), seeds=range(5))
    >>> replicas.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> replicas.fit(x, y, epochs=2).history["loss"].shape, replicas.predict(x).shape
    ((2, 5), (5, 64, 2))
    """

    def __init__(
        self,
        build: Callable[[], keras.Model],
        seeds: Sequence[int],
        paired: bool = False,
        mode: str = "auto",
        memory_limit: int | None = None,
    ):
        if mode not in MODES:
            raise ValueError(f"`mode` must be one of {', '.join(MODES)}, not {mode!r}.")
        self.build, self.seeds = build, checks.seeds_of(seeds, paired)
        self.paired, self.mode, self.memory_limit = paired, mode, memory_limit
        self.model, initial = stacked_weights(build, self.seeds)
        checks.built(self.model)
        self.initial_epoch = 0
        self.optimizer: keras.Optimizer | None = None
        self.task = Task(self.model)
        self.metrics: Sequence[Any] = ()
        self.jit_compile: bool | str = "auto"
        self.reset(initial)
        self.plan = self.planned(batch_size=32)

    def __len__(self) -> int:
        return len(self.seeds)

    # --- compile, fit, evaluate, predict ----------------------------------------------------------------

    def compile(
        self,
        optimizer: keras.Optimizer | str,
        loss: Callable[..., Any] | str,
        metrics: Sequence[Any] = (),
        loss_arguments: Mapping[str, Any] | None = None,
        penalty_scale: Any = None,
        jit_compile: bool | str = "auto",
    ) -> None:
        """Sets the optimiser, the loss and the metrics; the weights stay.

        Args:
            optimizer: a Keras optimiser, or its name. Stacked replicates want one that acts element by
                element, so that one serves all exactly; learning-rate schedules will do.
            loss: `loss(y_true, y_pred, **arguments)`, a value per example (averaged) or a scalar; a
                `keras.losses.Loss` or a name will do.
            metrics: Keras metrics or their names.
            loss_arguments: arguments of a loss function, each a vector [R]: replicate r sees its own number.
            penalty_scale: a vector [R] that multiplies the model's own penalties (regularisers,
                `add_loss`) and the λ of `crosscheck.optimizers.Proximal`: with
                `keras.regularizers.L2(1.0)` in the model, or `Proximal(..., l1=1.0)`, it holds each
                replicate's λ.
            jit_compile: whether the program is compiled (XLA, `jax.jit`, `torch.compile`); "auto" compiles
                where that pays without asking for more than is installed.

        Raises:
            ValueError: if the optimiser couples replicates or was used before, or a vector's length is not R.
        """
        optimizer = self.usable(keras.optimizers.get(optimizer))
        arguments = {
            name: checks.vector(f"loss_arguments[{name!r}]", value, len(self))
            for name, value in (loss_arguments or {}).items()
        }
        if arguments and isinstance(loss_of(loss), keras.losses.Loss):
            raise ValueError("`loss_arguments` go to a loss function; a loss object holds its own.")
        if penalty_scale is not None:
            penalty_scale = checks.vector("penalty_scale", penalty_scale, len(self))
        self.reset(self.get_weights())
        self.optimizer, self.metrics, self.jit_compile = optimizer, tuple(metrics), jit_compile
        self.task = Task(self.model, loss_of(loss), [], arguments, penalty_scale)

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        validation_data: tuple[Any, ...] | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
    ) -> History:
        """Trains for `epochs` more epochs; called again, it goes on where it stopped.

        Args:
            x: [N, …] shared by all replicates, or [R, N, …] with each its own.
            y: [N, …] or [R, N, …].
            batch_size: examples a step; the last batch of an epoch takes what is left.
            epochs: passes over the data.
            verbose: 1 says how the replicates are run, and shows progress with the mean loss.
            callbacks: Keras callbacks, called at epochs with logs of [R] arrays; what they put in, the
                history holds. A `keras.callbacks.EarlyStopping` stops each replicate by itself: its weights
                stay from then on, also in later calls.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, evaluated after each epoch.
            shuffle: False takes the examples in the order given.
            sample_weight: [N] or [R, N].

        Raises:
            ValueError: if an argument's shape does not fit, labels lie outside what the loss knows, or a
                callback needs a single model.
            RuntimeError: if `compile` was not called.
        """
        data = self.checked(x, y, sample_weight)
        held_out = self.checked(*validation_data) if validation_data else None
        self.prepare(batch_size, data.example("y"))
        listeners = Callbacks(callbacks, self, epochs)
        bar = keras.utils.Progbar(epochs, verbose=verbose, unit_name="epoch") if verbose else None
        if verbose:
            print(f"{len(self)} replicates, {self.plan.mode}: {self.plan.why}")
        listeners.call("on_train_begin")
        # Blocks that nobody watches run through all epochs without waiting for one another.
        stride = 1 if listeners.watch or bar or held_out else epochs
        history, last = History(), self.initial_epoch + epochs
        while self.initial_epoch < last and self.active.any():
            first = self.initial_epoch
            listeners.call("on_epoch_begin", first)
            for logs in self.train(data, batch_size, range(first, first + stride), shuffle):
                if held_out:
                    seen = self.test(held_out, batch_size)
                    logs |= {f"val_{name}": value for name, value in seen.items()}
                logs = {name: np.where(self.active, value, np.nan) for name, value in logs.items()}
                listeners.call("on_epoch_end", self.initial_epoch, logs=logs)
                history.append(self.initial_epoch, logs)  # with what callbacks have put into the logs
                self.initial_epoch += 1
                if bar:
                    bar.add(1, [(name, np.nanmean(value)) for name, value in logs.items()])
        listeners.call("on_train_end")
        return history

    def evaluate(
        self, x: Any, y: Any, batch_size: int = 1024, sample_weight: Any = None
    ) -> dict[str, np.ndarray]:
        """The loss and the metrics of every replicate, [R] each; arguments and errors as of `fit`."""
        data = self.checked(x, y, sample_weight)
        self.prepare(batch_size, data.example("y"))
        return self.test(data, batch_size)

    def predict(self, x: Any, batch_size: int = 4096) -> np.ndarray:
        """The output of every replicate, [R, N, K], for `x` of [N, …] or [R, N, …]."""
        data = checks.Data(len(self), len(checks.input_shape(self.model)), x)
        self.prepare(batch_size)
        own = "x" in data.own
        whole = data.own["x"] if own else data.shared["x"]

        def outputs(block: Block) -> np.ndarray:
            mine = whole[block.members] if own else whole
            starts = range(0, data.n, batch_size)
            batches = (mine[:, s : s + batch_size] if own else mine[s : s + batch_size] for s in starts)
            return np.concatenate([block.predict(batch, own) for batch in batches], axis=1)

        parts = self.over_blocks(outputs, ("predict", whole.shape, own))
        return np.concatenate(parts)[: len(self)]

    # --- weights, members, files ------------------------------------------------------------------------

    def get_weights(self) -> list[np.ndarray]:
        """The stacked weights, [R, …] each, in the order of `model.variables`."""
        return self.gathered(Block.weights) if self.blocks else self.initial

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets the stacked weights, [R, …] each, in the order of `model.variables`.

        Raises:
            ValueError: if their number or a shape does not fit.
        """
        shapes = [(len(self), *variable.shape) for variable in self.model.variables]
        given = [tuple(np.shape(each)) for each in weights]
        if given != shapes:
            raise ValueError(f"`weights` must have the shapes {shapes}, not {given}.")
        self.initial = [np.asarray(each) for each in weights]
        for block in self.blocks:
            block.put(0, block.mine(self.initial))

    def member_weights(self, r: int) -> list[np.ndarray]:
        """The weights of replicate r, in the order of `model.variables`."""
        if not self.blocks:
            return [value[r] for value in self.initial]
        b, place = divmod(r, self.plan.size)
        return self.blocks[b].member(place)

    def set_member_weights(self, r: int, weights: Sequence[np.ndarray]) -> None:
        stacked = [np.array(each) for each in self.get_weights()]
        for all_of_them, value in zip(stacked, weights, strict=True):
            all_of_them[r] = value
        self.set_weights(stacked)

    def member(self, r: int) -> keras.Model:
        """Replicate r as a plain Keras model with weights of its own.

        Raises:
            IndexError: if there is no replicate r.
        """
        if not -len(self) <= r < len(self):
            raise IndexError(f"There is no replicate {r}; they are 0 … {len(self) - 1}.")
        model = self.build()
        for variable, value in zip(model.variables, self.member_weights(r % len(self)), strict=True):
            variable.assign(value)
        return model

    def save(self, path: str | Path) -> None:
        """Writes the replicates, their optimiser's state included, into one file; see `Replicates.load`."""
        saving.save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Replicates:
        """The replicates that `save` wrote; they go on training where they stopped.

        Raises:
            ValueError: if the file is none of these.
        """
        return saving.load(cls, Path(path))

    # --- within -----------------------------------------------------------------------------------------

    def usable(self, optimizer: keras.Optimizer) -> keras.Optimizer:
        """The optimiser, unused, and without a loss scale around it: replicates have one each."""
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if inner.built:
            raise ValueError("`optimizer` has trained other weights; pass a new one.")
        if self.plan.mode == "stacked":
            refuse_coupling(inner)
        return inner

    def planned(self, batch_size: int) -> Plan:
        return plan(self.model, len(self), self.mode, batch_size, self.memory_limit)

    def reset(self, weights: list[np.ndarray]) -> None:
        """Back to weights without a program; the next call of `fit`, `evaluate` or `predict` makes one."""
        self.initial = weights
        self.restored: list[np.ndarray] | None = None
        self.blocks: list[Block] = []
        self.active = np.ones(len(self), bool)

    def checked(self, x: Any, y: Any, sample_weight: Any = None) -> checks.Data:
        if self.task.loss is None:
            raise RuntimeError("Call `compile(optimizer, loss)` first.")
        data = checks.Data(len(self), len(checks.input_shape(self.model)), x, y, sample_weight)
        checks.labels(data.example("y"), self.task.loss, checks.output_shape(self.model)[-1])
        return data

    def prepare(self, batch_size: int, y: np.ndarray | None = None) -> None:
        """Makes the program, once; with labels, the metrics that depend on them."""
        if y is not None and len(self.task.metrics) != len(self.metrics):
            self.task.metrics.extend(metric_of(metric, self.model, y) for metric in self.metrics)
        if self.blocks:
            return
        self.plan = self.planned(batch_size)
        size = self.plan.size
        jit = seam().compiles(self.model) if self.jit_compile == "auto" else bool(self.jit_compile)
        program = Program(self.task, self.optimizer, size, self.plan.mode == "stacked", jit)
        starts = range(0, len(self), size)
        # The last block is filled up with the last replicate.
        members = [np.minimum(np.arange(start, start + size), len(self) - 1) for start in starts]
        self.blocks = [
            Block(program, each, self.initial, self.restored, self.plan.parked) for each in members
        ]
        self.initial, self.restored = [], None
        self.seen: set[Any] = set()

    def over_blocks(self, function: Callable[[Block], Any], program: Any) -> list[Any]:
        """`function` of every block; the first alone where its program is yet to be compiled."""
        count = 0
        if program not in self.seen:
            self.seen.add(program)
            count = 1
        first = [function(block) for block in self.blocks[:count]]
        if len(self.blocks) - count < 2:
            return [*first, *map(function, self.blocks[count:])]
        with ThreadPoolExecutor(seam().workers()) as pool:
            return [*first, *pool.map(function, self.blocks[count:])]

    def gathered(self, part: Callable[[Block], list[np.ndarray]]) -> list[np.ndarray]:
        """A part of what blocks hold, over all replicates: [R, …] each."""
        parts = zip(*(part(block) for block in self.blocks), strict=True)
        return [np.concatenate(values)[: len(self)] for values in parts]

    def train(
        self, data: checks.Data, batch_size: int, epochs: range, shuffle: bool
    ) -> list[dict[str, np.ndarray]]:
        """Loss and metrics of every replicate, [R], after each of these epochs."""

        def order(block: Block, epoch: int) -> np.ndarray:
            if not shuffle:
                return in_order(len(block.members), data.n)
            return np.stack([batch_order(self.seeds[m], epoch, data.n) for m in block.members])

        return self.passes(data, batch_size, epochs, order, training=True)

    def test(self, data: checks.Data, batch_size: int) -> dict[str, np.ndarray]:
        """Loss and metrics of every replicate, [R]."""

        def order(block: Block, epoch: int) -> np.ndarray:
            return in_order(len(block.members), data.n)

        return self.passes(data, batch_size, range(1), order, training=False)[0]

    def passes(
        self,
        data: checks.Data,
        batch_size: int,
        epochs: range,
        order: Callable[[Block, int], np.ndarray],
        training: bool,
    ) -> list[dict[str, np.ndarray]]:
        batch_size = min(batch_size, data.n)
        shared = {name: ops.convert_to_tensor(value) for name, value in data.shared.items()}
        arguments = dict(self.task.arguments)
        if self.task.penalty_scale is not None:
            arguments["penalty_scale"] = self.task.penalty_scale

        def run(block: Block) -> list[dict[str, np.ndarray]]:
            active = self.active[block.members]
            if training and not active.any():
                nothing = np.full(len(active), np.nan)
                return [dict.fromkeys(self.task.names, nothing) for _ in epochs]
            own = {
                name: ops.convert_to_tensor(v[block.members]) for name, v in {**data.own, **arguments}.items()
            }
            return [
                block.one_pass(shared, own, order(block, epoch), batch_size, training, active)
                for epoch in epochs
            ]

        frozen = training and not self.active.all()
        parts = self.over_blocks(run, (data.shapes, batch_size, training, frozen))
        return [
            {name: np.concatenate([part[i][name] for part in parts])[: len(self)] for name in self.task.names}
            for i in range(len(epochs))
        ]


def in_order(count: int, n: int) -> np.ndarray:
    return np.broadcast_to(np.arange(n), (count, n))

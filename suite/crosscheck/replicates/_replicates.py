"""`Replicates`, in Keras' own words: compile, fit, evaluate, predict, member, save."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crosscheck.replicates import _saving as saving
from crosscheck.replicates._blocks import Blocks
from crosscheck.replicates._callbacks import Callbacks
from crosscheck.replicates._checks import checked_seeds, checked_vector, require_labels
from crosscheck.replicates._data import Data
from crosscheck.replicates._history import History, batch_order, unshuffled
from crosscheck.replicates._initial import stacked_weights
from crosscheck.replicates._model import input_shape, output_shape, require_built
from crosscheck.replicates._optimizers import refuse_coupling
from crosscheck.replicates._plan import Plan, make_plan, require_mode
from crosscheck.replicates._program import Program
from crosscheck.replicates._task import Task, loss_of, metric_of
from crosscheck.replicates.backends import current


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
        mode: "stacked" runs all as one program; "loop" runs one after the other, which any model and any
            optimiser can; "auto" takes what is faster for the model on this device. `plan` tells the choice.
        memory_limit: bytes a program may take, by estimate; half of what is available where None. Replicates
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
        *,
        paired: bool = False,
        mode: str = "auto",
        memory_limit: int | None = None,
    ):
        require_mode(mode)
        self.build, self.seeds = build, checked_seeds(seeds, paired)
        self.paired, self.mode, self.memory_limit = paired, mode, memory_limit
        self.model, initial = stacked_weights(build, self.seeds)
        require_built(self.model)
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
        *,
        metrics: Sequence[Any] = (),
        loss_arguments: Mapping[str, Any] | None = None,
        penalty_scale: Any = None,
        jit_compile: bool | str = "auto",
    ) -> None:
        """Sets the optimiser, the loss and the metrics. The weights stay.

        Args:
            optimizer: a Keras optimiser, or its name; learning-rate schedules are fine. For stacked
                replicates it must act element by element, so that none moves another.
            loss: `loss(y_true, y_pred, **arguments)`, a value per example (averaged) or a scalar; a
                `keras.losses.Loss`, or a name that Keras knows.
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
            name: checked_vector(f"loss_arguments[{name!r}]", value, len(self))
            for name, value in (loss_arguments or {}).items()
        }
        if arguments and isinstance(loss_of(loss), keras.losses.Loss):
            raise ValueError("`loss_arguments` go to a loss function; a loss object holds its own.")
        if penalty_scale is not None:
            penalty_scale = checked_vector("penalty_scale", penalty_scale, len(self))
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
        *,
        validation_data: tuple[Any, ...] | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
    ) -> History:
        """Trains for `epochs` more epochs. Called again, it goes on where it stopped.

        Args:
            x: [N, …] shared by all replicates, or [R, N, …] with each its own.
            y: [N, …] or [R, N, …].
            batch_size: examples a step; the last batch of an epoch takes what is left.
            epochs: passes over the data.
            verbose: 1 prints how the replicates are run, and shows progress with the mean loss.
            callbacks: Keras callbacks, called at epochs with logs of [R] arrays; what they put into the logs
                is in the history. A `keras.callbacks.EarlyStopping` stops each replicate by itself: its
                weights stay from then on, also in later calls.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, evaluated after each epoch.
            shuffle: whether each replicate takes the examples in its `batch_order`, or as they stand.
            sample_weight: [N] or [R, N].

        Returns:
            The loss and what else was logged, epoch by epoch.

        Raises:
            ValueError: if an argument's shape does not fit, labels lie outside what the loss knows, or a
                callback needs a single model.
            RuntimeError: if `compile` was not called.
        """
        data = self.checked(x, y, sample_weight)
        held_out = self.checked(*validation_data) if validation_data else None
        self.prepared(batch_size, data.example("y"))
        listeners = Callbacks(callbacks, self, epochs)
        bar = keras.utils.Progbar(epochs, verbose=verbose, unit_name="epoch") if verbose else None
        if verbose:
            print(f"{len(self)} replicates, {self.plan.mode}: {self.plan.why}")
        listeners.call("on_train_begin")
        # Blocks that nobody watches run through all epochs without waiting for one another.
        stride = 1 if listeners.any or bar or held_out else epochs
        history, last = History(), self.initial_epoch + epochs
        while self.initial_epoch < last and self.active.any():
            first = self.initial_epoch
            listeners.call("on_epoch_begin", first)
            for logs in self.train(data, batch_size, range(first, first + stride), shuffle):
                if held_out:
                    values = self.test(held_out, batch_size)
                    logs |= {f"val_{name}": value for name, value in values.items()}
                logs = {name: np.where(self.active, value, np.nan) for name, value in logs.items()}
                listeners.call("on_epoch_end", self.initial_epoch, logs=logs)
                history.append(self.initial_epoch, logs)  # with what callbacks have put into the logs
                self.initial_epoch += 1
                if bar:
                    bar.add(1, [(name, np.nanmean(value)) for name, value in logs.items()])
        listeners.call("on_train_end")
        return history

    def evaluate(
        self, x: Any, y: Any, batch_size: int = 1024, *, sample_weight: Any = None
    ) -> dict[str, np.ndarray]:
        """Returns the loss and the metrics of every replicate, [R] each; arguments and errors as of `fit`."""
        data = self.checked(x, y, sample_weight)
        return self.test(data, batch_size)

    def predict(self, x: Any, batch_size: int = 4096) -> np.ndarray:
        """Returns the output of every replicate, [R, N, K], for `x` of [N, …] or [R, N, …].

        Raises:
            ValueError: if the shape of `x` does not fit.
        """
        data = Data(len(self), len(input_shape(self.model)), x)
        return self.prepared(batch_size).predict(data, batch_size)

    # --- weights, members, files ------------------------------------------------------------------------

    def get_weights(self) -> list[np.ndarray]:
        """Returns the stacked weights, [R, …] each, in the order of `model.variables`."""
        return self.blocks.weights() if self.blocks else self.initial

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets the stacked weights, [R, …] each, in the order of `model.variables`.

        Raises:
            ValueError: if their number or a shape does not fit.
        """
        shapes = [(len(self), *variable.shape) for variable in self.model.variables]
        new_shapes = [tuple(np.shape(value)) for value in weights]
        if new_shapes != shapes:
            raise ValueError(f"`weights` must have the shapes {shapes}, not {new_shapes}.")
        if self.blocks:
            self.blocks.set_weights(weights)
        else:
            self.initial = [np.asarray(value) for value in weights]

    def member_weights(self, r: int) -> list[np.ndarray]:
        """Returns the weights of replicate r, in the order of `model.variables`."""
        return self.blocks.member_weights(r) if self.blocks else [value[r] for value in self.initial]

    def set_member_weights(self, r: int, weights: Sequence[np.ndarray]) -> None:
        """Sets the weights of replicate r, in the order of `model.variables`."""
        stacked = [np.array(value) for value in self.get_weights()]
        for values, value in zip(stacked, weights, strict=True):
            values[r] = value
        self.set_weights(stacked)

    def member(self, r: int) -> keras.Model:
        """Returns replicate r as a plain Keras model with weights of its own.

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
        compiled = None
        if self.optimizer:
            compiled = saving.compile_config(self.optimizer, self.task, self.metrics, self.jit_compile)
        settings = {
            "seeds": self.seeds,
            "paired": self.paired,
            "mode": self.plan.mode,
            "initial_epoch": self.initial_epoch,
            "compiled": compiled,
        }
        others = self.blocks.others() if self.blocks else []
        model = saving.model_file(self.model)
        saving.write(Path(path), saving.Saved(settings, self.get_weights(), others, self.active, model))

    @classmethod
    def load(cls, path: str | Path) -> Replicates:
        """Returns the replicates that `save` wrote; they go on training where they stopped.

        Raises:
            ValueError: if the file is none of these, or holds a class that is not imported.
        """
        saved = saving.read(Path(path))
        settings = saved.settings
        replicates = cls(saved.build, settings["seeds"], paired=settings["paired"], mode=settings["mode"])
        if settings["compiled"]:
            replicates.compile(**saving.compile_arguments(settings["compiled"]))
        replicates.set_weights(saved.weights)
        replicates.restored, replicates.active = saved.others, saved.active
        replicates.initial_epoch = settings["initial_epoch"]
        return replicates

    # --- within -----------------------------------------------------------------------------------------

    def usable(self, optimizer: keras.Optimizer) -> keras.Optimizer:
        """Returns the optimiser without a loss scale around it: replicates have one each.

        Raises:
            ValueError: if it was used before, or couples replicates that are stacked.
        """
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if inner.built:
            raise ValueError("`optimizer` has trained other weights; pass a new one.")
        if self.plan.mode == "stacked":
            refuse_coupling(inner)
        return inner

    def planned(self, batch_size: int) -> Plan:
        """Returns how to run the replicates with this batch size."""
        return make_plan(self.model, len(self), self.mode, batch_size, self.memory_limit)

    def reset(self, weights: list[np.ndarray]) -> None:
        """Goes back to weights without a program; the next `fit`, `evaluate` or `predict` makes one."""
        self.initial = weights
        self.restored: Sequence[np.ndarray] | None = None
        self.blocks: Blocks | None = None
        self.active = np.ones(len(self), bool)

    def checked(self, x: Any, y: Any, sample_weight: Any = None) -> Data:
        """Returns the data of a call.

        Raises:
            RuntimeError: if `compile` was not called.
            ValueError: if a shape does not fit, or labels mean nothing to the loss.
        """
        if self.task.loss is None:
            raise RuntimeError("Call `compile(optimizer, loss)` first.")
        data = Data(len(self), len(input_shape(self.model)), x, y, sample_weight)
        require_labels(data.example("y"), self.task.loss, output_shape(self.model)[-1])
        return data

    def prepared(self, batch_size: int, y: np.ndarray | None = None) -> Blocks:
        """Returns the blocks, made once; with labels, also the metrics that depend on them."""
        if y is not None and len(self.task.metrics) != len(self.metrics):
            self.task.metrics.extend(metric_of(metric, self.model, y) for metric in self.metrics)
        if not self.blocks:
            self.plan = self.planned(batch_size)
            auto = self.jit_compile == "auto"
            jit_compile = current().compiles(self.model) if auto else bool(self.jit_compile)
            stacked = self.plan.mode == "stacked"
            program = Program(self.task, self.optimizer, self.plan.size, stacked, jit_compile)
            self.blocks = Blocks(program, len(self), self.initial, self.restored, self.plan.parked)
            self.initial, self.restored = [], None
        return self.blocks

    def train(self, data: Data, batch_size: int, epochs: range, shuffle: bool) -> list[dict[str, np.ndarray]]:
        """Trains, and returns loss and metrics of every replicate, [R], after each of these epochs."""

        def order(members: np.ndarray, epoch: int) -> np.ndarray:
            if not shuffle:
                return unshuffled(len(members), data.n)
            return np.stack([batch_order(self.seeds[member], epoch, data.n) for member in members])

        blocks = self.prepared(batch_size, data.example("y"))
        return blocks.passes(data, batch_size, epochs, order, self.active, training=True)

    def test(self, data: Data, batch_size: int) -> dict[str, np.ndarray]:
        """Returns loss and metrics of every replicate, [R]."""
        order = lambda members, epoch: unshuffled(len(members), data.n)
        blocks = self.prepared(batch_size, data.example("y"))
        return blocks.passes(data, batch_size, range(1), order, self.active, training=False)[0]

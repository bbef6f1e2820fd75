"""`Replicates`, in Keras' own words: compile, fit, evaluate, predict, member, save."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crosscheck.replicates import _saving as saving
from crosscheck.replicates._checks import checked_seeds, checked_vectors, refuse_part_of_an_epoch
from crosscheck.replicates._compiled import Compiled
from crosscheck.replicates._data import Data
from crosscheck.replicates._fit import Fit, Validation
from crosscheck.replicates._history import History, orders
from crosscheck.replicates._initial import frozen_as, require_untouched, stacked_weights
from crosscheck.replicates._intake import Intake
from crosscheck.replicates._model import require_built
from crosscheck.replicates._one_by_one import OneByOne
from crosscheck.replicates._plan import Plan, make_plan, require_mode
from crosscheck.replicates._streams import Stream, is_stream
from crosscheck.replicates._together import Together


class Replicates:
    """R independent copies of one Keras model, trained as one.

    Replicate r equals a plain `keras.Model.fit` that starts from the weights `build()` gives under
    `keras.utils.set_random_seed(seeds[r])` and sees the batches of `batch_order(seeds[r], epoch, N)`,
    up to rounding. So that this is never otherwise without a word, the first two batches are also trained
    by `train_on_batch`, beside replicate 0, and a difference is refused by the variable's name. Random
    layers draw independently in each replicate: on JAX the same numbers as in `fit`; others on TensorFlow,
    where XLA compiles the program, and on PyTorch, whose dropout goes by no seed.

    Args:
        build: returns a built Keras model; called at least twice.
        seeds: one integer a replicate.
        paired: whether `seeds` may repeat: replicates that share a seed share initial weights and batches,
            and differ in their data or in the arguments of their loss.
        mode: "stacked" runs all as one program; "loop" runs one after the other through one program; "fit"
            hands each to Keras' own `fit`, which can train whatever Keras can; "auto" takes what is faster
            for the model on this device. `plan` tells the choice, and why.
        memory_limit: bytes a program may take, by estimate; half of what is available where None. Replicates
            that do not fit are run in blocks, to the same results.

    Raises:
        ValueError: if `seeds` is empty or repeats, `mode` is unknown, or `build` returns no such model.
        NotImplementedError: if stacking is asked for and a layer cannot be; names the layer and the reason.

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
        self.shown = [np.array(keras.ops.convert_to_numpy(variable)) for variable in self.model.weights]
        self.initial_epoch, self.stop_training = 0, False
        self.compiled: Compiled | None = None
        self._reset(initial)

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def plan(self) -> Plan:
        """How the replicates are run: stacked, in a loop or by `fit`, why, and how many at once."""
        return self.engine.plan

    @property
    def rates(self) -> Any:
        """The learning rate of each replicate."""
        return self.engine.rates

    @property
    def optimizer(self) -> keras.Optimizer | None:
        """The optimiser of all replicates, as compiled; callbacks may set its learning rate."""
        return self.compiled.optimizer if self.compiled else None

    # --- compile, fit, evaluate, predict ----------------------------------------------------------------

    def compile(
        self,
        optimizer: keras.Optimizer | str = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        *,
        loss_arguments: Mapping[str, Any] | None = None,
        optimizer_arguments: Mapping[str, Any] | None = None,
        penalty_scale: Any = None,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        check: bool = True,
    ) -> None:
        """Sets the optimiser, the loss and the metrics. The weights stay.

        Args:
            optimizer: a Keras optimiser, or its name; learning-rate schedules are fine.
            loss: as in `keras.Model.compile`; a function may take further `loss_arguments`.
            loss_weights, metrics, weighted_metrics, auto_scale_loss: as in `keras.Model.compile`.
            loss_arguments: arguments of a loss function `loss(y_true, y_pred, **arguments)`, each a vector
                [R]: replicate r sees its own number.
            optimizer_arguments: numbers of the optimiser, such as `learning_rate` or `weight_decay`, each a
                vector [R]: replicate r has its own.
            penalty_scale: a vector [R] that multiplies the model's own penalties (regularisers,
                `add_loss`) and the λ of `crosscheck.optimizers.Proximal`: with
                `keras.regularizers.L2(1.0)` in the model, or `Proximal(..., l1=1.0)`, it holds each
                replicate's λ.
            jit_compile: whether the program is compiled (XLA, `jax.jit`, `torch.compile`); "auto" compiles
                where that pays without asking for more than is installed.
            check: whether the first two batches of `fit`, and the first of `evaluate`, are compared with
                Keras' own `train_on_batch` and `test_on_batch` of the model.

        Raises:
            ValueError: if the optimiser was used before, or a vector's length is not R.
        """
        optimizer = keras.optimizers.get(optimizer)
        if optimizer.built:
            raise ValueError("`optimizer` has trained other weights; pass a new one.")
        vectors = checked_vectors(
            len(self), optimizer, loss, loss_arguments, optimizer_arguments, penalty_scale
        )
        weights = self.get_weights()
        self.compiled = Compiled(
            optimizer,
            loss,
            loss_weights,
            metrics,
            weighted_metrics,
            auto_scale_loss,
            jit_compile,
            vectors,
            check,
        )
        self._reset(weights)

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        *,
        validation_split: float = 0.0,
        validation_data: tuple[Any, ...] | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int | None = None,
        steps_per_epoch: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Trains for `epochs` more epochs. Called again, it goes on where it stopped.

        Args:
            x: [N, …] shared by all replicates, or [R, N, …] with each its own; for a model of several
                inputs a list or dictionary of such arrays. Or a `tf.data.Dataset`, `PyDataset`, `DataLoader`
                or generator of batches (x, y) or (x, y, sample_weight), which all replicates see in the
                order in which they come; an epoch of them is held in memory.
            y: [N, …] or [R, N, …]; for several outputs a list or dictionary.
            batch_size: examples a step, where `x` does not come in batches; the last one of an epoch takes
                what is left.
            epochs: passes over the data.
            verbose: 1 prints how the replicates are run, and shows progress with the mean loss.
            callbacks: Keras callbacks, called with logs of [R] arrays; what they put into the logs is in the
                history, and where one sets `model.stop_training`, all replicates stop. `EarlyStopping`,
                `ReduceLROnPlateau`, `ModelCheckpoint` and `TerminateOnNaN` watch each replicate by itself,
                and so does a `LearningRateScheduler` where learning rates differ;
                one that stops keeps its weights from then on, also in later calls. Hooks into batches have
                the program run batch by batch, which takes longer.
            validation_split: the share of the examples, the last ones, that are held out instead.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, evaluated after each epoch.
            shuffle: whether each replicate takes the examples in its `batch_order`, or as they stand.
            class_weight: the weight of each class, by its number; instead of `sample_weight`.
            sample_weight: [N] or [R, N].
            initial_epoch: the number of the first epoch, up to that of `epochs`, as in Keras; where None,
                training goes on for `epochs` more.
            steps_per_epoch: batches an epoch, where `x` hands them out; it goes on where the last one ended.
            validation_batch_size: that of `validation_data`; `batch_size` where None.
            validation_freq: epochs from one evaluation to the next.

        Returns:
            The loss and what else was logged, epoch by epoch.

        Raises:
            ValueError: if an argument's shape does not fit, labels lie outside what the loss knows, or a
                callback cannot watch replicates.
            NotImplementedError: if the model trains in a way of its own, if the backend cannot run its
                step in this mode, or if one of the first batches would not train as Keras' `train_on_batch`
                does; names what differs, and the way out.
            RuntimeError: if `compile` was not called.
        """
        require_untouched(self.model, self.shown)
        further = None
        if is_stream(x):
            if self.plan.mode == "fit":
                raise NotImplementedError('With mode="fit", `x` must be arrays, not batches.')
            further = self._intake.stream(x, y, sample_weight, class_weight, steps_per_epoch)
            data, batch_size = further()
            steps_per_epoch, shuffle = None, False
        else:
            if validation_split and validation_data is None:
                (x, y, sample_weight), validation_data = self._intake.split(
                    validation_split, x, y, sample_weight
                )
            data = self._intake.weighted(x, y, sample_weight, class_weight)
            refuse_part_of_an_epoch(steps_per_epoch, data.n, batch_size)
        held_out = self._intake.held_out(validation_data)
        first = self.initial_epoch if initial_epoch is None else initial_epoch
        last = first + epochs if initial_epoch is None else epochs
        more = (lambda: further()[0]) if further else None
        run = Fit(self, data, batch_size, range(first, last), shuffle, steps_per_epoch, more)
        validation = Validation(held_out, validation_batch_size or batch_size, validation_freq)
        return run.through(callbacks or (), verbose, validation)

    def evaluate(
        self, x: Any, y: Any = None, batch_size: int = 1024, *, sample_weight: Any = None
    ) -> dict[str, np.ndarray]:
        """Returns the loss and the metrics of every replicate, [R] each; arguments and errors as of `fit`."""
        if is_stream(x):
            (x, y, sample_weight), batch_size = Stream(x, None).epoch()
        data = self._intake.checked(x, y, sample_weight)
        return self.engine.evaluate(data, batch_size, orders(self.seeds, data.n, shuffle=False), self.active)

    def predict(self, x: Any, batch_size: int = 4096) -> Any:
        """Returns the output of every replicate, [R, N, K], for `x` of [N, …] or [R, N, …].

        Raises:
            ValueError: if the shape of `x` does not fit.
        """
        if is_stream(x):
            (x, _, _), batch_size = Stream(x, None).epoch()
        return self.engine.predict(Data(len(self), self.model, x), batch_size)

    # --- weights, members, files ------------------------------------------------------------------------

    def get_weights(self) -> list[np.ndarray]:
        """Returns the stacked weights, [R, …] each, in the order of `model.variables`."""
        return self.engine.weights()

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets the stacked weights, [R, …] each, in the order of `model.variables`.

        Raises:
            ValueError: if their number or a shape does not fit.
        """
        shapes = [(len(self), *variable.shape) for variable in self.model.variables]
        new_shapes = [tuple(np.shape(value)) for value in weights]
        if new_shapes != shapes:
            raise ValueError(f"`weights` must have the shapes {shapes}, not {new_shapes}.")
        self.engine.set_weights(weights)

    def member_weights(self, r: int) -> list[np.ndarray]:
        """Returns the weights of replicate r, in the order of `model.variables`."""
        return self.engine.member_weights(r)

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
        model = frozen_as(self.build(), self.model)
        for variable, value in zip(model.variables, self.member_weights(r % len(self)), strict=True):
            variable.assign(value)
        return model

    def save(self, path: str | Path) -> None:
        """Writes the replicates, their optimiser's state included, into one file; see `Replicates.load`."""
        settings = {
            "seeds": self.seeds,
            "paired": self.paired,
            "mode": self.plan.mode,
            "initial_epoch": self.initial_epoch,
            "compiled": saving.compile_config(self.compiled) if self.compiled else None,
        }
        others = self.engine.optimizer_values()
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
        replicates.engine.stored["optimizer"], replicates.active = list(saved.others), saved.active
        replicates.initial_epoch = settings["initial_epoch"]
        return replicates

    # --- within -----------------------------------------------------------------------------------------

    def _planned(self, batch_size: int) -> Plan:
        """Returns how to run the replicates with this batch size."""
        return make_plan(self.model, len(self), self.mode, batch_size, self.memory_limit)

    def _reset(self, weights: list[np.ndarray]) -> None:
        """Goes back to weights without a program; the next `fit`, `evaluate` or `predict` makes one."""
        by_fit = self.compiled is not None and self._planned(32).mode == "fit"
        options = (self.model, self.build, self.seeds, weights, self.compiled, self._planned)
        kind: Any = OneByOne if by_fit else Together
        self.engine: Any = kind(*options)
        self.active = np.ones(len(self), bool)

    @property
    def _intake(self) -> Intake:
        """What takes in the data of a call."""
        return Intake(len(self), self.model, self.compiled)

"""The laboratory: copies of the user's model, trained a dozen times or more on few rows, one factor changed.

Every seed draws its own initial weights, its own order of batches, and its own rows to train and to judge on.
Settings that differ in the learning rate or in the scale of the inputs are trained as one (`Replicates`),
paired by seed. Nothing of the user's is changed: what is trained are copies.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck._keras import layers_of
from crosscheck.diagnose import _copies as copies
from crosscheck.diagnose._chance import MORE_SEEDS, SEEDS
from crosscheck.diagnose._clock import Clock
from crosscheck.diagnose._outcomes import AS_IT_IS, OTHERS, OTHERS_OF_STILL, Arm, Outcome, reached
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._rows import one_output, scalable, standardised
from crosscheck.diagnose._task import Task, row_weights, task_of
from crosscheck.diagnose._words import first_line, rounded
from crosscheck.errors import UsageError
from crosscheck.replicates import Replicates

ROWS = 256  # that a seed trains on
MOST_STEPS, FEWEST_STEPS = 400, 40
BYTES = 400e6  # that the rows of all replicates may take
STACKED_GAIN = 6.0  # how much faster a stacked step is than one alone, at the least seen
RESERVE = 0.8  # of the time that is left, to be planned with
SHARE = 0.3  # of the time, for the first training; the others wait for what it shows
CHEAP = 0.1  # of the time, in which more seeds may train
FEW_STEPS = 100  # of the program itself, so few that slow learning is no fault
TOO_SHORT = 10  # one step here may stand for so many of the program's where slow learning is judged


class Laboratory:
    """Trains copies of a program's model.

    Args:
        program: its model is built and compiled.
        rows: that a seed trains on, at most.
        seeds: one number each; 12 if not given, or 20 where training them is cheap.
        seconds: that all training together may take; what would take longer is skipped, and said so.

    Raises:
        UsageError: where the model cannot be rebuilt, or its data cannot be cut into rows; says why.
    """

    def __init__(
        self, program: Program, rows: int = ROWS, seeds: Sequence[int] | None = None, seconds: float = 45.0
    ):
        self.program, self.given_seeds, self.skipped = program, seeds, list[str]()
        self.clock, self.seconds = Clock(), seconds
        self.arguments = copies.compile_arguments(program.model)
        self.x, self.y, self.weight = one_output(program, self.arguments)
        self.rows = min(rows, 3 * len(self.y) // 4)
        with copies.random_state_kept(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fresh = copies.rebuilt(program.model)
            self.start = self.start_of(fresh)
            outputs = np.asarray(fresh.predict(self.some(16), verbose=0))
        self.outputs = outputs.shape
        self.task: Task = task_of(self.y, (len(self.y), *outputs.shape[1:]), self.arguments["loss"])
        self.row_weights = row_weights(self.task, self.y, self.weight, program.class_weight)

    # --- the model --------------------------------------------------------------------------------------

    def start_of(self, fresh: keras.Model) -> dict[int, np.ndarray]:
        """Returns the weights that every copy starts from, by their place; the others are drawn anew.

        Frozen layers keep their weights. So does everything where the model is no newly built one.
        """
        model = self.program.model
        drawn = copies.is_freshly_drawn(model, fresh)
        if not drawn and self.program.history:
            raise UsageError(
                "The weights are those that the training left: give the model as it stood before it."
            )
        if not drawn:
            self.skipped.append(
                "The weights are trained already, and kept: seeds differ in their rows and batches alone."
            )
        trained = {id(v) for v in model.trainable_variables}
        return {
            i: keras.ops.convert_to_numpy(v.value)
            for i, v in enumerate(model.variables)
            if copies.is_weight(v) and not (drawn and id(v) in trained)
        }

    def build(self, layers: Callable[[keras.Layer], keras.Layer] = copies.same_layer) -> keras.Model:
        """Returns a copy of the model as it starts, with weights drawn anew where they may be."""
        copy = copies.rebuilt(self.program.model, layers)
        for i, value in self.start.items():
            copy.variables[i].assign(value)
        for layer in layers_of(copy):
            if isinstance(layer, keras.layers.BatchNormalization):
                # so that its averages forget as much here as in all of the program's steps
                layer.momentum = layer.momentum**self.compression
        return copy

    @property
    def rate(self) -> float | None:
        """The learning rate, where it is one number."""
        return copies.learning_rate_of(self.optimizer)

    @property
    def optimizer(self) -> Any:
        """The user's, without the scaling of losses around it."""
        return getattr(self.program.model.optimizer, "inner_optimizer", self.program.model.optimizer)

    # --- how long -----------------------------------------------------------------------------------------

    @property
    def brevity(self) -> str:
        """Why slow learning is no fault of a program that is short, or may be of any length; else ""."""
        if self.program.epochs is None:
            return "how long the program trains is not known: give `epochs`"
        few = self.program.steps < FEW_STEPS
        return f"the program takes {self.program.steps:.0f} steps in all: more may do" if few else ""

    @functools.cached_property
    def seeds(self) -> tuple[int, ...]:
        """A number for each copy."""
        if self.given_seeds is not None:
            return tuple(self.given_seeds)
        most = CHEAP * self.seconds / min(MOST_STEPS, max(1, self.program.steps))
        with contextlib.suppress(Exception):  # a step that fails is told where it is needed
            if MORE_SEEDS * self.seconds_of_a_step <= most:
                return tuple(range(MORE_SEEDS))
        return tuple(range(SEEDS))

    @functools.cached_property
    def steps(self) -> int:
        """Steps of a training here: the program's own number, or what the time allows."""
        seconds = self.seconds_of_a_step
        allowed = int(SHARE * self.seconds / (len(self.seeds) * seconds))
        if allowed < FEWEST_STEPS:
            needed = len(self.seeds) * FEWEST_STEPS * seconds / SHARE
            raise UsageError(
                f"A step takes {1000 * seconds:.0f} ms: {len(self.seeds)} trainings of {FEWEST_STEPS} steps "
                f"do not fit into {SHARE * self.seconds:.0f} s; seconds={1.2 * needed:.0f} would do."
            )
        return int(max(1, min(allowed, MOST_STEPS, self.program.steps)))

    @property
    def compression(self) -> float:
        """How many of the program's steps stand behind one here."""
        return max(1.0, min(self.program.steps, 1e9) / self.steps)

    @functools.cached_property
    def seconds_of_a_step(self) -> float:
        """The time of one step of one copy, as they are run here."""
        model = copies.rebuilt(self.program.model)
        model.compile(copies.fresh_optimizer(self.optimizer), **self.arguments)
        alone = copies.seconds_of_a_step(model, self.some(self.batch_size), self.y[: self.batch_size])
        stacks = Replicates(lambda: copies.rebuilt(self.program.model), [0]).plan.mode == "stacked"
        return alone / (STACKED_GAIN if stacks else 1.0)

    def left(self) -> float:
        """Returns the seconds that are left."""
        return self.seconds - self.clock.spent()

    # --- rows ---------------------------------------------------------------------------------------------

    @property
    def batch_size(self) -> int:
        return max(1, min(self.program.batch_size, self.rows))

    def some(self, n: int) -> Any:
        """Returns the first n rows of x."""
        return keras.tree.map_structure(lambda a: a[:n], self.x)

    @functools.cached_property
    def splits(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows that each seed trains on, [S, n], and those that it is judged on, [S, h]."""
        n, held_out = self.rows, min(ROWS, len(self.y) - self.rows)
        orders = [np.random.default_rng([seed, 1]).permutation(len(self.y)) for seed in self.seeds]
        drawn = np.array([order[: n + held_out] for order in orders])
        return drawn[:, :n], drawn[:, n:]

    def rows_of(self, which: np.ndarray, arms: Sequence[Arm], trained: np.ndarray) -> Any:
        """Returns x of every replicate, [A · S, n, …] in the structure of x; arms run slowest."""

        def one(array: np.ndarray) -> np.ndarray:
            plain = array[which].astype("float32") if scalable(self.program.model, array) else array[which]
            if not any(arm.standardised for arm in arms):
                return np.concatenate([plain] * len(arms))
            scaled = standardised(plain, array[trained].astype("float32"))
            return np.concatenate([scaled if arm.standardised else plain for arm in arms])

        return keras.tree.map_structure(one, self.x)

    @property
    def can_be_standardised(self) -> bool:
        """Whether all inputs are numbers of which a layer takes products."""
        return all(scalable(self.program.model, array) for array in keras.tree.flatten(self.x))

    # --- what is asked of it --------------------------------------------------------------------------------

    @functools.cached_property
    def lags(self) -> bool:
        """Whether the program as it is learns too little under most seeds, so that others are tried."""
        return bool(np.mean(self.as_it_is.lags) > 0.5)

    @functools.cached_property
    def rescues(self) -> dict[str, Outcome]:
        """Settings that might learn where the program does not, by name; none where it does."""
        if not self.lags:
            return {}
        others = OTHERS_OF_STILL if self.as_it_is.is_still else OTHERS
        arms = [arm for arm in others if self.can_be_tried(arm)]
        arms = arms[: self.affordable()]
        if len(arms) < len(others):
            left_out = ", ".join(arm.name for arm in others if arm not in arms)
            self.skipped.append(f"Not tried: {left_out}.")
        return {outcome.arm.name: outcome for outcome in self.train(arms)} if arms else {}

    def can_be_tried(self, arm: Arm) -> bool:
        """Whether a setting makes sense for this program."""
        return self.can_be_standardised if arm.standardised else self.rate is not None

    @functools.cached_property
    def own_steps_fail(self) -> np.ndarray:
        """Under which seeds it lags also where the rate is as much larger as its own steps are more, [S]."""
        return np.all([self.as_it_is.lags, *(r.lags for r in self.of_own_steps)], axis=0)

    @property
    def of_own_steps(self) -> list[Outcome]:
        """Settings whose rate is larger by no more than the program's own steps make up for."""
        return [r for r in self.rescues.values() if 1 < r.arm.rate <= self.compression]

    def affordable(self) -> int:
        """How many more settings the time that is left suffices for."""
        self.as_it_is  # noqa: B018, its seconds are what is counted in
        return max(0, int((RESERVE * self.left() - self.seconds_of_a_program) / self.seconds_of_steps))

    @property
    def seconds_of_steps(self) -> float:
        """The time of all steps of one setting, without compiling their program."""
        return max(1e-3, self.seconds_of_a_step * self.steps * len(self.seeds))

    def can_afford(self, trainings: int) -> bool:
        """Whether so many more trainings fit into the time that is left."""
        return self.affordable() >= trainings

    def limit(self, tried: bool) -> str:
        """Why slow learning here is no fault of the program, in any case; "" where it may be."""
        if not tried:
            return (
                "it learns under most seeds"
                if not self.lags
                else "no time was left to try what would help; more `seconds` give it"
            )
        if self.brevity or self.compression <= TOO_SHORT:
            return self.brevity
        return f"one step here stands for {self.compression:.0f} of the program's"

    def compared(self, other: Outcome | None) -> str:
        """Returns the losses of the program, of another setting and of the prior, in words."""
        also = f"; {reached(other)} with {other.arm.name}" if other else ""
        prior = rounded(float(np.median(self.as_it_is.prior_loss)))
        return f"loss after {self.steps} steps {reached(self.as_it_is)}{also}; {prior} without any input"

    @functools.lru_cache  # noqa: B019, a laboratory lives for one diagnosis
    def inside(self, layers: tuple[str, ...]) -> copies.Inside:
        """Returns a copy of which the outputs of some layers are seen."""
        return copies.Inside(self.build(), layers)

    # --- training -------------------------------------------------------------------------------------------

    @property
    def as_it_is(self) -> Outcome:
        """The program unchanged.

        Raises:
            UsageError: where it cannot be trained; it is tried once.
        """
        trained = self.trained_as_it_is
        if isinstance(trained, UsageError):
            raise trained
        return trained

    @functools.cached_property
    def trained_as_it_is(self) -> Outcome | UsageError:
        """The program unchanged, or why it cannot be trained."""
        try:
            _, clock = self.steps, Clock()  # the steps are measured before the clock starts
            outcome = self.train([AS_IT_IS])[0]
        except UsageError as error:
            return error
        except Exception as error:  # whatever a backend raises
            return UsageError(f"{type(error).__name__}: {first_line(error)}")
        self.seconds_of_a_program = max(0.0, clock.spent() - self.seconds_of_steps)
        return outcome

    def train(
        self,
        arms: Sequence[Arm],
        build: Callable[[], keras.Model] | None = None,
        optimizer: keras.Optimizer | None = None,
        rows: np.ndarray | None = None,
    ) -> list[Outcome]:
        """Trains every setting under every seed, and returns where each ended.

        Args:
            arms: the settings.
            build: makes the copies, where it is not `Laboratory.build`.
            optimizer: unused, in place of the user's.
            rows: that each seed trains on, [S, n], in place of its split.

        Raises:
            UsageError: where the copies cannot be trained as replicates; says why.
        """
        with copies.random_state_kept(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return self.trained(arms, build or self.build, optimizer, rows)
            except (NotImplementedError, ValueError, TypeError) as error:
                raise UsageError(
                    f"Its copies cannot be trained as replicates: {first_line(error)}"
                ) from error

    def trained(
        self,
        arms: Sequence[Arm],
        build: Callable[[], keras.Model],
        optimizer: keras.Optimizer | None,
        rows: np.ndarray | None,
    ) -> list[Outcome]:
        """The work of `train`."""
        which, held_out = (self.splits[0] if rows is None else rows), self.splits[1]
        x, y = self.rows_of(which, arms, which), np.concatenate([self.y[which]] * len(arms))
        if sum(a.nbytes for a in keras.tree.flatten(x)) > BYTES:
            raise UsageError("A row is so large that the rows of all copies do not fit into memory.")
        replicas = Replicates(build, list(self.seeds) * len(arms), paired=True)
        replicas.compile(**self.compiled_with(arms, optimizer))
        batch_size = min(self.batch_size, which.shape[1])
        epochs = int(np.ceil(self.steps / np.ceil(which.shape[1] / batch_size)))
        weight = None if self.weight is None else np.concatenate([self.weight[which]] * len(arms))
        plain = {"class_weight": self.program.class_weight}
        options = plain if weight is None else {"sample_weight": weight}
        everything = self.rows_of(np.concatenate([which, held_out], 1), arms, which)
        before = np.asarray(replicas.predict(everything))
        initial = [np.array(value) for value in replicas.get_weights()]
        replicas.fit(x, y, batch_size=batch_size, epochs=epochs, shuffle=True, **options)
        after = np.asarray(replicas.predict(everything))
        weights = [np.asarray(value) for value in replicas.get_weights()]
        trainable = [i for i, v in enumerate(replicas.model.variables) if v.trainable]
        moved = copies.largest_change([initial[i] for i in trainable], [weights[i] for i in trainable])
        return [self.outcome(arm, a, which, before, after, weights, moved) for a, arm in enumerate(arms)]

    def compiled_with(self, arms: Sequence[Arm], optimizer: keras.Optimizer | None) -> dict[str, Any]:
        """Returns what the replicates are compiled with."""
        options: dict[str, Any] = {"optimizer": optimizer or copies.fresh_optimizer(self.optimizer)}
        if any(arm.rate != 1 for arm in arms):
            rates = np.repeat([arm.rate for arm in arms], len(self.seeds)) * (self.rate or np.nan)
            options["optimizer_arguments"] = {"learning_rate": rates}
        # the program as it is proves that replicates train as `fit` does; the others differ in numbers alone
        return {**options, **self.arguments, "check": optimizer is None and list(arms) == [AS_IT_IS]}

    def outcome(
        self,
        arm: Arm,
        a: int,
        which: np.ndarray,
        before: np.ndarray,
        after: np.ndarray,
        weights: list[np.ndarray],
        moved: np.ndarray,
    ) -> Outcome:
        """Returns where the a-th setting ended, from the outputs for the rows trained on and the others."""
        mine, n = slice(a * len(self.seeds), (a + 1) * len(self.seeds)), which.shape[1]
        task, others, shape = self.task, self.splits[1], (n, *self.outputs[1:])
        fitted, unseen = after[mine, :n], after[mine, n:]

        def each(measure: Callable[..., float], rows: np.ndarray, *columns: Any) -> np.ndarray:
            columns = (self.y[rows], *columns, self.row_weights[rows])
            return np.array([measure(*row) for row in zip(*columns, strict=True)])

        return Outcome(
            arm,
            each(task.loss_of, which, fitted),
            each(task.error_of, which, fitted),
            each(task.loss_of, others, unseen),
            each(task.error_of, others, unseen),
            each(lambda labels, weights: task.loss_of_prior(labels, shape, weights), which),
            each(task.error_of_prior, which),
            moved[mine],
            unseen,
            before[mine, n:],
            [value[mine] for value in weights],
        )

"""A random training by `Replicates`, beside a loop of Keras' own `fit`."""

from __future__ import annotations

import tempfile
import traceback
import warnings
from collections.abc import Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
from random_steps import CALLBACKS
from random_trainings import SEEDS, Case, build_of, compile_of, examples_of, shapes_of

from crosscheck._keras import constant_draws
from crosscheck.replicates import Replicates, batch_order

IS_TORCH = keras.backend.backend() == "torch"
EAGERLY = {"run_eagerly": True} if keras.backend.backend() == "tensorflow" else {}
QUICK = {"jit_compile": False} if keras.backend.backend() == "tensorflow" else {}
CLASS_WEIGHT = {0: 2.0, 2: 0.5}
OF_ALL = {"stops after", "stops within"}
SCHEDULED = {"decaying", "cosine", "piecewise"}


@contextmanager
def under(case: Case):
    """Keras' float type and policy as the case has them, without its warnings.

    PyTorch's dropout goes by no seed: there alone layers draw the same numbers for the same shape.
    """
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64" if case.policy == "float64" else "float32")
    keras.config.set_dtype_policy(case.policy)
    try:
        with warnings.catch_warnings(), constant_draws() if IS_TORCH else nullcontext():
            warnings.simplefilter("ignore")
            yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        keras.backend.clear_session(free_memory=False)


# --- Keras' own -------------------------------------------------------------------------------------------


class Batches(keras.utils.PyDataset):
    """The batches that the replicate of a seed takes, epoch by epoch."""

    def __init__(self, data: Any, seed: int, case: Case):
        super().__init__()
        self.data, self.seed, self.case, self.epoch = data, seed, case, 0
        self.n = len(keras.tree.flatten(data[0])[0])

    def __len__(self):
        return min(-(-self.n // self.case.batch_size), self.case.steps or 1000)

    def __getitem__(self, i):
        order = batch_order(self.seed, self.epoch, self.n)
        places = order[i * self.case.batch_size :][: self.case.batch_size]
        x, y, weight = keras.tree.map_structure(lambda a: None if a is None else a[places], self.data)
        tuples = lambda part: tuple(part) if isinstance(part, list) else part  # all that `PyDataset` takes
        return tuple(tuples(part) for part in (x, y, weight) if part is not None)

    def begins(self) -> keras.callbacks.Callback:
        """Sets the epoch: on JAX and PyTorch, Keras begins once more than there are epochs, to build."""
        return keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(self, "epoch", epoch)
        )


def split(case: Case, data: Any) -> tuple[Any, Any]:
    """What is trained on, and the last quarter."""
    at = int(case.n * 0.75)
    cut = lambda a, b: keras.tree.map_structure(lambda array: None if array is None else array[a:b], data)
    return cut(0, at), cut(at, case.n)


def validation_of(case: Case, shapes: Any) -> Any:
    if case.validation in ("none", "split"):
        return None
    data = examples_of(case, 7, 9, shapes)
    return data if case.validation == "weighted" and data[2] is not None else data[:2]


def by_keras(case: Case, seed: int, nudge: int | None = None) -> dict[str, Any]:
    """What becomes of the model of a seed; its trained weights are moved by about a rounding to `nudge`."""
    shapes = shapes_of(case)
    keras.utils.set_random_seed(seed)
    model = build_of(case)()
    start = weights_of(model)
    if nudge is not None:
        rng = np.random.default_rng(nudge)
        for variable in model.trainable_variables:
            value = np.array(keras.ops.convert_to_numpy(keras.ops.cast(variable.value, "float64")))
            # Keras reduces losses on PyTorch, and computes schedules everywhere, in float32.
            fine = 1e-6 if IS_TORCH or case.optimizer in SCHEDULED else 1e-12
            eps = {"float64": fine, "mixed_bfloat16": 4e-3, "mixed_float16": 5e-4}.get(precision(case), 1e-6)
            variable.assign(value * (1 + eps * rng.normal(size=value.shape)))
    keras.backend.clear_session(free_memory=False)  # names of metrics are counted
    model.compile(**compile_of(case), **how_it_runs(case))
    data = examples_of(case, case.n, 0, shapes)
    held_out = validation_of(case, shapes)
    if case.validation == "split":
        data, held_out = split(case, data)
    outcome: dict[str, Any] = {"start": start}
    if case.plot == "evaluate first":
        outcome["before"] = evaluated(model, data, case)
    if case.plot == "predict first":
        outcome["predicted before"] = model.predict(data[0], batch_size=case.batch_size, verbose=0)
    histories, stopped, first = [], False, 0
    for call in range(2 if case.plot in ("fit twice", "saved") else 1):
        if call and case.plot == "saved":
            with tempfile.TemporaryDirectory() as folder:
                model.save(Path(folder) / "m.keras")
                model = keras.models.load_model(Path(folder) / "m.keras", safe_mode=True)
            model.run_eagerly = bool(how_it_runs(case))
        if stopped:
            continue
        batches = Batches(data, seed, case)
        history = model.fit(
            batches,
            initial_epoch=first,
            epochs=first + case.epochs,
            shuffle=False,
            verbose=0,
            class_weight=CLASS_WEIGHT if case.weights == "classes" else None,
            callbacks=[batches.begins(), *(CALLBACKS[name]() for name in case.callbacks)],
            validation_data=held_out,
            validation_freq=2 if case.validation == "every second" else 1,
            validation_batch_size=3 if case.validation == "batches" else case.batch_size,
        )
        stopped = model.stop_training and not OF_ALL & set(case.callbacks)  # which go on when called again
        histories.append(history.history)
        first += len(history.epoch)
    outcome["history"] = histories
    outcome["evaluated"] = evaluated(model, data, case)
    outcome["predicted"] = model.predict(data[0], batch_size=case.batch_size, verbose=0)
    outcome["weights"] = weights_of(model)
    return outcome


def how_it_runs(case: Case) -> dict[str, bool]:
    """Eagerly where that spares tracing, but for what Keras trains otherwise eagerly than by its programs."""
    return {} if case.mode == "fit" and case.optimizer == "schedule free" else EAGERLY


def evaluated(model: Any, data: Any, case: Case) -> Any:
    x, y, weight = data
    options = {"verbose": 0, "return_dict": True} if isinstance(model, keras.Model) else {}
    return model.evaluate(x, y, batch_size=case.batch_size, sample_weight=weight, **options)


def weights_of(model: keras.Model) -> list[np.ndarray]:
    """Without the seeds of layers that draw."""
    return [
        as_floats(variable.value) for variable in model.variables if "seed_generator" not in variable.path
    ]


def stacked_weights_of(replicas: Replicates) -> list[np.ndarray]:
    pairs = zip(replicas.model.variables, replicas.get_weights(), strict=True)
    return [value for variable, value in pairs if "seed_generator" not in variable.path]


def as_floats(value: Any) -> np.ndarray:
    if "float" in keras.backend.standardize_dtype(value.dtype):
        value = keras.ops.convert_to_numpy(keras.ops.cast(value, "float64"))
    return np.array(keras.ops.convert_to_numpy(value), "float64")


# --- by Replicates ------------------------------------------------------------------------------------------


def by_replicates(case: Case) -> dict[str, Any]:
    """The same of all replicates at once."""
    replicas = Replicates(build_of(case), SEEDS, mode=case.mode)
    shapes = shapes_of(case)
    outcome: dict[str, Any] = {"start": stacked_weights_of(replicas)}
    keras.backend.clear_session(free_memory=False)
    replicas.compile(**compile_of(case), **QUICK)
    x, y, weight = data = examples_of(case, case.n, 0, shapes)
    held_out = validation_of(case, shapes)
    inner = split(case, data)[0] if case.validation == "split" else data
    if case.plot == "evaluate first":
        outcome["before"] = evaluated(replicas, inner, case)
    if case.plot == "predict first":
        outcome["predicted before"] = replicas.predict(inner[0], batch_size=case.batch_size)
    histories = []
    for call in range(2 if case.plot in ("fit twice", "saved") else 1):
        if call and case.plot == "saved":
            with tempfile.TemporaryDirectory() as folder:
                replicas.save(Path(folder) / "all.replicates")
                replicas = Replicates.load(Path(folder) / "all.replicates")
        history = replicas.fit(
            x,
            y,
            case.batch_size,
            case.epochs,
            sample_weight=weight,
            class_weight=CLASS_WEIGHT if case.weights == "classes" else None,
            callbacks=[CALLBACKS[name]() for name in case.callbacks],
            validation_split=0.25 if case.validation == "split" else 0.0,
            validation_data=held_out,
            validation_freq=2 if case.validation == "every second" else 1,
            validation_batch_size=3 if case.validation == "batches" else None,
            steps_per_epoch=case.steps,
        )
        histories.append(history.history)
    outcome["history"] = histories
    outcome["evaluated"] = evaluated(replicas, inner, case)
    outcome["predicted"] = replicas.predict(inner[0], batch_size=case.batch_size)
    outcome["weights"] = stacked_weights_of(replicas)
    return outcome


# --- side by side -------------------------------------------------------------------------------------------


def of_one(outcome: Mapping[str, Any], r: int) -> dict[str, Any]:
    """Replicate r's part of what became of all, in the form that `by_keras` gives."""
    one = keras.tree.map_structure(
        lambda value: np.asarray(value)[r], {k: v for k, v in outcome.items() if k != "history"}
    )
    column = lambda value: value[:, r] if np.ndim(value) > 1 else np.asarray(value)
    histories = [{k: column(v) for k, v in history.items()} for history in outcome["history"]]
    return {**one, "history": histories}


def joined(histories: list[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Histories of several calls as one, without what is not a number."""
    names = {name for history in histories for name in history}
    joint = lambda name: np.concatenate([np.atleast_1d(history.get(name, ())) for history in histories])
    return {name: joint(name) for name in names}


def flat(outcome: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Every number of an outcome by a name."""
    parts: dict[str, np.ndarray] = {}
    for kind in ("start", "weights"):
        parts |= {f"{kind} {i}": np.asarray(value, "float64") for i, value in enumerate(outcome[kind])}
    for kind in ("predicted before", "predicted"):
        if kind in outcome:
            leaves = keras.tree.flatten(outcome[kind])
            parts |= {f"{kind} {i}": np.asarray(v, "float64") for i, v in enumerate(leaves)}
    for kind in ("before", "evaluated"):
        for name, value in outcome.get(kind, {}).items():
            parts[f"{kind} {name}"] = np.asarray(value, "float64")
    for name, value in joined(outcome["history"]).items():
        parts[f"history {name}"] = np.asarray(value, "float64")
    return parts


def precision(case: Case) -> str:
    """The coarsest dtype or policy in which anything is computed."""
    if "mse half" in case.losses:
        return "mixed_float16"
    return "mixed_bfloat16" if "half" in case.blocks else case.policy


def apart(case: Case, mine: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What differs beyond rounding of one operation, and by how much of its length."""
    coarse = {"float64": 1e-9, "float32": 1e-4}.get(precision(case), 0.05)
    if precision(case) == "float64" and keras.backend.backend() == "torch":
        coarse = 1e-4  # Keras 3.15 reduces every loss in float32 on PyTorch
    if precision(case) == "float64" and keras.backend.backend() == "jax":
        coarse = 1e-6  # and takes every mean of a layer, such as a normalisation's, through float32 on JAX
    different: dict[str, float] = dict.fromkeys(set(mine) ^ set(theirs), np.inf)
    if case.mode == "fit" and keras.backend.backend() == "tensorflow":
        # Programs of TensorFlow do not know how long a batch is: there, and not eagerly, Keras 3.15 takes
        # the loss of one of several outputs as a mean over batches of whatever length.
        mine = {name: value for name, value in mine.items() if not is_loss_of_one_output(name)}
    for name in sorted(set(mine) & set(theirs)):
        far = distance(name, mine[name], theirs[name])
        if not far <= coarse:
            different[name] = far
    return different


def is_loss_of_one_output(name: str) -> bool:
    return name.endswith("_loss") and not name.endswith(" val_loss")


def distance(name: str, mine: np.ndarray, theirs: np.ndarray) -> float:
    if name.startswith("history") and len(mine) > len(theirs):  # NaN once it has stopped
        if np.isfinite(mine[len(theirs) :]).any() and not name.endswith(("calls", "learning_rate")):
            return np.inf
        mine = mine[: len(theirs)]
    if mine.shape != theirs.shape or not np.array_equal(np.isfinite(mine), np.isfinite(theirs)):
        return np.inf
    finite = np.isfinite(theirs)
    size = np.linalg.norm(theirs[finite]) + 1e-2 * np.sqrt(max(finite.sum(), 1))
    return float(np.linalg.norm((mine - theirs)[finite]) / size)


def compared(case: Case) -> str:
    """How it ended: "same", "refused: …", "both fail: …", "only, as known, Keras fails: …"; else a bug."""
    with under(case):
        try:
            outcome = by_replicates(case)
        except Exception as error:
            return after_failure(case, error)
        for r, seed in enumerate(SEEDS):
            try:
                expected = flat(by_keras(case, seed))
            except Exception as error:
                kind = "only, as known, Keras fails" if is_known_in_keras(case, error) else "only Keras fails"
                return f"{kind}: {short(error)}"
            different = apart(case, flat(of_one(outcome, r)), expected)
            for nudge in (
                (None, 0, 1, 2) if different else ()
            ):  # Keras itself may come out otherwise next time
                moved = flat(by_keras(case, seed, nudge))
                for name in list(different):
                    known = name in moved and name in expected
                    if known and different[name] <= 30 * distance(name, moved[name], expected[name]):
                        del different[name]
            if different:
                first = sorted(different.items())[:6]
                return f"different: replicate {r}: " + ", ".join(f"{n} by {f:.2g}" for n, f in first)
        return "same"


def is_known_in_keras(case: Case, error: Exception) -> bool:
    """Whether it is Keras 3.15's own on JAX: a second `fit` of a model finds no averages of weights."""
    is_jax, is_again = keras.backend.backend() == "jax", case.plot == "fit twice"
    return is_jax and is_again and "'NoneType' object is not callable" in str(error)


def after_failure(case: Case, error: Exception) -> str:
    try:
        by_keras(case, SEEDS[0])
    except Exception as theirs:
        return f"both fail: {short(theirs)}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = "/crosscheck/" in last.filename and (last.line or "").startswith("raise")
    named = isinstance(error, (NotImplementedError, ValueError)) and ours
    # On PyTorch Keras' losses change weights in place, which other outputs and metrics then see.
    changes_weights = IS_TORCH and case.weights not in ("none", "classes")
    if named and "would not" in str(error) and not changes_weights:
        return f"witness: {short(error)}"
    if named:
        return f"refused: {short(error)}"
    frames = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
    return f"crash: {short(error)} at {' '.join(frames[-6:])}"


def short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def smallest(case: Case, ending: str) -> Case:
    """The case with all taken away without which it still ends in the same kind of bug."""
    from random_trainings import smaller

    kind = ending.split(":")[0]
    for fewer in smaller(case):
        try:
            same_kind = compared(fewer).split(":")[0] == kind
        except Exception:
            continue
        if same_kind:
            return smallest(fewer, ending)
    return case

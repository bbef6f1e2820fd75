"""How R replicates are run: as one program or one after the other, and in how many blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import numpy as np

from crosscheck._keras import has_output, layers_of
from crosscheck.replicates._machine import available_memory
from crosscheck.replicates._model import has_convolutions
from crosscheck.replicates.backends import current

MODES = ("auto", "stacked", "loop", "fit")
STEPS = ("train_step", "test_step", "make_train_function", "make_test_function")
# Bytes that a block of replicates works on. Measured on two cores with 1 MiB of cache each: smaller ones pay
# for their calls, larger ones fall out of the cache; both cost up to half.
LEAST, MOST = 2**19, 5 * 2**20
SHARE = 0.5  # of the available memory that a plan may use; the estimate leaves out temporary copies


@dataclass(frozen=True)
class Plan:
    """How replicates are run.

    Attributes:
        mode: "stacked", "loop" or "fit".
        why: what decided.
        size: the number of replicates in a block.
        parked: whether blocks leave the device between their passes, because not all of them would fit.
        free: whether the mode was left to the plan.
    """

    mode: str
    why: str
    size: int
    parked: bool = False
    free: bool = False

    def one_by_one(self, why: str) -> Plan:
        """Returns the plan that is left where stacking turns out to be impossible."""
        return replace(self, mode="loop", why=why, size=1)


def make_plan(
    model: keras.Model, count: int, mode: str, batch_size: int, memory_limit: int | None, slots: int = 2
) -> Plan:
    """Returns the plan for `count` replicates of a model.

    Args:
        model: the model.
        count: R.
        mode: one of `MODES`.
        batch_size: examples a step.
        memory_limit: bytes that all blocks may take at once; half of what is available where None.
        slots: numbers that the optimiser keeps for each weight.

    Raises:
        ValueError: if `mode` is unknown.
        NotImplementedError: if stacking is asked for and a layer cannot be; names layer and reason.
    """
    require_mode(mode)
    backend = current()
    limit = memory_limit or default_limit()
    kept, moved = bytes_per_replicate(model, batch_size, slots)
    parked = kept * count > limit
    if mode in ("loop", "fit"):
        return Plan(mode, "asked for", 1, parked)
    steps = own_steps(model)
    if steps and mode == "auto":
        return Plan("fit", f"{type(model).__name__} has a `{steps[0]}` of its own", 1, parked)
    if mode == "auto" and backend.device() == "cpu" and has_convolutions(model):
        return Plan("loop", "convolutions do not gain from stacking on a CPU", 1, parked)
    reason = why_unstackable(model)
    if reason and mode == "auto":
        return Plan("loop", reason, 1, parked)
    if reason:
        raise NotImplementedError(
            f'{reason}. Replicates(…, mode="loop") trains the replicates one after the other.'
        )
    why = "asked for" if mode == "stacked" else "faster than one after the other"
    workers = backend.workers()
    most = count if workers == 1 else block_size(count, workers, kept + moved)
    fit = max(1, limit // workers // (kept + moved))
    if fit < most:
        why = f"{why}; {limit / 2**20:.3g} MiB take {workers} × {fit} at once"
    return Plan("stacked", why, min(most, fit), parked, free=mode == "auto")


def block_size(count: int, workers: int, size: int) -> int:
    """Returns the replicates of `size` bytes in a block: one block for each worker, small enough to cache."""
    shared = max(-(-count // workers), LEAST // size)
    most = min(count, shared, max(4, MOST // size))
    rounds = -(-count // (most * workers)) if most < count else 1
    return -(-count // (rounds * workers)) if most < count else count


def require_mode(mode: str) -> None:
    """Raises a ValueError for a mode that there is not."""
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {', '.join(MODES)}, not {mode!r}.")


def why_unstackable(model: keras.Model) -> str | None:
    """Returns which layer of a model cannot be stacked, and why; None where all can."""
    for layer in layers_of(model):
        reason = current().why_unstackable(layer)
        if reason:
            return f'The layer "{layer.name}" ({type(layer).__name__}) cannot be stacked: {reason}'
    return None


def own_steps(model: keras.Model) -> list[str]:
    """Returns which methods that train or evaluate the model has of its own, in the place of Keras'."""
    return [name for name in STEPS if getattr(type(model), name) is not getattr(keras.Model, name)]


def bytes_per_replicate(model: keras.Model, batch_size: int, slots: int) -> tuple[int, int]:
    """Returns the bytes that a replicate keeps (weights, optimiser slots), and those that a step adds.

    A step holds the gradients, and a batch's activations with theirs.
    """
    weights = sum(int(np.prod(v.shape)) * np.dtype(plain(v.dtype)).itemsize for v in model.variables)
    outputs = [layer.output for layer in model.layers if has_output(layer)]
    values = sum(int(np.prod([d or 1 for d in output.shape[1:]])) for output in keras.tree.flatten(outputs))
    return weights * (1 + slots), weights + 2 * 4 * batch_size * values


def plain(dtype: str) -> str:
    """Returns a dtype of the same size that NumPy has: it has no bfloat16 of its own."""
    return "float16" if dtype == "bfloat16" else dtype


def default_limit() -> int:
    """Returns the share of the device's available memory, in bytes, that a plan may use."""
    left = current().free_memory()
    return int(SHARE * (available_memory() if left is None else left))

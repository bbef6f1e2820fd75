"""How R replicates are run: as one program or one after the other, and in how many blocks."""

from __future__ import annotations

import os
from dataclasses import dataclass

import keras
import numpy as np

from crosscheck.replicates.program import seam

MODES = ("auto", "stacked", "loop")
# Bytes that a block of replicates works on. Measured on two cores with 1 MiB of cache each: smaller ones pay
# for their calls, larger ones fall out of the cache; both cost up to half.
LEAST, MOST = 2**19, 5 * 2**20
SHARE = 0.5  # of the free memory that a block may plan with; the estimate leaves out temporary copies


@dataclass(frozen=True)
class Plan:
    """`mode` is "stacked" or "loop", `why` says what decided, `size` is the replicates of a block.

    `parked` blocks leave the device between their passes, for all of them would not fit.
    """

    mode: str
    why: str
    size: int
    parked: bool = False


def plan(
    model: keras.Model, count: int, mode: str, batch_size: int, memory_limit: int | None, slots: int = 2
) -> Plan:
    """The plan for `count` replicates of a model.

    Raises:
        ValueError: if `mode` is unknown.
        NotImplementedError: if a layer cannot be stacked and no loop is asked for; names layer and reason.
    """
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {', '.join(MODES)}, not {mode!r}.")
    limit = memory_limit or int(SHARE * free_memory())
    kept, moved = bytes_per_replicate(model, batch_size, slots)
    parked = kept * count > limit
    if mode == "loop":
        return Plan("loop", "asked for", 1, parked)
    if mode == "auto" and seam().device() == "cpu" and has_convolutions(model):
        return Plan("loop", "convolutions do not gain from stacking on a CPU", 1, parked)
    refuse_unstackable(model)
    why = "asked for" if mode == "stacked" else "faster than one after the other"
    workers = seam().workers()
    most = count if workers == 1 else block_size(count, workers, kept + moved)
    fit = max(1, limit // workers // (kept + moved))
    if fit < most:
        why = f"{why}; {limit / 2**20:.3g} MiB take {workers} × {fit} at once"
    return Plan("stacked", why, min(most, fit), parked)


def block_size(count: int, workers: int, size: int) -> int:
    """Replicates of `size` bytes a block, so that each worker has one and its cache holds it."""
    shared = max(-(-count // workers), LEAST // size)
    most = min(count, shared, max(4, MOST // size))
    rounds = -(-count // (most * workers)) if most < count else 1
    return -(-count // (rounds * workers)) if most < count else count


def refuse_unstackable(model: keras.Model) -> None:
    for layer in model._flatten_layers():
        reason = seam().unstackable(layer)
        if reason:
            raise NotImplementedError(
                f'The layer "{layer.name}" ({type(layer).__name__}) cannot be stacked: {reason}. '
                'Replicates(…, mode="loop") trains the replicates one after the other.'
            )


def has_convolutions(model: keras.Model) -> bool:
    kinds = [base.__name__ for layer in model._flatten_layers() for base in type(layer).__mro__]
    return any("Conv" in kind for kind in kinds)


def bytes_per_replicate(model: keras.Model, batch_size: int, slots: int) -> tuple[int, int]:
    """What a replicate keeps (weights, optimiser slots), and what a step needs besides.

    A step holds the gradients, and a batch's activations with theirs.
    """
    weights = sum(int(np.prod(v.shape)) * np.dtype(plain(v.dtype)).itemsize for v in model.variables)
    outputs = [layer.output for layer in model.layers if getattr(layer, "_inbound_nodes", ())]
    values = sum(int(np.prod([d or 1 for d in each.shape[1:]])) for each in keras.tree.flatten(outputs))
    return weights * (1 + slots), weights + 2 * 4 * batch_size * values


def plain(dtype: str) -> str:
    """NumPy has no bfloat16 of its own."""
    return "float16" if dtype == "bfloat16" else dtype


def free_memory() -> int:
    """Bytes free on the device; of the whole memory where the system does not tell."""
    free = seam().free_memory()
    if free is not None:
        return free
    names = ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES")
    known = [name for name in names if name in getattr(os, "sysconf_names", {})]
    return os.sysconf(known[0]) * os.sysconf("SC_PAGE_SIZE") if known else 4 * 2**30

"""The machine's limit for one step: its matrix products at the fastest rate, and a pass over the state.

A product's rate is that of the fastest library; libraries that leave cores idle may run one half of the
replicates on each of two threads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.settings import Setting

REPEATS = 30
THREADS = sorted({1, os.cpu_count() or 1})
PASSES = 3.5  # a copy reads and writes once; the state's pass reads p, m, v, g and writes p, m, v


def products(setting: Setting) -> list[tuple[int, int, int]]:
    """(rows, inner, columns) of x·W1, h·W2, xᵀ·g1, hᵀ·g2 and g2·W2ᵀ, for each replicate."""
    b, (d,), h, k = setting["batch"], setting["inputs"], setting["hidden"], 10
    return [(b, d, h), (b, h, k), (d, b, h), (h, b, k), (b, k, h)]


def parameters(setting: Setting) -> int:
    (d,), h = setting["inputs"], setting["hidden"]
    return setting["R"] * (d * h + h + h * 10 + 10)


def rates(setting: Setting) -> dict[str, Any]:
    """Seconds of each product by each way that this process knows, and of copying the weights once."""
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {}
    for rows, inner, columns in products(setting):
        a = rng.normal(size=(setting["R"], rows, inner)).astype("float32")
        b = rng.normal(size=(setting["R"], inner, columns)).astype("float32")
        for name, multiply in ways():
            for threads in THREADS:
                job = in_threads(multiply, a, b, threads)
                seconds.setdefault(f"{name}, {threads} threads", []).append(fastest(job))
    return {"products": seconds, "copy": min(copying(parameters(setting), threads) for threads in THREADS)}


def copying(size: int, threads: int) -> float:
    """Seconds of copying as many float32 numbers, a part on each thread."""
    source, target = np.zeros(size, "float32"), np.ones(size, "float32")
    return fastest(in_threads(lambda a, b: lambda: np.copyto(b, a), source, target, threads))


def ways() -> Iterator[tuple[str, Callable[[np.ndarray, np.ndarray], Callable[[], Any]]]]:
    """Batched products on this process' backend, and in NumPy."""
    yield "NumPy", lambda a, b: lambda: a @ b
    backend = os.environ.get("KERAS_BACKEND")
    if backend == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(tf.matmul, jit_compile=True)
        yield "TensorFlow", lambda a, b: prepared(tf.constant, tf.matmul, a, b)
        yield "TensorFlow, XLA", lambda a, b: prepared(tf.constant, compiled, a, b)
    if backend == "jax":
        import jax

        run = jax.jit(jax.numpy.matmul)
        ready = lambda a, b: run(a, b).block_until_ready()
        yield "JAX", lambda a, b: prepared(jax.numpy.asarray, ready, a, b)
    if backend == "torch":
        import torch

        yield "PyTorch", lambda a, b: prepared(torch.as_tensor, torch.bmm, a, b)


def prepared(convert: Any, multiply: Any, a: np.ndarray, b: np.ndarray) -> Callable[[], Any]:
    left, right = convert(a), convert(b)
    return lambda: multiply(left, right)


def in_threads(multiply: Any, a: np.ndarray, b: np.ndarray, threads: int) -> Callable[[], Any]:
    """The product in as many parts at once."""
    parts = [
        multiply(*part) for part in zip(np.array_split(a, threads), np.array_split(b, threads), strict=True)
    ]
    if threads == 1:
        return parts[0]
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda part: part(), parts))


def fastest(job: Callable[[], Any]) -> float:
    """Seconds of the fastest of many runs, for a limit is what the machine can do at best."""
    job()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def step_limit(measured: Sequence[Mapping[str, Any]]) -> float:
    """Seconds a step must take: the fastest way of each product, then the pass over the optimiser's state."""
    least = parts(measured)
    return sum(product["seconds"] for product in least["products"]) + least["state"]


def parts(measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the limit is made of: each product's fastest way with its seconds, and the pass over the state."""
    ways = [
        (way, seconds)
        for rates_of_process in measured
        for way, seconds in rates_of_process["products"].items()
    ]
    count = len(ways[0][1])
    best = [min((seconds[i], way) for way, seconds in ways) for i in range(count)]
    products = [{"way": way, "seconds": seconds} for seconds, way in best]
    return {
        "products": products,
        "state": PASSES * min(rates_of_process["copy"] for rates_of_process in measured),
    }

"""Trains a program and writes down what a learner gets to see: the log, the layers, a reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import ops
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import special

from crosscheck._files import write_atomically
from crosscheck.diagnose import Program
from crosscheck.practice.diagnose.recipes import Recipe, data_of, fit_arguments, model_of, program_of
from crosscheck.report import figures

LOG, LAYERS, RELIABILITY, FIGURE = "log.csv", "layers.csv", "reliability.csv", "figure.png"
TAKEN = 200  # rows whose mean gradient is shown
BINS = 10
LAYER_NAMES = ("hidden", "head")


@dataclass(frozen=True)
class Observed:
    """Tables of one program, and the gradients behind the histograms: (when, layer) → numbers."""

    log: pd.DataFrame
    layers: pd.DataFrame
    reliability: pd.DataFrame
    gradients: dict[tuple[str, str], np.ndarray]


def observe(recipe: Recipe) -> Observed:
    """Trains the program as `fit` does, with a look at its layers before and after."""
    program = program_of(recipe)
    before = program.model.get_weights()
    start = layer_rows(recipe, program, before, "start")
    history = program.model.fit(**fit_arguments(program)).history
    after = program.model.get_weights()
    end = layer_rows(recipe, program, after, "end")
    log = pd.DataFrame(history).rename_axis("epoch").reset_index()
    layers = pd.DataFrame([row for row, _ in (*start, *end)])
    moved = moves(before, after)
    layers["moved"] = [
        moved[layer] if when == "end" else 0.0
        for when, layer in zip(layers["when"], layers["layer"], strict=True)
    ]
    gradients = {(row["when"], row["layer"]): gradient for row, gradient in (*start, *end)}
    return Observed(log, layers, reliability(recipe, program), gradients)


def moves(before: list[np.ndarray], after: list[np.ndarray]) -> dict[str, float]:
    """The largest distance that a kernel's weight has gone in training, by layer."""
    return {name: float(np.abs(after[2 * i] - before[2 * i]).max()) for i, name in enumerate(LAYER_NAMES)}


def layer_rows(
    recipe: Recipe, program: Program, weights: list[np.ndarray], when: str
) -> list[tuple[dict[str, Any], np.ndarray]]:
    """For each layer its row of the table, and the gradient of its kernel."""
    rows = []
    x = np.nan_to_num(program.training.x[:TAKEN])
    active = hidden_active(weights, x)
    for i, (name, gradient) in enumerate(zip(LAYER_NAMES, kernel_gradients(recipe, weights), strict=True)):
        kernel = weights[2 * i]
        row = {
            "when": when,
            "layer": name,
            "kernel_sd": float(kernel.std()),
            "gradient_mean_size": float(np.abs(gradient).mean()),
            "outputs_above_0": active if name == "hidden" else float("nan"),
        }
        rows.append((row, gradient))
    return rows


def hidden_active(weights: list[np.ndarray], x: np.ndarray) -> float:
    """The share of hidden outputs that are above 0."""
    return float((x @ weights[0] + weights[1] > 0).mean())


def kernel_gradients(recipe: Recipe, weights: list[np.ndarray]) -> list[np.ndarray]:
    """The mean gradient over the first rows by both kernels: where a step of SGD at rate 1 goes, reversed.

    It is that of the program's own loss, labels and sample weights, and the same on every backend.
    """
    training, _ = data_of(recipe)
    model = model_of(recipe)
    model.compile(keras.optimizers.SGD(1.0), model.loss)
    model.set_weights(weights)
    weight = None if training.sample_weight is None else training.sample_weight[:TAKEN]
    model.train_on_batch(training.x[:TAKEN], training.y[:TAKEN], sample_weight=weight)
    return [old - new for old, new in zip(weights[::2], model.get_weights()[::2], strict=True)]


def reliability(recipe: Recipe, program: Program) -> pd.DataFrame:
    """Of rows not trained on: examples, mean confidence and share of right answers, by confidence."""
    _, validation = data_of(recipe)
    outputs = ops.convert_to_numpy(program.model(validation.x, training=False)).astype("float64")
    p = outputs if recipe.softmax else special.softmax(outputs, axis=-1)
    confidence, right = p.max(-1), p.argmax(-1) == validation.y
    place = np.clip(np.nan_to_num(confidence) * BINS, 0, BINS - 1).astype(int)
    rows = pd.DataFrame({"bin": place, "confidence": confidence, "right": right, "examples": 1})
    return rows.groupby("bin").agg({"examples": "sum", "confidence": "mean", "right": "mean"}).reset_index()


def write(observed: Observed, folder: Path, title: str) -> None:
    """The tables and the figure into a program's folder."""
    tables = {LOG: observed.log, LAYERS: observed.layers, RELIABILITY: observed.reliability}
    for name, table in tables.items():
        write_atomically(folder / name, table.to_csv(index=False, float_format="%.6g", na_rep="nan"))
    with figures.theme():
        figure = drawn(observed, title)
        figure.savefig(folder / FIGURE, dpi=100)


def drawn(observed: Observed, title: str) -> Figure:
    """The log, the reliability diagram, and the gradients of both kernels before and after."""
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    log, diagram, start, end = figure.subplots(1, 4)
    for name in ("loss", "val_loss"):
        log.plot(observed.log["epoch"], observed.log[name], label=name)
    log.set(title=f"{title}: log", xlabel="epoch")
    log.legend()
    diagram.plot([0, 1], [0, 1], color=figures.THEORY, linewidth=0.8)
    diagram.plot(observed.reliability["confidence"], observed.reliability["right"], "o-")
    diagram.set(title="reliability", xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    draw_gradients(start, observed, "start")
    draw_gradients(end, observed, "end")
    return figure


def draw_gradients(ax: Axes, observed: Observed, when: str) -> None:
    """Histograms of log10 |gradient|; what is exactly 0 is told in the legend."""
    for layer in LAYER_NAMES:
        sizes = np.abs(observed.gradients[when, layer]).ravel()
        shown = sizes[np.isfinite(sizes) & (sizes > 0)]
        ax.hist(np.log10(shown), 30, alpha=0.6, label=f"{layer}: {np.mean(sizes == 0):.0%} are 0")
    if not any((gradient != 0).any() for (at, _), gradient in observed.gradients.items() if at == when):
        ax.set(xticks=[], yticks=[])  # an axis of nothing would show numbers that nothing has
    ax.set(title=f"gradients, {when}", xlabel="log10 |gradient|")
    ax.legend()

"""Losses, metrics, optimisers and callbacks for random trainings, by name, each made anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from random_models import package

from crosscheck import losses as ours
from crosscheck import metrics as our_metrics
from crosscheck.optimizers import Proximal

K, M, Opt, S = keras.losses, keras.metrics, keras.optimizers, keras.optimizers.schedules


@keras.saving.register_keras_serializable(package)
def own_loss(y_true, y_pred):
    return ops.mean(ops.square(ops.cast(y_true, y_pred.dtype) - y_pred), axis=-1)


@keras.saving.register_keras_serializable(package)
def own_scalar(y_true, y_pred):
    return ops.mean(ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred))


@keras.saving.register_keras_serializable(package)
def own_centred(y_true, y_pred):
    """Of all examples of a batch together."""
    apart = ops.cast(y_true, y_pred.dtype) - y_pred
    return ops.mean(ops.square(apart - ops.mean(apart, axis=0)), axis=-1)


@keras.saving.register_keras_serializable(package)
class OwnLossClass(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=-1) * (1 + ops.mean(y_pred))


@keras.saving.register_keras_serializable(package)
def own_metric(y_true, y_pred):
    return ops.mean(y_pred)


@keras.saving.register_keras_serializable(package)
class OwnMetric(keras.metrics.Metric):
    """The largest output so far, and how often it was asked."""

    def __init__(self, name="largest", **options):
        super().__init__(name=name, **options)
        self.largest = self.add_variable((), "zeros", name="largest")
        self.calls = self.add_variable((), "zeros", dtype="int32", name="calls")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(ops.maximum(self.largest, ops.cast(ops.max(y_pred), self.largest.dtype)))
        self.calls.assign(self.calls + 1)

    def result(self):
        return self.largest / ops.cast(ops.maximum(self.calls, 1), self.largest.dtype)


logits = {"from_logits": True}
sparse = lambda **options: lambda: K.SparseCategoricalCrossentropy(**{**logits, **options})
mse = lambda **options: lambda: K.MeanSquaredError(**options)
# By name: head, labels, loss.
LOSSES: dict[str, tuple[str, str, Callable[[], Any]]] = {
    "sparse logits": ("logits", "class", sparse()),
    "sparse column": ("logits", "class column", sparse()),
    "sparse named": ("softmax", "class", lambda: "sparse_categorical_crossentropy"),
    "sparse sum": ("logits", "class", sparse(reduction="sum")),
    "sparse none": ("logits", "class", sparse(reduction=None)),
    "sparse weighted mean": ("logits", "class", sparse(reduction="mean_with_sample_weight")),
    "sparse ignoring": ("logits", "class", sparse(ignore_class=0)),
    "categorical": ("logits", "one-hot", lambda: K.CategoricalCrossentropy(**logits, label_smoothing=0.1)),
    "categorical named": ("softmax", "one-hot", lambda: "categorical_crossentropy"),
    "categorical function": ("softmax", "one-hot", lambda: K.categorical_crossentropy),
    "categorical along examples": ("softmax", "one-hot", lambda: K.CategoricalCrossentropy(axis=0)),
    "categorical focal": ("softmax", "one-hot", lambda: K.CategoricalFocalCrossentropy()),
    "kl": ("softmax", "one-hot", lambda: "kl_divergence"),
    "categorical hinge": ("logits", "one-hot", lambda: "categorical_hinge"),
    "generalised": ("softmax", "one-hot", lambda: K.CategoricalGeneralizedCrossEntropy()),
    "dice": ("softmax", "one-hot", lambda: K.Dice()),
    "tversky": ("softmax", "one-hot", lambda: K.Tversky()),
    "circle": ("logits", "identity", lambda: K.Circle()),
    "binary named": ("sigmoid", "binary", lambda: "binary_crossentropy"),
    "binary": ("one", "binary", lambda: K.BinaryCrossentropy(**logits)),
    "binary focal": ("sigmoid", "binary", lambda: K.BinaryFocalCrossentropy(apply_class_balancing=True)),
    "hinge": ("one", "sign", lambda: "hinge"),
    "mse": ("one", "real", mse()),
    "mse named": ("logits", "real", lambda: "mse"),
    "mse flat": ("one", "flat", mse()),
    "mse flat named": ("one", "flat", lambda: "mse"),
    "mse sum": ("logits", "real", mse(reduction="sum")),
    "mse weighted mean": ("one", "real", mse(reduction="mean_with_sample_weight")),
    "mse half": ("one", "real", mse(dtype="float16")),
    "mae": ("one", "real", lambda: "mae"),
    "huber": ("one", "real", lambda: K.Huber(0.3)),
    "log cosh": ("logits", "real", lambda: K.LogCosh()),
    "cosine": ("logits", "real", lambda: K.CosineSimilarity()),
    "poisson": ("positive", "positive", lambda: K.Poisson()),
    "logarithmic": ("positive", "positive", lambda: "msle"),
    "own": ("logits", "real", lambda: own_loss),
    "own flat": ("one", "flat", lambda: own_loss),
    "own scalar": ("logits", "real", lambda: own_scalar),
    "own centred": ("logits", "real", lambda: own_centred),
    "own class": ("logits", "real", lambda: OwnLossClass()),
    "ours": ("logits", "class", lambda: ours.SparseCategoricalCrossentropy()),
    "our function": ("logits", "class", lambda: ours.sparse_categorical_crossentropy),
    "our Brier": ("logits", "one-hot", lambda: ours.Brier()),
    "our binary": ("one", "binary", lambda: ours.BinaryCrossentropy()),
}

# By name: metric, the labels that it suits; None for all.
CLASSES = ("class", "class column")
METRICS: dict[str, tuple[Callable[[], Any], Any]] = {
    "accuracy": (lambda: "accuracy", (*CLASSES, "one-hot", "binary")),
    "acc object": (lambda: M.SparseCategoricalAccuracy(), CLASSES),
    "top": (lambda: M.SparseTopKCategoricalAccuracy(2), CLASSES),
    "categorical accuracy": (lambda: M.CategoricalAccuracy(), ("one-hot",)),
    "f1": (lambda: M.F1Score(average="macro"), ("one-hot",)),
    "f1 each": (lambda: M.F1Score(), ("one-hot",)),
    "precision": (lambda: M.Precision(), ("one-hot", "binary")),
    "auc": (lambda: M.AUC(num_thresholds=9, from_logits=True), ("binary",)),
    "recall": (lambda: M.SensitivityAtSpecificity(0.5, 9), ("binary",)),
    "mse": (lambda: "mse", ("real", "positive", "flat", "binary", "one-hot")),
    "rmse": (lambda: M.RootMeanSquaredError(), ("real", "positive", "binary")),
    "r2": (lambda: M.R2Score(), ("real",)),
    "pearson": (lambda: M.PearsonCorrelation(), ("real",)),
    "crossentropy": (lambda: M.SparseCategoricalCrossentropy(from_logits=True), CLASSES),
    "iou": (lambda: M.MeanIoU(3, sparse_y_pred=False), CLASSES),
    "own function": (lambda: own_metric, None),
    "own class": (lambda: OwnMetric(), None),
    "our error": (lambda: our_metrics.ExpectedCalibrationError(from_logits=True), ("class",)),
}
# What Keras takes for outputs [N, K] alone.
OF_ROWS = ("circle", "generalised", "f1", "f1 each", "iou", "r2", "pearson")


def adamw() -> keras.Optimizer:
    optimizer = Opt.AdamW(0.01, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def multi() -> keras.Optimizer:
    return Opt.MultiOptimizer(Opt.OptimizerMap(Opt.SGD(0.1), {".*kernel": Opt.Adam(0.01)}))


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: Opt.SGD(0.1),
    "named": lambda: "rmsprop",
    "momentum": lambda: Opt.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: Opt.Adam(0.01),
    "amsgrad": lambda: Opt.Adam(0.01, amsgrad=True),
    "adamw": adamw,
    "rmsprop": lambda: Opt.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: Opt.Adagrad(0.1),
    "adadelta": lambda: Opt.Adadelta(1.0),
    "adamax": lambda: Opt.Adamax(0.01),
    "nadam": lambda: Opt.Nadam(0.01),
    "ftrl": lambda: Opt.Ftrl(0.1, l1_regularization_strength=0.01, l2_shrinkage_regularization_strength=0.1),
    "lion": lambda: Opt.Lion(0.001),
    "lamb": lambda: Opt.Lamb(0.01),
    "adafactor": lambda: Opt.Adafactor(0.01),
    "adafactor unscaled": lambda: Opt.Adafactor(0.01, relative_step=False, weight_decay=0.1),
    "muon": lambda: Opt.Muon(0.01),
    "schedule free": lambda: Opt.ScheduleFreeAdamW(0.01, warmup_steps=2),
    "clipnorm": lambda: Opt.SGD(0.5, clipnorm=0.1),
    "clipped globally": lambda: Opt.Adam(0.05, global_clipnorm=0.1, epsilon=0.1),
    "clipvalue": lambda: Opt.SGD(0.5, clipvalue=0.05),
    "averaging": lambda: Opt.SGD(0.1, use_ema=True, ema_momentum=0.7),
    "averaging often": lambda: Opt.Adam(0.01, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=2),
    "accumulating": lambda: Opt.SGD(0.1, momentum=0.5, gradient_accumulation_steps=2),
    "accumulating, clipped": lambda: Opt.Adam(0.01, gradient_accumulation_steps=3, clipnorm=0.5),
    "accumulating, averaging": lambda: Opt.SGD(
        0.1, gradient_accumulation_steps=2, use_ema=True, ema_momentum=0.7, weight_decay=0.1
    ),
    "decaying": lambda: Opt.SGD(S.ExponentialDecay(0.2, 2, 0.5, staircase=True), momentum=0.5),
    "cosine": lambda: Opt.Adam(S.CosineDecay(0.001, 5, warmup_target=0.02, warmup_steps=2)),
    "piecewise": lambda: Opt.SGD(S.PiecewiseConstantDecay([2, 4], [0.2, 0.1, 0.01])),
    "decoupled": lambda: Opt.SGD(0.1, weight_decay=0.1),
    "scaled": lambda: Opt.LossScaleOptimizer(Opt.SGD(0.1), initial_scale=8.0, dynamic_growth_steps=2),
    "scaled averaging": lambda: Opt.LossScaleOptimizer(Opt.SGD(0.1, use_ema=True), initial_scale=8.0),
    "loss scale": lambda: Opt.SGD(0.1, loss_scale_factor=4.0),
    "multi": multi,
    "proximal": lambda: Proximal(Opt.SGD(0.1), l1=0.01),
    "proximal adam": lambda: Proximal(Opt.Adam(0.01, use_ema=True), l1=0.01),
}


class StopsAfter(keras.callbacks.Callback):
    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.stop_training = True


class StopsWithin(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.model.stop_training = True


class Counts(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.calls += 1

    def on_epoch_end(self, epoch, logs=None):
        logs["calls"] = float(self.calls)


C = keras.callbacks
stop = lambda **options: lambda: C.EarlyStopping("loss", patience=0, min_delta=0.1, **options)
CALLBACKS: dict[str, Callable[[], Any]] = {
    "early stopping": stop(),
    "early stopping, best": stop(restore_best_weights=True),
    "early stopping, late": stop(start_from_epoch=1, restore_best_weights=True),
    "plateau": lambda: C.ReduceLROnPlateau("loss", 0.3, patience=0, min_delta=0.1, cooldown=1),
    "scheduler": lambda: C.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
    "not a number": lambda: C.TerminateOnNaN(),
    "stops after": lambda: StopsAfter(1),
    "stops within": lambda: StopsWithin(),
    "counts": lambda: Counts(),
    "lambda": lambda: C.LambdaCallback(on_epoch_begin=lambda epoch, logs: None),
}

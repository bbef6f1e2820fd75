"""Names of Keras 1 and 2 that people's scripts have, and what each is called in Keras 3: tables alone.

A value is a name, "module:attribute" for what stands elsewhere, None where an argument has lost its meaning,
or a `Rule` where more changes than the name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def words(text: str) -> list[str]:
    return text.split()


Rule = Callable[[dict[str, Any], Any], None]  # changes the arguments of a call, given the value of an old one

ROOTS = (  # under which Keras has been imported, the longest first
    "tensorflow.contrib.keras.python.keras",
    "tensorflow.contrib.keras.api.keras",
    "tensorflow.contrib.keras",
    "tensorflow.keras",
    "tf_keras",
    "keras",
)
LIVING = ("tensorflow.keras", "keras")  # the roots that are there today

LAYER_FILES = words(
    "core convolutional recurrent embeddings normalization advanced_activations pooling local noise "
    "wrappers merge cudnn_recurrent convolutional_recurrent containers experimental "
    "experimental.preprocessing core.dense normalization.batch_normalization"
)
UTILITY_FILES = words(
    "np_utils vis_utils visualize_util generic_utils data_utils io_utils layer_utils training_utils "
    "all_utils test_utils multi_gpu_utils"
)
STANDING = ("tensorflow.keras.preprocessing.text",)  # gone from `keras` alone
MODULES: dict[str, tuple[str, ...]] = {
    **{f"layers.{name}": ("layers",) for name in LAYER_FILES},
    **{f"utils.{name}": ("utils",) for name in UTILITY_FILES},
    "engine": ("layers", "models", ""),
    "engine.topology": ("layers", "models", ""),
    "engine.base_layer": ("layers", ""),
    "engine.training": ("models",),
    "engine.sequential": ("models",),
    "engine.input_layer": ("layers",),
    "objectives": ("losses",),
    "initializations": ("initializers",),
    "callbacks.callbacks": ("callbacks",),
    "backend.tensorflow_backend": ("backend",),
    "backend.common": ("backend",),
    "preprocessing.text": ("preprocessing",),
    "wrappers.scikit_learn": (),
}

OURS = "crosscheck.scripts._old_functions:"
TF_IMAGE = "tensorflow.keras.preprocessing.image:"
TF_TEXT = "tensorflow.keras.preprocessing.text:"
TF_SEQUENCE = "tensorflow.keras.preprocessing.sequence:"

OPS = words(  # of `keras.backend`, by a name that `keras.ops` has too
    "abs all any arange argmax argmin cast clip concatenate cos cumprod cumsum dot elu equal exp eye "
    "expand_dims greater greater_equal hard_sigmoid less less_equal log logsumexp max maximum mean min "
    "minimum not_equal one_hot ones ones_like prod relu repeat reshape round shape sigmoid sign sin softmax "
    "softplus softsign sqrt square squeeze stack std stop_gradient sum tanh tile transpose var zeros "
    "zeros_like binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy"
)
RENAMED_OPS = {
    "pow": "power",
    "permute_dimensions": "transpose",
    "repeat_elements": "repeat",
    "gather": "take",
    "constant": "convert_to_tensor",
    "get_value": "convert_to_numpy",
    "eval": "convert_to_numpy",
    "l2_normalize": "normalize",
    "reverse": "flip",
    "map_fn": "vectorized_map",
}
OWN_OPS = words(
    "int_shape ndim set_value batch_get_value batch_set_value variable placeholder function switch dtype "
    "learning_phase set_learning_phase in_train_phase flatten batch_flatten batch_dot update random_normal "
    "random_uniform image_dim_ordering set_image_dim_ordering set_session manual_variable_initialization "
    "get_session gradients name_scope count_params"
)

SHORT = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "cosine": "cosine_similarity",
    "cosine_proximity": "cosine_similarity",
    "logcosh": "log_cosh",
}

NAMES: dict[str, dict[str, str]] = {
    "losses": {name: f"keras.losses:{new}" for name, new in SHORT.items()},
    "metrics": {name: f"keras.losses:{new}" for name, new in SHORT.items()},
    "": {
        "objectives": "keras:losses",
        "initializations": "keras:initializers",
        "Graph": f"{OURS}Graph",
    },
    "models": {"Graph": f"{OURS}Graph", "load_from_json": "keras.models:model_from_json"},
    "layers": {
        "merge": f"{OURS}merge",
        "Merge": f"{OURS}Merge",
        "TimeDistributedDense": f"{OURS}time_distributed_dense",
        "CuDNNLSTM": "keras.layers:LSTM",
        "CuDNNGRU": "keras.layers:GRU",
        "Deconvolution2D": "keras.layers:Conv2DTranspose",
        "AtrousConvolution2D": "keras.layers:Conv2D",
        "ThresholdedReLU": f"{OURS}thresholded_relu",
        "MaxoutDense": f"{OURS}MaxoutDense",
        "Highway": f"{OURS}Highway",
    },
    "optimizers": {
        name.lower(): f"keras.optimizers:{name}"
        for name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam")
    },
    "utils": {
        "multi_gpu_model": f"{OURS}multi_gpu_model",
        "np_utils": "keras:utils",
        "generic_utils": "keras:utils",
        "vis_utils": "keras:utils",
        "plot": "keras.utils:plot_model",
        "to_list": f"{OURS}to_list",
    },
    "backend": {
        **{name: f"keras.ops:{name}" for name in OPS},
        **{name: f"keras.ops:{new}" for name, new in RENAMED_OPS.items()},
        **{name: f"{OURS}{name}" for name in OWN_OPS},
    },
    "preprocessing.image": {
        name: TF_IMAGE + name
        for name in words(
            "ImageDataGenerator Iterator DirectoryIterator NumpyArrayIterator random_rotation random_shift "
            "random_shear random_zoom apply_affine_transform apply_channel_shift"
        )
    },
    "preprocessing.text": {
        name: TF_TEXT + name
        for name in words("Tokenizer text_to_word_sequence one_hot hashing_trick tokenizer_from_json")
    },
    "preprocessing.sequence": {
        name: TF_SEQUENCE + name for name in ("TimeseriesGenerator", "make_sampling_table", "skipgrams")
    },
    "wrappers.scikit_learn": {
        "KerasClassifier": f"{OURS}KerasClassifier",
        "KerasRegressor": f"{OURS}KerasRegressor",
    },
}
NAMES["optimizers.legacy"] = {
    name: f"keras.optimizers:{name}" for name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Nadam")
}
OTHERS: dict[
    str, dict[str, str]
] = {  # of other libraries, which stop a script before its first line of Keras
    "time": {"clock": "time:perf_counter"},
    "numpy": {
        **{name: f"builtins:{name}" for name in ("float", "int", "bool", "object", "str", "complex")},
        "product": "numpy:prod",
        "asscalar": f"{OURS}asscalar",
        "float_": "numpy:float64",
    },
    "tensorflow": {
        "set_random_seed": "tensorflow.random:set_seed",
        "random_uniform": "tensorflow.random:uniform",
        "random_normal": "tensorflow.random:normal",
        "ConfigProto": "tensorflow.compat.v1:ConfigProto",
        "GPUOptions": "tensorflow.compat.v1:GPUOptions",
        "Session": "tensorflow.compat.v1:Session",
        "get_default_graph": "tensorflow.compat.v1:get_default_graph",
        "logging": "tensorflow.compat.v1:logging",
    },
}
OTHER_MODULES = {
    "sklearn.cross_validation": "sklearn.model_selection",
    "sklearn.grid_search": "sklearn.model_selection",
    "sklearn.externals.joblib": "joblib",
    "sklearn.datasets.samples_generator": "sklearn.datasets",
    "sklearn.datasets.base": "sklearn.datasets",
}


def shape_of_sequence(arguments: dict[str, Any], length: Any) -> None:
    """`input_length=` beside `input_dim=` of recurrent and one-dimensional layers: one shape."""
    if "input_dim" in arguments:
        arguments["input_shape"] = (length, arguments.pop("input_dim"))


def ordering(arguments: dict[str, Any], value: str) -> None:
    """`dim_ordering=`, after the library that has the images so."""
    if value != "default":
        arguments["data_format"] = {"th": "channels_first", "tf": "channels_last"}.get(value, value)


def side(arguments: dict[str, Any], value: int) -> None:
    """`nb_row=`, `nb_col=`: the two sides of a kernel."""
    arguments["kernel_size"] = (*arguments.get("kernel_size", ()), value)


def period(arguments: dict[str, Any], value: int) -> None:
    """`period=` of `ModelCheckpoint`, in epochs; Keras 3 counts batches, and any will do before the first."""
    arguments["save_freq"] = "epoch"


def unless_none(name: str) -> Rule:
    """An argument whose None stood for the default."""

    def rule(arguments: dict[str, Any], value: Any) -> None:
        if value is not None:
            arguments[name] = value

    return rule


KERNEL: dict[str, Any] = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
}
CONVOLUTION = KERNEL | {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "nb_row": side,
    "nb_col": side,
    "subsample": "strides",
    "subsample_length": "strides",
    "border_mode": "padding",
    "atrous_rate": "dilation_rate",
    "dim_ordering": ordering,
}
RECURRENT = KERNEL | {
    "output_dim": "units",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "U_regularizer": "recurrent_regularizer",
    "forget_bias_init": None,
    "consume_less": None,
}
POOLING = {
    "pool_length": "pool_size",
    "stride": "strides",
    "border_mode": "padding",
    "dim_ordering": ordering,
}
LAYERS: dict[str, dict[str, Any]] = {
    "Layer": {"input_length": shape_of_sequence, "input_dtype": "dtype"},
    "Dense": KERNEL | {"output_dim": "units"},
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "SeparableConv2D"), CONVOLUTION),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), RECURRENT),
    **{
        f"{how}Pooling{d}D": POOLING
        for how in ("Max", "Average", "GlobalMax", "GlobalAverage")
        for d in (1, 2, 3)
    },
    **{
        name: {"p": "rate"} for name in ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout")
    },
    "GaussianNoise": {"sigma": "stddev"},
    "Flatten": {"dim_ordering": ordering},
    "UpSampling2D": {"dim_ordering": ordering},
    "UpSampling1D": {"length": "size"},
    "ZeroPadding2D": {"dim_ordering": ordering},
    "Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
        "dropout": None,
    },
    "BatchNormalization": {
        "mode": None,
        "gamma_init": "gamma_initializer",
        "beta_init": "beta_initializer",
    },
}
OPTIMIZERS: dict[str, Any] = {  # of every one; `decay=` needs the rate and follows in `_translation`
    "lr": "learning_rate",
    "schedule_decay": None,
    "epsilon": unless_none("epsilon"),
    "clipnorm": unless_none("clipnorm"),
}
CALLBACKS: dict[str, dict[str, Any]] = {
    "ModelCheckpoint": {"period": period},
    "TensorBoard": dict.fromkeys(
        ("write_grads", "batch_size", "embeddings_layer_names", "embeddings_data"), None
    ),
    "ReduceLROnPlateau": {"epsilon": "min_delta"},
}
COMPILE = dict.fromkeys(
    ("class_mode", "show_accuracy", "sample_weight_mode", "target_tensors", "theano_mode")
)
FIT: dict[str, Any] = {
    "nb_epoch": "epochs",
    "nb_val_samples": None,
    "samples_per_epoch": None,
    **dict.fromkeys(
        words("show_accuracy nb_worker pickle_safe max_q_size max_queue_size workers use_multiprocessing")
    ),
}
MODEL = {"input": "inputs", "output": "outputs"}
GONE_LOSSES = (
    "cosine_proximity",
    "cosine",
    "kullback_leibler_divergence",
    "logcosh",
)  # of `SHORT`, as strings
METHODS = words("fit_generator evaluate_generator predict_generator predict_classes predict_proba")

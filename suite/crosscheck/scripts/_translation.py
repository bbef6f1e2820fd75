"""Keras' old names are understood while a script runs, and each that was met is told."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import traceback
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from crosscheck.scripts import _imports, _place
from crosscheck.scripts import _old_names as old

FOLLOWED = (
    "keras",
    "keras._tf_keras.keras",  # the module that `tf.keras` is
    "tensorflow.keras",  # and what `import tensorflow.keras` makes of the same file
    *(f"tensorflow.keras.{name}" for name in old.NAMES if name),
    *old.OTHERS,
)


class Translation:
    """Old names in the modules and classes of Keras, and a list of those that were met.

    Attributes:
        script: the file that is run.
        on_keras: called with Keras when it comes in, before its names are translated.
        met: each translation in one line, in the order of their first meeting.
    """

    def __init__(self, script: Path, on_keras: Callable[[ModuleType], None]) -> None:
        self.script, self.on_keras = script, on_keras
        self.met: dict[str, None] = {}
        self.undo = contextlib.ExitStack()
        self.batch_shapes: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def note(self, before: str, after: str | None) -> None:
        self.met.setdefault(f"{before} → {after}" if after else f"{before} left out")

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Within, old names are understood, whether Keras is there already or comes in later."""
        with self.undo, _imports.finding(_imports.Finder(FOLLOWED, self.meet, self.module_of_old_name)):
            yield

    def meet(self, package: ModuleType) -> None:
        """A package has come in: Keras under one of its names, or another library."""
        if package.__name__ in old.OTHERS:
            self.offer(package, old.OTHERS[package.__name__])
            return
        _, _, within = package.__name__.partition("tensorflow.keras.")
        for name, names in old.NAMES.items():
            module = attribute(package, name) if not within else package if name == within else None
            if module is not None:
                self.offer(module, names)
        if package.__name__ == "keras":
            self.on_keras(package)
            translate_classes(package, self)

    def offer(self, module: ModuleType, names: dict[str, str]) -> None:
        """Names that a module has not, or has in order to refuse them, are looked for among the old ones."""
        if module.__name__.endswith("optimizers.legacy"):
            for name in names.keys() & vars(module).keys():
                self.undo.callback(vars(module).__setitem__, name, vars(module).pop(name))
        before = vars(module).get("__getattr__")

        def look_up(name: str) -> Any:
            if name in names:
                self.note(f"{module.__name__}.{name}", new_name(names[name]))
                return resolved(names[name])
            if before:
                return before(name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        self.undo.enter_context(mock.patch.object(module, "__getattr__", look_up, create=True))

    def module_of_old_name(self, fullname: str) -> _imports.Made | None:
        """What makes a module that has moved; None where the name is nobody's, or is there today."""
        if fullname == "tensorflow.contrib":
            return lambda: ModuleType(fullname)
        if fullname in old.OTHER_MODULES:
            return functools.partial(self.renamed_module, fullname, old.OTHER_MODULES[fullname])
        root = next((r for r in old.ROOTS if fullname == r or fullname.startswith(r + ".")), None)
        if root is None or fullname in old.STANDING:
            return None
        rest = fullname[len(root) + 1 :]
        if rest in old.MODULES:
            return functools.partial(self.gathered, fullname, rest)
        if root in old.LIVING:
            return None
        return functools.partial(self.renamed_module, fullname, ".".join(filter(None, ("keras", rest))))

    def gathered(self, fullname: str, rest: str) -> ModuleType:
        """A module of an old name, with the contents of those that have them now."""
        targets = [".".join(filter(None, ("keras", name))) for name in old.MODULES[rest]]
        self.note(fullname, " and ".join(targets) or None)
        module = ModuleType(fullname)
        for target in map(importlib.import_module, reversed(targets)):
            vars(module).update({n: getattr(target, n) for n in dir(target) if not n.startswith("_")})
        offered = {n: v for name in (*old.MODULES[rest], rest) for n, v in old.NAMES.get(name, {}).items()}
        self.offer(module, offered)
        return module

    def renamed_module(self, fullname: str, new: str) -> ModuleType:
        self.note(fullname, new)
        return importlib.import_module(new)


def attribute(package: ModuleType, path: str) -> ModuleType | None:
    """The module that stands in a package under a path with dots; None where there is none."""
    module: Any = package
    for name in filter(None, path.split(".")):
        module = vars(module).get(name)
        if not isinstance(module, ModuleType):
            return None
    return module


def resolved(value: str) -> Any:
    module, _, name = value.partition(":")
    return getattr(importlib.import_module(module), name)


def new_name(value: str) -> str:
    return "a function like it" if value.startswith(old.OURS) else value.replace(":", ".")


def standing_for(original: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Has a function look like the one that it replaces, also to `inspect.getfullargspec`."""

    def decorate(stand_in: Callable[..., Any]) -> Callable[..., Any]:
        stand_in = functools.wraps(original)(stand_in)
        vars(stand_in)["__signature__"] = inspect.signature(original)
        return stand_in

    return decorate


# --- arguments -------------------------------------------------------------------------------------------


def translate_classes(keras: ModuleType, translation: Translation) -> None:
    """The arguments of layers, optimizers, callbacks and models, and methods that models have lost."""
    enter = translation.undo.enter_context
    for owner, tables in ((keras.layers, old.LAYERS), (keras.callbacks, old.CALLBACKS)):
        for name, table in tables.items():
            enter(renaming(getattr(owner, name), "__init__", table, translation))
    for kind in optimizers_of(keras):
        enter(mock.patch.object(kind, "__init__", with_decay(vars(kind)["__init__"], keras, translation)))
        enter(renaming(kind, "__init__", old.OPTIMIZERS, translation))
    enter(mock.patch.object(keras.optimizers.Optimizer, "lr", rate_of_optimizer(), create=True))
    trainer = owner_of(keras.Model, "compile")  # there: Keras asks whether a model's `compile` is its own
    enter(mock.patch.object(trainer, "compile", with_losses(trainer.compile, translation)))
    enter(renaming(trainer, "compile", old.COMPILE, translation))
    enter(renaming(keras.Model, "fit", old.FIT, translation))
    translate_models(keras, translation)


def owner_of(kind: type, method: str) -> Any:
    """The class from which another has a method."""
    return next(parent for parent in kind.__mro__ if method in vars(parent))


def shape_of(side: str, translation: Translation) -> property:
    """`layer.input_shape`, for the script alone: `Sequential` asks whether a layer has it."""

    def shape(layer: Any) -> Any:
        _, (asking, _), *_ = traceback.walk_stack(inspect.currentframe())
        if not _place.is_users(asking.f_code.co_filename, translation.script):
            raise AttributeError(f"{type(layer).__name__!r} object has no attribute '{side}_shape'")
        translation.note(f"layer.{side}_shape", f"layer.{side}.shape")
        return getattr(layer, side).shape

    return property(shape)


def optimizers_of(keras: ModuleType) -> list[type]:
    found = [value for value in vars(keras.optimizers).values() if isinstance(value, type)]
    base = keras.optimizers.Optimizer
    return [kind for kind in dict.fromkeys(found) if issubclass(kind, base) and kind is not base]


def translate_models(keras: ModuleType, translation: Translation) -> None:
    enter = translation.undo.enter_context
    ours = importlib.import_module("crosscheck.scripts._old_functions")
    functional = importlib.import_module("crosscheck._keras").functional_models()
    for kind, method in ((keras.Model, "__new__"), (functional, "__init__")):
        enter(renaming(kind, method, old.MODEL, translation))
    for name in old.METHODS:
        enter(mock.patch.object(keras.Model, name, told(getattr(ours, name), translation), create=True))
    convolution = with_kernel(ours.convolution_2d, translation)
    enter(mock.patch.object(keras.layers, "Convolution2D", convolution))
    checkpoint = keras.callbacks.ModelCheckpoint
    enter(mock.patch.object(checkpoint, "__init__", with_ending(checkpoint.__init__, translation)))
    enter(mock.patch.object(keras.Layer, "__init__", with_batch_shape(keras.Layer.__init__, translation)))
    for side in ("input", "output"):
        enter(mock.patch.object(keras.Layer, f"{side}_shape", shape_of(side, translation), create=True))
    add = with_input_of(keras.Sequential.add, keras, translation)
    enter(mock.patch.object(keras.Sequential, "add", add))


def told(method: Callable[..., Any], translation: Translation) -> Callable[..., Any]:
    """A method that models have lost."""

    @functools.wraps(method)
    def stand_in(model: Any, *args: Any, **kwargs: Any) -> Any:
        translation.note(f"model.{method.__name__}()", method.__name__.split("_")[0] + "()")
        return method(model, *args, **kwargs)

    return stand_in


def renaming(kind: type, method: str, table: dict[str, Any], translation: Translation) -> Any:
    """A patch of a method after which it understands old names of arguments."""
    original = getattr(kind, method)
    owner = kind.__name__ if method in ("__init__", "__new__") else method

    @standing_for(original)
    def stand_in(self: Any, *args: Any, **kwargs: Any) -> Any:
        for name in [name for name in kwargs if name in table]:
            rename(kwargs, name, table[name], owner, translation)
        return original(self, *args, **kwargs)

    replacement: Any = staticmethod(stand_in) if method == "__new__" else stand_in
    return mock.patch.object(kind, method, replacement)


def rename(
    arguments: dict[str, Any], name: str, new: str | old.Rule | None, owner: str, translation: Translation
) -> None:
    """One argument of a call is given its name of today, or left out."""
    before, value = set(arguments), arguments.pop(name)
    if callable(new):
        new(arguments, value)
    elif new is not None:
        arguments[new] = value
    added = sorted(set(arguments) - before)
    if name not in arguments:
        translation.note(f"{owner}({name}=)", ", ".join(f"{a}=" for a in added) or None)


def with_decay(
    original: Callable[..., Any], keras: ModuleType, translation: Translation
) -> Callable[..., Any]:
    """Keras 2's `decay=`: the rate divided by 1 + decay · steps, which is a schedule now."""

    @standing_for(original)
    def stand_in(self: Any, *args: Any, decay: float = 0.0, **kwargs: Any) -> Any:
        if decay:
            bound = bound_arguments(original, self, args, kwargs)
            schedule = keras.optimizers.schedules.InverseTimeDecay
            bound["learning_rate"] = schedule(float(bound["learning_rate"]), 1, decay)
            translation.note(f"{type(self).__name__}(decay=)", "learning_rate=InverseTimeDecay(…)")
            args, kwargs = (), bound
        return original(self, *args, **kwargs)

    return stand_in


def bound_arguments(
    function: Callable[..., Any], owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """All arguments of a method by name, with its defaults."""
    bound = inspect.signature(function).bind(owner, *args, **kwargs)
    bound.apply_defaults()
    _, *named = bound.arguments.items()
    arguments = dict(named)
    return arguments.pop("kwargs", {}) | arguments


def with_kernel(function: Callable[..., Any], translation: Translation) -> Callable[..., Any]:
    """`Convolution2D(32, 3, 3)` of Keras 1 is told, as it is not what `Conv2D` makes of the same numbers."""

    @functools.wraps(function)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if len(args) >= 3 and isinstance(args[1], int):
            translation.note("Convolution2D(n, rows, columns)", "Conv2D(n, (rows, columns))")
        return function(*args, **kwargs)

    return stand_in


def with_losses(original: Callable[..., Any], translation: Translation) -> Callable[..., Any]:
    """`compile` understands losses by their old names."""

    @standing_for(original)
    def stand_in(self: Any, optimizer: Any = "rmsprop", loss: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(loss, str) and loss in old.GONE_LOSSES:
            translation.note(f"compile(loss={loss!r})", repr(old.SHORT[loss]))
            loss = old.SHORT[loss]
        return original(self, optimizer, loss, *args, **kwargs)

    return stand_in


def rate_of_optimizer() -> property:
    """`optimizer.lr`, read and written."""
    return property(
        lambda self: self.learning_rate, lambda self, value: setattr(self, "learning_rate", value)
    )


def with_ending(original: Callable[..., Any], translation: Translation) -> Callable[..., Any]:
    """A checkpoint's file gets an ending that Keras 3 takes; nothing is written before the first step."""

    @standing_for(original)
    def stand_in(self: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        weights_only = kwargs.get("save_weights_only")
        ending = ".weights.h5" if weights_only else ".keras"
        if not str(filepath).endswith(ending if weights_only else (".keras", ".h5")):
            translation.note("ModelCheckpoint(filepath=)", f"with {ending}")
            filepath = f"{filepath}{ending}"
        return original(self, filepath, *args, **kwargs)

    return stand_in


def with_batch_shape(original: Callable[..., Any], translation: Translation) -> Callable[..., Any]:
    """`batch_input_shape=` of a layer is kept until the layer is added to a model."""

    @standing_for(original)
    def stand_in(self: Any, *args: Any, batch_input_shape: Any = None, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        if batch_input_shape is not None:
            translation.batch_shapes[self] = tuple(batch_input_shape)
        return result

    return stand_in


def with_input_of(
    original: Callable[..., Any], keras: ModuleType, translation: Translation
) -> Callable[..., Any]:
    """`Sequential.add` makes an input of the batch shape that its first layer was given."""

    @standing_for(original)
    def stand_in(self: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
        shape = translation.batch_shapes.get(layer) if isinstance(layer, keras.Layer) else None
        if shape is not None and not self.layers:
            translation.note("batch_input_shape=", "Input(batch_shape=)")
            original(self, keras.Input(batch_shape=shape), *args, **kwargs)
        return original(self, layer, *args, **kwargs)

    return stand_in

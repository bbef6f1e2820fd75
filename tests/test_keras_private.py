"""What Keras keeps private is touched in `_keras.py` alone; what that file gives is what Keras does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from crosscheck import _keras

pytestmark = pytest.mark.every_backend

ROOM = Path(_keras.__file__).parent
NOT_OF_KERAS = {
    "os._exit",  # Python's public way to end a process without its clean-up
    "ray._private",  # Ray's: it tells the local cluster's address, and keeps its logs quiet, nowhere else
    "saving._",  # a module of ours
    "truth._value_",  # Python's public way to give a member of an enum its value
    "verdict._value_",  # Python's public way to give a member of an enum its value
}


def private_uses(tree: ast.AST) -> Iterator[str]:
    """Names with a single underscore that are taken from anything but `self` and `cls`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.args[1] if len(node.args) > 1 else None
            reads = node.func.id in ("getattr", "setattr", "hasattr") and isinstance(name, ast.Constant)
            if reads and is_private(name.value):
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            yield from (name for name in modules if name.startswith("keras.src"))


def is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("file", sorted(ROOM.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOM)))
def test_nothing_private_is_touched(file: Path) -> None:
    name = str(file.relative_to(ROOM))
    if name == "_keras.py" or name.startswith("studies/"):
        return
    uses = set(private_uses(ast.parse(file.read_text(encoding="utf-8")))) - NOT_OF_KERAS
    assert not uses, f"{name}: {uses}; put it into _keras.py, with its reason"


@pytest.mark.parametrize(
    "code", ["a._b", "a.b._c()", "getattr(a, '_b', 1)", "from keras.src import x", "import keras.src.backend"]
)
def test_the_search_sees(code: str) -> None:
    assert list(private_uses(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["self._b", "a.__class__", "getattr(a, 'b')", "from keras import x", "_a = 1"]
)
def test_the_search_lets_pass(code: str) -> None:
    assert not list(private_uses(ast.parse(code)))


@pytest.fixture(scope="module")
def nested() -> keras.Model:
    """A model in a model: dropout and a dense layer within, one dense layer without."""
    inner = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dropout(0.5, name="drop"), keras.layers.Dense(2, name="deep")]
    )
    x = keras.Input((3,), name="x")
    return keras.Model({"x": x}, keras.layers.Dense(1, name="last")(inner(x)))


def test_layers_of_a_model_within_a_model(nested: keras.Model) -> None:
    names = {layer.name for layer in _keras.layers_within(nested)}
    assert {"drop", "deep", "last"} <= names and nested.name not in names
    assert set(_keras.layers_of(nested)) == {nested, *_keras.layers_within(nested)}
    by_name = {layer.name: layer for layer in _keras.layers_within(nested)}
    assert not _keras.holds_layers(by_name["deep"]) and _keras.holds_layers(nested)


def test_the_way_back_from_an_output(nested: keras.Model) -> None:
    last = _keras.layer_behind(nested.outputs[0])
    assert last.name == "last"
    operation, (before,), _, outputs = _keras.call_behind(nested.outputs[0])
    assert operation is last and outputs == nested.outputs
    assert isinstance(_keras.layer_behind(before), keras.Sequential)
    assert _keras.call_behind(nested.inputs[0]) is None
    assert _keras.has_output(last) and not _keras.has_output(keras.layers.Dense(1))
    assert set(_keras.input_specs(nested)) == {"x"}


def test_symbolic_calls_are_seen_and_forgotten(nested: keras.Model) -> None:
    seen, before = [], nested.get_layer("last").output

    def stand_in(original, layer, *args, **kwargs):
        seen.append(layer.name)
        return original(layer, *args, **kwargs)

    with _keras.calls_forgotten(nested), _keras.symbolic_calls(stand_in):
        nested({"x": keras.Input((3,))})
    assert nested.name in seen and nested.get_layer("last").output is before
    seen.clear()
    nested({"x": keras.Input((3,))})
    assert not seen


def test_attributes_of_a_class_are_told_from_those_of_keras() -> None:
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.factor, self.head = 2.0, keras.layers.Dense(1)

        def call(self, x):
            return self.head(x)

    model = Own()
    model(np.zeros((1, 3), "float32"))
    model.compile("sgd", "mse", metrics=["mae"])
    assert set(_keras.attributes_of(model)) == {"factor", "head"}
    assert _keras.compiled_with(model)["loss"] == "mse"
    assert tuple(_keras.shapes_built_for(model)) == (1, 3)


def test_what_comes_with_keras() -> None:
    assert _keras.is_of_keras(keras.layers.Dense) and _keras.is_of_keras(keras.losses.mean_squared_error)
    assert not _keras.is_of_keras(Path)


def test_seeds_of_a_layer_are_its_own(nested: keras.Model) -> None:
    by_name = {layer.name: layer for layer in _keras.layers_within(nested)}
    assert len(_keras.seed_generators_of(by_name["drop"])) == 1
    assert not _keras.seed_generators_of(by_name["deep"])


def test_a_copy_of_an_optimiser_decays_what_the_first_one_does() -> None:
    variables = [keras.Variable(np.ones(2, "float32"), name=name) for name in ("kernel", "bias")]
    first = keras.optimizers.AdamW(0.0, weight_decay=0.5)
    first.exclude_from_weight_decay(var_names=["bias"])
    bare, kept = (keras.optimizers.AdamW.from_config(first.get_config()) for _ in range(2))
    _keras.keep_exclusions(kept, first)
    for optimizer, decayed in ((bare, [1, 1]), (kept, [1, 0])):
        optimizer.learning_rate = 0.1
        for variable in variables:
            variable.assign(np.ones(2, "float32"))
        optimizer.build(variables)
        optimizer.apply([keras.ops.zeros(2)] * 2, variables)
        left = [keras.ops.convert_to_numpy(variable)[0] for variable in variables]
        np.testing.assert_allclose(left, 1 - 0.05 * np.array(decayed), rtol=1e-6)


def test_what_an_optimiser_keeps() -> None:
    variables = [keras.Variable(np.zeros(2, "float32")) for _ in range(2)]
    first, second = keras.optimizers.SGD(), keras.optimizers.SGD()
    _keras.share_iterations(second, first)
    first.build(variables)
    assert _keras.trained_variables(first) == variables
    first.iterations.assign_add(1)
    assert int(second.iterations) == 1


def test_a_loss_is_told_what_to_compute_in() -> None:
    loss = keras.losses.MeanSquaredError()
    _keras.compute_in(loss, "float64")
    assert loss.dtype == "float64"


def test_xla_is_switched_by_hand() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    _keras.set_jit_compile(model, True)
    assert model.jit_compile is True


def test_masks_come_back() -> None:
    tensor = keras.ops.zeros((2, 3))
    assert _keras.mask_of(tensor) is None
    _keras.set_mask(tensor, keras.ops.convert_to_tensor([True, False]))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(_keras.mask_of(tensor)), [True, False])


@pytest.mark.parametrize("kind", ["SGD", "Adam", "Nadam", "Lion"])
def test_an_optimiser_without_side_effects_moves_what_a_scope_holds_and_is_itself_again(kind: str) -> None:
    make = lambda: getattr(keras.optimizers, kind)(0.1, weight_decay=0.01)
    start, gradient = np.array([1.0, -2.0], "float32"), np.array([0.5, 3.0], "float32")
    plain, scoped = (keras.Variable(start) for _ in range(2))
    theirs, ours = make(), make()
    methods = {
        name: getattr(type(ours), name) for name in dir(type(ours)) if "apply" in name or "update" in name
    }
    theirs.build([plain]), ours.build([scoped])
    theirs.apply([keras.ops.convert_to_tensor(gradient)])
    pairs = [(scoped, keras.ops.convert_to_tensor(start))]
    with keras.StatelessScope(pairs) as scope, _keras.optimizers_without_side_effects():
        ours.apply([keras.ops.convert_to_tensor(gradient)])
    moved = keras.ops.convert_to_numpy(scope.get_current_value(scoped))
    np.testing.assert_allclose(moved, keras.ops.convert_to_numpy(plain), rtol=1e-6)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(scoped), start, "the variable itself stays")
    assert all(getattr(type(ours), name) is method for name, method in methods.items())


def test_draws_are_constant_and_generators_move_on() -> None:
    layer, x = keras.layers.GaussianNoise(1.0), np.zeros((2, 3), "float32")
    before = [keras.ops.convert_to_numpy(layer(x, training=True)) for _ in range(2)]
    assert not np.array_equal(*before)
    calls = keras.ops.convert_to_numpy(layer.seed_generator.state)
    with _keras.constant_draws():
        constant = [keras.ops.convert_to_numpy(layer(x, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*constant)
    assert not np.array_equal(calls, keras.ops.convert_to_numpy(layer.seed_generator.state))

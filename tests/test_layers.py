"""One way only: which layer may import which, by the syntax tree, imports inside functions included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each layer with its modules, and the layers that it may import besides its own.
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "base": ({"", "errors", "files"}, set()),
    "lazy": ({"lazy"}, {"base"}),
    "contract": ({"claims", "criteria", "estimates", "verdicts", "rows"}, {"base", "lazy"}),
    "information": ({"information"}, set()),
    "losses": (
        {
            *("losses", "regularizers", "optimizers", "metrics", "calibration", "callbacks"),
            *("autodiff", "scores", "expected", "detection", "variational"),
        },
        {"base", "lazy", "information"},
    ),
    "data": ({"data"}, {"base", "lazy", "information"}),
    "models": (
        {
            *("models", "replicates", "flows", "chain", "independence", "outlier_training", "posteriors"),
            *("wide_resnet", "checkpoints", "image_training"),
        },
        {"base", "lazy", "information", "losses"},
    ),
    "measuring": ({"outlier_rows"}, {"base", "contract", "lazy", "information", "losses"}),
    "paths": ({"paths"}, {"base", "contract", "lazy", "losses", "models"}),
    "doctor": ({"doctor"}, {"base", "lazy", "losses", "models", "paths"}),
    "audit": ({"audit", "testing"}, {"base", "lazy", "losses", "paths"}),
    "running": (
        {"fingerprint", "store", "runner", "worker", "provenance"},
        {"base", "contract", "lazy", "data"},
    ),
    "presentation": (
        {
            "tables",
            "figures",
            "markup",
            "scopes",
            "schema",
            "results",
            "report",
            "audits",
            "browser",
            "outlier_figures",
        },
        {"base", "contract"},
    ),
    "commands": (
        {
            "cli",
            "__main__",
            "console",
            "pipeline",
            "plan",
            "stamp",
            "verify",
            "rerun",
            "drift",
            "arguments",
            "showing",
        },
        {"base", "contract", "data", "doctor", "audit", "running", "presentation"},
    ),
}
HEAVY = {"keras", "tensorflow", "tensorflow_datasets", "jax", "torch"}
# And nothing that they may import has it.
WITHOUT_KERAS = ("base", "information", "contract", "presentation", "commands")
# The only library files that know of studies, and then only through the register: `studies.load`, `.NAMES`.
KNOW_THE_REGISTER = {"cli", "arguments", "pipeline", "plan", "stamp", "worker", "report", "fingerprint"}


def modules() -> list[Path]:
    return sorted((ROOT / "suite").rglob("*.py"))


def name_of(path: Path) -> str:
    """`suite/data/cache.py` and `suite/data/__init__.py` both belong to `data`."""
    first = path.relative_to(ROOT / "suite").parts[0]
    return first.removesuffix(".py") if first != "__init__.py" else ""


def layer_of(name: str) -> str:
    found = [layer for layer, (members, _) in LAYERS.items() if name in members]
    assert len(found) == 1, f"suite/{name} is in {found or 'no layer'}: name its one layer in LAYERS"
    return found[0]


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, `from suite import rows` as `suite.rows`; none for types alone."""
    tree = ast.parse(path.read_text())
    typing = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    for_types = {id(inner) for node in typing for branch in node.body for inner in ast.walk(branch)}
    for node in (node for node in ast.walk(tree) if id(node) not in for_types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def suite_modules(path: Path) -> set[str]:
    """Names directly below `suite` that a file imports; through `suite.lazy` they count all the same."""
    known = {name_of(module) for module in modules()}
    names = {name.replace("suite.lazy.", "suite.") for name in imports(path)} | set(imports(path))
    parts = [name.split(".") for name in names]
    return {part[1] if part[1] in known else "" for part in parts if part[0] == "suite" and len(part) > 1}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_the_layers_below(path: Path) -> None:
    layer = layer_of(name_of(path))
    allowed = LAYERS[layer][1] | {layer}
    wrong = {name for name in suite_modules(path) if layer_of(name) not in allowed}
    assert not wrong, f"{layer} may import {sorted(allowed)}, not suite.{', suite.'.join(sorted(wrong))}"


def test_the_layers_have_an_order() -> None:
    below: set[str] = set()
    for layer, (_, may) in LAYERS.items():
        assert may <= below, f"{layer} imports what comes after it"
        below.add(layer)


def test_statistics_and_presentation_know_no_keras() -> None:
    for path in modules():
        if layer_of(name_of(path)) in WITHOUT_KERAS:
            assert not HEAVY & {name.split(".")[0] for name in imports(path)}, path


def test_a_library_file_never_imports_a_study() -> None:
    for path in modules():
        of_studies = {name for name in imports(path) if name.split(".")[0] == "studies"}
        if name_of(path) in KNOW_THE_REGISTER:
            of_studies -= {"studies", "studies.load", "studies.NAMES"}
        assert not of_studies, f"{path} imports {of_studies}"


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.py")), ids=lambda path: path.name)
def test_a_study_imports_neither_commands_nor_the_runner(path: Path) -> None:
    wrong = {name for name in suite_modules(path) if layer_of(name) in ("running", "commands")}
    assert not wrong


def test_every_python_file_says_what_it_is_for() -> None:
    folders = (ROOT / name for name in ("suite", "studies", "tests", "benchmarks"))
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"

"""What determines a unit's rows, as one hash, found by reading the sources: nothing heavy is imported.

Of the study only the slice counts that its measuring function reaches, so that a new figure, criterion or
comment trains nothing anew; of the library every module that the slice
reaches counts whole, docstrings aside.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import platform
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from crosscheck import lazy
from crosscheck._files import checksum
from crosscheck.claims.claim import Unit
from crosscheck.errors import UsageError
from crosscheck.running.provenance import versions

OURS = "crosscheck"
ROWS_SINCE = "0.1.0"  # the release; what came after it is told by the code, and a number alone is no change
CHECKS_ROWS = "crosscheck.claims.rows"  # the module that makes a check's rows; stands for `Check` itself


def unit_key(unit: Unit) -> str:
    """The name under which the store keeps a unit's rows.

    Raises:
        UsageError: if a data set that the unit reads is unknown or not prepared, or a file that it names is
            not there.
    """
    from crosscheck import data

    determines = {
        "study": unit.study,
        "measure": unit.measure,
        "setting": unit.setting,
        "seeds": unit.seeds,
        "backend": unit.backend,
        "data": {name: data.identity(name) for name in unit.data},
        "code": code_hash(unit.study, unit.measure),
        "versions": versions_behind(unit),
        "machine": platform.machine(),
        **content_of_files(unit),
    }
    return digest(json.dumps(determines, sort_keys=True))[:20]


def training_key(unit: Unit) -> str:
    """What a training of the unit depends on besides its own setting and data: a folder for checkpoints."""
    code, files = code_hash(unit.study, unit.measure), content_of_files(unit)
    shared = [code, unit.backend, versions_behind(unit), platform.machine(), *filter(None, [files])]
    return digest(json.dumps(shared))[:20]


def versions_behind(unit: Unit) -> dict[str, str]:
    """Those of the packages that compute a unit; of our own code a hash tells more than its version."""
    return {**versions(unit.backend), OURS: ROWS_SINCE}


def content_of_files(unit: Unit) -> dict[str, dict[str, str]]:
    """The checksums of the files that a unit names; nothing where it names none."""
    checksums = {name: checksum(path) for name, path in named_files(unit).items()}
    return {"files": checksums} if checksums else {}


def named_files(unit: Unit) -> dict[str, Path]:
    """Where the files are that a unit names.

    A relative path is looked for beside the study, in the project around it, and in the current folder.

    Raises:
        UsageError: a file is not there.
    """
    paths = {}
    for name in unit.files:
        places = [folder / Path(name).expanduser() for folder in (*project(unit.study), Path.cwd())]
        if not (files := [place for place in places if place.is_file()]):
            folders = " or ".join(dict.fromkeys(str(place.parent) for place in places))
            raise UsageError(f"{unit} names the file {Path(name).name!r}, which is not in {folders}.")
        paths[name] = files[0]
    return paths


def project(study: str) -> list[Path]:
    """The folder in which a study lies, whatever link leads to it, and the one around it."""
    file = origin(f"crosscheck.studies.{study}")
    return list(file.resolve().parents[:2]) if file else []


@lru_cache
def code_hash(study: str, measure: str) -> str:
    """Of the measuring function and of everything of ours that it reaches."""
    definitions, imports = names_of(f"crosscheck.studies.{study}")
    parts, modules = [], set()
    for name in reached(measure, definitions):
        parts.append(definitions[name])
        modules |= {imports[used] for used in used_names(definitions[name]) if used in imports}
    closure = sorted(everything_imported(modules))
    return digest("".join(sorted(map(dump, parts))) + "".join(map(module_dump, closure)))


@lru_cache
def names_reached(study: str, measure: str) -> tuple[str, ...]:
    """The names of a study's module that a measuring function uses."""
    return tuple(reached(measure, names_of(f"crosscheck.studies.{study}")[0]))


@lru_cache
def own_code(study: str, measure: str, library: str) -> str:
    """A hash of the slice of its study that a measuring function reaches, and of its use of one package."""
    definitions, imports = names_of(f"crosscheck.studies.{study}")
    slices = [definitions[name] for name in names_reached(study, measure)]
    used = {imports[name] for part in slices for name in used_names(part) if name in imports}
    modules = sorted(name for name in everything_imported(used) if name.startswith(library))
    return digest("".join(sorted(map(dump, slices))) + "".join(map(module_dump, modules)))


def reached(start: str, definitions: dict[str, ast.stmt]) -> list[str]:
    """The top-level names that a definition uses, directly or not, itself included."""
    names, todo = [], [start]
    while todo:
        name = todo.pop()
        if name in definitions and name not in names:
            names.append(name)
            todo += used_names(definitions[name])
    return names


def used_names(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


def everything_imported(modules: Iterable[str]) -> set[str]:
    """These modules of ours, and all of ours that they import, wherever in their code.

    Not the package's own `__init__`, which has nothing but its version.
    """
    closure: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module not in closure and module != OURS and is_ours(module) and origin(module):
            closure.add(module)
            todo += names_of(module)[1].values()
    return closure


@lru_cache
def names_of(module: str) -> tuple[dict[str, ast.stmt], dict[str, str]]:
    """A module's top-level definitions by name, and the modules of ours that its imports stand for."""
    tree = parse(module)
    definitions = {name: shaping_rows(node) for node in tree.body for name in defined_by(node)}
    imports = {
        alias.asname or alias.name: target
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (target := imported(node, alias.name)) and is_ours(target)
    }
    return definitions, {**imports, CHECKS_ROWS: CHECKS_ROWS}


def shaping_rows(node: ast.stmt) -> ast.stmt:
    """A definition without what shapes no row: of a check only id, settings and exactness do.

    So a measuring function may have a check make its rows, and a new statement or criterion trains nothing.
    """
    if not (isinstance(node, ast.Assign) and isinstance(call := node.value, ast.Call)):
        return node
    if not (isinstance(call.func, ast.Name) and call.func.id == "Check"):
        return node
    kept = [keyword for keyword in call.keywords if keyword.arg in ("id", "settings", "exact")]
    made_by = ast.Name(CHECKS_ROWS, ast.Load())
    return ast.Assign(node.targets, ast.Call(made_by, call.args[:1], kept), lineno=node.lineno)


def defined_by(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [name for target in targets for name in used_names(target)]
    return []


def imported(node: ast.Import | ast.ImportFrom, name: str) -> str:
    """The module that an imported name stands for, or comes from."""
    if isinstance(node, ast.Import):
        return name
    if node.module == "crosscheck.lazy":
        return lazy.modules().get(name, "")
    whole = f"{node.module}.{name}"
    return whole if is_ours(whole) and origin(whole) else node.module or ""


def is_ours(module: str) -> bool:
    return module.split(".")[0] == OURS


@lru_cache
def origin(module: str) -> Path | None:
    """The file of one of our modules; None where there is none. Asking Python would import its package."""
    package, *inner = module.split(".")
    (root,) = importlib.import_module(package).__path__
    place = Path(root, *inner)
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)


@lru_cache
def parse(module: str) -> ast.Module:
    file = origin(module)
    assert file, module
    return ast.parse(file.read_text(encoding="utf-8"))


@lru_cache
def module_dump(module: str) -> str:
    return module + dump(parse(module))


def dump(node: ast.AST) -> str:
    """The code as text, without docstrings, comments and positions."""
    return ast.dump(Bare().visit(ast.parse(ast.unparse(node))))


class Bare(ast.NodeTransformer):
    """Drops every expression that is a bare string: docstrings."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

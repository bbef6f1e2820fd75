"""The files around the code agree with each other: dependencies, the lock, conda, CI and the README."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STUDIES = PROJECT["optional-dependencies"]["studies"]
CORE = [Requirement(line) for line in [*PROJECT["dependencies"], *STUDIES]]
DEV, DOCS = (
    [Requirement(line) for line in PROJECT["optional-dependencies"][extra]] for extra in ("dev", "docs")
)
REGISTRIES = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]


def locked() -> list[tuple[Requirement, int]]:
    """What requirements.txt pins, each with the number of its hashes."""
    text = re.sub(r"\s*\\\n\s*", " ", (ROOT / "requirements.txt").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(Requirement(line.split("--hash=")[0].strip()), line.count("--hash=sha256:")) for line in lines]


def conda() -> tuple[list[str], list[str]]:
    """What environment.yml asks of conda, and of pip."""
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (item["pip"] for item in wanted if isinstance(item, dict))
    return [item for item in wanted if isinstance(item, str)], pip


def files() -> list[Path]:
    """Every file that git has or would take."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so the project's own files are not known")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_environment_yml_says_the_same_as_pyproject() -> None:
    from_conda, from_pip = conda()
    assert from_conda == [f"python{PROJECT['requires-python']}", "pip"]
    assert from_pip == [*PROJECT["dependencies"], *STUDIES, "-e ."]


@pytest.mark.parametrize("wanted", CORE + DEV + DOCS, ids=lambda wanted: wanted.name)
def test_the_lock_pins_every_dependency_within_its_bounds(wanted: Requirement) -> None:
    pins = [
        next(iter(pin.specifier)).version
        for pin, _ in locked()
        if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
    ]
    assert pins, f"{wanted.name} is not in requirements.txt"
    assert all(version in wanted.specifier for version in pins)


def test_every_line_of_the_lock_is_one_exact_version_with_hashes() -> None:
    for pin, hashes in locked():
        assert [clause.operator for clause in pin.specifier] == ["=="], pin
        assert hashes, f"{pin} has no hash"


def test_the_lock_names_no_address() -> None:
    assert "://" not in (ROOT / "requirements.txt").read_text()


def test_no_file_names_the_address_of_a_package_registry() -> None:
    guilty = [
        path.relative_to(ROOT)
        for path in files()
        if any(host.encode() in path.read_bytes() for host in REGISTRIES)
    ]
    assert not guilty


def test_ci_runs_the_test_command_of_the_readme() -> None:
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    assert "make test" in readme
    assert re.search(r"^make test$", ci, re.MULTILINE)
    assert re.search(r"^make check$", ci, re.MULTILINE)


def test_every_make_target_is_explained() -> None:
    made = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("all", "test", "report", "verify", "data", "check", "clean"):
        assert re.search(rf"^  {target} ", made, re.MULTILINE), f"make help does not name {target}"

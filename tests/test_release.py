"""What a release says of itself: one version, one command for every check, no stale list."""

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import crosscheck

ROOT = Path(__file__).parent.parent


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text())


def test_the_citation_is_of_this_version():
    citation, project = (
        read_yaml("CITATION.cff"),
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"],
    )
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_what_runs_before_a_commit_is_what_make_check_runs():
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == ["make check"]


def test_the_workflow_runs_the_one_script_on_every_python_that_is_claimed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    jobs = read_yaml(".github/workflows/checks.yml")["jobs"]
    assert [step["run"] for step in jobs["tensorflow"]["steps"] if "run" in step] == [".ci/run"]
    pythons = jobs["tensorflow"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={pythons[0]},<3.{int(pythons[-1].split('.')[1]) + 1}"
    assert jobs["other-backends"]["strategy"]["matrix"]["backend"] == ["jax", "torch"]
    assert jobs["other-backends"]["steps"][-1]["run"] == ".ci/run"
    assert "[${{ matrix.backend }}]" in jobs["other-backends"]["steps"][-2]["run"]


def test_a_source_distribution_has_what_a_checkout_has():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    top = {name.partition("/")[0] for name in listed.stdout.splitlines()}
    of_itself = {"LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "suite"}  # by setuptools
    lines = (ROOT / "MANIFEST.in").read_text().splitlines()
    assert top - of_itself == {
        name for line in lines if line[:5] in ("inclu", "graft") for name in line.split()[1:]
    }


def test_the_package_tells_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert crosscheck.__version__ == project["version"]

"""What the commands take: options that several share, studies by name or pattern, completion of names."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from crosscheck.claims import register
from crosscheck.errors import UsageError

FOLDER = click.Path(path_type=Path)
RESULTS = Path("results")
BUILD = Path("build")  # results at another scale or with other seeds never replace the reference


def options_of(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Several options as one decorator, in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


results_option = click.option(
    "--results", type=FOLDER, default=RESULTS, show_default=True, help="Folder of verdicts, figures, report."
)
store_option = click.option(
    "--store", type=FOLDER, default=Path(".store"), show_default=True, help="Folder of saved rows."
)
jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), help="Worker processes; as many as fit if not given."
)
gpu_option = click.option(
    "--gpu", is_flag=True, envvar="GPU", help="Let the backend see accelerators; otherwise they stay hidden."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on the output, for scripts.")
loud_option = options_of(
    click.option("-q", "--quiet", is_flag=True, help="Tell only what falls short."),
    click.option("-v", "--verbose", is_flag=True, help="A line for each unit, also in a terminal."),
)
seeds_option = click.option(
    "--seeds",
    type=click.IntRange(2, 100_000),
    metavar="N",
    help="Seeds 0 to N − 1 wherever a study draws any, in place of its own numbers; recorded in the results.",
)
named_studies = click.argument(
    "names",
    metavar="[STUDY]...",
    nargs=-1,
    shell_complete=lambda context, parameter, incomplete: starting(register.NAMES, incomplete),
)


def known(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Studies named, or matched by a pattern such as `ood_*`, in the register's order; all where none is.

    Raises:
        UsageError: a name that is not in the register, or a pattern that nothing matches.
    """
    chosen = {name for pattern in patterns for name in matching(pattern)}
    return tuple(name for name in register.NAMES if name in chosen or not patterns)


def matching(pattern: str) -> list[str]:
    if not set(pattern) & set("*?["):
        register.load(pattern)  # refuses, and suggests the nearest name
        return [pattern]
    found = fnmatch.filter(register.NAMES, pattern)
    if not found:
        raise UsageError(f"No study matches {pattern!r}. Studies: {', '.join(register.NAMES)}.")
    return found


def results_folder(asked: Path | None, scale: str, seeds: int | None) -> Path:
    """Where results go: those of a quick look, or of another number of seeds, in a folder of their own."""
    if asked:
        return asked
    with_seeds = f"-{seeds}-seeds" if seeds else ""
    return BUILD / f"{scale}{with_seeds}" if scale == "smoke" or seeds else RESULTS


def known_sets(incomplete: str) -> list[str]:
    from crosscheck import data as sets

    return starting(sets.CATALOGUE, incomplete)

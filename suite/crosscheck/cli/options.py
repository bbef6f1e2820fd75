"""What several commands take: their options, studies by name or pattern, and where results go."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from crosscheck.claims import register, sentences
from crosscheck.errors import UsageError

FOLDER = click.Path(path_type=Path)
RESULTS = Path("results")
BUILD = Path("build")  # for results that are not to replace those in RESULTS


def options_of(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Several options as one decorator, in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def starting(names: Iterable[str], incomplete: str) -> list[str]:
    """The names that begin in this way, for the shell to complete."""
    return [name for name in names if name.startswith(incomplete)]


def completed_study(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return starting(register.NAMES, incomplete)


def completed_study_or_sentence(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    return starting((*register.NAMES, *sentences.IDS), incomplete)


results_option = click.option(
    "--results", type=FOLDER, default=RESULTS, show_default=True, help="Folder of verdicts, figures, report."
)
results_or_reference_option = click.option(
    "--results",
    type=FOLDER,
    help=f"Folder of verdicts and figures. [default: {RESULTS}, and the reference for what is not in it]",
)
store_option = click.option(
    "--store", type=FOLDER, default=Path(".store"), show_default=True, help="Folder of saved rows."
)
jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), help="Worker processes; as many as fit if not given."
)
on_option = click.option(
    "--on",
    metavar="CLUSTER",
    help="Compute on a Ray cluster: `auto` for the one that this machine is in, ray://HOST:10001, HOST:6379; "
    "or as jobs of SLURM: slurm://, slurm://PARTITION.",
)
gpu_option = click.option(
    "--gpu", is_flag=True, envvar="GPU", help="Let the backend see accelerators; otherwise they stay hidden."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on the output, for scripts.")
loudness_options = options_of(
    click.option("-q", "--quiet", is_flag=True, help="Tell only what falls short."),
    click.option("-v", "--verbose", is_flag=True, help="A line for each unit, also in a terminal."),
)
seeds_option = click.option(
    "--seeds",
    type=click.IntRange(2, 100_000),
    metavar="N",
    help="N seeds wherever a study draws any, in place of its own numbers; recorded in the results.",
)
studies_or_sentences_argument = click.argument(
    "patterns", metavar="[STUDY|SENTENCE]...", nargs=-1, shell_complete=completed_study_or_sentence
)
studies_argument = click.argument("patterns", metavar="[STUDY]...", nargs=-1, shell_complete=completed_study)


def studies_matching(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Studies named, or matched by a pattern such as `ood_*`, in the register's order; all where none is.

    Raises:
        UsageError: a name that is not in the register, or a pattern that nothing matches.
    """
    names = {name for pattern in patterns for name in matching(pattern)}
    return tuple(name for name in register.NAMES if name in names or not patterns)


def sentences_matching(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Sentences named, or matched by a pattern such as `S2*`, in the chapter's order."""
    return tuple(id for id in sentences.IDS if any(fnmatch.fnmatchcase(id, each) for each in patterns))


def matching(pattern: str) -> list[str]:
    if not set(pattern) & set("*?["):
        register.load(pattern)  # refuses, and suggests the nearest name
        return [pattern]
    names = fnmatch.filter(register.NAMES, pattern)
    if not names:
        raise UsageError(f"No study matches {pattern!r}. Studies: {', '.join(register.NAMES)}.")
    return names


def results_folder(asked: Path | None, scale: str, seeds: int | None, pilot: bool = False) -> Path:
    """Where results go: those of a quick look, or of another number of seeds, in a folder of their own."""
    if asked:
        return asked
    aside = scale == "smoke" or seeds or pilot
    return build_folder(scale, seeds, pilot=pilot) if aside else RESULTS


def build_folder(scale: str, seeds: int | None, backend: str = "tensorflow", pilot: bool = False) -> Path:
    """Where results go that are not to replace those in `RESULTS`."""
    on_backend = "" if backend == "tensorflow" else f"-{backend}"
    return BUILD / f"{scale}{f'-{seeds}-seeds' if seeds else ''}{'-pilot' if pilot else ''}{on_backend}"


def show_accelerators(gpu: bool) -> None:
    """Let workers see accelerators: a number should not depend on whether one happens to be there."""
    os.environ["GPU"] = "1" if gpu else "0"

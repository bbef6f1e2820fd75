"""From a request to the units of work that meet it, with what has to be left out and why."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from crosscheck import _nodes
from crosscheck.claims import register
from crosscheck.claims.claim import Study, Unit
from crosscheck.errors import UsageError
from crosscheck.running import registration

SLURM = "slurm://"  # begins an address of SLURM, which the name of a partition may end


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        names: studies; `data`: the only data sets to use, or empty for whichever are prepared.
        jobs: worker processes; None leaves the choice to the runner.
        seeds: how many every measurement with seeds takes; None leaves the choice to the studies.
        pilot: take the seeds of pilots, not those that confirm.
        on: the address of the cluster that computes; None for this machine. Nothing depends on it.
    """

    names: tuple[str, ...]
    results: Path
    store: Path
    scale: str = "standard"
    backend: str = "tensorflow"
    data: tuple[str, ...] = ()
    jobs: int | None = None
    seeds: int | None = None
    pilot: bool = False
    on: str | None = None


@dataclass(frozen=True)
class Plan:
    """Studies with their units.

    Attributes:
        read: data sets that the units read, or would if they were there; `backends`: those that they
            are computed on, or would be.
        absent: data sets and backends that are left out; `unprepared`: data sets that are not there;
            `uninstalled`: backends that are not.
    """

    studies: dict[str, Study]
    units: dict[str, list[Unit]]
    read: frozenset[str]
    backends: frozenset[str]
    absent: frozenset[str]
    unprepared: frozenset[str]
    uninstalled: frozenset[str]

    @property
    def all_units(self) -> list[Unit]:
        """Each once: a study may show what another has measured."""
        return list({repr(unit): unit for units in self.units.values() for unit in units}.values())


def make(request: Request) -> Plan:
    """The plan for a request.

    Raises:
        UsageError: unknown study or data set, a data set asked for by name that is not prepared or that
            none of the studies reads, or a backend that is not installed; a study
            that cannot be imported or cannot say its units; a cluster without Ray.
    """
    require_backend(request.backend)
    if request.on:
        require_address(request.on)
    studies = {name: register.load(name) for name in request.names}
    wished = {
        name: registration.shifted(
            with_backend(with_seeds(register.units_of(study, request.scale), request.seeds), request.backend),
            request.scale,
            request.pilot,
        )
        for name, study in studies.items()
    }
    read = {name for units in wished.values() for unit in units for name in unit.data}
    present = asked_for(request.data, read) if request.data else prepared(read)
    backends = frozenset(unit.backend for units in wished.values() for unit in units)
    uninstalled = frozenset(backend for backend in backends if not is_installed(backend))
    units = {
        name: [u for u in wishes if present.issuperset(u.data) and u.backend not in uninstalled]
        for name, wishes in wished.items()
    }
    absent = frozenset(read - present)
    unprepared = frozenset() if request.data else absent
    return Plan(studies, units, frozenset(read), backends, absent | uninstalled, unprepared, uninstalled)


def with_backend(units: Iterable[Unit], backend: str) -> list[Unit]:
    """The units on this backend, save those that belong to one."""
    return [unit if unit.pinned else dataclasses.replace(unit, backend=backend) for unit in units]


def with_seeds(units: Iterable[Unit], count: int | None) -> list[Unit]:
    """The units with seeds 0 to `count` − 1 wherever they have seeds at all; as they are without a count.

    Units alike in all but their seeds share those of one measurement, and go on sharing them in such parts.
    """
    measurements: dict[str, list[Unit]] = {}
    for unit in units:
        measurements.setdefault(repr(dataclasses.replace(unit, seeds=())), []).append(unit)
    return [unit for alike in measurements.values() for unit in reseeded(alike, count)]


def reseeded(alike: list[Unit], count: int | None) -> list[Unit]:
    first = alike[0]
    if count is None or not first.seeds:
        return alike
    size = count if len(alike) == 1 else len(first.seeds)
    parts = [tuple(range(start, min(start + size, count))) for start in range(0, count, size)]
    return [
        dataclasses.replace(first, seeds=seeds, cost=first.cost * len(seeds) / len(first.seeds))
        for seeds in parts
    ]


def is_installed(backend: str) -> bool:
    return importlib.util.find_spec(backend) is not None


def prepared(names: Iterable[str]) -> set[str]:
    from crosscheck import data

    return {name for name in names if data.prepared(name)}


def asked_for(names: Collection[str], read: Collection[str]) -> set[str]:
    """The data sets asked for by name: known, read here, and prepared.

    Raises:
        UsageError: an unknown data set, one that none of the studies reads, or one that is not prepared.
    """
    from crosscheck import data

    for name in names:
        data.lookup(name)
        if name not in read:
            raise UsageError(
                f"None of the chosen studies reads data set '{name}'; they read {', '.join(sorted(read))}."
            )
        data.identity(name)
    return set(names)


def require_address(on: str) -> None:
    """
    Raises:
        UsageError: what a cluster or SLURM takes is not installed, or this is no address of either.
    """
    if on.startswith(SLURM):
        if importlib.util.find_spec("submitit") is None:
            raise UsageError(
                "Running on SLURM needs submitit, which is not installed. "
                f"Run `{sys.executable} -m pip install 'keras-crosscheck[slurm]'`."
            )
        return
    _nodes.require_address(on)


def require_backend(backend: str) -> None:
    """Refuse at once: a worker would find out only after it has started.

    Raises:
        UsageError: the backend's library is not installed.
    """
    if not is_installed(backend):
        raise UsageError(
            f"Backend '{backend}' is not installed. Run `{sys.executable} -m pip install {backend}`, "
            "or use --backend tensorflow."
        )

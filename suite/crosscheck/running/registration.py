"""Designs registered in advance: which seeds confirm which design, and whether it is still the same.

Pilots, and smoke runs, draw from seeds of their own. Registering a study (`crosscheck register`) writes down
a hash of the design of each of its checks and gives it the next block of seeds, which no design before it has
used; a run at any other scale then takes these. Change a design, and it counts as changed until the study is
registered anew. A further block is a further chance to be wrong: the number of the block says how many there
have been.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from crosscheck._files import write_atomically
from crosscheck.claims import register
from crosscheck.claims.claim import Check, Study, Unit
from crosscheck.claims.judged import Registered
from crosscheck.errors import UsageError
from crosscheck.running import fingerprint

FILE = Path(__file__).with_name("registered.json")
BLOCK = 5_000  # seeds in a block; the first block is number 1
PILOT = 50_000  # the first seed of pilots
SCALE = "standard"  # whose units are part of a design
LIBRARY = "crosscheck.lab"  # of the library, what measures; the rest is held by its own tests


class Entry(msgspec.Struct, frozen=True):
    """What is registered of a study: its block of seeds, and the hash of the design of each check."""

    block: int
    designs: dict[str, str]

    @property
    def first_seed(self) -> int:
        return self.block * BLOCK


def entries() -> dict[str, Entry]:
    """What is registered, by study.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Entry])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{FILE} cannot be read: {error}. Take it from the release again.") from error


def first_seed(study: str, scale: str, pilot: bool = False) -> int:
    """Where the seeds of a study begin: those of its block, or a pilot's where it has none."""
    entry = entries().get(study)
    return PILOT if pilot or scale == "smoke" or entry is None else entry.first_seed


def shifted(units: Iterable[Unit], scale: str, pilot: bool = False) -> list[Unit]:
    """The units with their seeds, counted from 0, moved to where those of their study begin."""
    starts: dict[str, int] = {}
    for unit in (units := list(units)):
        starts.setdefault(unit.study, first_seed(unit.study, scale, pilot))
    return [
        dataclasses.replace(unit, seeds=tuple(starts[unit.study] + seed for seed in unit.seeds))
        for unit in units
    ]


def register_anew(names: Iterable[str]) -> dict[str, Entry]:
    """Write down the designs of these studies, each with the next block of seeds; those unchanged stay.

    Raises:
        UsageError: the file cannot be written, or no block is left below the seeds of pilots.
    """
    known = entries()
    fresh = {name: entry for name in names if (entry := renewed(name, known.get(name)))}
    if fresh:
        everything = {**known, **fresh}
        ordered = {name: everything[name] for name in register.NAMES if name in everything}
        write_atomically(FILE, json.dumps(msgspec.to_builtins(ordered), indent=1) + "\n")
    return fresh


def renewed(name: str, known: Entry | None) -> Entry | None:
    """The entry of a study on its next block; None where its designs are those on record.

    Where all that changed is exact, the block stays: identities draw on no seeds.
    """
    designs = designs_of(name)
    if known and known.designs == designs:
        return None
    block = known.block + int(not changed_is_exact(name, known.designs, designs)) if known else 1
    if (block + 1) * BLOCK > PILOT:
        raise UsageError(f"{name} has had {block - 1} blocks of seeds, and none is left below {PILOT}.")
    return Entry(block, designs)


def changed_is_exact(name: str, then: dict[str, str], now: dict[str, str]) -> bool:
    exact = {check.id for check in register.load(name).CHECKS if check.exact}
    return {check for check in now if now[check] != then.get(check)} <= exact


def registered(name: str, check: str, seeds: Iterable[int]) -> Registered | None:
    """How a check's design stands to what is registered; None where its study is not."""
    entry = entries().get(name)
    if entry is None:
        return None
    used = sorted({seed for seed in seeds if entry.first_seed <= seed < entry.first_seed + BLOCK})
    now, then = designs_of(name)[check], entry.designs.get(check, "")
    spread = f"{used[0]}–{used[-1]}" if used else ""
    return Registered(design=now, seeds=spread, block=entry.block, changed=now != then)


@lru_cache
def designs_of(name: str) -> dict[str, str]:
    """A hash of the design of each check of a study: what it states, how it is judged, what measures it."""
    study = register.load(name)
    units = register.units_of(study, SCALE)
    return {check.id: design(name, study, check, units) for check in study.CHECKS}


def design(name: str, study: Study, check: Check, units: list[Unit]) -> str:
    measuring = units_behind(name, study, check, units)
    parts = {
        "check": {field.name: repr(getattr(check, field.name)) for field in dataclasses.fields(check)},
        "units": sorted(json.dumps(described(unit), sort_keys=True) for unit in measuring),
        "code": sorted({fingerprint.own_code(unit.study, unit.measure, LIBRARY) for unit in measuring}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def described(unit: Unit) -> dict[str, Any]:
    """What of a unit belongs to a design: how many seeds, not which."""
    setting = {"setting": unit.setting, "data": unit.data, "seeds": len(unit.seeds)}
    return {"study": unit.study, "measure": unit.measure, **setting}


def units_behind(name: str, study: Study, check: Check, units: list[Unit]) -> list[Unit]:
    """The units whose measuring function names the check; all of them where none does."""
    variables = set(names_for(study, check))
    behind = [
        unit
        for unit in units
        if unit.study == name and variables & set(fingerprint.names_reached(name, unit.measure))
    ]
    return behind or units


def names_for(study: Study, check: Check) -> Iterator[str]:
    return (variable for variable, value in vars(study).items() if value is check)

"""Units on the nodes of a Ray cluster: each CPU that a node lends is a desk with a worker of its own.

Nothing is taken on trust: before anything runs, every node is asked for its code, versions and data sets, and
what comes back is checked by checksum and key before it goes into the store, which this process alone writes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosscheck import _nodes
from crosscheck._files import write_atomically
from crosscheck.claims.claim import Unit
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.running import provenance, store
from crosscheck.running.desk import Desk, inventory
from crosscheck.running.executor import OF_RUN, Job, Reply, as_line

MEMORY = 1.5e9  # bytes that a desk asks of its node
PATIENCE = 0.2  # seconds between looks at units that another run is computing
FAREWELL = 10  # seconds that desks have to clear up
logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Seat:
    """A desk on a node, and what of the units' needs the node has."""

    node: _nodes.Node
    has: frozenset[str]
    desk: Any

    def serves(self, unit: Unit) -> bool:
        return self.has.issuperset(needs(unit))


def needs(unit: Unit) -> set[str]:
    """What a unit reads, and the backend that it is computed on."""
    return {*unit.data, *unit.files, unit.backend}


class Cluster:
    """An executor of desks on all the nodes that can compute.

    Args:
        address: of the cluster: `auto`, `ray://HOST:PORT` or `HOST:PORT`.
        folder: the store; `jobs`: units at a time, or as many as nodes have CPUs for.
        work: the jobs that will come: what nodes lack is told by them.

    Raises:
        UsageError: there is no such cluster, or a node has other code, or no node has what a unit needs.
    """

    def __init__(self, address: str, folder: Path, jobs: int | None, work: Sequence[Job]):
        self.folder, self.waiting = folder, deque[Job]()
        self.opening: dict[Any, Seat] = {}
        self.idle: list[Seat] = []
        self.gone: set[_nodes.Node] = set()
        self.busy: dict[Any, tuple[Seat, Job, contextlib.ExitStack]] = {}
        with contextlib.ExitStack() as until_stop:
            self.ray = until_stop.enter_context(_nodes.connected(address))
            until_stop.callback(self.close)
            gpu = os.environ.get("GPU") == "1"
            nodes = _nodes.nodes(self.ray, gpu)
            stocks = checked(self.ray, nodes, [job.unit for job in work])
            self.most = min(jobs or len(work), len(work))
            for node, has in places(nodes, stocks, gpu, self.most, [job.unit for job in work]):
                self.open(node, has)
            self.until_stop = until_stop.pop_all()

    def open(self, node: _nodes.Node, has: frozenset[str]) -> None:
        """A new desk on a node: it takes units once it has said that it is there."""
        gpus = int(os.environ.get("GPU") == "1")
        desk = self.ray.remote(Desk).options(
            num_cpus=1,
            num_gpus=gpus,
            memory=min(MEMORY, node.memory),
            max_concurrency=2,  # so that it can be closed while it computes
            scheduling_strategy=_nodes.on_node(self.ray, node),
        )
        seat = Seat(node, has, desk.remote({name: os.environ[name] for name in OF_RUN if name in os.environ}))
        self.opening[seat.desk.ready.remote()] = seat

    def submit(self, job: Job) -> None:
        self.waiting.append(job)

    def replies(self) -> Iterator[tuple[Job, Reply]]:
        """Each job that was answered, or that another run has done meanwhile."""
        yield from self.employ()
        going = [*self.opening, *self.busy]
        if not going and self.waiting:
            self.require_seats()
            time.sleep(PATIENCE)  # others compute what is left
        elif going:
            for ready in self.ray.wait(going, timeout=PATIENCE if self.idle and self.waiting else None)[0]:
                yield from self.heard(ready)

    def employ(self) -> Iterator[tuple[Job, Reply]]:
        """Give every idle desk the first job that its node can do and no other run is at."""
        for seat in list(self.idle):
            while len(self.busy) < self.most and (found := self.next_for(seat)):
                job, lock = found
                if done := store.find(self.folder, job.key):
                    lock.close()
                    yield job, {**store.about(done), "reused": True}
                    continue
                self.idle.remove(seat)
                self.busy[seat.desk.answer.remote(as_line(job, ""))] = seat, job, lock
                break

    def next_for(self, seat: Seat) -> tuple[Job, contextlib.ExitStack] | None:
        for job in self.waiting:
            if seat.serves(job.unit) and (lock := self.lock(job)):
                self.waiting.remove(job)
                return job, lock
        return None

    def lock(self, job: Job) -> contextlib.ExitStack | None:
        """The lock on a unit's place in the store; None while another run has it."""
        stack = contextlib.ExitStack()
        try:
            stack.enter_context(store.alone(self.folder, job.key, wait=False))
        except TimeoutError:
            return None
        return stack

    def require_seats(self) -> None:
        """
        Raises:
            CrosscheckError: no node is left that could do a job that is waiting.
        """
        for job in self.waiting:
            if not any(seat.serves(job.unit) for seat in self.idle):
                raise CrosscheckError(
                    f"No node is left that can compute {job.unit}. What is finished is kept: the same "
                    "command goes on from there."
                )

    def heard(self, ready: Any) -> Iterator[tuple[Job, Reply]]:
        """A desk has opened, has answered, or is no more."""
        if seat := self.opening.pop(ready, None):
            self.opened(seat, ready)
            return
        seat, job, lock = self.busy.pop(ready)
        with lock:
            answer = self.result(ready)
            if answer is None:
                self.reopen(seat)
                yield job, {"lost": f"node {seat.node.name}"}
                return
            self.idle.append(seat)
            yield job, self.kept(job, seat.node, json.loads(answer[0]), answer[1])

    def opened(self, seat: Seat, ready: Any) -> None:
        if self.result(ready):
            self.idle.append(seat)
        elif seat.node not in self.gone:
            self.gone.add(seat.node)
            logger.warning(
                "Node %s is gone, or cannot start a worker: its units run on others.", seat.node.name
            )

    def reopen(self, gone: Seat) -> None:
        """A desk in place of one that is gone; its neighbours, which may have gone with it, are to say so."""
        for seat in [seat for seat in self.idle if seat.node == gone.node]:
            self.idle.remove(seat)
            self.opening[seat.desk.ready.remote()] = seat
        self.open(gone.node, gone.has)

    def result(self, ready: Any) -> Any:
        """What a desk has said; None if it has gone, with its node or without."""
        try:
            return self.ray.get(ready)
        except self.ray.exceptions.RayTaskError as error:
            raise CrosscheckError(f"A node's worker failed: {str(error).strip().splitlines()[-1]}") from error
        except self.ray.exceptions.RayError:
            return None

    def kept(self, job: Job, node: _nodes.Node, reply: Reply, content: bytes) -> Reply:
        """The reply, after what came with it has been put into the store."""
        if "unwritable" in reply:
            return {"unwritable": f"On node {node.name}: {reply['unwritable']}"}
        if "traceback" in reply:
            place = self.folder / "failures" / f"{job.key}.txt"
            write_atomically(place, content)
            return {**reply, "traceback": str(place)}
        if "died" in reply:
            return {"died": f"on node {node.name} {reply['died']}"}
        if wrong := store.keep(self.folder, job.key, content, reply["checksum"]):
            return {"died": f"on node {node.name} sent a file that {wrong}"}
        return reply

    def stop(self) -> None:
        self.until_stop.close()

    def close(self) -> None:
        """Close all desks, wherever they are in their work, and let go of what is locked."""
        for _, _, lock in self.busy.values():
            lock.close()
        seats = [*self.idle, *self.opening.values(), *(seat for seat, *_ in self.busy.values())]
        with contextlib.suppress(Exception):
            self.ray.wait([s.desk.close.remote() for s in seats], num_returns=len(seats), timeout=FAREWELL)
        for seat in seats:
            with contextlib.suppress(Exception):
                self.ray.kill(seat.desk)


def checked(ray: Any, nodes: Sequence[_nodes.Node], units: Sequence[Unit]) -> list[frozenset[str]]:
    """What each node has of the units' needs, after all have shown that they have the same code.

    Raises:
        UsageError: a node with other code or versions, or a need that no node meets.
    """
    backends = {unit.backend for unit in units}
    own = [name for backend in backends for name in provenance.OF_BACKEND.get(backend, ())]
    told = _nodes.require_same(ray, nodes, [*provenance.PACKAGES, *own])
    sets = sorted({name for unit in units for name in unit.data})
    files = sorted({(name, unit.study) for unit in units for name in unit.files})
    here = inventory(sets, files)
    stocks = []
    for about, there in zip(told, _nodes.asked(ray, nodes, inventory, sets, files), strict=True):
        same = {name for name, identity in there.items() if identity == here[name]}
        stocks.append(frozenset({*same, *backends_of(about["packages"], backends)}))
    require_met(nodes, stocks, units)
    return stocks


def backends_of(packages: dict[str, str], backends: Iterable[str]) -> set[str]:
    """The backends whose packages are there."""
    return {
        name for name in backends if all(packages[part] for part in provenance.OF_BACKEND.get(name, (name,)))
    }


def require_met(
    nodes: Sequence[_nodes.Node], stocks: Sequence[frozenset[str]], units: Sequence[Unit]
) -> None:
    """Say what a node lacks: units that need it go to others.

    Raises:
        UsageError: no node has all that a unit needs.
    """
    for unit in units:
        if not any(has.issuperset(needs(unit)) for has in stocks):
            lacking = ", ".join(sorted(needs(unit) - frozenset.union(*stocks))) or "all of what it needs"
            raise UsageError(
                f"No node of the cluster has {lacking} as this machine has it, and {unit} needs it. "
                "`crosscheck data NAME` on a node prepares a data set there."
            )
    wanted = {need for unit in units for need in needs(unit)}
    for node, has in zip(nodes, stocks, strict=True):
        if lacking := ", ".join(sorted(wanted - has)):
            logger.warning("Node %s lacks %s: the units that need it run on others.", node.name, lacking)


def places(
    nodes: Sequence[_nodes.Node],
    stocks: Sequence[frozenset[str]],
    gpu: bool,
    most: int,
    units: Sequence[Unit],
) -> list[tuple[_nodes.Node, frozenset[str]]]:
    """As many desks as nodes have room for, spread over them; no more than so many, if these serve all units.

    A unit takes one CPU whatever it costs, since with more threads sums would be taken in another order; with
    accelerators, one of those as well. What it costs decides when its turn comes.
    """
    room = [
        min(node.cpus, max(1, int(node.memory // MEMORY)), *([node.gpus] if gpu else [])) for node in nodes
    ]
    spread = [i for turn in range(max(room)) for i in range(len(nodes)) if turn < room[i]]
    chosen = spread[:most]
    for need in {frozenset(needs(unit)) for unit in units}:
        if not any(stocks[i] >= need for i in chosen):
            chosen.append(next(i for i in spread if stocks[i] >= need))
    return [(nodes[i], stocks[i]) for i in chosen]

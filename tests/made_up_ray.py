"""As much of Ray as a run uses, in this process: a desk answers when somebody waits for what it says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from crosscheck import _nodes


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class GetTimeoutError(RayError):
    pass


class TaskUnschedulableError(RayError):
    pass


class Remote:
    """What `ray.remote` makes: it is called with `.remote(…)`, on the node that `.options` names."""

    def __init__(self, ray: MadeUpRay, make: Callable[..., Any], node: _nodes.Node | None = None):
        self.ray, self.make, self.node = ray, make, node

    def options(self, scheduling_strategy: _nodes.Node, **_: Any) -> Remote:
        return Remote(self.ray, self.make, scheduling_strategy)

    def remote(self, *arguments: Any) -> Any:
        if self.node is None:  # a task, for whichever node
            self.ray.parts += 1
            return Reference(lambda: self.make(*arguments))
        if isinstance(self.make, type):
            return self.ray.desk(self.node)
        return Reference(lambda: self.ray.told(self.node.id, self.make, *arguments))


class Reference:
    def __init__(self, answer: Callable[[], Any], computes: bool = False):
        self.answer, self.computes = answer, computes


class Method:
    def __init__(self, answer: Callable[..., Any]):
        self.answer = answer

    def remote(self, *arguments: Any) -> Reference:
        return Reference(lambda: self.answer(*arguments), computes=bool(arguments))


class MadeUpRay:
    """Nodes `a`, `b`, … of so many CPUs; `answer(node, line)` is what its desks say to a job.

    Attributes:
        dead: nodes that say nothing any more; `told`: what a node answers to a question.
    """

    exceptions = SimpleNamespace(
        RayError=RayError,
        RayTaskError=RayTaskError,
        GetTimeoutError=GetTimeoutError,
        TaskUnschedulableError=TaskUnschedulableError,
    )

    def __init__(self, cpus: dict[str, int], answer: Callable[[str, str], tuple[str, bytes]]):
        self.cpus, self.answer, self.dead = cpus, answer, set()
        self.told: Callable[..., Any] = lambda node, question, *arguments: question(*arguments)
        self.closed: list[str] = []
        self.parts = self.at_once = 0
        self.cancelled: list[Any] = []

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {
                "Alive": True,
                "NodeID": name,
                "NodeManagerAddress": name,
                "Resources": {"CPU": count, "memory": 1e10},
            }
            for name, count in self.cpus.items()
        ]

    def remote(self, make: Any = None, **_: Any) -> Any:
        return Remote(self, make) if make else lambda make: Remote(self, make)

    def desk(self, node: _nodes.Node) -> Any:
        return SimpleNamespace(
            ready=Method(lambda: self.living(node.id)),
            answer=Method(lambda line: self.living(node.id) and self.answer(node.id, line)),
            close=SimpleNamespace(remote=lambda: self.closed.append(node.id)),
        )

    def living(self, node: str) -> bool:
        if node in self.dead:
            raise RayError(f"{node} is gone")
        return True

    def wait(self, references: list[Any], num_returns: int = 1, timeout: float | None = None) -> Any:
        self.at_once = max(self.at_once, sum(each.computes for each in references))
        return references[:1], references[1:]

    def get(self, reference: Any, timeout: float | None = None) -> Any:
        if isinstance(reference, list):
            return [each.answer() for each in reference]
        return reference.answer()

    def put(self, what: Any) -> Any:
        return what

    def cancel(self, reference: Any, force: bool) -> None:
        self.cancelled.append(reference)

    def kill(self, desk: Any) -> None:
        pass

    def put_in_place(self, monkeypatch: pytest.MonkeyPatch) -> MadeUpRay:
        @contextlib.contextmanager
        def connected(address: str) -> Iterator[MadeUpRay]:
            yield self

        monkeypatch.setattr(_nodes, "connected", connected)
        monkeypatch.setattr(_nodes, "on_node", lambda ray, node: node)
        return self

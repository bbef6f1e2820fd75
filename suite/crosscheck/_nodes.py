"""Ray, where it is installed: a cluster's nodes, and that they have the code which this process has."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import crosscheck
from crosscheck import _child
from crosscheck.errors import UsageError

LIMIT = 120  # seconds within which a node has to say what it has
KNOCK = 10  # seconds to reach a cluster
OTHER_NAMES = {  # under which the same modules are distributed
    "keras": ("keras-nightly",),
    "tensorflow": ("tensorflow-cpu", "tf-nightly", "tf-nightly-cpu"),
}
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@dataclass(frozen=True)
class Node:
    """A node of the cluster that can compute: how many CPUs and GPUs, and how much memory, it lends."""

    id: str
    name: str
    cpus: int
    gpus: int
    memory: float


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster; a connection that was there before is used, and stays.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """
    ray = require_ray()
    if ray.is_initialized():
        yield ray
        return
    # Ray prints the logs of nodes that die on the output, where JSON may be due, and has no setting for it.
    with mock.patch.object(ray._private.worker, "print_to_stdstream", lambda *_, **__: None, create=True):
        connect(ray, address)
        try:
            yield ray
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.shutdown()


def require_address(address: str) -> None:
    """
    Raises:
        UsageError: Ray is not installed, or it would take this for no address of a cluster.
    """
    require_ray()
    if address != "auto" and ":" not in address:
        raise UsageError(
            f"There is no cluster {address!r}: `auto`, ray://HOST:10001 or HOST:6379 name one of Ray's, "
            "slurm:// is SLURM."
        )


def require_ray() -> Any:
    """Ray itself.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "Running on a cluster needs Ray, which is not installed. "
            f"Run `{sys.executable} -m pip install 'keras-crosscheck[ray]'`."
        ) from error
    return ray


def connect(ray: Any, address: str) -> None:
    """Ray takes SIGTERM for itself, and logs what happens to workers: here, both are the run's business.

    Raises:
        UsageError: there is no such cluster, or it runs another Ray or Python.
    """
    require_address(address)
    require_listener(current(ray) if address == "auto" else address)
    is_main = threading.current_thread() is threading.main_thread()
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(address, log_to_driver=False, logging_level="CRITICAL")
    except (ConnectionError, RuntimeError, ValueError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"No Ray cluster answers at {address}: {first.rstrip('.')}. `ray start --head` starts one, "
            "`ray status` tells of one."
        ) from error
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, terminated)


def current(ray: Any) -> str:
    """The address of the cluster that this machine is in, as Ray has left it; it may be gone by now.

    Raises:
        UsageError: it is in none.
    """
    address = os.environ.get("RAY_ADDRESS") or ray._private.utils.read_ray_address()
    if not address:
        raise UsageError("This machine is in no Ray cluster. `ray start --head` starts one.")
    return address


def require_listener(address: str) -> None:
    """Where nobody listens, Ray would try for minutes.

    Raises:
        UsageError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"No Ray cluster answers at {address}: {error}. `ray start --head` starts one."
        ) from error


def nodes(ray: Any, gpu: bool = False) -> list[Node]:
    """The living nodes that have a CPU to lend, and a GPU where one is needed.

    Raises:
        UsageError: there are none.
    """
    alive = [node for node in ray.nodes() if node["Alive"]]
    addresses = [node["NodeManagerAddress"] for node in alive]
    found = [node_of(node, addresses.count(node["NodeManagerAddress"]) == 1) for node in alive]
    able = sorted(
        (node for node in found if node.cpus and (node.gpus or not gpu)), key=lambda node: node.name
    )
    if not able:
        raise UsageError(f"None of the cluster's {len(found)} nodes lends a {'GPU' if gpu else 'CPU'}.")
    return reached(ray, able)


def reached(ray: Any, listed: Sequence[Node]) -> list[Node]:
    """Those that a task can be sent to: for some seconds Ray lists a node that has died among the living.

    Raises:
        UsageError: there are none.
    """
    knock = ray.remote(num_cpus=0, max_retries=0)(lambda: None)
    replies = [knock.options(scheduling_strategy=on_node(ray, node)).remote() for node in listed]
    found = []
    for node, reply in zip(listed, replies, strict=True):
        try:
            ray.get(reply, timeout=LIMIT)
        except ray.exceptions.TaskUnschedulableError:
            continue
        except ray.exceptions.RayError:  # what is wrong with it is found when it is asked
            pass
        found.append(node)
    if not found:
        raise UsageError(
            f"None of the cluster's {len(listed)} nodes can be sent anything: all have just died."
        )
    return found


def node_of(told: dict[str, Any], alone: bool) -> Node:
    """A node as Ray tells of it, under its address, and its number where it is not alone there."""
    has, address = told["Resources"], told["NodeManagerAddress"]
    name = address if alone else f"{address} ({told['NodeID'][:8]})"
    memory = has.get("memory", 0.0)
    return Node(told["NodeID"], name, int(has.get("CPU", 0)), int(has.get("GPU", 0)), memory)


def on_node(ray: Any, node: Node) -> Any:
    """That something is to run on this node, or not at all."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node.id, soft=False)


def asked(ray: Any, nodes: Sequence[Node], question: Any, *arguments: Any) -> list[Any]:
    """What each node answers to a function without needs.

    Raises:
        UsageError: a node does not answer; names it.
    """
    ask = ray.remote(num_cpus=0, max_retries=0)(question)
    told = [ask.options(scheduling_strategy=on_node(ray, node)).remote(*arguments) for node in nodes]
    return [answer_of(ray, node, reply) for node, reply in zip(nodes, told, strict=True)]


def answer_of(ray: Any, node: Node, reply: Any) -> Any:
    try:
        return ray.get(reply, timeout=LIMIT)
    except ray.exceptions.GetTimeoutError as error:
        raise UsageError(f"Node {node.name} has not answered within {LIMIT} s.") from error
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise UsageError(f"Node {node.name} cannot say what it has: {last}") from error


def require_same(ray: Any, nodes: Sequence[Node], packages: Iterable[str]) -> list[dict[str, Any]]:
    """Refuse nodes that would compute something else than this process: by package, version and code.

    Returns:
        what each node has, as `described` tells it.

    Raises:
        UsageError: the first node without the package, or with another one; says what to do.
    """
    packages = tuple(packages)
    told = asked(ray, nodes, question_of(crosscheck.__version__, packages))
    ours = described(packages)
    for node, theirs in zip(nodes, told, strict=True):
        if wrong := difference(ours, theirs):
            raise UsageError(
                f"Node {node.name} {wrong} Nothing has been run; nodes install nothing themselves."
            )
    return told


def question_of(version: str, packages: tuple[str, ...]) -> Any:
    """A function that a node can run without the package: it is sent as code, being nobody's name."""

    def question() -> dict[str, Any]:
        import sys

        try:
            import crosscheck
        except ImportError:
            return {"python": sys.executable}
        if version != crosscheck.__version__:
            return {"version": crosscheck.__version__}
        from crosscheck._nodes import described

        return described(packages)

    return question


def described(packages: Iterable[str]) -> dict[str, Any]:
    """What decides whether two machines compute the same."""
    return {
        "version": crosscheck.__version__,
        "code": _child.fingerprint(),
        "machine": platform.machine(),
        "packages": {"python": platform.python_version(), **{name: installed(name) for name in packages}},
    }


def installed(package: str) -> str:
    """The version of a package, under whichever name it is distributed; empty where there is none."""
    for name in (package, *OTHER_NAMES.get(package, ())):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return ""


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """What is wrong with a node, and what to do; empty where nothing is, but for packages that it lacks."""
    if "version" not in theirs:
        return f"cannot import crosscheck: install keras-crosscheck {ours['version']} for {theirs['python']}."
    if theirs["version"] != ours["version"]:
        return f"has crosscheck {theirs['version']}, and this machine {ours['version']}: install the same."
    if theirs["code"] != ours["code"]:
        return (
            f"has other code of crosscheck {ours['version']} than this machine "
            f"(fingerprint {theirs['code']} there, {ours['code']} here): install the same."
        )
    if theirs["machine"] != ours["machine"]:
        return f"is a {theirs['machine']}, and this machine a {ours['machine']}: their rows have other keys."
    other = [
        f"{name} {version} (here {ours['packages'][name] or 'none'})"
        for name, version in theirs["packages"].items()
        if version and version != ours["packages"][name]
    ]
    return f"has {', '.join(other)}: install the same versions." if other else ""

"""Two Ray nodes of one CPU each on this machine, which see the made-up studies of a project."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

RAY = Path(sys.executable).with_name("ray")
COMMON = ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--disable-usage-stats", "--block"]
SMALL = ["--object-store-memory=80000000", "--include-dashboard=false"]


class Nodes:
    """Processes of `ray start --block`, each the leader of a session with all that it starts."""

    def __init__(self, folder: Path):
        self.port, self.folder = free_port(), folder
        self.started: list[subprocess.Popen[bytes]] = []
        self.servers: list[psutil.Process] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, environment: dict[str, str], python: Path = Path(sys.executable)) -> None:
        """One more node, in this environment."""
        place = ["--head", f"--port={self.port}"] if not self.started else [f"--address={self.address}"]
        size = SMALL if not self.started else SMALL[:1]
        folder = [f"--temp-dir={self.folder}"] if not self.started else []
        command = [str(python), "-P", "-m", "ray.scripts.scripts", "start", *place, *COMMON, *size, *folder]
        log = (self.folder / f"node-{len(self.started)}.log").open("wb")
        environment = {**environment, "RAY_health_check_period_ms": "500"}
        with log:
            self.started.append(
                subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
                )
            )
        started, end = f"{len(self.started)} nodes", time.monotonic() + 90
        while b"Ray runtime started" not in Path(log.name).read_bytes():
            assert self.started[-1].poll() is None, f"{started}: {Path(log.name).read_text()}"
            assert time.monotonic() < end, started
            time.sleep(0.2)
        self.servers += self.processes(len(self.started) - 1)

    def kill_raylet(self, node: int) -> None:
        """The whole node goes down: Ray's own processes notice that their raylet is gone."""
        for process in self.processes(node):
            if process.name() == "raylet":
                process.kill()

    def processes(self, node: int) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.started[node].pid).children(recursive=True)
        return []

    def stop(self) -> None:
        """Kill all that was seen below the nodes' processes: with a raylet gone, its siblings are orphans."""
        for node, process in enumerate(self.started):
            self.servers += self.processes(node)
            process.kill()
            process.wait()
        for server in self.servers:
            with contextlib.suppress(psutil.NoSuchProcess):
                server.kill()


@contextlib.contextmanager
def nodes(*environments: dict[str, str]) -> Iterator[Nodes]:
    """Nodes in these environments; Ray's sockets want a folder with a short name."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        cluster = Nodes(Path(folder))
        try:
            for environment in environments:
                cluster.start(environment)
            yield cluster
        finally:
            cluster.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

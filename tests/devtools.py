"""Chromium by its debugging pipe: real keys, paper, a phone's speed, none of which a script in a page has."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from crosscheck.report.pdf import command

QUIET = ("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update")
KEYS = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowRight": 39, "ArrowDown": 40}


class Page:
    """One tab: commands of the DevTools protocol, and the answers of scripts."""

    def __init__(self, to_chromium: IO[bytes], from_chromium: IO[bytes]) -> None:
        self.to_chromium, self.from_chromium = to_chromium, from_chromium
        self.numbers = itertools.count(1)
        self.session: dict[str, str] = {}
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.session = {"sessionId": session}
        self.do("Page.enable")

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self.numbers)
        asked = json.dumps({"id": number, "method": method, "params": params, **self.session})
        self.to_chromium.write(asked.encode() + b"\0")
        answer = next(message for message in self.messages() if message.get("id") == number)
        assert "error" not in answer, answer
        return answer["result"]

    def messages(self) -> Iterator[dict[str, Any]]:
        while True:
            text = b"".join(iter(lambda: self.from_chromium.read(1), b"\0"))
            yield json.loads(text)

    def open(self, address: str) -> None:
        self.do("Page.navigate", url=address)
        self.find(
            "new Promise((go) => document.readyState === 'complete' ? go() : addEventListener('load', go))"
        )

    def find(self, expression: str) -> Any:
        """What an expression, or what its promise, comes to."""
        found = self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        text = {"text": "\r"} if key == "Enter" else {}
        for kind, more in (("keyDown", text), ("keyUp", {})):
            self.do(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=KEYS[key],
                **more,
            )


@contextlib.contextmanager
def page() -> Iterator[Page]:
    """A tab of a Chromium of its own, which reads descriptor 3 and writes 4."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        started = command("--remote-debugging-pipe", *QUIET, f"--user-data-dir={profile}", "about:blank")

        def as_3_and_4() -> None:
            for theirs, number in ((theirs_in, 3), (theirs_out, 4)):
                os.dup2(theirs, number)
                os.set_inheritable(number, True)  # where it had that number before

        process = subprocess.Popen(started, close_fds=False, preexec_fn=as_3_and_4, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        with open(ours_out, "wb", buffering=0) as to_it, open(ours_in, "rb") as from_it:  # noqa: PTH123
            try:
                yield Page(to_it, from_it)
            finally:
                process.terminate()
                process.wait(20)

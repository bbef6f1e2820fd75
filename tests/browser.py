"""Headless Chromium on a page: what a script finds there, and what the console said."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crosscheck.report.pdf import command

LIGHT, DARK = 1, 0

# The page is looked at in a frame, which may be narrower than Chromium lets its own windows be. What the
# probe returns is written into the document, which Chromium prints once nothing is left to happen.
FRAME = """<!DOCTYPE html><meta charset="utf-8">
<iframe src="{page}" style="border: 0; width: {width}px; height: 900px"></iframe><pre id="found"></pre>
<script>
document.querySelector("iframe").onload = (event) => {{
  const frame = event.target.contentWindow, doc = frame.document;
  let found;
  try {{ found = (() => {{ {probe} }})(); }} catch (error) {{ found = {{ error: String(error.stack) }}; }}
  document.getElementById("found").textContent = JSON.stringify(found);
}};
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *line: Any) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder's address on the loopback."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def look(page: Path, probe: str, width: int = 1280, scheme: int = LIGHT) -> tuple[Any, list[str]]:
    """What the body of a JavaScript function finds, given `frame` and `doc`; and the console's lines."""
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.format(page=page.name, width=width, probe=probe), encoding="utf-8")
    with served(page.parent) as address:
        dom, console = chromium("--dump-dom", f"{address}/{frame.name}", scheme=scheme)
    (written,) = re.findall(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert written, console  # a probe that does not parse finds nothing
    text = written.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(text), console


def chromium(*arguments: str, scheme: int = LIGHT) -> tuple[str, list[str]]:
    """Its standard output, and what pages have written to the console."""
    how = ("--enable-logging=stderr", "--window-size=1400,1000", "--virtual-time-budget=20000")
    looking = command(*how, f"--blink-settings=preferredColorScheme={scheme}", *arguments)
    ran = subprocess.run(looking, capture_output=True, text=True, timeout=120, check=True)
    return ran.stdout, [line for line in ran.stderr.splitlines() if ":CONSOLE" in line]

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

# The page is looked at in frames, which may be narrower than Chromium lets its own windows be, a frame for
# each look, for a probe changes its page. What the probes return is written into the document, which Chromium
# prints once nothing is left to happen.
FRAMES = """<!DOCTYPE html><meta charset="utf-8"><body><script>
const answers = {{}}, looks = {{ {looks} }};
const answer = (frame, doc, probe) => {{
  try {{ return probe(frame, doc); }} catch (error) {{ return {{ error: String(error.stack) }}; }}
}};
for (const [name, [width, probe]] of Object.entries(looks)) {{
  const element = document.createElement("iframe");
  Object.assign(element.style, {{ border: 0, width: width + "px", height: "900px" }});
  element.onload = () => {{
    answers[name] = answer(element.contentWindow, element.contentDocument, probe);
    document.getElementById("answers").textContent = JSON.stringify(answers);
  }};
  element.src = "{page}";
  document.body.append(element);
}}
</script><pre id="answers"></pre>"""


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


def look(page: Path, probes: dict[str, tuple[int, str]], scheme: int = LIGHT) -> dict[str, Any]:
    """What the bodies of JavaScript functions of `frame` and `doc` find, at widths of their own, by name.

    Under `console` are the lines that the console wrote meanwhile.
    """
    looks = ",\n".join(
        f"{json.dumps(name)}: [{width}, (frame, doc) => {{ {probe} }}]"
        for name, (width, probe) in probes.items()
    )
    frames = page.with_name("frames.html")
    frames.write_text(FRAMES.format(page=page.name, looks=looks), encoding="utf-8")
    with served(page.parent) as address:
        dom, console = chromium("--dump-dom", f"{address}/{frames.name}", scheme=scheme)
    (written,) = re.findall(r'<pre id="answers">(.*?)</pre>', dom, re.DOTALL)
    assert written, console  # a probe that does not parse finds nothing
    text = written.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return {**json.loads(text), "console": console}


def chromium(*arguments: str, scheme: int = LIGHT) -> tuple[str, list[str]]:
    """Its standard output, and what pages have written to the console."""
    how = ("--enable-logging=stderr", "--window-size=1400,1000", "--virtual-time-budget=20000")
    how += ("--disable-ipc-flooding-protection",)  # probes change the address more often than people can
    looking = command(*how, f"--blink-settings=preferredColorScheme={scheme}", *arguments)
    ran = subprocess.run(looking, capture_output=True, text=True, timeout=120, check=True)
    return ran.stdout, [line for line in ran.stderr.splitlines() if ":CONSOLE" in line]

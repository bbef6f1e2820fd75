"""The documentation as a site: `make site` builds it from the Markdown as it stands, without network."""

import re
import tomllib
from pathlib import Path, PurePosixPath

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
FIRST = "README"
CONTENTS = """
```{toctree}
:hidden:
:glob:

docs/questions
docs/*
CONTRIBUTING
CHANGELOG
```
"""
REPORT = ROOT / "results" / "report.html"  # stands in the site as it is, and for its own Markdown too
REPORTS = (REPORT, REPORT.with_name("README.md"))
LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)\)")

project = "Crosscheck"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
root_doc = FIRST
pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md"]
evidence = ["backends*.md", "audit/**.md", "doctor/rates.md", "diagnose/**s.md", "practice/*.md"]
include_patterns = [*pages, *(f"results/{file}" for file in [*evidence, "bench/table.md"])]
exclude_patterns = [".*", "build", "suite", "studies", "tests", "benchmarks"]
extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_url_schemes = {"http": None, "https": None, "mailto": None, "site": "{{path}}"}
html_theme = "furo"
html_title = f"Crosscheck {release}"
html_extra_path = [str(REPORT)]
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}


def for_the_site(app: Sphinx, name: str, source: list[str]) -> None:
    """What a page needs here and not where it is read as a file: contents, and links to what is no page."""
    source[0] = LINK.sub(lambda link: linked(link, PurePosixPath(name)), source[0])
    if name == FIRST:
        source[0] += CONTENTS
    elif name.startswith("results/"):
        source[0] = "---\norphan: true\n---\n" + source[0]


def linked(link: re.Match[str], page: PurePosixPath) -> str:
    """A link to the report leads to its place in the site; one to a folder is only its words."""
    target = (ROOT / page.parent / link[2]).resolve()
    if target in REPORTS:
        return f"[{link[1]}](site:{'../' * (len(page.parts) - 1)}{REPORT.name})"
    return link[1] if target.is_dir() else link[0]


def setup(app: Sphinx) -> None:
    app.connect("source-read", for_the_site)

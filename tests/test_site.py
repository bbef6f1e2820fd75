"""The documentation as a site: it builds without a warning, and no link or picture of it leads nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("sphinx", reason="Sphinx is not installed (requirements.txt has it)")
pytest.importorskip("furo", reason="furo is not installed (requirements.txt has it)")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    how = ["-q", "-n", "-W", "--keep-going", "-d", folder / "doctrees", "-c", "docs", ".", folder / "pages"]
    ran = subprocess.run([sys.executable, "-m", "sphinx", *how], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return folder / "pages"


def addresses(page: Path) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]*)"', page.read_text(encoding="utf-8"))


def test_every_address_within_the_site_leads_to_a_file_and_to_a_place_in_it(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name != "report.html"]
    assert {"README.html", "docs/questions.html", "docs/api.html"} <= {
        str(p.relative_to(site)) for p in pages
    }
    for page in pages:
        for address in addresses(page):
            parts = urlsplit(address)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.is_file(), (page.name, address)
            if parts.fragment and target.suffix == ".html" and target.name != "report.html":
                assert f'id="{unquote(parts.fragment)}"' in target.read_text(encoding="utf-8"), (
                    page,
                    address,
                )


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r'<(?:script|img|iframe)[^>]*src="(https?:[^"]*)|<link[^>]*href="(https?:[^"]*)')
    for page in site.rglob("*.html"):
        assert not fetched.findall(page.read_text(encoding="utf-8")), page

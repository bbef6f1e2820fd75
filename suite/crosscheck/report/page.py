"""The report: results/README.md and results/report.html, made from what lies in the results folder alone."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from crosscheck._files import write_atomically
from crosscheck.claims import register
from crosscheck.claims.verdicts import RANK
from crosscheck.errors import UsageError
from crosscheck.report import audits, markup, path_matrix, tables
from crosscheck.report.figures import VERDICT_COLOURS
from crosscheck.report.records import read_all

TEMPLATES = Path(__file__).parent / "templates"
THUMBNAIL = (264, 176)  # pixels; shown at half of that
CHIPS = {"holds": "🟢", "scoped": "🔵", "fails": "🔴", "undecided": "⚪", "open": "🟡", "invalid": "🟣"}
TALLY = {"holds": "hold", "scoped": "hold within limits", "fails": "fail"}
MEANINGS = {
    "holds": "every check came out whole inside the region that was fixed before any run",
    "scoped": "holds where the chapter states it, and breaks on some execution path or condition named here",
    "fails": "at least one check came out whole outside its region: the sentence is false as written",
    "undecided": "the evidence here does not suffice; the reason says what would",
    "open": "what would decide was not run here; what was run here agrees with the reference",
    "invalid": "a control, which must fail, did not: the measurement cannot be trusted either way",
}


def write_report(folder: Path) -> list[Path]:
    """Write README.md and report.html into the results folder, and return their places.

    Raises:
        UsageError: where there is nothing to report, a file in it is broken, or it cannot be written.
    """
    records = sorted(read_all(folder), key=place_in_register)
    if not records:
        raise UsageError(f"There are no results in {folder}. Run `make` or `crosscheck run` first.")
    views = [view(folder / record["study"], record) for record in records]
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    told = {
        **{"claims": views, "sure": sureness(records), "tally": tally(records)},
        **{"verdicts": counted(records), "published": published(records), "audit": audits.read(folder)},
        **{"script": Markup(script), "script_hash": fingerprint(script)},
    }
    written = {"README.md": "report.md.j2", "report.html": "report.html.j2"}
    for file, template in written.items():
        write_atomically(folder / file, environment().get_template(template).render(told))
    return [folder / file for file in written]


def fingerprint(script: str) -> str:
    """By which the page's own policy knows its one script, and lets no other run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def place_in_register(record: dict[str, Any]) -> tuple[int, str]:
    """Studies that have left the register come last."""
    name, names = record["study"], register.NAMES
    return (names.index(name) if name in names else len(names), name)


def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=lambda name: str(name).endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals.update(interval=tables.interval, scopes=path_matrix, symbols=path_matrix.SYMBOLS)
    made.globals.update(colours=VERDICT_COLOURS, chips=CHIPS, meanings=MEANINGS)
    made.filters.update(number=tables.number, percent=tables.percent, told=told)
    made.filters.update(md=markup.markdown, mdmath=markup.markdown_formula)
    made.filters.update(
        mathml=markup.mathml, codename=markup.code, ticked=markup.ticked, breakable=markup.breakable
    )
    return made


def view(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """A study's record with what else its section shows."""
    absent = {name for check in record["checks"] for name in check["absent"]}
    checks = [{**check, "where": deciding(check)} for check in record["checks"]]
    return {
        **record,
        "checks": checks,
        "name": record["study"],
        "headline": headline(record),
        "absent": sorted(absent),
        "advice": record.get("advice"),
        "table": table(folder),
        "figure": figure(folder),
    }


def deciding(check: dict[str, Any]) -> str:
    """The setting or path whose estimate is shown for the whole check, where there are several."""
    parts = check["parts"]
    numbers = ("estimate", "interval", "n")
    same = (part["setting"] for part in parts if all(part[key] == check[key] for key in numbers))
    return next(same, "") if len(parts) > 1 else ""


def headline(record: dict[str, Any]) -> dict[str, str]:
    """Why the verdict is what it is, in one line: the check that decides, if one does, and what it says."""
    verdict, checks = record["verdict"], [c for c in record["checks"] if not c.get("unrun")]
    if verdict == "holds":
        return {
            "id": "",
            "text": f"all {len(checks)} checks hold" if len(checks) > 1 else "its one check holds",
        }
    if verdict == "open":
        return {"id": "", "text": "what was run here agrees with the reference, which rests on more"}
    wanted = "fails" if verdict == "scoped" else verdict
    deciding = [
        c for c in checks if c["verdict"] == wanted and (c["kind"] == "scope") == (verdict == "scoped")
    ]
    found = (deciding or [c for c in checks if c["verdict"] == wanted] or checks)[0]
    others = len(deciding) - 1
    more = f"; and {others} more check{'s' if others > 1 else ''}" if others > 0 else ""
    return {"id": found["id"], "text": why(found, verdict) + more}


def why(check: dict[str, Any], verdict: str) -> str:
    if verdict == "scoped":
        return path_matrix.counted(check["scope"]) or broken(check)
    if verdict == "fails":
        return broken(check)
    return check["reason"] or check["verdict"]


def broken(check: dict[str, Any]) -> str:
    return f"does not hold: {check['statement'].removesuffix('.')}"


def counted(records: list[dict[str, Any]]) -> list[tuple[str, int]]:
    count = Counter(record["verdict"] for record in records)
    return [(verdict, count[verdict]) for verdict in MEANINGS if count[verdict]]


def published(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What others have published, each number beside the check that holds ours against it."""
    found = []
    for record in records:
        if told := record.get("published"):
            checks = {check["id"]: check for check in record["checks"]}
            numbers = [{**each, "check": checks[each["check"]]} for each in told["numbers"]]
            found.append({**told, "numbers": numbers, "name": record["study"], "title": record["title"]})
    return found


def tally(records: list[dict[str, Any]]) -> str:
    """`3 hold, 1 fails and 2 are undecided`."""
    count = Counter(record["verdict"] for record in records)
    parts = [tallied(verdict, count[verdict]) for verdict in reversed(RANK) if count[verdict]]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def tallied(verdict: str, n: int) -> str:
    if verdict in TALLY:
        verb, _, rest = TALLY[verdict].partition(" ")
        return f"{n} {verb}{'s' if n == 1 else ''} {rest}".strip()
    return f"{n} {'is' if n == 1 else 'are'} {verdict}"


def sureness(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Error rate, intervals and level; where runs differ, the weaker promise."""
    found = [record["provenance"] for record in records]
    return {
        "error_rate": max((p["error_rate"] for p in found if p.get("error_rate")), default=None),
        "level": min((p["level"] for p in found if p.get("level")), default=None),
        "intervals": max((p["intervals"] for p in found if p.get("intervals")), default=None),
    }


def table(folder: Path) -> dict[str, Any] | None:
    path = folder / "table.csv"
    if not path.exists():
        return None
    frame = tables.read(path)
    rows = [[tables.cell(v) for v in row] for row in frame.itertuples(index=False, name=None)]
    numeric = [tables.is_numeric(frame.iloc[:, i]) for i in range(frame.shape[1])]
    return {"heads": list(frame.columns), "rows": rows, "numeric": numeric, "md": tables.to_markdown(frame)}


def figure(folder: Path) -> dict[str, Any] | None:
    """The figure as data: whichever of its two files is smaller, and a thumbnail."""
    from PIL import Image  # Matplotlib cannot be installed without it

    svg, png = folder / "figure.svg", folder / "figure.png"
    if not (svg.exists() and png.exists()):
        return None
    try:
        kinds = {"image/svg+xml": svg.read_bytes(), "image/png": png.read_bytes()}
        image = Image.open(io.BytesIO(kinds["image/png"])).convert("RGB")
    except OSError as error:
        raise UsageError(
            f"{png} is not a picture: {error}. Write it afresh with `crosscheck run`."
        ) from error
    kind = min(kinds, key=lambda kind: len(kinds[kind]))
    shown = {"width": image.width * 2 // 3, "height": image.height * 2 // 3}  # an inch has 150 and takes 100
    image.thumbnail(THUMBNAIL)
    small = io.BytesIO()
    image.quantize(32).save(small, "png", optimize=True)
    return {"uri": data_uri(kind, kinds[kind]), "thumbnail": data_uri("image/png", small.getvalue()), **shown}


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def told(value: Any) -> str:
    """Provenance in a line: nested facts are listed."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {told(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(told, value)) or "none"
    return tables.number(value, 6) if isinstance(value, float) else tables.cell(value)

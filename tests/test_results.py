"""What a study leaves behind: complete, in the promised shape, whole or not at all, the same every time."""

import contextlib
import errno
import io
import json
import os
from pathlib import Path

import made_up_study as made_up
import numpy as np
import pytest
from PIL import Image

from crosscheck._files import write_atomically
from crosscheck.claims.words import Verdict
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.report import figures, records

ROOT = Path(__file__).parents[1]
TOP = ["study", "claim", "source", "verdict", "checks", "provenance"]
CHECK = ["id", "statement", "kind", "criterion", "theory", "estimate", "interval", "level", "n", "verdict"]
CHECK += ["scope", "control"]
FILES = {"verdict.json", "table.csv", "table.md", "table.tex", "figure.svg", "figure.png"}


def write(folder: Path, study=None) -> dict:
    place = made_up.write(folder, "saturation", study or made_up.study())
    return json.loads((place / "verdict.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("results")
    write(place)
    return place


@pytest.fixture
def record(folder):
    return json.loads((folder / "saturation" / "verdict.json").read_text(), parse_constant=pytest.fail)


def test_every_file_is_there_and_no_other(folder):
    assert {path.name for path in (folder / "saturation").iterdir()} == FILES


def test_verdict_has_the_keys_of_the_design_first_and_in_its_order(record):
    assert list(record)[: len(TOP)] == TOP
    for check in record["checks"]:
        assert list(check)[: len(CHECK)] == CHECK
        assert {"statement", "estimate", "interval", "verdict"} <= set(check["control"])


def test_verdict_says_what_was_judged(record):
    assert {check["id"]: check["verdict"] for check in record["checks"]} == {
        "gradient": "fails", "mean": "holds", "bounded": "fails", "minimum": "undecided",
    }  # fmt: skip
    assert record["verdict"] == "fails"
    assert record["claim"] == made_up.study().CLAIM.statement
    assert record["provenance"]["seconds"] == 1.5
    assert record["checks"][1]["absent"] == ["mnist"]
    assert "fresh seeds would decide" in record["checks"][3]["reason"]


def test_the_same_input_gives_the_same_bytes(folder, tmp_path):
    write(tmp_path)
    for name in FILES:
        assert (tmp_path / "saturation" / name).read_bytes() == (folder / "saturation" / name).read_bytes(), (
            name
        )


def test_files_carry_no_date_and_no_version_of_the_drawing_library(folder):
    for name in ("figure.svg", "figure.png"):
        content = (folder / "saturation" / name).read_bytes()
        assert b"dc:date" not in content
        assert b"matplotlib version" not in content.lower() and b"Matplotlib v" not in content


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.float64("nan"), None), (float("inf"), None), (np.float32(0.5), 0.5), (np.int64(3), 3),
        (np.bool_(True), True), (np.array([1.0, np.nan]), [1.0, None]), ((1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]), (Path("x"), "x"),
        ({1: {"deep": (float("nan"),)}}, {"1": {"deep": [None]}}),
    ],
)  # fmt: skip
def test_json_takes_what_measurements_bring(value, written):
    assert json.loads(records.to_json(value), parse_constant=pytest.fail) == written


@pytest.mark.parametrize(
    "file", sorted((ROOT / "results").glob("*/verdict.json")), ids=lambda file: file.parent.name
)
def test_a_committed_verdict_read_and_written_is_the_same_to_the_byte(file):
    assert records.to_json(records.read(file)) == file.read_text(encoding="utf-8")


def test_a_record_has_the_region_of_each_criterion(record):
    regions = {check["id"]: check["region"] for check in record["checks"]}
    assert regions == {
        "gradient": [None, 4.0], "mean": [-0.05, 0.05], "bounded": [0.2, None], "minimum": [0.1, None],
    }  # fmt: skip


def test_read_all_returns_what_was_written(folder, record):
    (read,) = records.read_all(folder)
    assert records.plain(read) == record


def test_other_folders_beside_the_studies_are_no_studies(folder, tmp_path):
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "bench.json").write_text("[]")
    assert records.read_all(tmp_path) == []


def spoilt(record, change):
    change(record)
    return json.dumps(record)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda r: r.pop("checks"), "missing required field `checks`"),
        (lambda r: r.update(verdict="true"), r"'true' - at `\$.verdict`"),
        (lambda r: r.update(study="other"), "study is 'other'"),
        (lambda r: r["checks"][0].update(interval=[1]), r"length 2, got 1 - at `\$.checks\[0\].interval`"),
        (lambda r: r["checks"][0].update(estimate="1"), r"got `str` - at `\$.checks\[0\].estimate`"),
        (lambda r: r["checks"][0].update(n=True), r"got `bool` - at `\$.checks\[0\].n`"),
        (
            lambda r: r["checks"][0]["control"].update(verdict=None),
            r"got `null` - at `\$.checks\[0\].control.verdict`",
        ),
        (lambda r: r["checks"][0]["scope"].update(somewhere="maybe"), r"'maybe' - at `\$.checks\[0\].scope"),
        (
            lambda r: r["checks"][1]["parts"][0].pop("interval"),
            r"missing required field `interval` - at `\$.checks\[1\].parts\[0\]`",
        ),
        (lambda r: r["checks"].append("x"), r"Expected `object`, got `str` - at `\$.checks\[4\]`"),
        (lambda r: r["provenance"].update(level="high"), r"got `str` - at `\$.provenance.level`"),
        (lambda r: r["provenance"].update(seconds=float("nan")), "malformed: invalid character"),
    ],
)
def test_a_foreign_verdict_is_refused_and_named(record, tmp_path, change, complaint):
    path = tmp_path / "saturation" / "verdict.json"
    write_atomically(path, spoilt(record, change))
    with pytest.raises(UsageError, match=complaint) as caught:
        records.read_all(tmp_path)
    assert str(path) in str(caught.value) and "crosscheck run saturation" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"verdict": NaN}', b"[" * 100_000])
def test_a_broken_verdict_is_refused_and_named(tmp_path, content):
    write_atomically(tmp_path / "saturation" / "verdict.json", content)
    with pytest.raises(UsageError, match=str(tmp_path / "saturation")):
        records.read_all(tmp_path)


@pytest.mark.parametrize("part", ["table", "figure"])
def test_a_study_that_cannot_draw_keeps_its_verdict_and_shows_nothing_stale(tmp_path, part):
    write(tmp_path)
    broken = made_up.study()
    setattr(broken, part, lambda rows: {}["missing"])
    with pytest.raises(
        CrosscheckError, match=f"saturation: its {part} could not be made .KeyError"
    ) as caught:
        write(tmp_path, broken)
    assert not isinstance(caught.value, UsageError)
    left = {path.name for path in (tmp_path / "saturation").iterdir()}
    assert left == {name for name in FILES if not name.startswith(part)}


def failing(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "complaint"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EFBIG, "raise the limit"),
    ],
)
def test_a_disk_that_refuses_is_one_clear_message_and_the_old_file_stays(
    tmp_path, monkeypatch, number, complaint
):
    path = tmp_path / "file.txt"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(UsageError, match=complaint) as caught:
        write_atomically(path, "new")
    assert str(path) in str(caught.value)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"file.txt": "old"}


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path):
    path = tmp_path / "file.txt"
    write_atomically(path, "old")
    with path.open() as reader:
        write_atomically(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="no permission"):
        write_atomically(tmp_path / "file.txt", "")


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        write(tmp_path / "results")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", [verdict.colour for verdict in Verdict])
def test_verdict_colours_can_be_read_in_light_and_dark(colour):
    assert contrast(colour, "#ffffff") >= 4.5
    assert contrast(colour, "#14171b") >= 3


def test_the_look_is_the_same_whatever_the_user_has_set_and_is_put_back(monkeypatch):
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "lines.linewidth", 17.0)
    with figures.theme():
        assert mpl.rcParams["lines.linewidth"] == figures.LOOK["lines.linewidth"]
    assert mpl.rcParams["lines.linewidth"] == 17.0


def test_band_is_between_ordered_values():
    """At 95 %, the median of seven lies between the smallest and the largest."""
    values = np.random.default_rng(0).normal(size=(7, 3))
    _, (ax,) = figures.panels()
    figures.median_with_interval(ax, np.arange(3), values)
    corners = ax.collections[0].get_paths()[0].vertices
    for x in range(3):
        ends = corners[corners[:, 0] == x][:, 1]
        np.testing.assert_allclose([ends.min(), ends.max()], [values[:, x].min(), values[:, x].max()])


def test_one_seed_has_no_band():
    _, (ax,) = figures.panels()
    figures.median_with_interval(ax, np.arange(3), np.zeros((1, 3)))
    assert not ax.collections


def test_the_bytes_that_are_saved_on_figures_are_not_seen() -> None:
    figure, (ax,) = figures.panels()
    ax.plot(np.linspace(0, 1, 50), np.linspace(0, 1, 50) ** 2)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    few = np.asarray(Image.open(io.BytesIO(figures.in_a_palette(stream))).convert("RGB"), float)
    whole = np.asarray(Image.open(stream).convert("RGB"), float)
    assert np.abs(few - whole).mean() < 1 and np.abs(few - whole).max() < 40


def test_short_groups_of_json_take_a_line_and_stay_what_they_are() -> None:
    value = {"interval": [1.0, 2.0], "parts": [{"setting": "a, {b}\n[c]", "n": 1}], "long": list(range(200))}
    text = records.to_json(value)
    assert json.loads(text) == value
    assert '"interval": [ 1.0, 2.0 ]' in text and len(text.splitlines()) > 200


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_figure_laid_out_without_a_drawing_is_the_same(kind: str) -> None:
    def drawn() -> bytes:
        figure, axes = figures.panels(2)
        for ax in axes:
            ax.plot([1, 1e5], [1, 1e-9], label="a line")
            ax.set(title="A title", xlabel="$x^2$", yscale="log", xscale="log")
            ax.legend()
        stream = io.BytesIO()
        with figures.laid_out_once(figure) if leave_out else contextlib.nullcontext():
            figure.savefig(stream, format=kind, metadata={"Date": None} if kind == "svg" else {})
        return stream.getvalue()

    with figures.theme():
        leave_out = False
        plain = drawn()
        leave_out = True
        assert drawn() == plain

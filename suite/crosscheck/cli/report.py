"""`crosscheck report`: the report written anew from results that are there."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.cli.options import FOLDER, results_option


@click.command("report")
@results_option
@click.option("--pdf", type=FOLDER, metavar="FILE", help="Print it into FILE as well; needs Chromium.")
def command(results: Path, pdf: Path | None) -> None:
    """Write the report and the chapter's verdicts anew, from what the studies have left there."""
    from crosscheck.report.page import write_report
    from crosscheck.running.conclude import reference_records

    files = write_report(results, reference_records)
    if pdf:
        from crosscheck.report.pdf import to_pdf

        to_pdf(files[-1], pdf)
        files.append(pdf)
    for file in files:
        click.echo(file)

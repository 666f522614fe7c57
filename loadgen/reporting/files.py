"""The files of a report."""

from pathlib import Path

from loadgen.report_data import Report
from loadgen.reporting.json_report import dump
from loadgen.reporting.page import page

JSON_FILE, PAGE_FILE = "report.json", "report.html"


def write(report: Report, folder: Path) -> list[Path]:
    """Write both files into a folder, which is made if it is not there; returns their paths. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in ((JSON_FILE, dump(report)), (PAGE_FILE, page(report))):
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written

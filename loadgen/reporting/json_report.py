"""A report as JSON, for programs: the dataclasses of `loadgen.report_data`, field by field.

Two keys come before them. `format` is raised when a key changes its meaning or goes; new keys may come at any time.
`balances` is the verdict. Percentiles are keys as they are written, "50" or "99.9"; a number that is none is null.
"""

import json
import math
from typing import Any

from pydantic import TypeAdapter, ValidationError

from loadgen.report_data import Report

FORMAT = 1

_REPORT = TypeAdapter(Report)


class UnreadableReportError(Exception):
    """A text is no report of this format. reason: stable."""

    reason = "unreadable_report"


def dump(report: Report) -> str:
    """The report as indented JSON with a line's end."""
    document = _REPORT.dump_python(report)
    for name in ("to_answer", "to_last_step"):
        document[name]["at"] = {f"{percentile:g}": value for percentile, value in document[name]["at"].items()}
    whole = {"format": FORMAT, "balances": report.verdict.balances, **document}
    return json.dumps(_without_nan(whole), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def load(text: str) -> Report:
    """What `dump` has written. Raises UnreadableReportError."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise UnreadableReportError(f"format {document['format']} is not {FORMAT}")
        return _REPORT.validate_python({key: document[key] for key in Report.__dataclass_fields__ if key in document})
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise UnreadableReportError(f"this is no report of a load test: {error}") from error


def _without_nan(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _without_nan(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_without_nan(inner) for inner in value]
        case _:
            return value

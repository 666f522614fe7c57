"""Reading JSON of which nothing is certain: a value of another type than documented is as good as none.

Only `required` insists. So one odd field of an event costs that field, and not the customer's message.
"""

import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NoReturn

from ingest.adapters.base import ParseError, Slice, dump_slice

Json = Mapping[str, object]
_EMPTY: Json = {}


def mapping(value: object) -> Json:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else _EMPTY


def mappings(value: object) -> list[Json]:
    """The objects of a JSON array; none for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """A string, or an integer's digits (ids come as both); empty for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def number(value: object) -> float | None:
    """A finite JSON number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def integer(value: object) -> int | None:
    """A JSON integer, or one in a string, of 64 bits at the most."""
    written = text(value)
    if len(written) > 20 or not written.removeprefix("-").isdecimal():
        return None
    return int(written)


def size(value: object) -> int | None:
    """A number of bytes."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def instant(value: object) -> datetime | None:
    """A time as Unix seconds (a number, or digits in a string) or as ISO 8601, which is UTC if it names no zone."""
    if isinstance(value, str) and not value.isdecimal():
        return _iso_instant(value)
    seconds = number(int(value) if isinstance(value, str) and len(value) <= 15 else value)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


_LATEST_SECONDS = 10**11
"""Year 5138 in seconds, 1973 in milliseconds: what is less is no time in milliseconds."""


def instant_in_milliseconds(value: object) -> datetime | None:
    """The same where milliseconds are due; seconds, which Meta's test tools send, are known by their size."""
    count = integer(value)
    return instant(value) if count is None or count < _LATEST_SECONDS else instant(count / 1000)


def _iso_instant(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def required(source: Json, name: str) -> str:
    """The string or integer of that name. Raises ParseError if there is none."""
    return text(source.get(name)) or missing(name)


def missing(name: str) -> NoReturn:
    """Raises ParseError for an event that lacks what it must have."""
    raise ParseError(f"{name} is missing or not of its type")


def an_object(value: object, name: str) -> Json:
    """`value` as a JSON object. Raises ParseError if it is none."""
    return value if isinstance(value, dict) else missing(name)


def fingerprint(event: Slice) -> str:
    """What stands for the id of an event that has none: the same bytes give the same."""
    return hashlib.sha256(dump_slice(event)).hexdigest()

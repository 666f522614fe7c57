"""Pages of long lists, by keyset: a page begins where the one before it ended, whatever was added meanwhile."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

import orjson
from fastapi import Path, Query
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from console.problems import ProblemError
from crm_store.views.chats import Place

T = TypeVar("T")

_LARGEST = 2**63 - 1
_Number = Annotated[int, Field(ge=0, le=_LARGEST)]
_AT = TypeAdapter(tuple[_Number])
_PAIR = TypeAdapter(tuple[_Number, _Number])
_MOMENT = TypeAdapter(tuple[AwareDatetime, _Number])
_PLACE = TypeAdapter(tuple[AwareDatetime, _Number, _Number])
_YEARS = range(2, 9999)

RowId = Annotated[int, Path(ge=1, le=_LARGEST, description="A number.")]
"""An id in a path, no larger than PostgreSQL's bigint."""

Limit = Annotated[int, Query(ge=1, le=200, description="How many items the page may have.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before; opaque.")]


class Page(BaseModel, Generic[T]):
    """A part of a list. next: the `cursor` of the following page; null after the last."""

    items: list[T]
    next: str | None


def page(found: Sequence[T], limit: int, cursor_of: Callable[[T], str]) -> Page[T]:
    """A page of `limit` items out of up to `limit` + 1 that were found."""
    items = list(found[:limit])
    return Page[T](items=items, next=cursor_of(items[-1]) if len(found) > limit else None)


def number_cursor(number: int) -> str:
    """A cursor that is an id or a place in a chat."""
    return _encode(orjson.dumps([number]))


def read_number(cursor: str | None) -> int | None:
    """Raises ProblemError."""
    return None if cursor is None else _decode(cursor, _AT)[0]


def pair_cursor(first: int, second: int) -> str:
    """A cursor that is a chat and a place in it."""
    return _encode(orjson.dumps([first, second]))


def read_pair(cursor: str | None) -> tuple[int, int] | None:
    """Raises ProblemError."""
    return None if cursor is None else _decode(cursor, _PAIR)


def moment_cursor(at: datetime, number: int) -> str:
    """A cursor that is a time and an id."""
    return _encode(orjson.dumps([at, number]))


def read_moment(cursor: str | None) -> tuple[datetime, int] | None:
    """Raises ProblemError."""
    if cursor is None:
        return None
    at, number = _decode(cursor, _MOMENT)
    if at.year not in _YEARS:
        raise _bad_cursor()
    return _utc(at), number


def place_cursor(place: Place) -> str:
    """A cursor that is a place in a card's history."""
    return _encode(orjson.dumps([place.at, place.chat_id, place.seq]))


def read_place(cursor: str | None) -> Place | None:
    """Raises ProblemError."""
    if cursor is None:
        return None
    at, chat_id, seq = _decode(cursor, _PLACE)
    if at.year not in _YEARS:
        raise _bad_cursor()
    return Place(_utc(at), chat_id, seq)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _encode(values: bytes) -> str:
    return base64.urlsafe_b64encode(values).decode().rstrip("=")


_C = TypeVar("_C")


def _decode(cursor: str, form: TypeAdapter[_C]) -> _C:
    try:
        written = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return form.validate_json(written)
    except (binascii.Error, ValidationError, ValueError) as error:
        raise _bad_cursor() from error


def _bad_cursor() -> ProblemError:
    return ProblemError(422, "bad_cursor", "take `cursor` from `next` of a page of this list, and change nothing")

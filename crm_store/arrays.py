"""How lists become PostgreSQL arrays: every set-based query sends some, and psycopg's own way is several times slower.

psycopg looks at each element with one regular expression and escapes it with another. Here elements are always quoted,
which arrays allow for all types, and escaped by plain replacement. Integers are always sent as `bigint[]`: psycopg
would take the smallest type that holds them, and a statement would be prepared anew for each.
"""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.abc import AdaptContext, Buffer, DumperKey, PyFormat
from psycopg.adapt import AdaptersMap
from psycopg.types.array import BaseListDumper, ListDumper

_NULL = "NULL"

_BIGINT_ARRAY = 1016
"""Its OID, which is the same on every server."""


class ArrayDumper(ListDumper):
    """Writes the same arrays as its base, faster. Nested lists are left to the base."""

    def get_key(self, obj: list[Any], format: PyFormat) -> DumperKey:  # noqa: A002  psycopg's name for it
        """What lists of integers and of texts have in common is found by their types alone."""
        kinds = _kinds(obj)
        if kinds == {int}:
            return _INTS
        return _TEXTS if kinds <= {str} else super().get_key(obj, format)

    def upgrade(self, obj: list[Any], format: PyFormat) -> BaseListDumper:  # noqa: A002  as above
        """The dumper for lists of this key."""
        kinds = _kinds(obj)
        if kinds == {int}:
            return _IntsDumper(self.cls, self._tx)
        return _TextsDumper(self.cls, self._tx) if kinds <= {str} else super().upgrade(obj, format)

    def dump(self, obj: list[Any]) -> Buffer | None:
        """Raises psycopg.DataError for a NUL and UnicodeEncodeError for a lone surrogate, as psycopg does."""
        kinds = _kinds(obj)
        if not kinds or self.sub_dumper is None or any(issubclass(kind, list) for kind in kinds):
            return super().dump(obj)
        return b"{" + b",".join([self._quoted(item) for item in obj]) + b"}"

    def _quoted(self, item: Any) -> bytes:
        dumped = None if item is None or self.sub_dumper is None else self.sub_dumper.dump(item)
        if dumped is None:
            return _NULL.encode()
        return b'"' + bytes(dumped).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


class _IntsDumper(ListDumper):
    oid = _BIGINT_ARRAY

    def dump(self, obj: list[int | None]) -> Buffer | None:
        return f"{{{','.join([_NULL if item is None else str(item) for item in obj])}}}".encode()


class _TextsDumper(ListDumper):
    """An array of a type that the server finds out, as psycopg sends texts."""

    def dump(self, obj: list[str | None]) -> Buffer | None:
        written = ",".join(
            [_NULL if item is None else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in obj]
        )
        if "\0" in written:
            raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        return f"{{{written}}}".encode()


# Of our own: psycopg's key of a nested list is that of its elements.
_INTS: DumperKey = (list, "integers")  # type: ignore[assignment]
_TEXTS: DumperKey = (list, "texts")  # type: ignore[assignment]


def _kinds(items: list[Any]) -> set[type]:
    kinds = set(map(type, items))
    kinds.discard(type(None))
    return kinds


@dataclass(frozen=True, slots=True)
class _Context:
    """What a connection takes its adapters from when it is made."""

    adapters: AdaptersMap
    connection: None = None


CONTEXT: AdaptContext = _Context(AdaptersMap(psycopg.adapters))
"""psycopg's adapters, with ArrayDumper for lists."""

CONTEXT.adapters.register_dumper(list, ArrayDumper)

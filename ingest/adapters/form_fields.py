"""The fields of a submitted web form, from the three ways in which sites send them; text only, and bounded."""

import codecs
from collections.abc import Callable
from urllib.parse import parse_qsl

from python_multipart.multipart import MultipartParser, parse_options_header

from ingest.adapters.base import ParseError, dump_slice, load_json
from ingest.adapters.reading import an_object

MOST_FIELDS = 200
FIELD_LENGTH = 64 * 1024
"""Bytes of one field of a multipart form."""

CHARSETS = ("ascii", "utf-8", "utf-16", "iso8859", "cp12", "cp866", "koi8", "gb", "big5", "shift_jis", "euc_")
"""Beginnings of the names, as Python gives them, of charsets that a form may be in."""

_JOINED = ", "

Fields = dict[str, str]
"""By name, in the form's order; the values of a name that comes several times are joined."""


def read_fields(content_type: str, body: bytes) -> Fields:
    """The text fields of a form. Raises ParseError if it cannot be read or is beyond the bounds."""
    media_type, options = parse_options_header(content_type)
    charset = _charset(options.get(b"charset", b""))
    match media_type:
        case b"multipart/form-data":
            pairs = _multipart(body, options.get(b"boundary", b""), charset)
        case b"application/json":
            pairs = _json(body)
        case _:
            pairs = _urlencoded(body, charset)
    return _join(pairs)


def _join(pairs: list[tuple[str, str]]) -> Fields:
    fields: Fields = {}
    for name, value in pairs:
        fields[name] = f"{fields[name]}{_JOINED}{value}" if name in fields else value
    return fields


def _charset(written: bytes) -> str:
    """The named charset if browsers know it: others (punycode, idna) take quadratic time, or are none of text."""
    try:
        name = codecs.lookup(written.decode("ascii")).name if written else "utf-8"
    except (LookupError, UnicodeDecodeError, ValueError):
        return "utf-8"
    return name if name.startswith(CHARSETS) else "utf-8"


def _decode(value: bytes, charset: str) -> str:
    try:
        return value.decode(charset, "replace")
    except (LookupError, ValueError):  # a codec that is none of text
        return value.decode("utf-8", "replace")


def _urlencoded(body: bytes, charset: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            _decode(body, charset),
            keep_blank_values=True,
            encoding=charset,
            errors="replace",
            max_num_fields=MOST_FIELDS,
        )
    except (ValueError, LookupError) as error:
        raise ParseError("the form cannot be read, or has too many fields") from error


def _json(body: bytes) -> list[tuple[str, str]]:
    fields = an_object(load_json(body), "form")
    if len(fields) > MOST_FIELDS:
        raise ParseError("the form has too many fields")
    return [(name, _json_text(value)) for name, value in fields.items() if value is not None]


def _json_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _JOINED.join(_json_text(item) for item in value)
    return dump_slice(value).decode()


class _Parts:
    """Collects the parts of a multipart form; files are passed over."""

    def __init__(self, charset: str) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.complete = False
        self._charset = charset
        self._header, self._header_value, self._disposition = bytearray(), bytearray(), b""
        self._value = bytearray()

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._end_form,
        }

    def _begin(self) -> None:
        self._value, self._disposition = bytearray(), b""

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header, self._header_value = bytearray(), bytearray()

    def _end_form(self) -> None:
        self.complete = True

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._value.extend(data[start : min(end, start + FIELD_LENGTH + 1 - len(self._value))])

    def _end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" in options or b"name" not in options:
            return
        if len(self._value) > FIELD_LENGTH or len(self.pairs) == MOST_FIELDS:
            raise ParseError("the form has too many fields, or one that is too long")
        self.pairs.append((_decode(options[b"name"], self._charset), _decode(bytes(self._value), self._charset)))


def _multipart(body: bytes, boundary: bytes, charset: str) -> list[tuple[str, str]]:
    if not boundary:
        raise ParseError("the multipart form names no boundary")
    parts = _Parts(charset)
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        parser.write(body)
    except ValueError as error:
        raise ParseError("the multipart form cannot be read") from error
    if not parts.complete:
        raise ParseError("the multipart form has no end")
    return parts.pairs

"""Streams as files: lines of JSON, a header and then one request a line. The same stream is the same bytes."""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from loadgen.evaluation.said import Given
from loadgen.streams.stream import Header, Meaning, Request, Stream, Trouble

FORMAT = 1


class StreamFileError(Exception):
    """A file is no stream. The message names the file and the line."""


def write_stream(stream: Stream, path: Path) -> None:
    """Write a stream. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in (_header(stream.header), *map(_line, stream.requests)):
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_stream(path: Path) -> Stream:
    """Raises StreamFileError, OSError."""
    with path.open(encoding="utf-8") as file:
        lines = enumerate(file, 1)
        _, first = next(lines, (0, ""))
        header = _read(path, 1, first, _read_header)
        requests = [_read(path, number, line, _read_request) for number, line in lines]
    if any(one.at > other.at for one, other in pairwise(requests)):
        raise StreamFileError(f"{path}: the requests are not in the order of their times")
    return Stream(header, requests)


def _header(header: Header) -> dict[str, Any]:
    return {"openchannel_stream": FORMAT, **asdict(header)}


def _line(request: Request) -> dict[str, Any]:
    try:
        body = {"text": request.body.decode()}
    except UnicodeDecodeError:
        body = {"base64": base64.b64encode(request.body).decode()}
    meaning = {name: value for name, value in asdict(request.meaning).items() if value}
    if request.meaning.gives:
        meaning["gives"] = [[one.kind, one.value, one.evidence] for one in request.meaning.gives]
    return {
        "at": request.at,
        "channel": request.channel,
        "delivery": request.delivery,
        **({"trouble": request.trouble.value} if request.trouble else {}),
        **body,
        "means": meaning,
    }


_R = TypeVar("_R")


def _read(path: Path, number: int, line: str, read: Callable[[dict[str, Any]], _R]) -> _R:
    try:
        return read(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise StreamFileError(f"{path}:{number}: this is no line of a stream: {error!r}") from error


def _read_header(line: dict[str, Any]) -> Header:
    if line["openchannel_stream"] != FORMAT:
        raise ValueError(f"format {line['openchannel_stream']}, and this program reads format {FORMAT}")
    return Header(
        int(line["seed"]), str(line["profile"]), float(line["rate"]), float(line["seconds"]), int(line["desk"])
    )


def _read_request(line: dict[str, Any]) -> Request:
    means = line["means"]
    gives = tuple(Given(*map(str, one)) for one in means.get("gives", ()))
    texts = {name: str(means.get(name, "")) for name in ("message", "chat", "customer", "name", "text", "edits")}
    body = line["text"].encode() if "text" in line else base64.b64decode(line["base64"], validate=True)
    return Request(
        float(line["at"]),
        str(line["channel"]),
        str(line["delivery"]),
        body,
        Meaning(gives=gives, **texts),
        Trouble(line.get("trouble", "")),
    )

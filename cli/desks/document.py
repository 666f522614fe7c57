"""YAML with positions: a tree of nodes that know where they stand.

PyYAML's parser is used up to its events, and nothing is constructed from them: no tag can make an object, an alias
cannot be a bomb, and `NO` stays Norway, because the field that reads a value decides what it is.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from cli.desks.problems import DeskError, Place, Problem

LARGEST = 1024 * 1024
"""Bytes of a file."""

DEEPEST = 20

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+([eE][-+][0-9]+)?")
_LONGEST_INTEGER = 300
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_TAB_INDENT = re.compile(r" *\t")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """plain: written without quotes, so it may also mean a number, `true`, `false` or `null`."""

    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file and its place; `keys` are the places of a mapping's keys."""

    place: Place
    content: "Scalar | list[Node] | dict[str, Node]"
    keys: "dict[str, Place] | None" = None

    def value(self) -> Any:
        """As JSON would have it."""
        match self.content:
            case Scalar():
                return _scalar_value(self.content)
            case list():
                return [item.value() for item in self.content]
            case _:
                return {key: item.value() for key, item in self.content.items()}


def read_file(path: Path) -> str:
    """The text of a desk's file. Raises DeskError."""

    def refused(message: str, line: int = 0, column: int = 0) -> DeskError:
        return DeskError(str(path), [Problem(Place("", line, column), message)])

    try:
        with path.open("rb") as file:
            body = file.read(LARGEST + 1)
    except OSError as error:
        raise refused(f"cannot be read: {error.strerror or error}") from error
    if len(body) > LARGEST:
        raise refused("is larger than 1 MiB; a desk's file is not, split it if it really is one")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = body[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise refused("is not UTF-8; save it as UTF-8", line, column) from error


def read_document(source: str, text: str, problems: list[Problem]) -> Node:
    """The tree of the only document. What can be left out of the tree is added to `problems`.

    Raises DeskError where nothing can be read any further.
    """
    try:
        return _Composer(text, problems).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        place = Place("", line, error.position - text.rfind("\n", 0, error.position))
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML; remove it"
        raise DeskError(source, [*problems, Problem(place, message)]) from error
    except yaml.MarkedYAMLError as error:
        raise DeskError(source, [*problems, *_syntax(error, text)]) from error
    except _UnreadableError as error:
        raise DeskError(source, [*problems, error.problem]) from error


class _UnreadableError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Composer:
    """Takes the parser's events one by one, and never goes deeper than DEEPEST."""

    def __init__(self, text: str, problems: list[Problem]) -> None:
        self._problems = problems
        self._events: Iterator[Event] = yaml.parse(text, Loader=yaml.SafeLoader)

    def document(self) -> Node:
        start = next((event for event in self._events if isinstance(event, NodeEvent)), None)
        if start is None:
            raise _UnreadableError(
                Problem(Place("", 1, 1), "the file is empty; it needs at least one of the lists of docs/desks.md")
            )
        root = self._node(start, "", 0)
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                self._problem(event, "", "a second document begins here; write one document to a file")
                break
        return root

    def _node(self, event: Event, field: str, depth: int) -> Node:
        place = _place(event, field)
        if depth > DEEPEST:
            raise _UnreadableError(Problem(place, f"is nested deeper than {DEEPEST} levels"))
        if isinstance(event, AliasEvent):
            self._problem(event, field, f"`*{event.anchor}`: aliases are not read; write the value out")
            return Node(place, Scalar("", plain=True))
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            self._problem(event, field, f"`&{anchor}`: anchors are not read; remove it")
        if tag is not None:
            short = tag.replace("tag:yaml.org,2002:", "!!")
            self._problem(event, field, f"`{short}`: tags are not read; remove it, the field says what it is")
        if isinstance(event, SequenceStartEvent):
            return Node(place, list(self._items(field, depth)))
        if isinstance(event, MappingStartEvent):
            return self._mapping(place, field, depth)
        assert isinstance(event, ScalarEvent)  # noqa: S101  there is no other node
        if _UNSTORABLE.search(event.value):
            self._problem(event, field, "holds a NUL or half of a surrogate pair, which no text may hold; remove it")
        return Node(place, Scalar(_UNSTORABLE.sub("", event.value), plain=not event.style))

    def _items(self, field: str, depth: int) -> Iterator[Node]:
        position = 0
        while not isinstance(event := next(self._events), CollectionEndEvent):
            yield self._node(event, f"{field}[{position}]", depth + 1)
            position += 1

    def _mapping(self, place: Place, field: str, depth: int) -> Node:
        content: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(self._events), CollectionEndEvent):
            key_node = self._node(event, field, depth + 1)
            if not isinstance(key_node.content, Scalar):
                self._problem(event, field, "a key must be a name")
                self._node(next(self._events), field, depth + 1)
                continue
            key = key_node.content.text
            inner = f"{field}.{key}" if field else key
            value = self._node(next(self._events), inner, depth + 1)
            if key in content:
                self._problem(event, inner, f"stands on line {keys[key].line} already; keep one of the two")
            else:
                content[key], keys[key] = value, _place(event, inner)
        return Node(place, content, keys)

    def _problem(self, event: Event, field: str, message: str) -> None:
        self._problems.append(Problem(_place(event, field), message))


def _place(event: Event, field: str) -> Place:
    assert event.start_mark is not None  # noqa: S101  the parser always gives one
    return Place(field, event.start_mark.line + 1, event.start_mark.column + 1)


def _scalar_value(scalar: Scalar) -> Any:
    text = scalar.text
    if not scalar.plain:
        return text
    if text.lower() in _WORDS and text in (text.lower(), text.capitalize(), text.upper()):
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text) and len(text) <= _LONGEST_INTEGER:
        return int(text)
    if _DECIMAL.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _syntax(error: yaml.MarkedYAMLError, text: str) -> Iterator[Problem]:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    lines = text.splitlines()
    tabs = [number for number, content in enumerate(lines) if _TAB_INDENT.match(content)]
    if line in tabs or (line - 1) in tabs:
        for number in tabs:
            yield Problem(Place("", number + 1, lines[number].index("\t") + 1), "a tab; YAML is indented with spaces")
        return
    said = ", ".join(chain([error.problem or ""], [error.context] if error.context else []))
    yield Problem(Place("", line + 1, column + 1), f"this is not YAML: {said}")

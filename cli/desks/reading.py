"""From a file to what the desk shall be; everything that is wrong is told at once."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from cli.desks.document import Node, Scalar, read_document, read_file
from cli.desks.fields import ChannelFields, DepartmentFields, OpenChannelFields, OperatorFields, read_fields
from cli.desks.problems import DeskError, Problem, nearest
from cli.desks.wishes import (
    ChannelWish,
    DepartmentWish,
    DeskWish,
    Member,
    OpenChannelWish,
    OperatorWish,
    Secrets,
    SecretSource,
    Wish,
)
from cli.new_secrets import SHORTEST_TOKEN

LARGEST_SECRET = 4096
MOST_SECRETS = 2

_AnyWish = TypeVar("_AnyWish", bound=Wish)
_LISTS = ("open_channels", "departments", "operators", "channels")


def read_desk(path: Path, environment: Mapping[str, str]) -> DeskWish:
    """Read a desk's file. environment: for `env: NAME`. Raises DeskError."""
    return parse_desk(str(path), read_file(path), path.parent, environment)


def parse_desk(source: str, text: str, folder: Path, environment: Mapping[str, str]) -> DeskWish:
    """Read a desk's text. folder: where relative paths of `file: PATH` begin. Raises DeskError."""
    problems: list[Problem] = []
    return desk_of(source, read_document(source, text, problems), folder, environment, problems)


def desk_of(source: str, root: Node, folder: Path, environment: Mapping[str, str], problems: list[Problem]) -> DeskWish:
    """Read a desk's tree. problems: those that were found already. Raises DeskError."""
    wish = _Reader(folder, environment, problems).desk(root)
    if problems:
        raise DeskError(source, problems)
    return wish


class _Reader:
    def __init__(self, folder: Path, environment: Mapping[str, str], problems: list[Problem]) -> None:
        self._folder = folder
        self._environment = environment
        self._problems = problems

    def desk(self, root: Node) -> DeskWish:
        if not isinstance(root.content, dict):
            self._problem(root, f"must be a mapping with the lists {', '.join(_LISTS)}")
            return DeskWish()
        for key in root.content:
            if key not in _LISTS:
                hint = nearest(key, _LISTS) or f"; there are {', '.join(_LISTS)}"
                self._problems.append(Problem((root.keys or {})[key], f"there is no such list{hint}"))
        return DeskWish(
            open_channels=self._all(root, "open_channels", self._open_channel),
            departments=self._all(root, "departments", self._department),
            operators=self._all(root, "operators", self._operator),
            channels=self._all(root, "channels", self._channel),
        )

    def _all(self, root: Node, name: str, read: Callable[[Node], _AnyWish | None]) -> tuple[_AnyWish, ...]:
        """The items of a list; names and keys are used once."""
        assert isinstance(root.content, dict)  # noqa: S101  checked by the caller
        items = self._list(root.content[name], "items") if name in root.content else []
        found: dict[str, _AnyWish] = {}
        for wish in filter(None, map(read, items)):
            if wish.name in found:
                line = found[wish.name].place.line
                self._problems.append(Problem(wish.place, f'"{wish.name}" stands on line {line} already; keep one'))
            found[wish.name] = wish
        return tuple(found.values())

    def _open_channel(self, node: Node) -> OpenChannelWish | None:
        wish, others = self._plain(node, OpenChannelFields, "name", ("roster",))
        roster = self._members(others["roster"], ("operator", "department")) if "roster" in others else None
        return OpenChannelWish(wish.name, wish.place, wish.given, wish.places, roster) if wish else None

    def _department(self, node: Node) -> DepartmentWish | None:
        wish, others = self._plain(node, DepartmentFields, "name", ("members", "supervisors"))
        members, supervisors = (
            self._members(others[field], ("operator",)) if field in others else None
            for field in ("members", "supervisors")
        )
        return DepartmentWish(wish.name, wish.place, wish.given, wish.places, members, supervisors) if wish else None

    def _operator(self, node: Node) -> OperatorWish | None:
        wish, others = self._plain(node, OperatorFields, "name", ("token",))
        token = self._token(others["token"]) if "token" in others else None
        return OperatorWish(wish.name, wish.place, wish.given, wish.places, token) if wish else None

    def _channel(self, node: Node) -> ChannelWish | None:
        wish, others = self._plain(node, ChannelFields, "key", ("secrets",))
        secrets = self._secrets(others["secrets"]) if "secrets" in others else SecretSource.KEPT
        return ChannelWish(wish.name, wish.place, wish.given, wish.places, secrets) if wish else None

    def _plain(
        self, node: Node, model: type[BaseModel], name: str, others: tuple[str, ...]
    ) -> tuple[Wish | None, Mapping[str, Node]]:
        given, rest = read_fields(node, model, others, self._problems)
        if name not in given or not isinstance(node.content, dict):
            return None, rest
        places = {key: value.place for key, value in node.content.items()}
        return Wish(given.pop(name), node.place, given, places), rest

    def _members(self, node: Node, kinds: tuple[str, ...]) -> tuple[Member, ...]:
        """Names in order, each once; `operator: NAME` and `department: NAME` say which is meant."""
        found: dict[tuple[str, str], Member] = {}
        for item in self._list(node, "names"):
            kind, name_node = "", item
            if isinstance(item.content, dict) and len(item.content) == 1:
                ((kind, name_node),) = item.content.items()
            if kind not in ("", *kinds) or not isinstance(name_node.content, Scalar) or not name_node.content.text:
                forms = ", ".join(f"`{one}: NAME`" for one in kinds)
                self._problem(item, f"must be a name, or {forms}")
            elif (kind, name_node.content.text) in found:
                self._problem(item, f'"{name_node.content.text}" stands in this list already; keep one')
            else:
                member = Member(name_node.content.text, name_node.place, kind)
                found[kind, member.name] = member
        return tuple(found.values())

    def _token(self, node: Node) -> str | None:
        if isinstance(node.content, Scalar) and node.value() in (None, SecretSource.KEPT):
            return None
        if not isinstance(node.content, dict):
            self._problem(node, "a token stands outside this file; write `env: NAME` or `file: PATH`, or leave it out")
            return None
        token = self._secret(node)
        if token and len(token) < SHORTEST_TOKEN:
            self._problem(node, f"the token has fewer than {SHORTEST_TOKEN} characters; it could be guessed")
        return token

    def _secrets(self, node: Node) -> Secrets | SecretSource:
        match node.content:
            case Scalar(text=text, plain=True) if text in tuple(SecretSource):
                return SecretSource(text)
            case []:
                self._problem(node, "holds no secret; leave the field out to keep those that there are")
                return SecretSource.KEPT
            case list(items):
                if len(items) > MOST_SECRETS:
                    self._problem(node, "two secrets are valid at the most, the new one first")
            case _:
                items = [node]
        return Secrets(tuple(secret for item in items if (secret := self._secret(item)) is not None))

    def _secret(self, node: Node) -> str | None:
        """A literal, `env: NAME` or `file: PATH`. No message shows it."""
        content = node.content
        if isinstance(content, dict) and len(content) == 1:
            ((source, named),) = content.items()
            if isinstance(named.content, Scalar) and named.content.text:
                if source == "env":
                    return self._of_environment(named, named.content.text)
                if source == "file":
                    return self._of_file(named, named.content.text)
        elif isinstance(content, Scalar) and content.text:
            if len(content.text) <= LARGEST_SECRET:
                return content.text
            self._problem(node, f"is longer than {LARGEST_SECRET} characters")
            return None
        self._problem(node, "must be a text, `env: NAME` or `file: PATH`")
        return None

    def _of_environment(self, node: Node, name: str) -> str | None:
        value = self._environment.get(name, "")
        if not value:
            self._problem(node, f"the variable {name} is not set, or empty; set it where `openchannel apply` runs")
        return value or None

    def _of_file(self, node: Node, name: str) -> str | None:
        try:
            with (self._folder / name).open(encoding="utf-8") as file:
                value = file.read(LARGEST_SECRET + 1).rstrip("\r\n")
        except (OSError, ValueError) as error:
            said = (error.strerror if isinstance(error, OSError) else "") or "it is not a text in UTF-8"
            self._problem(node, f"the file {self._folder / name} cannot be read: {said}")
            return None
        if not value or len(value) > LARGEST_SECRET:
            self._problem(node, f"the file {self._folder / name} is empty, or too long for a secret")
            return None
        return value

    def _list(self, node: Node, of_what: str) -> Iterable[Node]:
        if isinstance(node.content, list):
            return node.content
        if node.content != Scalar("", plain=True):
            self._problem(node, f"must be a list of {of_what}, each after `- `")
        return []

    def _problem(self, node: Node, message: str) -> None:
        self._problems.append(Problem(node.place, message))

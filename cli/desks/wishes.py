"""What a desk shall be. What is not said is left as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cli.desks.problems import Place


class SecretSource(StrEnum):
    """Where a channel's secrets come from if they are not given."""

    KEPT = "kept"
    """Those that it has; a new channel's is made up where that is ours to do."""
    GENERATED = "generated"
    """Those that it has; a new channel's is made up whatever its kind, which is for tests and demos."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """One or two valid secrets, the newest first."""

    values: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a roster. kind: `operator` or `department`; empty if only the name is said."""

    name: str
    place: Place
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """given: the plain fields that are said, by name. places: where each of them stands."""

    name: str
    place: Place
    given: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    def place_of(self, name: str) -> Place:
        """Where a field is said, or else where the whole begins."""
        return self.places.get(name, self.place)


@dataclass(frozen=True, slots=True)
class OpenChannelWish(Wish):
    """given: `active` and fields of OpenChannelSettings."""

    roster: tuple[Member, ...] | None = None


@dataclass(frozen=True, slots=True)
class ChannelWish(Wish):
    """name: the key. given: `kind`, `name`, `open_channel`, `account_id`, `region`, `config`, `active`."""

    secrets: Secrets | SecretSource = SecretSource.KEPT


@dataclass(frozen=True, slots=True)
class OperatorWish(Wish):
    """given: fields of an operator. token: None keeps it; a new operator's is made up."""

    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DepartmentWish(Wish):
    """members, supervisors: operators, the members in order."""

    members: tuple[Member, ...] | None = None
    supervisors: tuple[Member, ...] | None = None


@dataclass(frozen=True, slots=True)
class DeskWish:
    """All that is said, in the order of the file."""

    open_channels: tuple[OpenChannelWish, ...] = ()
    departments: tuple[DepartmentWish, ...] = ()
    operators: tuple[OperatorWish, ...] = ()
    channels: tuple[ChannelWish, ...] = ()

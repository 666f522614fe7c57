"""From what a desk shall be and what there is to what has to be done. Nothing is written here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cli.desks.difference import Change, FieldChange, compare, compare_config, compare_lists
from cli.desks.problems import Problem, nearest
from cli.desks.wishes import (
    ChannelWish,
    DepartmentWish,
    DeskWish,
    Member,
    OpenChannelWish,
    OperatorWish,
    Secrets,
    SecretSource,
)
from cli.new_secrets import any_secret, new_secret, new_token, wrong_secret
from crm_store.administration import Known, KnownChannel, KnownOpenChannel, KnownOperator
from crm_store.desks import RosterMember
from crm_store.secrets import SecretBox, SecretKeyError, hash_token
from ingest.adapters.registry import ADAPTERS
from tracker.access import Role
from tracker.channels import OpenChannelSettings

OPERATOR, DEPARTMENT = "operator", "department"

Named = tuple[str, str]
"""A roster's entry: `operator` or `department`, and the name."""


@dataclass(frozen=True, slots=True)
class PlannedChannel:
    """`row.open_channel_id` is not used: open_channel is the name of one that may have to be made first."""

    row: KnownChannel
    open_channel: str


@dataclass(slots=True)
class Plan:
    """What to write, by name or key. tokens and secrets: those that were made up, to be shown once."""

    changes: list[Change] = field(default_factory=list)
    open_channels: dict[str, tuple[OpenChannelSettings, bool]] = field(default_factory=dict)
    rosters: dict[str, list[Named]] = field(default_factory=dict)
    departments: dict[str, list[str]] = field(default_factory=dict)
    supervisors: dict[str, list[str]] = field(default_factory=dict)
    operators: dict[str, KnownOperator] = field(default_factory=dict)
    channels: dict[str, PlannedChannel] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def note(self, what: str, name: str, fields: Iterable[FieldChange], *, added: bool) -> bool:
        """Write down what changes; returns whether anything does."""
        fields = tuple(fields)
        if fields or added:
            self.changes.append(Change(what, name, added, fields))
        return bool(fields or added)


def make_plan(wish: DeskWish, known: Known, box: Callable[[], SecretBox]) -> tuple[Plan, list[Problem]]:
    """The plan, and what is wrong with the wish. A plan with problems must not be carried out.

    box: called only where a channel's secrets are given or made up; raises SecretKeyError or SettingsError.
    """
    planner = _Planner(wish, known, box)
    for operator in wish.operators:
        planner.operator(operator)
    for department in wish.departments:
        planner.department(department)
    for open_channel in wish.open_channels:
        planner.open_channel(open_channel)
    for channel in wish.channels:
        planner.channel(channel)
    planner.check_tokens()
    planner.check_kinds()
    return planner.plan, planner.problems


def roster_names(known: Known, roster: Iterable[RosterMember]) -> list[Named]:
    """The entries of a known roster by name."""
    operators = {one.id: one.name for one in known.operators.values()}
    departments = {one.id: one.name for one in known.departments.values()}
    return [
        (OPERATOR, operators[entry.operator_id])
        if entry.operator_id is not None
        else (DEPARTMENT, departments[entry.department_id or 0])
        for entry in roster
    ]


class _Planner:
    def __init__(self, wish: DeskWish, known: Known, box: Callable[[], SecretBox]) -> None:
        self.plan = Plan()
        self.problems: list[Problem] = []
        self._wish = wish
        self._known = known
        self._box = box
        self._operators = {*known.operators, *(one.name for one in wish.operators)}
        self._departments = {*known.departments, *(one.name for one in wish.departments)}
        self._open_channels = {*known.open_channels, *(one.name for one in wish.open_channels)}

    def operator(self, wish: OperatorWish) -> None:
        was = self._known.operators.get(wish.name)
        given = dict(wish.given)
        if "role" in given:
            given["role"] = Role(given["role"])
        new = KnownOperator(0, wish.name, None, None, dismissed=False)
        row = replace(was or new, **given)
        comes = not row.dismissed and (was is None or was.dismissed)
        if was:
            changes = compare(_operator_fields(was), _operator_fields(row))
        else:
            usual = _operator_fields(new)
            said = {field: value for field, value in _operator_fields(row).items() if value != usual[field]}
            changes = compare(None, said)
        token = wish.token
        if token is None and comes:
            token = self.plan.tokens[wish.name] = new_token()
        if token is not None and not row.dismissed and hash_token(token) != row.token_hash:
            row = replace(row, token_hash=hash_token(token))
            changes.append(FieldChange("token", "made up" if wish.token is None else "set"))
        if row.dismissed:
            row = replace(row, token_hash=None)
        if self.plan.note("operator", wish.name, changes, added=was is None):
            self.plan.operators[wish.name] = row

    def department(self, wish: DepartmentWish) -> None:
        was = self._known.departments.get(wish.name)
        ids = {one.id: one.name for one in self._known.operators.values()}
        before = [ids[member] for member in was.members] if was else []
        after = before if wish.members is None else self._names(wish.members)
        members = compare_lists("members", before, after)
        if members or was is None:
            self.plan.departments[wish.name] = after
        before = sorted(ids[supervisor] for supervisor in was.supervisors) if was else []
        after = before if wish.supervisors is None else sorted(self._names(wish.supervisors))
        supervisors = compare_lists("supervisors", before, after)
        if supervisors:
            self.plan.supervisors[wish.name] = after
        self.plan.note("department", wish.name, members + supervisors, added=was is None)

    def _names(self, operators: Iterable[Member]) -> list[str]:
        return [member.name for member in operators if self._resolve(member, (OPERATOR,))]

    def open_channel(self, wish: OpenChannelWish) -> None:
        was = self._known.open_channels.get(wish.name)
        given = dict(wish.given)
        active = given.pop("active", was.active if was else True)
        before = was.settings.model_dump(mode="json") if was else {}
        settings = OpenChannelSettings.model_validate(before | given)
        shown = settings.model_dump(mode="json") | {"active": active}
        if was is None:
            changes = compare(None, {name: shown[name] for name in shown if name == "active" or name in given})
        else:
            changes = compare(before | {"active": was.active}, shown)
        if changes or was is None:
            self.plan.open_channels[wish.name] = (settings, active)
        changes += self._roster(wish, was)
        self.plan.note("open channel", wish.name, changes, added=was is None)

    def _roster(self, wish: OpenChannelWish, was: KnownOpenChannel | None) -> list[FieldChange]:
        if wish.roster is None:
            return []
        before = roster_names(self._known, was.roster) if was else []
        after: list[Named] = []
        for member in wish.roster:
            kind = self._resolve(member, (OPERATOR, DEPARTMENT))
            if kind and (kind, member.name) in after:
                self.problems.append(Problem(member.place, f'"{member.name}" stands in this list already; keep one'))
            elif kind:
                after.append((kind, member.name))
        if before != after:
            self.plan.rosters[wish.name] = after
        return compare_lists("roster", _shown_roster(before), _shown_roster(after))

    def _resolve(self, member: Member, kinds: tuple[str, ...]) -> str:
        """Whether the name is an operator's or a department's; empty if neither, or not clear."""
        known = {OPERATOR: self._operators, DEPARTMENT: self._departments}
        found = [kind for kind in kinds if member.name in known[kind] and member.kind in ("", kind)]
        if len(found) == 1:
            return found[0]
        if found:
            message = f'"{member.name}" is an operator and a department; write `operator: ` or `department: ` before it'
        else:
            wanted = [member.kind] if member.kind else kinds
            hint = nearest(member.name, set().union(*(known[kind] for kind in wanted)))
            message = f'there is no {" or ".join(wanted)} "{member.name}"{hint or "; add it to the file"}'
        self.problems.append(Problem(member.place, message))
        return ""

    def channel(self, wish: ChannelWish) -> None:
        was = self._known.channels.get(wish.name)
        given = dict(wish.given)
        names = {one.id: one.name for one in self._known.open_channels.values()}
        open_channel = given.pop("open_channel", names[was.open_channel_id] if was else "")
        if open_channel not in self._open_channels:
            hint = nearest(open_channel, self._open_channels) or "; add it to the file"
            message = (
                f'there is no open channel "{open_channel}"{hint}' if open_channel else "`open_channel` is missing"
            )
            self.problems.append(Problem(wish.place_of("open_channel"), message))
        kind = given.get("kind", was.kind if was else "")
        if kind not in ADAPTERS and ("kind" in given or was is None):
            hint = nearest(kind, ADAPTERS) or f"; there are {', '.join(sorted(ADAPTERS))}"
            message = f'there is no kind of channel "{kind}"{hint}' if kind else "`kind` is missing"
            self.problems.append(Problem(wish.place_of("kind"), message))
            return
        if was and kind != was.kind:
            message = f"this is a {was.kind} channel, and its chats are; give a {kind} channel a key of its own"
            self.problems.append(Problem(wish.place_of("kind"), message))
            return
        row = replace(
            was or KnownChannel(0, wish.name, kind, wish.name, 0, "", None, b"", {}, active=True),
            **given,
        )
        changes = compare(
            _channel_fields(was, names[was.open_channel_id]) if was else None, _channel_fields(row, open_channel)
        )
        changes += compare_config(was.config if was else {}, row.config)
        row, said = self._secrets(wish, row)
        if self.plan.note("channel", wish.name, changes + said, added=was is None):
            self.plan.channels[wish.name] = PlannedChannel(row, open_channel)

    def _secrets(self, wish: ChannelWish, row: KnownChannel) -> tuple[KnownChannel, list[FieldChange]]:
        """The row with its secrets sealed, and what to say of them."""
        if isinstance(wish.secrets, Secrets):
            given = wish.secrets.values
            for wrong in filter(None, (wrong_secret(row.kind, secret) for secret in given)):
                self.problems.append(Problem(wish.place_of("secrets"), wrong))
            if row.sealed and _opened(self._box(), row.sealed) == given:
                return row, []
            said = "set" if len(given) == 1 else f"{len(given)} set, the first is the new one"
            return replace(row, sealed=self._box().seal(given)), [FieldChange("secrets", said)]
        if row.sealed:
            return row, []
        made = any_secret(row.kind) if wish.secrets is SecretSource.GENERATED else new_secret(row.kind)
        if made is None:
            message = (
                f"{row.kind} signs with a secret of the provider's; write `secrets:` with `env: NAME` or `file: PATH`"
            )
            self.problems.append(Problem(wish.place_of("secrets"), message))
            return row, []
        self.plan.secrets[wish.name] = made
        return replace(row, sealed=self._box().seal((made,))), [FieldChange("secrets", "made up")]

    def check_tokens(self) -> None:
        """Nobody has the token of another."""
        after = {**self._known.operators, **self.plan.operators}
        for wish in self._wish.operators:
            if wish.token is None:
                continue
            others = [name for name, one in after.items() if one.token_hash == hash_token(wish.token)]
            if set(others) - {wish.name}:
                self.problems.append(Problem(wish.place_of("token"), f"this is the token of {', '.join(others)} too"))

    def check_kinds(self) -> None:
        """A channel feeds one open channel, which has at most one channel of a kind."""
        names = {one.id: one.name for one in self._known.open_channels.values()}
        feeds = {key: (names[one.open_channel_id], one.kind) for key, one in self._known.channels.items()}
        feeds |= {key: (planned.open_channel, planned.row.kind) for key, planned in self.plan.channels.items()}
        later = {wish.name for wish in self._wish.channels}
        for wish in self._wish.channels:
            place = feeds.get(wish.name)
            later.discard(wish.name)
            others = [key for key, other in feeds.items() if other == place and key not in {wish.name, *later}]
            if place and others:
                message = (
                    f'open channel "{place[0]}" has the {place[1]} channel "{others[0]}" already, and an open channel '
                    "has at most one channel of a kind; give this one an open channel of its own"
                )
                self.problems.append(Problem(wish.place_of("open_channel"), message))


def _operator_fields(row: KnownOperator) -> Mapping[str, Any]:
    return {name: getattr(row, name) for name in ("personal_limit", "dismissed", "role", "scope", "time_tracking")}


def _channel_fields(row: KnownChannel, open_channel: str) -> Mapping[str, Any]:
    plain = ("kind", "name", "account_id", "region", "active")
    return {"open_channel": open_channel} | {name: getattr(row, name) for name in plain}


def _shown_roster(roster: Iterable[Named]) -> list[str]:
    return [name if kind == OPERATOR else f"{name} (department)" for kind, name in roster]


def _opened(box: SecretBox, sealed: bytes) -> tuple[str, ...] | None:
    try:
        return box.open(sealed)
    except SecretKeyError:
        return None

"""The two configurations that are compared: what the database has now, and a desk's file laid over it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cli.desks.plan import OPERATOR, Named, Plan, roster_names
from crm_store.administration import Known
from tracker.channels import OpenChannelSettings
from tracker.simulation import Configuration, SimulatedOpenChannel

NOWHERE = 0
"""What an inactive channel feeds; no open channel has this id."""


@dataclass(frozen=True, slots=True)
class Names:
    """By id. What only the file has, has ids below 0."""

    operators: Mapping[int, str]
    open_channels: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Compared:
    """now: of the database. planned: with the file."""

    now: Configuration
    planned: Configuration
    names: Names


def compare(known: Known, plan: Plan, recorded: Collection[int]) -> Compared:
    """recorded: operators whose presence is recorded; it tells when somebody was dismissed, if he was."""
    operators = _ids({name: one.id for name, one in known.operators.items()}, plan.operators)
    open_channels = _ids({name: one.id for name, one in known.open_channels.items()}, plan.open_channels)
    ids = _Ids(operators, open_channels)
    return Compared(
        _configuration(known, Plan(), ids, recorded),
        _configuration(known, plan, ids, recorded),
        Names(
            {one: name for name, one in operators.items()},
            {one: name for name, one in open_channels.items()},
        ),
    )


@dataclass(frozen=True, slots=True)
class _Ids:
    operators: Mapping[str, int]
    open_channels: Mapping[str, int]


def _ids(known: Mapping[str, int], planned: Iterable[str]) -> dict[str, int]:
    new = [name for name in planned if name not in known]
    return {**known, **{name: -number for number, name in enumerate(new, 1)}}


def _configuration(known: Known, plan: Plan, ids: _Ids, recorded: Collection[int]) -> Configuration:
    names = {one.id: one.name for one in known.operators.values()}
    departments = {name: [names[one] for one in each.members] for name, each in known.departments.items()}
    departments |= plan.departments
    settings: dict[str, tuple[OpenChannelSettings, bool]] = {
        name: (one.settings, one.active) for name, one in known.open_channels.items()
    }
    settings |= plan.open_channels
    rosters = {name: roster_names(known, one.roster) for name, one in known.open_channels.items()} | plan.rosters
    people = {**known.operators, **plan.operators}
    newly = {name for name, one in plan.operators.items() if one.dismissed and not _was_dismissed(known, name)}
    return Configuration(
        open_channels={
            ids.open_channels[name]: SimulatedOpenChannel(
                ids.open_channels[name],
                given,
                tuple(ids.operators[one] for one in _expanded(rosters.get(name, []), departments)),
                active,
            )
            for name, (given, active) in settings.items()
        },
        personal_limits={
            ids.operators[name]: one.personal_limit for name, one in people.items() if one.personal_limit is not None
        },
        dismissed=frozenset(
            ids.operators[name]
            for name, one in people.items()
            if one.dismissed and (name in newly or ids.operators[name] not in recorded)
        ),
        moved=_moved(known, plan, ids),
    )


def _was_dismissed(known: Known, name: str) -> bool:
    return name in known.operators and known.operators[name].dismissed


def _expanded(roster: Sequence[Named], departments: Mapping[str, Sequence[str]]) -> list[str]:
    """Departments stand for their members in order (D1), each operator once, at his first place."""
    return list(
        dict.fromkeys(
            member for kind, name in roster for member in ([name] if kind == OPERATOR else departments.get(name, []))
        )
    )


def _moved(known: Known, plan: Plan, ids: _Ids) -> dict[int, int]:
    """Channels that feed another open channel by the plan, or none."""
    moved = {}
    for key, planned in plan.channels.items():
        was = known.channels.get(key)
        if was is None:
            continue
        if was.active and not planned.row.active:
            moved[was.id] = NOWHERE
        elif ids.open_channels[planned.open_channel] != was.open_channel_id:
            moved[was.id] = ids.open_channels[planned.open_channel]
    return moved

"""Carrying a plan out, in the transaction in which it was made."""

from collections.abc import Callable
from dataclasses import replace

from cli.desks.plan import OPERATOR, Plan, make_plan
from cli.desks.problems import DeskError
from cli.desks.wishes import DeskWish
from crm_store import administration, desks, presence
from crm_store.administration import Known
from crm_store.database import Connection
from crm_store.desks import RosterMember
from crm_store.secrets import SecretBox


def plan_desk(connection: Connection, source: str, wish: DeskWish, box: Callable[[], SecretBox]) -> tuple[Plan, Known]:
    """What is to be done, while no other administrator changes anything. Raises DeskError.

    source: the file or command of which errors speak.
    """
    administration.take_turn(connection)
    known = administration.read(connection)
    plan, problems = make_plan(wish, known, box)
    if problems:
        raise DeskError(source, problems)
    return plan, known


def carry_out(connection: Connection, plan: Plan, known: Known) -> None:
    """Write the plan down. Open channels are locked first, then operators; what waits on them is tried (D8).

    Who is dismissed by it, or whose workday begins to count, hands back what he should not hold (D11).
    """
    touched = _touched(plan, known)
    administration.lock(connection, sorted(touched), sorted(row.id for row in plan.operators.values() if row.id))
    open_channels = {name: one.id for name, one in known.open_channels.items()}
    for name, (settings, active) in plan.open_channels.items():
        open_channels[name] = administration.write_open_channel(connection, name, settings, active=active)
    operators = {name: one.id for name, one in known.operators.items()}
    for name, row in plan.operators.items():
        operators[name] = administration.write_operator(connection, row)
    departments = {name: one.id for name, one in known.departments.items()}
    for name, members in plan.departments.items():
        departments[name] = desks.put_department(connection, name, [operators[member] for member in members])
    for name, supervisors in plan.supervisors.items():
        administration.write_supervisors(connection, departments[name], [operators[each] for each in supervisors])
    for name, entries in plan.rosters.items():
        members_of = [
            RosterMember(operators[entry]) if kind == OPERATOR else RosterMember(department_id=departments[entry])
            for kind, entry in entries
        ]
        desks.put_roster(connection, open_channels[name], members_of)
    administration.write_channels(
        connection,
        [replace(one.row, open_channel_id=open_channels[one.open_channel]) for one in plan.channels.values()],
    )
    for name in plan.operators:
        presence.settle(connection, operators[name], "system")
    made = {open_channels[name] for name in plan.open_channels}
    administration.welcome(connection, sorted(touched | made))


def _touched(plan: Plan, known: Known) -> set[int]:
    """Open channels that there are and whose distribution may come out differently."""
    touched = {
        known.open_channels[name].id for name in (*plan.open_channels, *plan.rosters) if name in known.open_channels
    }
    departments = {known.departments[name].id for name in plan.departments if name in known.departments}
    operators = {row.id for row in plan.operators.values() if row.id}
    of_operators = {one.id for one in known.departments.values() if operators.intersection(one.members)}
    for open_channel in known.open_channels.values():
        for entry in open_channel.roster:
            if entry.department_id in departments | of_operators or entry.operator_id in operators:
                touched.add(open_channel.id)
    return touched

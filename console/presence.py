"""Operators come, are there, and go (D6, D11); and what each of them has before him now (D4).

Lock order: the operator, then what he hands back, then timers. A dismissal locks his open channels before.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from config.topology import Step
from console.acting import Asked, Done, carry_out
from console.dependencies import Dependencies
from console.problems import ProblemError, unknown
from console.security import Caller, Operator, Service, is_administrator, is_supervisor
from crm_store import access, administration, desks, presence
from crm_store.database import Connection
from crm_store.presence import Leave, Present
from crm_store.views import Order
from crm_store.views import desks as desk_views
from crm_store.views import dialogs as dialog_views
from crm_store.views.desks import OperatorView
from crm_store.views.dialogs import DialogSummary
from tracker.dialogs import HELD, ActRefusedError, DialogStatus
from tracker.distribution import PassedOver, RosterOperator
from tracker.presence import Availability, Workday, check_workday

MOST_SHOWN = 500
"""Dialogs that an operator is shown of each sort, the oldest first."""

_DISTRIBUTE = frozenset({Step.DISTRIBUTE})


# Being there


def go_online(needs: Dependencies, asked: Asked, operator_id: int) -> OperatorView:
    """He is there from now on, and what waits may be his (D8). Raises ActRefusedError."""
    return _change(needs, asked, operator_id, lambda it, _: desks.set_online(it, operator_id, online=True))


def go_away(needs: Dependencies, asked: Asked, operator_id: int) -> OperatorView:
    """He is there, and wants nothing new. Raises ActRefusedError."""
    return _change(needs, asked, operator_id, lambda it, _: presence.set_away(it, operator_id))


def go_offline(needs: Dependencies, asked: Asked, operator_id: int) -> OperatorView:
    """He gets no more dialogs; those that he has stay his. Raises ActRefusedError."""
    return _change(needs, asked, operator_id, lambda it, _: desks.set_online(it, operator_id, online=False))


def turn_workday(needs: Dependencies, asked: Asked, operator_id: int, workday: Workday) -> OperatorView:
    """His workday starts, pauses or ends; at its end he hands back what nobody has answered (D6, D11).

    Raises ActRefusedError.
    """

    def change(connection: Connection, before: Present) -> None:
        check_workday(before.workday, workday, time_tracking=before.time_tracking)
        presence.set_workday(connection, operator_id, workday)

    return _change(needs, asked, operator_id, change)


def heartbeat(needs: Dependencies, operator: Operator) -> OperatorView:
    """He is still there; after a silence longer than the limit he comes back by this (D6, D8). Not audited.

    Raises ActRefusedError if he is not online.
    """
    with needs.database.transaction() as connection:
        if not _lock(connection, operator.id).online:
            raise ActRefusedError("not_online", "you are offline; go online first")
        desks.heartbeat(connection, operator.id)
        settled = presence.settle(connection, operator.id, f"operator:{operator.id}")
        shown = _shown(connection, operator.id)
    if settled.tried:
        needs.hint(Step.DISTRIBUTE)
    return shown


def _change(
    needs: Dependencies, asked: Asked, operator_id: int, change: Callable[[Connection, Present], None]
) -> OperatorView:
    """One act on an operator's presence, with all that follows from it."""

    def work(connection: Connection) -> Done:
        change(connection, _lock(connection, operator_id))
        return _settle(connection, asked, operator_id, {"operator_id": operator_id})

    return carry_out(needs, asked, work, lambda connection, ids: _shown(connection, ids["operator_id"]))


def _settle(connection: Connection, asked: Asked, operator_id: int, ids: Mapping[str, int]) -> Done:
    settled = presence.settle(connection, operator_id, asked.actor)
    if settled.handed_back:
        asked.details["handed_back"] = settled.handed_back
    return Done(ids, _DISTRIBUTE if settled.tried else frozenset())


def _lock(connection: Connection, operator_id: int) -> Present:
    found = presence.lock(connection, operator_id)
    if found is None:
        raise unknown("operator", operator_id)
    if found.availability is Availability.DISMISSED:
        raise ActRefusedError("dismissed", "this operator was dismissed")
    return found


# Leaves and dismissals: what others decide about an operator


def give_leave(needs: Dependencies, asked: Asked, operator_id: int, from_at: datetime, until_at: datetime) -> Leave:
    """Leave from one moment until another; if it has begun and is a day or more, what nobody answered goes back (D11).

    Raises ProblemError (unknown_operator, supervisors_only, out_of_scope) and ActRefusedError (dismissed, leave_over).
    """

    def work(connection: Connection) -> Done:
        _check_charge(connection, asked.caller, operator_id)
        _lock(connection, operator_id)
        leave_id = presence.add_leave(connection, operator_id, from_at, until_at)
        if _leave(connection, leave_id).over:
            raise ActRefusedError("leave_over", "this leave is over already")
        return _settle(connection, asked, operator_id, {"leave_id": leave_id})

    def may_see(connection: Connection, _ids: Mapping[str, int]) -> None:
        _check_charge(connection, asked.caller, operator_id)

    return carry_out(needs, asked, work, lambda connection, ids: _leave(connection, ids["leave_id"]), may_see)


def end_leave(needs: Dependencies, asked: Asked, leave_id: int) -> OperatorView:
    """A leave ends now, or does not take place. Returns the operator.

    Raises ProblemError (unknown_leave, supervisors_only, out_of_scope) and ActRefusedError (dismissed, leave_over).
    """

    def work(connection: Connection) -> Done:
        operator_id = _leave(connection, leave_id).operator_id
        _check_charge(connection, asked.caller, operator_id)
        _lock(connection, operator_id)
        if _leave(connection, leave_id).over:
            raise ActRefusedError("leave_over", "this leave is over already")
        presence.end_leave(connection, leave_id)
        return _settle(connection, asked, operator_id, {"operator_id": operator_id})

    def may_see(connection: Connection, ids: Mapping[str, int]) -> None:
        _check_charge(connection, asked.caller, ids["operator_id"])

    return carry_out(needs, asked, work, lambda connection, ids: _shown(connection, ids["operator_id"]), may_see)


def leaves_of(connection: Connection, caller: Caller, operator_id: int) -> list[Leave]:
    """An operator's leaves that are not over; everybody may look at his own. Raises ProblemError."""
    _shown(connection, operator_id)
    if not (isinstance(caller, Operator) and caller.id == operator_id):
        _check_charge(connection, caller, operator_id)
    return presence.leaves_of(connection, operator_id)


def dismiss(needs: Dependencies, asked: Asked, operator_id: int) -> OperatorView:
    """He has left: he gets nothing more, his token is void, and all that he has goes back (D6, D11).

    Raises ProblemError (unknown_operator, administrators_only) and ActRefusedError (dismissed).
    """

    def check(_connection: Connection, _ids: Mapping[str, int] | None = None) -> None:
        if not is_administrator(asked.caller):
            raise ProblemError(403, "administrators_only", "only administrators dismiss")

    def work(connection: Connection) -> Done:
        check(connection)
        administration.take_turn(connection)
        desks.lock_open_channels(connection, access.seats_of(connection, operator_id))
        _lock(connection, operator_id)
        administration.dismiss(connection, operator_id)
        return _settle(connection, asked, operator_id, {"operator_id": operator_id})

    return carry_out(needs, asked, work, lambda connection, ids: _shown(connection, ids["operator_id"]), check)


def _check_charge(connection: Connection, caller: Caller, operator_id: int) -> None:
    """That the caller may decide about the operator's leave: nobody but an administrator about his own."""
    if is_administrator(caller) or isinstance(caller, Service):
        return
    if not is_supervisor(caller):
        raise ProblemError(403, "supervisors_only", "leave is given by supervisors and administrators")
    if caller.id == operator_id or not access.supervises_operator(connection, caller.id, operator_id):
        raise ProblemError(403, "out_of_scope", "this operator is in no department that you supervise")


def _leave(connection: Connection, leave_id: int) -> Leave:
    leave = presence.read_leave(connection, leave_id)
    if leave is None:
        raise unknown("leave", leave_id)
    return leave


# What he has before him


def dialogs_of(connection: Connection, operator: Operator) -> list[DialogSummary]:
    """The open dialogs that he has, then those that are offered to him now; each sort the oldest first (D4)."""
    held = dialog_views.page(
        connection,
        MOST_SHOWN,
        operator_id=operator.id,
        statuses=sorted({DialogStatus.ASSIGNED, *HELD}),
        order=Order.OLDEST,
    )
    offering = _open_channels_offering(connection, operator)
    if not offering:
        return held
    offered = dialog_views.page(
        connection,
        MOST_SHOWN,
        statuses=[DialogStatus.OFFERED],
        open_channel_ids=offering,
        order=Order.OLDEST,
    )
    return held + offered


def _open_channels_offering(connection: Connection, operator: Operator) -> list[int]:
    """Open channels whose offers he sees: on whose roster he stands, and for which he is eligible now (D6, D7)."""
    shown = _shown(connection, operator.id)
    held = {load.open_channel.id: load.counted for load in shown.loads}
    settings = desks.settings_of(connection, access.seats_of(connection, operator.id))
    return [
        open_channel_id
        for open_channel_id, its in settings.items()
        if RosterOperator(
            operator_id=operator.id,
            position=0,
            turn=0,
            held=held.get(open_channel_id, 0),
            limit=its.max_dialogs,
            personal_held=shown.counted,
            personal_limit=shown.personal_limit,
            unavailable=_unavailable(shown),
        ).ineligible(its.check_availability)
        is None
    ]


def _unavailable(shown: OperatorView) -> PassedOver | None:
    return None if shown.availability is Availability.AVAILABLE else PassedOver(shown.availability.value)


def _shown(connection: Connection, operator_id: int) -> OperatorView:
    found = desk_views.operators(connection, operator_id)
    if not found:
        raise unknown("operator", operator_id)
    return found[0]

"""Operators come, are there, and go (D6); and what each of them has before him now (D4).

Lock order: the operator, then timers.
"""

from config.topology import Step
from console.dependencies import Dependencies
from console.security import Operator
from crm_store import desks, timers
from crm_store.database import Connection
from crm_store.desks import Presence
from crm_store.views import Order
from crm_store.views import desks as desk_views
from crm_store.views import dialogs as dialog_views
from crm_store.views.desks import OperatorView
from crm_store.views.dialogs import DialogSummary
from tracker.dialogs import HELD, ActRefusedError, DialogStatus
from tracker.distribution import PassedOver, RosterOperator

MOST_SHOWN = 500
"""Dialogs that an operator is shown of each sort, the oldest first."""


def go_online(needs: Dependencies, operator: Operator) -> OperatorView:
    """He is there from now on, and what waits may be his (D8). Raises ActRefusedError."""
    with needs.database.transaction() as connection:
        presence = _lock(connection, operator)
        desks.set_online(connection, operator.id, online=True)
        came = _came(connection, operator, presence)
        shown = _shown(connection, operator)
    if came:
        needs.hint(Step.DISTRIBUTE)
    return shown


def go_offline(needs: Dependencies, operator: Operator) -> OperatorView:
    """He gets no more dialogs; those that he has stay his. Raises ActRefusedError."""
    with needs.database.transaction() as connection:
        _lock(connection, operator)
        desks.set_online(connection, operator.id, online=False)
        return _shown(connection, operator)


def heartbeat(needs: Dependencies, operator: Operator) -> OperatorView:
    """He is still there; after a silence longer than the limit he comes back by this (D6, D8).

    Raises ActRefusedError if he is not online.
    """
    with needs.database.transaction() as connection:
        presence = _lock(connection, operator)
        if not presence.online:
            raise ActRefusedError("not_online", "you are offline; go online first")
        desks.heartbeat(connection, operator.id)
        came = _came(connection, operator, presence)
        shown = _shown(connection, operator)
    if came:
        needs.hint(Step.DISTRIBUTE)
    return shown


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
    shown = _shown(connection, operator)
    held = {load.open_channel.id: load.counted for load in shown.loads}
    settings = desks.settings_of(connection, desks.open_channels_of(connection, operator.id))
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
    if shown.dismissed_at is not None:
        return PassedOver.DISMISSED
    return None if shown.online else PassedOver.OFFLINE


def _lock(connection: Connection, operator: Operator) -> Presence:
    presence = desks.lock_presence(connection, operator.id)
    if presence is None:
        raise ActRefusedError("dismissed", "you were dismissed")
    return presence


def _came(connection: Connection, operator: Operator, before: Presence) -> bool:
    """If he was not there before, the backlogs of his open channels are tried at once (D8)."""
    if before.present:
        return False
    timers.set_backlogs(connection, desks.open_channels_of(connection, operator.id), 0.0)
    return True


def _shown(connection: Connection, operator: Operator) -> OperatorView:
    (shown,) = desk_views.operators(connection, operator.id)
    return shown

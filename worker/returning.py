"""Dialogs that go back from an operator who has left (D11).

Lock order: operators (by the caller), dialogs by id, timers.
"""

from collections.abc import Collection

from crm_store.database import Connection


def hand_back(
    connection: Connection,
    operator_id: int,
    actor: str,
    cause: str,
    *,
    everything: bool,
    open_channel_ids: Collection[int] | None = None,
) -> int:
    """Return dialogs of a locked operator to the backlogs, which are then due; returns how many.

    everything: all that he has (dismissed, off the roster), otherwise what nobody has answered (end of day, leave).
    open_channel_ids: of these alone. cause: `workday_ended`, `on_leave`, `dismissed`, `off_roster`.
    """
    raise NotImplementedError

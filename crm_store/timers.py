"""Timers: rows that say when a backlog is to be tried (D8), and when something happens to a dialog (D5, S2-S4)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.dialogs import Clock

_SQL = Queries("timers")


@dataclass(frozen=True, slots=True)
class BacklogTimer:
    """When a backlog is to be tried. A timer that was set anew has another generation."""

    generation: int
    is_due: bool


@dataclass(frozen=True, slots=True)
class BacklogWish:
    """When to try a backlog again: in `seconds`; None, nothing waits. generation: as it was read, None without one."""

    open_channel_id: int
    seconds: float | None
    generation: int | None


@dataclass(frozen=True, slots=True)
class NewClock:
    """A clock of a locked dialog, due in `seconds`."""

    clock: Clock
    open_channel_id: int
    dialog_id: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DueClock:
    """A clock of a dialog that has run out, as it was read without a lock."""

    clock: Clock
    open_channel_id: int
    dialog_id: int
    generation: int
    chat_id: int


def set_backlogs(connection: Connection, open_channel_ids: Collection[int], seconds: float) -> None:
    """Try the backlogs again in `seconds`, or earlier if that was set already (D8)."""
    connection.execute(_SQL["set_backlogs"], {"open_channel_ids": sorted(open_channel_ids), "seconds": seconds})


def backlogs(connection: Connection, open_channel_ids: Collection[int]) -> dict[int, BacklogTimer]:
    """The timers of these backlogs, by open channel id. Read them before what they are about."""
    rows = connection.execute(_SQL["read_backlogs"], {"open_channel_ids": sorted(open_channel_ids)}).fetchall()
    return {open_channel_id: BacklogTimer(generation, is_due) for open_channel_id, generation, is_due in rows}


def settle_backlogs(connection: Connection, wanted: Sequence[BacklogWish]) -> None:
    """Backlogs of locked open channels have been tried: when they are to be tried next.

    What somebody has set since the generation was read stays, if it is earlier: what made it due may not have been
    seen.
    """
    wanted = [one for one in wanted if one.seconds is not None or one.generation is not None]
    if not wanted:
        return
    parameters = {
        "open_channel_ids": [one.open_channel_id for one in wanted],
        "seconds": [one.seconds for one in wanted],
        "generations": [one.generation for one in wanted],
    }
    connection.execute(_SQL["settle_backlogs"], parameters)
    if any(one.seconds is None for one in wanted):
        connection.execute(_SQL["drop_backlogs"], {"open_channel_ids": parameters["open_channel_ids"]})


def postpone_backlog(connection: Connection, open_channel_id: int, seconds: float) -> None:
    """Try this backlog, which cannot be served now, in `seconds` again."""
    connection.execute(_SQL["postpone_backlog"], {"open_channel_id": open_channel_id, "seconds": seconds})


def due_backlogs(connection: Connection, limit: int) -> list[int]:
    """Open channels whose backlog is to be tried now."""
    return [row[0] for row in connection.execute(_SQL["due_backlogs"], {"limit": limit}).fetchall()]


def set_clocks(connection: Connection, clocks: Sequence[NewClock]) -> None:
    """Start clocks of locked dialogs; one that runs already starts from the beginning."""
    if not clocks:
        return
    connection.execute(
        _SQL["set_clocks"],
        {
            "kinds": [new.clock for new in clocks],
            "open_channel_ids": [new.open_channel_id for new in clocks],
            "dialog_ids": [new.dialog_id for new in clocks],
            "seconds": [new.seconds for new in clocks],
        },
    )


def stop_clocks(connection: Connection, dialog_ids: Collection[int], clocks: Collection[Clock] = tuple(Clock)) -> None:
    """Stop clocks of locked dialogs, all of them by default."""
    connection.execute(_SQL["stop_clocks"], {"dialog_ids": sorted(dialog_ids), "kinds": sorted(clocks)})


def move_clocks(connection: Connection, dialog_id: int, open_channel_id: int) -> None:
    """The locked dialog has gone to another open channel."""
    connection.execute(_SQL["move_clocks"], {"dialog_id": dialog_id, "open_channel_id": open_channel_id})


def due_clocks(connection: Connection, limit: int) -> list[DueClock]:
    """Clocks of dialogs that have run out, those first that came due first. Nothing is locked."""
    rows = connection.execute(_SQL["due_clocks"], {"limit": limit}).fetchall()
    return [DueClock(Clock(kind), *rest) for kind, *rest in rows]


def still_due(connection: Connection, clocks: Sequence[DueClock]) -> set[tuple[Clock, int]]:
    """Which of these clocks of locked dialogs nobody has stopped or set anew; clock and dialog id, locked."""
    rows = connection.execute(
        _SQL["still_due"],
        {
            "kinds": [due.clock for due in clocks],
            "open_channel_ids": [due.open_channel_id for due in clocks],
            "dialog_ids": [due.dialog_id for due in clocks],
            "generations": [due.generation for due in clocks],
        },
    ).fetchall()
    return {(Clock(kind), dialog_id) for kind, dialog_id in rows}


def forget_clocks(connection: Connection, gone_off: Sequence[tuple[Clock, int]]) -> None:
    """These clocks of locked dialogs have gone off."""
    if gone_off:
        kinds, dialog_ids = [clock for clock, _ in gone_off], [dialog_id for _, dialog_id in gone_off]
        connection.execute(_SQL["forget_clocks"], {"kinds": kinds, "dialog_ids": dialog_ids})


def postpone_clocks(connection: Connection, dialog_ids: Collection[int], seconds: float) -> None:
    """Something is wrong with these dialogs: look at their due clocks in `seconds` again."""
    connection.execute(_SQL["postpone_clocks"], {"dialog_ids": sorted(dialog_ids), "seconds": seconds})

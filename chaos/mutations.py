"""Each breaks one guarantee on purpose: a check that does not notice them proves nothing.

All of them pass for working as long as nothing goes wrong, as such defects do.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import structlog

from config.topology import Step
from crm_store import failures, inbox, queries
from crm_store.database import Connection, Session
from crm_store.inbox import ClaimedItem, Move
from ingest import accept
from ingest.accept import Acceptor
from worker.clock import Clock
from worker.failing import FailingItems
from worker.handlers import HANDLERS
from worker.hints import Hints
from worker.policy import CRASHES_TO_DEATH
from worker.runner import Carried, Handler, Outcome, StepRunner

log = structlog.get_logger(__name__)

COMMITS_LATER = 0.25
"""Seconds between the answer and the commit of `publish_before_commit`."""


def no_sweeper() -> None:
    """Clocks send no hints. A user loses what is pending when a task message is lost.

    It is accepted, and nobody does it until somebody happens to write again.
    """
    init = Clock.__init__

    def mute(self: Clock, session: Session, hints: Hints, *arguments: Any) -> None:
        init(self, session, hints, *arguments)
        self._hints.publish = lambda *_: False  # type: ignore[method-assign]

    Clock.__init__ = mute  # type: ignore[method-assign,assignment]


def publish_before_commit() -> None:
    """A webhook is answered, and its hint published, before its commit. A user loses messages without a trace.

    The provider has been told 2xx and does not come again, and PostgreSQL or the process dies before the commit.
    """

    def commit(self: Acceptor, group: Sequence[accept._Request]) -> None:
        items = [item for request in group for item in request.items]
        try:
            with self._session.transaction() as connection:
                ids = inbox.accept(connection, items, datetime.now(UTC).date())
                given = iter(ids)
                accept._tell(group, [[next(given) for _ in request.items] for request in group])
                self._on_commit(
                    [
                        (inbox_id, item.message)
                        for inbox_id, item in zip(ids, items, strict=True)
                        if inbox_id is not None and item.message is not None and item.stage == inbox.FIRST_STAGE
                    ]
                )
                time.sleep(COMMITS_LATER)
        except Exception as error:  # noqa: BLE001  everybody has been answered
            log.warning("commit_lost", error=error)
            accept._tell(group, [error for _ in group])  # if the error came before the answers
        finally:
            with self._lock:
                self._waiting -= len(items)
                self._waiting_bytes -= sum(map(accept._weight, group))

    Acceptor._commit = commit  # type: ignore[method-assign]


def claim_without_condition() -> None:
    """Claims lock no chats, and moves ask for no stage. A user gets everything twice that two workers do at once.

    They do the same whenever a task message is doubled or late, and the ledger counts what does not exist.
    """

    begin_batch = failures.begin_batch

    def unseen(
        session: Session, step: Step, worker: str, identity: tuple[int, datetime], inbox_ids: Collection[int]
    ) -> tuple[int, bool]:
        return begin_batch(session, step, worker, identity, inbox_ids)[0], False

    _without("inbox", "lock_chats", "FOR NO KEY UPDATE SKIP LOCKED")
    failures.begin_batch = unseen
    _without("inbox", "move_items", " AND state.stage = %(step)s::text::stage")


def ack_early() -> None:
    """bind_chat lets its items go in a commit before that of its work. A user loses what was said.

    A worker that dies in between leaves an item that goes on to its end and stands in no history.
    """
    handlers = cast("dict[Step, Handler]", HANDLERS)
    bind_chat, hint_next = handlers[Step.BIND_CHAT], StepRunner._hint_next
    still_to_do: list[tuple[Sequence[ClaimedItem], Carried]] = []

    def let_go(_connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        still_to_do[:] = [(items, carried)]
        return Outcome([Move(item.inbox_id, Step.ENSURE_CARD) for item in items])

    def do_now(self: StepRunner, outcome: Outcome) -> None:
        while still_to_do:
            items, carried = still_to_do.pop()
            with self._session.transaction() as connection:
                moves = bind_chat(connection, items, carried).moves
                connection.execute(
                    "UPDATE inbox_state AS state SET card_id = given.card_id"
                    " FROM unnest(%s::bigint[], %s::bigint[]) AS given (inbox_id, card_id)"
                    " WHERE state.inbox_id = given.inbox_id",
                    [[move.inbox_id for move in moves], [move.card_id for move in moves]],
                )
        hint_next(self, outcome)

    handlers[Step.BIND_CHAT] = let_go
    StepRunner._hint_next = do_now  # type: ignore[method-assign]


def crash_counted_against_all() -> None:
    """A crash counts for each item of its batch. A user loses innocent messages to dead letters.

    Those that stood beside one that kills its worker, three times.
    """

    def settle_crashed(self: FailingItems, connection: Connection) -> None:
        for crashed in failures.take_crashed(connection, self._step):
            failures.lock_chats_of(connection, crashed.inbox_ids)
            for inbox_id in crashed.inbox_ids if crashed.counts else ():
                self._count_crash(connection, inbox_id, crashed.worker)
            # It is not suspected, and not run alone: the same batch comes again.
            connection.execute(
                "UPDATE inbox_state SET batch_limit = NULL WHERE inbox_id = ANY(%s) AND crashes < %s",
                [list(crashed.inbox_ids), CRASHES_TO_DEATH],
            )

    FailingItems.settle_crashed = settle_crashed  # type: ignore[method-assign]


def _without(aggregate: str, name: str, condition: str) -> None:
    """Take a condition out of a query."""
    texts = queries._read(aggregate)
    if condition not in texts[name]:
        raise ValueError(f"{aggregate}.{name} has no condition {condition!r}")
    texts[name] = texts[name].replace(condition, "")


MUTATIONS: Mapping[str, Callable[[], None]] = {
    mutation.__name__: mutation
    for mutation in (no_sweeper, publish_before_commit, claim_without_condition, ack_early, crash_counted_against_all)
}

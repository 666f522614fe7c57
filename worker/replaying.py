"""Replays of dead letters, driven by any number of clocks.

A step of a replay is one transaction that holds its row: it notes what has become of the letters that were sent,
decides (`worker.replay_pace`), and puts the next ones back. A clock that is killed leaves nothing half-done: what it
has committed stands in the rows, and its lost hints are made up for by the sweeper.

Lock order: the replay's row, then as sql/put_back.sql.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence

import structlog

from config.topology import Step
from crm_store import alerts, put_back, replays
from crm_store.alerts import AlertKind
from crm_store.database import Connection, Session
from crm_store.errors import BusyError, DatabaseAwayError, translated
from crm_store.replays import ItemState, ReplayState, TakenReplay, Tried
from crm_store.secrets import SecretBox
from worker.hints import Hints
from worker.policy import half
from worker.putting_back import BATCH_LIMIT, Cause, PutBack, bury_again, put_letters_back
from worker.replay_pace import DEFECT, JUDGED, Brake, Finish, Send, next_act, next_at

log = structlog.get_logger(__name__)

WHILE = 0.25
"""Seconds of a look that may be spent on more than one step of each replay."""

LOCK_SECONDS = 0.5
"""For so long a clock, which has other things to do, waits for a letter that somebody works on."""

Work = dict[Step, list[int]]
"""What is to be hinted after the commit."""


class Replaying:
    """Drives what is asked for. Not safe for use by several threads."""

    def __init__(self, session: Session, hints: Hints, box: SecretBox) -> None:
        """box: opens the channels' secrets, with which some adapters read what has to be read again."""
        self._session = session
        self._hints = hints
        self._box = box
        self._worker = f"{socket.gethostname()}:{os.getpid()}"

    def look(self) -> None:
        """Bring every replay forward by a step, and by more while there is time. Raises DatabaseAwayError."""
        with self._session.transaction() as connection:
            left = replays.at_work(connection)
        end = time.monotonic() + WHILE
        while left:
            left = [replay_id for replay_id in left if self._go_on(replay_id)]
            if time.monotonic() > end:
                break

    def _go_on(self, replay_id: int) -> bool:
        """One step of a replay; whether another one may follow at once."""
        work: Work = {}
        try:
            with self._session.transaction() as connection:
                goes_on = self._step(connection, replay_id, work)
        except BusyError as error:  # somebody works on one of its letters
            log.info("replay_waits", replay=replay_id, error=error)
            return False
        except DatabaseAwayError:
            raise
        except Exception:
            log.exception("replay_failed", replay=replay_id)
            self._brake(replay_id)
            return False
        for step, inbox_ids in work.items():
            if step is Step.DELIVER:
                self._hints.publish_if_idle(step)
            else:
                self._hints.publish(step, inbox_ids)
        return goes_on

    def _brake(self, replay_id: int) -> None:
        """A defect of ours, in none of its letters: it holds up no other replay, and is not tried for ever."""
        with self._session.transaction() as connection:
            replay = replays.take(connection, replay_id)
            if replay is not None and replay.state is ReplayState.RUNNING:
                _stop_short(connection, replay, DEFECT)

    def _step(self, connection: Connection, replay_id: int, work: Work) -> bool:
        put_back.wait_briefly(connection, LOCK_SECONDS)
        replay = replays.take(connection, replay_id)
        if replay is None:
            return False
        if replays.settle(connection, replay):
            replay = replays.take(connection, replay_id) or replay
        if replay.state is not ReplayState.RUNNING:
            return False
        canary = replays.canary_states(connection, replay)
        match next_act(replay, canary, *replays.last_failures(connection, replay, JUDGED)):
            case Finish():
                replays.end(connection, replay)
                log.info(
                    "replay_done", replay=replay.id, done=replay.done, failed=replay.failed, skipped=replay.skipped
                )
            case Brake(reason):
                _stop_short(connection, replay, reason)
                log.error("replay_braked", replay=replay.id, reason=reason, done=replay.done, failed=replay.failed)
            case Send(limit):
                self._send(connection, replay, limit, alone=_is_canary(replay, canary), work=work)
                return True
        return False

    def _send(self, connection: Connection, replay: TakenReplay, limit: int, alone: bool, work: Work) -> None:
        letters = replays.waiting(connection, replay, limit)
        cause = Cause(replay.actor, replay.id, self._worker)
        placed = self._put_back(connection, list(letters.values()), cause, 1 if alone else BATCH_LIMIT)
        tried = [_tried(position, placed[letter_id]) for position, letter_id in letters.items()]
        sent = sum(one.state is not ItemState.SKIPPED for one in tried)
        replays.mark(connection, replay, tried, next_at(replay, sent))
        for one in placed.values():
            for step, inbox_ids in one.work.items():
                work.setdefault(step, []).extend(inbox_ids)

    def _put_back(
        self, connection: Connection, letter_ids: Sequence[int], cause: Cause, batch_limit: int
    ) -> Mapping[int, PutBack]:
        """All at once; if that fails, halves, until the culprit is alone."""
        try:
            with translated(), connection.transaction():
                return put_letters_back(connection, letter_ids, cause, self._box, batch_limit)
        except DatabaseAwayError:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it is one letter's next death
            if len(letter_ids) == 1:
                log.warning("letter_not_put_back", letter=letter_ids[0], replay=cause.replay_id, error=error)
                return {letter_ids[0]: bury_again(connection, letter_ids[0], error, cause)}
            middle = half(len(letter_ids))
            first = self._put_back(connection, letter_ids[:middle], cause, batch_limit)
            return {**first, **self._put_back(connection, letter_ids[middle:], cause, batch_limit)}


def _stop_short(connection: Connection, replay: TakenReplay, reason: str) -> None:
    """Brake it, and tell persons: whoever asked for it may be gone."""
    replays.brake(connection, replay, reason)
    alerts.raise_alert(
        connection,
        AlertKind.REPLAY_BRAKED,
        f"replay {replay.id} has stopped by itself: {reason}",
        {
            "replay_id": replay.id,
            "reason": reason,
            "done": replay.done,
            "failed": replay.failed,
            "waiting": replay.waiting,
        },
    )


def _is_canary(replay: TakenReplay, canary: Sequence[ItemState]) -> bool:
    return replay.pace.canary is not None and len(canary) < replay.pace.canary


def _tried(position: int, placed: PutBack) -> Tried:
    return Tried(position, placed.state, placed.outcome, placed.deaths)

"""Ours: exactly what `openchannel up` runs, with its default settings."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import psycopg

from bench import desk
from bench.sides.side import Questions, Running, Side
from cli.up import RunningMachine, running_machine
from config.settings import load_settings
from crm_store import desks
from crm_store.database import DatabaseOptions, Session
from crm_store.desks import RosterMember
from crm_store.secrets import SecretBox, hash_token

HEARTBEAT_SECONDS = 20.0

QUESTIONS = Questions(
    pending="SELECT EXISTS (SELECT FROM inbox_state WHERE stage < 'done')",
    finished="""
        SELECT extract(epoch FROM state.finished_at)::float8, messages.text
        FROM inbox_state AS state
        JOIN bench_chats ON bench_chats.id = state.chat_id
        JOIN messages ON messages.chat_id = state.chat_id AND messages.seq = state.chat_seq
        WHERE state.stage = 'done'
    """,
    # The ledger counts all items; the stream's are those that are left without the others.
    counts="""
        SELECT
            coalesce(sum(n) FILTER (WHERE outcome = 'accepted'), 0)::bigint - others.accepted,
            coalesce(sum(n) FILTER (WHERE outcome = 'done'), 0)::bigint - others.done,
            coalesce(sum(n) FILTER (WHERE outcome NOT IN ('accepted', 'done')), 0)::bigint
                + (SELECT count(*) FROM inbox_state WHERE stage <> 'done')
        FROM ledger, (
            SELECT count(*) AS accepted, count(*) FILTER (WHERE stage = 'done') AS done FROM inbox_state
            WHERE NOT EXISTS (SELECT FROM bench_chats WHERE bench_chats.id = inbox_state.chat_id)
        ) AS others
        GROUP BY others.accepted, others.done
    """,
    history="""
        SELECT chat_id, text FROM messages JOIN bench_chats ON bench_chats.id = messages.chat_id
        WHERE direction = 'in' ORDER BY chat_id, seq
    """,
    chats="""
        SELECT bench_chats.id, channel_key, coalesce(cards.live_id, cards.id)
        FROM bench_chats LEFT JOIN cards ON cards.id = bench_chats.card_id
    """,
    cards="""
        SELECT cards.id FROM cards JOIN bench_chats ON bench_chats.id = cards.chat_id
        WHERE live_id IS NULL AND type = 'lead'
    """,
    details="""
        SELECT DISTINCT coalesce(cards.live_id, cards.id), kind, key
        FROM card_identifiers
        JOIN bench_chats ON bench_chats.id = card_identifiers.chat_id
        JOIN cards ON cards.id = card_identifiers.card_id
        WHERE kind <> 'messenger'
    """,
    dialogs="SELECT chat_id, operator_id FROM dialogs JOIN bench_chats ON bench_chats.id = dialogs.chat_id",
    operators="SELECT id FROM operators WHERE name LIKE '% (bench)'",
)


@contextmanager
def _running(folder: Path, seed: int) -> Iterator[Running]:
    with running_machine(load_settings(data_dir=folder)) as machine:
        session = Session(DatabaseOptions(machine.database_url, "bench"))
        try:
            heartbeats = Heartbeats(session, _set_up_desk(session, machine, seed))
            yield Running(
                name="ours",
                url=machine.web_url,
                database_url=machine.database_url,
                broker_url=machine.broker_url,
                supervisor=machine.supervisor,
                questions=QUESTIONS,
                tick=heartbeats.tick,
            )
        finally:
            session.close()


OURS = Side("ours", "openchannel", _running)


class Heartbeats:
    """Keeps the operators online, as their clients would (D6)."""

    def __init__(self, session: Session, operator_ids: Sequence[int]) -> None:
        self._session = session
        self._operator_ids = operator_ids
        self._due = time.monotonic() + HEARTBEAT_SECONDS

    def tick(self) -> None:
        """Every HEARTBEAT_SECONDS."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + HEARTBEAT_SECONDS
            with self._session.transaction() as connection:
                for operator_id in self._operator_ids:
                    desks.heartbeat(connection, operator_id)


def _set_up_desk(session: Session, machine: RunningMachine, seed: int) -> list[int]:
    box = SecretBox(machine.secret_key)
    with psycopg.connect(machine.database_url) as connection:
        connection.execute(files("bench.sides").joinpath("desk.sql").read_bytes())
    with session.transaction() as connection:
        operator_ids = [desks.put_operator(connection, name, hash_token(name)) for name in desk.OPERATORS]
        for operator_id in operator_ids:
            desks.set_online(connection, operator_id, online=True)
        open_channel_id = desks.put_open_channel(connection, desk.OPEN_CHANNEL, desk.SETTINGS)
        desks.put_roster(connection, open_channel_id, [RosterMember(operator_id=one) for one in operator_ids])
        for channel in desk.channels(seed):
            desks.put_channel(connection, replace(channel, open_channel_id=open_channel_id), box)
    return operator_ids

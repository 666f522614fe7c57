"""The demo's desk and the overview of it, in PostgreSQL."""

import base64

import pytest

from cli.demo_desk import channel_of_kind, plan_desk, set_up_desk
from crm_store import desks, overview
from crm_store.database import DatabaseOptions, Session
from crm_store.secrets import SecretBox, hash_token
from tests.processes import answer

pytestmark = pytest.mark.integration

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()


def test_the_desk_is_the_same_at_each_run(database_url):
    """A second demo on the same data changes nothing but where answers go; secrets and tokens stay."""
    session, box = Session(DatabaseOptions(database_url, "test")), SecretBox(KEY)
    for url in ("http://127.0.0.1:1/a", "http://127.0.0.1:2/b"):
        with session.transaction() as connection:
            set_up_desk(connection, box, plan_desk(KEY), url)
    with session.transaction() as connection:
        channels = desks.read_channels(connection, box)
        operators = [desks.operator_by_token(connection, hash_token(one.token)) for one in plan_desk(KEY).operators]
        rosters = desks.read_rosters(connection, {channel.open_channel_id for channel in channels})
    session.close()
    counts = [
        answer(database_url, f"SELECT count(*) FROM {table}") for table in ("open_channels", "channels", "operators")
    ]
    assert counts == [3, 5, 8]
    assert [operator is not None and operator.name.endswith("(demo)") for operator in operators] == [True] * 8
    assert sorted(len(roster) for roster in rosters.values()) == [3, 5, 6]
    custom = next(channel for channel in channels if channel.kind == "custom")
    planned = channel_of_kind(plan_desk(KEY), "custom")
    assert custom.config == {"callback_url": "http://127.0.0.1:2/b"}
    assert custom.secrets == planned.secrets
    assert custom.secrets != channel_of_kind(plan_desk(KEY[::-1]), "custom").secrets


def test_the_overview_of_an_empty_desk(database_url):
    """Everything is there and zero; operators who have not come are offline."""
    session = Session(DatabaseOptions(database_url, "test"))
    with session.transaction() as connection:
        set_up_desk(connection, SecretBox(KEY), plan_desk(KEY), "http://127.0.0.1:1/")
        seen = overview.read(connection, 5)
    session.close()
    assert (seen.ledger.accepted, seen.waiting, seen.cards, seen.changes) == (0, 0, {}, ())
    assert [(one.online, one.held, one.in_all) for one in seen.operators] == [(False, 0, 0)] * 8


def test_the_overview_shows_dialogs(database_url):
    """Who has and had how many dialogs, what waits, and the latest change with the operator's name."""
    session, box = Session(DatabaseOptions(database_url, "test")), SecretBox(KEY)
    with session.transaction() as connection:
        set_up_desk(connection, box, plan_desk(KEY), "http://127.0.0.1:1/")
        operator = desks.operator_by_token(connection, hash_token(plan_desk(KEY).operators[0].token))
        assert operator is not None
        desks.set_online(connection, operator.id, online=True)
        channel = desks.read_channels(connection, box)[0]
        for number, (status, operator_id) in enumerate(
            (("accepted", operator.id), ("closed", operator.id), ("queued", None))
        ):
            connection.execute(
                """
                WITH chat AS (INSERT INTO chats (channel_id, external_id) VALUES (%(channel)s, %(chat)s) RETURNING id),
                dialog AS (
                    INSERT INTO dialogs (open_channel_id, chat_id, status, operator_id)
                    SELECT %(open_channel)s, id, %(status)s, %(operator)s FROM chat RETURNING id
                )
                INSERT INTO events (dialog_id, actor, cause, became)
                SELECT id, %(actor)s, 'test', %(status)s FROM dialog
                """,
                {
                    "channel": channel.id,
                    "chat": f"chat-{number}",
                    "open_channel": channel.open_channel_id,
                    "status": status,
                    "operator": operator_id,
                    "actor": f"operator:{operator.id}" if operator_id else "system",
                },
            )
        seen = overview.read(connection, 2)
    session.close()
    assert (seen.waiting, seen.dialogs) == (1, {"accepted": 1, "closed": 1, "queued": 1})
    first = seen.operators[0]
    assert (first.name, first.online, first.held, first.in_all) == (operator.name, True, 1, 2)
    newest, before = seen.changes
    assert (newest.became, newest.operator, newest.channel_kind) == ("queued", "", channel.kind)
    assert (before.became, before.operator, before.open_channel[:4]) == ("closed", operator.name, "Demo")

"""`openchannel customers erase`: afterwards nothing anywhere holds the customer's phone, e-mail, name or texts (T5)."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from config.topology import TASK_QUEUES, Step
from crm_store import erasure, inbox
from tests.canary import (
    CANARIES,
    DIGITS,
    EMAIL,
    NAME,
    PHONE,
    PLANTED_COLUMNS,
    TEXTS,
    Planted,
    canaries_in,
    in_redis,
    in_tables,
    livechat,
    planted_desk,
    typed_email,
    whatsapp,
)
from tests.commands import CommandLine, command
from tests.pipeline import text_message
from worker.app import make_app
from worker.hints import Hints

pytestmark = pytest.mark.integration

__all__ = ["command"]

LOGS = ("events", "decisions")
BY_PHONE = ("--phone", "0171 9876501", "--region", "de")


@pytest.fixture
def planted(database_url: str) -> Iterator[Planted]:
    """Everything of the customer that can be anywhere."""
    with planted_desk(database_url) as here:
        yield here


def erase(command: CommandLine, *by: str) -> str:
    """Erase him; the reason quotes him too."""
    return command.done("customers", "erase", *by, "--reason", f"he asked, from {PHONE}", "--yes")


def test_the_search_finds_what_is_planted(planted):
    """The search can fail: before the erase it finds each canary, and him in each place."""
    found = in_tables(planted.desk)
    assert found.keys() >= PLANTED_COLUMNS, PLANTED_COLUMNS - found.keys()
    assert set().union(*found.values()) == CANARIES.keys()


@pytest.mark.parametrize("by", [BY_PHONE, ("--email", EMAIL.upper()), ("--card", "1"), ("--card", "2")])
def test_nothing_is_left(planted, command, by):
    """T5: no table, dead letter or entry of the audit holds the phone, the e-mail, the name or a text."""
    desk = planted.desk
    before = desk.ledger()
    said = erase(command, *by)
    assert in_tables(desk) == {}
    assert not canaries_in(said.encode())
    after = desk.ledger()
    assert after.accepted == before.accepted
    assert (after.dead, after.discarded) == (0, 4), "his dead letters, and those that nobody could read"
    assert desk.value("SELECT count(*) FROM dead_letters_now WHERE state <> 'done'") == 0
    assert not canaries_in(planted.log.getvalue().encode())
    assert "step_done" in planted.log.getvalue()


def test_neighbours_keep_all_else(planted, command):
    """What others wrote stays, without the phone and the e-mail; their cards, dialogs and facts stay."""
    desk = planted.desk
    card_id = planted.neighbour_id
    dialog = desk.rows("SELECT * FROM dialogs WHERE card_id = %s", card_id)
    erase(command, *BY_PHONE)
    texts = [text for (text,) in desk.rows("SELECT text FROM messages ORDER BY chat_id, seq")]
    assert texts == [
        "Hallo", "weiter: ([erased] \u2028 oder [erased].", "[erased] frag sie", "meine Nummer ist 0172 5550101"
    ]  # fmt: skip
    assert desk.rows("SELECT id, name FROM cards") == [(card_id, "Nils (wegen [erased])")]
    assert desk.rows("SELECT kind, key FROM card_identifiers ORDER BY kind") == [
        ("messenger", "telegram/7"),
        ("phone", "+491725550101"),
    ]
    assert desk.rows("SELECT kind, remembered_card_id FROM identifiers WHERE remembered_card_id IS NOT NULL") == [
        ("phone", card_id)
    ]
    assert desk.rows("SELECT * FROM dialogs") == dialog
    assert desk.rows("SELECT stage::text, count(*) FROM inbox_state GROUP BY stage") == [("done", 4)]
    assert desk.value("SELECT count(*) FROM inbox WHERE message ->> 'text' LIKE '%%[erased]%%'") == 2
    desk.run_through(text_message("telegram", 7, "und weiter"), worker=planted.worker)
    assert desk.value("SELECT count(*) FROM dialogs") == 1


def test_letters_of_neighbours_stay(planted, command):
    """What was changed in them and why, their headers and attempts: all but the phone and the e-mail."""
    desk = planted.desk
    erase(command, *BY_PHONE)
    ((reason, details),) = desk.rows("SELECT reason, details FROM dead_letter_acts")
    assert reason == "so sagt [erased]"
    (change,) = details["changes"]
    assert (change["was"]["phone"], change["became"]) == ("[erased]", "[erased]")
    assert [step for (step,) in desk.rows("SELECT step FROM dead_letters ORDER BY id")] == ["bind_chat", "deliver"]
    assert desk.rows("SELECT error FROM failures") == [("nobody at [erased]",)]
    assert desk.rows("SELECT headers FROM inbox WHERE headers <> '{}'") == [({"x-from": "[erased]", "x-for": "Nils"},)]


def test_what_happened_to_his_dialogs_goes_with_them(planted, command):
    """S1, D12: events and decisions of his dialogs; those of others' dialogs, and of operators' presence, stay."""
    desk = planted.desk
    desk.execute("INSERT INTO events (actor, cause, operator_id) VALUES ('system', 'presence', 1)")
    kept = "FROM {} WHERE dialog_id IN (SELECT id FROM dialogs WHERE card_id = %s) OR dialog_id IS NULL"
    wanted = {table: desk.rows(f"SELECT id {kept.format(table)} ORDER BY id", planted.neighbour_id) for table in LOGS}
    before = {table: desk.value(f"SELECT count(*) FROM {table}") for table in LOGS}
    assert all(before[table] > len(wanted[table]) for table in LOGS)
    erase(command, *BY_PHONE)
    assert {table: desk.rows(f"SELECT id FROM {table} ORDER BY id") for table in LOGS} == wanted


def test_it_is_audited_without_any_value(planted, command):
    """Who, when, which cards, how many rows, and why."""
    erase(command, *BY_PHONE)
    ((actor, act, outcome, details),) = planted.desk.rows(
        "SELECT actor, act, outcome, details FROM audit WHERE act LIKE 'customer%%'"
    )
    assert (actor.partition(":")[0], act, outcome) == ("cli", "customer_erased", "done")
    assert details["card_ids"] == [1, 2]
    assert details["reason"] == "he asked, from [erased]"
    assert details["deleted"]["chats"] == 3
    assert details["rewritten"]["messages"] == 2


def test_he_may_come_again_and_is_new(planted, command):
    """A repeated webhook is still recognised; a new message makes a new customer, who is found by his phone again."""
    desk = planted.desk
    repeated = whatsapp(DIGITS, "nochmal", external_id="again")
    desk.run_through(repeated, worker=planted.worker)
    erase(command, *BY_PHONE)
    with desk.session.transaction() as connection:
        assert inbox.accept(connection, [desk.item(repeated)], datetime.now(UTC).date()) == [None]
    desk.run_through(whatsapp(DIGITS, "neu", name="Q"), worker=planted.worker)
    assert desk.rows("SELECT name FROM cards WHERE id <> %s", planted.neighbour_id) == [("Q",)]
    assert desk.value("SELECT count(*) FROM identifiers WHERE key = %s AND remembered_card_id > 2", PHONE) == 1
    erase(command, *BY_PHONE)
    assert in_tables(desk) == {}
    desk.ledger()


def test_without_a_card_it_sweeps_all_the_same(planted, command):
    """Nobody is known any more, but what others wrote since is searched; and again nothing is to be done."""
    erase(command, *BY_PHONE)
    desk = planted.desk
    desk.run_through(text_message("telegram", 7, "0171/9876501 ist weg?", forwarded=True), worker=planted.worker)
    said = erase(command, *BY_PHONE)
    assert "nobody is known" in said
    assert "rewritten elsewhere: messages 1" in said or "messages 1" in said
    assert in_tables(desk) == {}
    assert "rewritten elsewhere: no rows" in erase(command, *BY_PHONE)
    ran = command("customers", "erase", "--card", "1", "--reason", "x", "--yes")
    assert (ran.code, ran.errors) == (1, "nobody is known by this card\n")


def test_pending_items_are_discarded_and_slots_are_freed(planted, command):
    """His items leave the steps, his dialogs vanish, and who waits gets the slots at once (D7, D8)."""
    desk = planted.desk
    assert desk.value("SELECT count(*) FROM dialogs WHERE status = 'queued'") == 1, "the neighbour's"
    pending = [whatsapp(DIGITS, f"wartet {n}") for n in range(3)]
    desk.accept(*pending)
    planted.worker.run(Step.CRM_LOOKUP)
    before = desk.ledger()
    desk.execute("UPDATE timers SET due_at = now() + interval '1 hour'")
    erase(command, *BY_PHONE)
    after = desk.ledger()
    assert (before.pending, after.pending, after.discarded) == (3, 0, 7)
    planted.worker.run(Step.DISTRIBUTE)
    assert desk.rows("SELECT operator_id FROM dialogs") == [(planted.operator,)]


def test_the_planners_statistics_hold_nothing(planted, command):
    """PostgreSQL keeps samples of the columns: they are taken anew, those of tables that became empty cleared."""
    desk = planted.desk
    desk.execute("ANALYZE")
    query = "SELECT tablename, attname, to_jsonb(pg_stats)::text FROM pg_stats WHERE schemaname = 'public'"
    sampled = {f"{table}.{column}" for table, column, text in desk.rows(query) if canaries_in(text.encode())}
    assert len(sampled) > 8, "the search finds it there"
    erase(command, *BY_PHONE)
    assert [row[:2] for row in desk.rows(query) if canaries_in(row[2].encode())] == []


def test_a_dry_run_changes_nothing_and_without_a_terminal_it_asks_for_yes(planted, command):
    """Counts per table and masked names are shown before; nothing is done unasked."""
    before = in_tables(planted.desk)
    said = command.done("customers", "erase", *BY_PHONE, "--reason", "x", "--dry-run")
    assert "Q*** K***" in said
    assert re.search(r"messages +6\b", said)
    assert not canaries_in(said.encode())
    ran = command("customers", "erase", *BY_PHONE, "--reason", "x")
    assert (ran.code, "--yes" in ran.errors) == (2, True)
    assert in_tables(planted.desk) == before
    assert planted.desk.value("SELECT count(*) FROM audit WHERE act = 'customer_erased'") == 0


def test_all_who_have_it_are_erased_together(planted, command):
    """Several customers with one e-mail: one has to be chosen, or all are taken."""
    desk = planted.desk
    desk.open_channel("apart", ["custom"], prefix="apart-", chat_tracker=False)
    desk.run_through(text_message("apart-custom", "z", TEXTS[0], name=NAME, identifiers=typed_email()))
    ran = command("customers", "erase", "--email", EMAIL, "--reason", "x", "--yes")
    assert (ran.code, "2 customers have this email" in ran.errors) == (1, True)
    command.done("customers", "erase", "--email", EMAIL, "--reason", "x", "--yes", "--all")
    assert in_tables(desk) == {}
    assert desk.rows("SELECT id FROM cards") == [(planted.neighbour_id,)]


def test_a_long_history_goes_in_parts(planted, command, monkeypatch):
    """The older messages ahead of the rest, so that no transaction becomes long."""
    monkeypatch.setattr(erasure, "LONG_HISTORY", 100)
    chat_id = planted.desk.value("SELECT id FROM chats WHERE external_id = %s", DIGITS)
    planted.desk.execute(
        "INSERT INTO messages (chat_id, seq, direction, kind, text, sent_at, received_at) "
        "SELECT %s, n, 'in', 'text', 'x' || n, now(), now() FROM generate_series(1000, 1999) AS n",
        chat_id,
    )
    said = erase(command, *BY_PHONE)
    assert planted.desk.value("SELECT count(*) FROM messages WHERE chat_id = %s", chat_id) == 0
    assert "messages 1006" in said


def test_redis_holds_nothing_once_its_tasks_are_consumed(planted, command, broker_url):
    """A queued task may carry texts; it changes nothing any more, and is gone when it is consumed."""
    desk = planted.desk
    app = make_app(broker_url)
    hints = Hints(app)
    messages = [whatsapp(DIGITS, TEXTS[0], name=NAME), livechat(EMAIL)]
    ids = desk.accept(*messages)
    carried = [[inbox_id, desk.item(message).message] for inbox_id, message in zip(ids, messages, strict=True)]
    assert hints.publish(Step.CRM_LOOKUP, carried)
    assert in_redis(broker_url), "the search finds it there"
    erase(command, *BY_PHONE)
    consumed = consume(app, lambda step, items: planted.worker.run(step, [i for i, _ in items], dict(items)))
    assert consumed == 1
    assert in_redis(broker_url) == {}
    assert in_tables(desk) == {}
    desk.ledger()
    app.close()


def consume(app: Any, run: Callable[[Step, Any], None]) -> int:
    """Take all tasks off the queues, as a worker does."""
    consumed = 0
    with app.connection_for_read() as connection:
        for name in TASK_QUEUES:
            while (message := connection.default_channel.basic_get(name)) is not None:
                ((items, _tries), _, _) = json.loads(message.body)
                run(Step(name), items)
                connection.default_channel.basic_ack(message.delivery_tag)
                consumed += 1
    return consumed

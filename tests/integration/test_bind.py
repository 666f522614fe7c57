"""bind_chat under locks: one card whatever happens at the same moment, and the chat's history (T2-T10, C5)."""

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.topology import Step
from crm_store import cards, matching
from crm_store.database import Session
from tests.pipeline import Desk, drain, text_message
from tracker.identifiers import Evidence, Identifier, IdentifierKind, messenger, phone
from tracker.messages import MessageKind

pytestmark = pytest.mark.integration

LOOK_UP, BIND = Step.CRM_LOOKUP, Step.BIND_CHAT
PHONE = "+49 171 2345678"


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """One open channel with three channels."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram", "custom", "whatsapp"])
        yield made


def proven(written: str) -> Identifier:
    found = phone(written, Evidence.PROVEN)
    assert found is not None
    return found


def looked_up(desk: Desk, *messages) -> list[int]:
    ids = desk.accept(*messages)
    drain(desk, desk.worker(), [LOOK_UP])
    return ids


def bind_at_once(desk: Desk, shares: Sequence[Sequence[int]]) -> None:
    """Each share of the items is bound by a worker of its own, all at the same moment."""
    together = threading.Barrier(len(shares), timeout=30)
    workers = [desk.worker() for _ in shares]

    def work(number: int) -> None:
        workers[number].run(BIND, [])  # connected, nothing to do
        together.wait()
        for _ in range(20):
            workers[number].run(BIND, shares[number])

    desk.execute("UPDATE inbox_state SET due_at = now() + interval '1 hour' WHERE stage = 'bind_chat'")
    with ThreadPoolExecutor(len(shares)) as pool:
        running = [pool.submit(work, number) for number in range(len(shares))]
        desk.execute("UPDATE inbox_state SET due_at = now() WHERE stage = 'bind_chat'")
        for run in running:
            run.result(60)
    for worker in workers:
        worker.close()


@pytest.mark.parametrize("seen_before", [False, True])
def test_two_sessions_that_bind_the_same_phone_make_one_card(desk, seen_before):
    """T10: 50 times two first messages with one phone, on two workers at the same moment.

    Also where the phone was given once and deleted since: then its row is there, and only its lock decides.
    """
    for n in range(50):
        text = f"call me on +49 171 {5000000 + n}"
        if seen_before:
            desk.execute("INSERT INTO identifiers (kind, key) VALUES ('phone', %s)", f"+49171{5000000 + n}")
        first, second = looked_up(desk, text_message("telegram", f"a{n}", text), text_message("custom", f"b{n}", text))
        bind_at_once(desk, [[first], [second]])
        cards_of = desk.rows("SELECT DISTINCT chats.card_id FROM chats WHERE external_id IN (%s, %s)", f"a{n}", f"b{n}")
        assert len(cards_of) == 1, f"round {n}"
        assert cards_of[0][0] is not None
    assert desk.value("SELECT count(*) FROM cards") == 50
    assert desk.value("SELECT count(*) FROM identifiers WHERE remembered_card_id IS NOT NULL") == 50
    assert desk.value("SELECT count(*) FROM failures") == 0


def test_shared_identifiers_in_any_order_deadlock_nobody(desk):
    """Lock order: 200 phones, each of two chats, in texts of random order, on four workers: no deadlock, one
    card per group of customers who share a phone."""
    chance = random.Random(5)
    numbers = [f"+49 171 {6000000 + n}" for n in range(200)]
    messages = []
    for chat in range(200):  # each chat gives its own phone and its neighbour's, written in a random order
        given = [numbers[chat], numbers[chat ^ 1]]
        chance.shuffle(given)
        messages.append(text_message("telegram", chat, "phones: " + " or ".join(given)))
    chance.shuffle(messages)
    ids = looked_up(desk, *messages)
    chance.shuffle(ids)
    bind_at_once(desk, [ids[n::4] for n in range(4)])
    drain(desk, desk.worker(), [BIND])
    assert desk.value("SELECT count(*) FROM chats WHERE card_id IS NULL") == 0
    assert desk.value("SELECT count(*) FROM failures") == 0
    assert desk.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    pairs = (
        "SELECT count(DISTINCT coalesce(cards.live_id, cards.id)) FROM chats JOIN cards ON cards.id = chats.card_id "
        "GROUP BY external_id::int / 2"
    )
    assert desk.rows(pairs) == [(1,)] * 100
    assert desk.value("SELECT count(*) FROM cards WHERE live_id IS NULL") == 100


def test_locks_of_identifiers_are_taken_in_one_order(desk):
    """Lock order: 200 shared identifiers, given in random orders to four sessions again and again: no deadlock."""
    keys = [(IdentifierKind.PHONE, f"+49171{7000000 + n}") for n in range(200)]

    def lock(seed: int) -> int:
        session, chance = Session(desk.options), random.Random(seed)
        try:
            for _ in range(25):
                with session.transaction() as connection:
                    matching.learn(connection, chance.sample(keys, 120), [])
        finally:
            session.close()
        return seed

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lock, range(4))) == [0, 1, 2, 3]
    assert desk.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_decision_about_an_identifier_waits_for_the_one_before(desk, seen_before):
    """T10: who locks an identifier second reads what the first has written, be it new or one that nobody has now."""
    key = (IdentifierKind.PHONE, "+491712345678")
    if seen_before:
        desk.execute("INSERT INTO identifiers (kind, key) VALUES (%s, %s)", *key)
    looked_up(desk, text_message("telegram", 1, PHONE))
    waiter = desk.worker()
    holder = Session(desk.options)
    with ThreadPoolExecutor(1) as pool:
        with holder.transaction() as connection:
            matching.learn(connection, [key], [])
            waiting = pool.submit(waiter.run, BIND)
            while desk.blocked_sessions() == 0:
                assert not waiting.done(), "it must wait"
            (card_id,) = cards.new_ids(connection, 1)
            connection.execute("INSERT INTO cards (id, type) VALUES (%s, 'lead')", [card_id])
            connection.execute(
                "INSERT INTO card_identifiers (card_id, kind, key, value, written, evidence, given_at) "
                "VALUES (%s, 'phone', %s, %s, '', 'proven', now())",
                [card_id, key[1], key[1]],
            )
        waiting.result(20)
    holder.close()
    assert desk.value("SELECT card_id FROM chats") == card_id


def test_a_batch_of_first_messages_ends_on_one_card(desk):
    """T10: within one batch too, and T5 remembers one phone."""
    desk.run_through(*(text_message("custom", n, f"call {PHONE}") for n in range(100)))
    assert desk.value("SELECT count(*) FROM cards") == 1
    assert desk.value("SELECT count(DISTINCT card_id) FROM chats WHERE card_id IS NOT NULL") == 1
    assert desk.value("SELECT count(*) FROM card_identifiers WHERE kind = 'phone'") == 100, "a fact of each chat"
    assert desk.rows("SELECT bound_by, count(*) FROM chats GROUP BY 1 ORDER BY 2") == [
        ("T6", 1),
        ("T5 typed phone", 99),
    ]


def test_what_a_message_brings_is_added_and_nothing_overwritten(desk):
    """T4, T6: the name stays, the phone and the e-mail come; stronger evidence replaces weaker, never the reverse."""
    desk.run_through(text_message("telegram", 1, "hello", name="Ann Smith"))
    desk.run_through(text_message("telegram", 1, f"{PHONE}, ann@shop-mail.de", name="A."))
    evidence = "SELECT kind, min(evidence)::text FROM card_identifiers WHERE kind <> 'messenger' GROUP BY 1 ORDER BY 1"
    assert desk.rows("SELECT name FROM cards") == [("Ann Smith",)]
    assert desk.rows(evidence) == [("email", "typed"), ("phone", "typed")]
    desk.run_through(text_message("whatsapp", 491712345678, "hi", identifiers=[proven(PHONE)]))
    assert desk.rows(evidence) == [("email", "typed"), ("phone", "proven")]
    desk.run_through(text_message("telegram", 1, PHONE))
    assert desk.rows(evidence) == [("email", "typed"), ("phone", "proven")]
    assert desk.value("SELECT count(*) FROM cards") == 1


def test_a_first_phone_is_remembered_when_it_was_deleted(desk):
    """T5: for ever; and it stands on the card again."""
    desk.run_through(text_message("telegram", 1, PHONE))
    desk.execute("DELETE FROM card_identifiers WHERE kind = 'phone'")
    desk.run_through(text_message("custom", 2, f"my number is {PHONE}"))
    assert desk.value("SELECT count(DISTINCT card_id) FROM chats") == 1
    assert desk.value("SELECT bound_by FROM chats ORDER BY id DESC LIMIT 1") == "T5 typed phone"
    assert desk.value("SELECT count(*) FROM card_identifiers WHERE kind = 'phone'") == 1


def test_another_cards_identifier_merges_and_moves_nothing(desk):
    """T7: two bound chats, then one gives the other's phone: the younger card points at the older, that is all."""
    desk.run_through(text_message("telegram", 1, PHONE), text_message("custom", 2, "ben@shop-mail.de"))
    before = desk.rows("SELECT id, card_id FROM chats ORDER BY id")
    (_, older), (chat_id, younger) = before
    (inbox_id,) = desk.run_through(text_message("custom", 2, f"or was it {PHONE}?"))
    assert desk.rows("SELECT id, card_id FROM chats ORDER BY id") == before
    facts = "SELECT card_id FROM card_identifiers WHERE kind = 'phone' ORDER BY 1"
    assert desk.rows(facts) == [(older,), (younger,)]
    assert desk.rows("SELECT id, live_id FROM cards ORDER BY id") == [(older, None), (younger, older)]
    record = (
        "SELECT card_id, other_id, loser_id, survivor_id, rule, kind, evidence::text, chat_id, inbox_id FROM merges"
    )
    assert desk.rows(record) == [(younger, older, younger, older, "T7", "phone", "typed", chat_id, inbox_id)]


def test_a_late_proof_parts_what_only_a_typed_number_joined(desk):
    """T8: a stranger types a customer's number and later proves his own: he gets a card of his own, and a review."""
    desk.run_through(text_message("whatsapp", 491712345678, "hello", name="Ann", identifiers=[proven(PHONE)]))
    desk.run_through(text_message("telegram", 7, f"call me on {PHONE}", name="Ben"))
    assert desk.value("SELECT count(DISTINCT card_id) FROM chats") == 1, "bound by what he typed"
    own = [messenger("telegram", "7"), proven("+49 171 9999999")]
    desk.run_through(text_message("telegram", 7, "my contact", name="Ben", identifiers=own))
    assert desk.value("SELECT count(DISTINCT card_id) FROM chats") == 2
    ann, ben = (card_id for (card_id,) in desk.rows("SELECT card_id FROM chats ORDER BY id"))
    facts = "SELECT kind, key, evidence::text FROM card_identifiers WHERE card_id = %s ORDER BY 1, 2"
    assert desk.rows(facts, ann) == [("phone", "+491712345678", "proven")]
    assert desk.rows(facts, ben) == [
        ("messenger", "telegram/7", "proven"),
        ("phone", "+491712345678", "typed"),
        ("phone", "+491719999999", "proven"),
    ]
    assert desk.rows("SELECT name FROM cards ORDER BY id") == [("Ann",), ("Ben",)]
    assert desk.rows("SELECT cause, card_id, other_id, key FROM reviews") == [
        ("contradiction", ben, ann, "+491712345678")
    ]
    assert desk.rows("SELECT chat_id, card_id FROM dialogs ORDER BY chat_id") == desk.rows(
        "SELECT id, card_id FROM chats ORDER BY id"
    )


def test_a_late_proof_undoes_a_typed_merge(desk):
    """T8: the same where two cards were merged by what somebody typed."""
    desk.run_through(text_message("telegram", 7, "hello", name="Ben"))
    desk.run_through(text_message("whatsapp", 491712345678, "hello", name="Ann", identifiers=[proven(PHONE)]))
    desk.run_through(text_message("telegram", 7, f"call me on {PHONE}", name="Ben"))
    assert desk.value("SELECT count(*) FROM cards WHERE live_id IS NOT NULL") == 1
    own = [messenger("telegram", "7"), proven("+49 171 9999999")]
    desk.run_through(text_message("telegram", 7, "my contact", name="Ben", identifiers=own))
    assert desk.value("SELECT count(*) FROM cards WHERE live_id IS NOT NULL") == 0
    assert desk.rows("SELECT undone_by, undo_reason FROM merges") == [("tracker", "T8")]
    assert desk.rows("SELECT cause FROM reviews") == [("contradiction",)]


def test_two_proven_phones_are_not_joined_by_a_typed_mail(desk):
    """T8: the shared address of two WhatsApp customers joins nobody."""
    for number in ("491712345678", "491719999999"):
        desk.run_through(
            text_message("whatsapp", number, "write to office@shop-mail.de", identifiers=[proven("+" + number)])
        )
    assert desk.value("SELECT count(DISTINCT card_id) FROM chats") == 2
    assert desk.value("SELECT count(*) FROM cards WHERE live_id IS NULL") == 2
    assert desk.rows("SELECT cause FROM reviews") == [("contradiction",)]


def test_with_the_tracker_off_each_chat_has_its_own_card(database_url):
    """T1: and no chat of another open channel finds that card."""
    with Desk(database_url) as desk:
        desk.open_channel("off", ["telegram", "custom"], chat_tracker=False)
        desk.open_channel("on", ["telegram"], prefix="on-")
        desk.run_through(text_message("telegram", 1, PHONE))
        desk.run_through(text_message("custom", 2, PHONE), text_message("on-telegram", 3, PHONE))
        assert desk.value("SELECT count(DISTINCT card_id) FROM chats") == 3
        assert desk.value("SELECT count(*) FROM cards WHERE NOT matched") == 2


def test_variants_of_one_number_are_one_customer(desk):
    """T12: with and without Brazil's ninth digit; the raw id stays the address."""
    desk.run_through(text_message("whatsapp", "551187654321", "oi", identifiers=[proven("+551187654321")]))
    desk.run_through(text_message("custom", 2, "+55 11 98765-4321"))
    assert desk.value("SELECT count(DISTINCT card_id) FROM chats") == 1
    assert desk.value("SELECT external_id FROM chats ORDER BY id LIMIT 1") == "551187654321"


def test_edits_deletions_and_reactions_change_what_is_there(desk):
    """C5: in the chat's order, also when they come in one batch with what they are about; they make nothing."""
    desk.run_through(
        text_message("telegram", 1, "frist", external_id="m1"),
        text_message("telegram", 1, "first", kind=MessageKind.EDIT, target="m1"),
        text_message("telegram", 1, "second", external_id="m2"),
        text_message("telegram", 1, "", kind=MessageKind.DELETE, target="m2"),
        text_message("telegram", 1, "\U0001f44d", kind=MessageKind.REACTION, target="m1"),
        text_message("telegram", 1, "\u2764", kind=MessageKind.REACTION, target="m1"),
    )
    assert desk.rows(
        "SELECT text, edited_at IS NOT NULL, deleted_at IS NOT NULL, reactions FROM messages ORDER BY seq"
    ) == [("first", True, False, {"1": "\u2764"}), ("second", False, True, None)]
    assert desk.value("SELECT count(*) FROM dialogs") == 1
    assert desk.ledger().done == 6


@pytest.mark.parametrize("kind", [MessageKind.EDIT, MessageKind.DELETE, MessageKind.REACTION])
def test_a_change_of_nothing_is_ignored(desk, kind):
    """C5: no card, no dialog, no history of it; also with an identifier in its text."""
    desk.run_through(text_message("telegram", 1, PHONE, kind=kind, target="unknown"))
    assert desk.rows("SELECT stage::text, reason FROM inbox_state") == [("ignored", "unknown_target")]
    for table in ("cards", "dialogs", "messages", "card_identifiers"):
        assert desk.value(f"SELECT count(*) FROM {table}") == 0
    assert desk.ledger().ignored == 1


def test_a_change_of_another_chats_message_changes_nothing(desk):
    """C5: external ids are unique within a chat only."""
    desk.run_through(text_message("telegram", 1, "mine", external_id="m1"))
    desk.run_through(text_message("telegram", 2, "yours", kind=MessageKind.EDIT, target="m1"))
    assert desk.rows("SELECT text FROM messages") == [("mine",)]


def test_an_inactive_open_channel_keeps_messages_and_makes_nothing(desk):
    """C5: accepted and kept, without card or dialog; active again, the next message is handled."""
    desk.execute("UPDATE open_channels SET active = false")
    desk.run_through(text_message("telegram", 1, f"hello, {PHONE}", external_id="m1"))
    desk.run_through(text_message("telegram", 1, "hello!", kind=MessageKind.EDIT, target="m1"))
    assert desk.rows("SELECT text FROM messages") == [("hello!",)]
    assert desk.rows("SELECT stage::text, reason FROM inbox_state ORDER BY 2 NULLS LAST") == [
        ("done", "inactive_open_channel"),
        ("done", None),
    ]
    for table in ("cards", "dialogs", "card_identifiers"):
        assert desk.value(f"SELECT count(*) FROM {table}") == 0
    desk.execute("UPDATE open_channels SET active = true")
    desk.run_through(text_message("telegram", 1, "again"))
    assert desk.value("SELECT count(*) FROM dialogs") == 1
    assert desk.rows("SELECT seq, text FROM messages ORDER BY seq")[-1][1] == "again"


def test_a_forwarded_text_is_no_evidence(desk):
    """T3: the phone of somebody else's text is neither matched nor added; the message is in the history."""
    desk.run_through(text_message("telegram", 1, PHONE))
    desk.run_through(text_message("custom", 2, f"look: {PHONE}", forwarded=True))
    assert desk.value("SELECT count(DISTINCT card_id) FROM chats") == 2
    assert desk.value("SELECT count(*) FROM card_identifiers WHERE kind = 'phone'") == 1
    assert desk.value("SELECT count(*) FROM messages") == 2


def test_messages_that_bring_nothing_lock_nothing(desk):
    """Most messages are of a bound chat and bring no news: they go through while another decides about its card."""
    desk.run_through(text_message("telegram", 1, PHONE, name="Ann"))
    looked_up(desk, text_message("telegram", 1, f"again {PHONE}", name="Another"))
    holder, worker = Session(desk.options), desk.worker()
    with holder.transaction() as connection:
        connection.execute("SELECT FROM cards FOR UPDATE")
        connection.execute("SELECT FROM identifiers FOR UPDATE")
        worker.run(BIND)
        assert desk.stages() == {"done": 1, "distribute": 1}
    holder.close()


def test_what_comes_after_a_merge_belongs_to_the_owner_of_the_identifier(desk):
    """T7: so that undoing the merge leaves chats and identifiers where they belong."""
    desk.run_through(text_message("telegram", 1, "ann@shop-mail.de"), text_message("custom", 2, PHONE))
    survivor, loser = (card_id for (card_id,) in desk.rows("SELECT card_id FROM chats ORDER BY id"))
    desk.run_through(text_message("custom", 2, "ann@shop-mail.de"))
    assert desk.rows("SELECT id, live_id FROM cards ORDER BY id") == [(survivor, None), (loser, survivor)]
    desk.run_through(text_message("custom", 3, PHONE), text_message("custom", 2, "more@shop-mail.de"))
    assert desk.value("SELECT card_id FROM chats WHERE external_id = '3'") == loser
    assert desk.value("SELECT card_id FROM card_identifiers WHERE key = 'more@shop-mail.de'") == loser


def test_the_history_keeps_all_of_a_message(desk):
    """T4: attachments, referral, reply, times."""
    desk.run_through(
        text_message(
            "telegram", 1, "see", kind=MessageKind.MEDIA, external_id="m1", reply_to="m0", referral="ad-7",
            attachments=[{"kind": "image", "id": "f1", "size": 5}],
        )
    )  # fmt: skip
    ((kind, attachments, external_id, reply_to, referral, direction),) = desk.rows(
        "SELECT kind, attachments, external_id, reply_to, referral, direction FROM messages"
    )
    assert attachments == [{"kind": "image", "id": "f1", "size": 5}]
    assert (kind, external_id, reply_to, referral, direction) == ("media", "m1", "m0", "ad-7", "in")

"""ensure_card: what a provisional card becomes, with which deal, source and responsible person (C1-C4)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.topology import Step
from crm_store import cards, inbox
from crm_store.database import Session
from tests.pipeline import Desk, drain, text_message
from worker.steps.ensure_card import ensure_card

pytestmark = pytest.mark.integration

PHONE = "+49 171 2345678"
DEALS = "SELECT id, contact_id FROM cards WHERE type = 'deal' ORDER BY id"


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """A database; each test makes its own open channel."""
    with Desk(database_url) as made:
        yield made


def types(desk: Desk) -> list[str]:
    return [card_type for (card_type,) in desk.rows("SELECT type::text FROM cards ORDER BY id")]


# C1


def test_lead_mode_makes_one_lead(desk):
    """C1: on which the chats hang; further messages and dialogs make no more."""
    desk.open_channel("desk", ["telegram", "custom"], mode="lead")
    desk.run_through(text_message("telegram", 1, PHONE), text_message("custom", 2, PHONE))
    desk.close_dialogs()
    desk.run_through(text_message("telegram", 1, "again"))
    assert types(desk) == ["lead"]
    assert desk.value("SELECT count(*) FROM dialogs") == 3


def test_deal_mode_reuses_the_active_deal(desk):
    """C1 `reuse`: a contact with one deal, over dialogs and channels, until that deal is closed."""
    desk.open_channel("desk", ["telegram", "custom"], mode="deal", deals="reuse")
    desk.run_through(text_message("telegram", 1, PHONE, name="Ann"))
    ((deal, contact),) = desk.rows(DEALS)
    desk.close_dialogs()
    desk.run_through(text_message("telegram", 1, "again"))
    desk.run_through(text_message("custom", 2, PHONE))
    assert desk.rows(DEALS) == [(deal, contact)]
    assert desk.rows("SELECT DISTINCT card_id, deal_id FROM chats") == [(contact, deal)]
    assert desk.rows("SELECT DISTINCT card_id, deal_id FROM dialogs") == [(contact, deal)]
    desk.execute("UPDATE cards SET closed_at = now() WHERE id = %s", deal)
    desk.close_dialogs()
    desk.run_through(text_message("telegram", 1, "and again"))
    assert len(desk.rows(DEALS)) == 2
    assert desk.rows("SELECT type::text, name FROM cards WHERE type <> 'deal'") == [("contact", "Ann")]


def test_deal_mode_opens_a_new_deal_for_every_dialog(desk):
    """C1 `always_new`: one per dialog, not per message."""
    desk.open_channel("desk", ["telegram"], mode="deal", deals="always_new")
    for dialog in range(3):
        desk.run_through(text_message("telegram", 1, "a"), text_message("telegram", 1, "b"))
        desk.run_through(text_message("telegram", 1, "c"))
        assert len(desk.rows(DEALS)) == dialog + 1
        desk.close_dialogs()
    assert desk.value("SELECT count(DISTINCT contact_id) FROM cards WHERE type = 'deal'") == 1
    assert desk.rows("SELECT deal_id FROM dialogs ORDER BY id") == [(deal,) for deal, _ in desk.rows(DEALS)]


@pytest.mark.parametrize(("deals", "made"), [("reuse", 1), ("always_new", 2)])
def test_two_chats_of_one_new_contact_in_one_batch(desk, deals, made):
    """C1, T10: they share the contact, and under `reuse` its new deal."""
    desk.open_channel("desk", ["telegram", "custom"], mode="deal", deals=deals)
    desk.run_through(text_message("telegram", 1, PHONE), text_message("custom", 2, PHONE))
    assert sorted(types(desk)) == sorted(["contact"] + ["deal"] * made)
    assert desk.value("SELECT count(DISTINCT deal_id) FROM chats") == made
    assert desk.value("SELECT count(*) FROM chats WHERE deal_id IS NULL") == 0


def test_two_workers_open_one_deal(desk):
    """C1: the contact is locked while its deals are looked at: the second worker waits, and reuses what it finds."""
    desk.open_channel("desk", ["telegram", "custom"], mode="deal", deals="reuse")
    desk.run_through(text_message("telegram", 1, PHONE), text_message("custom", 2, PHONE))
    desk.execute("UPDATE cards SET closed_at = now() WHERE type = 'deal'")
    first, second = desk.accept(text_message("telegram", 1, "again"), text_message("custom", 2, "again"))
    worker, slow = desk.worker(), Session(desk.options)
    drain(desk, worker, [Step.CRM_LOOKUP, Step.BIND_CHAT])
    with ThreadPoolExecutor(1) as pool:
        with slow.transaction() as connection:
            claim = inbox.claim(connection, Step.ENSURE_CARD, [first], 1, 0)
            outcome = ensure_card(connection, claim.lines[0], {})
            inbox.move(connection, Step.ENSURE_CARD, outcome.moves)
            waiting = pool.submit(worker.run, Step.ENSURE_CARD, [second])
            while desk.blocked_sessions() == 0:
                assert not waiting.done(), "it must wait"
        waiting.result(20)
    slow.close()
    drain(desk, worker)
    assert desk.value("SELECT count(*) FROM cards WHERE type = 'deal' AND closed_at IS NULL") == 1
    assert desk.value("SELECT count(DISTINCT deal_id) FROM chats") == 1


def test_a_known_lead_stays_a_lead_in_deal_mode(desk):
    """C1: what is a card already is not made anew, and gets no deal."""
    desk.open_channel("leads", ["telegram"], mode="lead")
    desk.open_channel("deals", ["custom"], mode="deal")
    desk.run_through(text_message("telegram", 1, PHONE))
    desk.run_through(text_message("custom", 2, PHONE))
    assert types(desk) == ["lead"]
    assert desk.value("SELECT count(*) FROM dialogs WHERE card_id IS NOT NULL") == 2


# C2, C3


def test_manual_stays_provisional_and_is_distributed(desk):
    """C2: no card that anybody sees, in both modes; the dialog reaches its operator all the same."""
    operator = desk.operator("o")
    desk.open_channel("leads", ["telegram"], [operator], create="manual")
    desk.open_channel("deals", ["custom"], [operator], create="manual", mode="deal")
    desk.run_through(text_message("telegram", 1, PHONE, name="Ann Smith"), text_message("custom", 2, "hello"))
    assert types(desk) == ["provisional", "provisional"]
    assert desk.rows("SELECT status::text, operator_id FROM dialogs") == [("assigned", operator)] * 2


def test_live_chat_waits_for_contact_details(desk):
    """C3: nothing until a phone or an e-mail is known; then the card has all that was said before."""
    desk.open_channel("desk", ["livechat"])
    desk.run_through(text_message("livechat", 1, "hello", name="Ann Smith"))
    assert types(desk) == ["provisional"]
    desk.run_through(text_message("livechat", 1, "ann@shop-mail.de"))
    assert types(desk) == ["lead"]
    assert desk.value("SELECT name FROM cards") == "Ann Smith"
    assert desk.value("SELECT count(*) FROM dialogs") == 1


def test_full_details_wait_for_name_surname_and_phone(desk):
    """C3: each message may bring a part of them."""
    desk.open_channel("desk", ["telegram"], create_when="full_details", mode="deal")
    for name, text, made in (("Ann", "hi", 0), ("Ann", PHONE, 0), ("", "ann@shop-mail.de", 0)):
        desk.run_through(text_message("telegram", 1, text, name=name))
        assert desk.value("SELECT count(*) FROM cards WHERE type <> 'provisional'") == made
    desk.execute("UPDATE cards SET name = 'Ann Smith'")
    desk.run_through(text_message("telegram", 1, "hello"))
    assert types(desk) == ["contact", "deal"]


def test_a_provisional_card_is_found_by_a_later_chat(desk):
    """T6, C3: the visitor of the live chat is known again, and the messenger's moment makes the card of both."""
    desk.open_channel("desk", ["livechat", "telegram"], create_when=None)
    desk.open_channel("late", ["custom"], create_when="full_details")
    desk.run_through(text_message("custom", 1, PHONE))
    assert types(desk) == ["provisional"]
    desk.run_through(text_message("telegram", 2, PHONE))
    assert types(desk) == ["lead"]
    assert desk.value("SELECT count(DISTINCT card_id) FROM chats") == 1


# C4


@pytest.mark.parametrize(
    ("setting", "source"), [("automatic", "telegram: Test telegram"), ("Spring sale", "Spring sale")]
)
@pytest.mark.parametrize("mode", ["lead", "deal"])
def test_the_source_is_chosen_or_the_channels(desk, setting, source, mode):
    """C4: `automatic` is the channel's kind and name; made if missing, once."""
    desk.open_channel("desk", ["telegram"], source=setting, mode=mode)
    desk.run_through(text_message("telegram", 1, "a"), text_message("telegram", 2, "b"))
    assert desk.rows("SELECT name FROM sources") == [(source,)]
    assert desk.value("SELECT count(*) FROM cards WHERE source_id IS NULL") == 0


def test_the_first_active_operator_is_responsible_until_one_takes_it(desk):
    """C4: not the dismissed one, whether online or not; then the first who accepts, and no later one."""
    gone, first, other = (desk.operator(name, online=False) for name in ("gone", "first", "other"))
    desk.execute("UPDATE operators SET dismissed_at = now() WHERE id = %s", gone)
    desk.open_channel("desk", ["telegram"], [gone, first, other], mode="deal")
    desk.run_through(text_message("telegram", 1, "a"))
    responsible = "SELECT DISTINCT responsible_id, responsible_by FROM cards"
    assert desk.rows(responsible) == [(first, "roster")]
    ids = [card_id for (card_id,) in desk.rows("SELECT id FROM cards")]
    for operator in (other, first):
        with desk.session.transaction() as connection:
            cards.accepted_by(connection, ids, operator)
    assert desk.rows(responsible) == [(other, "acceptor")]
    desk.run_through(text_message("telegram", 1, "b"))
    assert desk.rows(responsible) == [(other, "acceptor")]


def test_who_accepted_before_there_was_a_card_stays_responsible(desk):
    """C4: the operator took the live chat's dialog; the card made later is his."""
    first, taker = desk.operator("first"), desk.operator("taker")
    desk.open_channel("desk", ["livechat"], [first, taker])
    desk.run_through(text_message("livechat", 1, "hello"))
    with desk.session.transaction() as connection:
        cards.accepted_by(connection, [desk.value("SELECT id FROM cards")], taker)
    desk.run_through(text_message("livechat", 1, PHONE))
    assert desk.rows("SELECT type::text, responsible_id, responsible_by FROM cards") == [("lead", taker, "acceptor")]


def test_an_empty_roster_leaves_nobody_responsible(desk):
    """C4."""
    desk.open_channel("desk", ["telegram"])
    desk.run_through(text_message("telegram", 1, "a"))
    assert desk.rows("SELECT responsible_id, responsible_by FROM cards") == [(None, "nobody")]

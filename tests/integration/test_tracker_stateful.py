"""The tracker on PostgreSQL against a model: messages, merges, undos, wrong numbers, erases, in any order (T2-T8).

OPENCHANNEL_STATEFUL_EXAMPLES runs more than the usual few.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from console import tracking
from crm_store import statistics
from crm_store.database import Database, DatabaseOptions
from crm_store.erasure import Request, erase
from tests.pipeline import Desk, text_message
from tests.tracker_invariants import broken, contradictions
from tests.tracker_model import Key, Model, ModelMerge
from tracker.dialogs import ActRefusedError
from tracker.identifiers import Evidence, Identifier, IdentifierKind

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

EXAMPLES = int(os.environ.get("OPENCHANNEL_STATEFUL_EXAMPLES", "15"))
STEPS = 30

CHATS = st.sampled_from([f"{channel} {n}" for channel in ("telegram", "whatsapp", "custom") for n in range(4)])
CONTACTS = st.sampled_from(
    [("phone", f"+4917155500{n}1") for n in range(4)] + [("email", f"person{n}@shop-mail.de") for n in range(4)]
)
GIVEN = st.lists(
    st.one_of(
        st.tuples(CONTACTS, st.sampled_from(["proven", "typed", "typed", "signed"])),
        st.tuples(st.tuples(st.just("messenger"), st.sampled_from(["m/1", "m/2", "m/3"])), st.just("proven")),
    ),
    max_size=3,
    unique_by=lambda given: given[0],
)


NAMED_CHATS = """(
    SELECT channels.key || ' ' || external_id AS chat, chats.id, card_id
    FROM chats JOIN channels ON channels.id = channel_id
) AS named"""


def refusal(act: Callable[[], object]) -> str:
    """Why the product refuses an act; empty if it is done."""
    try:
        act()
    except ActRefusedError as refused:
        return refused.reason
    return ""


def identifier(key: Key, evidence: str) -> Identifier:
    kind = IdentifierKind(key[0])
    return Identifier(kind=kind, value=key[1], key=key[1], written=key[1], evidence=Evidence(evidence))


class Tracker(RuleBasedStateMachine):
    """Every step is done by the product and by the model; then both must know the same customers."""

    url: str

    @initialize()
    def begin(self) -> None:
        self.desk = Desk(self.url).__enter__()
        self.desk.open_channel("desk", ["telegram", "whatsapp", "custom"])
        self.worker = self.desk.worker()
        self.database = Database(self.desk.options).__enter__()
        self.model = Model()
        self.ids: dict[str, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.__exit__()
            tables = "inbox_keys, inbox, inbox_state, claims, merges, kept_apart, detached, reviews, audit, ledger"
            more = "identifiers, card_identifiers, cards, chats, messages, dialogs, events, timers, channels"
            self.desk.execute(f"TRUNCATE {tables}, {more}, open_channels, roster_entries CASCADE")
            self.desk.__exit__()

    # What the product knows

    def card_of(self, chat: str) -> int:
        return int(self.desk.value(f"SELECT card_id FROM {NAMED_CHATS} WHERE chat = %s", chat))

    def id_of(self, chat: str) -> int:
        return int(self.desk.value(f"SELECT id FROM {NAMED_CHATS} WHERE chat = %s", chat))

    def known(self) -> tuple[Any, ...]:
        """All that an undone merge restores."""
        rows = self.desk.rows
        return (
            rows("SELECT id, coalesce(live_id, id), name, type::text FROM cards ORDER BY id"),
            rows(
                "SELECT card_id, kind, key, chat_id, evidence::text, inbox_id FROM card_identifiers ORDER BY 1, 2, 3, 4"
            ),
            rows("SELECT kind, key, remembered_card_id, standing FROM identifiers ORDER BY 1, 2"),
            rows("SELECT id, card_id, bound_by, bound_key FROM chats ORDER BY id"),
        )

    def any_chat(self, draw: st.DataObject) -> str:
        return draw.draw(st.sampled_from(sorted(self.model.own)))

    # Steps

    @rule(chat=CHATS, given=GIVEN)
    def say(self, chat: str, given: list[tuple[Key, str]]) -> None:
        channel, external_id = chat.split()
        identifiers = [identifier(key, evidence) for key, evidence in given]
        self.desk.run_through(text_message(channel, external_id, "hello", identifiers=identifiers), worker=self.worker)
        self.model.say(chat, given)

    @precondition(lambda self: len(self.model.own) > 1)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        one, other = self.any_chat(data), self.any_chat(data)
        done = self.model.merge(self.model.own[one], self.model.own[other])
        act = partial(tracking.merge, self.database, "test", self.card_of(one), self.card_of(other), "one customer")
        assert refusal(act) == ("" if done else "already_one")

    @precondition(lambda self: len(self.model.own) > 1)
    @rule(data=st.data())
    def merge_and_undo(self, data: st.DataObject) -> None:
        """T7: undo restores exactly."""
        one, other = self.any_chat(data), self.any_chat(data)
        if self.model.own[other] in self.model.customer(self.model.own[one]):
            return
        before = self.known()
        merge_id = tracking.merge(self.database, "test", self.card_of(one), self.card_of(other), "one customer")
        assert self.known() != before
        tracking.undo(self.database, "test", merge_id, "a mistake")
        assert self.known() == before
        self.model.merge(self.model.own[one], self.model.own[other])
        self.model.undo(self.model.merges[-1])

    @precondition(lambda self: self.model.merges)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.model.merges) - 1))
        ids = [row[0] for row in self.desk.rows("SELECT id FROM merges WHERE undone_at IS NULL ORDER BY id")]
        tracking.undo(self.database, "test", ids[number], "not one customer")
        merge: ModelMerge = self.model.merges[number]
        self.model.undo(merge)

    @precondition(lambda self: self.model.own)
    @rule(data=st.data(), key=CONTACTS, for_ever=st.booleans())
    def take_off(self, data: st.DataObject, key: Key, for_ever: bool) -> None:
        """T5: deleted from the card, or detached as a wrong number."""
        chat = self.any_chat(data)
        given = self.card_of(chat), (IdentifierKind(key[0]), key[1])
        if for_ever:
            done = self.model.detach(self.model.own[chat], key)
            act = partial(tracking.detach_identifier, self.database, "test", *given, "a wrong number")
        else:
            done = self.model.remove(self.model.own[chat], key)
            act = partial(tracking.remove_identifier, self.database, "test", *given)
        assert refusal(act) == ("" if done else "not_on_card")

    @precondition(lambda self: self.model.own)
    @rule(data=st.data())
    def detach_chat(self, data: st.DataObject) -> None:
        chat = self.any_chat(data)
        done = self.model.detach_chat(chat) is not None
        act = partial(tracking.detach_chat, self.database, "test", self.id_of(chat), "another customer")
        assert refusal(act) == ("" if done else "only_chat")

    @precondition(lambda self: self.model.own)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        """T5: an erase deletes the memory too."""
        chat = self.any_chat(data)
        card_id = self.desk.value("SELECT coalesce(live_id, id) FROM cards WHERE id = %s", self.card_of(chat))
        self.model.erase(self.model.own[chat])
        erase(self.desk.session, Request([card_id], frozenset(), "test", "asked for"), lambda _table, _rows: None)

    # What must be the same

    @invariant()
    def same_customers(self) -> None:
        if not hasattr(self, "database"):
            return
        bound = self.desk.rows(
            f"SELECT chat, coalesce(live_id, cards.id) FROM {NAMED_CHATS} JOIN cards ON cards.id = card_id"
        )
        by_card: dict[int, set[str]] = {}
        for chat, card_id in bound:
            by_card.setdefault(card_id, set()).add(chat)
        assert {frozenset(chats) for chats in by_card.values()} == self.model.partition()

    @invariant()
    def same_facts_and_memory(self) -> None:
        if not hasattr(self, "database"):
            return
        facts: dict[str, dict[Key, str]] = {}
        for chat, kind, key, evidence in self.desk.rows(
            f"SELECT chat, kind, key, evidence::text FROM card_identifiers JOIN {NAMED_CHATS} ON named.id = chat_id"
        ):
            facts.setdefault(chat, {})[kind, key] = evidence
        assert facts == {chat: given for chat, given in self.model.facts.items() if given}
        remembered = {
            key: self.cards_by_maker()[card_id]
            for key, card_id in self.desk.rows(
                "SELECT key, remembered_card_id FROM identifiers WHERE remembered_card_id IS NOT NULL"
            )
        }
        assert remembered == {key: self.model.maker[card] for (_, key), card in self.model.memory.items()}

    def cards_by_maker(self) -> dict[int, str]:
        """The chat that each card was made from: both sides name cards by it. A chat may have made two."""
        return dict(self.desk.rows(f"SELECT cards.id, chat FROM cards JOIN {NAMED_CHATS} ON named.id = cards.chat_id"))

    @invariant()
    def nothing_is_broken(self) -> None:
        if not hasattr(self, "database"):
            return
        assert broken(self.desk.rows) == []
        reviews = self.desk.rows("SELECT card_id, other_id FROM reviews")
        makers = self.cards_by_maker()
        asked = {frozenset((makers[card_id], makers[other_id])) for card_id, other_id in reviews}
        assert asked == {frozenset(self.model.maker[card] for card in pair) for pair in self.model.reviews}


def test_the_tracker_does_what_the_model_does(database_url, monkeypatch):
    """T2-T8: after any messages and acts in any order, the same chats are one customer's, with the same memory."""
    monkeypatch.setattr(statistics, "renew", lambda _session: True)  # ANALYZE takes longer than all the rest
    Tracker.url = database_url
    run_state_machine_as_test(
        Tracker,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            print_blob=True,
        ),
    )


def test_no_typed_link_outlives_a_proof(database_url):
    """T8: said again about the tables themselves: what `contradictions` would find, a planted one shows."""
    with Desk(database_url) as desk:
        desk.open_channel("desk", ["telegram", "whatsapp"])
        ann, ben = (identifier(("phone", letter), "proven") for letter in "ab")
        desk.run_through(text_message("whatsapp", 1, "hello", identifiers=[ann]))
        desk.run_through(text_message("telegram", 2, "hello", identifiers=[identifier(("phone", "a"), "typed")]))
        desk.run_through(text_message("telegram", 2, "hello", identifiers=[ben]))
        with desk.session.transaction() as connection:
            assert contradictions(connection) == []
        desk.execute("UPDATE card_identifiers SET card_id = (SELECT min(id) FROM cards)")
        desk.execute("UPDATE chats SET card_id = (SELECT min(id) FROM cards), bound_evidence = 'typed' WHERE id = 2")
        with desk.session.transaction() as connection:
            assert len(contradictions(connection)) == 1


def test_what_a_person_joined_waits_for_the_next_proof(database_url):
    """T7, T8: his merge undoes no other; the customer's next proof does."""
    ann, ben, bens_mail = (
        identifier(key, "proven") for key in (("phone", "a"), ("phone", "b"), ("email", "b@example.com"))
    )
    typed = identifier(("phone", "c"), "typed")
    options = DatabaseOptions(database_url, "person", pool_size=1)
    with Desk(database_url) as desk, Database(options) as database:
        desk.open_channel("desk", ["telegram", "whatsapp", "custom"])
        desk.run_through(text_message("whatsapp", 1, "hello", identifiers=[ann, typed]))
        desk.run_through(text_message("custom", 2, "hello"))
        desk.run_through(text_message("custom", 2, "hello", identifiers=[typed]))
        desk.run_through(text_message("telegram", 3, "hello", identifiers=[ben]))
        live = "SELECT array_agg(DISTINCT coalesce(live_id, id) ORDER BY coalesce(live_id, id)) FROM cards"
        assert desk.value(live) == [1, 3]
        tracking.merge(database, "person", 2, 3, "one customer")
        assert desk.value(live) == [1]
        desk.run_through(text_message("telegram", 3, "hello", identifiers=[bens_mail]))
        assert desk.value(live) == [1, 2]
        assert desk.rows("SELECT card_id, other_id, cause FROM reviews") == [(2, 1, "contradiction")]

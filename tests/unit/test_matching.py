"""Which card a chat belongs to, and what is merged or left to a person (T1-T10, T12), by the Book alone."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.cards import CardType
from tracker.claims import Standing
from tracker.customers import IdentifierKey, KnownCard, joined, key_of
from tracker.decisions import Knowledge, Link, MatchingRules, Sighting
from tracker.identifiers import Evidence, Identifier, IdentifierKind, messenger, phone
from tracker.identifiers import email as read_email
from tracker.matching import Book

pytestmark = pytest.mark.unit

PROVEN, SIGNED, TYPED = Evidence.PROVEN, Evidence.SIGNED, Evidence.TYPED
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOTH = MatchingRules()
ONLY_TRACKER = MatchingRules(check_client_in_crm=False)
OFF = MatchingRules(chat_tracker=False)
SUGGEST = MatchingRules(suggest_typed=True)
FIRST_NEW = 1000


def number(n: int, evidence: Evidence = TYPED) -> Identifier:
    found = phone(f"+49171{5500000 + n}", evidence)
    assert found is not None
    return found


def address(name: str, evidence: Evidence = TYPED) -> Identifier:
    found = read_email(f"{name}@shop-mail.de", evidence)
    assert found is not None
    return found


def card(
    card_id: int,
    *identifiers: Identifier,
    kind: CardType = CardType.LEAD,
    name: str = "Ann",
    age: int = 0,
    remembers: bool = False,
    live_id: int = 0,
    untouched: bool = True,
    given_by: int = 0,
) -> KnownCard:
    """A card that is `age` days old; a chat of its own gave its identifiers, unless `given_by` names another."""
    facts = {key_of(i): {given_by or 100 + card_id: i.evidence} for i in identifiers}
    return KnownCard(
        card_id, kind, name, NOW - timedelta(days=age), live_id, untouched=untouched, remembers=remembers, facts=facts
    )


def book(
    *cards: KnownCard,
    remembered: Mapping[Identifier, int] | None = None,
    apart: Iterable[tuple[int, int]] = (),
    detached: Iterable[tuple[int, IdentifierKey]] = (),
    standings: Mapping[IdentifierKey, Standing] | None = None,
) -> Book:
    memory = {key_of(i): card_id for i, card_id in (remembered or {}).items()}
    known = Knowledge(cards, memory, list(apart), list(detached), standings or {})
    return Book(known, itertools.count(FIRST_NEW))


_inbox_ids = itertools.count(1)


def says(chat: int, *identifiers: Identifier, name: str = "", kind: str = "telegram") -> Sighting:
    return Sighting(next(_inbox_ids), chat, name, identifiers, NOW, kind, str(chat))


class Bound(NamedTuple):
    """What most tests ask of a binding."""

    card_id: int
    bound_by: str = ""
    is_new: bool = False


def binds(into: Book, sighting: Sighting, bound_to: int | None = None, rules: MatchingRules = BOTH) -> Bound:
    binding = into.bind(sighting, bound_to, rules)
    return Bound(binding.card_id, binding.bound_by, binding.is_new)


def bound(into: Book, *identifiers: Identifier, rules: MatchingRules = BOTH) -> Bound:
    """Where a first message with these identifiers is bound."""
    return binds(into, says(1, *identifiers), None, rules)


def merged(into: Book) -> list[tuple[int, int]]:
    """Loser and survivor of each merge."""
    return [(merge.loser_id, merge.survivor_id) for merge in into.merges]


def asked(into: Book) -> list[tuple[str, int | None, int | None]]:
    """The review list: cause, and the two cards."""
    return [(review.cause.value, review.card_id, review.other_id) for review in into.reviews]


# T1


def test_with_the_tracker_off_nothing_is_matched_and_nothing_remembered():
    """T1: the chat gets a card of its own, though another has its phone; the phone is on it all the same."""
    into = book(card(1, number(1)), remembered={number(1): 1})
    binding = bound(into, number(1), rules=OFF)
    assert binding == Bound(FIRST_NEW, "T6", is_new=True)
    assert [addition.card_id for addition in into.additions] == [FIRST_NEW]
    assert into.newly_remembered == {}


def test_what_a_chat_without_tracker_brings_is_found_by_nobody():
    """T1: its identifiers do not become the card by which a later chat is matched."""
    into = book()
    first = into.bind(says(1, number(1)), None, OFF)
    second = into.bind(says(2, number(1)), None, BOTH)
    assert second.card_id != first.card_id


def test_without_the_look_up_in_the_crm_cards_do_not_match():
    """T1: `check_client_in_crm` off leaves the remembered phone and the messenger id, and no more."""
    into = book(card(1, number(1), address("ann")))
    assert bound(into, number(1), rules=ONLY_TRACKER).is_new
    assert bound(book(card(1, address("ann"))), address("ann"), rules=ONLY_TRACKER).is_new
    assert bound(book(card(1)), number(1), rules=ONLY_TRACKER).is_new
    remembered = book(card(1), remembered={number(1): 1})
    assert bound(remembered, number(1), rules=ONLY_TRACKER) == Bound(1, "T5 typed phone")
    same_sender = book(card(1, messenger("telegram", "7")))
    assert bound(same_sender, messenger("telegram", "7"), rules=ONLY_TRACKER).card_id == 1


# T2


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        pytest.param(number(1, TYPED), address("ann", SIGNED), id="signed e-mail before typed phone"),
        pytest.param(number(1, SIGNED), address("ann", PROVEN), id="proven e-mail before signed phone"),
        pytest.param(number(1, TYPED), messenger("telegram", "7"), id="proven messenger before typed phone"),
        pytest.param(messenger("telegram", "7"), number(1, PROVEN), id="phone before messenger id"),
        pytest.param(messenger("telegram", "7"), address("ann", PROVEN), id="e-mail before messenger id"),
        pytest.param(address("ann"), number(1), id="phone before e-mail"),
        pytest.param(address("ann", SIGNED), number(1, SIGNED), id="signed phone before signed e-mail"),
    ],
)
@pytest.mark.parametrize("in_order", [True, False])
def test_evidence_goes_before_kind(weaker, stronger, in_order):
    """T2: proven before signed before typed, and within one evidence phone, e-mail, messenger id."""
    into = book(card(1, weaker, age=9, kind=CardType.CONTACT), card(2, stronger))
    given_order = (weaker, stronger) if in_order else (stronger, weaker)
    assert bound(into, *given_order).card_id == 2


def test_a_remembered_phone_goes_first():
    """T2, T5: before the card on which the phone stands now."""
    into = book(card(1, number(1), age=9, kind=CardType.CONTACT), card(2), remembered={number(1): 2})
    assert bound(into, number(1)) == Bound(2, "T5 typed phone")


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (card(1, number(1), kind=CardType.LEAD, age=9), card(2, number(1), kind=CardType.CONTACT), 2),
        (card(1, number(1), kind=CardType.DEAL, age=9), card(2, number(1), kind=CardType.COMPANY), 2),
        (card(1, number(1), kind=CardType.LEAD, age=9), card(2, number(1), kind=CardType.DEAL), 2),
        (card(1, number(1), kind=CardType.PROVISIONAL, age=9), card(2, number(1), kind=CardType.LEAD), 1),
        (card(1, number(1), age=1), card(2, number(1), age=2), 2),
        (card(2, number(1)), card(1, number(1)), 1),
    ],
    ids=["contact", "company", "deal", "provisional as a lead", "oldest", "lowest id"],
)
def test_among_several_cards_type_then_age_decides(first, second, chosen):
    """T2: contact, company, deal, lead; then the oldest."""
    assert bound(book(first, second), number(1)).card_id == chosen


def test_a_name_never_matches():
    """T2."""
    into = book(card(1, number(1), name="Ann Smith"))
    assert into.bind(says(1, number(2), name="Ann Smith"), None, BOTH).is_new


def test_a_bound_chat_keeps_its_card():
    """T2: whatever identifiers come later."""
    into = book(card(1, number(1), kind=CardType.CONTACT, age=9), card(2, address("ben")))
    assert binds(into, says(1, number(1)), 2) == Bound(2)


def test_phone_variants_are_one_subscriber():
    """T12: the card has the number without Brazil's ninth digit, the customer writes it with."""
    old, new = phone("+551187654321", PROVEN), phone("+5511987654321", TYPED)
    assert old is not None
    assert new is not None
    into = book(card(1, old))
    assert bound(into, new) == Bound(1, "T2 typed phone")
    assert [(a.card_id, a.chat_id) for a in into.additions] == [(1, 1)], "the fact that this chat gave it too"


# T4, T6


def test_a_match_adds_what_is_missing_and_overwrites_nothing():
    """T4: the e-mail is added; name and phone stay."""
    into = book(card(1, number(1), name="Ann Smith", remembers=True))
    into.bind(says(1, number(1), address("ann"), name="A."), None, BOTH)
    assert [(a.card_id, a.identifier.key) for a in into.additions] == [
        (1, number(1).key),
        (1, "ann@shop-mail.de"),
    ]
    assert into.filled_names == {}


def test_an_empty_name_is_filled_once():
    """T4: by the first message that has one."""
    into = book(card(1, number(1), name=""))
    into.bind(says(1, number(1)), None, BOTH)
    into.bind(says(1, name="Ann"), None, BOTH)
    into.bind(says(1, name="Another"), None, BOTH)
    assert {card_id: name for card_id, (name, _) in into.filled_names.items()} == {1: "Ann"}


@pytest.mark.parametrize(
    ("present", "given_later", "added"),
    [
        (TYPED, PROVEN, True),
        (TYPED, SIGNED, True),
        (PROVEN, TYPED, False),
        (SIGNED, TYPED, False),
        (TYPED, TYPED, False),
    ],
)
def test_only_stronger_evidence_replaces(present, given_later, added):
    """T4, T8: a typed identifier never replaces a proven one."""
    into = book(card(1, number(1, present), remembers=True, given_by=1))
    into.bind(says(1, number(1, given_later)), 1, BOTH)
    assert [a.identifier.evidence for a in into.additions] == ([given_later] if added else [])


def test_no_match_makes_a_card_and_later_identifiers_go_on_it():
    """T6: one new card for the chat, with the name; what comes later in the chat is added to it."""
    into = book()
    first = into.bind(says(1, messenger("telegram", "7"), name="Ann"), None, BOTH)
    second = binds(into, says(1, number(1)))
    assert (first.is_new, second) == (True, Bound(first.card_id))
    assert into.filled_names == {}, "the card is made with its name"
    assert {a.identifier.kind for a in into.additions} == {IdentifierKind.MESSENGER, IdentifierKind.PHONE}


# T5


def test_the_first_phone_is_remembered_and_no_later_one():
    """T5: the first phone that a customer gives, not the second; e-mails never."""
    into = book(card(1, address("ann")))
    into.bind(says(1, address("ann"), address("more")), None, BOTH)
    into.bind(says(1, number(2)), None, BOTH)
    into.bind(says(1, number(3)), None, BOTH)
    assert into.newly_remembered == {(IdentifierKind.PHONE, number(2).key): 1}


def test_a_card_with_a_memory_gets_no_second_one():
    """T5: also when its remembered phone was deleted from it."""
    into = book(card(1, remembers=True))
    into.bind(says(1, number(2)), 1, BOTH)
    assert into.newly_remembered == {}
    assert len(into.additions) == 1


def test_a_phone_deleted_from_its_card_still_binds_to_it():
    """T5: and stands on the card again."""
    into = book(card(1, remembers=True), remembered={number(1): 1})
    assert bound(into, number(1)) == Bound(1, "T5 typed phone")
    assert [a.card_id for a in into.additions] == [1]


# T7, T8


@pytest.mark.parametrize("evidence", [TYPED, SIGNED, PROVEN])
def test_an_identifier_of_another_card_merges_the_younger_into_the_older(evidence):
    """T7: nothing moves: the fact is added to the chat's own card, and that card's customer is the other's."""
    into = book(card(1, number(1), age=2), card(2, address("ben"), age=1))
    binding = into.bind(says(5, number(1, evidence)), 2, BOTH)
    assert binding.card_id == 2, "T2: a bound chat keeps its card"
    assert merged(into) == [(2, 1)]
    assert [(m.card_id, m.other_id, m.link) for m in into.merges] == [(2, 1, Link(key_of(number(1)), TYPED))]
    assert [(a.card_id, a.identifier.key) for a in into.additions] == [(2, number(1).key)]
    assert into.live_ids() == {1: 1, 2: 1}


def test_the_chats_card_may_be_the_older():
    """T7: then the other one points at it."""
    into = book(card(1, number(1)), card(2, age=1))
    into.bind(says(5, number(1)), 2, BOTH)
    assert merged(into) == [(1, 2)]


def test_a_provisional_card_never_survives_a_real_one():
    """C2, T7: nobody has seen it, so it is younger than every other."""
    into = book(card(1, number(1)), card(2, kind=CardType.PROVISIONAL, age=9))
    into.bind(says(5, number(1)), 2, BOTH)
    assert merged(into) == [(2, 1)]


def test_a_first_message_that_names_two_customers_merges_them():
    """T2, T7: it binds to one, and what else it gives is the other's."""
    into = book(card(1, number(1), age=2), card(2, address("ben"), age=1))
    assert bound(into, number(1), address("ben")).card_id == 1
    assert merged(into) == [(2, 1)]


def test_a_remembered_phone_merges_too():
    """T5, T7: though it was deleted from its card, and whatever is looked up in the CRM."""
    for rules in (BOTH, ONLY_TRACKER):
        into = book(card(1, age=1), card(2), remembered={number(1): 1})
        into.bind(says(5, number(1)), 2, rules)
        assert merged(into) == [(2, 1)]


def test_both_cards_keep_their_remembered_phones():
    """T5: a merge takes no memory, and gives none."""
    into = book(
        card(1, number(1), age=1, remembers=True),
        card(2, number(2), remembers=True),
        remembered={number(1): 1, number(2): 2},
    )
    into.bind(says(5, number(1)), 2, BOTH)
    assert into.newly_remembered == {}
    assert bound(into, number(2)).card_id == 2, "a later chat follows the owner of the identifier"


def test_a_card_that_a_person_touched_is_not_merged():
    """T7: the pair goes to the review list."""
    into = book(card(1, number(1), age=1), card(2, untouched=False))
    into.bind(says(5, number(1)), 2, BOTH)
    assert merged(into) == []
    assert asked(into) == [("edited", 2, 1)]


def test_the_other_card_may_be_touched():
    """T7 asks only that of the chat's card."""
    into = book(card(1, number(1), age=1, untouched=False), card(2))
    into.bind(says(5, number(1)), 2, BOTH)
    assert merged(into) == [(2, 1)]


def test_customers_are_merged_as_wholes():
    """T7: a card that is merged already brings the others along; the oldest stands for all."""
    into = book(card(1, age=5), card(2, number(2), live_id=1), card(3, age=9), card(4, address("d"), live_id=3))
    into.bind(says(5, number(2)), 4, BOTH)
    assert merged(into) == [(1, 3)]
    assert [(m.card_id, m.other_id) for m in into.merges] == [(4, 2)]
    assert into.live_ids() == {1: 3, 2: 3, 3: 3, 4: 3}


def test_a_chat_is_bound_to_the_owner_of_the_identifier_not_to_the_survivor():
    """T7: so that an undone merge leaves it where it belongs."""
    into = book(card(1, age=5), card(2, number(2), live_id=1))
    assert bound(into, number(2)) == Bound(2, "T2 typed phone")


def test_who_is_kept_apart_is_neither_merged_nor_asked_about_again():
    """T7: a rejected review and an undone merge are for ever."""
    into = book(card(1, number(1)), card(2), apart=[(1, 2)])
    into.bind(says(5, number(1)), 2, BOTH)
    assert (merged(into), asked(into)) == ([], [])
    assert len(into.additions) == 1, "he gave it all the same"


def test_two_who_are_kept_apart_keep_their_whole_customers_apart():
    """T7: whatever was merged into them since."""
    into = book(card(1), card(3, number(3), live_id=1), card(2), apart=[(1, 2)])
    into.bind(says(5, number(3)), 2, BOTH)
    assert (merged(into), asked(into)) == ([], [])


def test_with_typed_identifiers_only_suggested_a_person_decides():
    """T8: neither bound nor merged."""
    into = book(card(1, number(1)))
    assert bound(into, number(1), rules=SUGGEST).is_new
    assert asked(into) == [("suggested", FIRST_NEW, 1)]


@pytest.mark.parametrize("given", [SIGNED, PROVEN])
def test_a_stronger_identifier_is_more_than_a_suggestion(given):
    """T8: but it is a link of two sides: what the card has only typed is only typed."""
    assert bound(book(card(1, number(1, PROVEN))), number(1, given), rules=SUGGEST).card_id == 1
    assert bound(book(card(1, number(1, TYPED))), number(1, given), rules=SUGGEST).is_new


def test_a_phone_typed_on_a_card_does_not_bring_its_owner_there():
    """T8: she proves her number, which another, whose own is proven, only typed: the same as the other way round."""
    into = book(card(1, number(2, PROVEN), number(1, TYPED)))
    assert bound(into, number(1, PROVEN)).is_new
    assert asked(into) == [("contradiction", FIRST_NEW, 1)]


def test_an_identifier_that_a_person_took_off_does_not_come_back():
    """T5: neither is it added, nor does it merge; unless the channel proves it."""
    into = book(card(1, number(1)), card(2), detached=[(2, key_of(number(1)))])
    into.bind(says(5, number(1)), 2, BOTH)
    assert (into.additions, merged(into)) == ([], [])
    into.bind(says(5, number(1, PROVEN)), 2, BOTH)
    assert len(merged(into)) == 1


# T9


def test_more_than_n_claimants_are_too_many():
    """T9: five people with one number are bound to its card; the sixth is not, and a person is asked once."""
    into = book()
    bindings = [into.bind(says(chat, number(1), name=f"Visitor {chat}"), None, BOTH) for chat in range(1, 9)]
    assert [binding.card_id for binding in bindings[:5]] == [FIRST_NEW] * 5
    assert [binding.is_new for binding in bindings[5:]] == [True] * 3
    assert asked(into) == [("shared", None, None)]
    assert into.newly_shared == [key_of(number(1))]
    assert len(into.additions) == 8, "it stands on the card of each who gave it"
    assert merged(into) == []


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param(lambda n: says(n, number(1), name="Ann"), id="one name"),
        pytest.param(lambda n: says(n, number(1), name="ANN " * (1 + n % 1)), id="one name in capitals"),
        pytest.param(lambda n: says(n, number(1)), id="no names"),
        pytest.param(lambda n: says(n, number(1), name=f"Visitor {n}", kind=f"kind {n}"), id="one per channel kind"),
        pytest.param(lambda n: replace(says(n, number(1), name=f"V {n}"), customer_id="7"), id="one messenger id"),
        pytest.param(lambda n: says(n, messenger("telegram", "7"), name=f"V {n}"), id="a messenger id"),
    ],
)
def test_claimants_that_do_not_contradict_each_other_may_be_many(claim):
    """T9: of the same channel kind, different messenger ids, different names, none of them empty."""
    into = book()
    assert {into.bind(claim(n), None, BOTH).card_id for n in range(1, 20)} == {FIRST_NEW}
    assert asked(into) == []


def test_shared_outranks_the_memory_of_first_phones():
    """T9 outranks T5."""
    into = book(card(1), remembered={number(1): 1}, standings={key_of(number(1)): Standing.SHARED})
    assert bound(into, number(1)).is_new
    assert into.newly_remembered == {}


def test_a_shared_identifier_merges_nobody():
    """T9: not even when the channel proves it."""
    into = book(card(1, number(1)), card(2), standings={key_of(number(1)): Standing.SHARED})
    into.bind(says(5, number(1, PROVEN)), 2, BOTH)
    assert (merged(into), asked(into)) == ([], [])


def test_a_trusted_identifier_is_never_shared():
    """T9: a person said so."""
    into = book(standings={key_of(number(1)): Standing.TRUSTED})
    cards = {into.bind(says(n, number(1), name=f"Visitor {n}"), None, BOTH).card_id for n in range(1, 20)}
    assert cards == {FIRST_NEW}
    assert into.newly_shared == []


def test_the_open_channel_says_how_many_claimants_are_too_many():
    """T9: N is a setting."""
    into, rules = book(), MatchingRules(max_claimants=1)
    first, second = (binds(into, says(n, number(1), name=f"Visitor {n}"), None, rules) for n in (1, 2))
    assert (first.is_new, second.is_new) == (True, True)


def test_a_chat_claims_once():
    """T9: whatever names it writes under later."""
    into = book()
    for n in range(20):
        into.bind(says(1, number(1), name=f"Name {n}"), None, BOTH)
    assert len(into.counted_claims) == 1


# T8


@pytest.mark.parametrize("kind", [IdentifierKind.PHONE, IdentifierKind.EMAIL])
def test_two_different_proven_contacts_are_not_bound_by_a_typed_identifier(kind):
    """T8: the typed e-mail or phone of a card whose proven one differs from ours is passed over."""
    ours, theirs, shared = (
        (number(1, PROVEN), number(2, PROVEN), address("shared"))
        if kind is IdentifierKind.PHONE
        else (address("a", PROVEN), address("b", PROVEN), number(3))
    )
    into = book(card(1, theirs, shared))
    binding = bound(into, ours, shared)
    assert binding.is_new
    assert asked(into) == [("contradiction", binding.card_id, 1)]
    assert {a.card_id for a in into.additions} == {binding.card_id}, "T7: nothing moves"


def test_the_contradicted_card_is_passed_over_for_the_next():
    """T8: the second best card, which contradicts nothing, is taken."""
    into = book(card(1, number(2, PROVEN), address("shared"), kind=CardType.CONTACT), card(2, address("shared")))
    assert bound(into, number(1, PROVEN), address("shared")).card_id == 2


@pytest.mark.parametrize(
    ("on_card", "said"),
    [
        pytest.param([number(2, TYPED)], [number(1, PROVEN)], id="theirs is only typed"),
        pytest.param([number(2, PROVEN)], [number(1, TYPED)], id="ours is only typed"),
        pytest.param([number(2, PROVEN)], [address("x", PROVEN)], id="of different kinds"),
        pytest.param([number(2, PROVEN), number(1, PROVEN)], [number(1, PROVEN)], id="one is common"),
        pytest.param([messenger("telegram", "8")], [messenger("telegram", "7")], id="messenger ids do not count"),
    ],
)
def test_less_than_two_different_proven_contacts_is_no_contradiction(on_card, said):
    """T8: `typed` binds, that is what the tracker is for."""
    into = book(card(1, *on_card, address("shared")))
    assert bound(into, *said, address("shared")).card_id == 1


def test_proven_evidence_is_never_contradicted():
    """T8 speaks of typed identifiers: a proven phone binds to its card whatever else differs."""
    into = book(card(1, number(1, PROVEN), address("b", PROVEN)))
    assert bound(into, number(1, PROVEN), address("a", PROVEN)).card_id == 1


# T10


@pytest.mark.parametrize("evidence", list(Evidence))
def test_a_hundred_first_messages_of_one_batch_end_on_one_card(evidence):
    """T10: the Book remembers its own answers."""
    into = book()
    bindings = [into.bind(says(chat, number(1, evidence)), None, BOTH) for chat in range(100)]
    assert {binding.card_id for binding in bindings} == {FIRST_NEW}
    assert [binding.is_new for binding in bindings] == [True] + [False] * 99
    assert len(into.newly_remembered) == 1


def test_a_chain_within_one_batch():
    """T11: phone in one chat, phone and e-mail in the next, that e-mail in the third."""
    into = book()
    chats = [says(1, number(1)), says(2, number(1), address("ann")), says(3, address("ann"))]
    assert {into.bind(sighting, None, BOTH).card_id for sighting in chats} == {FIRST_NEW}


# Late proofs


def test_two_proofs_of_one_kind_may_be_a_conflict():
    """T8: whoever asked is told; `tracker.separation` says whether anything gives way."""
    assert into_conflict(card(1, number(1, PROVEN)), says(5, number(2, PROVEN)))
    assert not into_conflict(card(1, number(1, TYPED)), says(5, number(2, PROVEN)))
    assert not into_conflict(card(1, number(1, PROVEN)), says(5, number(2, TYPED)))
    assert not into_conflict(card(1, number(1, PROVEN)), says(5, address("x", PROVEN)))


def test_a_conflict_is_settled_before_the_message_merges_anything():
    """T8: else he would take along whom he is merged with, and leave him behind on a stranger's card."""
    into = book(card(1, number(1, PROVEN), age=1), card(2, number(2)))
    sighting = says(5, number(2, PROVEN))
    binding = into.bind(sighting, 1, BOTH)
    assert (binding.conflict, binding.unfinished, merged(into)) == (True, sighting.identifiers, [])
    assert into.finish(sighting, 1, binding.unfinished, BOTH)
    assert merged(into) == [(2, 1)]


def into_conflict(present: KnownCard, sighting: Sighting) -> bool:
    return book(present).bind(sighting, present.id, BOTH).conflict


def test_a_proof_that_merges_two_who_contradict_each_other_is_a_conflict():
    """T8: a link that is not typed merges them all the same."""
    into = book(card(1, messenger("telegram", "7"), number(1, PROVEN), age=1), card(2, number(2, PROVEN)), card(3))
    assert into.bind(says(5, messenger("telegram", "7")), 2, BOTH).conflict
    assert merged(into) == [(2, 1)]


# The same facts in another order

_FACTS = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(["phone", "email", "messenger"]), st.integers(0, 3)),
    min_size=1,
    max_size=14,
)
"""Chat, and what it gives. None is a proof that could contradict another: T8 speaks of those."""


def _identifier(kind: str, which: int) -> Identifier:
    match kind:
        case "phone":
            return number(which)
        case "email":
            return address(f"person{which}")
        case _:
            return messenger("telegram", str(which))


def _customers(facts: Iterable[tuple[int, str, int]]) -> set[frozenset[int]]:
    into = book()
    own: dict[int, int] = {}
    for chat, kind, which in facts:
        own[chat] = into.bind(says(chat, _identifier(kind, which)), own.get(chat), BOTH).card_id
    live = into.live_ids()
    return {frozenset(c for c in own if live[own[c]] == survivor) for survivor in {live[i] for i in own.values()}}


@given(_FACTS, st.randoms(use_true_random=False))
def test_another_order_gives_the_same_cards(facts, random):
    """T8, T10: whoever shares an identifier, over however many others, is one customer."""
    assert _customers(random.sample(facts, len(facts))) == _customers(facts)
    linked = joined(
        {chat for chat, _, _ in facts},
        [(a, b) for a, *same in facts for b, *other in facts if same == other],
    )
    assert _customers(facts) == {frozenset(part) for part in linked}

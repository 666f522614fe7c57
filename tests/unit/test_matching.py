"""Which card a chat belongs to (T1-T8, T10, T12), by the Book alone."""

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.cards import CardType
from tracker.identifiers import Evidence, Identifier, IdentifierKind, messenger, phone
from tracker.identifiers import email as read_email
from tracker.matching import Binding, Book, KnownCard, MatchingRules, Sighting

pytestmark = pytest.mark.unit

PROVEN, SIGNED, TYPED = Evidence.PROVEN, Evidence.SIGNED, Evidence.TYPED
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOTH = MatchingRules(check_client_in_crm=True, chat_tracker=True)
ONLY_TRACKER = MatchingRules(check_client_in_crm=False, chat_tracker=True)
OFF = MatchingRules(check_client_in_crm=True, chat_tracker=False)
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
    has_memory: bool = False,
) -> KnownCard:
    """A live card that is `age` days old."""
    on_card = {(i.kind, i.key): i.evidence for i in identifiers}
    return KnownCard(card_id, kind, name, NOW - timedelta(days=age), on_card, has_memory)


def book(*cards: KnownCard, remembered: Mapping[Identifier, int] | None = None) -> Book:
    owners: dict[tuple[IdentifierKind, str], list[int]] = {}
    for known in cards:
        for key in known.on_card:
            owners.setdefault(key, []).append(known.id)
    memory = {(i.kind, i.key): card_id for i, card_id in (remembered or {}).items()}
    return Book(cards, memory, itertools.count(FIRST_NEW), owners)


_inbox_ids = itertools.count(1)


def says(chat: int, *identifiers: Identifier, name: str = "") -> Sighting:
    return Sighting(next(_inbox_ids), chat, name, identifiers, NOW)


def bound(into: Book, *identifiers: Identifier, rules: MatchingRules = BOTH) -> Binding:
    """Where a first message with these identifiers is bound."""
    return into.bind(says(1, *identifiers), None, rules)


# T1


def test_with_the_tracker_off_nothing_is_matched_and_nothing_remembered():
    """T1: the chat gets a card of its own, though another has its phone; the phone is on it all the same."""
    into = book(card(1, number(1)), remembered={number(1): 1})
    binding = bound(into, number(1), rules=OFF)
    assert binding == Binding(FIRST_NEW, "T6", is_new=True)
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
    assert bound(remembered, number(1), rules=ONLY_TRACKER) == Binding(1, "T5 typed phone")
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
    assert bound(into, number(1)) == Binding(2, "T5 typed phone")


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (card(1, number(1), kind=CardType.LEAD, age=9), card(2, number(1), kind=CardType.CONTACT), 2),
        (card(1, number(1), kind=CardType.DEAL, age=9), card(2, number(1), kind=CardType.COMPANY), 2),
        (card(1, number(1), kind=CardType.LEAD, age=9), card(2, number(1), kind=CardType.DEAL), 2),
        (card(1, number(1), kind=CardType.PROVISIONAL, age=9), card(2, number(1), kind=CardType.LEAD), 2),
        (card(1, number(1), age=1), card(2, number(1), age=2), 2),
        (card(2, number(1)), card(1, number(1)), 1),
    ],
    ids=["contact", "company", "deal", "not provisional", "oldest", "lowest id"],
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
    assert into.bind(says(1, number(1)), 2, BOTH) == Binding(2)


def test_phone_variants_are_one_subscriber():
    """T12: the card has the number without Brazil's ninth digit, the customer writes it with."""
    old, new = phone("+551187654321", PROVEN), phone("+5511987654321", TYPED)
    assert old is not None
    assert new is not None
    into = book(card(1, old))
    assert bound(into, new) == Binding(1, "T2 typed phone")
    assert into.additions == [], "T4: it is there already"


# T4, T6


def test_a_match_adds_what_is_missing_and_overwrites_nothing():
    """T4: the e-mail is added; name and phone stay."""
    into = book(card(1, number(1), name="Ann Smith", has_memory=True))
    into.bind(says(1, number(1), address("ann"), name="A."), None, BOTH)
    assert [(a.card_id, a.identifier.key) for a in into.additions] == [(1, "ann@shop-mail.de")]
    assert into.filled_names == {}


def test_an_empty_name_is_filled_once():
    """T4: by the first message that has one."""
    into = book(card(1, number(1), name=""))
    into.bind(says(1, number(1)), None, BOTH)
    into.bind(says(1, name="Ann"), None, BOTH)
    into.bind(says(1, name="Another"), None, BOTH)
    assert into.filled_names == {1: "Ann"}


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
    into = book(card(1, number(1, present), has_memory=True))
    into.bind(says(1, number(1, given_later)), 1, BOTH)
    assert bool(into.additions) is added
    expected = given_later if added else present
    assert into.card(1).on_card[IdentifierKind.PHONE, number(1).key] is expected


def test_no_match_makes_a_card_and_later_identifiers_go_on_it():
    """T6: one new card for the chat, with the name; what comes later in the chat is added to it."""
    into = book()
    first = into.bind(says(1, messenger("telegram", "7"), name="Ann"), None, BOTH)
    second = into.bind(says(1, number(1)), None, BOTH)
    assert (first.is_new, second) == (True, Binding(first.card_id))
    assert into.card(first.card_id).name == "Ann"
    assert into.card(first.card_id).type is CardType.PROVISIONAL
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
    into = book(card(1, has_memory=True))
    into.bind(says(1, number(2)), 1, BOTH)
    assert into.newly_remembered == {}
    assert len(into.additions) == 1


def test_a_phone_deleted_from_its_card_still_binds_to_it():
    """T5: and stands on the card again."""
    into = book(card(1, has_memory=True), remembered={number(1): 1})
    assert bound(into, number(1)) == Binding(1, "T5 typed phone")
    assert [a.card_id for a in into.additions] == [1]


# T7, T8


@pytest.mark.parametrize("evidence", [TYPED, PROVEN])
def test_another_cards_identifier_moves_nothing(evidence):
    """T7: a bound chat gives an identifier of another card: not added, not taken away, not remembered."""
    into = book(card(1, number(1)), card(2, address("ben")))
    into.bind(says(5, number(1, evidence)), 2, BOTH)
    assert into.additions == []
    assert into.newly_remembered == {}
    assert set(into.card(2).on_card) == {(IdentifierKind.EMAIL, "ben@shop-mail.de")}


def test_another_cards_remembered_phone_moves_nothing():
    """T7, T5: though the phone was deleted from that card, and whatever is looked up in the CRM."""
    for rules in (BOTH, ONLY_TRACKER):
        into = book(card(1), card(2), remembered={number(1): 1})
        into.bind(says(5, number(1)), 2, rules)
        assert into.additions == []


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
    assert all(a.card_id == binding.card_id and a.identifier != shared for a in into.additions), "T7: nothing moves"


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


_PEOPLE = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([TYPED, PROVEN, SIGNED])), min_size=1, max_size=12)


def _partition(chats: Iterable[tuple[int, Identifier]]) -> set[frozenset[int]]:
    into = book()
    by_card: dict[int, set[int]] = {}
    for chat, identifier in chats:
        by_card.setdefault(into.bind(says(chat, identifier), None, BOTH).card_id, set()).add(chat)
    return {frozenset(together) for together in by_card.values()}


@given(_PEOPLE, st.randoms(use_true_random=False))
def test_another_order_gives_the_same_cards(people, random):
    """T8, T10: first messages with one phone each, shown in any order: the same chats are together."""
    chats = [(chat, number(who, evidence)) for chat, (who, evidence) in enumerate(people)]
    shuffled = random.sample(chats, len(chats))
    assert _partition(shuffled) == _partition(chats)
    assert _partition(chats) == {
        frozenset(chat for chat, (who, _) in enumerate(people) if who == one) for one in {who for who, _ in people}
    }

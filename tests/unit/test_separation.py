"""Which typed links give way when a proof comes late (T8)."""

import pytest

from tracker.customers import IdentifierKey
from tracker.identifiers import Evidence, IdentifierKind
from tracker.separation import ActiveMerge, BoundChat, Fact, Part, Release, group_of, separate

pytestmark = pytest.mark.unit

ANN: IdentifierKey = (IdentifierKind.PHONE, "+491711111111")
BEN: IdentifierKey = (IdentifierKind.PHONE, "+491712222222")
SENDER: IdentifierKey = (IdentifierKind.MESSENGER, "telegram/7")
PROVEN, TYPED = Evidence.PROVEN, Evidence.TYPED


def maker(chat_id: int, card_id: int = 1) -> BoundChat:
    return BoundChat(chat_id, card_id, typed=False, made_card=True)


def typed(chat_id: int, card_id: int = 1) -> BoundChat:
    return BoundChat(chat_id, card_id, typed=True, made_card=False)


def strong(chat_id: int, card_id: int = 1) -> BoundChat:
    return BoundChat(chat_id, card_id, typed=False, made_card=False)


def test_nothing_gives_way_where_nothing_contradicts():
    """T8: a typed link to a card with no proof of its own stands."""
    facts = [Fact(1, 10, ANN, TYPED), Fact(1, 11, BEN, PROVEN)]
    assert separate([1], [maker(10), typed(11)], facts, [], 11) is None


def test_a_chat_that_typed_its_way_in_leaves():
    """T8: Ben typed Ann's number, and proves his own."""
    facts = [Fact(1, 10, ANN, PROVEN), Fact(1, 11, ANN, TYPED), Fact(1, 11, BEN, PROVEN)]
    assert separate([1], [maker(10), typed(11)], facts, [], 11) == Release(1, frozenset({11}))


def test_it_leaves_also_when_the_card_proves_late():
    """T8: whichever came first."""
    facts = [Fact(1, 10, ANN, PROVEN), Fact(1, 11, BEN, PROVEN)]
    assert separate([1], [maker(10), typed(11)], facts, [], 10) == Release(1, frozenset({11}))


def test_who_is_one_with_the_card_by_more_than_a_typed_link_stays():
    """T8: one customer may prove two phones."""
    shared = [Fact(1, 10, SENDER, PROVEN), Fact(1, 11, SENDER, PROVEN)]
    facts = [Fact(1, 10, ANN, PROVEN), Fact(1, 11, BEN, PROVEN), *shared]
    assert separate([1], [maker(10), typed(11)], facts, [], 11) is None
    assert separate([1], [maker(10), strong(11)], facts[:2], [], 11) is None


def test_a_group_leaves_together():
    """T8: his other chats, bound by his own messenger id, go with him."""
    facts = [
        Fact(1, 10, ANN, PROVEN),
        Fact(1, 11, BEN, PROVEN),
        Fact(1, 11, SENDER, PROVEN),
        Fact(1, 12, SENDER, PROVEN),
        Fact(1, 13, ANN, TYPED),
    ]
    chats = [maker(10), typed(11), strong(12), typed(13)]
    assert separate([1], chats, facts, [], 11) == Release(1, frozenset({11, 12}))
    assert group_of(12, chats, facts) == {11, 12}
    assert group_of(13, chats, facts) == {13}


def test_the_group_that_has_just_proved_something_leaves_first():
    """T8: then the others by their oldest chat."""
    third: IdentifierKey = (IdentifierKind.PHONE, "+491713333333")
    facts = [Fact(1, 10, ANN, PROVEN), Fact(1, 11, BEN, PROVEN), Fact(1, 12, third, PROVEN)]
    chats = [maker(10), typed(11), typed(12)]
    assert separate([1], chats, facts, [], 12) == Release(1, frozenset({12}))
    assert separate([1], chats, facts, [], 10) == Release(1, frozenset({11}))


@pytest.mark.parametrize(
    ("evidence", "act"),
    [(TYPED, Part(5)), (Evidence.SIGNED, None), (PROVEN, None), (None, None)],
    ids=["typed", "signed", "proven", "a person's"],
)
def test_a_typed_merge_is_undone(evidence, act):
    """T8: no other is, and least of all what a person merged."""
    facts = [Fact(1, 10, ANN, PROVEN), Fact(2, 11, BEN, PROVEN)]
    merges = [ActiveMerge(5, 2, 1, evidence)]
    assert separate([1, 2], [maker(10, 1), maker(11, 2)], facts, merges, 11) == act


def test_the_youngest_merge_whose_sides_contradict_is_undone():
    """T8: of a chain 1 - 2 - 3 where 1 and 3 contradict each other, and of one that ends in a card without proofs."""
    merges = [ActiveMerge(5, 1, 2, TYPED), ActiveMerge(6, 2, 3, TYPED), ActiveMerge(7, 3, 4, TYPED)]
    facts = [Fact(1, 10, ANN, PROVEN), Fact(3, 12, BEN, PROVEN)]
    chats = [maker(10, 1), maker(11, 2), maker(12, 3), maker(13, 4)]
    assert separate([1, 2, 3, 4], chats, facts, merges, 12) == Part(6)

"""The oracle by stories: docs/tracker.md, rule by rule, with the answer written by hand."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from loadgen.evaluation.oracle import Oracle
from loadgen.evaluation.said import EVIDENCE, Given, Message

pytestmark = pytest.mark.unit

BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)
ANN, BEN, CAT = "+4915123456781", "+4915123456782", "+4917098765433"
ANN_MAIL, BEN_MAIL = "ann@firm.example", "ben@firm.example"


def said(chat: str, *given: str, name: str = "", text: str = "") -> Message:
    """A message in `channel:chat`. given: `evidence=value`, or a value that is typed."""
    channel, _, chat_id = chat.partition(":")
    identity = []
    for one in given:
        evidence, _, value = one.rpartition("=")
        assert evidence in ("", *EVIDENCE)
        identity.append(Given("email" if "@" in value else "phone", value, evidence or "typed"))
    return Message("somebody", channel, chat_id, BEGINNING, name, text, tuple(identity))


def told(messages: Iterable[Message]) -> Oracle:
    """An oracle that was shown these messages, an hour apart."""
    oracle = Oracle()
    for message, hours in zip(messages, count()):
        at = message.sent_at + timedelta(hours=hours)
        oracle.take(
            Message(message.customer, message.channel, message.chat, at, message.name, message.text, message.identity)
        )
    return oracle


def cards(*messages: Message) -> list[list[str]]:
    """The chats of each card, by the chats' names."""
    of_card: dict[int, list[str]] = {}
    for (channel, chat), card in told(messages).cards().items():
        of_card.setdefault(card, []).append(f"{channel}:{chat}")
    return sorted(sorted(chats) for chats in of_card.values())


# Matching (T2, T3, T4, T6)


def test_nothing_in_common_is_nobody_in_common():
    """T6."""
    assert cards(said("instagram:a", name="Ann"), said("livechat:b", name="Ann")) == [["instagram:a"], ["livechat:b"]]


def test_a_name_never_matches():
    """T2: not even with the same text."""
    assert len(cards(said("custom:a", name="Ann Berg"), said("custom:b", name="Ann Berg"))) == 2


def test_a_typed_phone_binds():
    """T8: that is what the tracker is for."""
    assert len(cards(said("webform:a", ANN), said("livechat:b", ANN))) == 1


def test_a_text_is_read():
    """T3: typed evidence, in the writing of the channel's country."""
    assert len(cards(said("livechat/de:a", text="Tel. 0151 23456781 bitte"), said("livechat:b", ANN))) == 1


def test_a_national_number_needs_a_country():
    """Without one only +... is a phone."""
    assert len(cards(said("livechat:a", text="Tel. 0151 23456781 bitte"), said("livechat:b", ANN))) == 2


def test_an_email_binds_whatever_its_case():
    """T2."""
    assert len(cards(said("webform:a", ANN_MAIL), said("livechat:b", text="Ann@Firm.EXAMPLE"))) == 1


def test_telegram_ids_are_the_same_on_all_bots():
    """T2: the namespace is everywhere."""
    assert len(cards(said("telegram/one:7"), said("telegram/two:7"))) == 1


def test_ids_of_other_kinds_are_the_channels():
    """T2: two chats, two customers."""
    assert len(cards(said("livechat/one:7"), said("livechat/two:7"))) == 2


def test_a_web_form_has_no_messenger_id():
    """The same chat is the same chat; another channel's chat of that name is not."""
    assert len(cards(said("webform/one:7"), said("webform/two:7"))) == 2


def test_proven_before_typed():
    """T2: the proven phone leads to Ben, though Ann's typed e-mail comes first."""
    found = cards(
        said("webform:ann", ANN_MAIL), said("webform:ben", BEN), said("telegram:1", ANN_MAIL, f"proven={BEN}")
    )
    assert found == [["telegram:1", "webform:ann", "webform:ben"]]


def test_phone_before_email():
    """T2: the phone binds; the e-mail then merges, if nothing speaks against it."""
    oracle = told([said("webform:a", ANN_MAIL), said("webform:b", ANN), said("livechat:c", ANN_MAIL, ANN)])
    assert len(set(oracle.cards().values())) == 1
    assert oracle.reviewed == set()


def test_the_seeds_story():
    """T11: a name, then the phone; live chat with phone and e-mail; Telegram with that e-mail."""
    found = cards(
        said("instagram:a", name="Ann"),
        said("instagram:a", ANN, name="Ann"),
        said("livechat:b", ANN, ANN_MAIL),
        said("telegram:3", ANN_MAIL),
    )
    assert len(found) == 1


def test_a_hundred_at_once():
    """T10."""
    assert len(cards(*(said(f"livechat:{number}", ANN) for number in range(100)))) == 1


# Variants (T12) and what identifies nobody (T9)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("proven=+551187654321", "+5511987654321"),
        ("proven=+5215512345678", "+525512345678"),
        ("+5491141234567", "+541141234567"),
        ("+5215512345678", "+525512345678"),
    ],
)
def test_variants_of_one_subscriber(one, other):
    """T12."""
    assert len(cards(said("whatsapp:a", one), said("livechat:b", other))) == 1


def test_a_brazilian_landline_is_no_variant():
    """T12: 3xxx-xxxx never had a ninth digit."""
    assert len(cards(said("webform:a", "+551131234567"), said("webform:b", "+5511931234567"))) == 2


@pytest.mark.parametrize("nothing", ["+79999999999", "test@test.ru", "noreply@firm.example", "+4901"])
def test_placeholders_match_nobody(nothing):
    """T9."""
    assert len(cards(said("webform:a", nothing), said("webform:b", nothing))) == 2


def test_a_proven_placeholder_is_somebodys():
    """T9: somebody really has that address."""
    assert len(cards(said("custom:a", "proven=test@test.ru"), said("custom:b", "proven=test@test.ru"))) == 1


# Merging (T7, T8)


def test_a_later_identifier_merges():
    """T7: the younger card into the older, with everybody on both."""
    found = cards(said("webform:a", ANN), said("telegram:1"), said("telegram/b:1"), said("telegram:1", ANN))
    assert found == [["telegram/b:1", "telegram:1", "webform:a"]]


def test_two_proven_phones_are_never_joined_by_what_somebody_typed():
    """T8: the pair goes to the review list, and Ben's chat stays where it is."""
    oracle = told([said("whatsapp:1", f"proven={ANN}"), said("whatsapp:2", f"proven={BEN}"), said("whatsapp:2", ANN)])
    assert len(set(oracle.cards().values())) == 2
    assert len(oracle.reviewed) == 1


def test_the_same_for_a_first_message():
    """T8: a typed link to a customer whom the message contradicts is passed over."""
    assert len(cards(said("whatsapp:1", f"proven={ANN}"), said("whatsapp:2", f"proven={BEN}", ANN))) == 2


def test_two_proven_emails_contradict_as_well():
    """T8."""
    found = cards(
        said("custom:1", f"proven={ANN_MAIL}", ANN), said("custom:2", f"proven={BEN_MAIL}"), said("custom:2", ANN)
    )
    assert len(found) == 2


def test_a_proven_phone_and_a_proven_email_do_not_contradict():
    """T8: only the same kind does."""
    assert len(cards(said("whatsapp:1", f"proven={ANN}"), said("custom:2", f"proven={BEN_MAIL}", ANN))) == 1


def test_a_signed_link_joins_what_a_typed_one_may_not():
    """T8 speaks of typed links only."""
    found = cards(
        said("telegram:1", f"signed={ANN_MAIL}"),
        said("telegram:1", f"proven={ANN}"),
        said("whatsapp:2", f"proven={BEN}"),
        said("whatsapp:2", f"signed={ANN_MAIL}"),
    )
    assert len(found) == 1


def test_a_link_is_typed_if_the_other_side_only_typed_it():
    """Ann proves the phone that Ben's customer, who has proven another, only typed."""
    assert len(cards(said("whatsapp:2", f"proven={BEN}", ANN), said("whatsapp:1", f"proven={ANN}"))) == 2


def test_first_come_first_served():
    """A chat that could be either's stays with the one to whom it was bound; the other pair is on the review list."""
    oracle = told(
        [
            said("whatsapp:1", f"proven={ANN}"),
            said("whatsapp:2", f"proven={BEN}"),
            said("livechat:3", ANN),
            said("livechat:3", BEN),
        ]
    )
    found = oracle.cards()
    assert found["livechat", "3"] == found["whatsapp", "1"] != found["whatsapp", "2"]
    assert len(oracle.reviewed) == 1


def test_a_stronger_fact_makes_the_link_stronger():
    """T7: strengthened just now, so looked at again."""
    found = cards(
        said("custom:1", f"proven={ANN}", BEN_MAIL),
        said("custom:2", f"proven={BEN}", BEN_MAIL),
        said("custom:1", f"signed={BEN_MAIL}"),
        said("custom:2", f"signed={BEN_MAIL}"),
    )
    assert len(found) == 1


# First phones (T5)


def test_a_remembered_phone_goes_before_an_older_card():
    """T5: Cat typed Ben's number as her second; it is Ben's first, so it leads to him."""
    found = cards(
        said("whatsapp:3", f"proven={CAT}"),
        said("whatsapp:3", BEN),
        said("whatsapp:2", f"proven={BEN}"),
        said("livechat:x", BEN),
    )
    assert found == [["livechat:x", "whatsapp:2"], ["whatsapp:3"]]


def test_a_remembered_phone_goes_first_in_a_bound_chat_too():
    """T7: of several customers, in the order of step 2."""
    found = cards(
        said("whatsapp:3", f"proven={CAT}"),
        said("whatsapp:3", BEN),
        said("whatsapp:2", f"proven={BEN}"),
        said("livechat:x"),
        said("livechat:x", BEN),
    )
    assert found == [["livechat:x", "whatsapp:2"], ["whatsapp:3"]]


# Shared identifiers (T9)


def employees(number: int, kind: str = "livechat", name: str = "Employee {}") -> list[Message]:
    """First messages of people who give one number."""
    return [said(f"{kind}:{each}", ANN, name=name.format(each)) for each in range(number)]


def test_five_claimants_are_one_customer():
    """T9: more than five make an identifier shared."""
    assert len(cards(*employees(5))) == 1


def test_the_sixth_stays_alone():
    """T9: from that message on; what is bound stays."""
    oracle = told(employees(8))
    found = list(oracle.cards().values())
    assert len(set(found[:5])) == 1
    assert len(set(found)) == 4
    assert oracle.shared == {("phone", ANN)}


def test_claims_are_counted_per_kind_of_channel():
    """T9: three here and three there contradict nobody but each other."""
    assert len(cards(*employees(3), *employees(3, "instagram"))) == 1


def test_the_same_name_contradicts_nobody():
    """T9: without regard to case, width and spaces."""
    names = ["Ann Berg", "ANN BERG", "ann  berg", "AnnBerg", "Ａｎｎ Ｂｅｒｇ", "ann berg", "Ann berg"]
    assert len(cards(*(said(f"livechat:{number}", ANN, name=name) for number, name in enumerate(names)))) == 1


def test_no_name_contradicts_nobody():
    """T9: and does not keep others from being counted."""
    oracle = told([*employees(3, name=""), *(said(f"livechat:n{n}", ANN, name=f"N{n}") for n in range(6))])
    assert len(set(oracle.cards().values())) == 2


def test_the_same_messenger_id_contradicts_nobody():
    """T9: one person on two bots, under two names, is counted once."""
    bots = [said(f"telegram/b{number}:1", ANN, name=f"Name {number}") for number in range(8)]
    assert told(bots).shared == set()


def test_a_shared_phone_is_not_remembered():
    """T9 outranks T5."""
    oracle = told([*employees(8), said("instagram:x", ANN, name="Xenia")])
    found = oracle.cards()
    assert list(found.values()).count(found["instagram", "x"]) == 1


def test_other_identifiers_go_on_matching():
    """T9: whom the number does not join, the e-mail may."""
    oracle = told([*employees(6), said("livechat:5", BEN_MAIL, name="Employee 5"), said("webform:x", BEN_MAIL)])
    found = oracle.cards()
    assert found["livechat", "5"] == found["webform", "x"]


# When a proof comes late (T8)


def test_a_stranger_who_proves_his_own_gets_a_card_of_his_own():
    """The typed link gives way, whichever came first; the pair goes to the review list."""
    oracle = told([said("whatsapp:1", f"proven={ANN}"), said("telegram:2", ANN), said("telegram:2", f"proven={BEN}")])
    assert len(set(oracle.cards().values())) == 2
    assert len(oracle.reviewed) == 1


def test_who_was_there_first_keeps_the_card():
    """The stranger's chat made the card, Ann's joined it by what he had typed: hers moves when he proves his own.

    The live chat, which proves nothing, could be either's: it stays.
    """
    found = cards(
        said("telegram:2", ANN),
        said("whatsapp:1", f"proven={ANN}"),
        said("livechat:x", ANN),
        said("telegram:2", f"proven={BEN}"),
    )
    assert found == [["livechat:x", "telegram:2"], ["whatsapp:1"]]


def test_his_other_chats_go_with_him():
    """A group: they gave the same identifier, neither only typed it."""
    found = cards(
        said("whatsapp:1", f"proven={ANN}"),
        said("telegram/a:2", ANN),
        said("telegram/b:2"),
        said("telegram/b:2", f"proven={BEN}"),
    )
    assert found == [["telegram/a:2", "telegram/b:2"], ["whatsapp:1"]]


def test_a_typed_merge_is_undone():
    """The two cards were merged by what he typed; then he proves his own."""
    found = cards(
        said("whatsapp:1", f"proven={ANN}"),
        said("telegram:2"),
        said("telegram:2", ANN),
        said("telegram:2", f"proven={BEN}"),
    )
    assert found == [["telegram:2"], ["whatsapp:1"]]


def test_the_youngest_typed_merge_goes_first():
    """Three cards in a row of typed merges: only the link that contradicts is parted."""
    found = cards(
        said("whatsapp:1", f"proven={ANN}"),
        said("livechat:m", BEN_MAIL),
        said("livechat:m", ANN),
        said("telegram:2"),
        said("telegram:2", BEN_MAIL),
        said("telegram:2", f"proven={BEN}"),
    )
    assert found == [["livechat:m", "whatsapp:1"], ["telegram:2"]]


def test_a_proof_parts_before_it_merges():
    """Ben typed Ann's number, and then proves his own, which his form gave: the form is his, and not Ann's."""
    found = cards(
        said("whatsapp:1", f"proven={ANN}"),
        said("webform:f", BEN),
        said("instagram:b", ANN),
        said("instagram:b", f"proven={BEN}"),
    )
    assert found == [["instagram:b", "webform:f"], ["whatsapp:1"]]


def test_two_phones_of_one_group_stay_together():
    """One customer may have two phones."""
    assert len(cards(said("telegram:2", f"proven={ANN}"), said("telegram:2", f"proven={BEN}"))) == 1


def test_what_agrees_stays():
    """A late proof of the very number that he typed changes nothing."""
    found = cards(said("whatsapp:1", f"proven={ANN}"), said("telegram:2", ANN), said("telegram:2", f"proven={ANN}"))
    assert len(found) == 1


def test_other_order_same_customers():
    """T8: as long as nothing contradicts and nothing is shared."""
    story = [
        said("whatsapp:1", f"proven={ANN}"),
        said("livechat:2", ANN, ANN_MAIL),
        said("telegram:3", ANN_MAIL),
        said("webform:4", BEN),
        said("telegram:3", BEN),
        said("instagram:5"),
    ]
    expected = cards(*story)
    for turn in range(len(story)):
        assert cards(*story[turn:], *story[:turn]) == expected
    assert cards(*reversed(story)) == expected

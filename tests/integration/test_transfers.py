"""To the responsible person (D9), transfers and whom they make responsible (D10), open channels that change (D10)."""

import pytest

from tests.dialogs import SERVICE, Decided, DialogDesk, Logged, desk
from tracker.access import Role

pytestmark = pytest.mark.integration

__all__ = ["desk"]

CHANGES = {"transfer_changes_responsible": True}


def known(desk: DialogDesk, *names: str, **settings: object) -> int:
    """An open channel with these operators; Rita, who is on no roster any more, is responsible for its customer."""
    rita = desk.operator("rita")
    ids = [desk.operator(name) for name in names]
    place = desk.open_channel("desk", [rita], to_responsible=True, **settings)
    first = desk.dialog("desk-telegram", "chat", name="Customer")
    desk.do("rita", "accept", first)
    desk.do("rita", "close", first)
    desk.roster(place, *ids)
    return place


# D9


def test_the_responsible_person_comes_before_the_roster(desk: DialogDesk) -> None:
    """D9, D12, D13: on the roster or not; it is no turn of the roster's."""
    place = known(desk, "ann", "ben")
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert desk.status(dialog_id) == ("assigned", "rita")
    assert desk.decisions(dialog_id) == [Decided("D9", "waiting", "rita", over_limit=False)]
    assert desk.log(dialog_id)[-1] == Logged("system", "D9", "queued", "assigned", None, "rita")
    desk.do("rita", "close", dialog_id)
    desk.roster(place, *(desk.id_of(name) for name in ("ann", "ben", "rita")))
    assert desk.holder(desk.dialog("desk-telegram", "chat")) == "rita"
    others = [desk.holder(desk.dialog("desk-telegram", f"other-{n}")) for n in range(3)]
    assert others == ["ann", "ben", "rita"], "she has had no first assignment by turn"


def test_without_the_setting_the_roster_decides(desk: DialogDesk) -> None:
    """D9."""
    known(desk, "ann")
    desk.rows("UPDATE open_channels SET settings = '{}'")
    assert desk.holder(desk.dialog("desk-telegram", "chat")) == "ann"


@pytest.mark.parametrize(
    "why",
    [
        "UPDATE operators SET online = false WHERE name = 'rita'",
        "UPDATE operators SET away = true WHERE name = 'rita'",
        "UPDATE operators SET time_tracking = true WHERE name = 'rita'",
        "UPDATE operators SET dismissed_at = now() WHERE name = 'rita'",
        "INSERT INTO leaves (operator_id, from_at, until_at) VALUES (1, now(), now() + interval '1 hour')",
    ],
)
def test_who_cannot_have_it_is_passed_by(desk: DialogDesk, why: str) -> None:
    """D9: gone or away: the roster decides at once."""
    known(desk, "ann")
    desk.rows(why)
    assert desk.holder(desk.dialog("desk-telegram", "chat")) == "ann"


def test_his_personal_limit_counts_all_that_he_has(desk: DialogDesk) -> None:
    """D9, D7: also where he stands on no roster; with room again he is asked first again."""
    known(desk, "ann")
    desk.rows("UPDATE operators SET personal_limit = 1 WHERE name = 'rita'")
    desk.open_channel("other", [desk.id_of("rita")], ("custom",))
    busy = desk.dialog("other-custom", "x")
    assert desk.holder(busy) == "rita"
    first = desk.dialog("desk-telegram", "chat")
    assert desk.holder(first) == "ann"
    desk.do("ann", "close", first)
    desk.do("rita", "close", busy)
    assert desk.holder(desk.dialog("desk-telegram", "chat")) == "rita"


def test_who_stands_in_is_not_responsible(desk: DialogDesk) -> None:
    """D9, C4: the first of the roster is, until somebody accepts, but is not preferred for that."""
    desk.open_channel("desk", [desk.operator("ann"), desk.operator("ben")], to_responsible=True)
    first = desk.dialog("desk-telegram", "chat", name="Customer")
    assert (desk.holder(first), desk.responsible(first)) == ("ann", "ann")
    desk.do("ann", "close", first)
    again = desk.dialog("desk-telegram", "chat")
    assert desk.decisions(again)[0].rule == "D2"
    assert desk.holder(again) == "ben"


def test_what_waits_for_anybody_goes_to_the_responsible_who_comes(desk: DialogDesk) -> None:
    """D8, D9: with nobody eligible it waits, and he who comes has it although he is on no roster."""
    known(desk)
    desk.act("rita", "/api/operator/offline")
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert desk.status(dialog_id) == ("queued", None)
    desk.come("rita")
    assert desk.status(dialog_id) == ("assigned", "rita")


def test_a_hand_over_asks_the_responsible_who_has_come_meanwhile(desk: DialogDesk) -> None:
    """D9, D5: he has not let it pass."""
    known(desk, "ann", "ben")
    desk.act("rita", "/api/operator/offline")
    dialog_id = desk.dialog("desk-telegram", "chat")
    desk.come("rita")
    assert desk.do(desk.holder(dialog_id) or "", "skip", dialog_id) == ("assigned", "rita")


# D10: who is responsible


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("settings", [{}, CHANGES])
def test_a_transfer_to_an_operator(desk: DialogDesk, settings: dict[str, bool], accepted: bool) -> None:
    """D10: with the setting he is responsible at once; without it whoever accepted first, also if that is he."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.open_channel("desk", [ann], **settings)
    dialog_id = desk.dialog("desk-telegram", "chat", name="Customer")
    if accepted:
        desk.do("ann", "accept", dialog_id)
    desk.do("ann", "transfer", dialog_id, operator=ben)
    assert desk.responsible(dialog_id) == ("ben" if settings else "ann")
    desk.do("ben", "accept", dialog_id)
    assert desk.responsible(dialog_id) == ("ben" if settings or not accepted else "ann")


@pytest.mark.parametrize(("settings", "responsible"), [({}, "ann"), (CHANGES, "ben")])
def test_a_transfer_to_the_backlog(desk: DialogDesk, settings: dict[str, bool], responsible: str) -> None:
    """D10: whoever accepts it afterwards."""
    desk.open_channel("desk", [desk.operator("ann"), desk.operator("ben")], distribution="strictly", **settings)
    dialog_id = desk.dialog("desk-telegram", "chat", name="Customer")
    desk.do("ann", "accept", dialog_id)
    desk.do("ann", "transfer", dialog_id, backlog=True)
    assert desk.responsible(dialog_id) == "ann"
    desk.drain()
    desk.do("ben", "accept", dialog_id)
    assert desk.responsible(dialog_id) == responsible


def test_takes_and_hand_overs_make_nobody_responsible(desk: DialogDesk) -> None:
    """D10: only a transfer does, once somebody has accepted."""
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.open_channel("desk", [desk.operator("ann")], **CHANGES)
    dialog_id = desk.dialog("desk-telegram", "chat", name="Customer")
    desk.do("ann", "accept", dialog_id)
    desk.do("sue", "take", dialog_id)
    assert desk.responsible(dialog_id) == "ann"


def test_only_what_was_made_from_this_chat_changes_hands(desk: DialogDesk) -> None:
    """D10: the lead of another chat of the same customer stays with its responsible person."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.open_channel("desk", [ann], ("telegram", "livechat"), **CHANGES)
    phone = "+49 171 2345678"
    first = desk.dialog("desk-telegram", "chat", phone, name="Customer")
    desk.do("ann", "accept", first)
    second = desk.dialog("desk-livechat", "chat", phone)
    assert desk.value("SELECT count(*) FROM cards WHERE live_id IS NULL") == 1
    desk.do("ann", "transfer", second, operator=ben)
    desk.do("ben", "accept", second)
    assert desk.responsible(second) == "ann"
    desk.do("ann", "transfer", first, operator=ben)
    assert desk.responsible(first) == "ben"


def test_a_deal_changes_hands_and_its_contact_does_not(desk: DialogDesk) -> None:
    """D10: lead and deal alone."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.open_channel("desk", [ann], mode="deal", **CHANGES)
    dialog_id = desk.dialog("desk-telegram", "chat", name="Customer")
    desk.do("ann", "accept", dialog_id)
    desk.do("ann", "transfer", dialog_id, operator=ben)
    assert desk.responsible(dialog_id) == "ben"
    assert desk.rows("SELECT responsible_id FROM cards WHERE type = 'contact'") == [(ann,)]


# D10: another open channel


@pytest.fixture
def two(desk: DialogDesk) -> tuple[int, int]:
    """Sales (Ann, Ben; telegram) and support (Cem, Dan; strictly, two minutes, its own texts)."""
    sales = desk.open_channel("sales", [desk.operator("ann"), desk.operator("ben")], nobody_available_text="Sales away")
    people = [desk.operator("cem"), desk.operator("dan")]
    support = desk.open_channel(
        "support",
        people,
        ("custom",),
        distribution="strictly",
        handover_after=120,
        close_after=600,
        closing_text="Support says goodbye",
        full_close_after=60,
        nobody_available_text="Support away",
    )
    return sales, support


def test_the_other_open_channels_roster_and_settings_hold(desk: DialogDesk, two: tuple[int, int]) -> None:
    """D10: assignments, clocks, texts; what the customer writes is handled there; the next dialog is not."""
    sales, support = two
    dialog_id = desk.dialog("sales-telegram", "chat")
    desk.do("ann", "accept", dialog_id)
    assert desk.do("ann", "transfer", dialog_id, open_channel=support) == ("queued", None)
    assert desk.log(dialog_id)[-1] == Logged("ann", "transfer", "accepted", "queued", "ann", None)
    assert desk.rows("SELECT open_channel_id FROM events ORDER BY id DESC LIMIT 1") == [(support,)]
    desk.drain()
    assert desk.status(dialog_id) == ("assigned", "cem")
    assert desk.clocks(dialog_id) == {"handover": 120}
    desk.after(dialog_id)
    assert desk.holder(dialog_id) == "dan"
    desk.answer("dan", dialog_id)
    assert desk.clocks(dialog_id) == {"auto_close": 600}
    assert desk.dialog("sales-telegram", "chat", "and?") == dialog_id
    assert desk.status(dialog_id) == ("awaiting_operator", "dan")
    assert desk.do("dan", "close", dialog_id) == ("closing", "dan")
    assert desk.told(dialog_id) == ["Support says goodbye"]
    assert desk.dialog("sales-telegram", "chat", "one more thing") == dialog_id, "S4"
    desk.do("dan", "close", dialog_id)
    desk.do("dan", "close", dialog_id)
    new = desk.dialog("sales-telegram", "chat", "new")
    assert new != dialog_id
    assert desk.value("SELECT open_channel_id FROM dialogs WHERE id = %s", new) == sales
    assert desk.holder(new) in {"ann", "ben"}


def test_who_is_gone_there_loses_it_to_that_roster(desk: DialogDesk, two: tuple[int, int]) -> None:
    """D10, D11: the customer's next message hands it on where it is handled; its text tells him if nobody is there."""
    _, support = two
    dialog_id = desk.dialog("sales-telegram", "chat")
    desk.do(SERVICE, "transfer", dialog_id, open_channel=support)
    desk.drain()
    desk.do("cem", "accept", dialog_id)
    desk.act("cem", "/api/operator/offline")
    desk.dialog("sales-telegram", "chat", "hello?")
    assert desk.status(dialog_id) == ("assigned", "dan")
    desk.do("dan", "accept", dialog_id)
    desk.act("dan", "/api/operator/offline")
    desk.dialog("sales-telegram", "chat", "hello?")
    assert desk.status(dialog_id) == ("queued", None)
    assert desk.told(dialog_id) == ["Support away"]


def test_there_nobody_has_let_it_pass(desk: DialogDesk, two: tuple[int, int]) -> None:
    """D10, D3: a roster that he stands on as well begins at its head."""
    _, support = two
    desk.roster(support, desk.id_of("ann"), desk.id_of("cem"))
    dialog_id = desk.dialog("sales-telegram", "chat")
    desk.do("ann", "transfer", dialog_id, open_channel=support)
    desk.drain()
    assert desk.status(dialog_id) == ("assigned", "ann")


def test_transfers_to_nowhere_are_refused(desk: DialogDesk, two: tuple[int, int]) -> None:
    """D10: the unknown, the inactive, his own open channel's backlog where it waits already."""
    sales, support = two
    dialog_id = desk.dialog("sales-telegram", "chat")
    assert desk.refused("ann", "transfer", dialog_id, open_channel=99) == "unknown_open_channel"
    assert desk.refused("ann", "transfer", dialog_id, operator=99) == "unknown_operator"
    desk.rows("UPDATE open_channels SET active = false WHERE id = %s", support)
    assert desk.refused("ann", "transfer", dialog_id, open_channel=support) == "inactive"
    assert desk.do("ann", "transfer", dialog_id, open_channel=sales) == ("queued", None)
    for target in ({"open_channel": sales}, {"backlog": True}):
        assert desk.refused(SERVICE, "transfer", dialog_id, **target) == "waits_already"
    for body in ({}, {"backlog": False}, {"operator": 1, "backlog": True}, {"operator": 0}):
        assert desk.refused(SERVICE, "transfer", dialog_id, **body) == "invalid_request"

"""What becomes of the dialogs of an operator who leaves (D11)."""

from datetime import UTC, datetime, timedelta

import pytest

from crm_store import desks
from crm_store.desks import RosterMember
from tests.dialogs import SERVICE, DialogDesk, Logged, desk
from tracker.access import Role

pytestmark = pytest.mark.integration

__all__ = ["desk"]

BYE = {"closing_text": "Bye", "full_close_after": 600}

RETURNS = {"assigned", "accepted", "awaiting_operator"}
"""What goes back at the end of a day: not accepted, not answered, or written to since."""


def one_of_each(desk: DialogDesk, name: str = "ann", key: str = "desk-telegram") -> dict[str, int]:
    """A dialog of his in every status in which he can have one, the oldest first."""
    made = {
        status: desk.dialog(key, f"{name}-{status}")
        for status in ("assigned", "accepted", "awaiting_customer", "awaiting_operator", "closing")
    }
    desk.do(name, "accept", made["accepted"])
    for status in ("awaiting_customer", "awaiting_operator"):
        desk.answer(name, made[status])
    desk.dialog(key, f"{name}-awaiting_operator", "and?")
    desk.do(name, "close", made["closing"])
    assert {desk.status(dialog_id) for dialog_id in made.values()} == {(status, name) for status in made}
    return made


def end_of_day(desk: DialogDesk, name: str) -> None:
    """His workday ends."""
    desk.act(name, "/api/operator/workday/end")


def long_leave(desk: DialogDesk, name: str) -> None:
    """A leave of two days begins."""
    now = datetime.now(UTC)
    given = {"from": (now - timedelta(hours=1)).isoformat(), "until": (now + timedelta(days=2)).isoformat()}
    response = desk.service.post(f"/api/operators/{desk.id_of(name)}/leaves", json=given)
    assert response.status_code == 201, response.text


@pytest.mark.parametrize(
    ("leaves", "cause", "actor"), [(end_of_day, "workday_ended", "ann"), (long_leave, "on_leave", "service")]
)
def test_who_leaves_for_a_day_gives_back_what_nobody_answered(
    desk: DialogDesk, leaves: object, cause: str, actor: str
) -> None:
    """D11: what waits for the customer or is closing stays his; pinned or not."""
    ann = desk.operator("ann")
    desk.rows("UPDATE operators SET time_tracking = true, workday = 'started'")
    place = desk.open_channel("desk", [ann], **BYE)
    held = one_of_each(desk)
    desk.do("ann", "pin", held["accepted"])
    assert callable(leaves)
    leaves(desk, "ann")
    for status, dialog_id in held.items():
        expected = ("queued", None) if status in RETURNS else (status, "ann")
        assert desk.status(dialog_id) == expected
    assert desk.log(held["accepted"])[-1] == Logged(actor, cause, "accepted", "queued", "ann", None)
    assert desk.clocks(held["assigned"]) == {}
    assert desk.is_tried(place)


@pytest.mark.parametrize("leaves", [end_of_day, long_leave])
def test_where_availability_is_not_checked_nothing_goes_back(desk: DialogDesk, leaves: object) -> None:
    """D11, D6: he could be given it again at once, and so on for ever."""
    ann = desk.operator("ann")
    desk.rows("UPDATE operators SET time_tracking = true, workday = 'started'")
    desk.open_channel("desk", [ann], check_availability=False, **BYE)
    held = one_of_each(desk)
    assert callable(leaves)
    leaves(desk, "ann")
    events = desk.value("SELECT count(*) FROM events WHERE dialog_id IS NOT NULL")
    desk.watch()
    assert {desk.status(dialog_id) for dialog_id in held.values()} == {(status, "ann") for status in held}
    assert desk.value("SELECT count(*) FROM events WHERE dialog_id IS NOT NULL") == events


def test_what_goes_back_stands_by_its_age(desk: DialogDesk) -> None:
    """D11, D8: ahead of what is younger; whoever is free takes the oldest."""
    ann, ben = desk.operator("ann"), desk.operator("ben", online=False)
    desk.rows("UPDATE operators SET time_tracking = true, workday = 'started' WHERE name = 'ann'")
    desk.open_channel("desk", [ann, ben], max_dialogs=2)
    old, older = (desk.dialog("desk-telegram", chat) for chat in ("1", "2"))
    young = desk.dialog("desk-telegram", "3")
    desk.do("ann", "accept", older)
    end_of_day(desk, "ann")
    desk.come("ben")
    assert [desk.status(one) for one in (old, older, young)] == [
        ("assigned", "ben"),
        ("assigned", "ben"),
        ("queued", None),
    ]


def off_the_roster(desk: DialogDesk) -> None:
    """Ann is put off the roster."""
    desk.roster(1, desk.id_of("ben"))


def off_her_department(desk: DialogDesk) -> None:
    """Ann stood on the roster with her department, and is put off that."""
    with desk._database.transaction() as connection:
        desks.put_department(connection, "team", [desk.id_of("ben")])
    desk.drain()


def dismissed(desk: DialogDesk) -> None:
    """Ann is dismissed."""
    response = desk.service.post(f"/api/operators/{desk.id_of('ann')}/dismiss")
    assert response.status_code == 200, response.text
    desk.drain()


@pytest.mark.parametrize(
    ("leaves", "cause"),
    [(off_the_roster, "off_roster"), (off_her_department, "off_roster"), (dismissed, "dismissed")],
)
def test_who_leaves_for_good_gives_back_all_that_is_open(desk: DialogDesk, leaves: object, cause: str) -> None:
    """D11: the answered too; what is closing goes on as nobody's, and waits once the customer writes (S4)."""
    ann, ben = desk.operator("ann"), desk.operator("ben", online=False)
    desk.open_channel("desk", [], **BYE)
    department = desk.department("team", [ann, ben])
    with desk._database.transaction() as connection:
        desks.put_roster(connection, 1, [RosterMember(department_id=department)])
    held = one_of_each(desk)
    assert callable(leaves)
    leaves(desk)
    closing = held.pop("closing")
    assert {desk.status(dialog_id) for dialog_id in held.values()} == {("queued", None)}
    assert {desk.log(dialog_id)[-1].cause for dialog_id in held.values()} == {cause}
    assert desk.status(closing) == ("closing", None)
    assert desk.clocks(closing) == {"closing": 600}
    assert desk.dialog("desk-telegram", "ann-closing", "wait!") == closing
    assert desk.log(closing)[-1] == Logged("customer", "message", "closing", "queued", None, None)
    desk.come("ben")
    assert desk.status(closing) == ("assigned", "ben")
    desk.watch()
    assert desk.status(closing) == ("assigned", "ben")


def test_off_one_roster_he_keeps_what_he_has_elsewhere(desk: DialogDesk) -> None:
    """D11, D8: and the slots that he has again are used there, if he has a personal limit."""
    ann = desk.operator("ann", personal_limit=5)
    place = desk.open_channel("desk", [ann], **BYE)
    desk.open_channel("other", [ann], ("custom",))
    held = one_of_each(desk)
    elsewhere = desk.dialog("other-custom", "1")
    assert desk.holder(elsewhere) is None
    desk.roster(place)
    assert desk.status(elsewhere) == ("assigned", "ann")
    assert desk.holder(held["accepted"]) is None
    desk.roster(2, ann, desk.operator("ben"))
    assert desk.status(elsewhere) == ("assigned", "ann"), "a roster that he stays on takes nothing from him"


# Merely unavailable


@pytest.mark.parametrize("status", ["assigned", "accepted", "awaiting_customer", "awaiting_operator", "closing"])
def test_what_he_has_accepted_is_handed_on_when_the_customer_writes(desk: DialogDesk, status: str) -> None:
    """D11: what he has not accepted yet has its clock (D5)."""
    desk.open_channel("desk", [desk.operator("ann"), desk.operator("ben", online=False)], **BYE)
    dialog_id = one_of_each(desk)[status]
    desk.act("ann", "/api/operator/offline")
    desk.act("ben", "/api/operator/online")
    assert desk.holder(dialog_id) == "ann"
    desk.dialog("desk-telegram", f"ann-{status}", "hello?")
    if status == "assigned":
        assert desk.status(dialog_id) == ("assigned", "ann")
        return
    assert desk.status(dialog_id) == ("assigned", "ben")
    assert desk.causes(dialog_id)[-3:] == ["message", "operator_unavailable", "D2"]
    assert desk.clocks(dialog_id) == {"handover": 60}


def test_it_is_handed_on_in_the_same_step(desk: DialogDesk) -> None:
    """D11: no clock has to come first."""
    desk.open_channel("desk", [desk.operator("ann"), desk.operator("ben", online=False)])
    dialog_id = desk.dialog("desk-telegram", "chat")
    desk.do("ann", "accept", dialog_id)
    desk.act("ann", "/api/operator/offline")
    desk.act("ben", "/api/operator/online")
    desk.dialog("desk-telegram", "chat", "hello?")
    at = desk.rows("SELECT at FROM events WHERE dialog_id = %s ORDER BY id DESC LIMIT 3", dialog_id)
    assert desk.holder(dialog_id) == "ben"
    assert len(set(at)) == 1, "one transaction: it wrote, it was queued, it was given"


@pytest.mark.parametrize("spared", ["pinned", "unchecked", "away", "paused"])
def test_whose_dialogs_stay(desk: DialogDesk, spared: str) -> None:
    """D11: pinned ones, those of open channels that do not check, and of who is away or pauses."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.open_channel("desk", [ann, ben], check_availability=spared != "unchecked")
    dialog_id = desk.dialog("desk-telegram", "chat")
    desk.answer("ann", dialog_id)
    if spared == "pinned":
        desk.do("ann", "pin", dialog_id)
    if spared == "away":
        desk.act("ann", "/api/operator/away")
    elif spared == "paused":
        desk.rows("UPDATE operators SET time_tracking = true, workday = 'paused' WHERE name = 'ann'")
    else:
        desk.act("ann", "/api/operator/offline")
    desk.dialog("desk-telegram", "chat", "hello?")
    assert desk.status(dialog_id) == ("awaiting_operator", "ann")


def test_with_nobody_else_it_waits_and_comes_back_to_who_comes_first(desk: DialogDesk) -> None:
    """D11, D8: he may have it again himself."""
    desk.open_channel("desk", [desk.operator("ann")])
    dialog_id = desk.dialog("desk-telegram", "chat")
    desk.answer("ann", dialog_id)
    desk.act("ann", "/api/operator/offline")
    desk.dialog("desk-telegram", "chat", "hello?")
    assert desk.status(dialog_id) == ("queued", None)
    desk.come("ann")
    assert desk.status(dialog_id) == ("assigned", "ann")


# Closing and nobody's


@pytest.mark.parametrize("who", ["sue", SERVICE])
def test_what_was_closed_while_it_waited_waits_again(desk: DialogDesk, who: str) -> None:
    """S4: a customer's message returns to the same dialog, which nobody had."""
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.open_channel("desk", [desk.operator("ann", online=False)], **BYE)
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert desk.do(who, "close", dialog_id) == ("closing", None)
    assert desk.dialog("desk-telegram", "chat", "wait!") == dialog_id
    assert desk.status(dialog_id) == ("queued", None)
    assert desk.clocks(dialog_id) == {}
    desk.come("ann")
    assert desk.status(dialog_id) == ("assigned", "ann")

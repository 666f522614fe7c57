"""Clocks of dialogs after outages, worked off by several at once, and where something is wrong (D5, S2-S4)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm_store.database import DatabaseOptions, Session
from tests.dialogs import DialogDesk, desk
from worker import timers

pytestmark = pytest.mark.integration

__all__ = ["desk"]

EVERYTHING = {
    "mark_unanswered_after": 300,
    "unanswered_text": "Please wait",
    "close_after": 600,
    "auto_close_text": "Still there?",
    "closing_text": "Bye",
    "full_close_after": 60,
}


def at_once(desk: DialogDesk, n: int, work: Callable[[Session], object]) -> None:
    """So many clock processes do it at the same moment."""
    start = threading.Barrier(n)

    def run(number: int) -> None:
        session = Session(DatabaseOptions(desk.url, f"clock {number}"))
        try:
            start.wait(20)
            work(session)
        finally:
            session.close()

    with ThreadPoolExecutor(n) as threads:
        list(threads.map(run, range(n)))


def write(desk: DialogDesk, key: str, n: int) -> list[int]:
    """So many customers write; their dialogs."""
    for chat in range(n):
        desk.say(key, f"chat-{chat}")
    desk.drain()
    return [dialog_id for (dialog_id,) in desk.rows("SELECT id FROM dialogs ORDER BY id DESC LIMIT %s", n)][::-1]


def test_two_clocks_lose_none_and_do_none_twice(desk: DialogDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """D5, S2-S4: all kinds on three open channels, in portions, until nothing is due."""
    monkeypatch.setattr(timers, "MOST_AT_ONCE", 7)
    everybody = [desk.operator(name) for name in ("ann", "ben", "cem")]
    ids: list[int] = []
    for name in ("one", "two", "three"):
        desk.open_channel(name, everybody, ("custom",), **EVERYTHING)
        ids += write(desk, f"{name}-custom", 12)
    assigned, answered, closing = ids[::3], ids[1::3], ids[2::3]
    for dialog_id in answered:
        desk.answer(desk.holder(dialog_id) or "", dialog_id)
    for dialog_id in closing:
        desk.do(desk.holder(dialog_id) or "", "close", dialog_id)
    desk.run_out(*ids)

    def work(session: Session) -> None:
        due = "SELECT count(*) FROM timers WHERE dialog_id <> 0 AND due_at <= now()"
        while desk.value(due):
            timers.work_off(session)

    at_once(desk, 3, work)
    for dialog_id in assigned:
        assert [desk.causes(dialog_id).count(cause) for cause in ("unanswered", "handover")] == [1, 1]
        assert desk.told(dialog_id) == ["Please wait"]
        assert desk.decisions(dialog_id)[1:] == [("D2", "handover", desk.holder(dialog_id), False)]
        assert set(desk.clocks(dialog_id)) == {"handover"}
    for dialog_id in answered:
        assert desk.causes(dialog_id).count("auto_close") == 1
        assert (desk.status(dialog_id)[0], desk.told(dialog_id)) == ("closing", ["Still there?"])
    for dialog_id in closing:
        assert desk.causes(dialog_id).count("closing_over") == 1
        assert (desk.status(dialog_id)[0], desk.told(dialog_id)) == ("closed", ["Bye"])


def test_what_came_due_first_goes_off_first(desk: DialogDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """D5: an outage makes clocks late; a portion at a time, in their order."""
    monkeypatch.setattr(timers, "MOST_AT_ONCE", 2)
    desk.open_channel("desk", [desk.operator("ann")], mark_unanswered_after=300)
    ids = write(desk, "desk-telegram", 5)
    desk.rows("DELETE FROM timers WHERE kind <> 'unanswered'")
    order = [ids[3], ids[0], ids[4], ids[1], ids[2]]
    for place, dialog_id in enumerate(order):
        desk.rows(
            "UPDATE timers SET due_at = now() - %s * interval '1 hour' WHERE dialog_id = %s", 9 - place, dialog_id
        )
    for gone_off in (2, 4, 5):
        desk.work_off()
        marked = {dialog_id for dialog_id in ids if desk.marks(dialog_id)}
        assert marked == set(order[:gone_off])


def test_a_hand_over_that_is_very_late_is_one_hand_over(desk: DialogDesk) -> None:
    """D5: whoever has it next has the whole time, however long the outage was."""
    desk.open_channel("desk", [desk.operator(name) for name in ("ann", "ben", "cem")])
    dialog_id = desk.dialog("desk-telegram", "chat")
    desk.rows("UPDATE timers SET due_at = now() - interval '3 days'")
    for _ in range(3):
        desk.work_off()
    assert desk.holder(dialog_id) == "ben"
    assert desk.clocks(dialog_id) == {"handover": 60}


def test_a_setting_that_was_switched_off_meanwhile_holds(desk: DialogDesk) -> None:
    """S2, S3: the clocks go off, and nothing happens."""
    desk.open_channel("desk", [desk.operator("ann")], **EVERYTHING)
    waiting, answered = (desk.dialog("desk-telegram", chat) for chat in ("1", "2"))
    desk.answer("ann", answered)
    off = '{"mark_unanswered_after": null, "close_after": null}'
    desk.rows("UPDATE open_channels SET settings = settings || %s", off)
    desk.after(waiting, answered)
    assert desk.marks(waiting) == set()
    assert desk.status(answered) == ("awaiting_customer", "ann")
    assert (desk.told(waiting), desk.told(answered), desk.clocks(answered)) == ([], [], {})


def test_a_failing_open_channel_holds_up_no_other(desk: DialogDesk) -> None:
    """D5: its clocks are put off, and go off once it is mended; those of the same look are not lost."""
    people = [desk.operator("ann"), desk.operator("ben")]
    ids = {}
    for name in ("broken", "fine"):
        desk.open_channel(name, people)
        ids[name] = write(desk, f"{name}-telegram", 4)
    desk.rows("UPDATE open_channels SET settings = '{\"distribution\": \"nonsense\"}' WHERE name = 'broken'")
    desk.run_out(*ids["broken"], *ids["fine"])
    desk.work_off()
    assert {desk.causes(dialog_id)[-1] for dialog_id in ids["fine"]} == {"handover"}
    assert {desk.causes(dialog_id)[-1] for dialog_id in ids["broken"]} == {"D2"}
    assert [desk.clocks(dialog_id) for dialog_id in ids["broken"]] == [{"handover": 60}] * 4
    desk.rows("UPDATE open_channels SET settings = '{}' WHERE name = 'broken'")
    desk.run_out(*ids["broken"])
    desk.work_off()
    assert {desk.causes(dialog_id)[-1] for dialog_id in ids["broken"]} == {"handover"}


def test_a_failing_dialog_holds_up_no_other_of_its_open_channel(
    desk: DialogDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3: whatever is wrong with one."""
    desk.open_channel("desk", [desk.operator("ann")], close_after=600)
    ids = write(desk, "desk-telegram", 5)
    for dialog_id in ids:
        desk.answer("ann", dialog_id)
    desk.run_out(*ids)
    wind_up = timers.wind_up

    def fails(connection: object, dialog: object, *rest: object) -> object:
        if dialog.id == ids[2]:  # type: ignore[attr-defined]
            raise ValueError("what was not thought of")
        return wind_up(connection, dialog, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(timers, "wind_up", fails)
    desk.work_off()
    assert [desk.status(dialog_id)[0] for dialog_id in ids] == [
        "closed",
        "closed",
        "awaiting_customer",
        "closed",
        "closed",
    ]
    assert desk.clocks(ids[2]) == {"auto_close": 60}


def test_a_chat_that_somebody_has_is_left_to_the_next_look(desk: DialogDesk) -> None:
    """D5: the clock waits for no step and no act, and works off the others."""
    desk.open_channel("desk", [desk.operator("ann"), desk.operator("ben")])
    busy, free = (desk.dialog("desk-telegram", chat) for chat in ("1", "2"))
    desk.run_out(busy, free)
    acting = Session(DatabaseOptions(desk.url, "act"))
    with acting.transaction() as connection:
        connection.execute("SELECT FROM chats WHERE external_id = '1' FOR UPDATE")
        desk.work_off()
        assert (desk.causes(busy)[-1], desk.causes(free)[-1]) == ("D2", "handover")
    acting.close()
    desk.work_off()
    assert desk.causes(busy)[-1] == "handover"


def test_accepting_while_the_clock_goes_off(desk: DialogDesk) -> None:
    """D5: either he has accepted it, or another has it and he is told so; never both."""
    desk.open_channel("desk", [desk.operator("ann"), desk.operator("ben")])
    ids = write(desk, "desk-telegram", 10)
    holders = {dialog_id: desk.holder(dialog_id) or "" for dialog_id in ids}
    desk.run_out(*ids)
    with ThreadPoolExecutor(2) as threads:
        going_off = threads.submit(lambda: [desk.work_off() for _ in ids])
        answers = {dialog_id: desk.ask(holders[dialog_id], "accept", dialog_id) for dialog_id in ids}
        going_off.result(20)
    for dialog_id, response in answers.items():
        if response.status_code == 200:
            assert desk.status(dialog_id) == ("accepted", holders[dialog_id])
            assert "handover" not in desk.causes(dialog_id)
        else:
            assert response.json()["reason"] == "taken"
            assert desk.status(dialog_id)[0] == "assigned"
            assert desk.holder(dialog_id) != holders[dialog_id]

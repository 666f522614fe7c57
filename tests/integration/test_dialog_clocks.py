"""The clocks of dialogs: unanswered (S2), auto-close (S3), closing (S4); texts go out once, through the outbox (S5)."""

from typing import Any

import pytest

from config.topology import Step
from tests.dialogs import SERVICE, DialogDesk, Logged, desk
from tracker.access import Role

pytestmark = pytest.mark.integration

__all__ = ["desk"]

UNANSWERED = {"mark_unanswered_after": 600, "unanswered_text": "Please wait"}
AUTO_CLOSE = {"close_after": 3600, "auto_close_text": "Still there?"}
CLOSING = {"closing_text": "Bye", "full_close_after": 300}


def handled(desk: DialogDesk, **settings: Any) -> int:
    """A dialog of Ann's, who is alone, on a channel over which can be sent."""
    desk.open_channel("desk", [desk.operator("ann")], ("custom",), **{"handover_after": 43_200, **settings})
    return desk.dialog("desk-custom", "chat")


def sent(desk: DialogDesk) -> list[str]:
    """What is to be delivered, in order."""
    return [
        text
        for (text,) in desk.rows(
            "SELECT text FROM outbox JOIN messages USING (chat_id, seq) WHERE state = 'pending' ORDER BY seq"
        )
    ]


# S2


def test_who_is_not_answered_is_told_once(desk: DialogDesk) -> None:
    """S2, S5: from the first message on; marked once, and the text is sent once; nothing else changes."""
    dialog_id = handled(desk, **UNANSWERED)
    desk.dialog("desk-custom", "chat", "hello?")
    assert desk.clocks(dialog_id) == {"unanswered": 600, "handover": 43_200}
    desk.do("ann", "accept", dialog_id)
    assert desk.clocks(dialog_id) == {"unanswered": 600}, "accepting is no answer"
    desk.run_out(dialog_id)
    assert desk.work_off() == {Step.DELIVER}
    assert desk.work_off() == set()
    assert desk.marks(dialog_id) == {"unanswered"}
    assert desk.log(dialog_id)[-1] == Logged("system", "unanswered", "accepted", "accepted", "ann", "ann")
    assert desk.told(dialog_id) == sent(desk) == ["Please wait"]
    desk.dialog("desk-custom", "chat", "hello?")
    assert desk.clocks(dialog_id) == {}


def test_what_waits_is_marked_too(desk: DialogDesk) -> None:
    """S2: nobody has it, and nobody answers; a mark without a text where none is set."""
    desk.open_channel("desk", [], mark_unanswered_after=300)
    dialog_id = desk.dialog("desk-telegram", "chat")
    desk.run_out(dialog_id)
    assert desk.work_off() == set()
    assert (desk.marks(dialog_id), desk.told(dialog_id)) == ({"unanswered"}, [])


@pytest.mark.parametrize("act", ["answer", "close", "spam"])
def test_an_answer_or_the_end_stops_the_clock(desk: DialogDesk, act: str) -> None:
    """S2: also if it is due already."""
    dialog_id = handled(desk, **UNANSWERED)
    desk.run_out(dialog_id)
    desk.do("ann", act, dialog_id, **({"text": "hello"} if act == "answer" else {}))
    desk.work_off()
    assert "unanswered" not in desk.marks(dialog_id)
    assert desk.told(dialog_id) == []


def test_the_mark_goes_on_over_transfers_and_hand_overs(desk: DialogDesk) -> None:
    """S2: the customer's time runs, whoever has the dialog; of another open channel its setting holds (D10)."""
    dialog_id = handled(desk, **UNANSWERED)
    silent = desk.open_channel("silent", [])
    desk.do(SERVICE, "transfer", dialog_id, backlog=True)
    assert desk.clocks(dialog_id) == {"unanswered": 600}
    desk.do(SERVICE, "transfer", dialog_id, open_channel=silent)
    desk.after(dialog_id)
    assert desk.marks(dialog_id) == set()


# S3


def test_an_idle_dialog_is_closed(desk: DialogDesk) -> None:
    """S3, A5: since the operator's last message; with its own text, and not with his."""
    dialog_id = handled(desk, **AUTO_CLOSE, closing_text="Bye")
    assert "auto_close" not in desk.clocks(dialog_id)
    desk.answer("ann", dialog_id, "hello")
    desk.run_out(dialog_id)
    desk.answer("ann", dialog_id, "and goodbye")
    assert desk.clocks(dialog_id) == {"auto_close": 3600}, "each answer starts it anew"
    desk.run_out(dialog_id)
    assert desk.work_off() == {Step.DELIVER, Step.DISTRIBUTE}
    assert desk.status(dialog_id) == ("closed", "ann")
    assert desk.log(dialog_id)[-1] == Logged("system", "auto_close", "awaiting_customer", "closed", "ann", "ann")
    assert sent(desk) == ["hello", "and goodbye", "Still there?"]


def test_auto_close_has_the_closing_window(desk: DialogDesk) -> None:
    """S3, S4: as if an operator had closed it; its slot is used when it is over."""
    dialog_id = handled(desk, **AUTO_CLOSE, full_close_after=120, max_dialogs=1)
    waiting = desk.dialog("desk-custom", "other")
    desk.answer("ann", dialog_id)
    desk.after(dialog_id)
    assert desk.status(dialog_id) == ("closing", "ann")
    assert desk.clocks(dialog_id) == {"closing": 120}
    assert desk.holder(waiting) is None
    desk.after(dialog_id)
    assert desk.status(dialog_id) == ("closed", "ann")
    assert desk.told(dialog_id) == ["Still there?"]
    assert desk.holder(waiting) == "ann", "D8"


def test_a_customer_who_writes_stops_it(desk: DialogDesk) -> None:
    """S3: until the next answer."""
    dialog_id = handled(desk, **AUTO_CLOSE)
    desk.answer("ann", dialog_id)
    desk.dialog("desk-custom", "chat", "thanks")
    assert desk.clocks(dialog_id) == {}
    desk.answer("ann", dialog_id)
    assert desk.clocks(dialog_id) == {"auto_close": 3600}


def test_a_pin_suspends_it(desk: DialogDesk) -> None:
    """S3: also for later answers; unpinned, the whole time runs again, but only if the operator spoke last."""
    dialog_id = handled(desk, **AUTO_CLOSE)
    desk.answer("ann", dialog_id)
    desk.run_out(dialog_id)
    desk.do("ann", "pin", dialog_id)
    desk.work_off()
    assert (desk.status(dialog_id), desk.clocks(dialog_id)) == (("awaiting_customer", "ann"), {})
    desk.answer("ann", dialog_id)
    assert desk.clocks(dialog_id) == {}
    desk.do("ann", "unpin", dialog_id)
    assert desk.clocks(dialog_id) == {"auto_close": 3600}
    desk.do("ann", "pin", dialog_id)
    desk.dialog("desk-custom", "chat", "thanks")
    desk.do("ann", "unpin", dialog_id)
    assert desk.clocks(dialog_id) == {}


def test_who_gets_it_goes_on_awaiting_the_customer(desk: DialogDesk) -> None:
    """S3: until he has it, nobody closes it; then the whole time runs, because we have spoken last."""
    dialog_id = handled(desk, **AUTO_CLOSE)
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.answer("ann", dialog_id)
    assert desk.do("sue", "take", dialog_id) == ("awaiting_customer", "sue")
    assert desk.clocks(dialog_id) == {"auto_close": 3600}
    desk.do("sue", "transfer", dialog_id, operator=desk.id_of("ann"))
    assert desk.clocks(dialog_id).keys() == {"handover"}
    assert desk.do("ann", "accept", dialog_id) == ("awaiting_customer", "ann")
    assert desk.clocks(dialog_id) == {"auto_close": 3600}
    desk.do("ann", "transfer", dialog_id, operator=desk.id_of("sue"))
    desk.dialog("desk-custom", "chat", "one more thing")
    assert desk.do("sue", "accept", dialog_id) == ("accepted", "sue")
    assert desk.clocks(dialog_id) == {}


# S4


def test_closing_ends_after_its_time(desk: DialogDesk) -> None:
    """S4, S5: told once; then closed, and the customer's next message starts another."""
    dialog_id = handled(desk, **CLOSING, **UNANSWERED)
    assert desk.do("ann", "close", dialog_id) == ("closing", "ann")
    assert desk.log(dialog_id)[-1] == Logged("ann", "close", "assigned", "closing", "ann", "ann")
    assert desk.clocks(dialog_id) == {"closing": 300}
    assert desk.value("SELECT closed_at FROM dialogs") is None
    desk.run_out(dialog_id)
    desk.work_off()
    assert desk.status(dialog_id) == ("closed", "ann")
    assert desk.log(dialog_id)[-1] == Logged("system", "closing_over", "closing", "closed", "ann", "ann")
    assert desk.value("SELECT closed_at FROM dialogs") is not None
    assert sent(desk) == ["Bye"]
    assert desk.dialog("desk-custom", "chat") != dialog_id


def test_a_customer_who_comes_back_returns_to_the_same_dialog(desk: DialogDesk) -> None:
    """S4: also if the time is over and no clock has looked yet; each close tells its text."""
    dialog_id = handled(desk, **CLOSING)
    for n in (1, 2):
        desk.do("ann", "close", dialog_id)
        desk.run_out(dialog_id)
        assert desk.dialog("desk-custom", "chat", "wait!") == dialog_id
        assert desk.status(dialog_id) == ("awaiting_operator", "ann")
        assert desk.clocks(dialog_id) == {}
        desk.work_off()
        assert desk.status(dialog_id) == ("awaiting_operator", "ann")
        assert sent(desk) == ["Bye"] * n


@pytest.mark.parametrize("who", ["ann", "sue", SERVICE])
def test_a_second_close_ends_closing(desk: DialogDesk, who: str) -> None:
    """S4: at once, and without another text."""
    dialog_id = handled(desk, **CLOSING)
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.do("ann", "close", dialog_id)
    assert desk.do(who, "close", dialog_id) == ("closed", "ann")
    assert desk.clocks(dialog_id) == {}
    assert desk.told(dialog_id) == ["Bye"]


@pytest.mark.parametrize(
    ("settings", "status", "told"),
    [
        ({}, "closed", []),
        ({"full_close_after": 300}, "closed", []),
        ({"closing_text": "Bye"}, "closed", ["Bye"]),
        (CLOSING, "closing", ["Bye"]),
    ],
)
def test_without_a_text_or_a_time_it_is_closed_at_once(
    desk: DialogDesk, settings: dict[str, Any], status: str, told: list[str]
) -> None:
    """S4: the text goes out nevertheless."""
    dialog_id = handled(desk, **settings)
    assert desk.do("ann", "close", dialog_id)[0] == status
    assert desk.told(dialog_id) == sent(desk) == told


@pytest.mark.parametrize("act", ["reopen", "take"])
def test_who_goes_on_with_it_ends_closing(desk: DialogDesk, act: str) -> None:
    """S4: its clock ends."""
    dialog_id = handled(desk, **CLOSING)
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.do("ann", "close", dialog_id)
    desk.run_out(dialog_id)
    desk.do("sue" if act == "take" else "ann", act, dialog_id)
    desk.work_off()
    assert desk.status(dialog_id)[0] == "accepted"


def test_spam_in_closing_is_closed_without_a_text(desk: DialogDesk) -> None:
    """S1, S4: what was told is told."""
    dialog_id = handled(desk, **CLOSING)
    desk.do("ann", "close", dialog_id)
    assert desk.do("ann", "spam", dialog_id) == ("closed", "ann")
    assert (desk.clocks(dialog_id), desk.told(dialog_id)) == ({}, ["Bye"])


def test_two_closes_at_once_tell_one_text(desk: DialogDesk) -> None:
    """S4, S5: a close and its repeat under one key; the clock of another process comes between."""
    dialog_id = handled(desk, **CLOSING)
    for _ in range(2):
        desk.do("ann", "close", dialog_id, "key")
        desk.run_out(dialog_id)
        desk.work_off()
    assert desk.told(dialog_id) == sent(desk) == ["Bye"]

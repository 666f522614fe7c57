"""Limits and slots: which acts may pass a limit, how that is marked, and that a freed slot is used at once (D7, D8)."""

from collections.abc import Callable

import pytest

from config.topology import Step
from tests.dialogs import SERVICE, Decided, DialogDesk, desk
from tracker.access import Role

pytestmark = pytest.mark.integration

__all__ = ["desk"]

PERSONAL, HERE = "at_personal_limit", "at_limit"


@pytest.fixture(params=[HERE, PERSONAL])
def limit(request: pytest.FixtureRequest, desk: DialogDesk) -> str:
    """Ann and Ben may have one dialog each, here or over all; Sue supervises, without a limit of her own."""
    reason: str = request.param
    personal = 1 if reason == PERSONAL else None
    ids = [desk.operator(name, personal_limit=personal) for name in ("ann", "ben")]
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.open_channel("desk", ids, ("custom",), max_dialogs=1 if reason == HERE else None)
    return reason


def full(desk: DialogDesk) -> tuple[int, int, int]:
    """A dialog of Ann's, one of Ben's, and one that waits."""
    of_ann, of_ben, waiting = (desk.dialog("desk-custom", f"chat-{n}") for n in range(3))
    assert [desk.holder(one) for one in (of_ann, of_ben, waiting)] == ["ann", "ben", None]
    return of_ann, of_ben, waiting


def test_an_operators_take_passes_his_limit_and_is_marked(desk: DialogDesk, limit: str) -> None:
    """D7, D12: on the dialog, in the record and in the log; within the limit it is not."""
    _, _, waiting = full(desk)
    assert desk.do("ann", "take", waiting) == ("accepted", "ann")
    assert desk.marks(waiting) == {"over_limit"}
    assert desk.decisions(waiting) == [Decided("take", "take", "ann", over_limit=True)]
    details = desk.value("SELECT details FROM events WHERE cause = 'take'")
    assert details == {"over_limit": True}
    assert desk.do("sue", "take", waiting) == ("accepted", "sue")
    assert desk.marks(waiting) == set(), "she is within hers"
    assert limit


def test_a_supervisors_transfer_passes_the_limit_and_is_marked(desk: DialogDesk, limit: str) -> None:
    """D7, D12: accepted, it stays marked; transferred to somebody who is free, it is not."""
    of_ann, _, waiting = full(desk)
    desk.do("sue", "transfer", waiting, operator=desk.id_of("ann"))
    assert desk.marks(waiting) == {"over_limit"}
    assert desk.decisions(waiting) == [Decided("transfer", "transfer", "ann", over_limit=True)]
    desk.do("ann", "accept", waiting)
    assert desk.marks(waiting) == {"over_limit"}
    desk.do("ann", "close", waiting)
    desk.do("ann", "close", of_ann)
    assert desk.do("ann", "reopen", waiting) == ("accepted", "ann")
    assert desk.marks(waiting) == set(), "he has it within his limit now"
    assert limit


def test_nothing_else_passes_a_limit(desk: DialogDesk, limit: str) -> None:
    """D7: neither an operator's transfer, nor a reopening; an accept of an offer is proved elsewhere."""
    of_ann, of_ben, waiting = full(desk)
    assert desk.refused("ann", "transfer", of_ann, operator=desk.id_of("ben")) == limit
    desk.do("ann", "close", of_ann)
    desk.drain()
    assert desk.holder(waiting) == "ann"
    assert desk.refused("ann", "reopen", of_ann) == limit
    desk.do("ann", "close", waiting)
    assert desk.do("ann", "reopen", of_ann) == ("accepted", "ann")
    assert desk.marks(of_ann) == set()
    assert desk.holder(of_ben) == "ben"


def test_a_supervisor_who_reopens_keeps_his_limit(desk: DialogDesk) -> None:
    """D7: the limits of whoever has it then; the slot of the last holder is free (D8)."""
    place = desk.open_channel("desk", [desk.operator("ann", personal_limit=1)])
    other = desk.open_channel("other", [desk.id_of("ann")], ("custom",))
    desk.operator("sue", role=Role.SUPERVISOR, personal_limit=1)
    text = '{"closing_text": "Bye", "full_close_after": 600}'
    desk.rows("UPDATE open_channels SET settings = %s WHERE id = %s", text, place)
    first = desk.dialog("desk-telegram", "chat-1")
    desk.do("ann", "close", first)
    waiting = desk.dialog("other-custom", "chat-2")
    assert desk.status(first) == ("closing", "ann")
    assert desk.holder(waiting) is None, "what is closing counts"
    assert desk.do("sue", "reopen", first) == ("accepted", "sue")
    assert desk.is_tried(other)
    desk.drain()
    assert desk.holder(waiting) == "ann"
    desk.do("ann", "close", waiting)
    assert desk.refused("sue", "reopen", waiting) == PERSONAL


@pytest.mark.parametrize(("counted", "status"), [("without_awaiting_customer", "answer"), ("without_closing", "close")])
def test_a_customer_who_writes_again_passes_the_limit_and_is_marked(
    desk: DialogDesk, limit: str, counted: str, status: str
) -> None:
    """D7: in a dialog that did not count; where it did, or there is room, nothing is marked."""
    settings = f'{{"counted": "{counted}", "closing_text": "Bye", "full_close_after": 600}}'
    desk.rows("UPDATE open_channels SET settings = settings || %s", settings)
    of_ann, of_ben, waiting = full(desk)
    desk.do("ann", status, of_ann, **({"text": "hello"} if status == "answer" else {}))
    desk.drain()
    assert desk.holder(waiting) == "ann"
    desk.dialog("desk-custom", "chat-0", "and?")
    assert desk.status(of_ann) == ("awaiting_operator", "ann")
    assert desk.marks(of_ann) == {"over_limit"}
    assert desk.value("SELECT details FROM events ORDER BY id DESC LIMIT 1") == {"messages": 1, "over_limit": True}
    desk.do("ben", status, of_ben, **({"text": "hello"} if status == "answer" else {}))
    desk.dialog("desk-custom", "chat-1", "and?")
    assert desk.marks(of_ben) == set(), limit


FREEING: dict[str, Callable[[DialogDesk, int], object]] = {
    "close": lambda desk, dialog_id: desk.do("ann", "close", dialog_id),
    "spam": lambda desk, dialog_id: desk.do("ann", "spam", dialog_id),
    "transfer to the backlog": lambda desk, dialog_id: desk.do("ann", "transfer", dialog_id, backlog=True),
    "transfer": lambda desk, dialog_id: desk.do("ann", "transfer", dialog_id, operator=desk.id_of("dan")),
    "transfer to a roster": lambda desk, dialog_id: desk.do("ann", "transfer", dialog_id, open_channel=2),
    "take": lambda desk, dialog_id: desk.do("sue", "take", dialog_id),
    "transfer by a service": lambda desk, dialog_id: desk.do(
        SERVICE, "transfer", dialog_id, operator=desk.id_of("dan")
    ),
}


@pytest.mark.parametrize("act", FREEING)
def test_a_freed_slot_is_used_at_once(desk: DialogDesk, act: str) -> None:
    """D8, D7: hinted, on this open channel, and on the others of who has a personal limit."""
    ann = desk.operator("ann", personal_limit=1)
    desk.operator("dan")
    desk.operator("sue", role=Role.SUPERVISOR)
    place = desk.open_channel("desk", [ann])
    desk.open_channel("elsewhere", [], ("custom",))
    third = desk.open_channel("third", [ann], ("custom",))
    held = desk.dialog("desk-telegram", "1")
    waiting = desk.dialog("third-custom", "2")
    assert (desk.holder(held), desk.holder(waiting)) == ("ann", None)
    assert not desk.is_tried(third)
    desk.hinted.clear()
    FREEING[act](desk, held)
    assert desk.was_hinted(Step.DISTRIBUTE)
    assert desk.is_tried(place)
    assert desk.is_tried(third)
    desk.drain()
    if act == "transfer to the backlog":  # the open channel of the older one is served first
        assert {desk.holder(held), desk.holder(waiting)} == {"ann", None}
    else:
        assert desk.holder(waiting) == "ann"


def test_what_did_not_count_frees_nothing(desk: DialogDesk) -> None:
    """D8: no backlog is tried for it."""
    place = desk.open_channel("desk", [desk.operator("ann")], max_dialogs=1, counted="without_answered")
    first = desk.dialog("desk-telegram", "1")
    desk.answer("ann", first)
    desk.dialog("desk-telegram", "2")
    desk.dialog("desk-telegram", "3")
    desk.do("ann", "close", first)
    assert not desk.is_tried(place)


@pytest.mark.parametrize("personal", [True, False])
def test_who_writes_again_counts_before_who_is_new(desk: DialogDesk, personal: bool) -> None:
    """D7: in one batch, too, a dialog that counts again leaves no slot for a new one."""
    ann = desk.operator("ann", personal_limit=1 if personal else None)
    desk.open_channel("desk", [ann], max_dialogs=None if personal else 1, counted="without_awaiting_customer")
    first = desk.dialog("desk-telegram", "1")
    desk.answer("ann", first)
    desk.say("desk-telegram", "1", "again")
    desk.say("desk-telegram", "2", "hello")
    desk.drain()
    assert desk.rows("SELECT operator_id, status::text FROM dialogs ORDER BY id") == [
        (ann, "awaiting_operator"),
        (None, "queued"),
    ]

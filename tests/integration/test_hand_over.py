"""Hand-overs: dialogs that nobody accepts, and those that somebody skips (D3, D4, D5, D12, D13)."""

from collections import Counter
from typing import Any

import pytest

from tests.dialogs import SERVICE, Decided, DialogDesk, Logged, desk

pytestmark = pytest.mark.integration

__all__ = ["desk"]


def strict(desk: DialogDesk, *names: str, **settings: Any) -> int:
    """A strict open channel with these operators."""
    return desk.open_channel("desk", [desk.operator(name) for name in names], distribution="strictly", **settings)


@pytest.mark.parametrize("distribution", ["evenly", "strictly"])
def test_who_does_not_react_loses_the_dialog(desk: DialogDesk, distribution: str) -> None:
    """D5, D12: to the next, who has the whole time; with an event and a record that says who let it pass."""
    desk.open_channel(
        "desk", [desk.operator("ann"), desk.operator("ben")], distribution=distribution, handover_after=300
    )
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert desk.clocks(dialog_id) == {"handover": 300}
    desk.after(dialog_id)
    assert desk.status(dialog_id) == ("assigned", "ben")
    assert desk.log(dialog_id)[-1] == Logged("system", "handover", "assigned", "assigned", "ann", "ben")
    rule = "D2" if distribution == "evenly" else "D3"
    assert desk.decisions(dialog_id)[-1] == Decided(rule, "handover", "ben", over_limit=False)
    candidates = desk.value("SELECT candidates FROM decisions ORDER BY id DESC LIMIT 1")
    assert candidates["let_it_pass"] == [desk.id_of("ann")]
    assert desk.clocks(dialog_id) == {"handover": 300}


@pytest.mark.parametrize("act", ["accept", "answer"])
def test_accepting_and_answering_end_the_clock(desk: DialogDesk, act: str) -> None:
    """D5: also what was due already, if the clock comes later; only a transfer starts it again."""
    strict(desk, "ann", "ben")
    dialog_id = desk.dialog("desk-telegram", "chat")
    desk.run_out(dialog_id)
    desk.do("ann", act, dialog_id, **({"text": "hello"} if act == "answer" else {}))
    desk.work_off()
    assert desk.holder(dialog_id) == "ann"
    desk.dialog("desk-telegram", "chat", "hello?")
    assert desk.clocks(dialog_id) == {}
    desk.do("ann", "transfer", dialog_id, operator=desk.id_of("ben"))
    assert desk.clocks(dialog_id) == {"handover": 60}
    desk.after(dialog_id)
    assert desk.status(dialog_id) == ("assigned", "ann")


def test_the_only_one_keeps_it_is_told_once_and_loses_it_when_another_comes(desk: DialogDesk) -> None:
    """D5: the clock runs again; the next time somebody else is there."""
    strict(desk, "ann", "ben")
    desk.act("ben", "/api/operator/offline")
    dialog_id = desk.dialog("desk-telegram", "chat")
    for _ in range(3):
        desk.after(dialog_id)
        assert desk.status(dialog_id) == ("assigned", "ann")
        assert desk.clocks(dialog_id) == {"handover": 60}
    assert desk.causes(dialog_id) == ["message", "D3", "kept"]
    assert desk.log(dialog_id)[-1] == Logged("system", "kept", "assigned", "assigned", "ann", "ann")
    assert desk.decisions(dialog_id)[1:] == [Decided("D5", "handover", "ann", over_limit=False)]
    desk.come("ben")
    assert desk.holder(dialog_id) == "ann", "his time is not over"
    desk.after(dialog_id)
    assert desk.status(dialog_id) == ("assigned", "ben")
    desk.act("ann", "/api/operator/offline")
    desk.after(dialog_id)
    assert desk.causes(dialog_id)[-2:] == ["handover", "kept"], "another is told, too"


def test_nobody_else_who_is_under_his_limit_keeps_it(desk: DialogDesk) -> None:
    """D5, D7: no hand-over passes a limit."""
    strict(desk, "ann", "ben", max_dialogs=1)
    first, second = (desk.dialog("desk-telegram", chat) for chat in ("1", "2"))
    desk.after(first, second)
    assert (desk.holder(first), desk.holder(second)) == ("ann", "ben")
    assert desk.causes(first)[-1] == desk.causes(second)[-1] == "kept"


def test_what_is_decided_at_one_moment_is_told_in_its_order(desk: DialogDesk) -> None:
    """D5, D7: the second is kept because the first has taken the last slot; that the third leaves one comes after."""
    strict(desk, "ann", "ben", max_dialogs=2)
    first, second, third = (desk.dialog("desk-telegram", chat) for chat in ("1", "2", "3"))
    desk.after(first, second, third)
    assert [desk.holder(one) for one in (first, second, third)] == ["ben", "ann", "ann"]
    told = desk.rows("SELECT dialog_id, cause FROM events WHERE cause IN ('handover', 'kept') ORDER BY id")
    assert told == [(first, "handover"), (second, "kept"), (third, "handover")]


def test_who_loses_a_dialog_is_free_for_what_waits(desk: DialogDesk) -> None:
    """D5, D8: his slot is used, by the oldest that waits."""
    place = strict(desk, "ann", "ben", max_dialogs=1)
    desk.act("ben", "/api/operator/offline")
    first, waiting = (desk.dialog("desk-telegram", chat) for chat in ("1", "2"))
    desk.rows("UPDATE operators SET online = true, seen_at = now()")
    desk.rows("DELETE FROM timers WHERE kind = 'backlog'")
    desk.run_out(first)
    desk.work_off()
    assert desk.holder(first) == "ben"
    assert desk.is_tried(place)
    desk.drain()
    assert desk.holder(waiting) == "ann"


def test_rounds_of_the_strict_order_start_again_at_the_head(desk: DialogDesk) -> None:
    """D3: when all have let it pass; who is gone counts as nobody, and a round forgets the one before."""
    strict(desk, "ann", "ben", "cem")
    dialog_id = desk.dialog("desk-telegram", "chat")
    held = []
    for _ in range(6):
        held.append(desk.holder(dialog_id))
        desk.after(dialog_id)
    assert held == ["ann", "ben", "cem", "ann", "ben", "cem"]
    desk.act("ben", "/api/operator/offline")
    desk.after(dialog_id)
    assert desk.holder(dialog_id) == "cem"


def test_hand_overs_leave_the_order_of_first_assignments(desk: DialogDesk) -> None:
    """D13, D2: however many there are, first assignments go on in turn; and hand-overs are spread themselves."""
    desk.open_channel("desk", [desk.operator(name) for name in ("ann", "ben", "cem")])
    first = []
    for n in range(12):
        dialog_id = desk.dialog("desk-telegram", f"chat-{n}")
        first.append(desk.holder(dialog_id))
        if n % 3 == 0:
            desk.after(dialog_id)
            assert desk.holder(dialog_id) != first[-1]
    assert first == ["ann", "ben", "cem"] * 4


def test_hand_overs_are_spread(desk: DialogDesk) -> None:
    """D5, D2: each goes to the one who was given anything the longest ago, not all to one."""
    desk.open_channel("desk", [desk.operator(name) for name in ("ann", "ben", "cem", "dan")])
    ids = [desk.dialog("desk-telegram", f"chat-{n}") for n in range(8)]
    lost = [dialog_id for dialog_id in ids if desk.holder(dialog_id) == "ann"]
    more = [desk.dialog("desk-telegram", f"more-{n}") for n in range(4)]
    lost.append(next(dialog_id for dialog_id in more if desk.holder(dialog_id) == "ann"))
    desk.after(*lost)
    assert Counter(desk.holder(dialog_id) for dialog_id in lost) == {"ben": 1, "cem": 1, "dan": 1}


def test_a_skip_is_a_hand_over_at_once(desk: DialogDesk) -> None:
    """D5, D3: refused where there is nobody else, and then nothing is told; skipped all round, it starts again."""
    strict(desk, "ann", "ben")
    desk.act("ben", "/api/operator/offline")
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert desk.refused("ann", "skip", dialog_id) == "nobody_else"
    assert desk.clocks(dialog_id) == {"handover": 60}
    desk.come("ben")
    assert desk.do("ann", "skip", dialog_id) == ("assigned", "ben")
    assert desk.do("ben", "skip", dialog_id) == ("assigned", "ann")
    assert desk.causes(dialog_id)[2:] == ["skip", "skip"]


def test_a_skip_gives_the_free_slot_to_what_waits(desk: DialogDesk) -> None:
    """D8: he has a slot again; what is older goes first."""
    strict(desk, "ann", "ben", max_dialogs=1)
    desk.act("ben", "/api/operator/offline")
    first, waiting = (desk.dialog("desk-telegram", chat) for chat in ("1", "2"))
    desk.rows("UPDATE operators SET online = true, seen_at = now()")
    desk.do("ann", "skip", first)
    desk.drain()
    assert (desk.holder(first), desk.holder(waiting)) == ("ben", "ann")


def test_after_a_transfer_under_all_it_goes_back_to_all(desk: DialogDesk) -> None:
    """D4, D5: offers have no clock; a transferred one has, and then everybody is offered it again."""
    desk.open_channel("desk", [desk.operator("ann"), desk.operator("ben")], distribution="all")
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert (desk.status(dialog_id), desk.clocks(dialog_id)) == (("offered", None), {})
    desk.do(SERVICE, "transfer", dialog_id, operator=desk.id_of("ann"))
    assert desk.clocks(dialog_id) == {"handover": 60}
    desk.after(dialog_id)
    assert (desk.status(dialog_id), desk.clocks(dialog_id)) == (("offered", None), {})
    assert desk.log(dialog_id)[-1] == Logged("system", "handover", "assigned", "offered", "ann", None)
    assert desk.do("ben", "accept", dialog_id) == ("accepted", "ben")
    desk.do(SERVICE, "transfer", dialog_id, operator=desk.id_of("ann"))
    assert desk.do("ann", "skip", dialog_id) == ("offered", None)
    desk.do(SERVICE, "transfer", dialog_id, operator=desk.id_of("ann"))
    desk.act("ben", "/api/operator/offline")
    assert desk.refused("ann", "skip", dialog_id) == "nobody_else"
    desk.after(dialog_id)
    assert desk.status(dialog_id) == ("assigned", "ann"), "kept"


def test_the_responsible_person_has_the_clock_too(desk: DialogDesk) -> None:
    """D9, D5: off the roster or on it; whoever lets it pass is not asked again, and the roster decides."""
    ann, ben, rita = desk.operator("ann"), desk.operator("ben"), desk.operator("rita")
    place = desk.open_channel("desk", [rita], to_responsible=True)
    first = desk.dialog("desk-telegram", "chat", name="Customer")
    desk.do("rita", "accept", first)
    desk.do("rita", "close", first)
    desk.roster(place, ann, ben)
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert desk.decisions(dialog_id) == [Decided("D9", "waiting", "rita", over_limit=False)]
    assert desk.clocks(dialog_id) == {"handover": 60}
    desk.after(dialog_id)
    assert desk.holder(dialog_id) in {"ann", "ben"}
    desk.after(dialog_id)
    assert desk.holder(dialog_id) in {"ann", "ben"}

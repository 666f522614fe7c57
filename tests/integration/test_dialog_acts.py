"""Every act on a dialog: what it changes, says in the log and explains, for operators, supervisors and services."""

from collections.abc import Callable

import pytest

from config.topology import Step
from tests.dialogs import SERVICE, Decided, DialogDesk, Logged, desk
from tracker.access import Role

pytestmark = pytest.mark.integration

__all__ = ["desk"]

BYE = '{"closing_text": "Bye", "full_close_after": 60}'


@pytest.fixture
def dialog_id(desk: DialogDesk) -> int:
    """Assigned to Ann, first of a strict roster with Ben; Sue supervises, Dan stands on no roster."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.operator("dan")
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.open_channel("desk", [ann, ben], ("custom",), distribution="strictly")
    made = desk.dialog("desk-custom", "chat", name="Customer")
    assert desk.status(made) == ("assigned", "ann")
    return made


def test_accept(desk: DialogDesk, dialog_id: int) -> None:
    """S1, D5, D12: nothing is decided by it, and the hand-over clock ends."""
    assert desk.clocks(dialog_id) == {"handover": 60}
    assert desk.do("ann", "accept", dialog_id) == ("accepted", "ann")
    assert desk.log(dialog_id)[-1] == Logged("ann", "accept", "assigned", "accepted", "ann", "ann")
    assert desk.decisions(dialog_id) == [Decided("D3", "waiting", "ann", over_limit=False)]
    assert desk.clocks(dialog_id) == {}
    assert desk.responsible(dialog_id) == "ann"


def test_accept_of_an_offer(desk: DialogDesk) -> None:
    """D4, D12: a record for the offer, and one for the assignment."""
    desk.open_channel("desk", [desk.operator("ann")], distribution="all")
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert desk.do("ann", "accept", dialog_id) == ("accepted", "ann")
    assert desk.log(dialog_id)[-1] == Logged("ann", "accept", "offered", "accepted", None, "ann")
    assert desk.decisions(dialog_id) == [
        Decided("D4", "waiting", None, over_limit=False),
        Decided("D4", "accept", "ann", over_limit=False),
    ]


def test_skip(desk: DialogDesk, dialog_id: int) -> None:
    """D5, D12: the next has it at once, with the whole time."""
    desk.run_out(dialog_id)
    assert desk.do("ann", "skip", dialog_id) == ("assigned", "ben")
    assert desk.log(dialog_id)[-1] == Logged("ann", "skip", "assigned", "assigned", "ann", "ben")
    assert desk.decisions(dialog_id)[1:] == [Decided("D3", "skip", "ben", over_limit=False)]
    assert desk.clocks(dialog_id) == {"handover": 60}


def test_answer(desk: DialogDesk, dialog_id: int) -> None:
    """S1, D5, C4: it accepts what is assigned; each answer is an event."""
    assert desk.answer("ann", dialog_id) == ("awaiting_customer", "ann")
    assert desk.log(dialog_id)[-2:] == [
        Logged("ann", "accept", "assigned", "accepted", "ann", "ann"),
        Logged("ann", "answer", "accepted", "awaiting_customer", "ann", "ann"),
    ]
    assert desk.clocks(dialog_id) == {}
    assert desk.responsible(dialog_id) == "ann"
    desk.answer("ann", dialog_id)
    assert desk.log(dialog_id)[-1] == Logged("ann", "answer", "awaiting_customer", "awaiting_customer", "ann", "ann")
    desk.dialog("desk-custom", "chat", "and?")
    assert desk.log(dialog_id)[-1].became == "awaiting_operator"
    assert desk.answer("ann", dialog_id) == ("awaiting_customer", "ann")


def test_take_of_what_waits(desk: DialogDesk) -> None:
    """D7, D12, C4: whoever is on the roster, though nothing is given to him now; it is explained."""
    desk.open_channel("desk", [desk.operator("ann", online=False)])
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert desk.do("ann", "take", dialog_id) == ("accepted", "ann")
    assert desk.log(dialog_id)[-1] == Logged("ann", "take", "queued", "accepted", None, "ann")
    assert desk.decisions(dialog_id) == [Decided("take", "take", "ann", over_limit=False)]
    assert desk.clocks(dialog_id) == {}
    assert desk.responsible(dialog_id) == "ann"


@pytest.mark.parametrize("before", ["assigned", "accepted", "awaiting_customer", "closing"])
def test_take_by_a_supervisor(desk: DialogDesk, dialog_id: int, before: str) -> None:
    """D7: anything that is open; all its clocks but S2's end."""
    bring(desk, dialog_id, before)
    became = "awaiting_customer" if before == "awaiting_customer" else "accepted"
    assert desk.do("sue", "take", dialog_id) == (became, "sue")
    assert desk.log(dialog_id)[-1] == Logged("sue", "take", before, became, "ann", "sue")
    assert desk.decisions(dialog_id)[-1] == Decided("take", "take", "sue", over_limit=False)
    assert desk.clocks(dialog_id) == {}


def test_transfer_to_an_operator(desk: DialogDesk, dialog_id: int) -> None:
    """D10, D5: he is to accept it, within the whole time; also one who is not on the roster."""
    desk.answer("ann", dialog_id)
    assert desk.do("ann", "transfer", dialog_id, operator=desk.id_of("dan")) == ("assigned", "dan")
    assert desk.log(dialog_id)[-1] == Logged("ann", "transfer", "awaiting_customer", "assigned", "ann", "dan")
    assert desk.decisions(dialog_id)[-1] == Decided("transfer", "transfer", "dan", over_limit=False)
    assert desk.clocks(dialog_id) == {"handover": 60}
    assert desk.value("SELECT accepted_at FROM dialogs") is None


def test_transfer_to_the_backlog(desk: DialogDesk, dialog_id: int) -> None:
    """D10, D3: whoever gives it away has let it pass; the backlog is tried at once."""
    desk.do("ann", "accept", dialog_id)
    desk.hinted.clear()
    assert desk.do("ann", "transfer", dialog_id, backlog=True) == ("queued", None)
    assert desk.log(dialog_id)[-1] == Logged("ann", "transfer", "accepted", "queued", "ann", None)
    assert desk.was_hinted(Step.DISTRIBUTE)
    desk.drain()
    assert desk.status(dialog_id) == ("assigned", "ben")
    assert desk.decisions(dialog_id)[-1] == Decided("D3", "waiting", "ben", over_limit=False)


def test_close(desk: DialogDesk, dialog_id: int) -> None:
    """S4: without a text it is closed at once, and has no clock any more."""
    assert desk.do("ann", "close", dialog_id) == ("closed", "ann")
    assert desk.log(dialog_id)[-1] == Logged("ann", "close", "assigned", "closed", "ann", "ann")
    assert desk.clocks(dialog_id) == {}
    assert desk.told(dialog_id) == []


def test_spam(desk: DialogDesk, dialog_id: int) -> None:
    """S1: marked and closed at once, without the closing text."""
    desk.rows("UPDATE open_channels SET settings = settings || %s", BYE)
    assert desk.do("ann", "spam", dialog_id) == ("closed", "ann")
    assert desk.log(dialog_id)[-1] == Logged("ann", "spam", "assigned", "closed", "ann", "ann")
    assert desk.marks(dialog_id) == {"spam"}
    assert (desk.told(dialog_id), desk.clocks(dialog_id)) == ([], {})
    assert desk.dialog("desk-custom", "chat") != dialog_id, "S4"


@pytest.mark.parametrize("before", ["closing", "closed", "spam"])
def test_reopen(desk: DialogDesk, dialog_id: int, before: str) -> None:
    """S4, D12: it is his again who had it last, without its clock and without the mark."""
    bring(desk, dialog_id, before)
    assert desk.do("ann", "reopen", dialog_id) == ("accepted", "ann")
    was = "closed" if before == "spam" else before
    assert desk.log(dialog_id)[-1] == Logged("ann", "reopen", was, "accepted", "ann", "ann")
    assert [one.rule for one in desk.decisions(dialog_id)] == ["D3"], "he had it: it is no assignment"
    assert (desk.marks(dialog_id), desk.clocks(dialog_id)) == (set(), {})
    assert desk.value("SELECT closed_at FROM dialogs") is None
    assert desk.dialog("desk-custom", "chat", "again") == dialog_id


def test_reopen_by_a_supervisor_and_by_a_service(desk: DialogDesk, dialog_id: int) -> None:
    """S4: the supervisor has it then; for a service it waits, and is distributed."""
    desk.do("ann", "close", dialog_id)
    assert desk.do("sue", "reopen", dialog_id) == ("accepted", "sue")
    assert desk.log(dialog_id)[-1] == Logged("sue", "reopen", "closed", "accepted", "ann", "sue")
    assert desk.decisions(dialog_id)[-1] == Decided("reopen", "reopen", "sue", over_limit=False)
    desk.do("sue", "close", dialog_id)
    desk.hinted.clear()
    assert desk.do(SERVICE, "reopen", dialog_id) == ("queued", None)
    assert desk.log(dialog_id)[-1] == Logged("service", "reopen", "closed", "queued", "sue", None)
    assert desk.was_hinted(Step.DISTRIBUTE)
    desk.drain()
    assert desk.status(dialog_id) == ("assigned", "ann")


def test_pin_and_unpin(desk: DialogDesk, dialog_id: int) -> None:
    """S1, S3: a mark, which changes no status; done twice it is one event."""
    for _ in range(2):
        assert desk.do("ann", "pin", dialog_id) == ("assigned", "ann")
    assert desk.marks(dialog_id) == {"pinned"}
    for _ in range(2):
        assert desk.do("ann", "unpin", dialog_id) == ("assigned", "ann")
    assert desk.marks(dialog_id) == set()
    assert [one.cause for one in desk.log(dialog_id)][-2:] == ["pin", "unpin"]
    assert desk.log(dialog_id)[-1] == Logged("ann", "unpin", "assigned", "assigned", "ann", "ann")
    assert desk.clocks(dialog_id) == {"handover": 60}, "D5: it is not accepted by that"


@pytest.mark.parametrize("who", ["sue", SERVICE])
def test_acts_of_supervisors_and_services(desk: DialogDesk, dialog_id: int, who: str) -> None:
    """They act on what is another's, and the log names them."""
    ben = desk.id_of("ben")
    assert desk.do(who, "pin", dialog_id) == ("assigned", "ann")
    assert desk.do(who, "unpin", dialog_id) == ("assigned", "ann")
    assert desk.do(who, "transfer", dialog_id, operator=ben) == ("assigned", "ben")
    assert desk.do(who, "transfer", dialog_id, backlog=True) == ("queued", None)
    assert desk.do(who, "transfer", dialog_id, operator=ben) == ("assigned", "ben")
    assert desk.do(who, "close", dialog_id) == ("closed", "ben")
    assert [event.actor for event in desk.log(dialog_id)[2:]] == [who] * 6
    other = desk.dialog("desk-custom", "other")
    assert desk.do(who, "spam", other) == ("closed", "ann")
    actors = desk.rows("SELECT DISTINCT actor FROM audit")
    assert actors == [("service" if who == SERVICE else f"operator:{desk.id_of('sue')}",)]


KEYED: dict[str, tuple[str, str, dict[str, object]]] = {
    "accept": ("assigned", "ann", {}),
    "skip": ("assigned", "ann", {}),
    "answer": ("accepted", "ann", {"text": "hello"}),
    "take": ("accepted", "sue", {}),
    "transfer": ("accepted", "ann", {"backlog": True}),
    "close": ("accepted", "ann", {}),
    "spam": ("accepted", "ann", {}),
    "reopen": ("closed", "ann", {}),
    "pin": ("accepted", "ann", {}),
    "unpin": ("pinned", "ann", {}),
}


@pytest.mark.parametrize("act", KEYED)
def test_an_act_is_done_once_under_a_key(desk: DialogDesk, dialog_id: int, act: str) -> None:
    """A repeat changes nothing and says what is so now; an answer is sent once (S5)."""
    before, who, body = KEYED[act]
    bring(desk, dialog_id, before)
    first = desk.ask(who, act, dialog_id, "key", **body)
    assert first.status_code == 200, first.text
    done = desk.rows("SELECT dialogs::text FROM dialogs"), desk.log(dialog_id), desk.decisions(dialog_id)
    again = desk.ask(who, act, dialog_id, "key", **body)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json() == first.json()
    assert (desk.rows("SELECT dialogs::text FROM dialogs"), desk.log(dialog_id), desk.decisions(dialog_id)) == done
    assert desk.value("SELECT count(*) FROM outbox") == (act == "answer")
    assert desk.value("SELECT count(*) FROM audit WHERE act = %s", act) == 1


def bring(desk: DialogDesk, dialog_id: int, status: str) -> None:
    """Bring the dialog, which is assigned to Ann, there by acts of hers."""
    steps: dict[str, list[Callable[[], object]]] = {
        "assigned": [],
        "accepted": [lambda: desk.do("ann", "accept", dialog_id)],
        "awaiting_customer": [lambda: desk.answer("ann", dialog_id)],
        "closing": [
            lambda: desk.rows("UPDATE open_channels SET settings = settings || %s", BYE),
            lambda: desk.do("ann", "close", dialog_id),
        ],
        "closed": [lambda: desk.do("ann", "close", dialog_id)],
        "spam": [lambda: desk.do("ann", "spam", dialog_id)],
        "pinned": [lambda: desk.do("ann", "pin", dialog_id)],
    }
    for step in steps[status]:
        step()

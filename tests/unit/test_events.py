"""Events as screens know them: names, circles, ids."""

from datetime import UTC, datetime

import pytest

from console import event_frames
from crm_store.events import Event
from crm_store.following import LoggedEvent, Position
from tracker.access import Scope
from tracker.dialogs import DialogStatus
from tracker.events import (
    CLOCKS,
    EVERYTHING,
    Circle,
    EventName,
    circles_of_event,
    circles_of_follower,
    name_of,
)

pytestmark = pytest.mark.unit

QUEUED, OFFERED, ASSIGNED, ACCEPTED = (
    DialogStatus.QUEUED,
    DialogStatus.OFFERED,
    DialogStatus.ASSIGNED,
    DialogStatus.ACCEPTED,
)


@pytest.mark.parametrize(
    ("name", "cause", "was", "became", "was_operator_id", "operator_id"),
    [
        ("offer", "all", QUEUED, OFFERED, None, None),
        ("offer", "accept", OFFERED, ACCEPTED, None, 1),
        ("message", "message", OFFERED, OFFERED, None, None),
        ("message", "message", None, QUEUED, None, None),
        ("message", "answer", ACCEPTED, DialogStatus.AWAITING_CUSTOMER, 1, 1),
        ("assignment", "waiting", QUEUED, ASSIGNED, None, 1),
        ("assignment", "handover", ASSIGNED, ASSIGNED, 1, 2),
        ("assignment", "handover", ASSIGNED, QUEUED, 1, None),
        ("assignment", "message", ACCEPTED, QUEUED, 1, None),
        ("clock", "kept", ASSIGNED, ASSIGNED, 1, 1),
        ("clock", "auto_close", ACCEPTED, DialogStatus.CLOSED, 1, 1),
        ("dialog", "accept", ASSIGNED, ACCEPTED, 1, 1),
        ("dialog", "pin", ACCEPTED, ACCEPTED, 1, 1),
    ],
)
def test_an_event_has_one_name(
    name: str,
    cause: str,
    was: DialogStatus | None,
    became: DialogStatus,
    was_operator_id: int | None,
    operator_id: int | None,
) -> None:
    """D4, D5: whether it is offered counts before who has it, and that before why."""
    assert name_of(7, cause, was, became, was_operator_id, operator_id) == name


def test_presence_and_clocks_have_their_names() -> None:
    """D6, D5, S2-S4."""
    assert name_of(None, "online", None, None, None, 1) is EventName.PRESENCE
    assert {name_of(7, cause, ACCEPTED, ACCEPTED, 1, 1) for cause in CLOCKS} == {EventName.CLOCK}


def test_an_operator_sees_offers_and_not_the_backlog() -> None:
    """D4: what is or was offered where he is on the roster; a supervisor all that waits for his members."""
    own = circles_of_follower(1, Scope.OWN, [5], [2], [6])
    department = circles_of_follower(1, Scope.DEPARTMENT, [5], [2], [6])
    assert own == {(Circle.OPERATOR, 1), (Circle.OFFERS, 5)}
    assert department == own | {(Circle.OPERATOR, 2), (Circle.WAITING, 5), (Circle.WAITING, 6)}
    department = circles_of_follower(1, Scope.DEPARTMENT, [], [2], [6])
    assert circles_of_follower(1, Scope.ANY, [5]) == EVERYTHING
    for was, became in ((None, QUEUED), (QUEUED, QUEUED), (QUEUED, DialogStatus.CLOSED)):
        assert circles_of_event(5, was, became, None, None).isdisjoint(own)
        assert not circles_of_event(6, was, became, None, None).isdisjoint(department)
    for was, became in ((QUEUED, OFFERED), (OFFERED, QUEUED), (OFFERED, ACCEPTED)):
        assert not circles_of_event(5, was, became, None, 9).isdisjoint(own)
        assert circles_of_event(6, was, became, None, 9).isdisjoint(own)
        assert not circles_of_event(6, was, became, None, 9).isdisjoint(department)


def test_whoever_has_or_had_a_dialog_sees_its_event() -> None:
    """And who sees all, every one."""
    circles = circles_of_event(None, ASSIGNED, ASSIGNED, 1, 2)
    assert {(Circle.OPERATOR, 1), (Circle.OPERATOR, 2)} | EVERYTHING == circles


def test_an_id_is_read_as_it_was_written() -> None:
    """And nothing else is taken for one."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    written = event_frames.write_id(Position(2**62, 3), at, 4).decode()
    read = event_frames.read_id(written)
    assert read == event_frames.EventId(Position(2**62, 3), int(at.timestamp()), 4)
    for other in ("", "1", "-1-2-3", "1-2-3-4-5", "1-2-3-x", "1-2-3- 4", "1-2-3-²", "9" * 5000, f"{2**63}-1-1-1"):
        assert event_frames.read_id(other) is None, other


def test_the_same_sight_has_the_same_mark_in_every_process() -> None:
    """Ids lead on in another process; another interest is told from it."""
    some = circles_of_follower(1, Scope.OWN, [5, 6])
    assert event_frames.mark_of(some) == event_frames.mark_of(circles_of_follower(1, Scope.OWN, [6, 5]))
    assert event_frames.mark_of(some) == 972966343
    assert event_frames.mark_of(some) != event_frames.mark_of(circles_of_follower(1, Scope.OWN, [5]))


def test_a_frame_is_one_event_whatever_it_holds() -> None:
    """A line break in the data would end it."""
    event = Event(7, 1, "service:a\nb", "close", details={"reason": "x\n\nid: 9\r\n"})
    body = event_frames.body_of(LoggedEvent(Position(1, 2), datetime(2026, 1, 1, tzinfo=UTC), event))
    frame = event_frames.frame(b"1", body)
    assert frame.count(b"\n") == 4
    assert b"\r" not in frame
    assert frame.endswith(b"\n\n")


def test_a_transfer_concerns_both_rosters():
    """D10, D4: where it was offered it ceases to be, and those screens must know."""
    moved = circles_of_event(6, DialogStatus.OFFERED, DialogStatus.QUEUED, None, None, 5)
    assert not moved.isdisjoint(circles_of_follower(1, Scope.OWN, [5]))
    assert not moved.isdisjoint(circles_of_follower(1, Scope.OWN, [6]))
    assert moved.isdisjoint(circles_of_follower(1, Scope.OWN, [7]))

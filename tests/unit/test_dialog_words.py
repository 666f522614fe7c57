"""How `openchannel dialogs why` and `backlog show` say things (D8, D12)."""

from datetime import UTC, datetime, timedelta

import pytest

from cli.dialogs.words import MOST_NAMED, REASONS, by_reason, due, named, next_try, reason, span, standing, verdict
from crm_store.views import Reference
from crm_store.views.backlogs import BacklogView, OperatorNow, Verdict
from tracker.channels import Distribution
from tracker.distribution import PassedOver
from tracker.presence import Availability

pytestmark = pytest.mark.unit

NOW = datetime(2026, 10, 5, 3, 0, tzinfo=UTC)


def operator(number: int, obstacle: PassedOver | None = None, availability: str = "available", **more) -> OperatorNow:
    given = {"load": 0, "limit": 3, "personal_load": 0, "personal_limit": None, "since": None, "seen_at": None, **more}
    return OperatorNow(
        operator=Reference(number, f"operator {number}"),
        position=number,
        availability=Availability(availability),
        obstacle=obstacle,
        **given,
    )


def backlog(what: Verdict, *operators: OperatorNow, **more) -> BacklogView:
    obstacles: dict[PassedOver, int] = {}
    for one in operators:
        if one.obstacle is not None:
            obstacles[one.obstacle] = obstacles.get(one.obstacle, 0) + 1
    given = {"queued": 1, "offered": 0, "next_try_at": None, **more}
    return BacklogView(
        open_channel=Reference(1, "Shop"),
        active=True,
        distribution=Distribution.EVENLY,
        check_availability=True,
        now=NOW,
        verdict=what,
        free=len(operators) - sum(obstacles.values()),
        obstacles=obstacles,
        dialogs=[],
        operators=list(operators),
        **given,
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"), (-5, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3661, "1 h 1 min"),
        (86400 * 3 + 7200, "3 d 2 h"), (86400 + 5, "1 d"),
    ],
)  # fmt: skip
def test_spans(seconds, said):
    """Two units are enough, the largest ones."""
    assert span(NOW, NOW + timedelta(seconds=seconds)) == said


def test_due_and_overdue():
    """A clock that should have run out is told apart from one that runs."""
    assert due(NOW + timedelta(seconds=90), NOW) == "in 1 min 30 s"
    assert due(NOW - timedelta(seconds=90), NOW) == "overdue by 1 min 30 s"
    assert due(NOW, NOW) == "now"


def test_many_are_counted_and_not_named():
    """D12: about twenty names for each reason, then a number; those that the record does not name are in it."""
    many = [Reference(number, f"o{number}") for number in range(MOST_NAMED + 5)]
    assert named(many[:2]) == "o0, o1"
    assert named(many).endswith(f"o{MOST_NAMED - 1}, and 5 more")
    assert named(many, 7).endswith("and 12 more")
    assert named([], 40) == "40"
    assert list(by_reason({"offline": many[:1]}, {"offline": 2, "not_reached": 3})) == [
        "offline: o0, and 2 more",
        "not looked at: the decision was made before it came to them: 3",
    ]


def test_every_reason_has_words():
    """D12: none of the rules' reasons is shown as a bare code."""
    assert set(PassedOver) - set(REASONS) == set()
    assert reason("a_new_one") == "a new one"


LIMIT, PERSONAL, OFFLINE = PassedOver.AT_LIMIT, PassedOver.AT_PERSONAL_LIMIT, PassedOver.OFFLINE


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (backlog(Verdict.NOTHING_WAITS), "nothing waits"),
        (backlog(Verdict.NOBODY_ON_ROSTER), "nobody is on its roster"),
        (
            backlog(Verdict.NOBODY_AVAILABLE, *(operator(n, OFFLINE, "offline") for n in range(3))),
            "nobody is available: of 3 operators on the roster 3 offline",
        ),
        (
            backlog(Verdict.ALL_AT_LIMIT, *(operator(n, LIMIT) for n in range(5)), operator(6, OFFLINE, "offline")),
            "all 5 available operators are at their limit of 3",
        ),
        (backlog(Verdict.ALL_AT_LIMIT, operator(1, LIMIT)), "the only available operator is at the limit of 3"),
        (
            backlog(Verdict.ALL_AT_LIMIT, *(operator(n, PERSONAL, personal_limit=2) for n in range(2))),
            "all 2 available operators are at their personal limit of 2",
        ),
        (
            backlog(Verdict.ALL_AT_LIMIT, operator(1, LIMIT), operator(2, PERSONAL, personal_limit=2)),
            "all 2 available operators are at a limit, of this open channel or their own",
        ),
        (backlog(Verdict.OFFERED, operator(1)), "it is offered to 1 operator, and nobody has accepted yet"),
        (
            backlog(Verdict.BEING_DISTRIBUTED, operator(1), operator(2)),
            "it is being distributed: 2 operators may be given dialogs",
        ),
    ],
)  # fmt: skip
def test_one_sentence_says_why_nothing_moves(view, said):
    """D8: what an operations lead wants to know first."""
    assert verdict(view) == said


def test_when_it_is_tried_next():
    """D8: in so long; or overdue, which hints at the clock."""
    soon = backlog(Verdict.ALL_AT_LIMIT, next_try_at=NOW + timedelta(seconds=90))
    late = backlog(Verdict.BEING_DISTRIBUTED, next_try_at=NOW - timedelta(seconds=90))
    assert "in 1 min 30 s" in next_try(soon)
    assert "since 1 min 30 s" in next_try(late)
    assert "doctor" in next_try(late)
    assert "no clock is set" in next_try(backlog(Verdict.BEING_DISTRIBUTED))


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            operator(1, since=NOW - timedelta(minutes=5), load=2, personal_load=2),
            "available for 5 min, 2 of 3 dialogs here",
        ),
        (
            operator(1, load=1, personal_load=4, personal_limit=5, limit=None),
            "available, 1 dialog here, 4 of 5 dialogs over all",
        ),
        (
            operator(1, OFFLINE, "offline", seen_at=NOW - timedelta(hours=2)),
            "offline, last heard of 2 h ago, 0 of 3 dialogs here",
        ),
        (operator(1, OFFLINE, "offline"), "offline, never heard of, 0 of 3 dialogs here"),
        (operator(1, PassedOver.ON_LEAVE, "on_leave"), "on leave, 0 of 3 dialogs here"),
    ],
)
def test_what_somebody_is_doing(one, said):
    """D6, D7: availability and since when, loads and limits."""
    assert standing(one, NOW) == said

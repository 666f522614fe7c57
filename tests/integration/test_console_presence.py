"""Operators come and go over HTTP, and see what is theirs to take, on real PostgreSQL."""

from collections.abc import Iterator

import pytest

from config.topology import Step
from tests.desks import Desk

pytestmark = pytest.mark.integration

SILENT = "UPDATE operators SET seen_at = now() - interval '10 minutes' WHERE name = %s"


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with the API in front of it."""
    with Desk(database_url) as made:
        yield made


def before(desk: Desk, name: str) -> list[tuple[int, str]]:
    """What an operator has before him: ids and statuses."""
    response = desk.as_operator(name).get("/api/operator/dialogs")
    assert response.status_code == 200, response.text
    return [(dialog["id"], dialog["status"]) for dialog in response.json()["items"]]


def test_who_comes_online_is_given_what_waits(desk: Desk) -> None:
    """D6, D8: coming is an occasion to try the backlog; being there already is none."""
    desk.open_channel("desk", [desk.operator("ann", online=False)])
    dialog_id = desk.dialog("desk-telegram", "chat-1")
    assert before(desk, "ann") == []
    shown = desk.act("ann", "/api/operator/online")
    assert (shown["name"], shown["online"]) == ("ann", True)
    assert desk.was_hinted(Step.DISTRIBUTE)
    desk.drain()
    assert before(desk, "ann") == [(dialog_id, "assigned")]
    desk.act("ann", "/api/operator/online")
    desk.act("ann", "/api/operator/heartbeat")
    assert desk.hinted == []


def test_who_is_offline_is_given_nothing(desk: Desk) -> None:
    """D6: after `offline` the next dialog waits; what he has stays his."""
    desk.open_channel("desk", [desk.operator("ann")])
    first = desk.dialog("desk-telegram", "chat-1")
    assert desk.act("ann", "/api/operator/offline")["online"] is False
    second = desk.dialog("desk-telegram", "chat-2")
    assert before(desk, "ann") == [(first, "assigned")]
    assert desk.get(f"/api/dialogs/{second}")["status"] == "queued"
    assert desk.refusal("ann", "/api/operator/heartbeat") == "not_online"


def test_a_heartbeat_after_the_limit_is_a_return(desk: Desk) -> None:
    """D6, D8: who was silent for too long is offline; his next heartbeat brings him back, and the backlog is tried."""
    desk.open_channel("desk", [desk.operator("ann")])
    desk.rows(SILENT, "ann")
    dialog_id = desk.dialog("desk-telegram", "chat-1")
    assert desk.get("/api/operators")["items"][0]["online"] is False
    assert desk.act("ann", "/api/operator/heartbeat")["online"] is True
    assert desk.was_hinted(Step.DISTRIBUTE)
    desk.drain()
    assert before(desk, "ann") == [(dialog_id, "assigned")]


def test_offers_are_computed_for_who_is_eligible_now(desk: Desk) -> None:
    """D4: who becomes eligible sees them too, who is offline, at a limit or not on the roster does not."""
    desk.operator("stranger")
    late, full = desk.operator("late", online=False), desk.operator("full", personal_limit=1)
    desk.open_channel("desk", [desk.operator("ann"), late, full], distribution="all", max_dialogs=2)
    ids = [desk.dialog("desk-telegram", f"chat-{n}") for n in range(3)]
    offers = [(dialog_id, "offered") for dialog_id in ids]
    assert before(desk, "ann") == offers
    assert before(desk, "full") == offers
    assert before(desk, "late") == []
    assert before(desk, "stranger") == []
    desk.act("late", "/api/operator/online")
    assert before(desk, "late") == offers
    desk.rows(SILENT, "late")
    assert before(desk, "late") == []

    desk.act("full", f"/api/dialogs/{ids[0]}/accept")
    assert before(desk, "full") == [(ids[0], "accepted")]
    desk.act("ann", f"/api/dialogs/{ids[1]}/accept")
    assert before(desk, "ann") == [(ids[1], "accepted"), (ids[2], "offered")]
    desk.act("ann", f"/api/dialogs/{ids[2]}/accept")
    assert before(desk, "ann") == [(ids[1], "accepted"), (ids[2], "accepted")]


def test_availability_counts_only_where_it_is_checked(desk: Desk) -> None:
    """D6: with `check_availability` off, who is offline sees offers and may accept them."""
    desk.open_channel("desk", [desk.operator("ann", online=False)], distribution="all", check_availability=False)
    dialog_id = desk.dialog("desk-telegram", "chat-1")
    assert before(desk, "ann") == [(dialog_id, "offered")]
    assert desk.act("ann", f"/api/dialogs/{dialog_id}/accept")["operator"]["name"] == "ann"


def test_who_is_dismissed_is_nobody(desk: Desk) -> None:
    """D6: his token is refused at once."""
    desk.open_channel("desk", [desk.operator("ann")])
    desk.act("ann", "/api/operator/heartbeat")
    desk.rows("UPDATE operators SET dismissed_at = now()")
    response = desk.as_operator("ann").post("/api/operator/heartbeat")
    assert response.status_code == 401
    assert desk.get("/api/operators")["items"][0]["dismissed_at"]

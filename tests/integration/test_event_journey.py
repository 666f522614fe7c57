"""The steps' and the acts' own events, as a screen is told of them."""

from collections.abc import Iterator

import pytest

from tests.desks import Desk
from tests.screens import Screen

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with the API in front of it, and the steps behind it."""
    with Desk(database_url) as made:
        yield made


def test_an_operator_follows_his_dialog_from_the_assignment_to_the_close(desk: Desk) -> None:
    """D2, S1: what is given to him, answered, written and closed; nothing of it is told to his colleague."""
    ann = desk.operator("ann", scope=None)
    desk.operator("ben", scope=None)
    desk.open_channel("desk", [ann])
    with (
        Screen(desk.base_url, "token of ann") as screen,
        Screen(desk.base_url, "token of ben") as other,
    ):
        assert screen.has(1)
        assert other.has(1)
        dialog_id = desk.dialog("desk-telegram", "7", "my number is +49 171 2345678", name="Anna")
        desk.act("ann", f"/api/dialogs/{dialog_id}/accept")
        desk.act("ann", f"/api/dialogs/{dialog_id}/answer", {"text": "hello"})
        desk.dialog("desk-telegram", "7", "thanks")
        desk.act("ann", f"/api/dialogs/{dialog_id}/close")
        assert screen.has(6)
        assert [(one.name, one.data["cause"], one.data["became"]) for one in screen.received[1:]] == [
            ("assignment", "D2", "assigned"),
            ("dialog", "accept", "accepted"),
            ("message", "answer", "awaiting_customer"),
            ("message", "message", "awaiting_operator"),
            ("dialog", "close", "closed"),
        ]
        assert {one.data["dialog_id"] for one in screen.received[1:]} == {dialog_id}
        assert "2345678" not in str(screen.received)
        assert "Anna" not in str(screen.received)
        assert other.names() == ["hello"]

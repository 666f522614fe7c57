"""The bulk exports show what the look-ups show, page by page."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.desks import Desk, problem_of

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with two chats and an operator who answers."""
    with Desk(database_url) as made:
        made.open_channel("desk", [made.operator("ann")], kinds=("telegram", "custom"))
        yield made


def all_of(desk: Desk, path: str, **parameters: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = desk.get(path, limit=2, **parameters, **cursor)
        assert len(page["items"]) <= 2
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}


def test_exports_show_all_once(desk: Desk) -> None:
    """Items, chats, histories and events, each once over any number of pages, as the single look-ups tell them."""
    first = desk.dialog("desk-telegram", "7", "one", name="Ann Smith")
    desk.dialog("desk-custom", "8", "hello")
    desk.say("desk-telegram", "7", "two")
    desk.drain()
    desk.act("ann", f"/api/dialogs/{first}/answer", {"text": "three"})

    items = all_of(desk, "/api/exports/inbox")
    assert [item["id"] for item in items] == sorted((item["id"] for item in items), reverse=True)
    assert len(items) == 3
    for item in items:
        shown = desk.get(f"/api/inbox/{item['id']}")
        assert {name: shown[name] for name in item} == item

    chats = all_of(desk, "/api/exports/chats")
    assert {chat["external_id"] for chat in chats} == {"7", "8"}
    for chat in chats:
        shown = desk.get(f"/api/chats/{chat['id']}")
        assert (shown["channel_key"], shown["card_id"]) == (chat["channel_key"], chat["card_id"])
        assert chat["card_id"] is not None

    messages = all_of(desk, "/api/exports/messages")
    by_chat = {chat["external_id"]: chat["id"] for chat in chats}
    spoken = [(m["chat_id"], m["direction"], m["text"]) for m in messages]
    telegram, custom = by_chat["7"], by_chat["8"]
    assert [one for one in spoken if one[0] == telegram] == [
        (telegram, "in", "one"), (telegram, "in", "two"), (telegram, "out", "three"),
    ]  # fmt: skip
    assert [one for one in spoken if one[0] == custom] == [(custom, "in", "hello")]
    later = all_of(desk, "/api/exports/messages", from_chat=max(telegram, custom))
    assert {m["chat_id"] for m in later} == {max(telegram, custom)}

    events = [event for event in all_of(desk, "/api/exports/events") if event["dialog_id"] == first]
    shown = desk.get(f"/api/dialogs/{first}")["events"]
    assert [event["cause"] for event in reversed(events)] == [event["cause"] for event in shown]
    assert events[0]["operator_id"] == shown[-1]["operator"]["id"]


def test_a_cursor_of_another_list_is_refused(desk: Desk) -> None:
    """422, with a reason for programs."""
    response = desk.service.get("/api/exports/messages", params={"cursor": "WzFd"})
    assert (response.status_code, problem_of(response)["reason"]) == (422, "bad_cursor")

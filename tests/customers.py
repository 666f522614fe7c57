"""What tests of the tracker's acts share: customers on a desk, acts over HTTP, and a look at the audit."""

from typing import Any

import httpx

from config.masking import mask_text
from tests.desks import Desk, problem_of

PHONE = "+491712345678"
OTHER_PHONE = "+491701111111"
EMAIL = "ann@shop-mail.de"


def card_of(desk: Desk, channel_key: str, chat: str) -> int:
    """The card that a chat is bound to itself, whatever it was merged into."""
    return int(
        desk.value(
            "SELECT card_id FROM chats JOIN channels ON channels.id = channel_id WHERE key = %s AND external_id = %s",
            channel_key,
            chat,
        )
    )


def chat_id_of(desk: Desk, channel_key: str, chat: str) -> int:
    """A chat's id."""
    return int(
        desk.value(
            "SELECT chats.id FROM chats JOIN channels ON channels.id = channel_id WHERE key = %s AND external_id = %s",
            channel_key,
            chat,
        )
    )


def cards_of(desk: Desk, *chats: tuple[str, str]) -> list[int]:
    """Each of these chats writes something of its own; their cards."""
    for kind, text in chats:
        desk.dialog(f"desk-{kind}", "7", text)
    return [card_of(desk, f"desk-{kind}", "7") for kind, _ in chats]


def live_id(desk: Desk, card_id: int) -> int:
    """The card that stands for a card's customer."""
    return int(desk.value("SELECT coalesce(live_id, id) FROM cards WHERE id = %s", card_id))


def act(desk: Desk, path: str, body: dict[str, Any], status: int = 200) -> Any:
    """An act by the service that is done."""
    response = desk.service.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def refused(response: httpx.Response, status: int = 409) -> str:
    """The reason of an error."""
    assert response.status_code == status, response.text
    return str(problem_of(response)["reason"])


def refusal(desk: Desk, path: str, body: dict[str, Any], status: int = 409) -> str:
    """The reason for which an act by the service is not done."""
    return refused(desk.service.post(path, json=body), status)


def audit(desk: Desk) -> list[tuple[str, str, str]]:
    """Actor, act and outcome of every act, the oldest first; none names a phone or an e-mail."""
    rows = desk.rows("SELECT actor, act, outcome, details::text FROM audit ORDER BY id")
    for actor, _, _, details in rows:
        assert mask_text(actor) == actor
        assert mask_text(details) == details
        assert "1712345678" not in details
        assert "shop-mail" not in details
    return [row[:3] for row in rows]

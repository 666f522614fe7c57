"""A valid request for every kind of channel, signed without the code under test, for the suite over all adapters."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import standardwebhooks

from ingest.adapters.base import WebhookRequest
from tracker.channels import Channel

NOW = datetime(2026, 10, 5, 12, 0, 0, tzinfo=UTC)
NEW, OLD, WRONG = (base64.b64encode(name.encode() * 8).decode() for name in ("newest", "older1", "wrong1"))

Sign = Callable[[bytes, str], dict[str, str]]


@dataclass(frozen=True)
class Case:
    """A kind of channel. header: what carries the signature, empty for channels that anybody may write to."""

    kind: str
    body: object
    sign: Sign = lambda _body, _secret: {}
    header: str = ""
    covers_body: bool = True

    def channel(self, *secrets: str) -> Channel:
        return Channel(
            id=1,
            key="desk",
            kind=self.kind,
            name="Desk",
            open_channel_id=1,
            account_id="",
            region="RU",
            secrets=secrets or (NEW, OLD),
        )

    def request(self, secret: str = NEW, body: object = None) -> WebhookRequest:
        raw = body if isinstance(body, bytes) else json.dumps(self.body if body is None else body).encode()
        return WebhookRequest(
            method="POST",
            url="https://desk.example.org/webhooks/desk",
            headers={"content-type": "application/json", **self.sign(raw, secret)},
            query={},
            body=raw,
            received_at=NOW,
        )


def with_headers(request: WebhookRequest, **headers: str) -> WebhookRequest:
    """The request with other headers; names in Python's writing."""
    return replace(request, headers={**request.headers, **{n.replace("_", "-"): v for n, v in headers.items()}})


def _meta(body: bytes, secret: str) -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def _standard(body: bytes, secret: str) -> dict[str, str]:
    signature = standardwebhooks.Webhook(secret).sign("msg_1", NOW, body.decode("utf-8", "replace"))
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(NOW.timestamp())), "webhook-signature": signature}


TELEGRAM = Case(
    "telegram",
    {
        "update_id": 7,
        "message": {
            "message_id": 3,
            "date": 1790000000,
            "from": {"id": 5, "is_bot": False, "first_name": "Anna"},
            "chat": {"id": 5, "type": "private", "first_name": "Anna"},
            "text": "Hello",
        },
    },
    lambda _body, secret: {"x-telegram-bot-api-secret-token": secret},
    "x-telegram-bot-api-secret-token",
    covers_body=False,
)
WHATSAPP = Case(
    "whatsapp",
    {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "waba-1",
                "changes": [
                    {
                        "field": "messages",
                        "value": {
                            "messaging_product": "whatsapp",
                            "metadata": {"display_phone_number": "74950000001", "phone_number_id": "number-1"},
                            "contacts": [{"profile": {"name": "Anna"}, "wa_id": "79123456789"}],
                            "messages": [
                                {
                                    "from": "79123456789",
                                    "id": "wamid.1",
                                    "timestamp": "1790000000",
                                    "type": "text",
                                    "text": {"body": "Hello"},
                                }
                            ],
                        },
                    }
                ],
            }
        ],
    },
    _meta,
    "x-hub-signature-256",
)
LIVECHAT = Case("livechat", {"message_id": "m1", "visitor_id": "v" * 16, "text": "Hello", "phone": "+79123456789"})
WEBFORM = Case("webform", {"name": "Anna", "phone": "+79123456789", "message": "Hello"})
CUSTOM = Case(
    "custom",
    {"id": "m1", "chat_id": "c1", "customer_id": "u1", "text": "Hello", "attachments": [{"url": "https://a.de/b"}]},
    _standard,
    "webhook-signature",
)

CASES = (TELEGRAM, WHATSAPP, LIVECHAT, WEBFORM, CUSTOM)
SIGNED_CASES = tuple(case for case in CASES if case.header)

"""A valid request for every kind of channel, signed without the code under test, for the suite over all adapters."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import standardwebhooks

from ingest.adapters.base import WebhookRequest
from tracker.channels import Channel

NOW = datetime(2026, 10, 5, 12, 0, 0, tzinfo=UTC)
NEW, OLD, WRONG = (base64.b64encode(name.encode() * 8).decode() for name in ("newest", "older1", "wrong1"))

URL = "https://desk.example.org/webhooks/desk"

Sign = Callable[[bytes, str], dict[str, str]]


def as_json(body: object) -> bytes:
    return json.dumps(body).encode()


def as_form(body: object) -> bytes:
    """URL-encoded; what cannot stand in a form is there as JSON."""
    if not isinstance(body, dict):
        return as_json(body)
    pairs = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in body.items()]
    return urlencode(pairs, errors="surrogatepass").encode()


@dataclass(frozen=True)
class Case:
    """A kind of channel.

    header, field: what carries the proof, a header or a field of the body; neither where anybody may write.
    covers_body: whether the proof is of the body too.
    """

    kind: str
    body: object
    sign: Sign = lambda _body, _secret: {}
    header: str = ""
    field: str = ""
    covers_body: bool = True
    content_type: str = "application/json"
    encode: Callable[[object], bytes] = as_json

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
        """body: bytes are sent as they are; anything else, and the case's own body, with the proof in it."""
        raw = (
            body if isinstance(body, bytes) else self.encode(self._proved(self.body if body is None else body, secret))
        )
        return WebhookRequest(
            method="POST",
            url=URL,
            headers={"content-type": self.content_type, **self.sign(raw, secret)},
            query={},
            body=raw,
            received_at=NOW,
        )

    def proof(self, request: WebhookRequest) -> str:
        """The signature or secret that a request carries."""
        return str(json.loads(request.body)[self.field]) if self.field else request.headers[self.header]

    def with_proof(self, request: WebhookRequest, proof: str | None) -> WebhookRequest:
        """The request with another proof; None leaves it away."""
        if self.field:
            body = {name: value for name, value in json.loads(request.body).items() if name != self.field}
            return replace(request, body=as_json(body if proof is None else {**body, self.field: proof}))
        headers = {name: value for name, value in request.headers.items() if name != self.header}
        return replace(request, headers=headers if proof is None else {**headers, self.header: proof})

    def _proved(self, body: object, secret: str) -> object:
        return {**body, self.field: secret} if self.field and isinstance(body, dict) else body


def with_headers(request: WebhookRequest, **headers: str) -> WebhookRequest:
    """The request with other headers; names in Python's writing."""
    return replace(request, headers={**request.headers, **{n.replace("_", "-"): v for n, v in headers.items()}})


def _meta(body: bytes, secret: str) -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def _viber(body: bytes, secret: str) -> dict[str, str]:
    return {"x-viber-content-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def _line(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"x-line-signature": base64.b64encode(digest).decode()}


def _twilio(body: bytes, secret: str) -> dict[str, str]:
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    signed = URL + "".join(name + value for name, value in sorted(pairs))
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha1).digest()
    return {"x-twilio-signature": base64.b64encode(digest).decode()}


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


def messaging(**event: object) -> dict[str, object]:
    """A body of Meta's Messenger Platform with one event."""
    sides = {"sender": {"id": "person-1"}, "recipient": {"id": "page-1"}, "timestamp": 1790000000000}
    return {"object": "page", "entry": [{"id": "page-1", "time": 1790000000100, "messaging": [{**sides, **event}]}]}


MESSENGER = Case("messenger", messaging(message={"mid": "m_1", "text": "Hello"}), _meta, "x-hub-signature-256")
INSTAGRAM = replace(MESSENGER, kind="instagram", body=messaging(message={"mid": "aWdf1", "text": "Hello"}))
VIBER = Case(
    "viber",
    {
        "event": "message",
        "timestamp": 1790000000000,
        "message_token": 4912661846655238145,
        "sender": {"id": "01234567890A=", "name": "Anna", "language": "en", "api_version": 10},
        "message": {"type": "text", "text": "Hello", "tracking_data": ""},
    },
    _viber,
    "x-viber-content-signature",
)
LINE = Case(
    "line",
    {
        "destination": "Ubot",
        "events": [
            {
                "type": "message",
                "mode": "active",
                "timestamp": 1790000000000,
                "source": {"type": "user", "userId": "Uanna"},
                "webhookEventId": "01H1",
                "deliveryContext": {"isRedelivery": False},
                "replyToken": "r1",
                "message": {"id": "325", "type": "text", "text": "Hello"},
            }
        ],
    },
    _line,
    "x-line-signature",
)
TWILIO = Case(
    "twilio",
    {
        "MessageSid": "SM1",
        "AccountSid": "AC1",
        "From": "+79123456789",
        "To": "+12025550100",
        "Body": "Hello",
        "NumMedia": "0",
        "FromCity": "",
    },
    _twilio,
    "x-twilio-signature",
    content_type="application/x-www-form-urlencoded",
    encode=as_form,
)
VK = Case(
    "vk",
    {
        "type": "message_new",
        "group_id": 77,
        "event_id": "e1",
        "v": "5.199",
        "object": {
            "message": {
                "id": 12,
                "date": 1790000000,
                "peer_id": 5,
                "from_id": 5,
                "out": 0,
                "text": "Hello",
                "conversation_message_id": 3,
                "attachments": [],
                "fwd_messages": [],
            },
            "client_info": {"keyboard": True},
        },
    },
    field="secret",
    covers_body=False,
)
LIVECHAT = Case("livechat", {"message_id": "m1", "visitor_id": "v" * 16, "text": "Hello", "phone": "+79123456789"})
WEBFORM = Case("webform", {"name": "Anna", "phone": "+79123456789", "message": "Hello"})
CUSTOM = Case(
    "custom",
    {"id": "m1", "chat_id": "c1", "customer_id": "u1", "text": "Hello", "attachments": [{"url": "https://a.de/b"}]},
    _standard,
    "webhook-signature",
)

CASES = (TELEGRAM, WHATSAPP, MESSENGER, INSTAGRAM, VIBER, LINE, TWILIO, VK, LIVECHAT, WEBFORM, CUSTOM)
SIGNED_CASES = tuple(case for case in CASES if case.header or case.field)

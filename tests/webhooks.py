"""Webhook requests of five kinds of channels, as a test wants them: who writes what in which conversation."""

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ingest.adapters.signatures import sign
from tracker.channels import Channel

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A POST to `/webhooks/{channel key}`."""

    key: str
    body: bytes
    headers: Mapping[str, str]


def channel(kind: str, open_channel_id: int, *, key: str = "", config: Mapping[str, Any] | None = None) -> Channel:
    """A channel of this kind, with the secret that `message` signs with."""
    return Channel(
        id=0,
        key=key or kind,
        kind=kind,
        name=f"Test {kind}",
        open_channel_id=open_channel_id,
        account_id="155500001" if kind == "whatsapp" else "",
        region="DE",
        secrets=(SECRET,),
        config=config or {},
    )


def message(
    kind: str, chat: int, text: str, *, name: str = "", number: int | None = None, key: str = "", **details: str
) -> Webhook:
    """A first or further text message of the customer `chat`; the same `number` is the same message.

    details: `phone` and `email`, where the channel has fields for them.
    """
    number = next(_numbers) if number is None else number
    body, headers = _MAKERS[kind](chat, text, name, number, details)
    return Webhook(key or kind, body, headers)


_Made = tuple[bytes, dict[str, str]]
_JSON = {"content-type": "application/json"}


def _telegram(chat: int, text: str, name: str, number: int, _details: Mapping[str, str]) -> _Made:
    person = {"id": chat, "is_bot": False, "first_name": name}
    update = {
        "update_id": number,
        "message": {
            "message_id": number,
            "date": int(time.time()),
            "chat": {"id": chat, "type": "private"},
            "from": person,
            "text": text,
        },
    }
    return json.dumps(update).encode(), {**_JSON, "x-telegram-bot-api-secret-token": SECRET}


def _whatsapp(chat: int, text: str, name: str, number: int, _details: Mapping[str, str]) -> _Made:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "155500001", "phone_number_id": "155500001"},
        "contacts": [{"profile": {"name": name}, "wa_id": str(chat)}],
        "messages": [
            {
                "from": str(chat),
                "id": f"wamid.{number}",
                "timestamp": str(int(time.time())),
                "type": "text",
                "text": {"body": text},
            }
        ],
    }
    update = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
    }
    body = json.dumps(update).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return body, {**_JSON, "x-hub-signature-256": f"sha256={digest}"}


def _livechat(chat: int, text: str, name: str, number: int, details: Mapping[str, str]) -> _Made:
    sent = {"message_id": str(number), "visitor_id": f"visitor-{chat:016d}", "text": text, "name": name, **details}
    return json.dumps(sent).encode(), dict(_JSON)


def _webform(chat: int, text: str, name: str, number: int, details: Mapping[str, str]) -> _Made:
    fields = {"name": name, "message": text, "submission_id": f"{chat}-{number}", **details}
    return urlencode(fields).encode(), {"content-type": "application/x-www-form-urlencoded"}


def _custom(chat: int, text: str, name: str, number: int, details: Mapping[str, str]) -> _Made:
    sent = {
        "id": str(number),
        "chat_id": f"chat-{chat}",
        "customer_id": f"customer-{chat}",
        "name": name,
        "text": text,
        **details,
    }
    body, now = json.dumps(sent).encode(), int(time.time())
    return body, {
        **_JSON,
        "webhook-id": f"msg_{number}",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(SECRET, f"msg_{number}", now, body),
    }


_MAKERS = {
    "telegram": _telegram,
    "whatsapp": _whatsapp,
    "livechat": _livechat,
    "webform": _webform,
    "custom": _custom,
}

KINDS = tuple(_MAKERS)

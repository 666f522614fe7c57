"""Webhook requests as the providers make them: their JSON, their ids, their signatures."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

import jwt

from loadgen.world import Act, Writing
from tracker.channels import Channel

Json = dict[str, object]
TOKEN_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request: POST to `/webhooks/{channel key}`."""

    path: str
    headers: Mapping[str, str]
    body: bytes


def webhook(channel: Channel, writing: Writing, written_at: float, now: float) -> Webhook:
    """The request that tells of a message. written_at, now: Unix seconds.

    Sent again, it differs in what a provider makes new for each try only (the signature's time).
    """
    headers, body = _MAKERS[channel.kind](channel, writing, int(written_at), int(now))
    return Webhook(f"/webhooks/{channel.key}", headers, body)


def standard_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature` of Standard Webhooks; the secret is base64 behind `whsec_`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


_Made = tuple[Mapping[str, str], bytes]
_JSON_TYPE = {"content-type": "application/json"}


def _dump(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _telegram(channel: Channel, writing: Writing, written_at: int, _now: int) -> _Made:
    person = writing.person
    user: Json = {
        "id": person.messenger_id,
        "is_bot": False,
        "first_name": person.given,
        "last_name": person.family,
        "language_code": person.country.language,
    }
    chat: Json = {"id": person.messenger_id, "type": "private", "first_name": person.given, "last_name": person.family}
    if writing.act is Act.WRITE_IN_GROUP:
        chat = {"id": -1001000000000 - person.messenger_id % 7, "type": "supergroup", "title": "Neighbours"}
    message: Json = {"message_id": writing.number, "from": user, "chat": chat, "date": written_at}
    if writing.act is Act.SHARE_CONTACT:
        message["contact"] = {
            "phone_number": person.phone.removeprefix("+"),
            "first_name": person.given,
            "last_name": person.family,
            "user_id": person.messenger_id,
        }
    else:
        message["text"] = writing.text
    body = _dump({"update_id": writing.number, "message": message})
    return {**_JSON_TYPE, "x-telegram-bot-api-secret-token": channel.secrets[0]}, body


def _whatsapp(channel: Channel, writing: Writing, written_at: int, _now: int) -> _Made:
    person = writing.person
    message: Json = {
        "from": person.whatsapp_id,
        "id": "wamid." + base64.b64encode(f"openchannel-{writing.number}".encode()).decode(),
        "timestamp": str(written_at),
        "type": "text",
        "text": {"body": writing.text},
    }
    if writing.act is Act.WRITE_IN_GROUP:
        message["group_id"] = f"group-{person.messenger_id % 7}"
    value: Json = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550000000", "phone_number_id": channel.account_id},
        "contacts": [{"profile": {"name": person.name}, "wa_id": person.whatsapp_id}],
        "messages": [message],
    }
    entry: Json = {"id": "demo-waba", "changes": [{"field": "messages", "value": value}]}
    body = _dump({"object": "whatsapp_business_account", "entry": [entry]})
    digest = hmac.new(channel.secrets[0].encode(), body, hashlib.sha256).hexdigest()
    return {**_JSON_TYPE, "x-hub-signature-256": f"sha256={digest}"}, body


def _livechat(channel: Channel, writing: Writing, written_at: int, now: int) -> _Made:
    person = writing.person
    message: Json = {
        "message_id": f"m-{writing.number}",
        "visitor_id": person.code,
        "text": writing.text,
        "name": person.given,
        "page_url": "https://shop.example/blue",
        "sent_at": _iso(written_at),
        **_details(writing),
    }
    if person.signs_in:
        claims = {"sub": person.code, "exp": now + TOKEN_SECONDS, "name": person.name, "email": person.email}
        message["identity_token"] = jwt.encode(claims, channel.secrets[0], algorithm="HS256")
    return _JSON_TYPE, _dump(message)


def _webform(_channel: Channel, writing: Writing, _written_at: int, _now: int) -> _Made:
    fields = {
        "name": writing.person.given,
        "surname": writing.person.family,
        "message": writing.text,
        "submission_id": f"s-{writing.number}",
        **_details(writing),
    }
    return {"content-type": "application/x-www-form-urlencoded"}, urlencode(fields).encode()


def _custom(channel: Channel, writing: Writing, written_at: int, now: int) -> _Made:
    person = writing.person
    message: Json = {
        "id": f"m-{writing.number}",
        "chat_id": f"c-{person.code}",
        "customer_id": f"u-{person.code}",
        "name": person.name,
        "text": writing.text,
        "evidence": "proven",
        "sent_at": _iso(written_at),
        **_details(writing),
    }
    body, delivery = _dump({"messages": [message]}), f"msg_{writing.number}"
    headers = {
        **_JSON_TYPE,
        "webhook-id": delivery,
        "webhook-timestamp": str(now),
        "webhook-signature": standard_signature(channel.secrets[0], delivery, now, body),
    }
    return headers, body


def _details(writing: Writing) -> dict[str, str]:
    given = {}
    if writing.gives_phone:
        given["phone"] = writing.person.written_phone
    if writing.gives_email:
        given["email"] = writing.person.email
    return given


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


_MAKERS: Mapping[str, Callable[[Channel, Writing, int, int], _Made]] = {
    "telegram": _telegram,
    "whatsapp": _whatsapp,
    "livechat": _livechat,
    "webform": _webform,
    "custom": _custom,
}

KINDS = frozenset(_MAKERS)
"""Kinds of channels over which synthetic customers can write."""

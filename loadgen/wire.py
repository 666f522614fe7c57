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

from loadgen.people import Person
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
    body = body_of(channel, writing, written_at, now)
    return Webhook(f"/webhooks/{channel.key}", headers_of(channel, f"msg_{writing.number}", body, now), body)


def body_of(channel: Channel, writing: Writing, written_at: float, now: float) -> bytes:
    """The body of that request. now: counts only where the customer signs in, for how long his token holds."""
    return _MAKERS[channel.kind](channel, writing, int(written_at), int(now))


def headers_of(channel: Channel, delivery: str, body: bytes, now: float) -> Mapping[str, str]:
    """The headers under which the provider sends a body, signature included. delivery: the same for each try."""
    if channel.kind == "webform":
        return {"content-type": "application/x-www-form-urlencoded"}
    signature = _SIGNERS[channel.kind](channel, delivery, body, int(now)) if channel.kind in _SIGNERS else {}
    return {"content-type": "application/json", **signature}


def message_id(kind: str, number: int) -> str:
    """What the provider calls a message, by the kind of its channel."""
    match kind:
        case "telegram":
            return str(number)
        case "whatsapp":
            return "wamid." + base64.b64encode(f"openchannel-{number}".encode()).decode()
        case "webform":
            return f"s-{number}"
        case _:
            return f"m-{number}"


def chat_id(kind: str, person: Person) -> str:
    """What the provider calls his conversation; of a form, which has none, his code."""
    match kind:
        case "telegram":
            return str(person.messenger_id)
        case "whatsapp":
            return person.whatsapp_id
        case "custom":
            return f"c-{person.code}"
        case _:
            return person.code


def standard_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature` of Standard Webhooks; the secret is base64 behind `whsec_`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _dump(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _telegram(_channel: Channel, writing: Writing, written_at: int, _now: int) -> bytes:
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
    if writing.act is Act.WRITE_AS_BOT:
        user["is_bot"] = True
    message: Json = {"message_id": writing.number, "from": user, "chat": chat, "date": written_at}
    if writing.act is Act.EDIT:
        edited = {**message, "message_id": writing.about, "edit_date": written_at, "text": writing.text}
        return _dump({"update_id": writing.number, "edited_message": edited})
    if writing.act is Act.SHARE_CONTACT:
        message["contact"] = {
            "phone_number": person.phone.removeprefix("+"),
            "first_name": person.given,
            "last_name": person.family,
            "user_id": person.messenger_id,
        }
    elif writing.act is Act.SEND_PICTURE:
        message["media_group_id"] = f"album-{writing.about}"
        message["photo"] = [{"file_id": f"photo-{writing.number}", "width": 800, "height": 600, "file_size": 48211}]
        if writing.text:
            message["caption"] = writing.text
    else:
        message["text"] = writing.text
    return _dump({"update_id": writing.number, "message": message})


def _whatsapp(channel: Channel, writing: Writing, written_at: int, _now: int) -> bytes:
    person = writing.person
    message: Json = {
        "from": person.whatsapp_id,
        "id": message_id("whatsapp", writing.number),
        "timestamp": str(written_at),
        "type": "text",
        "text": {"body": writing.text},
    }
    if writing.act is Act.SEND_PICTURE:
        del message["text"]
        picture = {"id": f"media-{writing.number}", "mime_type": "image/jpeg"}
        message |= {"type": "image", "image": {**picture, "caption": writing.text} if writing.text else picture}
    if writing.act is Act.WRITE_IN_GROUP:
        message["group_id"] = f"group-{person.messenger_id % 7}"
    value: Json = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550000000", "phone_number_id": channel.account_id},
        "contacts": [{"profile": {"name": person.name}, "wa_id": person.whatsapp_id}],
        "messages": [message],
    }
    entry: Json = {"id": "demo-waba", "changes": [{"field": "messages", "value": value}]}
    return _dump({"object": "whatsapp_business_account", "entry": [entry]})


def _livechat(channel: Channel, writing: Writing, written_at: int, now: int) -> bytes:
    person = writing.person
    message: Json = {
        "message_id": message_id("livechat", writing.number),
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
    return _dump(message)


def _webform(_channel: Channel, writing: Writing, _written_at: int, _now: int) -> bytes:
    fields = {
        "name": writing.person.given,
        "surname": writing.person.family,
        "message": writing.text,
        "submission_id": message_id("webform", writing.number),
        **_details(writing),
    }
    return urlencode(fields).encode()


def _custom(_channel: Channel, writing: Writing, written_at: int, _now: int) -> bytes:
    person = writing.person
    message: Json = {
        "id": message_id("custom", writing.number),
        "chat_id": chat_id("custom", person),
        "customer_id": f"u-{person.code}",
        "name": person.name,
        "text": writing.text,
        "evidence": "proven",
        "sent_at": _iso(written_at),
        **_details(writing),
    }
    if writing.act is Act.EDIT:
        message |= {"kind": "edit", "target": message_id("custom", writing.about)}
    return _dump({"messages": [message]})


def _details(writing: Writing) -> dict[str, str]:
    given = {}
    if writing.gives_phone:
        given["phone"] = writing.person.written_phone
    if writing.gives_email:
        given["email"] = writing.person.email
    return given


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


_MAKERS: Mapping[str, Callable[[Channel, Writing, int, int], bytes]] = {
    "telegram": _telegram,
    "whatsapp": _whatsapp,
    "livechat": _livechat,
    "webform": _webform,
    "custom": _custom,
}


def _sign_telegram(channel: Channel, _delivery: str, _body: bytes, _now: int) -> Mapping[str, str]:
    return {"x-telegram-bot-api-secret-token": channel.secrets[0]}


def _sign_whatsapp(channel: Channel, _delivery: str, body: bytes, _now: int) -> Mapping[str, str]:
    digest = hmac.new(channel.secrets[0].encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={digest}"}


def _sign_custom(channel: Channel, delivery: str, body: bytes, now: int) -> Mapping[str, str]:
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(now),
        "webhook-signature": standard_signature(channel.secrets[0], delivery, now, body),
    }


_SIGNERS: Mapping[str, Callable[[Channel, str, bytes, int], Mapping[str, str]]] = {
    "telegram": _sign_telegram,
    "whatsapp": _sign_whatsapp,
    "custom": _sign_custom,
}

KINDS = frozenset(_MAKERS)
"""Kinds of channels over which synthetic customers can write."""

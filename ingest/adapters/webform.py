"""Web forms: what a visitor filled in, posted by the browser or by the site's own script (docs/adapters.md)."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar
from urllib.parse import quote

from ingest.adapters.base import PUBLIC_BODY_LIMIT, AdapterDefaults, Reply, Slice, WebhookRequest
from ingest.adapters.envelope import Envelope
from ingest.adapters.form_fields import Fields, read_fields
from ingest.adapters.reading import an_object, fingerprint, mapping, text
from tracker.channels import Channel
from tracker.identifiers import Evidence, Identifier, email, phone
from tracker.messages import InboundMessage, MessageKind

FIELDS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "first_name", "firstname", "first-name", "your-name", "fullname", "full_name"),
    "surname": ("surname", "last_name", "lastname", "last-name"),
    "phone": ("phone", "tel", "telephone", "mobile", "phone_number", "your-phone", "your-tel"),
    "email": ("email", "e-mail", "mail", "your-email"),
    "message": ("message", "text", "comment", "comments", "question", "your-message"),
    "submission_id": ("submission_id",),
}
"""What each of our fields is called on forms, compared without case; `config["fields"]` says so for a channel."""

REPEAT_WITHIN = 24 * 3600
"""Seconds in which the same content without a `submission_id` is one submission."""

_JSON = "application/json"

_OF_URLS = ":/?#[]@!$&'()*+,;=%"
"""What an address keeps as it is (RFC 3986); letters of other scripts, and line ends, are not for a header."""


class WebForm(AdapterDefaults):
    """A public form: nothing proves who filled it in, and all that it says is typed (T3)."""

    kind: ClassVar[str] = "webform"
    content_types: ClassVar[frozenset[str]] = frozenset(
        {"application/x-www-form-urlencoded", "multipart/form-data", _JSON}
    )
    from_browsers: ClassVar[bool] = True
    body_limit: ClassVar[int] = PUBLIC_BODY_LIMIT

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """Anybody may submit; a honeypot field sorts out robots."""

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """The submission: its fields by name."""
        return [read_fields(request.headers.get("content-type", ""), request.body)]

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """A lead. What a robot filled in, or nobody, is ignored."""
        fields = {name: text(value) for name, value in an_object(event, "form").items()}
        known, others = _sort(fields, channel)
        its_phone = phone(known["phone"], Evidence.TYPED, channel.region)
        its_email = email(known["email"], Evidence.TYPED)
        submission = known["submission_id"] or _content_id(fields, received_at)
        chat_id = _sender(its_email or its_phone) or f"submission:{submission}"
        # The sender is part of the key: nobody can use up the submission ids of somebody else.
        envelope = Envelope(channel, channel.account_id, f"{chat_id}:{submission}", received_at)
        if _by_robot(fields, channel) or not any(fields.values()):
            return envelope.message(MessageKind.IGNORED, submission)
        unread = {name: known[name] for name, read in (("phone", its_phone), ("email", its_email)) if not read}
        return envelope.message(
            MessageKind.LEAD,
            submission,
            chat_id=chat_id,
            customer_id=chat_id,
            name=f"{known['name']} {known['surname']}",
            text=_text(known["message"], {**unread, **others}),
            identifiers=[its_phone, its_email],
        )

    def accepted(self, request: WebhookRequest, channel: Channel) -> Reply:
        """To `config["redirect_to"]` where a browser posted the form itself; a script gets JSON."""
        target = text(channel.config.get("redirect_to"))
        by_script = request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON
        if target and not by_script:
            return Reply(status=303, headers={"location": quote(target, safe=_OF_URLS)})
        return Reply(body='{"ok":true}', content_type=_JSON)


def _sort(fields: Fields, channel: Channel) -> tuple[defaultdict[str, str], Fields]:
    """The fields that have a meaning, by our name of it (empty where the form has none), and the others."""
    ours = _meanings(channel)
    known: defaultdict[str, str] = defaultdict(str)
    others: Fields = {}
    for name, value in fields.items():
        meaning = ours.get(name.casefold())
        if meaning and meaning not in known:
            known[meaning] = value.strip()
        else:
            others[name] = value
    return known, others


def _meanings(channel: Channel) -> dict[str, str]:
    """Our name of a field by the form's. Those of the channel's `config["fields"]` replace the defaults."""
    configured = mapping(channel.config.get("fields"))
    meanings: dict[str, str] = {}
    for ours, defaults in FIELDS.items():
        theirs = configured.get(ours, defaults)
        for name in [theirs] if isinstance(theirs, str) else theirs if isinstance(theirs, list | tuple) else ():
            meanings[text(name).casefold()] = ours
    return meanings


def _by_robot(fields: Fields, channel: Channel) -> bool:
    """Whether the honeypot is filled in: a field that people do not see."""
    honeypot = text(channel.config.get("honeypot"))
    return bool(honeypot and fields.get(honeypot))


def _text(message: str, others: Fields) -> str:
    lines = [message, *(f"{name}: {value}" for name, value in others.items() if value.strip())]
    return "\n".join(line for line in lines if line)


def _sender(identifier: Identifier | None) -> str:
    """The chat of who gives the same e-mail or phone again. A hash, so that the id itself tells nothing."""
    return f"sender:{hashlib.sha256(identifier.key.encode()).hexdigest()[:32]}" if identifier else ""


def _content_id(fields: Fields, received_at: datetime) -> str:
    """An id for a submission without one: its content, and the period of REPEAT_WITHIN that it falls in.

    So a double click is one lead, and the same words next week are a new one. Each content has periods of its own:
    if all changed at midnight, all double clicks across midnight would count twice.
    """
    digest = fingerprint(fields)
    offset = int(digest[:8], 16) % REPEAT_WITHIN
    period = int(received_at.timestamp() + offset) // REPEAT_WITHIN
    return f"content:{digest[:32]}:{period}"

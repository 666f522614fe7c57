"""Telegram bots (Bot API, https://core.telegram.org/bots/api#update)."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import ClassVar

from ingest.adapters.base import AdapterDefaults, ParseError, Slice, WebhookRequest, load_json
from ingest.adapters.envelope import Envelope
from ingest.adapters.reading import Json, an_object, instant, mapping, mappings, number, required, size, text
from ingest.adapters.signatures import check_token, secrets_of, signature_header
from tracker.channels import Channel
from tracker.identifiers import Evidence, Identifier, messenger, phone_from_digits
from tracker.messages import CUSTOMER_KINDS, Attachment, InboundMessage, MessageKind

NAMESPACE = "telegram"
"""A user's id is the same for all bots (T2)."""

FILES = {
    # An animation carries a `document` too, so it is looked for first.
    "animation": "video",
    "video": "video",
    "video_note": "video",
    "audio": "audio",
    "voice": "voice",
    "document": "document",
    "sticker": "sticker",
}

SERVICE = frozenset(
    """
    new_chat_members left_chat_member new_chat_title new_chat_photo delete_chat_photo group_chat_created
    supergroup_chat_created channel_chat_created message_auto_delete_timer_changed migrate_to_chat_id
    migrate_from_chat_id pinned_message successful_payment refunded_payment users_shared chat_shared gift
    unique_gift gift_upgrade_sent connected_website write_access_allowed passport_data proximity_alert_triggered
    boost_added chat_background_set checklist_tasks_done checklist_tasks_added direct_message_price_changed
    forum_topic_created forum_topic_edited forum_topic_closed forum_topic_reopened giveaway_created
    giveaway_completed paid_message_price_changed suggested_post_approved suggested_post_approval_failed
    suggested_post_declined suggested_post_paid suggested_post_refunded video_chat_scheduled video_chat_started
    video_chat_ended video_chat_participants_invited
    """.split()  # noqa: SIM905 - as a list it would be fifty lines
)
"""Fields that make a message a note of Telegram's about the chat, not something that a customer wrote."""

_START = "/start "


class Telegram(AdapterDefaults):
    """One update per request, proved by the secret token of `setWebhook`."""

    kind: ClassVar[str] = "telegram"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json"})

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """`X-Telegram-Bot-Api-Secret-Token` is one of the channel's secrets."""
        check_token(signature_header(request, "x-telegram-bot-api-secret-token"), secrets_of(channel))

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """The update; one that deletes several messages is cut into one for each."""
        update = an_object(load_json(request.body), "update")
        deleted = mapping(update.get("deleted_business_messages"))
        message_ids = deleted.get("message_ids")
        if not isinstance(message_ids, list) or not message_ids:
            return [update]
        return [{**update, "deleted_business_messages": {**deleted, "message_ids": [one]}} for one in message_ids]

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """An update of a kind that is not known is ignored. Raises ParseError for one that lacks its ids."""
        update = an_object(event, "update")
        update_id = update.get("update_id")
        if not isinstance(update_id, int) or isinstance(update_id, bool):
            raise ParseError("update_id is missing or not a number")
        kind = next((name for name in update if name in _READERS), None)
        content = an_object(update[kind], kind) if kind else {}
        envelope = Envelope(channel, channel.account_id, f"update:{update_id}", received_at)
        if kind is None:
            return envelope.message(MessageKind.IGNORED, envelope.key)
        return _READERS[kind](envelope, content)


def _read_message(envelope: Envelope, message: Json) -> InboundMessage:
    chat = mapping(message.get("chat"))
    kind = _kind_of_sender(message) or _kind_of_content(message)
    forwarded = any(field.startswith("forward_") for field in message)
    written = _text(message)
    return envelope.message(
        kind,
        required(message, "message_id"),
        chat_id=required(chat, "id"),
        customer_id=text(_sender(message).get("id")),
        name=_name(_sender(message)),
        text=written,
        attachments=_attachments(message),
        identifiers=_identifiers(message, forwarded) if kind in CUSTOMER_KINDS else (),
        sent_at=instant(message.get("date")),
        reply_to=text(mapping(message.get("reply_to_message")).get("message_id")),
        referral=written.removeprefix(_START).strip() if written.startswith(_START) else "",
        forwarded=forwarded,
    )


def _read_edit(envelope: Envelope, message: Json) -> InboundMessage:
    message_id = required(message, "message_id")
    return envelope.message(
        _kind_of_sender(message) or MessageKind.EDIT,
        message_id,
        chat_id=required(mapping(message.get("chat")), "id"),
        customer_id=text(_sender(message).get("id")),
        name=_name(_sender(message)),
        text=_text(message),
        attachments=_attachments(message),
        sent_at=instant(message.get("edit_date")),
        target=message_id,
    )


def _read_deletion(envelope: Envelope, deletion: Json) -> InboundMessage:
    message_ids = deletion.get("message_ids")
    message_id = text(message_ids[0]) if isinstance(message_ids, list) and message_ids else ""
    chat = mapping(deletion.get("chat"))
    split = Envelope(envelope.channel, envelope.account_id, f"{envelope.key}:{message_id}", envelope.received_at)
    return split.message(
        _group(chat) or MessageKind.DELETE, message_id, chat_id=required(chat, "id"), target=message_id
    )


def _read_button(envelope: Envelope, query: Json) -> InboundMessage:
    sender = mapping(query.get("from"))
    message = mapping(query.get("message"))
    # Under a message that was sent inline, or is too old, Telegram tells no chat: then it is the sender's.
    chat = mapping(message.get("chat")) or {"id": sender.get("id"), "type": "private"}
    group = _group(chat)
    return envelope.message(
        group or MessageKind.BUTTON,
        required(query, "id"),
        chat_id=required(chat, "id"),
        customer_id=required(sender, "id"),
        name=_name(sender),
        text=text(query.get("data")) or text(query.get("game_short_name")),
        identifiers=() if group else [messenger(NAMESPACE, required(sender, "id"))],
        reply_to=text(message.get("message_id")),
    )


def _read_reaction(envelope: Envelope, reaction: Json) -> InboundMessage:
    chat = mapping(reaction.get("chat"))
    return envelope.message(
        _group(chat) or MessageKind.REACTION,
        envelope.key,
        chat_id=required(chat, "id"),
        customer_id=text(mapping(reaction.get("user")).get("id")),
        text="".join(text(one.get("emoji")) for one in mappings(reaction.get("new_reaction"))),
        sent_at=instant(reaction.get("date")),
        target=required(reaction, "message_id"),
    )


def _read_membership(envelope: Envelope, change: Json) -> InboundMessage:
    # `kicked` in a private chat: the customer has blocked the bot.
    chat = mapping(change.get("chat"))
    return envelope.message(
        _group(chat) or MessageKind.LIFECYCLE,
        envelope.key,
        chat_id=required(chat, "id"),
        customer_id=text(mapping(change.get("from")).get("id")),
        text=text(mapping(change.get("new_chat_member")).get("status")),
        sent_at=instant(change.get("date")),
    )


def _read_group_event(envelope: Envelope, content: Json) -> InboundMessage:
    return envelope.message(
        MessageKind.GROUP, envelope.key, chat_id=text(mapping(content.get("chat")).get("id")), text=_text(content)
    )


_READERS: Mapping[str, Callable[[Envelope, Json], InboundMessage]] = {
    "message": _read_message,
    "business_message": _read_message,
    "edited_message": _read_edit,
    "edited_business_message": _read_edit,
    "deleted_business_messages": _read_deletion,
    "callback_query": _read_button,
    "message_reaction": _read_reaction,
    "my_chat_member": _read_membership,
    "channel_post": _read_group_event,
    "edited_channel_post": _read_group_event,
    "chat_member": _read_group_event,
    "chat_join_request": _read_group_event,
}


def _group(chat: Json) -> MessageKind | None:
    return None if chat.get("type") == "private" else MessageKind.GROUP


def _sender(message: Json) -> Json:
    return mapping(message.get("from")) or mapping(message.get("chat"))


def _kind_of_sender(message: Json) -> MessageKind | None:
    """The kind of what no customer has sent, None for what one has (C5)."""
    chat, sender = mapping(message.get("chat")), _sender(message)
    if "sender_chat" in message or _group(chat):
        return MessageKind.GROUP
    # In a business account's private chat both sides' messages come; the customer's have the chat's own id.
    if text(sender.get("id")) != text(chat.get("id")):
        return MessageKind.ECHO
    return MessageKind.AUTOMATIC if sender.get("is_bot") is True else None


def _kind_of_content(message: Json) -> MessageKind:
    if "text" in message:
        return MessageKind.TEXT
    if "sticker" in message:
        return MessageKind.STICKER
    if "photo" in message or not FILES.keys().isdisjoint(message):
        return MessageKind.MEDIA
    if "contact" in message:
        return MessageKind.CONTACT
    if "location" in message or "venue" in message:
        return MessageKind.LOCATION
    if "web_app_data" in message:
        return MessageKind.BUTTON
    return MessageKind.UNSUPPORTED if SERVICE.isdisjoint(message) else MessageKind.SYSTEM


def _text(message: Json) -> str:
    return (
        text(message.get("text"))
        or text(message.get("caption"))
        or text(mapping(message.get("sticker")).get("emoji"))
        or text(mapping(message.get("web_app_data")).get("data"))
    )


def _name(user: Json) -> str:
    return f"{text(user.get('first_name'))} {text(user.get('last_name'))}"


def _identifiers(message: Json, forwarded: bool) -> list[Identifier | None]:
    sender_id = text(_sender(message).get("id"))
    found: list[Identifier | None] = [messenger(NAMESPACE, sender_id)]
    contact = mapping(message.get("contact"))
    # T3: the card of somebody else, or one that was passed on, proves nothing about the sender.
    if not forwarded and sender_id and text(contact.get("user_id")) == sender_id:
        found.append(phone_from_digits(text(contact.get("phone_number")), Evidence.PROVEN))
    return found


def _attachments(message: Json) -> list[Attachment]:
    found = [_file(kind, mapping(message[field])) for field, kind in FILES.items() if field in message][:1]
    if photos := mappings(message.get("photo")):
        # The same picture in several sizes, the largest last.
        found.append(_file("image", photos[-1]))
    if contact := mapping(message.get("contact")):
        found.append(Attachment(kind="contact", name=_name(contact), url=f"tel:{text(contact.get('phone_number'))}"))
    if place := mapping(message.get("venue")) or mapping(message.get("location")):
        found.append(_place(place))
    return found


def _file(kind: str, file: Json) -> Attachment:
    return Attachment(
        kind=kind,
        id=text(file.get("file_id")),
        mime=text(file.get("mime_type")),
        name=text(file.get("file_name")),
        size=size(file.get("file_size")),
    )


def _place(place: Json) -> Attachment:
    point = mapping(place.get("location")) or place
    return Attachment(
        kind="location",
        name=text(place.get("title")),
        latitude=number(point.get("latitude")),
        longitude=number(point.get("longitude")),
    )

"""What a message of Meta's Messenger Platform contains."""

from ingest.adapters.reading import Json, mapping, mappings, number, text
from tracker.messages import Attachment, MessageKind

FILES = {"image": "image", "video": "video", "audio": "audio", "file": "document", "reel": "video", "ig_reel": "video"}
"""By `type`; the kind of attachments that are files."""

_UNSUPPORTED = "unsupported_type"


def kind_of(message: Json) -> MessageKind:
    """The kind of a message that was not deleted."""
    if message.get("is_echo") is True:
        return MessageKind.ECHO
    if message.get("is_unsupported") is True:
        return MessageKind.UNSUPPORTED
    if "quick_reply" in message:
        return MessageKind.BUTTON
    types = {_type(attachment) for attachment in mappings(message.get("attachments"))}
    if "sticker_id" in message or types == {"sticker"}:
        return MessageKind.STICKER
    if types == {"location"}:
        return MessageKind.LOCATION
    if types - {_UNSUPPORTED}:
        return MessageKind.MEDIA
    return MessageKind.TEXT if text(message.get("text")) else MessageKind.UNSUPPORTED


def referral_of(referral: Json) -> str:
    """What brought the customer: the link's parameter, or the advertisement."""
    return text(referral.get("ref")) or text(referral.get("ad_id")) or text(referral.get("source"))


def attachments_of(message: Json) -> list[Attachment]:
    """The attachments, and the story that a message answers."""
    found = [_attachment(attachment) for attachment in mappings(message.get("attachments"))]
    if story := mapping(mapping(message.get("reply_to")).get("story")):
        found.append(Attachment(kind="other", name="story", id=text(story.get("id")), url=text(story.get("url"))))
    return found


def _type(attachment: Json) -> str:
    is_sticker = "sticker_id" in mapping(attachment.get("payload"))
    return "sticker" if is_sticker else text(attachment.get("type"))


def _attachment(attachment: Json) -> Attachment:
    payload, kind = mapping(attachment.get("payload")), _type(attachment)
    point = mapping(payload.get("coordinates"))
    return Attachment(
        kind=kind if kind in {"sticker", "location"} else FILES.get(kind, "other"),
        id=text(payload.get("sticker_id")) or text(payload.get("attachment_id")),
        url=text(payload.get("url")) or text(attachment.get("url")),
        name=text(attachment.get("title")) or text(payload.get("title")),
        latitude=number(point.get("lat")),
        longitude=number(point.get("long")),
    )

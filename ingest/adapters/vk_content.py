"""What a message of VK contains (https://dev.vk.com/reference/objects/attachments-message)."""

from ingest.adapters.reading import Json, integer, mapping, mappings, number, size, text
from tracker.messages import Attachment, MessageKind

FILES = {
    "photo": "image",
    "graffiti": "image",
    "video": "video",
    "audio": "audio",
    "audio_message": "voice",
    "doc": "document",
    "sticker": "sticker",
}
"""By `type`; all else (links, posts, goods, gifts) is something else that was shared."""


def kind_of_content(message: Json) -> MessageKind:
    """The kind of a customer's message."""
    if message.get("action"):
        return MessageKind.SYSTEM
    # The text button of a keyboard sends its label, with what stands behind it.
    if message.get("payload"):
        return MessageKind.BUTTON
    types = {text(attachment.get("type")) for attachment in mappings(message.get("attachments"))}
    if types == {"sticker"}:
        return MessageKind.STICKER
    if types:
        return MessageKind.MEDIA
    if mapping(message.get("geo")):
        return MessageKind.LOCATION
    has_text = text(message.get("text")) or mappings(message.get("fwd_messages"))
    return MessageKind.TEXT if has_text else MessageKind.UNSUPPORTED


def attachments_of(message: Json) -> list[Attachment]:
    """Files, what was shared, and the place."""
    found = [_attachment(attachment) for attachment in mappings(message.get("attachments"))]
    if place := mapping(message.get("geo")):
        point = mapping(place.get("coordinates"))
        found.append(
            Attachment(
                kind="location",
                name=text(mapping(place.get("place")).get("title")),
                latitude=number(point.get("latitude")),
                longitude=number(point.get("longitude")),
            )
        )
    return found


def _attachment(attachment: Json) -> Attachment:
    kind = text(attachment.get("type"))
    file = mapping(attachment.get(kind))
    own_id = "_".join(part for part in (text(file.get("owner_id")), text(file.get("id"))) if part)
    return Attachment(
        kind=FILES.get(kind, "other"),
        id=text(file.get("sticker_id")) or own_id,
        url=_url(file),
        name=text(file.get("title")),
        size=size(file.get("size")),
    )


def _url(file: Json) -> str:
    # A photo comes in several sizes, in no order.
    pictures = mappings(file.get("sizes")) or mappings(file.get("images"))
    largest = max(pictures, key=lambda picture: integer(picture.get("width")) or 0, default={})
    direct = (text(file.get(name)) for name in ("url", "link_mp3", "link_ogg"))
    return next((url for url in direct if url), "") or text(mapping(largest).get("url"))

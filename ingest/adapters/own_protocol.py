"""What the JSON protocols of our own channels (live chat, custom) have in common; docs/adapters.md describes them."""

from ingest.adapters.reading import Json, mappings, number, size, text
from tracker.identifiers import Evidence, Identifier, email, phone
from tracker.messages import Attachment

MOST_ATTACHMENTS = 20


def contact_details(source: Json, evidence: Evidence, region: str | None) -> list[Identifier | None]:
    """The `phone` and `email` of an event, as far as they are any."""
    return [phone(text(source.get("phone")), evidence, region), email(text(source.get("email")), evidence)]


def attachments(value: object) -> list[Attachment]:
    """The `attachments` of an event: the first MOST_ATTACHMENTS, and no address that a browser would run."""
    return [_attachment(item) for item in mappings(value)[:MOST_ATTACHMENTS]]


def _attachment(item: Json) -> Attachment:
    url = text(item.get("url"))
    return Attachment(
        kind=text(item.get("kind")) or "other",
        id=text(item.get("id")),
        url=url if url.lower().startswith(("https://", "http://")) else "",
        mime=text(item.get("mime")),
        name=text(item.get("name")),
        size=size(item.get("size")),
        latitude=number(item.get("latitude")),
        longitude=number(item.get("longitude")),
    )

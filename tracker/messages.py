"""The normalised inbound message: the one form in which all channels reach the pipeline."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, FiniteFloat, StringConstraints, model_validator

from tracker.identifiers import Identifier
from tracker.texts import Name, Text

EARLIEST_SENT_AT = datetime(2005, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(days=1)


class MessageKind(StrEnum):
    """What an event of a channel is. Only those of CUSTOMER_KINDS may make a customer, a card or a dialog (C5)."""

    TEXT = "text"
    MEDIA = "media"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACT = "contact"
    BUTTON = "button"
    ORDER = "order"
    EMAIL = "email"
    LEAD = "lead"
    UNSUPPORTED = "unsupported"

    EDIT = "edit"
    DELETE = "delete"
    REACTION = "reaction"

    REFERRAL = "referral"
    STATUS = "status"
    ECHO = "echo"
    SYSTEM = "system"
    LIFECYCLE = "lifecycle"
    HISTORY = "history"
    AUTOMATIC = "automatic"
    GROUP = "group"
    IGNORED = "ignored"


CUSTOMER_KINDS = frozenset(
    {
        MessageKind.TEXT,
        MessageKind.MEDIA,
        MessageKind.STICKER,
        MessageKind.LOCATION,
        MessageKind.CONTACT,
        MessageKind.BUTTON,
        MessageKind.ORDER,
        MessageKind.EMAIL,
        MessageKind.LEAD,
        MessageKind.UNSUPPORTED,
    }
)
"""Messages of a customer: they make a customer, a card and a dialog."""

CHANGE_KINDS = frozenset({MessageKind.EDIT, MessageKind.DELETE, MessageKind.REACTION})
"""They change a message that is there, and make nothing (C5). All other kinds are kept and ignored."""

ID_LENGTH = 512
ExternalId = Annotated[Text, StringConstraints(min_length=1, max_length=ID_LENGTH)]
OptionalId = Annotated[Text, StringConstraints(max_length=ID_LENGTH)]


class Attachment(BaseModel):
    """A file or a place that came with a message. The file itself stays with the provider.

    kind: image, video, audio, voice, document, sticker, location, contact or other.
    id: the provider's id of the file; url: where it can be fetched, if the provider says so; size: bytes.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    kind: Text
    id: Text = ""
    url: Text = ""
    mime: Text = ""
    name: Text = ""
    size: int | None = None
    latitude: FiniteFloat | None = None
    longitude: FiniteFloat | None = None


class InboundMessage(BaseModel):
    """One event of a channel, normalised by its adapter.

    channel: key of the channel that it came in by. account_id: the provider's id of the connected account.
    external_id: the provider's id of the message, empty where it gives none (a click).
    key: what makes a repeated delivery recognisable, unique per
    channel (for an edit it differs from the message's own). chat_id: the external conversation, and the address
    to answer to (T12 keeps it raw). customer_id: the sender. target: the message that an edit, a deletion or a
    reaction is about. forwarded: its text is not the customer's own, so it is no evidence (T3). referral: what
    brought the customer here. sent_at: the provider's time; received_at: ours; both aware, UTC.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    channel: Text
    account_id: Text = ""
    kind: MessageKind
    external_id: OptionalId
    key: ExternalId
    chat_id: OptionalId = ""
    customer_id: OptionalId = ""
    name: Name = ""
    text: Text = ""
    attachments: tuple[Attachment, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    sent_at: AwareDatetime
    received_at: AwareDatetime
    reply_to: Text = ""
    target: Text = ""
    referral: Text = ""
    forwarded: bool = False

    @property
    def from_customer(self) -> bool:
        """Whether it may make a customer, a card or a dialog (C5)."""
        return self.kind in CUSTOMER_KINDS

    @model_validator(mode="before")
    @classmethod
    def _sensible_time(cls, values: Any) -> Any:
        # An absurd time of the provider (a clock in 1970, or next year) would sort the history wrongly.
        if isinstance(values, dict) and not _is_sensible(values.get("sent_at"), values.get("received_at")):
            return {**values, "sent_at": values["received_at"]}
        return values

    @model_validator(mode="after")
    def _customer_has_chat(self) -> Self:
        if (self.from_customer or self.kind in CHANGE_KINDS) and not self.chat_id:
            raise ValueError("chat_id: a customer's message needs the conversation that it belongs to")
        return self


def _is_sensible(sent: object, received: object) -> bool:
    if not isinstance(received, datetime) or not (sent is None or isinstance(sent, datetime)):
        return True  # for pydantic to judge
    return sent is not None and EARLIEST_SENT_AT <= sent <= received + LATEST_AHEAD

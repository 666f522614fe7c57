"""What all messages made of one slice have in common, and the one place where they are made."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tracker.channels import Channel
from tracker.identifiers import Identifier, IdentifierKind
from tracker.messages import CHANGE_KINDS, CUSTOMER_KINDS, Attachment, InboundMessage, MessageKind


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where and when a slice came in. key: InboundMessage.key. account_id: InboundMessage.account_id."""

    channel: Channel
    account_id: str
    key: str
    received_at: datetime

    def message(
        self,
        kind: MessageKind,
        external_id: str,
        *,
        chat_id: str = "",
        customer_id: str = "",
        name: str = "",
        text: str = "",
        attachments: Iterable[Attachment] = (),
        identifiers: Iterable[Identifier | None] = (),
        sent_at: datetime | None = None,
        reply_to: str = "",
        target: str = "",
        referral: str = "",
        forwarded: bool = False,
    ) -> InboundMessage:
        """Fields as in InboundMessage. Without `sent_at` it is `received_at`.

        Of several identifiers with one key the first stays: adapters give the strongest evidence first. None is none.

        Raises ValueError (pydantic's) where a field breaks the contract of InboundMessage.
        """
        return InboundMessage(
            channel=self.channel.key,
            account_id=self.account_id,
            kind=kind,
            external_id=external_id,
            key=self.key,
            chat_id=chat_id,
            customer_id=customer_id,
            name=name,
            text=text,
            attachments=tuple(attachments),
            identifiers=_each_once(identifiers),
            sent_at=sent_at or self.received_at,
            received_at=self.received_at,
            reply_to=reply_to,
            target=target,
            referral=referral,
            forwarded=forwarded,
        )


def on_standby(kind: MessageKind) -> MessageKind:
    """The kind of what came while another app has the conversation: stored, and nothing follows from it."""
    return MessageKind.HISTORY if kind in CUSTOMER_KINDS or kind in CHANGE_KINDS else kind


def _each_once(identifiers: Iterable[Identifier | None]) -> tuple[Identifier, ...]:
    found: dict[tuple[IdentifierKind, str], Identifier] = {}
    for identifier in identifiers:
        if identifier is not None:
            found.setdefault((identifier.kind, identifier.key), identifier)
    return tuple(found.values())

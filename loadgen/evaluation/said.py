"""A message as the evaluation sees it: who really wrote it, where, and what it gives.

Nothing here, and nothing that the oracle uses, is code of the product.
"""

from dataclasses import dataclass
from datetime import datetime

import phonenumbers

WITHOUT_MESSENGER_ID = frozenset({"webform", "email"})
"""Kinds of channels that do not know who writes: each chat is only its address or its number."""

EVERYWHERE = frozenset({"telegram"})
"""Kinds whose ids are the same on all of their channels (T2)."""

EVIDENCE = ("proven", "signed", "typed")
"""T3, the strongest first."""


@dataclass(frozen=True, slots=True)
class Given:
    """An identifier as a message gives it. kind: phone or email. value: as written. evidence: one of EVIDENCE."""

    kind: str
    value: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    customer: who really wrote it; the product never learns it. channel: `kind`, or `kind/key` where there are several
    of a kind. chat: its id on the channel. name: what the channel calls the writer. identity: what the channel itself
    says, besides the messenger id. says: what the text gives, where the world knows it; None: to be read.
    trap: what makes this message hard, for the share of causes; empty for nothing.
    """

    customer: str
    channel: str
    chat: str
    sent_at: datetime
    name: str
    text: str
    identity: tuple[Given, ...] = ()
    says: tuple[Given, ...] | None = None
    trap: str = ""

    @property
    def chat_key(self) -> tuple[str, str]:
        """Which chat it belongs to."""
        return self.channel, self.chat

    @property
    def kind(self) -> str:
        """The kind of its channel."""
        return kind_of(self.channel)

    @property
    def messenger_id(self) -> str:
        """The sender's id in its namespace (T2); empty where the channel has none."""
        if self.kind in WITHOUT_MESSENGER_ID:
            return ""
        return f"{self.kind if self.kind in EVERYWHERE else self.channel}/{self.chat}"


def kind_of(channel: str) -> str:
    """`livechat` of `livechat/de`."""
    return channel.partition("/")[0]


def region_of(channel: str) -> str | None:
    """The country in which national numbers are read: the first part of the channel's key, if it is a country.

    `livechat/de` and `livechat/de-shop` are read as German; on `livechat` and `livechat/shop` only `+...` is a phone.
    """
    country = channel.partition("/")[2].partition("-")[0].upper()
    return country if country in phonenumbers.SUPPORTED_REGIONS else None

"""What is shown to the tracker, and what it answers: plain values, which `tracker.matching` reads and makes."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tracker.claims import Claim, Standing
from tracker.customers import PROVABLE, IdentifierKey, KnownCard, key_of
from tracker.identifiers import Evidence, Identifier


class ReviewCause(StrEnum):
    """Why a person is asked (T7, T8, T9)."""

    SUGGESTED = "suggested"
    EDITED = "edited"
    CONTRADICTION = "contradiction"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """What the open channel allows (T1, T8, T9)."""

    check_client_in_crm: bool = True
    chat_tracker: bool = True
    suggest_typed: bool = False
    max_claimants: int = 5


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one message tells of its customer. customer_id: his messenger id, or the chat's where there is none."""

    inbox_id: int
    chat_id: int
    name: str
    identifiers: tuple[Identifier, ...]
    at: datetime
    channel_kind: str = ""
    customer_id: str = ""

    @property
    def proofs(self) -> set[IdentifierKey]:
        """The phones and e-mails that the message proves."""
        return {key_of(i) for i in self.identifiers if i.kind in PROVABLE and i.evidence is Evidence.PROVEN}


@dataclass(slots=True)
class Knowledge:
    """All that is known of the identifiers that will be sighted.

    cards: of each customer who has one of them, or to whom a chat is bound, all cards. remembered: first phones (T5)
    with the card. apart: pairs of cards that a person keeps apart. detached: card and identifier that a person parted.
    standings: those that are not usual. claims: of the phones and e-mails (T9).
    """

    cards: Iterable[KnownCard] = ()
    remembered: Mapping[IdentifierKey, int] = field(default_factory=dict)
    apart: Collection[tuple[int, int]] = ()
    detached: Collection[tuple[int, IdentifierKey]] = ()
    standings: Mapping[IdentifierKey, Standing] = field(default_factory=dict)
    claims: Iterable[Claim] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """The identifier that binds a chat or merges two cards. evidence: the weaker of its two sides."""

    identifier: IdentifierKey
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a message belongs. bound_by: why its chat is bound to this card; empty if it was bound before.

    conflict: there are proofs that may contradict each other over a typed link; see `tracker.separation`. unfinished:
    identifiers of the message that still are to be remembered and to merge, when that is settled.
    """

    card_id: int
    bound_by: str = ""
    link: Link | None = None
    is_new: bool = False
    conflict: bool = False
    unfinished: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Addition:
    """A fact that is new on a card, or stronger than it was."""

    card_id: int
    chat_id: int
    identifier: Identifier
    inbox_id: int
    at: datetime
    rule: str


@dataclass(frozen=True, slots=True)
class Merge:
    """Two customers are one (T7). card_id: whose chat gave the link; other_id: on which it stood.

    loser_id, survivor_id: the live cards of that moment. link, chat_id, inbox_id: None where a person merges.
    """

    card_id: int
    other_id: int
    loser_id: int
    survivor_id: int
    link: Link | None
    chat_id: int | None
    inbox_id: int | None


@dataclass(frozen=True, slots=True)
class Review:
    """A person is asked whether two cards are one customer's, or (card_id None) whether an identifier is shared."""

    cause: ReviewCause
    card_id: int | None
    other_id: int | None
    link: Link
    chat_id: int
    inbox_id: int

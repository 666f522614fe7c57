"""Who claims a phone or an e-mail, and when it is too many people's to be anybody's (T9)."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tracker.customers import IdentifierKey


class Standing(StrEnum):
    """What is thought of an identifier. shared: it matches nobody. trusted: it matches, whoever claims it."""

    USUAL = "usual"
    SHARED = "shared"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class Claim:
    """A chat gave an identifier. name: as it is compared; customer_id: the messenger id."""

    identifier: IdentifierKey
    channel_kind: str
    name: str
    customer_id: str
    chat_id: int
    inbox_id: int


def compared_name(name: str) -> str:
    """A name as claims compare it: without regard to case, width of characters and spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


class Claims:
    """The claims that are counted: of one identifier and channel kind, each contradicts all others."""

    def __init__(self, counted: Iterable[Claim]) -> None:
        self._counted: dict[tuple[IdentifierKey, str], list[Claim]] = {}
        for claim in counted:
            self._counted.setdefault((claim.identifier, claim.channel_kind), []).append(claim)

    def count(self, claim: Claim) -> int | None:
        """Count a claim if it contradicts all that are counted; returns how many there are now, or None."""
        counted = self._counted.setdefault((claim.identifier, claim.channel_kind), [])
        if not claim.name or any(c.name == claim.name or c.customer_id == claim.customer_id for c in counted):
            return None
        counted.append(claim)
        return len(counted)

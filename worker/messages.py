"""Messages of claimed items, as the steps read them: our own JSON, which was checked before it was accepted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from crm_store import inbox
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem
from tracker.identifiers import Identifier
from tracker.messages import CUSTOMER_KINDS


@dataclass(frozen=True, slots=True)
class SaidText:
    """What identifies a customer in a message. from_customer, forwarded, identifiers: as in InboundMessage."""

    from_customer: bool
    forwarded: bool
    text: str
    identifiers: tuple[Identifier, ...]


def read_texts(connection: Connection, items: Sequence[ClaimedItem], carried: Mapping[int, str]) -> dict[int, SaidText]:
    """By inbox id; what the task carried unchanged is not read again."""
    messages = inbox.read_messages(connection, [item.inbox_id for item in items], carried)
    return {inbox_id: _load_text(message) for inbox_id, message in messages.items()}


def _load_text(message: str) -> SaidText:
    said = orjson.loads(message)
    return SaidText(
        from_customer=said["kind"] in CUSTOMER_KINDS,
        forwarded=said.get("forwarded", False),
        text=said.get("text", ""),
        identifiers=_identifiers(said.get("identifiers", ())),
    )


def dump_identifiers(identifiers: Iterable[Identifier]) -> list[dict[str, Any]]:
    """Identifiers as JSON values."""
    return [identifier.model_dump(mode="json") for identifier in identifiers]


def load_identifiers(found: str) -> tuple[Identifier, ...]:
    """Identifiers that crm_lookup found, from its JSON."""
    return _identifiers(orjson.loads(found)["identifiers"])


def _identifiers(given: Iterable[Any]) -> tuple[Identifier, ...]:
    return tuple([Identifier.model_validate(one) for one in given])

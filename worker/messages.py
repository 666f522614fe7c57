"""Messages of claimed items, as the steps read them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from crm_store import inbox
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem
from tracker.identifiers import Identifier
from tracker.messages import InboundMessage


@dataclass(frozen=True, slots=True)
class ItemMessage:
    """What an item says, and the identifiers that crm_lookup found in it."""

    message: InboundMessage
    identifiers: tuple[Identifier, ...]


def read_items(
    connection: Connection, items: Sequence[ClaimedItem], carried: Mapping[int, str]
) -> dict[int, ItemMessage]:
    """Messages by inbox id; those that the task carried unchanged are not read again."""
    rows = inbox.read_messages(connection, [item.inbox_id for item in items], carried)
    return {
        inbox_id: ItemMessage(
            InboundMessage.model_validate_json(row.message),
            load_identifiers(row.found) if row.found else (),
        )
        for inbox_id, row in rows.items()
    }


def dump_identifiers(identifiers: Iterable[Identifier]) -> list[dict[str, Any]]:
    """Identifiers as JSON values."""
    return [identifier.model_dump(mode="json") for identifier in identifiers]


def load_identifiers(found: str) -> tuple[Identifier, ...]:
    """Identifiers that crm_lookup found, from its JSON."""
    return tuple(Identifier.model_validate(given) for given in orjson.loads(found)["identifiers"])

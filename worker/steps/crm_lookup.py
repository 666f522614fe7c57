"""Step 1: fix each chat's order, find identifiers in the texts, and look for cards that have them (T2, T3).

What it finds is advice, read without locks; bind_chat decides.
"""

from collections.abc import Sequence

import orjson

from config.topology import Step
from crm_store import cards, chats, inbox
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem, Move
from tracker.extraction import extract
from tracker.identifiers import Identifier
from tracker.messages import InboundMessage
from worker.messages import dump_identifiers, read_items
from worker.runner import Carried, Outcome


def crm_lookup(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
    """See the module."""
    messages = read_items(connection, items, carried)
    contexts = chats.contexts(connection, {item.chat_id for item in items})
    found = {
        item.inbox_id: identifiers_of(messages[item.inbox_id].message, contexts[item.chat_id].region) for item in items
    }
    keys = {(identifier.kind, identifier.key) for identifiers in found.values() for identifier in identifiers}
    owners = cards.owners(connection, keys) if keys else cards.Owners({}, {})
    seqs = _fix_order(connection, items)
    return Outcome(
        [
            Move(
                item.inbox_id,
                inbox.stage_after(Step.CRM_LOOKUP),
                chat_seq=seqs[item.inbox_id],
                found=_advice(found[item.inbox_id], owners),
            )
            for item in items
        ]
    )


def identifiers_of(message: InboundMessage, region: str | None) -> tuple[Identifier, ...]:
    """What the channel gave, and what the customer wrote; a forwarded text is no evidence (T3)."""
    if not message.from_customer:
        return ()
    written = () if message.forwarded else extract(message.text, region)
    given = {(identifier.kind, identifier.key) for identifier in message.identifiers}
    return (*message.identifiers, *(i for i in written if (i.kind, i.key) not in given))


def _fix_order(connection: Connection, items: Sequence[ClaimedItem]) -> dict[int, int]:
    """Places in the chats' histories, in the order in which the items were accepted."""
    counts: dict[int, int] = {}
    for item in items:
        counts[item.chat_id] = counts.get(item.chat_id, 0) + 1
    following = chats.take_seqs(connection, counts)
    seqs: dict[int, int] = {}
    for item in items:
        seqs[item.inbox_id] = following[item.chat_id]
        following[item.chat_id] += 1
    return seqs


def _advice(identifiers: Sequence[Identifier], owners: cards.Owners) -> str:
    keys = [(identifier.kind, identifier.key) for identifier in identifiers]
    candidates = {card_id for key in keys for card_id in owners.on_cards.get(key, ())}
    candidates |= {owners.remembered[key] for key in keys if key in owners.remembered}
    return orjson.dumps({"identifiers": dump_identifiers(identifiers), "candidates": sorted(candidates)}).decode()

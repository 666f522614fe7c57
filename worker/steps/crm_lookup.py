"""Step 1: fix each chat's order, find identifiers in the texts, and look for cards that have them (T2, T3).

What it finds is advice, read without locks; bind_chat decides.
"""

from collections.abc import Collection, Mapping, Sequence

import orjson

from config.topology import Step
from crm_store import chats, matching
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem, Move
from tracker.customers import IdentifierKey, key_of
from tracker.extraction import extract
from tracker.identifiers import Identifier, is_blocked
from tracker.messages import InboundMessage
from worker.messages import SaidText, dump_identifiers, read_texts
from worker.runner import Carried, Outcome


def crm_lookup(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
    """See the module."""
    texts = read_texts(connection, items, carried)
    contexts = chats.contexts(connection, {item.chat_id for item in items})
    blocked = matching.blocked_values(connection)
    found = {
        item.inbox_id: identifiers_of(texts[item.inbox_id], contexts[item.chat_id].region, blocked) for item in items
    }
    candidates = matching.candidates(connection, {key_of(i) for identifiers in found.values() for i in identifiers})
    seqs = _fix_order(connection, items)
    return Outcome(
        [
            Move(
                item.inbox_id,
                Step.BIND_CHAT,
                chat_seq=seqs[item.inbox_id],
                found=advice(found[item.inbox_id], candidates),
            )
            for item in items
        ]
    )


def identifiers_of(
    said: SaidText | InboundMessage, region: str | None, blocked: Collection[str]
) -> tuple[Identifier, ...]:
    """What the channel gave, and what the customer wrote; a forwarded text is no evidence (T3).

    blocked: values that are never evidence (T9).
    """
    if not said.from_customer:
        return ()
    written = () if said.forwarded else extract(said.text, region, blocked)
    given = [i for i in said.identifiers if not is_blocked(i, blocked)]
    keys = {key_of(i) for i in given}
    return (*given, *(i for i in written if key_of(i) not in keys))


def _fix_order(connection: Connection, items: Sequence[ClaimedItem]) -> dict[int, int]:
    """Places in the chats' histories, in the order in which the items were accepted; a replayed one has its own."""
    seqs = {item.inbox_id: item.chat_seq for item in items if item.chat_seq is not None}
    unplaced = [item for item in items if item.chat_seq is None]
    counts: dict[int, int] = {}
    for item in unplaced:
        counts[item.chat_id] = counts.get(item.chat_id, 0) + 1
    following = chats.take_seqs(connection, counts)
    for item in unplaced:
        seqs[item.inbox_id] = following[item.chat_id]
        following[item.chat_id] += 1
    return seqs


def advice(identifiers: Sequence[Identifier], candidates: Mapping[IdentifierKey, Collection[int]]) -> str:
    """What the step leaves for the next one, as JSON."""
    found = {card_id for i in identifiers for card_id in candidates.get(key_of(i), ())}
    return orjson.dumps({"identifiers": dump_identifiers(identifiers), "candidates": sorted(found)}).decode()

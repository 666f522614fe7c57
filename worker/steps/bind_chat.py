"""Step 2: bind chats to cards, add what the messages bring, and write the history (T1-T10, T12, C5).

Lock order: chats (by the claim), identifiers by (kind, key), live cards by id. Most messages are of a bound chat and
bring nothing new: for those nothing is locked.
"""

from collections.abc import Collection, Mapping, Sequence

from config.topology import Step
from crm_store import cards, chats, inbox, matching
from crm_store.chats import ChatContext
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem, ItemHead, Move
from crm_store.matching import GivenByChat
from tracker.channels import CardMode
from tracker.customers import is_stronger, key_of
from tracker.decisions import Sighting
from tracker.messages import CHANGE_KINDS, CUSTOMER_KINDS, InboundMessage, MessageKind
from worker.binding import decide
from worker.messages import load_identifiers
from worker.runner import Carried, Outcome

UNKNOWN_TARGET = "unknown_target"
INACTIVE = "inactive_open_channel"


def bind_chat(connection: Connection, items: Sequence[ClaimedItem], _carried: Carried) -> Outcome:
    """See the module."""
    heads = inbox.read_heads(connection, [item.inbox_id for item in items], CHANGE_KINDS)
    contexts = chats.contexts(connection, {item.chat_id for item in items})
    customers = [item for item in items if heads[item.inbox_id].kind in CUSTOMER_KINDS]
    bound = _bind(connection, [item for item in customers if contexts[item.chat_id].active], heads, contexts)
    if customers:
        chats.append_inbound(connection, [item.inbox_id for item in customers])
    unfinished = {context.id for context in contexts.values() if context.settings.mode is CardMode.DEAL}
    provisional = cards.with_provisional(connection, set(bound.values()))
    unfinished |= {item.chat_id for item in items if bound.get(item.inbox_id) in provisional}
    return Outcome([_move(connection, item, heads[item.inbox_id], bound, unfinished) for item in items])


def _move(
    connection: Connection, item: ClaimedItem, head: ItemHead, bound: Mapping[int, int], unfinished: Collection[int]
) -> Move:
    """unfinished: chats whose card may have to become something; others have no business in the next step."""
    if head.message is not None:
        if _change_history(connection, item.chat_id, InboundMessage.model_validate_json(head.message)):
            return Move(item.inbox_id, inbox.DONE)
        return Move(item.inbox_id, inbox.IGNORED, UNKNOWN_TARGET)
    card_id = bound.get(item.inbox_id)
    if card_id is None:
        return Move(item.inbox_id, inbox.DONE, INACTIVE)
    following = Step.ENSURE_CARD if item.chat_id in unfinished else Step.DISTRIBUTE
    return Move(item.inbox_id, following, card_id=card_id)


def _bind(
    connection: Connection,
    items: Sequence[ClaimedItem],
    heads: Mapping[int, ItemHead],
    contexts: Mapping[int, ChatContext],
) -> dict[int, int]:
    """Bind the items' chats; returns the card of each item."""
    sightings = [
        _sighting(item, heads[item.inbox_id], contexts[item.chat_id])
        for item in sorted(items, key=lambda item: item.inbox_id)
    ]
    bound = {context.id for context in contexts.values() if context.card_id is not None}
    given = matching.read_given(connection, bound) if bound else {}
    news = [sighting for sighting in sightings if not _is_known(sighting, given.get(sighting.chat_id))]
    cards_of = {chat_id: before.card_id for chat_id, before in given.items()}
    if news:
        cards_of |= decide(connection, news, contexts)
    return {sighting.inbox_id: cards_of[sighting.chat_id] for sighting in sightings}


def _sighting(item: ClaimedItem, head: ItemHead, context: ChatContext) -> Sighting:
    return Sighting(
        inbox_id=item.inbox_id,
        chat_id=item.chat_id,
        name=head.name,
        identifiers=load_identifiers(head.found) if head.found else (),
        at=head.received_at,
        channel_kind=context.channel_kind,
        customer_id=head.customer_id or context.external_id,
    )


def _is_known(sighting: Sighting, before: GivenByChat | None) -> bool:
    """Whether a message of a bound chat changes nothing: most do not."""
    if before is None or (sighting.name and not before.has_name):
        return False
    return not any(is_stronger(i.evidence, before.facts.get(key_of(i))) for i in sighting.identifiers)


def _change_history(connection: Connection, chat_id: int, message: InboundMessage) -> bool:
    """Edits, deletions and reactions change what is there (C5); False if it is not there."""
    if not message.target:
        return False
    match message.kind:
        case MessageKind.EDIT:
            return chats.edit(connection, chat_id, message.target, message.text, message.sent_at)
        case MessageKind.DELETE:
            return chats.delete(connection, chat_id, message.target, message.sent_at)
        case _:
            return chats.react(connection, chat_id, message.target, message.customer_id, message.text)

"""Step 2: bind chats to cards, add what the messages bring, and write the history (T1-T8, T10, T12, C5).

Lock order: chats (by the claim), identifiers by (kind, key), cards by id. Most messages are of a bound chat and
bring nothing new: for those nothing is locked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import orjson

from config.topology import Step
from crm_store import cards, chats, inbox
from crm_store.cards import NewCard
from crm_store.chats import ChatContext, InboundEntry
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem, Move
from tracker.identifiers import EVIDENCE_RANK, Identifier
from tracker.matching import Binding, Book, IdentifierKey, KnownCard, MatchingRules, Sighting
from tracker.messages import CHANGE_KINDS, InboundMessage, MessageKind
from worker.messages import ItemMessage, read_items
from worker.runner import Carried, Outcome

UNKNOWN_TARGET = "unknown_target"
INACTIVE = "inactive_open_channel"


def bind_chat(connection: Connection, items: Sequence[ClaimedItem], _carried: Carried) -> Outcome:
    """See the module."""
    messages = read_items(connection, items, {})
    contexts = chats.contexts(connection, {item.chat_id for item in items})
    customers = [item for item in items if messages[item.inbox_id].message.from_customer]
    bound = _bind(connection, [item for item in customers if contexts[item.chat_id].active], messages, contexts)
    _append_history(connection, customers, messages)
    return Outcome([_move(connection, item, messages[item.inbox_id].message, bound) for item in items])


def _move(connection: Connection, item: ClaimedItem, message: InboundMessage, bound: Mapping[int, int]) -> Move:
    if message.kind in CHANGE_KINDS:
        if _change_history(connection, item.chat_id, message):
            return Move(item.inbox_id, inbox.DONE)
        return Move(item.inbox_id, inbox.IGNORED, UNKNOWN_TARGET)
    card_id = bound.get(item.inbox_id)
    if card_id is None:
        return Move(item.inbox_id, inbox.DONE, INACTIVE)
    return Move(item.inbox_id, inbox.stage_after(Step.BIND_CHAT), card_id=card_id)


def _bind(
    connection: Connection,
    items: Sequence[ClaimedItem],
    messages: Mapping[int, ItemMessage],
    contexts: Mapping[int, ChatContext],
) -> dict[int, int]:
    """Bind the items' chats; returns the card of each item."""
    sightings = [_sighting(item, messages[item.inbox_id]) for item in items]
    tell_nothing = _without_news(connection, sightings, contexts)
    news = [sighting for sighting in sightings if sighting.inbox_id not in tell_nothing]
    return {**tell_nothing, **_decide(connection, news, contexts)} if news else tell_nothing


def _sighting(item: ClaimedItem, said: ItemMessage) -> Sighting:
    return Sighting(item.inbox_id, item.chat_id, said.message.name, said.identifiers, said.message.received_at)


def _without_news(
    connection: Connection, sightings: Sequence[Sighting], contexts: Mapping[int, ChatContext]
) -> dict[int, int]:
    """Items of bound chats that would change nothing, with their cards."""
    bound_cards = {contexts[sighting.chat_id].card_id for sighting in sightings} - {None}
    known = {card.id: card for card in cards.read_cards(connection, [c for c in bound_cards if c is not None])}
    unchanging: dict[int, int] = {}
    for sighting in sightings:
        card = known.get(contexts[sighting.chat_id].card_id or 0)
        if card is not None and _knows_all(card, sighting):
            unchanging[sighting.inbox_id] = card.id
    return unchanging


def _knows_all(card: KnownCard, sighting: Sighting) -> bool:
    if sighting.name and not card.name:
        return False
    return all(_stands_on(card, identifier) for identifier in sighting.identifiers)


def _stands_on(card: KnownCard, identifier: Identifier) -> bool:
    present = card.on_card.get((identifier.kind, identifier.key))
    return present is not None and EVIDENCE_RANK[present] <= EVIDENCE_RANK[identifier.evidence]


def _decide(
    connection: Connection, sightings: Sequence[Sighting], contexts: Mapping[int, ChatContext]
) -> dict[int, int]:
    """Resolve under locks, and write the answers down. Returns the card of each item."""
    keys = {key for sighting in sightings for key in _keys(sighting)}
    cards.lock_identifiers(connection, keys)
    owners = cards.owners(connection, keys)
    bound_cards = {contexts[sighting.chat_id].card_id for sighting in sightings}
    involved = owners.card_ids | {card_id for card_id in bound_cards if card_id is not None}
    unbound = {sighting.chat_id for sighting in sightings if contexts[sighting.chat_id].card_id is None}
    book = Book(
        cards.lock_cards(connection, involved),
        owners.remembered,
        iter(cards.new_ids(connection, len(unbound))),
        owners.on_cards,
    )
    bindings = [
        (sighting, book.bind(sighting, contexts[sighting.chat_id].card_id, _rules(contexts[sighting.chat_id])))
        for sighting in sightings
    ]
    _write(connection, book, bindings, contexts)
    return {sighting.inbox_id: binding.card_id for sighting, binding in bindings}


def _keys(sighting: Sighting) -> Iterator[IdentifierKey]:
    return ((identifier.kind, identifier.key) for identifier in sighting.identifiers)


def _rules(context: ChatContext) -> MatchingRules:
    return MatchingRules(context.settings.check_client_in_crm, context.settings.chat_tracker)


def _write(
    connection: Connection,
    book: Book,
    bindings: Sequence[tuple[Sighting, Binding]],
    contexts: Mapping[int, ChatContext],
) -> None:
    made = [
        NewCard(
            id=binding.card_id,
            name=sighting.name,
            open_channel_id=contexts[sighting.chat_id].open_channel_id,
            chat_id=sighting.chat_id,
            matched=contexts[sighting.chat_id].settings.chat_tracker,
        )
        for sighting, binding in bindings
        if binding.is_new
    ]
    newly_bound = {
        sighting.chat_id: (binding.card_id, binding.bound_by) for sighting, binding in bindings if binding.bound_by
    }
    if made:
        cards.insert(connection, made)
    if newly_bound:
        chats.bind(connection, newly_bound)
    if book.additions:
        cards.add_identifiers(connection, book.additions)
    if book.newly_remembered:
        cards.remember(connection, book.newly_remembered)
    if book.filled_names:
        cards.fill_names(connection, book.filled_names)


def _append_history(connection: Connection, items: Iterable[ClaimedItem], messages: Mapping[int, ItemMessage]) -> None:
    entries = [_entry(item, messages[item.inbox_id].message) for item in items]
    if entries:
        chats.append_inbound(connection, entries)


def _entry(item: ClaimedItem, message: InboundMessage) -> InboundEntry:
    assert item.chat_seq is not None  # noqa: S101  fixed by the first step
    attachments = [attachment.model_dump(exclude_defaults=True) for attachment in message.attachments]
    return InboundEntry(
        chat_id=item.chat_id,
        seq=item.chat_seq,
        kind=message.kind,
        text=message.text,
        attachments=orjson.dumps(attachments).decode() if attachments else None,
        external_id=message.external_id,
        reply_to=message.reply_to,
        referral=message.referral,
        inbox_id=item.inbox_id,
        sent_at=message.sent_at,
        received_at=message.received_at,
    )


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

"""The card that an operator makes by hand (C2): the look-up is repeated at that moment, under locks.

Lock order: the chat, identifiers by (kind, key), cards by id, dialogs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from console.dependencies import Dependencies
from console.problems import ProblemError, unknown
from console.security import Caller, Operator
from crm_store import cards, chats, dialogs
from crm_store.cards import Promotion
from crm_store.chats import ChatContext
from crm_store.database import Connection
from crm_store.views import cards as card_views
from crm_store.views import chats as chat_views
from crm_store.views.cards import Card
from tracker.cards import CardType
from tracker.dialogs import ActRefusedError
from tracker.matching import Book, KnownCard, MatchingRules, Sighting
from worker.messages import load_identifiers
from worker.steps.ensure_card import choose_deals, first_active, source_name


@dataclass(frozen=True, slots=True)
class MadeCard:
    """What came of it. made: false if the repeated look-up found a card, to which the chat is bound now (C2)."""

    made: bool
    deal_id: int | None
    card: Card


def create_card(needs: Dependencies, caller: Caller, chat_id: int, wanted: CardType) -> MadeCard:
    """Make the chat's provisional card a lead, or a contact with a deal; or bind the chat to the card it finds.

    wanted: lead or deal. Raises ProblemError (unknown_chat, card_exists) and ActRefusedError.
    """
    with needs.database.transaction() as connection:
        context = _lock_chat(connection, chat_id)
        if context.card_id is None:
            raise ActRefusedError("not_processed", "no message of this chat has been processed yet")
        holder = dialogs.last_of_chat(connection, chat_id, context.card_id)
        if isinstance(caller, Operator) and (holder is None or holder[1] != caller.id):
            raise ActRefusedError("not_yours", "the chat's dialog is not yours; accept it first")
        _refuse_second(context.card_id, cards.details(connection, [context.card_id])[context.card_id].type)
        survivor_id = _look_up_again(connection, context)
        if survivor_id is None:
            _promote(connection, context, wanted)
        elif wanted is CardType.DEAL:
            _open_deal(connection, replace(context, card_id=survivor_id))
        return _finish(connection, chat_id, holder, made=survivor_id is None)


def _lock_chat(connection: Connection, chat_id: int) -> ChatContext:
    chats.lock(connection, chat_id)
    found = chats.contexts(connection, [chat_id])
    if chat_id not in found:
        raise unknown("chat", chat_id)
    return found[chat_id]


def _refuse_second(card_id: int, card_type: CardType) -> None:
    if card_type is not CardType.PROVISIONAL:
        raise ProblemError(409, "card_exists", f"the chat has card {card_id} already", members={"card_id": card_id})


def _look_up_again(connection: Connection, context: ChatContext) -> int | None:
    """The card that the customer has already, by all that his chats gave (T2, T5, T8); the chat is bound to it.

    Locks the identifiers and all cards that they belong to, the provisional one too.
    """
    provisional_id = context.card_id
    assert provisional_id is not None  # noqa: S101  checked by the caller
    given = [
        Sighting(message.inbox_id, message.chat_id, "", load_identifiers(message.found), message.received_at)
        for message in chat_views.given_on_card(connection, provisional_id)
    ]
    keys = {(identifier.kind, identifier.key) for sighting in given for identifier in sighting.identifiers}
    if keys:
        cards.lock_identifiers(connection, keys)
    owners = cards.owners(connection, keys) if keys else cards.Owners({}, {})
    locked = cards.lock_cards(connection, owners.card_ids | {provisional_id})
    known = {card.id: card for card in locked}
    _refuse_second(provisional_id, known[provisional_id].type)
    rules = MatchingRules(context.settings.check_client_in_crm, context.settings.chat_tracker)
    everything = Sighting(
        0, context.id, "", tuple(i for sighting in given for i in sighting.identifiers), datetime.now(UTC)
    )
    binding = _book_of_real(locked, owners).bind(everything, None, rules)
    if binding.is_new:
        return None
    book = _book_of_real(cards.lock_cards(connection, {binding.card_id}), owners)
    for sighting in given:
        book.bind(replace(sighting, name=known[provisional_id].name), binding.card_id, rules)
    _absorb(connection, context.id, provisional_id, binding.card_id, f"C2 {binding.bound_by}", book)
    return binding.card_id


def _book_of_real(known: Sequence[KnownCard], owners: cards.Owners) -> Book:
    """What the look-up may find: cards that are no longer provisional."""
    real = {card.id: card for card in known if card.type is not CardType.PROVISIONAL}
    return Book(
        real.values(),
        {key: card_id for key, card_id in owners.remembered.items() if card_id in real},
        iter([0]),
        {key: card_ids & real.keys() for key, card_ids in owners.on_cards.items()},
    )


def _absorb(
    connection: Connection, chat_id: int, provisional_id: int, survivor_id: int, bound_by: str, book: Book
) -> None:
    """T4: the survivor gets what it has not; the provisional card, which nobody has seen, points at it."""
    chats.bind(connection, {chat_id: (survivor_id, bound_by)})
    cards.absorb(connection, provisional_id, survivor_id)
    if book.additions:
        cards.add_identifiers(connection, book.additions)
    if book.newly_remembered:
        cards.remember(connection, book.newly_remembered)
    if book.filled_names:
        cards.fill_names(connection, book.filled_names)


def _promote(connection: Connection, context: ChatContext, wanted: CardType) -> None:
    assert context.card_id is not None  # noqa: S101  checked by the caller
    source_ids = cards.source_ids(connection, {source_name(context)})
    responsible = first_active(connection, {context.open_channel_id})
    card_type = CardType.CONTACT if wanted is CardType.DEAL else CardType.LEAD
    cards.promote(
        connection,
        [
            Promotion(
                context.card_id,
                card_type,
                source_ids[source_name(context)],
                responsible.get(context.open_channel_id),
            )
        ],
    )
    if wanted is CardType.DEAL:
        choose_deals(connection, [context], source_ids, responsible)


def _open_deal(connection: Connection, context: ChatContext) -> None:
    """Under the contact that was found (C1); a lead or a company has no deals."""
    assert context.card_id is not None  # noqa: S101  given by the caller
    if cards.details(connection, [context.card_id])[context.card_id].type is CardType.CONTACT:
        source_ids = cards.source_ids(connection, {source_name(context)})
        choose_deals(connection, [context], source_ids, first_active(connection, {context.open_channel_id}))


def _finish(connection: Connection, chat_id: int, holder: tuple[int, int | None] | None, *, made: bool) -> MadeCard:
    """Who has accepted the dialog is responsible (C4), and the open dialog shows the card."""
    context = chats.contexts(connection, [chat_id])[chat_id]
    assert context.card_id is not None  # noqa: S101  bound before
    if holder is not None and holder[1] is not None and dialogs.is_accepted(connection, holder[0]):
        ids = {card_id for card_id in (context.card_id, context.deal_id) if card_id is not None}
        cards.accepted_by(connection, ids, holder[1])
    for dialog in dialogs.lock_open_of_chats(connection, [chat_id]).values():
        dialogs.follow_cards(connection, [(dialog.id, context.card_id, context.deal_id)])
    found = card_views.find(connection, context.card_id)
    card = card_views.read(connection, found) if found else None
    assert card is not None  # noqa: S101  made above
    return MadeCard(made, context.deal_id, card)

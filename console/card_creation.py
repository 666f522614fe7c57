"""The card that an operator makes by hand (C2): the look-up is repeated at that moment, under locks.

Lock order: the chat, identifiers by (kind, key), cards by id, dialogs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from console.acting import Asked, Done, carry_out
from console.dependencies import Dependencies
from console.problems import ProblemError, unknown
from console.security import Operator
from crm_store import cards, chats, desks, dialogs, matching
from crm_store.cards import Promotion
from crm_store.chats import ChatContext
from crm_store.database import Connection
from crm_store.matching import NewMerge
from crm_store.views import cards as card_views
from crm_store.views.cards import Card
from tracker.cards import CardType
from tracker.customers import key_of
from tracker.decisions import Sighting
from tracker.dialogs import ActRefusedError
from tracker.matching import Book
from worker.binding import rules_of
from worker.steps.ensure_card import choose_deals, source_name


@dataclass(frozen=True, slots=True)
class MadeCard:
    """What came of it. made: false if the repeated look-up found a card, to which the chat is bound now (C2)."""

    made: bool
    deal_id: int | None
    card: Card


def create_card(needs: Dependencies, asked: Asked, chat_id: int, wanted: CardType) -> MadeCard:
    """Make the chat's provisional card a lead, or a contact with a deal; or bind the chat to the card it finds.

    wanted: lead or deal. Raises ProblemError (unknown_chat, card_exists) and ActRefusedError.
    """

    def work(connection: Connection) -> Done:
        context = _lock_chat(connection, chat_id)
        if context.card_id is None or context.live_card_id is None:
            raise ActRefusedError("not_processed", "no message of this chat has been processed yet")
        holder = dialogs.last_of_chat(connection, chat_id, context.card_id)
        if isinstance(asked.caller, Operator) and (holder is None or holder[1] != asked.caller.id):
            raise ActRefusedError("not_yours", "the chat's dialog is not yours; accept it first")
        _refuse_second(connection, context.live_card_id)
        live_id = _look_up_again(connection, context.card_id, context)
        if live_id is None:
            _promote(connection, context, wanted, asked.actor)
        elif wanted is CardType.DEAL:
            _open_deal(connection, replace(context, live_card_id=live_id))
        return Done({"chat_id": chat_id, "card_id": _finish(connection, chat_id, holder), "made": live_id is None})

    return carry_out(needs, asked, work, _show)


def _lock_chat(connection: Connection, chat_id: int) -> ChatContext:
    chats.lock(connection, chat_id)
    found = chats.contexts(connection, [chat_id])
    if chat_id not in found:
        raise unknown("chat", chat_id)
    return found[chat_id]


def _refuse_second(connection: Connection, live_id: int) -> None:
    if cards.details(connection, [live_id])[live_id].type is not CardType.PROVISIONAL:
        raise ProblemError(409, "card_exists", f"the chat has card {live_id} already", members={"card_id": live_id})


def _look_up_again(connection: Connection, card_id: int, context: ChatContext) -> int | None:
    """The live card that the customer has already, by all that his chats gave (T2, T5, T8); his two cards are merged.

    Locks the identifiers, and all customers who have them, his own too.
    """
    given = matching.read_facts(connection, card_id)
    known = matching.learn(connection, {key_of(identifier) for identifier in given}, [card_id])
    live_id = next(card.live_id for card in known.cards if card.id == card_id)
    _refuse_second(connection, live_id)
    book = Book(known, iter(()))
    everything = Sighting(0, context.id, "", given, datetime.now(UTC))
    found_by = book.look_up_again(card_id, everything, rules_of(context.settings))
    if not found_by:
        return None
    matching.add_merges(connection, [NewMerge(merge, f"C2 {found_by}") for merge in book.merges])
    live = book.live_ids()
    matching.set_live(connection, live)
    return live[card_id]


def _promote(connection: Connection, context: ChatContext, wanted: CardType, made_by: str) -> None:
    assert context.live_card_id is not None  # noqa: S101  checked by the caller
    source_ids = cards.source_ids(connection, {source_name(context)})
    responsible = desks.first_active(connection, {context.open_channel_id})
    card_type = CardType.CONTACT if wanted is CardType.DEAL else CardType.LEAD
    cards.promote(
        connection,
        [
            Promotion(
                context.live_card_id,
                card_type,
                source_ids[source_name(context)],
                responsible.get(context.open_channel_id),
                made_by,
            )
        ],
    )
    if wanted is CardType.DEAL:
        choose_deals(connection, [context], source_ids, responsible)


def _open_deal(connection: Connection, context: ChatContext) -> None:
    """Under the contact that was found (C1); a lead or a company has no deals."""
    assert context.live_card_id is not None  # noqa: S101  given by the caller
    if cards.details(connection, [context.live_card_id])[context.live_card_id].type is CardType.CONTACT:
        source_ids = cards.source_ids(connection, {source_name(context)})
        choose_deals(connection, [context], source_ids, desks.first_active(connection, {context.open_channel_id}))


def _finish(connection: Connection, chat_id: int, holder: tuple[int, int | None] | None) -> int:
    """Who has accepted the dialog is responsible (C4), and the open dialog shows the card, whose id is returned."""
    context = chats.contexts(connection, [chat_id])[chat_id]
    assert context.card_id is not None  # noqa: S101  bound before
    if holder is not None and holder[1] is not None and dialogs.is_accepted(connection, holder[0]):
        ids = {card_id for card_id in (context.live_card_id, context.deal_id) if card_id is not None}
        cards.accepted_by(connection, ids, holder[1])
    for dialog in dialogs.lock_open_of_chats(connection, [chat_id]).values():
        dialogs.follow_cards(connection, [(dialog.id, context.card_id, context.deal_id)])
    return context.card_id


def _show(connection: Connection, ids: Mapping[str, int]) -> MadeCard:
    context = chats.contexts(connection, [ids["chat_id"]]).get(ids["chat_id"])
    if context is None or context.card_id is None:
        raise unknown("chat", ids["chat_id"])
    found = card_views.find(connection, context.card_id)
    card = card_views.read(connection, found) if found else None
    if card is None:
        raise unknown("card", context.card_id)
    return MadeCard(bool(ids["made"]), context.deal_id, card)

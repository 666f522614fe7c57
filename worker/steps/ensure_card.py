"""Step 3: a provisional card becomes a lead or a contact, with a deal in deal mode, or stays for the operator (C1-C4).

Lock order: chats (by the claim), live cards by id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from config.topology import Step
from crm_store import cards, chats, desks, matching
from crm_store.cards import NewDeal, Promotion
from crm_store.chats import ChatContext
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem, Move
from tracker.cards import CardDetails, CardType, becomes, choose_deal
from tracker.channels import AUTOMATIC_SOURCE, CardMode
from worker.runner import Carried, Outcome


def ensure_card(connection: Connection, items: Sequence[ClaimedItem], _carried: Carried) -> Outcome:
    """See the module."""
    contexts = chats.contexts(connection, {item.chat_id for item in items})
    concerned = _concerned(connection, contexts)
    if concerned:
        _make(connection, concerned)
    return Outcome([Move(item.inbox_id, Step.DISTRIBUTE) for item in items])


def _concerned(connection: Connection, contexts: Mapping[int, ChatContext]) -> dict[int, ChatContext]:
    """Chats whose card may become something now, and those of desks in deal mode. Most messages change no card."""
    live = {context.live_card_id for context in contexts.values() if context.live_card_id is not None}
    provisional = cards.provisional(connection, live)
    details = cards.details(connection, provisional) if provisional else {}
    return {
        chat_id: context
        for chat_id, context in contexts.items()
        if context.settings.mode is CardMode.DEAL or _promotion_type(context, details) is not None
    }


def _make(connection: Connection, contexts: Mapping[int, ChatContext]) -> None:
    """Look again under the customers' locks, and make what is missing."""
    live = matching.lock_live_cards(connection, _card_ids(contexts))
    contexts = {
        chat_id: replace(context, live_card_id=live.get(context.card_id or 0)) for chat_id, context in contexts.items()
    }
    in_deal_mode = [context for context in contexts.values() if context.settings.mode is CardMode.DEAL]
    details = cards.details(connection, set(live.values()))
    promoted = {
        context.live_card_id: context
        for context in sorted(contexts.values(), key=lambda context: context.id, reverse=True)
        if _promotion_type(context, details) is not None
    }
    sources = cards.source_ids(connection, {source_name(context) for context in (*promoted.values(), *in_deal_mode)})
    responsible = desks.first_active(connection, {context.open_channel_id for context in contexts.values()})
    promotions = [
        Promotion(
            card_id=card_id,
            type=card_type,
            source_id=sources[source_name(context)],
            responsible_id=responsible.get(context.open_channel_id),
        )
        for card_id, context in promoted.items()
        if card_id is not None and (card_type := _promotion_type(context, details)) is not None
    ]
    if promotions:
        cards.promote(connection, promotions)
    types = {card_id: detail.type for card_id, detail in details.items()}
    types |= {promotion.card_id: promotion.type for promotion in promotions}
    under_contact = [context for context in in_deal_mode if types.get(context.live_card_id or 0) is CardType.CONTACT]
    if under_contact:
        choose_deals(connection, under_contact, sources, responsible)


def choose_deals(
    connection: Connection,
    contexts: Sequence[ChatContext],
    sources: Mapping[str, int],
    responsible: Mapping[int, int],
) -> None:
    """C1: reuse the contact's active deal, or open a new one."""
    states = cards.deal_states(connection, [context.id for context in contexts])
    new_ids = iter(cards.new_ids(connection, len(contexts)))
    opened: dict[int, int] = {}  # by contact: two chats of one contact in this batch share a new deal
    new_deals: list[NewDeal] = []
    chosen: dict[int, int] = {}
    for context in contexts:
        assert context.card_id is not None  # noqa: S101  only chats under a contact come here
        assert context.live_card_id is not None  # noqa: S101
        reuses = context.settings.deals == "reuse"
        deal_id = choose_deal(states[context.id], context.settings.deals).deal_id
        if deal_id is None and reuses:
            deal_id = opened.get(context.live_card_id)
        if deal_id is None:
            deal_id = next(new_ids)
            opened[context.live_card_id] = deal_id
            new_deals.append(
                NewDeal(
                    id=deal_id,
                    contact_id=context.card_id,
                    open_channel_id=context.open_channel_id,
                    chat_id=context.id,
                    source_id=sources[source_name(context)],
                    responsible_id=responsible.get(context.open_channel_id),
                )
            )
        if deal_id != context.deal_id:
            chosen[context.id] = deal_id
    if new_deals:
        cards.insert_deals(connection, new_deals)
    if chosen:
        chats.set_deals(connection, chosen)


def source_name(context: ChatContext) -> str:
    """The source of a new card (C4)."""
    if context.settings.source != AUTOMATIC_SOURCE:
        return context.settings.source
    return f"{context.channel_kind}: {context.channel_name}"


def _promotion_type(context: ChatContext, details: Mapping[int, CardDetails]) -> CardType | None:
    known = details.get(context.live_card_id or 0)
    return becomes(known, context.settings, context.channel_kind) if known else None


def _card_ids(contexts: Mapping[int, ChatContext]) -> set[int]:
    return {context.card_id for context in contexts.values() if context.card_id is not None}

"""Look-ups over HTTP: each is one read-only snapshot."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from console import access, presence
from console.dependencies import Needs
from console.identifying import REGION_PATTERN, keys_of
from console.pages import (
    Cursor,
    Limit,
    Page,
    RowId,
    number_cursor,
    page,
    place_cursor,
    read_number,
    read_place,
)
from console.problems import ProblemError, documented, unknown
from console.security import AnyCaller, Caller, OperatorOnly, ServiceOnly, SupervisorOnly
from crm_store import ledger
from crm_store.database import Connection
from crm_store.views import Order, backlogs, cards, chats, desks, dialogs, inbox, snapshot
from crm_store.views.backlogs import BacklogView
from crm_store.views.cards import Card, CardSummary, FoundCard
from crm_store.views.chats import Chat, Message, Place
from crm_store.views.desks import OpenChannelView, OperatorView
from crm_store.views.dialogs import Dialog, DialogSummary
from crm_store.views.inbox import InboxItem
from tracker.cards import CardType
from tracker.dialogs import DialogStatus

router = APIRouter(prefix="/api", tags=["look-ups"], responses=documented(401, 403, 404, 422, 503))

HistoryOrder = Annotated[Order, Query(description="The oldest or the newest message first.")]

# What `type` may be: nobody sees a provisional card (C2, C3).
_TYPES = "|".join(card_type for card_type in CardType if card_type is not CardType.PROVISIONAL)


class LedgerView(BaseModel):
    """Where all accepted items are: accepted = done + ignored + dead + discarded + pending."""

    accepted: int
    done: int
    ignored: int
    dead: int
    discarded: int
    pending: int
    balances: bool


@router.get("/cards")
def get_cards(
    needs: Needs,
    _caller: AnyCaller,
    identifier: Annotated[
        str | None,
        Query(min_length=1, max_length=512, description="A phone or an e-mail in any writing, or a messenger id."),
    ] = None,
    region: Annotated[
        str | None, Query(pattern=REGION_PATTERN, description="Country in which a national phone is read.")
    ] = None,
    type: Annotated[str | None, Query(pattern=f"^({_TYPES})$")] = None,  # noqa: A002  the parameter's name
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CardSummary]:
    """Cards, the newest first."""
    before = read_number(cursor)
    having = None if identifier is None else keys_of(identifier, region.upper() if region else None)
    card_type = None if type is None else CardType(type)
    with snapshot(needs.database) as connection:
        found = cards.page(connection, limit + 1, before, card_type, having)
    return page(found, limit, lambda last: number_cursor(last.id))


@router.get("/cards/{card_id}")
def get_card(needs: Needs, _caller: AnyCaller, card_id: RowId) -> Card:
    """A card with identifiers, chats and deals; the id of a merged card leads to the one that it was merged into."""
    with snapshot(needs.database) as connection:
        card = cards.read(connection, _find_card(connection, card_id))
    if card is None:
        raise unknown("card", card_id)
    return card


@router.get("/cards/{card_id}/history")
def get_card_history(
    needs: Needs,
    caller: AnyCaller,
    card_id: RowId,
    order: HistoryOrder = Order.OLDEST,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Message]:
    """The messages of all chats of the card, by time of receipt (T4); one of its customer's must be in scope."""
    beyond = read_place(cursor)
    with snapshot(needs.database) as connection:
        found_card = _find_card(connection, card_id)
        access.check_chats(connection, caller, cards.chats_of_customer(connection, found_card))
        chat_ids = [chat.id for chat in cards.chats_of(connection, found_card)]
        found = chats.card_history(connection, chat_ids, limit + 1, order, beyond)
    return page(found, limit, lambda last: place_cursor(Place(last.received_at, last.chat_id, last.seq)))


@router.get("/chats/{chat_id}")
def get_chat(needs: Needs, caller: AnyCaller, chat_id: RowId) -> Chat:
    """A chat with its card and its open dialog."""
    with snapshot(needs.database) as connection:
        return _find_chat(connection, caller, chat_id)


@router.get("/chats/{chat_id}/history")
def get_chat_history(
    needs: Needs,
    caller: AnyCaller,
    chat_id: RowId,
    order: HistoryOrder = Order.OLDEST,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Message]:
    """The messages of the chat in its order."""
    beyond = read_number(cursor)
    with snapshot(needs.database) as connection:
        _find_chat(connection, caller, chat_id)
        found = chats.chat_history(connection, chat_id, limit + 1, order, beyond)
    return page(found, limit, lambda last: number_cursor(last.seq))


@router.get("/dialogs")
def get_dialogs(
    needs: Needs,
    caller: AnyCaller,
    status: Annotated[list[DialogStatus] | None, Query(description="May be given several times.")] = None,
    operator: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Id of the one who has them.")] = None,
    open_channel: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Id.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DialogSummary]:
    """Dialogs in the caller's scope, the newest first."""
    before = read_number(cursor)
    with snapshot(needs.database) as connection:
        found = dialogs.page(
            connection,
            limit + 1,
            before,
            status,
            operator,
            None if open_channel is None else [open_channel],
            sight=access.sight_of(connection, caller),
        )
    return page(found, limit, lambda last: number_cursor(last.id))


@router.get("/dialogs/{dialog_id}")
def get_dialog(needs: Needs, caller: AnyCaller, dialog_id: RowId) -> Dialog:
    """A dialog with its events (S1) its decision records (D12) and its clocks."""
    with snapshot(needs.database) as connection:
        dialog = dialogs.read(connection, dialog_id)
        if dialog is None:
            raise unknown("dialog", dialog_id)
        access.check_dialog(connection, caller, dialog_id)
    return dialog


@router.get("/operator/dialogs", tags=["operator"])
def get_operator_dialogs(needs: Needs, operator: OperatorOnly) -> Page[DialogSummary]:
    """What the operator has before him: his open dialogs, then those that are offered to him now (D4)."""
    with snapshot(needs.database) as connection:
        return Page(items=presence.dialogs_of(connection, operator), next=None)


@router.get("/operators")
def get_operators(needs: Needs, _caller: SupervisorOnly) -> Page[OperatorView]:
    """All operators with presence (D6) and loads (D7)."""
    with snapshot(needs.database) as connection:
        return Page(items=desks.operators(connection), next=None)


@router.get("/open-channels")
def get_open_channels(needs: Needs, _caller: SupervisorOnly) -> Page[OpenChannelView]:
    """All open channels with settings, channels, roster and backlog."""
    with snapshot(needs.database) as connection:
        return Page(items=desks.open_channels(connection), next=None)


@router.get("/open-channels/{open_channel_id}/backlog")
def get_backlog(needs: Needs, caller: SupervisorOnly, open_channel_id: RowId, limit: Limit = 50) -> BacklogView:
    """What waits in an open channel, the oldest first, what its operators are doing, and why nobody has it (D8)."""
    with snapshot(needs.database) as connection:
        found = backlogs.read(connection, open_channel_id, limit)
        if found is None:
            raise unknown("open_channel", open_channel_id)
        access.check_waiting(connection, caller, open_channel_id)
    return found


@router.get("/inbox/{inbox_id}")
def get_inbox_item(needs: Needs, _caller: ServiceOnly, inbox_id: RowId) -> InboxItem:
    """An accepted event and its way through the steps."""
    with snapshot(needs.database) as connection:
        item = inbox.read(connection, inbox_id)
    if item is None:
        raise unknown("inbox_item", inbox_id)
    return item


@router.get("/ledger")
def get_ledger(needs: Needs, _caller: ServiceOnly) -> LedgerView:
    """The ledger, in items, as of one moment."""
    with snapshot(needs.database) as connection:
        read = ledger.read(connection)
    return LedgerView(
        accepted=read.accepted,
        done=read.done,
        ignored=read.ignored,
        dead=read.dead,
        discarded=read.discarded,
        pending=read.pending,
        balances=read.balances,
    )


def _find_card(connection: Connection, card_id: int) -> FoundCard:
    found = cards.find(connection, card_id)
    if found is None:
        raise unknown("card", card_id)
    if found.provisional:
        raise ProblemError(404, "no_card_yet", "the customer has no card yet (C2, C3)")
    return found


def _find_chat(connection: Connection, caller: Caller, chat_id: int) -> Chat:
    chat = chats.read(connection, chat_id)
    if chat is None:
        raise unknown("chat", chat_id)
    access.check_chats(connection, caller, [chat_id])
    return chat

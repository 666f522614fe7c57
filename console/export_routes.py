"""Everything that the desk has done, in bulk: for reports, and for `openchannel load`."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query

from console.dependencies import Dependencies, Needs
from console.pages import Cursor, Page, number_cursor, page, pair_cursor, read_number, read_pair
from console.problems import documented
from console.security import AdministratorOnly
from crm_store.database import Connection
from crm_store.views import exports, snapshot
from crm_store.views.exports import ExportedChat, ExportedEvent, ExportedItem, ExportedMessage

router = APIRouter(prefix="/api/exports", tags=["exports"], responses=documented(401, 403, 422, 503))

Bulk = Annotated[int, Query(ge=1, le=5000, description="How many items the page may have.")]


_R = TypeVar("_R", ExportedItem, ExportedChat, ExportedEvent)


@router.get("/inbox")
def export_inbox(
    needs: Needs, _caller: AdministratorOnly, limit: Bulk = 2000, cursor: Cursor = None
) -> Page[ExportedItem]:
    """Accepted events, the newest first: where each stands, and when it was accepted and finished."""
    return _newest_first(needs, exports.items, limit, cursor)


@router.get("/chats")
def export_chats(
    needs: Needs, _caller: AdministratorOnly, limit: Bulk = 2000, cursor: Cursor = None
) -> Page[ExportedChat]:
    """Chats, the newest first, with the cards that they are bound to."""
    return _newest_first(needs, exports.chats, limit, cursor)


@router.get("/messages")
def export_messages(
    needs: Needs,
    _caller: AdministratorOnly,
    from_chat: Annotated[int, Query(ge=0, le=2**63 - 1, description="The first chat's id; the others follow.")] = 0,
    limit: Bulk = 2000,
    cursor: Cursor = None,
) -> Page[ExportedMessage]:
    """Histories, by the ids of their chats, each in its order."""
    after = read_pair(cursor) or (from_chat, -1)
    with snapshot(needs.database) as connection:
        found = exports.messages(connection, limit + 1, after)
    return page(found, limit, lambda last: pair_cursor(last.chat_id, last.seq))


@router.get("/events")
def export_events(
    needs: Needs, _caller: AdministratorOnly, limit: Bulk = 2000, cursor: Cursor = None
) -> Page[ExportedEvent]:
    """What happened to dialogs and to operators' presence, the newest first."""
    return _newest_first(needs, exports.events, limit, cursor)


def _newest_first(
    needs: Dependencies, read: Callable[[Connection, int, int | None], list[_R]], limit: int, cursor: str | None
) -> Page[_R]:
    before = read_number(cursor)
    with snapshot(needs.database) as connection:
        found = read(connection, limit + 1, before)
    return page(found, limit, lambda last: number_cursor(last.id))

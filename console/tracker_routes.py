"""The chat tracker over HTTP: what it knows and why, and what persons decide. Routes that translate only.

A refusal by the rules is 409 with its reason. Every act is audited.
"""

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from console import access
from console import tracking as acts
from console.auditing import Check
from console.dependencies import Needs
from console.identifying import entered, key_on_card, keys_of, listed
from console.pages import Cursor, Limit, Page, RowId, number_cursor, page, read_number
from console.problems import ProblemError, documented, unknown
from console.security import (
    AdministratorOnly,
    AnyCaller,
    Caller,
    actor_for,
    check_administrator,
    is_administrator,
    read_again,
)
from console.tracker_bodies import (
    Accepting,
    Blocking,
    Detaching,
    GivenIdentifier,
    Merging,
    ReasonedAct,
    Rejecting,
    Renaming,
    Unblocking,
)
from crm_store.database import Connection
from crm_store.views import cards, provenance, snapshot, tracking
from crm_store.views.cards import Card, CardSummary, FoundCard
from crm_store.views.provenance import Provenance
from crm_store.views.tracking import AuditEntry, BlockedValue, MergeView, ReviewView
from tracker.decisions import ReviewCause

router = APIRouter(prefix="/api", tags=["tracker"], responses=documented(401, 403, 404, 409, 422, 503))

OfCard = Annotated[
    int | None, Query(ge=1, le=2**63 - 1, description="Only what is about this card or its customer's other cards.")
]

# What is known, and why


@router.get("/cards/{card_id}/provenance")
def get_provenance(needs: Needs, caller: AnyCaller, card_id: RowId) -> Provenance:
    """Everything known of the card's customer: by whom, from which message, through which rule.

    The audit's entries are for administrators and the service.
    """
    with snapshot(needs.database) as connection:
        found = _find(connection, card_id, provisional_too=is_administrator(caller))
        document = provenance.read(connection, found)
    return document if is_administrator(caller) else replace(document, audit=[])


# Cards, edited by persons


@router.patch("/cards/{card_id}")
def rename(needs: Needs, caller: AnyCaller, card_id: RowId, body: Renaming) -> Card:
    """Name a card, one of whose customer's chats is in scope."""
    _visible(needs, card_id)
    acts.rename(needs.database, actor_for(caller, body.by), card_id, body.name, check=_within(caller, card_id))
    return _card(needs, card_id)


@router.post("/cards/{card_id}/identifiers")
def enter_identifier(needs: Needs, caller: AnyCaller, card_id: RowId, body: GivenIdentifier) -> Card:
    """Enter a phone or an e-mail; it matches later chats as a typed one does. Refused: blocked, deal.

    One of the customer's chats must be in scope: what is entered may bind a chat of the caller's own to the card, and
    so opens the customer's history.
    """
    _visible(needs, card_id)
    acts.enter_identifier(
        needs.database,
        actor_for(caller, body.by),
        card_id,
        entered(body.identifier, body.region),
        check=_within(caller, card_id),
    )
    return _card(needs, card_id)


@router.post("/cards/{card_id}/identifiers/remove")
def remove_identifier(needs: Needs, caller: AnyCaller, card_id: RowId, body: GivenIdentifier) -> Card:
    """Delete an identifier from the card; a first phone stays remembered (T5). One of its chats must be in scope.

    Refused: not_on_card, ambiguous, deal.
    """
    _visible(needs, card_id)
    actor, keys, check = actor_for(caller, body.by), keys_of(body.identifier, body.region), _within(caller, card_id)
    key = key_on_card(needs.database, actor, "remove_identifier", card_id, keys, check)
    acts.remove_identifier(needs.database, actor, card_id, key, check=check)
    return _card(needs, card_id)


@router.post("/cards/{card_id}/detach", name="detach")
def detach_identifier(needs: Needs, caller: AdministratorOnly, card_id: RowId, body: Detaching) -> Card:
    """A wrong number: off the card for ever, its memory too (T5). Refused: not_on_card, ambiguous, deal."""
    _visible(needs, card_id)
    actor, keys = actor_for(caller, body.by), keys_of(body.identifier, body.region)
    key = key_on_card(needs.database, actor, "detach", card_id, keys, _still(caller))
    acts.detach_identifier(needs.database, actor, card_id, key, body.reason, check=_still(caller))
    return _card(needs, card_id)


@router.post("/chats/{chat_id}/detach", status_code=201)
def detach_chat(needs: Needs, caller: AdministratorOnly, chat_id: RowId, body: ReasonedAct) -> CardSummary:
    """The chat is not this customer's: the card of its own that it gets. Refused: not_processed, only_chat, moved."""
    new_id = acts.detach_chat(needs.database, actor_for(caller, body.by), chat_id, body.reason, check=_still(caller))
    with snapshot(needs.database) as connection:
        found = _find(connection, new_id, provisional_too=True)
        return cards.summaries(connection, [found.id])[found.id]


# Merges


@router.get("/tracker/merges")
def get_merges(
    needs: Needs, _caller: AdministratorOnly, card: OfCard = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[MergeView]:
    """Merges, undone ones too, the newest first."""
    before = read_number(cursor)
    with snapshot(needs.database) as connection:
        found = tracking.merges(connection, limit + 1, before, _family(connection, card))
    return page(found, limit, lambda last: number_cursor(last.id))


@router.post("/tracker/merges", status_code=201)
def merge(needs: Needs, caller: AdministratorOnly, body: Merging) -> MergeView:
    """Two cards are one customer's (T7), whatever stands in the way. Refused: already_one, deal."""
    merge_id = acts.merge(
        needs.database, actor_for(caller, body.by), body.card_id, body.other_id, body.reason, check=_still(caller)
    )
    return _merge(needs, merge_id)


@router.post("/tracker/merges/{merge_id}/undo")
def undo(needs: Needs, caller: AdministratorOnly, merge_id: RowId, body: ReasonedAct) -> MergeView:
    """They are two customers after all, and are kept apart from now on (T7). Refused: already_undone."""
    acts.undo(needs.database, actor_for(caller, body.by), merge_id, body.reason, check=_still(caller))
    return _merge(needs, merge_id)


# The review list


@router.get("/tracker/reviews")
def get_reviews(
    needs: Needs,
    _caller: AdministratorOnly,
    state: Literal["open", "accepted", "rejected"] = "open",
    cause: ReviewCause | None = None,
    card: OfCard = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ReviewView]:
    """What the tracker asks (T7-T9), the newest first. Open pairs that are settled meanwhile are left out."""
    before = read_number(cursor)
    with snapshot(needs.database) as connection:
        found = tracking.reviews(
            connection,
            limit + 1,
            before,
            state=state,
            cause=cause,
            card_ids=_family(connection, card),
            with_settled=False,
        )
    return page(found, limit, lambda last: number_cursor(last.id))


@router.post("/tracker/reviews/{review_id}/accept")
def accept_review(needs: Needs, caller: AdministratorOnly, review_id: RowId, body: Accepting) -> ReviewView:
    """The two are one customer; or the identifier is many people's. Refused: decided, already_one."""
    acts.accept_review(needs.database, actor_for(caller, body.by), review_id, body.note, check=_still(caller))
    return _review(needs, review_id)


@router.post("/tracker/reviews/{review_id}/reject")
def reject_review(needs: Needs, caller: AdministratorOnly, review_id: RowId, body: Rejecting) -> ReviewView:
    """The two are kept apart for ever; or the identifier matches again. Refused: decided, already_one."""
    acts.reject_review(needs.database, actor_for(caller, body.by), review_id, body.note, check=_still(caller))
    return _review(needs, review_id)


# The block list, and the audit


@router.get("/tracker/blocked")
def get_blocked(needs: Needs, _caller: AdministratorOnly) -> Page[BlockedValue]:
    """The whole block list (T9)."""
    with snapshot(needs.database) as connection:
        return Page(items=tracking.blocked(connection), next=None)


@router.post("/tracker/blocked", status_code=201, responses={200: {"model": BlockedValue}})
def block(needs: Needs, caller: AdministratorOnly, body: Blocking, response: Response) -> BlockedValue:
    """A value that never matches from now on (T9); 200 if it was blocked before."""
    kind, value = listed(body.value, body.region)
    if not acts.block(needs.database, actor_for(caller, body.by), kind, value, body.reason, check=_still(caller)):
        response.status_code = 200
    with snapshot(needs.database) as connection:
        found = tracking.blocked(connection, kind, value)
    if not found:
        raise ProblemError(409, "not_blocked", "somebody has just unblocked it; look again")
    return found[0]


@router.post("/tracker/blocked/remove", status_code=204)
def unblock(needs: Needs, caller: AdministratorOnly, body: Unblocking) -> None:
    """It may match again. Refused: not_blocked."""
    kind, value = listed(body.value, body.region)
    acts.unblock(needs.database, actor_for(caller, body.by), kind, value, check=_still(caller))


@router.get("/audit")
def get_audit(
    needs: Needs,
    _caller: AdministratorOnly,
    act: Annotated[str | None, Query(max_length=50, description="As `merge` or `detach`.")] = None,
    actor: Annotated[str | None, Query(max_length=200, description="As `service:Ann` or `operator:3`.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Not before.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AuditEntry]:
    """What persons did with customers, refused acts too, the newest first."""
    before = read_number(cursor)
    with snapshot(needs.database) as connection:
        found = tracking.audit(connection, limit + 1, before, act, actor, since)
    return page(found, limit, lambda last: number_cursor(last.id))


def _still(caller: Caller) -> Check:
    """That he is an administrator when his act begins, as he was when he was let in."""
    return lambda connection: check_administrator(read_again(connection, caller))


def _within(caller: Caller, card_id: int) -> Check:
    """That one of the chats of the card's customer is in his scope when his act begins."""

    def check(connection: Connection) -> None:
        found = _find(connection, card_id, provisional_too=False)
        now = read_again(connection, caller)
        access.check_chats(connection, now, cards.chats_of_customer(connection, found))

    return check


def _find(connection: Connection, card_id: int, *, provisional_too: bool) -> FoundCard:
    found = cards.find(connection, card_id)
    if found is None:
        raise unknown("card", card_id)
    if found.provisional and not provisional_too:
        raise ProblemError(404, "no_card_yet", "the customer has no card yet (C2, C3)")
    return found


def _visible(needs: Needs, card_id: int) -> None:
    """Nobody edits what nobody sees (C2, C3). Raises ProblemError (unknown_card, no_card_yet)."""
    with snapshot(needs.database) as connection:
        _find(connection, card_id, provisional_too=False)


def _card(needs: Needs, card_id: int) -> Card:
    with snapshot(needs.database) as connection:
        card = cards.read(connection, _find(connection, card_id, provisional_too=False))
    if card is None:
        raise unknown("card", card_id)
    return card


def _family(connection: Connection, card_id: int | None) -> list[int] | None:
    if card_id is None:
        return None
    found = _find(connection, card_id, provisional_too=True)
    return cards.family(connection, found.contact_id or found.id)


def _merge(needs: Needs, merge_id: int) -> MergeView:
    with snapshot(needs.database) as connection:
        (found,) = tracking.merges(connection, 1, merge_id=merge_id)
    return found


def _review(needs: Needs, review_id: int) -> ReviewView:
    with snapshot(needs.database) as connection:
        (found,) = tracking.reviews(connection, 1, review_id=review_id)
    return found

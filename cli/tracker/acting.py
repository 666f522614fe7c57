"""`openchannel tracker merge|undo|detach|block`: what a person decides. Every act is audited."""

from typing import Annotated, Any

import typer

from cli.channels import table
from cli.tracker.opening import (
    LARGEST_ID,
    REASON,
    Json,
    Region,
    actor,
    customers,
    reason_of,
    region_of,
    show,
    shown,
)
from config.settings import SettingsError
from console import tracking as acts
from console.identifying import key_on_card, keys_of, listed
from crm_store.views import cards, snapshot, tracking
from crm_store.views.cards import CardSummary
from crm_store.views.tracking import BlockedValue, MergeView
from tracker.identifiers import IdentifierKind

Reason = Annotated[str, typer.Option("--reason", help=REASON)]
Card = Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="A card's id.")]


def merge_command(
    card: Card,
    other: Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The other card's id.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Two cards are one customer's: the younger points at the older, and both show as one (T7)."""
    why = reason_of(reason)
    with customers("merge") as database:
        merge_id = acts.merge(database, actor(), card, other, why)
        with snapshot(database) as connection:
            (made,) = tracking.merges(connection, 1, merge_id=merge_id)
    text = f"card {made.loser_id} is merged into card {made.survivor_id}; to take it back: tracker undo {made.id}\n"
    show(made, MergeView, text, as_json=as_json)


def undo_command(
    merge: Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The merge's id; `tracker why` names it.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """A merge was wrong: each side has its chats again, and the two are kept apart from now on (T7)."""
    why = reason_of(reason)
    with customers("undo") as database:
        one, other = acts.undo(database, actor(), merge, why)
        with snapshot(database) as connection:
            (undone,) = tracking.merges(connection, 1, merge_id=merge)
    text = f"merge {merge} is undone: card {one} and card {other} are two customers, and are kept apart\n"
    show(undone, MergeView, text, as_json=as_json)


def detach_command(
    card: Annotated[int | None, typer.Argument(min=1, max=LARGEST_ID, help="A card's id; not with --chat.")] = None,
    phone: Annotated[str, typer.Option("--phone", help="The wrong phone, in any writing.")] = "",
    email: Annotated[str, typer.Option("--email", help="The wrong e-mail.")] = "",
    messenger: Annotated[str, typer.Option("--messenger", help="The wrong messenger id, as `telegram/123`.")] = "",
    chat: Annotated[int | None, typer.Option("--chat", min=1, max=LARGEST_ID, help="The wrong chat's id.")] = None,
    region: Region = "",
    reason: Annotated[str, typer.Option("--reason", help=REASON)] = "",
    as_json: Json = False,
) -> None:
    """Take an identifier off a card for ever, its memory too (T5); or give a chat a card of its own."""
    why = reason_of(reason)
    given = [
        (kind, value)
        for kind, value in (
            (IdentifierKind.PHONE, phone),
            (IdentifierKind.EMAIL, email),
            (IdentifierKind.MESSENGER, messenger),
        )
        if value
    ]
    if chat is not None:
        if card is not None or given:
            raise SettingsError("--chat stands alone: a chat is taken off the card that it is on")
        _detach_chat(chat, why, as_json=as_json)
    elif card is None or len(given) != 1:
        raise SettingsError("name a card and one of --phone, --email and --messenger; or --chat")
    else:
        _detach_identifier(card, *given[0], region_of(region), why, as_json=as_json)


def _detach_chat(chat_id: int, reason: str, *, as_json: bool) -> None:
    with customers("detach") as database:
        new_id = acts.detach_chat(database, actor(), chat_id, reason)
        with snapshot(database) as connection:
            found = cards.find(connection, new_id)
            made = cards.summaries(connection, [found.id])[found.id] if found else None
    show(made, CardSummary | None, f"chat {chat_id} is on card {new_id} now, which is its own\n", as_json=as_json)


def _detach_identifier(
    card_id: int, kind: IdentifierKind, written: str, region: str | None, reason: str, *, as_json: bool
) -> None:
    keys = keys_of(written, region, [kind])
    if not keys:
        raise SettingsError(f"--{kind}: this is none; begin a phone with + and the country, or give --region")
    with customers("detach") as database:
        key = key_on_card(database, actor(), "detach", card_id, keys)
        acts.detach_identifier(database, actor(), card_id, key, reason)
    done: dict[str, Any] = {"card_id": card_id, "kind": kind}
    text = f"the {kind} is off card {card_id} for ever; chats that it bound stay: detach --chat is for those\n"
    show(done, dict[str, Any], text, as_json=as_json)


def block_command(
    value: Annotated[str, typer.Argument(help="A phone, an e-mail, `@domain` or `name@`.")] = "",
    reason: Annotated[str, typer.Option("--reason", help=REASON)] = "",
    list_all: Annotated[bool, typer.Option("--list", help="List what is blocked.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="The value may match again.")] = False,
    region: Region = "",
    as_json: Json = False,
) -> None:
    """Values that never match (T9): put one on the list, take one off it, or look at it."""
    if list_all:
        if value or remove or reason:
            raise SettingsError("--list stands alone")
        _list_blocked(as_json=as_json)
        return
    if not value:
        raise SettingsError("name a value; or --list")
    if remove and reason:
        raise SettingsError("--remove takes no reason")
    why = "" if remove else reason_of(reason)
    with customers("block") as database:
        kind, key = listed(value, region_of(region))
        if remove:
            acts.unblock(database, actor(), kind, key)
            state = "unblocked"
        else:
            state = "blocked" if acts.block(database, actor(), kind, key, why) else "blocked already"
    text = f"the {kind} is {state}" + (": it may match again\n" if remove else ": it never matches\n")
    show({"kind": kind, "value": key, "state": state}, dict[str, Any], text, as_json=as_json)


def _list_blocked(*, as_json: bool) -> None:
    with customers("block") as database, snapshot(database) as connection:
        found = tracking.blocked(connection)
    rows = [
        (one.kind, shown(one.value), shown(one.reason), shown(one.actor), f"{one.at:%Y-%m-%d %H:%M}") for one in found
    ]
    text = table(("kind", "value", "reason", "by", "since (UTC)"), rows) if rows else "nothing is blocked\n"
    show(found, list[BlockedValue], text, as_json=as_json)

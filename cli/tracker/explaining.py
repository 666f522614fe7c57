"""`openchannel tracker why`: everything known on a card, or why a chat is on it. It shows customers' identifiers."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from cli.tracker.opening import LARGEST_ID, Json, customers, show
from cli.tracker.story import story_of_card, story_of_chat
from config.settings import SettingsError
from console.problems import unknown
from crm_store import tracking
from crm_store.database import Connection
from crm_store.views import cards, provenance, snapshot
from crm_store.views.provenance import Provenance
from tracker.dialogs import ActRefusedError

PLAIN_WIDTH = 4000
"""Columns where the output is no terminal: there a line is a line."""


def why_command(
    card: Annotated[int | None, typer.Argument(min=1, max=LARGEST_ID, help="Any card of the customer.")] = None,
    chat: Annotated[int | None, typer.Option("--chat", min=1, max=LARGEST_ID, help="Why this chat is there.")] = None,
    as_json: Json = False,
) -> None:
    """Everything known on a card: by whom, from which message, by which rule."""
    if (card is None) == (chat is None):
        raise SettingsError("name a card, or --chat")
    with customers("why") as database, snapshot(database) as connection:
        found = cards.find(connection, card if card is not None else _card_of(connection, chat or 0))
        if found is None:
            raise unknown("card", card or 0)
        known = provenance.read(connection, found)
    if as_json:
        show(known, Provenance, "", as_json=True)
        return
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    console.print(story_of_card(known) if chat is None else story_of_chat(known, chat))


def _card_of(connection: Connection, chat_id: int) -> int:
    if not tracking.is_chat(connection, chat_id):
        raise unknown("chat", chat_id)
    card_id = tracking.card_of_chat(connection, chat_id)
    if card_id is None:
        raise ActRefusedError("not_processed", f"no message of chat {chat_id} has been processed yet")
    return card_id

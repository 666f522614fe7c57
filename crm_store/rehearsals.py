"""What a rehearsal of a replay reads, in transactions that are rolled back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from crm_store.database import Connection
from crm_store.inbox import ClaimedItem
from crm_store.queries import Queries

_SQL = Queries("rehearsals")


@dataclass(frozen=True, slots=True)
class PlannedLetter:
    """A letter that is to be rehearsed. chat_id: None where it never came so far."""

    id: int
    inbox_id: int | None
    chat_id: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands in a rehearsal."""

    stage: str
    reason: str | None
    item: ClaimedItem


@dataclass(frozen=True, slots=True)
class Death:
    """What a letter died of last."""

    step: str
    reason: str
    fingerprint: str
    error: str


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """What would be sent. key: by which its receiver knows it."""

    channel_key: str
    text: str
    dialog_id: int | None
    key: str


def plan(connection: Connection, letter_ids: Collection[int]) -> dict[int, PlannedLetter]:
    """Letters by id."""
    rows = connection.execute(_SQL["plan"], {"letter_ids": list(letter_ids)}).fetchall()
    return {row[0]: PlannedLetter(*row) for row in rows}


def chats_named(connection: Connection, names: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Ids of chats by channel and external id, of those that are there."""
    parameters = {"channel_ids": [channel_id for channel_id, _ in names], "names": [name for _, name in names]}
    rows = connection.execute(_SQL["chats_named"], parameters).fetchall()
    return {(channel_id, name): chat_id for channel_id, name, chat_id in rows}


def place(connection: Connection, inbox_id: int) -> Place:
    """Where an item stands now."""
    row = connection.execute(_SQL["standing"], {"inbox_id": inbox_id}).fetchone()
    assert row is not None  # noqa: S101  its row is locked
    stage, chat_id, chat_seq, card_id, dialog_id, reason = row
    item = ClaimedItem(inbox_id, chat_id or 0, chat_seq, None, card_id, dialog_id)
    return Place(stage, reason, item)


def last_death(connection: Connection, letter_id: int) -> Death:
    """What a letter died of last."""
    row = connection.execute(_SQL["last_death"], {"letter_id": letter_id}).fetchone()
    assert row is not None  # noqa: S101  its row is locked
    return Death(*row)


def last_place(connection: Connection, chat_id: int) -> int:
    """The place of our last message in a chat; 0 if there is none."""
    (seq,) = connection.execute(_SQL["last_place"], {"chat_id": chat_id}).fetchone() or (0,)
    return int(seq)


def said(connection: Connection, chat_id: int, after: int) -> list[str]:
    """What would go out to the customer after this place."""
    return [text for (text,) in connection.execute(_SQL["said"], {"chat_id": chat_id, "after": after}).fetchall()]


def cards_of(connection: Connection, chat_id: int) -> list[tuple[int, str]]:
    """Id and type of the live card of a chat, and of its deal."""
    return connection.execute(_SQL["cards_of"], {"chat_id": chat_id}).fetchall()


def merges_of(connection: Connection, inbox_id: int) -> list[tuple[int, int, int]]:
    """Merges that a message brought about: id, loser, survivor."""
    return connection.execute(_SQL["merges_of"], {"inbox_id": inbox_id}).fetchall()


def delivery(connection: Connection, letter_id: int) -> PlannedDelivery:
    """What a letter's delivery would send."""
    row = connection.execute(_SQL["delivery"], {"letter_id": letter_id}).fetchone()
    assert row is not None  # noqa: S101  its row is locked
    channel_key, text, dialog_id, key = row
    return PlannedDelivery(channel_key, text, dialog_id, str(key))


def there(
    connection: Connection, cards: Sequence[int], dialogs: Sequence[int], merges: Sequence[int]
) -> set[tuple[str, int]]:
    """Which of these are there outside of the rehearsal: `card`, `dialog` or `merge` with the id."""
    parameters = {"cards": list(cards), "dialogs": list(dialogs), "merges": list(merges)}
    return {(kind, row_id) for kind, row_id in connection.execute(_SQL["there"], parameters).fetchall()}

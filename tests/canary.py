"""A customer who can be told wherever he is: his canaries, where they are planted, and the search for them."""

import base64
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from config.logging import configure_logging
from crm_store import inbox
from ingest.adapters.base import ParsedEvent
from ingest.items import kept_headers, unread
from tests.pipeline import BOX, Desk, Worker, text_message
from tracker.identifiers import Evidence, Identifier, email, phone
from tracker.messages import InboundMessage, MessageKind

DIGITS = "491719876501"
PHONE = f"+{DIGITS}"
NATIONAL = "1719876501"
EMAIL = "quirina.canary@canary-post.de"
NAME = "Quirina Kanarienvogel"
TEXTS = ("zwitscherfest im bauwagen", "verbesserte zwitschernote", "antwortgezwitscher", "unlesbares gezwitscher")

PLANTED_COLUMNS = {
    "inbox.message", "inbox.raw", "inbox.headers", "inbox_state.found", "messages.text", "messages.external_id",
    "chats.external_id", "chats.customer_id", "chats.name", "chats.bound_key", "cards.name", "identifiers.key",
    "card_identifiers.key", "card_identifiers.value", "card_identifiers.written", "claims.key", "claims.name",
    "claims.customer_id", "merges.key", "reviews.key", "reviews.note", "kept_apart.reason", "detached.key",
    "dead_letters.error", "dead_letter_acts.reason", "dead_letter_acts.details", "failures.error",
    "failures.traceback", "outbox.error", "audit.details",
}  # fmt: skip
"""Where the search finds him before the erase."""

CANARIES = {
    "phone": re.compile(r"[\W_]{0,3}".join(NATIONAL)),
    "e-mail": re.compile(re.escape(EMAIL), re.IGNORECASE),
    "name": re.compile("Kanarienvogel", re.IGNORECASE),
    **{text: re.compile(re.escape(text), re.IGNORECASE) for text in TEXTS},
}

WAMID = "wamid." + base64.b64encode(b"\x1d\x04\x15\x0c" + DIGITS.encode() + b"\x15\x02\x00\x12\x18").decode()


# The search


def readings(value: bytes) -> Iterator[str]:
    """Bytes as somebody could read them: as text, and what is hidden in their hexadecimal or base64 parts."""
    text = value.decode("utf-8", "replace")
    yield text
    yield value.decode("utf-16-le", "replace")
    for part in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
        for start in range(4):
            cut = part[start:].replace("-", "+").replace("_", "/")
            cut = cut[: len(cut) // 4 * 4]
            yield base64.b64decode(cut).decode("latin-1")
    for part in re.findall(r"(?:[0-9a-f]{2}){8,}", text):
        yield bytes.fromhex(part).decode("latin-1")


def canaries_in(value: bytes) -> set[str]:
    """Names of the canaries that these bytes hold in some reading."""
    return {name for reading in readings(value) for name, pattern in CANARIES.items() if pattern.search(reading)}


def in_tables(desk: Desk) -> dict[str, set[str]]:
    """Every column of every table, by `table.column`."""
    found: dict[str, set[str]] = {}
    columns = desk.rows(
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
        "JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    for schema, table, column, kind in columns:
        wanted = f'"{column}"' if kind == "bytea" else f"convert_to(\"{column}\"::text, 'UTF8')"
        for (value,) in desk.rows(f'SELECT {wanted} FROM "{schema}"."{table}" WHERE "{column}" IS NOT NULL'):
            if names := canaries_in(bytes(value)):
                found.setdefault(f"{table}.{column}", set()).update(names)
    assert len(columns) > 200, "the catalogue was read"
    return found


def in_redis(url: str) -> dict[str, set[str]]:
    """Every key with whatever it holds."""
    found: dict[str, set[str]] = {}
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            held: list[bytes] = [key]
            match client.type(key):
                case b"list":
                    held += client.lrange(key, 0, -1)
                case b"hash":
                    held += [part for pair in client.hgetall(key).items() for part in pair]
                case b"set":
                    held += client.smembers(key)
                case b"zset":
                    held += client.zrange(key, 0, -1)
                case b"string":
                    held.append(client.get(key) or b"")
            # Celery's messages are JSON in JSON in base64.
            if names := set().union(*(canaries_in(part) for part in held)):
                found[key.decode()] = names
    return found


# What is planted


@dataclass(frozen=True, slots=True)
class Planted:
    """A desk with the customer, a neighbour, and all that was said of the customer. neighbour_id: his card."""

    desk: Desk
    worker: Worker
    operator: int
    log: io.StringIO

    @property
    def neighbour_id(self) -> int:
        """His card."""
        return int(self.desk.value("SELECT card_id FROM chats WHERE external_id = '7'"))


@contextmanager
def planted_desk(database_url: str) -> Iterator[Planted]:
    """Everything of the customer that can be anywhere, and what was logged meanwhile at DEBUG."""
    log = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("json", "DEBUG", "test")
    for handler in root.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(log)
    try:
        with Desk(database_url) as desk:
            operator = desk.operator("Olga", personal_limit=3)
            kinds = ["whatsapp", "livechat", "webform", "custom", "telegram"]
            desk.open_channel("desk", kinds, [operator], max_dialogs=3)
            here = Planted(desk, desk.worker(), operator, log)
            _plant_chats(here)
            _plant_changes(here)
            _plant_answer(here)
            _plant_dead_letters(here)
            _plant_neighbour(here)
            yield here
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def whatsapp(chat: str, text: str, **more: Any) -> InboundMessage:
    """A message from this number, which WhatsApp proves."""
    number = phone(f"+{chat}", Evidence.PROVEN)
    return text_message("whatsapp", chat, text, identifiers=[number] if number else [], **more)


def livechat(text: str, **more: Any) -> InboundMessage:
    """A message of the customer as a visitor, of whom nothing is proven."""
    return text_message("livechat", "visitor-1", text, identifiers=[], **more)


def typed_email(address: str = EMAIL) -> list[Identifier]:
    """As a form gives it."""
    read = email(address, Evidence.TYPED)
    assert read is not None
    return [read]


def accept_unreadable(desk: Desk, raw: bytes, error: str) -> int:
    """A body that verified and cannot be read: a dead letter."""
    event = ParsedEvent(raw=raw, message=None, error=error)
    item = unread(
        event, desk.channels["webform"], kept_headers({"x-from": PHONE}), datetime.now(UTC), BOX, "unparsable"
    )
    with desk.session.transaction() as connection:
        (inbox_id,) = inbox.accept(connection, [item], datetime.now(UTC).date())
    assert inbox_id is not None
    return inbox_id


def _plant_chats(here: Planted) -> None:
    desk, worker = here.desk, here.worker
    desk.run_through(
        livechat(f"{TEXTS[0]}, {EMAIL}", name=NAME), livechat("bitte", name=NAME, external_id="m-2"), worker=worker
    )
    desk.run_through(whatsapp(DIGITS, f"{TEXTS[0]} 2", name=NAME, external_id=WAMID), worker=worker)
    assert desk.value("SELECT count(*) FROM merges") == 0
    desk.run_through(livechat("ruft an: 0171 / 98 76 501"), worker=worker)
    assert desk.value("SELECT count(*) FROM merges WHERE undone_at IS NULL") == 1, "one customer"
    form = text_message("webform", f"form-{DIGITS}", TEXTS[0], name=NAME, identifiers=typed_email())
    desk.run_through(form, worker=worker)
    assert desk.value("SELECT count(*) FROM identifiers WHERE remembered_card_id IS NOT NULL") == 1


def _plant_changes(here: Planted) -> None:
    """Edits, and what makes no chat and names him only by his conversation."""
    changes = (
        livechat(TEXTS[1], kind=MessageKind.EDIT, target="m-2"),
        whatsapp(DIGITS, f"gelesen {TEXTS[0]}", kind=MessageKind.STATUS, target=WAMID),
        livechat(TEXTS[2], kind=MessageKind.ECHO),
    )
    here.desk.run_through(*changes, worker=here.worker)


def _plant_answer(here: Planted) -> None:
    """An operator's, which quotes the number, and could not be sent."""
    desk = here.desk
    chat_id, dialog_id = desk.rows(
        "SELECT chats.id, dialogs.id FROM chats JOIN dialogs ON dialogs.chat_id = chats.id WHERE external_id = %s",
        DIGITS,
    )[0]
    desk.execute(
        "INSERT INTO messages (chat_id, seq, direction, kind, text, dialog_id, operator_id, sent_at, received_at) "
        "VALUES (%s, 99, 'out', 'text', %s, %s, %s, now(), now())",
        *(chat_id, f"{TEXTS[2]}, wir rufen {PHONE} an", dialog_id, here.operator),
    )
    desk.execute(
        "INSERT INTO outbox (channel_id, chat_id, seq, dialog_id, state, error) "
        "SELECT channel_id, id, 99, %s, 'held', 'no way to +49 171 9876501' FROM chats WHERE id = %s",
        *(dialog_id, chat_id),
    )


def _plant_dead_letters(here: Planted) -> None:
    """One of his messages, and bodies that nobody could read, in three writings."""
    desk = here.desk
    (dead,) = desk.accept(whatsapp(DIGITS, "stirbt"))
    desk.execute(
        "INSERT INTO failures (inbox_id, step, attempt, worker, reason, error, traceback) "
        "VALUES (%s, 'bind_chat', 1, 'w', 'x', %s, %s)",
        *(dead, f"bad {PHONE}", f"Traceback\n {EMAIL.upper()}"),
    )
    desk.execute("UPDATE inbox_state SET stage = 'dead', reason = 'x', finished_at = now() WHERE inbox_id = %s", dead)
    desk.execute(
        "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback) "
        "VALUES (%s, 1, 'bind_chat', 'x', 'x', 1, %s, '')",
        *(dead, f"bad {DIGITS}"),
    )
    desk.execute("INSERT INTO ledger VALUES ('dead', 1)")
    _plant_acts(desk, desk.value("SELECT id FROM dead_letters WHERE inbox_id = %s", dead), TEXTS[3])
    _plant_delivery(desk, desk.value("SELECT id FROM outbox WHERE seq = 99"))
    form = f"name={NAME}&phone=%2B49%20171%209876501&text={TEXTS[3]}".replace(" ", "+")
    arabic = "".join(chr(0x660 + int(digit)) for digit in f"0{NATIONAL}")
    accept_unreadable(desk, form.encode(), f"at {PHONE}")
    accept_unreadable(desk, json.dumps({"text": f"{TEXTS[3]} {arabic}"}).encode(), "")
    accept_unreadable(desk, f"\xff {TEXTS[3]} 0171/9876501".encode("latin-1"), "")


def _plant_acts(desk: Desk, letter_id: int, text: str) -> None:
    """What an edit of a letter changed, and why somebody discarded it."""
    changes = [{"path": f"form.{PHONE}", "was": {"text": text, "phone": PHONE, EMAIL: 1}, "became": f"0{NATIONAL}"}]
    desk.execute(
        "INSERT INTO dead_letter_acts (letter_id, actor, act, reason, details) VALUES (%s, 'service', 'edit', %s, %s)",
        *(letter_id, f"so sagt {EMAIL}", json.dumps({"of": "raw", "changes": changes})),
    )


def _plant_delivery(desk: Desk, outbox_id: int) -> None:
    """A message of ours that was not delivered is a letter too."""
    desk.execute(
        "INSERT INTO failures (outbox_id, step, attempt, worker, reason, error, traceback) "
        "VALUES (%s, 'deliver', 1, 'w', 'x', %s, '')",
        *(outbox_id, f"nobody at {PHONE}"),
    )
    desk.execute(
        "INSERT INTO dead_letters (outbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback) "
        "VALUES (%s, 1, 'deliver', 'x', 'x', 1, %s, '')",
        *(outbox_id, f"nobody at {DIGITS}"),
    )


def _plant_neighbour(here: Planted) -> None:
    """Somebody else, who has the phone and the e-mail in all sorts of places."""
    desk, worker = here.desk, here.worker
    wide = "".join(chr(0xFF10 + int(digit)) for digit in f"0{NATIONAL}")
    desk.run_through(
        text_message("telegram", 7, "Hallo", name="Nils Nachbar", external_id="n-1"),
        text_message("telegram", 7, f"weiter: (0171) 987-65 01 \u2028 oder {EMAIL.title()}.", forwarded=True),
        text_message("telegram", 7, f"{wide} frag sie", forwarded=True),
        text_message("telegram", 7, "meine Nummer ist 0172 5550101", name="Nils Nachbar"),
        worker=worker,
    )
    card_id = here.neighbour_id
    _plant_neighbours_letters(desk)
    other_id = desk.value("SELECT card_id FROM chats WHERE external_id = %s", DIGITS)
    desk.execute("UPDATE cards SET name = %s WHERE id = %s", f"Nils (wegen {PHONE})", card_id)
    desk.execute(
        "INSERT INTO reviews (cause, card_id, other_id, kind, key, note) VALUES ('suggested', %s, %s, 'email', %s, %s)",
        *(card_id, other_id, EMAIL, f"siehe {EMAIL}"),
    )
    desk.execute(
        "INSERT INTO kept_apart VALUES (least(%s, %s), greatest(%s, %s), 'service', %s)",
        *(card_id, other_id, card_id, other_id, "nicht 0171-9876501"),
    )
    desk.execute("INSERT INTO detached VALUES (%s, 'phone', %s, 'service', 'falsch')", card_id, PHONE)
    note = json.dumps({"note": f"call {DIGITS}"})
    desk.execute("INSERT INTO audit (actor, act, outcome, details) VALUES ('service', 'x', 'done', %s)", note)


def _plant_neighbours_letters(desk: Desk) -> None:
    """His message and an answer to him had died, and went through later; what was said of them stays."""
    item, chat_id = desk.rows(
        "SELECT inbox_id, chat_id FROM inbox_state JOIN chats ON chats.id = chat_id WHERE external_id = '7' LIMIT 1"
    )[0]
    desk.execute("UPDATE inbox SET headers = %s WHERE id = %s", json.dumps({"x-from": PHONE, "x-for": "Nils"}), item)
    desk.execute(
        "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback) "
        "VALUES (%s, 1, 'bind_chat', 'x', 'x', 1, '', '')",
        item,
    )
    _plant_acts(desk, desk.value("SELECT id FROM dead_letters WHERE inbox_id = %s", item), "Grüße")
    desk.execute(
        "INSERT INTO outbox (channel_id, chat_id, seq, state) "
        "SELECT channel_id, chat_id, 1, 'sent' FROM inbox JOIN inbox_state ON id = inbox_id WHERE inbox_id = %s",
        item,
    )
    _plant_delivery(desk, desk.value("SELECT id FROM outbox WHERE chat_id = %s", chat_id))

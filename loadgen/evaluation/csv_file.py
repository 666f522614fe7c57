"""Messages in a CSV file: `customer,channel,chat,sent_at,name,text,identity`, and `trap` if you like.

customer   who really wrote it, any text
channel    the kind of the channel, or kind/key; a key that begins with a country (`livechat/de`) says how national
           numbers are read
chat       id of the conversation on the channel; it is the sender's messenger id too, except on web forms
sent_at    ISO 8601 with a time zone, as 2026-03-01T09:30:00Z
name       what the channel calls the sender; may be empty
text       what he wrote
identity   what the channel says of him: nothing, or `evidence:value` once or more, separated by spaces.
           evidence is proven, signed or typed; a value with @ is an e-mail, any other a phone without spaces.
           Proven phones are international: `proven:+491711234567 signed:ann@firm.example`
trap       what makes the message hard; only the share of causes uses it
"""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from loadgen.evaluation.said import EVIDENCE, Given, Message

COLUMNS = ("customer", "channel", "chat", "sent_at", "name", "text", "identity")
OPTIONAL = "trap"
NEEDED = frozenset({"customer", "channel", "chat", "sent_at"})
LONGEST_ID = 512


class FileMistakeError(Exception):
    """The file cannot be read as messages; the text names line and column, and says what to do."""


def write_messages(file: TextIO, messages: Iterable[Message]) -> None:
    """Write them, with the traps."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow((*COLUMNS, OPTIONAL))
    writer.writerows(
        (
            message.customer,
            message.channel,
            message.chat,
            message.sent_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            message.name,
            message.text,
            " ".join(f"{given.evidence}:{given.value}" for given in message.identity),
            message.trap,
        )
        for message in messages
    )


def read_messages(path: Path) -> list[Message]:
    """All messages of the file, in the order of their times. Raises FileMistakeError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            messages = list(parse_messages(file, str(path)))
    except UnicodeDecodeError as error:
        raise FileMistakeError(f"{path}: it is not a text in UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise FileMistakeError(f"{path}: it cannot be read: {error.strerror}") from error
    return sorted(messages, key=lambda message: message.sent_at)


def parse_messages(lines: Iterable[str], where: str = "the file") -> Iterator[Message]:
    """The messages of a file's lines, in their order. Raises FileMistakeError."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        _check_header(header, where)
        any_message = False
        for row in reader:
            if row:
                any_message = True
                yield _message(row, header, f"{where}, line {reader.line_num}")
    except csv.Error as error:
        raise FileMistakeError(
            f"{where}, line {reader.line_num}: {error}; put texts with commas, quotes or line breaks "
            'in double quotes, and write a quote within them twice ("")'
        ) from error
    if not any_message:
        raise FileMistakeError(f"{where}: it has no messages; write one line for each below the names of the columns")


def _check_header(header: list[str], where: str) -> None:
    if tuple(header) not in (COLUMNS, (*COLUMNS, OPTIONAL)):
        raise FileMistakeError(
            f"{where}, line 1: the columns must be {','.join(COLUMNS)} (and {OPTIONAL} if you like), "
            f"not {','.join(header) or 'nothing'}"
        )


def _message(row: list[str], header: list[str], where: str) -> Message:
    if len(row) != len(header):
        raise FileMistakeError(
            f"{where}: it has {len(row)} columns instead of {len(header)}; put texts with commas in double quotes"
        )
    fields = dict(zip(header, row, strict=True))
    for column in COLUMNS:
        if column in NEEDED and not fields[column].strip():
            raise FileMistakeError(f"{where}, column {column}: it is empty; every message needs one")
        if "\x00" in fields[column]:
            raise FileMistakeError(f"{where}, column {column}: it holds a NUL character; take it out")
    return Message(
        customer=fields["customer"],
        channel=_channel(fields["channel"], where),
        chat=_chat(fields["chat"], where),
        sent_at=_time(fields["sent_at"], where),
        name=fields["name"],
        text=fields["text"],
        identity=_identity(fields["identity"], where),
        trap=fields.get(OPTIONAL, ""),
    )


def _channel(text: str, where: str) -> str:
    kind, slash, key = text.partition("/")
    allowed = kind.isascii() and kind.isalnum() and kind.islower() and len(text) <= 60
    if not allowed or (slash and not key.replace("-", "").isalnum()) or not key.isascii():
        raise FileMistakeError(
            f"{where}, column channel: {text!r} is no channel; write a kind in small letters, as telegram, "
            "or kind/key with letters, digits and - in the key, as livechat/de"
        )
    return text


def _chat(text: str, where: str) -> str:
    if len(text) > LONGEST_ID:
        raise FileMistakeError(f"{where}, column chat: it is longer than {LONGEST_ID} characters; shorten it")
    return text


def _time(text: str, where: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise FileMistakeError(
            f"{where}, column sent_at: {text!r} is no time; write it as 2026-03-01T09:30:00Z"
        ) from error
    if at.tzinfo is None:
        raise FileMistakeError(f"{where}, column sent_at: {text!r} has no time zone; add Z for UTC, or an offset")
    if not 2005 <= at.year <= 2100:
        raise FileMistakeError(f"{where}, column sent_at: {text!r} is not between 2005 and 2100; mend the year")
    return at.astimezone(UTC)


def _identity(text: str, where: str) -> tuple[Given, ...]:
    return tuple(_given(item, where) for item in text.split())


def _given(item: str, where: str) -> Given:
    evidence, colon, value = item.partition(":")
    if not colon or evidence not in EVIDENCE or not value:
        raise FileMistakeError(
            f"{where}, column identity: {item!r} cannot be read; write proven:, signed: or typed: and the value "
            "without spaces, as proven:+491711234567"
        )
    kind = "email" if "@" in value else "phone"
    digits = value.removeprefix("+")
    if (
        kind == "phone"
        and evidence == "proven"
        and not (
            value.startswith("+")
            and digits.isascii()
            and digits.isdigit()
            and 7 <= len(digits) <= 15
            and digits[0] != "0"
        )
    ):
        raise FileMistakeError(
            f"{where}, column identity: {item!r} is no international number; a proven phone is + and 7 to 15 digits, "
            "as proven:+491711234567"
        )
    return Given(kind, value, evidence)

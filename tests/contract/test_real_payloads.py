"""Bodies as providers send them, which are kept beside the project and not in it."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.adapters.base import WebhookRequest, parse
from ingest.adapters.registry import ADAPTERS, adapter_for
from tracker.channels import Channel
from tracker.texts import clean

pytestmark = pytest.mark.contract

FOLDER = Path(__file__).parents[2].parent / "shared" / "payloads"
CUSTOMERS = {"text", "media", "sticker", "location", "contact", "button", "order", "email", "lead"}
EITHER_WAY = {"unsupported", "referral"}


def _bodies() -> list[tuple[str, str, list[dict[str, str]]]]:
    index = FOLDER / "INDEX.tsv"
    if not index.is_file():
        return []
    rows: dict[tuple[str, str], list[dict[str, str]]] = {}
    with index.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            row = {name: json.loads(f'"{value}"') for name, value in row.items()}
            if row["channel"] in ADAPTERS:
                rows.setdefault((row["channel"], row["file"]), []).append(row)
    return [(*name, expected) for name, expected in rows.items()]


BODIES = _bodies()


@pytest.mark.skipif(not BODIES, reason=f"no {FOLDER.name} folder beside the project")
@pytest.mark.parametrize(("kind", "file", "rows"), BODIES, ids=[f"{kind}/{file}" for kind, file, _ in BODIES])
def test_a_real_body_gives_what_it_should(kind, file, rows):
    """C5: exactly the customers' messages may make customers, with their ids, texts, phones and names."""
    channel = Channel(id=1, key="desk", kind=kind, name="Desk", open_channel_id=1)
    request = WebhookRequest("POST", "", {}, {}, (FOLDER / kind / file).read_bytes(), datetime.now(UTC))
    events = parse(adapter_for(kind), request, channel)
    assert [event.error for event in events if event.error] == []
    customers = [event.message for event in events if event.message and event.message.from_customer]
    wanted = [row for row in rows if row["kind"] in CUSTOMERS]
    assert 0 <= len(customers) - len(wanted) <= sum(row["kind"] in EITHER_WAY for row in rows)
    expected = [row for row in rows if row["kind"] in CUSTOMERS | EITHER_WAY]
    for row, message in zip(wanted if len(wanted) == len(customers) else expected, customers, strict=True):
        # What is no message of its own, as a click, has no id.
        assert row["message_id"] in ("", message.external_id)
        assert message.account_id == row["account_id"]
        assert not row["chat_id"] or message.chat_id == row["chat_id"]
        assert message.text == clean(row["text"]) or row["kind"] not in {"text", "media", "button"}
        assert not row["phone"] or row["phone"] in [identifier.value for identifier in message.identifiers]
        assert not row["name"] or message.name == row["name"]

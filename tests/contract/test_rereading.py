"""What was kept of an item is read again as it would be read now: the same over every adapter."""

import json
from dataclasses import replace

import pytest

from crm_store.inbox import NewItem
from crm_store.put_back import KeptItem
from crm_store.secrets import SecretKeyError
from ingest.adapters.base import parse
from ingest.adapters.registry import adapter_for
from ingest.items import UNKNOWN_ACCOUNT, as_item, kept_headers
from ingest.rereading import NoChannelError, Rereader
from tests.contract.adapter_requests import CASES, Case
from tests.pipeline import BOX

pytestmark = pytest.mark.contract

every_kind = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)


def first_reading(case: Case) -> list[NewItem]:
    """What the webhook made of the case's request."""
    request, channel = case.request(), case.channel()
    headers = kept_headers(request.headers)
    events = parse(adapter_for(case.kind), request, channel)
    assert all(event.message is not None for event in events)
    return [as_item(event, channel, headers, request.received_at, BOX) for event in events]


def kept(item: NewItem, raw: bytes, *, whole_body: bool = False, message: str | None = None) -> KeptItem:
    """As it stands in the inbox of an item that could not be read."""
    headers = json.loads(item.headers or "{}")
    return KeptItem(1, item.channel_id, item.received_at, raw, message, headers, "parse", whole_body)


def told(item: NewItem) -> tuple[object, ...]:
    """What counts of an item: its key, its chat and its message; JSON that was read again is in the same order."""
    return item.key_hash, item.chat, item.stage, item.message


@every_kind
def test_a_slice_is_read_as_it_was_at_first(case: Case) -> None:
    """The same key, the same message: what was accepted in another delivery is known again."""
    rereader = Rereader([case.channel()], BOX)
    for item in first_reading(case):
        assert [told(one) for one in rereader.read(kept(item, item.raw))] == [told(item)]


@every_kind
def test_a_whole_body_is_cut_as_it_would_have_been(case: Case) -> None:
    """With the headers that were kept: some adapters read by them."""
    items = first_reading(case)
    again = Rereader([case.channel()], BOX).read(kept(items[0], case.request().body, whole_body=True))
    assert [told(one) for one in again] == [told(item) for item in items]


@every_kind
def test_what_is_no_json_is_taken_for_a_body(case: Case) -> None:
    """Letters from before bodies were told from slices."""
    (item, *_) = first_reading(case)
    (again,) = Rereader([case.channel()], BOX).read(kept(item, b"\xff not json", whole_body=False))
    if case.kind != "webform":  # whatever somebody posts is a form
        assert (again.stage, again.reason) == ("dead", "unparsable")


@every_kind
def test_what_a_person_has_edited_is_taken_as_it_is(case: Case) -> None:
    """Not read once more."""
    (item, *_) = first_reading(case)
    assert item.message is not None
    edited = json.dumps(json.loads(item.message) | {"text": "edited"})
    (again,) = Rereader([case.channel()], BOX).read(kept(item, b"{}", message=edited))
    assert json.loads(again.message or "")["text"] == "edited"
    assert again.key_hash == item.key_hash


def test_without_its_channel_it_cannot_be_read() -> None:
    """Nor with a secret key that does not open the channel's secrets; each says so by its reason."""
    case = CASES[0]
    (item, *_) = first_reading(case)
    with pytest.raises(NoChannelError):
        Rereader([], BOX).read(kept(item, item.raw))
    with pytest.raises(SecretKeyError):
        Rereader([replace(case.channel(), unreadable=True)], BOX).read(kept(item, item.raw))


def test_an_edited_message_of_another_account_goes_to_the_channel_of_that_one() -> None:
    """As one that is read; without such a channel it is dead for that reason."""
    (case,) = [case for case in CASES if case.kind == "whatsapp"]
    (item, *_) = first_reading(case)
    assert item.message is not None
    edited = json.dumps(json.loads(item.message) | {"account_id": "another"})
    channel = replace(case.channel(), account_id="mine")
    other = replace(channel, id=2, key="other", account_id="another")
    (alone,) = Rereader([channel], BOX).read(kept(item, b"{}", message=edited))
    assert (alone.stage, alone.reason) == ("dead", UNKNOWN_ACCOUNT)
    (moved,) = Rereader([channel, other], BOX).read(kept(item, b"{}", message=edited))
    assert (moved.channel_id, json.loads(moved.message or "")["channel"]) == (2, "other")

"""What the synthetic providers send is what the real adapters take."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ingest.adapters.base import SignatureError, WebhookRequest, parse
from ingest.adapters.registry import ADAPTERS, adapter_for
from loadgen.wire import KINDS, webhook
from loadgen.world import Act, Planned, World
from tests.loadgen_channels import CHANNELS
from tracker.channels import Channel
from tracker.extraction import extract
from tracker.identifiers import Evidence, IdentifierKind, phone_key
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

NOW = datetime(2026, 10, 5, 12, 0, 0, tzinfo=UTC)
BY_KEY = {channel.key: channel for channel in CHANNELS}
PLAN = tuple(itertools.islice(World(5, 3, 40.0, CHANNELS).plan(), 3000))


def request_of(planned: Planned, later: float = 0) -> tuple[WebhookRequest, Channel]:
    channel, now = BY_KEY[planned.writing.channel], NOW.timestamp() + later
    made = webhook(channel, planned.writing, NOW.timestamp(), now)
    received_at = datetime.fromtimestamp(now, UTC)
    request = WebhookRequest("POST", f"https://desk.example.org{made.path}", made.headers, {}, made.body, received_at)
    return request, channel


def read(planned: Planned, later: float = 0) -> InboundMessage:
    """Verify and parse as the webhook endpoint does."""
    request, channel = request_of(planned, later)
    adapter = adapter_for(channel.kind)
    assert request.headers["content-type"] in adapter.content_types
    adapter.verify(request, channel)
    (event,) = parse(adapter, request, channel)
    assert event.error == ""
    assert event.message is not None
    return event.message


def test_every_synthetic_kind_has_an_adapter():
    """The synthetic providers send what there is an adapter for."""
    assert set(ADAPTERS) >= KINDS


def test_every_webhook_is_accepted_and_read():
    """All that a world sends is proved and understood: what customers write makes customers, groups never do (C5)."""
    for planned in PLAN:
        message, writing = read(planned), planned.writing
        if writing.act is Act.WRITE_IN_GROUP:
            assert message.kind is MessageKind.GROUP
            continue
        assert message.from_customer
        assert message.text == writing.text
        assert message.account_id in ("", BY_KEY[writing.channel].account_id)


def test_a_repeat_has_the_key_of_what_it_repeats_and_no_other_has():
    """A provider's second try is recognised, although its signature is new."""
    keys: dict[tuple[str, str], int] = {}
    for planned in PLAN:
        message = read(planned, later=120 if planned.repeat else 0)
        assert keys.setdefault((message.channel, message.key), planned.writing.number) == planned.writing.number
    assert len(keys) == len({planned.writing.number for planned in PLAN})


@pytest.mark.parametrize("kind", ["telegram", "whatsapp", "custom"])
def test_a_wrong_secret_is_refused(kind):
    """The signatures are real ones: under another secret they prove nothing."""
    planned = next(one for one in PLAN if BY_KEY[one.writing.channel].kind == kind)
    request, channel = request_of(planned)
    with pytest.raises(SignatureError):
        adapter_for(kind).verify(request, replace(channel, secrets=("whsec_b3RoZXI=",)))


def test_phones_and_emails_in_texts_are_found():
    """T3: the texts in which people say who they are, in all languages, give their phone and their e-mail."""
    found = {IdentifierKind.PHONE: 0, IdentifierKind.EMAIL: 0}
    for planned in PLAN:
        person, text = planned.writing.person, planned.writing.text
        identifiers = extract(text, BY_KEY[planned.writing.channel].region)
        for identifier in identifiers:
            found[identifier.kind] += 1
            right = phone_key(person.phone) if identifier.kind is IdentifierKind.PHONE else person.email
            assert identifier.key == right
        assert bool(identifiers) == (person.written_phone in text or person.email in text), text
    assert min(found.values()) > 50


def test_one_person_is_known_by_one_phone_everywhere():
    """T12: WhatsApp writes Brazilian and Mexican numbers in its own way; they match what the person types."""
    proven = set()
    for planned in PLAN:
        if BY_KEY[planned.writing.channel].kind == "whatsapp" and planned.writing.act is Act.WRITE:
            (identifier,) = [one for one in read(planned).identifiers if one.kind is IdentifierKind.PHONE]
            assert identifier.evidence is Evidence.PROVEN
            assert identifier.key == phone_key(planned.writing.person.phone)
            proven.add(planned.writing.person.country.code)
    assert {"55", "52", "54"} <= proven


def test_evidence_is_as_the_channel_gives_it():
    """T3: shared contacts are proven, identity tokens sign, forms are typed."""
    seen = set()
    for planned in PLAN:
        kind = BY_KEY[planned.writing.channel].kind
        for identifier in read(planned).identifiers:
            if identifier.kind is not IdentifierKind.MESSENGER:
                seen.add((kind, identifier.evidence))
    assert seen == {
        ("telegram", Evidence.PROVEN),
        ("whatsapp", Evidence.PROVEN),
        ("livechat", Evidence.SIGNED),
        ("livechat", Evidence.TYPED),
        ("webform", Evidence.TYPED),
        ("custom", Evidence.PROVEN),
    }

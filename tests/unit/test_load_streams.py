"""Streams: the same bytes from one seed, in each profile's shape, and read by the real adapters as they mean it."""

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import cast

import pytest

from cli.desks.reading import read_desk
from cli.desks.wishes import Secrets
from cli.load.desk_files import write_desk
from ingest.adapters.base import WebhookRequest, parse
from ingest.adapters.registry import adapter_for
from loadgen.evaluation.reading import key_of
from loadgen.phrases import PHRASES
from loadgen.streams.desk import HOT, desk_of
from loadgen.streams.files import StreamFileError, read_stream, write_stream
from loadgen.streams.making import make_stream
from loadgen.streams.profiles import PROFILES
from loadgen.streams.stream import MAKES_NOTHING, Request, Stream, Trouble
from loadgen.verdict.truth import name_of
from loadgen.wire import headers_of
from tests.loads import cards_by_what_joins, first_requests
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

NOW = datetime(2026, 10, 5, 12, 0, 0, tzinfo=UTC)
DESK = desk_of(1)
STEADY = make_stream(3, "steady", 40, 40)
WRITE = (
    "import sys; from pathlib import Path; from loadgen.streams.files import write_stream; "
    "from loadgen.streams.making import make_stream; write_stream(make_stream(9, 'poison', 20, 10), Path(sys.argv[1]))"
)


@cache
def stream_of(profile: str, rate: float = 40, seconds: float = 40) -> Stream:
    return make_stream(3, profile, rate, seconds)


def tenths(stream: Stream) -> list[int]:
    """Different messages that are planned in each tenth of the time."""
    counted = Counter(int(10 * one.at / stream.header.seconds) for one in first_requests(stream))
    return [counted[tenth] for tenth in range(10)]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """In another process, with other hashes of strings, too."""
    digests = set()
    for hashes in ("1", "2"):
        file = tmp_path / f"{hashes}.jsonl"
        environment = {**os.environ, "PYTHONHASHSEED": hashes}
        subprocess.run([sys.executable, "-c", WRITE, str(file)], check=True, env=environment)
        digests.add(hashlib.sha256(file.read_bytes()).hexdigest())
    here = tmp_path / "here.jsonl"
    write_stream(make_stream(9, "poison", 20, 10), here)
    assert digests == {hashlib.sha256(here.read_bytes()).hexdigest()}


def test_a_file_holds_the_whole_stream(tmp_path: Path) -> None:
    """What is read is what was written, bodies that are no UTF-8 too."""
    first = STEADY.requests[0]
    odd = Request(first.at, first.channel, first.delivery, b"\xff\xfe", first.meaning, Trouble.POISON)
    stream = Stream(STEADY.header, [odd, *STEADY.requests[1:]])
    write_stream(stream, tmp_path / "s.jsonl")
    assert read_stream(tmp_path / "s.jsonl") == stream


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: [], ":1: "),
        (lambda lines: [lines[0].replace('"openchannel_stream":1', '"openchannel_stream":2'), *lines[1:]], "format 2"),
        (lambda lines: [*lines[:2], "{}", *lines[3:]], ":3: "),
        (lambda lines: [lines[0], lines[-1], *lines[1:-1]], "not in the order"),
    ],
)
def test_a_file_that_is_no_stream_is_told_with_its_line(tmp_path, spoil, said) -> None:
    """Nothing of it is played."""
    file = tmp_path / "s.jsonl"
    write_stream(stream_of("steady", 20, 5), file)
    file.write_text("\n".join(spoil(file.read_text().splitlines())))
    with pytest.raises(StreamFileError, match=said):
        read_stream(file)


def test_two_streams_have_no_message_in_common() -> None:
    """Another seed, profile, rate or length: so several can be played on one desk."""
    streams = [
        STEADY,
        make_stream(4, "steady", 40, 20),
        make_stream(3, "ramp", 40, 20),
        make_stream(3, "steady", 41, 20),
        make_stream(3, "steady", 40, 20),
    ]
    names = [{name_of(one) for one in stream.requests} for stream in streams]
    chats = [{one.meaning.chat for one in stream.requests} for stream in streams]
    for found in (names, chats):
        assert len(set.union(*found)) == sum(map(len, found))


def test_streams_on_one_desk_have_no_person_in_common() -> None:
    """Even where their dice fall alike: a customer with an earlier one's phone would go on in his WhatsApp chat."""
    taken: set[object] = set()
    streams = [make_stream(3, "steady", 20, 10, 1, taken) for _ in range(3)]
    people = [{one.meaning.customer for one in stream.requests} for stream in streams]
    chats = [{one.meaning.chat for one in stream.requests} for stream in streams]
    gives = [{key_of(one, None) for request in stream.requests for one in request.meaning.gives} for stream in streams]
    for found in (people, chats, gives):
        assert len(set.union(*found)) == sum(map(len, found))
    assert streams[0] == make_stream(3, "steady", 20, 10)


def read(request: Request) -> InboundMessage | None:
    """As the webhook endpoint reads it; None if it cannot be read."""
    channel = next(one for one in DESK.channels if one.key == request.channel)
    headers = headers_of(channel, request.delivery, request.body, NOW.timestamp())
    received = WebhookRequest("POST", "https://d.example.org/", headers, {}, request.body, NOW)
    adapter = adapter_for(channel.kind)
    adapter.verify(received, channel)
    (event,) = parse(adapter, received, channel)
    return event.message


@pytest.mark.parametrize("profile", ["steady", "poison"])
def test_each_request_is_read_as_it_means(profile: str) -> None:
    """Its id, text and chat; edits change, groups and bots make nothing, and poison is proved and unreadable."""
    for request in first_requests(stream_of(profile)):
        message, meaning = read(request), request.meaning
        if request.trouble is Trouble.POISON:
            assert message is None
            continue
        assert message is not None
        assert (message.external_id, message.text) == (meaning.message, meaning.text)
        assert message.from_customer is not (request.trouble in MAKES_NOTHING or bool(meaning.edits))
        assert (message.kind is MessageKind.EDIT) is bool(meaning.edits)
        assert message.target == meaning.edits
        if request.channel != "load-webform" and request.trouble is not Trouble.GROUP:
            assert message.chat_id == meaning.chat
        proven = {given.kind for given in meaning.gives if given.evidence == "proven"}
        shown = {str(one.kind) for one in message.identifiers if one.evidence == "proven" and one.kind != "messenger"}
        assert shown == proven


def test_a_repeat_is_the_same_delivery() -> None:
    """Its bytes and its id are those of the request that it repeats, and it comes later."""
    first: dict[str, Request] = {}
    repeats = 0
    for request in stream_of("retry-storm").requests:
        if (before := first.setdefault(request.delivery, request)) is not request:
            repeats += 1
            assert request.body == before.body
            assert request.at > before.at
    assert repeats > 300


def test_the_world_is_a_world() -> None:
    """All troubles, many languages, customers with several chats, and families whom nobody can tell apart."""
    requests = first_requests(STEADY)
    assert {one.trouble for one in requests} >= set(Trouble) - {Trouble.REPEAT, Trouble.POISON}
    assert {one.channel for one in requests} == {channel.key for channel in DESK.channels}
    answers = {opening: language for language, phrases in PHRASES.items() for opening in phrases.openings}
    assert {answers[one.meaning.text] for one in requests if one.meaning.text in answers} == set(PHRASES)
    assert max(len(one.meaning.text) for one in requests) > 1000
    customers: dict[int, set[str]] = defaultdict(set)
    chats: dict[str, set[str]] = defaultdict(set)
    cards = cards_by_what_joins(requests)
    for request in requests:
        conversation = (request.channel, request.meaning.chat)
        if conversation in cards and request.trouble not in MAKES_NOTHING:
            customers[cards[conversation]].add(request.meaning.customer)
            chats[request.meaning.customer].add(request.channel)
    assert any(len(family) > 1 for family in customers.values())
    assert sum(len(over) > 1 for over in chats.values()) > 10


# Profiles


def test_every_profile_keeps_its_rate() -> None:
    """Whatever its shape, the mean is what was asked for."""
    for profile in PROFILES:
        assert 0.9 < len(first_requests(stream_of(profile))) / (40 * 40) < 1.1, profile


def test_steady_is_steady() -> None:
    """No tenth has half more than another."""
    assert max(tenths(STEADY)) < 1.5 * min(tenths(STEADY))


def test_ramp_rises() -> None:
    """The last tenth has many times what the first has."""
    counted = tenths(stream_of("ramp"))
    assert counted[9] > 8 * counted[0]
    assert sum(counted[5:]) > 2.5 * sum(counted[:5])


def test_burst_bursts() -> None:
    """Five times, for a fiftieth each, at a rate far above what lies between."""
    stream = stream_of("burst")
    counted = Counter(int(50 * one.at / stream.header.seconds) for one in first_requests(stream))
    bursts = [counted[place] for place in range(50) if place % 10 == 9]
    quiet = [counted[place] for place in range(50) if place % 10 < 8]
    assert min(bursts) > 2 * max(quiet)


def test_a_day_has_nights_and_two_peaks() -> None:
    """24 hours in the stream's length: most at noon, a second peak in the evening, next to nobody at night."""
    stream = stream_of("day")
    hours = Counter(int(24 * one.at / stream.header.seconds) for one in first_requests(stream))
    assert max(hours, key=lambda hour: hours[hour]) in range(10, 14)
    night, noon, afternoon, evening = (sum(hours[at] for at in range(h, h + 3)) for h in (1, 10, 14, 18))
    assert noon > evening > afternoon > 2 * night


def test_a_hot_chat_has_a_third_of_everything() -> None:
    """One customer writes all the time; the others go on."""
    talk = Counter((one.channel, one.meaning.chat) for one in first_requests(stream_of("hot-chat")))
    (_, hottest), (_, second) = talk.most_common(2)
    assert 0.25 < hottest / talk.total() < 0.35
    assert second < hottest / 10


def test_a_hot_open_channel_has_most() -> None:
    """Nearly all conversations begin where few operators are, with a limit."""
    channels = Counter(one.channel for one in first_requests(stream_of("hot-open-channel")))
    assert channels[HOT] / channels.total() > 0.75


def test_poison_is_a_share() -> None:
    """Some of the bodies, each another."""
    poison = [one for one in first_requests(stream_of("poison")) if one.trouble is Trouble.POISON]
    assert 0.02 < len(poison) / (40 * 40) < 0.04
    assert len({one.body for one in poison}) == len(poison)


# The desk


def test_the_desk_is_one_that_apply_takes(tmp_path: Path) -> None:
    """Its channels have the secrets with which streams are signed, its operators the tokens with which they act."""
    wish = read_desk(write_desk(DESK, tmp_path / "desk"), {})
    assert {one.name: cast(Secrets, one.secrets).values for one in wish.channels} == {
        channel.key: channel.secrets for channel in DESK.channels
    }
    assert [(one.name, one.token) for one in wish.operators] == [(one.name, one.token) for one in DESK.operators]
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "desk").iterdir()} == {0o600}
    assert desk_of(2).channels[0].secrets != DESK.channels[0].secrets

"""The benchmark's stream: the same for the same seed, with the shares that it promises, and true."""

from collections import Counter, defaultdict

import pytest

from bench.driver import percentile, planned_times
from bench.stream import Stream, make_stream, tag_in, tag_of
from tracker.extraction import extract
from tracker.identifiers import Evidence, IdentifierKind, phone_from_digits

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def stream() -> Stream:
    """Large enough for the shares to hold."""
    return make_stream(7, 2000)


def test_the_same_seed_makes_the_same_stream(stream: Stream) -> None:
    """Two processes (the driver and the one that checks) make it independently."""
    assert make_stream(7, 2000) == stream
    assert make_stream(8, 2000).messages != stream.messages


def test_shares(stream: Stream) -> None:
    """As the benchmark is described: a fifth as many chats, 15 % phones, 5 % e-mails, 1 % repeats, five channels."""
    assert len(stream.messages) == 2000
    assert len(stream.chats) == 400
    assert stream.customers == 300
    assert len(stream.requests) == 2020
    assert stream.share_with(IdentifierKind.PHONE) == pytest.approx(0.15, abs=0.005)
    assert stream.share_with(IdentifierKind.EMAIL) == pytest.approx(0.05, abs=0.005)
    assert len({said.writing.channel for said in stream.messages}) == 5


def test_every_chat_writes_and_repeats_follow_their_message(stream: Stream) -> None:
    """A repeat is of a message that was sent before, and each message is repeated once at the most."""
    assert {said.chat for said in stream.messages} == set(range(400))
    sent: Counter[int] = Counter()
    for said in stream.requests:
        sent[said.number] += 1
    assert sorted(sent) == list(range(2000))
    assert max(sent.values()) == 2
    assert [said.number for said in dict.fromkeys(stream.requests)] == list(range(2000))


def test_what_the_stream_says_it_gives_is_found_in_it(stream: Stream) -> None:
    """The oracle counts phones and e-mails by `gives`: no text holds one that is not told, or hides one that is."""
    for said in stream.messages:
        writing, kind = said.writing, stream.chats[said.chat].kind
        found = {(str(i.kind), i.key) for i in extract(writing.text, "DE")}
        for wanted in said.gives - found:
            given = writing.gives_phone if wanted[0] == IdentifierKind.PHONE else writing.gives_email
            assert given or kind == "whatsapp"
        assert found <= said.gives
        if kind == "whatsapp":
            proven = phone_from_digits(writing.person.whatsapp_id, Evidence.PROVEN)
            assert proven is not None
            assert ("phone", proven.key) in said.gives


def test_both_chats_of_a_customer_begin_with_the_same_identifier(stream: Stream) -> None:
    """Whichever is worked on first, the other one's first message finds the card."""
    first: dict[int, frozenset[tuple[str, str]]] = {}
    for said in stream.messages:
        first.setdefault(said.chat, said.gives)
    chats = defaultdict(list)
    for chat in stream.chats:
        chats[chat.customer].append(chat.number)
    pairs = [numbers for numbers in chats.values() if len(numbers) == 2]
    assert len(pairs) == 100
    for one, other in pairs:
        assert first[one] & first[other]
        assert stream.chats[one].kind != stream.chats[other].kind


def test_tags() -> None:
    """Found again at the end of a text, and never the same."""
    assert tag_of(0) == "aaaaa"
    assert len({tag_of(number) for number in range(30_000)}) == 30_000
    assert tag_in(f"Price? ~{tag_of(27)}") == "aaabb"
    assert tag_in("Price?") == ""


def test_planned_times_follow_the_rate() -> None:
    """Messages of the open model: the same for the same seed, ascending, as many in a second as asked."""
    times = planned_times(3, 100.0, 5000)
    assert times == planned_times(3, 100.0, 5000)
    assert times == sorted(times)
    assert times[-1] == pytest.approx(50, rel=0.1)


def test_percentile() -> None:
    """The smallest value that the share does not exceed."""
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 99.0
    assert percentile([5.0], 0.99) == 5.0

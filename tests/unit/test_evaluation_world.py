"""The generated world: the same for the same seed, of the size that was asked for, and as it says."""

import hashlib
import io
import random
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import phonenumbers
import pytest

from loadgen.evaluation.countries import COUNTRIES
from loadgen.evaluation.csv_file import parse_messages, write_messages
from loadgen.evaluation.oracle import cards_of
from loadgen.evaluation.reading import identifiers, key_of, read_text
from loadgen.evaluation.said import Given, Message, region_of
from loadgen.evaluation.world import Sizes, make_world
from tracker.extraction import extract

pytestmark = pytest.mark.unit

WORLD = make_world(7, Sizes.of(600))


def as_csv(messages: list[Message]) -> str:
    """The file's text."""
    file = io.StringIO()
    write_messages(file, messages)
    return file.getvalue()


def test_the_same_seed_is_the_same_world():
    """To the byte, whatever machine and version of Python: a change of the world is a change of this digest."""
    digest = hashlib.sha256(as_csv(make_world(1, Sizes.of(100))).encode()).hexdigest()
    assert digest == hashlib.sha256(as_csv(make_world(1, Sizes.of(100))).encode()).hexdigest()
    assert digest == "1800d17677ef251ad48995f5a3a9c551ede2f0e423e83fab21b1a7dcdfe3c0de"


def test_another_seed_is_another_world():
    """Otherwise a seed would mean nothing."""
    assert as_csv(make_world(1, Sizes.of(50))) != as_csv(make_world(2, Sizes.of(50)))


@pytest.mark.parametrize("sizes", [Sizes.of(600), Sizes(1, 1, 1), Sizes(3, 9, 9), Sizes(20, 20, 45), Sizes(40, 90, 91)])
def test_sizes_are_exact(sizes):
    """Customers, chats and messages."""
    world = make_world(3, sizes)
    assert len(world) == sizes.messages
    assert len({message.chat_key for message in world}) == sizes.chats
    assert len({message.customer for message in world}) <= sizes.customers


def test_every_customer_writes():
    """Nobody is lost to another's chat."""
    assert len({message.customer for message in WORLD}) == 600


def test_default_sizes():
    """As the command says."""
    assert Sizes() == Sizes.of(10_000) == Sizes(10_000, 30_000, 100_000)


def test_impossible_sizes():
    """A world without messages for its chats cannot be."""
    with pytest.raises(ValueError, match="a message for each chat"):
        Sizes(10, 20, 19)


def test_every_trap_is_laid():
    """Even in a small world."""
    assert {message.trap for message in WORLD} >= {
        "", "family", "switchboard", "recycled", "stranger", "typo", "two_proven", "second_phone", "at_once",
        "placeholder", "never_identified",
    }  # fmt: skip


def test_messages_come_in_order():
    """And in a chat, one after the other."""
    assert all(one.sent_at <= other.sent_at for one, other in pairwise(WORLD))
    last: dict[tuple[str, str], Message] = {}
    for message in WORLD:
        before = last.get(message.chat_key)
        assert before is None or before.sent_at < message.sent_at
        last[message.chat_key] = message


def test_first_messages_at_once():
    """T10: two chats of one customer begin in the same second."""
    firsts: dict[tuple[str, str], Message] = {}
    for message in WORLD:
        firsts.setdefault(message.chat_key, message)
    begun = Counter((one.customer, one.sent_at) for one in firsts.values() if one.trap == "at_once")
    assert max(begun.values()) == 2


def test_a_recycled_chat_changes_hands():
    """One chat, two customers, the one after the other."""
    owners: dict[tuple[str, str], list[str]] = {}
    for message in make_world(2, Sizes.of(2000)):
        of_chat = owners.setdefault(message.chat_key, [])
        if not of_chat or of_chat[-1] != message.customer:
            of_chat.append(message.customer)
    assert max(len(of_chat) for of_chat in owners.values()) == 2


def keys(given: Iterable[Given], region: str | None) -> set[tuple[str, str]]:
    """By which they are compared."""
    return {key for one in given if (key := key_of(one, region))}


def test_what_a_text_says_is_what_the_oracle_reads_in_it():
    """So a file with these texts is judged as the world itself is."""
    for message in WORLD:
        region = region_of(message.channel)
        assert message.says is not None
        read = keys(read_text(message.text, region), region)
        assert read == keys(message.says, region), message.text


def test_what_a_text_says_is_what_the_product_reads_in_it():
    """Two readers that share no code, and the world that wrote it."""
    for message in WORLD:
        region = region_of(message.channel)
        read = {(found.kind.value, found.key) for found in extract(message.text, region)}
        assert read == keys(message.says or (), region), message.text


def test_the_file_is_the_world():
    """Written and read again, the oracle decides the same, though it has to read the texts now."""
    read = list(parse_messages(io.StringIO(as_csv(WORLD), newline="")))
    assert as_csv(read) == as_csv(WORLD)
    assert cards_of(read) == cards_of(WORLD)


@pytest.mark.parametrize("country", COUNTRIES, ids=lambda country: country.region)
def test_numbers_and_writings_of_a_country(country):
    """Every number is valid, and every writing of it is read as that number."""
    rng, region = random.Random(5), country.region.upper()
    for _ in range(40):
        mobile = country.number(rng)
        proven = Given("phone", f"+{country.code}{country.whatsapp(mobile)}", "proven")
        assert key_of(proven, None) == key_of(Given("phone", f"+{country.code}{mobile}", "typed"), None)
        for national in (mobile, country.office(rng)):
            e164 = f"+{country.code}{national}"
            assert phonenumbers.is_valid_number(phonenumbers.parse(e164)), e164
            key = key_of(Given("phone", e164, "typed"), None)
            for at_home in (True, False):
                written = country.write(rng, national, at_home=at_home)
                read = read_text(f"Tel {written} ok", region if at_home else None)
                assert [key_of(given, region) for given in read] == [key], written


def test_identifiers_are_each_once_with_the_strongest_evidence():
    """The channel's word stands before the text."""
    message = Message(
        "c", "telegram/de", "1", WORLD[0].sent_at, "", "0151 23456781, und noch mal +49 151 23456781",
        (Given("phone", "+4915123456781", "proven"),),
    )  # fmt: skip
    assert identifiers(message) == [(("messenger", "telegram/1"), "proven"), (("phone", "+4915123456781"), "proven")]

"""The tracker raced: several processes bind, merge, undo and detach at the same moment (T2, T7, T8, T10)."""

import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.topology import Step
from tests.pipeline import Desk, drain, text_message
from tests.tracker_invariants import broken, contradictions
from tests.tracker_racers import change_minds, work
from tracker.identifiers import Evidence, Identifier, phone
from tracker.messages import InboundMessage

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROUNDS = int(os.environ.get("OPENCHANNEL_TEST_TRACKER_ROUNDS", "70"))
"""200 and more are worth their time after a change of the locks."""
CHANNELS = ["telegram", "whatsapp", "custom", "instagram"]


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    with Desk(database_url) as made:
        made.open_channel("desk", CHANNELS, create="automatic")
        yield made


def proven(number: str) -> Identifier:
    found = phone(number, Evidence.PROVEN)
    assert found is not None
    return found


def accept_at_once(desk: Desk, messages: list[InboundMessage]) -> None:
    """Each is accepted by a web process of its own."""

    def accept(message: InboundMessage) -> None:
        with Desk(desk.url) as other:
            other.channels = desk.channels
            other.accept(message)

    with ThreadPoolExecutor(len(messages)) as pool:
        list(pool.map(accept, messages))


def settle(desk: Desk) -> None:
    """Until the workers have done everything."""
    deadline = time.monotonic() + 60
    while desk.value("SELECT count(*) FROM inbox_state WHERE stage < 'done'"):
        assert time.monotonic() < deadline, desk.stages()
        time.sleep(0.005)


def test_many_rounds_of_everything_at_once(desk):
    """T10: in each round the first messages of 2 to 10 chats give one new phone, and chats of earlier rounds give
    phones of others (T7), while two persons merge, undo, detach and decide, and three workers bind.

    After each round the new chats are one customer's, and nothing is broken.
    """
    context = multiprocessing.get_context("spawn")
    stop, settled = context.Event(), context.Value("q", 0)
    workers = [context.Process(target=work, args=(desk.url, stop)) for _ in range(3)]
    persons = [context.Process(target=change_minds, args=(desk.url, seed, settled, stop)) for seed in range(2)]
    chance = random.Random(11)
    for process in [*workers, *persons]:
        process.start()
    try:
        for n in range(ROUNDS):
            _round(desk, chance, n)
            settled.value = desk.value("SELECT max(id) FROM cards")
    finally:
        stop.set()
        for process in [*workers, *persons]:
            process.join(30)
    assert [process.exitcode for process in [*workers, *persons]] == [0] * 5
    assert broken(desk.rows) == []
    with desk.session.transaction() as connection:
        assert contradictions(connection) == []
    assert desk.value("SELECT count(*) FROM failures") == 0
    assert desk.ledger().pending == 0
    # It was a race: everything happened, many times.
    assert desk.value("SELECT count(*) FROM merges WHERE rule = 'T7'") > ROUNDS / 4
    assert desk.value("SELECT count(*) FROM merges WHERE undone_by = 'person'") > ROUNDS / 10
    assert desk.value("SELECT count(*) FROM chats WHERE bound_by = 'T8'") > 0
    for act in ("merge", "detach_chat"):
        assert desk.value("SELECT count(*) FROM audit WHERE outcome = 'done' AND act = %s", act) > 10


def _round(desk: Desk, chance: random.Random, n: int) -> None:
    number = f"+49 171 {5000000 + n}"
    new = [f"{n}-{chat}" for chat in range(chance.randint(2, 10))]
    first = [text_message(chance.choice(CHANNELS), chat, f"call {number}") for chat in new]
    old = [
        text_message(channel, external_id, f"or +49 171 {5000000 + chance.randrange(max(n, 1))}")
        for channel, external_id in desk.rows(
            "SELECT channels.key, external_id FROM chats JOIN channels ON channels.id = channel_id "
            "ORDER BY random() LIMIT %s",
            chance.randint(0, 3),
        )
    ]
    # Some who are known prove a number of their own: what they typed before may have to give way (T8).
    late = [
        text_message(
            channel, external_id, "my contact", identifiers=[proven(f"+49 172 {6000000 + chance.randrange(2 * n + 2)}")]
        )
        for channel, external_id in desk.rows(
            "SELECT channels.key, external_id FROM chats JOIN channels ON channels.id = channel_id "
            "ORDER BY random() LIMIT %s",
            chance.randint(0, 2),
        )
    ]
    accept_at_once(desk, first + old + late)
    settle(desk)
    customers = desk.value(
        "SELECT count(DISTINCT coalesce(cards.live_id, cards.id)) FROM chats JOIN cards ON cards.id = card_id "
        "WHERE external_id = ANY(%s)",
        new,
    )
    assert customers == 1, f"round {n}: {len(new)} first messages with one phone are on {customers} cards"


@pytest.mark.parametrize("workers", [1, 4])
def test_a_batch_of_500_chats_with_one_phone_and_one_name_is_one_card(desk, workers):
    """T10: in one batch, and torn to pieces by four workers; no deadlock."""
    desk.accept(*(text_message(CHANNELS[n % 4], n, "call +49 171 2345678", name="Ann Smith") for n in range(500)))
    drain(desk, desk.worker(), [Step.CRM_LOOKUP])
    hands = [desk.worker() for _ in range(workers)]
    ids = [row[0] for row in desk.rows("SELECT inbox_id FROM inbox_state ORDER BY random()")]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda n: hands[n].run(Step.BIND_CHAT, ids[n::workers]), range(workers)))
    drain(desk, desk.worker())
    assert desk.value("SELECT count(*) FROM cards") == 1
    assert desk.value("SELECT count(*) FROM chats WHERE card_id IS NOT NULL") == 500
    assert desk.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    assert broken(desk.rows) == []


def test_the_same_facts_in_another_order_and_other_batches_give_the_same_customers(desk):
    """T8: 60 chats with phones, e-mails and messenger ids that overlap, in five orders, in batches of any size."""
    chance = random.Random(3)
    said = [
        (CHANNELS[chat % 4], chat, f"+49 171 {6000000 + chance.randrange(150)}, p{chance.randrange(150)}@shop-mail.de")
        for chat in range(60)
        for _ in range(2)
    ]
    found = []
    for n in range(5):
        chance.shuffle(said)
        worker, left = desk.worker(), [text_message(channel, f"{n}-{chat}", text) for channel, chat, text in said]
        while left:
            size = chance.randint(1, 40)
            desk.run_through(*left[:size], worker=worker)
            del left[:size]
        rows = desk.rows(
            "SELECT coalesce(cards.live_id, cards.id), array_agg(split_part(external_id, '-', 2)) "
            "FROM chats JOIN cards ON cards.id = card_id GROUP BY 1"
        )
        found.append({frozenset(chats) for _, chats in rows})
        assert broken(desk.rows) == []
        desk.execute("TRUNCATE card_identifiers, identifiers, merges, dialogs, chats, cards CASCADE")
    assert all(customers == found[0] for customers in found)
    assert 1 < len(found[0]) < 60

"""Publishing what was committed, by a thread of its own."""

import threading

import pytest

from ingest.publish import CARRIED_LIMIT, Publisher

pytestmark = pytest.mark.unit

PATIENCE = 10


class Broker:
    """Takes tasks when `open` is set; `entered` is released at each."""

    def __init__(self, *, takes: bool = True) -> None:
        self.tasks: list[list[object]] = []
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self._takes = takes

    def send(self, items: list[object]) -> bool:
        self.entered.release()
        assert self.open.wait(PATIENCE)
        self.tasks.append(items)
        return self._takes

    def sizes(self) -> list[int]:
        return [len(task) for task in self.tasks]


def _pending(*ids: int) -> list[tuple[int, str]]:
    return [(inbox_id, f'{{"n":{inbox_id}}}') for inbox_id in ids]


def _busy(broker: Broker, publisher: Publisher) -> None:
    """The publisher is in the middle of a task that the broker does not take yet."""
    publisher.start()
    publisher.publish(_pending(0))
    assert broker.entered.acquire(timeout=PATIENCE)


def test_what_came_together_meanwhile_is_one_task():
    """A batch is what arrived together: commits that wait are one task, in their order, with their messages."""
    broker = Broker()
    publisher = Publisher(broker.send)
    _busy(broker, publisher)
    for inbox_id in range(1, 6):
        publisher.publish(_pending(inbox_id))
    broker.open.set()
    publisher.close()
    assert broker.tasks == [[[0, '{"n":0}']], [[n, f'{{"n":{n}}}'] for n in range(1, 6)]]
    assert publisher.dropped == 0


def test_a_task_stays_near_its_limit():
    """Nothing is coalesced beyond the limit; no commit is torn."""
    broker = Broker()
    publisher = Publisher(broker.send, limit=4)
    _busy(broker, publisher)
    for inbox_id in range(1, 10, 3):
        publisher.publish(_pending(inbox_id, inbox_id + 1, inbox_id + 2))
    broker.open.set()
    publisher.close()
    assert broker.sizes() == [1, 6, 3]


def test_large_messages_are_named_only():
    """A task stays small: the steps read a large message from the inbox."""
    broker = Broker()
    broker.open.set()
    publisher = Publisher(broker.send)
    small, large = "x" * CARRIED_LIMIT, "x" * (CARRIED_LIMIT + 1)
    publisher.publish([(1, small), (2, large)])
    publisher.start()
    publisher.close()
    assert broker.tasks == [[[1, small], 2]]


def test_a_full_queue_drops_and_never_blocks():
    """Publishing is a bounded queue: the sweeper is there."""
    broker = Broker()
    publisher = Publisher(broker.send, depth=2)
    _busy(broker, publisher)
    for inbox_id in range(1, 6):
        publisher.publish(_pending(inbox_id, inbox_id))
    assert publisher.dropped == 6
    broker.open.set()
    publisher.close()
    assert sum(broker.sizes()) == 5


def test_a_failed_publish_is_counted_and_the_next_is_tried():
    """The broker is away: dropped, and the thread goes on."""
    broker = Broker(takes=False)
    broker.open.set()
    publisher = Publisher(broker.send, limit=1)
    publisher.start()
    publisher.publish(_pending(1))
    publisher.publish(_pending(2, 3))
    publisher.close()
    assert broker.sizes() == [1, 2]
    assert publisher.dropped == 3


def test_close_publishes_what_waits_and_ends():
    """After close no thread is left."""
    broker = Broker()
    broker.open.set()
    publisher = Publisher(broker.send)
    for inbox_id in range(3):
        publisher.publish(_pending(inbox_id))
    publisher.start()
    publisher.close()
    assert sum(broker.sizes()) == 3
    assert "publisher" not in {thread.name for thread in threading.enumerate()}


def test_what_follows_at_once_waits_for_company():
    """Where tasks have a least distance, commits that follow each other closely are one."""
    broker = Broker()
    broker.open.set()
    publisher = Publisher(broker.send, distance=0.5)
    _busy(broker, publisher)
    for inbox_id in (1, 2):
        publisher.publish(_pending(inbox_id))
    publisher.close()
    assert broker.sizes() == [1, 2]

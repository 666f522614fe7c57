"""Hints: what is published and read where; the broker may be away at any moment."""

import json
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import cast

import fakeredis
import pytest
from celery import Celery
from kombu.transport import redis as redis_transport

from config.topology import TASK_QUEUES, Step
from worker import hints as hints_module
from worker.app import make_app
from worker.hints import Hints

pytestmark = pytest.mark.unit

_brokers = count(1)


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app on kombu's transport in memory."""
    app = make_app(f"memory://test-{next(_brokers)}")
    yield app
    with app.connection_for_write() as connection:
        for name in TASK_QUEUES:
            with connection.SimpleQueue(name) as queue:
                queue.clear()
    app.close()


class Away:
    """An app whose broker is away."""

    conf = SimpleNamespace(broker_url="redis://nowhere")

    def __init__(self, error: Exception) -> None:
        self.tried = 0
        self._error = error

    @property
    def producer_pool(self) -> object:
        self.tried += 1
        raise self._error

    @property
    def pool(self) -> object:
        self.tried += 1
        raise self._error


def _away(_: object) -> list[object]:
    raise OSError("away")


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The clock of hints, set by hand."""
    now = [100.0]
    monkeypatch.setattr(hints_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_hint_names_its_items_and_tries(app):
    """One task on the step's own queue, as JSON."""
    assert Hints(app).publish(Step.BIND_CHAT, (3, 4), tries=2)
    with app.connection_for_read() as connection, connection.SimpleQueue(Step.BIND_CHAT.value) as queue:
        message = queue.get(block=False)
        args, _, _ = message.payload
        assert message.headers["task"] == "bind_chat"
        assert args == [[3, 4], 2]
        message.ack()


def test_hints_where_nothing_is_queued(app):
    """One empty hint is enough: it takes whatever has waited longest."""
    hints = Hints(app)
    assert hints.publish_if_idle(Step.RESPOND)
    assert not hints.publish_if_idle(Step.RESPOND)
    assert hints.depths([Step.RESPOND, Step.DELIVER]) == {Step.RESPOND: 1, Step.DELIVER: 0}


def test_news_of_a_step_need_no_second_task(app, clock, monkeypatch):
    """One that is queued begins later, and takes whatever waits by then. Who hints seldom does not even ask."""
    hints = Hints(app)
    assert hints.publish_news(Step.BIND_CHAT, [1])
    assert not hints.publish_news(Step.BIND_CHAT, [1]), "it is still queued"
    assert hints.publish_news(Step.DISTRIBUTE, [1]), "another step"
    monkeypatch.setattr(hints, "depths", lambda steps: dict.fromkeys(steps, 0))
    assert hints.publish_news(Step.BIND_CHAT, [1]), "it was taken"
    monkeypatch.setattr(hints, "depths", lambda _: pytest.fail("asked"))
    clock[0] += 2 * hints_module.CLOSELY
    assert hints.publish_news(Step.BIND_CHAT, [1])


def test_tasks_are_taken_in_their_order_up_to_a_number_of_items(app):
    """Each names its items, or asks for what has waited longest; none is torn."""
    hints = Hints(app)
    for items in ([[1, "{}"], 2], [], [3], [4, 5], [6]):
        assert hints.publish(Step.CRM_LOOKUP, items)
    assert hints.take_queued(Step.CRM_LOOKUP, 0) == []
    assert hints.take_queued(Step.CRM_LOOKUP, 4) == [[[1, "{}"], 2], [], [3], [4, 5]]
    assert hints.depths([Step.CRM_LOOKUP]) == {Step.CRM_LOOKUP: 1}
    assert hints.take_queued(Step.CRM_LOOKUP, 4) == [[6]]
    assert hints.take_queued(Step.CRM_LOOKUP, 4) == []


@pytest.mark.parametrize(
    "odd",
    [
        "no task",
        [],
        [[], {}, {}],
        [[5, 0], {}, {}],
        [["abc", 0], {}, {}],
        [[[["1", "{}"]], 0], {}, {}],
        [[[True], 0], {}, {}],
    ],
)
def test_a_task_that_is_none_of_ours_harms_no_other(app, odd):
    """A queue may be edited by hand."""
    hints = Hints(app)
    assert hints.publish(Step.CRM_LOOKUP, [1])
    with app.connection_for_write() as connection, connection.SimpleQueue(Step.CRM_LOOKUP.value) as queue:
        queue.put(odd)
    assert hints.publish(Step.CRM_LOOKUP, [2])
    assert hints.take_queued(Step.CRM_LOOKUP, 10) == [[1], [], [2]]


def test_what_was_taken_before_the_broker_went_away_is_kept(app, monkeypatch):
    """Nobody else names it any more."""
    hints = Hints(app)
    answers = iter([[1]])
    monkeypatch.setattr(hints_module, "_next_items", lambda queue: next(answers, None) or _away(queue))
    assert hints.take_queued(Step.CRM_LOOKUP, 10) == [[1]]


def test_on_rabbitmq_nobody_asks_what_is_queued():
    """It would cost a channel of its own."""
    app = make_app("amqp://nobody@127.0.0.1:1")
    try:
        assert not Hints(app)._is_queued(Step.BIND_CHAT)
        assert Hints(app).take_queued(Step.CRM_LOOKUP, 10) == []
    finally:
        app.close()


@pytest.mark.parametrize(
    "error", [OSError("refused"), RuntimeError("some transport's own"), KeyError("x")], ids=["os", "runtime", "key"]
)
def test_a_broker_that_is_away_never_raises_and_pauses(clock, error):
    """After a commit no error of the broker matters; for a while nothing is tried: each try costs a time-out."""
    app = Away(error)
    hints = Hints(cast(Celery, app))
    assert not hints.publish(Step.BIND_CHAT, [1])
    assert not hints.publish(Step.BIND_CHAT, [2])
    assert app.tried == 1, "it pauses"
    clock[0] += 1.01
    assert not hints.publish(Step.BIND_CHAT, [3])
    assert app.tried == 2, "and tries again"


def test_an_unreadable_queue_is_no_empty_queue():
    """With the broker away the depths are unknown: the sweeper sends nothing then."""
    hints = Hints(cast(Celery, Away(OSError("refused"))))
    assert hints.depths([Step.BIND_CHAT]) == {}
    assert not hints.publish_if_idle(Step.BIND_CHAT)


def test_who_cannot_take_does_not_publish_either(clock):
    """What it would wait for is the same broker."""
    app = Away(OSError("refused"))
    hints = Hints(cast(Celery, app))
    assert hints.take_queued(Step.BIND_CHAT, 10) == []
    assert not hints.publish(Step.BIND_CHAT, [1])
    assert app.tried == 1


def test_who_cannot_ask_does_not_publish_either(clock):
    """One time-out is enough: the broker is away for both."""
    app = Away(OSError("refused"))
    hints = Hints(cast(Celery, app))
    hints._told_at[Step.BIND_CHAT] = clock[0]
    assert not hints.publish_news(Step.BIND_CHAT, [1])
    assert hints.take_queued(Step.BIND_CHAT, 10) == []
    assert app.tried == 1
    clock[0] += 1.01
    assert not hints.publish(Step.BIND_CHAT, [1])
    assert app.tried == 2


def test_a_real_app_without_a_server_never_raises():
    """Nobody listens there: no error, no task."""
    app = make_app("redis://127.0.0.1:1/0")
    app.conf.broker_transport_options["max_retries"] = 0
    try:
        hints = Hints(app)
        assert not hints.publish(Step.BIND_CHAT, [1])
        assert hints.depths([Step.BIND_CHAT]) == {}
    finally:
        app.close()


def test_the_apps_tasks_survive_a_wiped_redis(monkeypatch):
    """BROKER: over the default exchange a hint arrives after FLUSHALL too."""
    server = fakeredis.FakeServer()
    monkeypatch.setattr(redis_transport.Channel, "_create_client", lambda *_, **__: fakeredis.FakeRedis(server=server))
    app = make_app("redis://nowhere/0")
    try:
        hints = Hints(app)
        assert hints.publish(Step.CRM_LOOKUP, [[1, "{}"]])
        client = fakeredis.FakeRedis(server=server)
        assert client.llen("crm_lookup") == 1
        client.flushall()
        assert hints.publish(Step.CRM_LOOKUP, [[2, "{}"]])
        assert client.llen("crm_lookup") == 1
        sent = json.loads(client.lindex("crm_lookup", 0))  # type: ignore[arg-type]
        body = sent["body"]
        assert json.loads(body)[0] == [[[2, "{}"]], 0], "readable, not base64"
    finally:
        app.close()


def test_the_apps_settings_hold():
    """BROKER's list: no results, no remote control, reconnect for ever; acks, where there are any, come late."""
    conf = make_app("redis://nowhere/0", visibility_timeout=6).conf
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.task_ignore_result) == (True, True, True)
    assert (conf.worker_prefetch_multiplier, conf.worker_enable_remote_control) == (4, False)
    assert conf.broker_connection_max_retries is None
    assert conf.broker_transport_options["visibility_timeout"] == 6
    assert conf.broker_transport_options["priority_steps"] == [0]
    assert {queue.name for queue in conf.task_queues} == set(TASK_QUEUES)
    assert {(queue.exchange.name, queue.routing_key) for queue in conf.task_queues} == {("", "")}
    assert {queue.no_ack for queue in conf.task_queues} == {True}
    assert {queue.no_ack for queue in make_app("amqp://nowhere").conf.task_queues} == {False}


def test_a_channel_lends_one_client(monkeypatch):
    """Commands take connections of the pool; after the pool was thrown away there is another client."""
    app = make_app("redis://127.0.0.1:1/0")
    try:
        with app.connection_for_write() as connection:
            pools, channel = ["first"], connection.transport.Channel.__new__(connection.transport.Channel)
            monkeypatch.setattr(type(channel), "pool", property(lambda _: pools[-1]))
            monkeypatch.setattr(channel, "_create_client", lambda: SimpleNamespace(connection_pool=pools[-1]))
            lend = channel.conn_or_acquire
            with lend() as first, lend() as same, lend("given") as given:
                assert (first is same, given) == (True, "given")
            pools.append("second")
            with lend() as other:
                assert other.connection_pool == "second"
    finally:
        app.close()

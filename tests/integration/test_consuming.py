"""What Celery's consumer leaves on Redis for a task that a worker has taken: nothing."""

from types import SimpleNamespace
from typing import cast

import pytest
import redis

from config.topology import Step
from worker.app import make_app
from worker.consumer import UnkeptRequest
from worker.hints import Hints
from worker.tasks import register

pytestmark = pytest.mark.integration


def test_a_task_that_was_taken_is_kept_nowhere(broker_url):
    """It may be lost with its worker: the sweeper hints what it named. Nothing is written to be taken back later."""
    app = make_app(broker_url)
    kept: list[list[bytes]] = []
    try:
        assert Hints(app).publish(Step.BIND_CHAT)
        with redis.Redis.from_url(broker_url) as client, app.connection_for_read() as connection:
            consumer = app.amqp.TaskConsumer(connection)
            consumer.register_callback(lambda _body, _message: kept.append(client.keys("unacked*")))
            with consumer:
                connection.drain_events(timeout=5)
    finally:
        app.close()
    assert kept == [[]]


def test_tasks_that_are_taken_along_are_kept_nowhere(broker_url):
    """What a task takes from its queue is gone from Redis."""
    app = make_app(broker_url)
    try:
        hints = Hints(app)
        for items in ([[1, "{}"]], [2], []):
            assert hints.publish(Step.CRM_LOOKUP, items)
        assert hints.take_queued(Step.CRM_LOOKUP, 500) == [[[1, "{}"]], [2], []]
        with redis.Redis.from_url(broker_url) as client:
            assert client.llen(Step.CRM_LOOKUP.value) == 0
            assert client.keys("unacked*") == []
    finally:
        app.close()


@pytest.mark.parametrize("odd", ["no JSON", "{}", "5", '{"properties": {"delivery_tag": "x"}, "body": "x"}'])
def test_what_is_no_task_at_all_harms_no_other(broker_url, odd):
    """A queue may be edited by hand; the broker is not away."""
    app = make_app(broker_url)
    try:
        hints = Hints(app)
        assert hints.publish(Step.CRM_LOOKUP, [1])
        with redis.Redis.from_url(broker_url) as client:
            client.lpush(Step.CRM_LOOKUP.value, odd)
        assert hints.publish(Step.CRM_LOOKUP, [2])
        assert hints.take_queued(Step.CRM_LOOKUP, 10) == [[1], [], [2]]
        assert hints.publish(Step.CRM_LOOKUP, [3])
    finally:
        app.close()


@pytest.mark.parametrize(("url", "unkept"), [("redis://nowhere/0", True), ("amqp://nowhere", False)])
def test_requests_are_acknowledged_where_tasks_are_kept(url, unkept):
    """RabbitMQ hands out no more tasks than were acknowledged."""
    app = make_app(url)
    register(app, Step.BIND_CHAT, lambda *_: None, lambda: None)
    assert (app.tasks["bind_chat"].Request == f"{UnkeptRequest.__module__}:{UnkeptRequest.__name__}") is unkept


def test_nothing_is_taken_back():
    """Neither an acknowledgement nor a rejection reaches the broker."""
    told: list[object] = []
    for act in (UnkeptRequest.acknowledge, UnkeptRequest.reject):
        request = SimpleNamespace(acknowledged=False, _on_ack=told.append, _on_reject=told.append)
        act(cast(UnkeptRequest, request))
        assert request.acknowledged
    assert told == []

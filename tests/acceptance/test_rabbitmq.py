"""RabbitMQ in the place of Redis, with the configuration of docs/examples/rabbitmq.

Few of them run by default, because a RabbitMQ takes seconds to start and to come back:
OPENCHANNEL_TEST_RABBITMQ_KILLS=1 runs all. With OPENCHANNEL_TEST_BROKER_URL=amqp://... the other tests of
`tests/acceptance` run over RabbitMQ too.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from kombu.entity import Queue

from cli.diagnosis.broker import look_at_broker
from cli.diagnosis.findings import Status
from config.topology import Step
from runtime.ports import free_port
from tests.acceptance.numbered import each_effect_once_and_in_order, numbered
from tests.acceptance.system import API_TOKEN, System, wait_until
from tests.acceptance.test_journeys import test_the_stories_of_the_seeds_end_on_one_card as tell_the_stories
from tests.plugins.servers import empty_broker
from tests.rabbitmq import RabbitMQ, rabbitmq_server
from worker.app import make_app
from worker.hints import Hints

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

SECONDS = 90.0

kills = pytest.mark.skipif(
    not os.environ.get("OPENCHANNEL_TEST_RABBITMQ_KILLS"),
    reason="RabbitMQ is killed and stopped with OPENCHANNEL_TEST_RABBITMQ_KILLS=1",
)


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A RabbitMQ that a test may kill."""
    if rabbitmq_server() is None:
        pytest.skip("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as running:
        yield running


@pytest.fixture
def rabbitmq_url(request: pytest.FixtureRequest) -> str:
    """URL of a RabbitMQ with no task in it: the one that OPENCHANNEL_TEST_RABBITMQ_URL names, or our own."""
    given = os.environ.get("OPENCHANNEL_TEST_RABBITMQ_URL")
    url = given or str(request.getfixturevalue("rabbitmq").url)
    empty_broker(url)
    return url


def test_the_stories_over_rabbitmq(tmp_path: Path, database_url: str, rabbitmq_url: str) -> None:
    """One customer over five channels; then `doctor` and the metrics tell of quorum queues that somebody consumes."""
    with System(tmp_path, database_url, rabbitmq_url) as system:
        tell_the_stories(system)
        seen = look_at_broker(rabbitmq_url)
        assert {finding.status for finding in seen.findings} == {Status.OK}
        assert seen.consumers is True
        assert seen.depths is not None
        assert set(seen.depths) == set(Step)
        metrics = httpx.get(f"{system.url}/metrics", headers={"authorization": f"Bearer {API_TOKEN}"}, timeout=10).text
        assert all(f'openchannel_task_queue_depth{{queue="{step}"}}' in metrics for step in Step)
        for name in ("web", "clock", "worker-0", "worker-1"):
            assert '"level": "error"' not in system.log(name)
            assert "hint_not_published" not in system.log(name)
            assert "delayed delivery" not in system.log(name), "Celery's queues for delays, which the user may not make"


@kills
def test_rabbitmq_killed_and_purged_in_mid_stream_loses_and_doubles_nothing(
    tmp_path: Path, database_url: str, rabbitmq: RabbitMQ
) -> None:
    """kill -9 of RabbitMQ and of a worker, all queues purged: 2xx throughout, each effect once, the order kept."""
    chats, per_chat = 40, 8
    empty_broker(rabbitmq.url)
    with System(tmp_path, database_url, rabbitmq.url) as system:
        operators = [system.operator(f"operator-{n}") for n in range(3)]
        system.open_channel("desk", ["telegram"], operators, check_availability=False)

        def send(n: int) -> None:
            assert set(system.post_all([numbered(chat, n) for chat in range(chats)], at_once=40)) == {200}

        send(0)
        rabbitmq.kill()
        send(1)
        assert system.ledger().pending > 0
        send(2)
        rabbitmq.start()
        send(3)
        for n in range(4, per_chat):
            purging = threading.Thread(target=empty_broker, args=(rabbitmq.url,))
            purging.start()
            send(n)
            purging.join()
            if n == 5:
                system.kill("worker-0")
                system.start("worker-0")
        ledger = system.drained(SECONDS)
        assert (ledger.accepted, ledger.done, ledger.dead) == (chats * per_chat, chats * per_chat, 0)
        each_effect_once_and_in_order(system, chats, per_chat)


def test_a_queue_of_another_kind_is_told(rabbitmq: RabbitMQ) -> None:
    """A classic queue of one of our names: nothing can be published there, and `doctor` says how to mend it."""
    app = make_app(rabbitmq.url)
    with app.connection_for_write() as connection:
        with connection.channel() as channel:
            channel.queue_delete(Step.RESPOND.value)
            Queue(Step.RESPOND.value)(channel).queue_declare()  # type: ignore[no-untyped-call]
        try:
            assert not Hints(app).publish(Step.RESPOND)
            broken = [one for one in look_at_broker(rabbitmq.url).findings if one.status is Status.BROKEN]
            assert [one.finding for one in broken] == [
                "respond is no quorum queue, so nothing can be published or consumed"
            ]
        finally:
            with connection.channel() as channel:
                channel.queue_delete(Step.RESPOND.value)
    assert Hints(app).publish(Step.RESPOND)


def test_a_hint_goes_to_the_node_that_answers(rabbitmq: RabbitMQ) -> None:
    """The first of two is away: the second takes the hint and tells what is queued, at the first try."""
    url = f"amqp://openchannel:a-password@127.0.0.1:{free_port()}/openchannel;{rabbitmq.url}"
    empty_broker(rabbitmq.url)
    assert Hints(make_app(url)).publish(Step.RESPOND)
    assert Hints(make_app(url)).depths([Step.RESPOND]) == {Step.RESPOND: 1}
    assert look_at_broker(url).depths == {**dict.fromkeys(Step, 0), Step.RESPOND: 1}


@kills
@pytest.mark.timeout(60)
def test_nobody_waits_for_ever_for_a_rabbitmq_that_is_stopped(rabbitmq: RabbitMQ) -> None:
    """SIGSTOP, as short memory or disk: hints are given up, depths are not known, and afterwards all is as before."""
    hints, others = Hints(make_app(rabbitmq.url)), Hints(make_app(rabbitmq.url))
    assert hints.publish(Step.RESPOND)
    assert others.depths([Step.RESPOND])
    with rabbitmq.stopped():
        assert hints.publish(Step.RESPOND) is False
        assert others.depths([Step.RESPOND]) == {}
        assert look_at_broker(rabbitmq.url).depths is None
    wait_until(lambda: hints.publish(Step.RESPOND), "hints are taken again")
    wait_until(lambda: others.depths([Step.RESPOND]) != {}, "depths are known again")


def test_rabbitmq_away_is_told() -> None:
    """`doctor` says that nothing answers; a hint is given up at once, and the depths are not known."""
    url = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    (finding,) = look_at_broker(url).findings
    assert (finding.check, finding.status) == ("broker", Status.BROKEN)
    hints = Hints(make_app(url))
    assert hints.publish(Step.RESPOND) is False
    assert hints.depths(list(Step)) == {}

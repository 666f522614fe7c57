"""The Celery app, with the settings that hold on Redis and on RabbitMQ.

On Redis a task message may be lost, doubled or late whatever is set here. Nothing depends on it: task messages are
hints, and PostgreSQL decides. So there are no ETAs, no countdowns, no retries and no results.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu.entity import Queue

from config.topology import TASK_QUEUES, Step
from worker import rabbitmq, redis_transport
from worker.sentinel import split_sentinel_url


def make_app(broker_url: str, visibility_timeout: float = 60.0) -> Celery:
    """The app of one process; connects at first use. Raises SentinelUrlError.

    visibility_timeout: seconds after which Redis hands out again what workers of a version that acknowledged had taken.
    """
    broker_url, sentinel_options = split_sentinel_url(broker_url)
    on_rabbitmq = rabbitmq.is_rabbitmq(broker_url)
    redis_transport.use_these()
    app = Celery("openchannel", broker=broker_url, set_as_current=False)
    app.conf.update(
        # The default (anonymous) exchange: with a declared one, publishing after FLUSHALL goes nowhere.
        task_queues=[_task_queue(name, rabbitmq.QUORUM_QUEUE if on_rabbitmq else None) for name in TASK_QUEUES],
        task_default_queue=Step.CRM_LOOKUP.value,
        # These three are for RabbitMQ: on Redis nothing is acknowledged, and a solo consumer pops one task at a time.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=4,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=5,
        broker_transport_options=(
            rabbitmq.transport_options(broker_url)
            if on_rabbitmq
            else {**_redis_options(visibility_timeout), **sentinel_options}
        ),
        accept_content=["json"],
        task_serializer="json",
    )
    if urlsplit(broker_url).scheme == rabbitmq.TLS_SCHEME:
        # Else anybody's certificate would do, as long as some authority has signed it. None: the name in the URL.
        app.conf.broker_use_ssl = {"server_hostname": None}
    return app


def _task_queue(name: str, arguments: Mapping[str, str] | None) -> Queue:
    # On Redis what is not acknowledged comes back after a minute, the sweeper's hint after two seconds: to keep it
    # costs two transactions a task, and brings nothing. A quorum queue hands out all that need not be acknowledged.
    return Queue(name, no_ack=arguments is None, queue_arguments=arguments)  # type: ignore[no-untyped-call]


def _redis_options(visibility_timeout: float) -> dict[str, Any]:
    return {
        "visibility_timeout": visibility_timeout,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": 30,
        "priority_steps": [0],
        "health_check_interval": 10,
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "body_encoding": "utf-8",
    }

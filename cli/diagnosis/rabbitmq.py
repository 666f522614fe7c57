"""RabbitMQ: which one is it, are its queues quorum queues, does anybody consume."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amqp.exceptions import NotFound, PreconditionFailed
from kombu.entity import Queue

from cli.diagnosis.findings import Finding, broken, ok
from config.topology import Step
from worker.app import make_app
from worker.rabbitmq import impatient

OLDEST_VERSION = (3, 10)


@dataclass(frozen=True, slots=True)
class RabbitMQSeen:
    """depths: tasks queued by step. consumers: of all queues."""

    findings: tuple[Finding, ...]
    depths: dict[Step, int]
    consumers: int


def look_at_rabbitmq(url: str) -> RabbitMQSeen:
    """Connect and look at the queues of all steps. Raises AMQPError, KombuError and OSError."""
    app = make_app(url)
    depths, consumers = dict.fromkeys(Step, 0), 0
    findings: list[Finding] = []
    with app.connection_for_read() as connection, impatient(connection):
        findings += _server(connection.connection.server_properties)
        for step in Step:
            try:
                depths[step], consuming = _counts(connection, step)
            except NotFound:
                continue
            consumers += consuming
            findings += _kind(connection, app.amqp.queues[step.value])
    return RabbitMQSeen(tuple(findings), depths, consumers)


def _server(properties: dict[str, Any]) -> Iterator[Finding]:
    name, version = str(properties.get("product", "")), str(properties.get("version", "0"))
    try:
        too_old = tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION
    except ValueError:
        too_old = False
    if too_old and name == "RabbitMQ":
        yield broken("broker", f"RabbitMQ {version} is too old", "take RabbitMQ 3.10 or later")
    else:
        yield ok("broker", f"{name} {version} answers")


def _counts(connection: Any, step: Step) -> tuple[int, int]:
    with connection.channel() as channel:
        declared = channel.queue_declare(queue=step.value, passive=True)
        return int(declared.message_count), int(declared.consumer_count)


def _kind(connection: Any, queue: Queue) -> Iterator[Finding]:
    """Declare a queue that is there as we would; one of another kind is refused."""
    try:
        with connection.channel() as channel:
            queue(channel).queue_declare()  # type: ignore[no-untyped-call]
    except PreconditionFailed:
        yield broken(
            "task_queues",
            f"{queue.name} is no quorum queue, so nothing can be published or consumed",
            f"rabbitmqctl delete_queue {queue.name}; nothing is lost, and it is made anew",
        )

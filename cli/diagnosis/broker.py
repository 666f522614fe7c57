"""The broker: is it there, is it set as it should be, does anybody consume."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import redis
from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError

from cli.diagnosis.findings import Finding, broken, ok, warning
from cli.diagnosis.rabbitmq import look_at_rabbitmq
from config.topology import Step
from worker.app import make_app
from worker.hints import Hints
from worker.rabbitmq import is_rabbitmq

OLDEST_VERSION = (6, 2)
PATIENCE = 3.0
"""Seconds for one answer."""

FULL = 0.9


@dataclass(frozen=True, slots=True)
class BrokerSeen:
    """depths: tasks queued by step, None if nobody knows. consumers: whether a worker waits for tasks, or None."""

    findings: tuple[Finding, ...]
    depths: Mapping[Step, int] | None = None
    consumers: bool | None = None


def look_at_broker(url: str) -> BrokerSeen:
    """Everything that the broker tells."""
    if is_rabbitmq(url):
        return _look_at_rabbitmq(url)
    findings: list[Finding] = []
    is_redis = urlsplit(url).scheme in ("redis", "rediss")
    consumers = None
    if is_redis:
        try:
            with redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as client:
                findings += _server(cast(dict[str, Any], client.info()))
                consumers = _consumers(client)
        except (redis.RedisError, OSError, ValueError) as error:
            return BrokerSeen((*findings, _away(type(error).__name__)))
    depths = Hints(make_app(url)).depths(list(Step))
    if not depths:
        return BrokerSeen((*findings, _away("the task queues cannot be read")))
    if not is_redis:
        findings.append(ok("broker", "the broker answers"))
    return BrokerSeen((*findings, _queued(depths)), depths, consumers)


def _look_at_rabbitmq(url: str) -> BrokerSeen:
    try:
        seen = look_at_rabbitmq(url)
    except (AMQPError, KombuError, OSError) as error:
        return BrokerSeen((_away(type(error).__name__),))
    return BrokerSeen((*seen.findings, _queued(seen.depths)), seen.depths, seen.consumers > 0)


def _queued(depths: Mapping[Step, int]) -> Finding:
    queued = ", ".join(f"{step} {depth}" for step, depth in depths.items() if depth)
    return ok("task_queues", queued or "nothing is queued")


def _away(why: str) -> Finding:
    return broken(
        "broker",
        f"the broker cannot be reached: {why}",
        "start the broker, or mend OPENCHANNEL_BROKER__URL; what is accepted meanwhile goes on by itself",
    )


def _server(info: Mapping[str, Any]) -> Iterator[Finding]:
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    name = "Valkey" if "valkey_version" in info else "Redis"
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
        yield broken("broker", f"{name} {version} is too old", "take Redis 6.2 or later, or Valkey")
    else:
        yield ok("broker", f"{name} {version} answers")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        yield ok("broker_policy", "maxmemory-policy is noeviction")
    else:
        yield warning(
            "broker_policy",
            f"maxmemory-policy is {policy}: tasks may be thrown away, and are hinted again only after seconds",
            "set `maxmemory-policy noeviction`",
        )
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if limit and used > FULL * limit:
        yield warning(
            "broker_memory", f"{used} of {limit} bytes are used", "raise maxmemory; a full broker takes no hints"
        )


def _consumers(client: redis.Redis) -> bool | None:
    try:
        clients = client.client_list()
    except redis.ResponseError:  # not allowed to this user
        return None
    database = str(client.connection_pool.connection_kwargs.get("db", 0))
    return any(one.get("cmd", "").lower() == "brpop" and one.get("db") == database for one in clients)

"""The web process: webhooks, the operators' API, health and metrics."""

import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from cli.composition import api_token, broker_url, database_options, database_url, process_settings, secret_box
from config.settings import Settings
from config.topology import Step
from console.app import make_api
from console.dependencies import Dependencies
from console.serving import StreamingServer
from crm_store import desks
from crm_store.database import Database, Session
from crm_store.secrets import SecretBox, hash_token
from ingest.accept import AcceptOptions, Acceptor
from ingest.app import WebhookEndpoint, WebhookMiddleware, WebhookOptions
from ingest.directory import ChannelDirectory
from ingest.publish import Publisher
from tracker.channels import Channel
from worker import rabbitmq
from worker.app import make_app
from worker.hints import Hints

GRACE = 8
"""Seconds that requests have to end after SIGTERM."""

NOT_STARTED = 3
"""Exit code, as uvicorn's own: the address is taken, or the servers could not be opened."""


def web_command() -> None:
    """Serve until SIGTERM."""
    settings = process_settings("web", database_url, broker_url, secret_box, api_token)
    # uvicorn shuts down gracefully and then raises the signal again: a clean stop is exit code 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    web = make_web(settings)
    config = uvicorn.Config(
        web,
        host=settings.web.host,
        port=settings.web.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = StreamingServer(config, web.state.streams)
    server.run()
    if not server.started:
        sys.exit(NOT_STARTED)


def make_web(settings: Settings) -> Starlette:
    """The web application, composed; opens its connections when it starts."""
    options = database_options(settings, "web")
    database, channels = Database(options), Session(options)
    inbox = Session(database_options(settings, "web", by_index=True))
    box = secret_box(settings)
    celery = make_app(broker_url(settings), settings.broker.visibility_timeout)
    # Each thread that publishes has its own memory of the broker being away.
    first_hints, act_hints = Hints(celery), Hints(celery)
    publisher = Publisher(
        lambda items: first_hints.publish(Step.CRM_LOOKUP, items),
        settings.worker.batch_limit,
        distance=rabbitmq.DISTANCE if rabbitmq.is_rabbitmq(broker_url(settings)) else 0.0,
    )
    acceptor = Acceptor(
        inbox,
        publisher.publish,
        AcceptOptions(settings.web.accept_window, settings.web.accept_limit, settings.web.accept_backlog),
    )
    webhooks = WebhookEndpoint(
        ChannelDirectory(lambda: _read_channels(channels, box)),
        acceptor,
        box,
        WebhookOptions(settings.web.body_limit, settings.web.public_url),
    )
    api = make_api(
        Dependencies(
            database=database,
            hint=act_hints.publish,
            depths=lambda: _depths(act_hints),
            service_token_hash=hash_token(api_token(settings)),
            box=box,
        )
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with database:
            publisher.start()
            acceptor.start()
            yield
            acceptor.close()
            publisher.close()
            channels.close()

    web = Starlette(
        routes=[Mount("/", api)],
        middleware=[Middleware(WebhookMiddleware, endpoint=webhooks)],
        lifespan=lifespan,
    )
    web.state.streams = api.state.streams
    return web


def _read_channels(session: Session, box: SecretBox) -> list[Channel]:
    with session.transaction() as connection:
        return desks.read_channels(connection, box)


def _depths(hints: Hints) -> Mapping[str, int]:
    return {step.value: depth for step, depth in hints.depths(list(Step)).items()}

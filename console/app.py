"""The API as one application, for the web process to mount."""

from dataclasses import replace

from fastapi import FastAPI

from console import (
    acts,
    event_routes,
    export_routes,
    health,
    letter_routes,
    lookups,
    metrics,
    presence_routes,
    problems,
    refusals,
    replay_routes,
    tracker_routes,
)
from console.bodies import BodyLimit
from console.broker import Broker
from console.dependencies import Dependencies
from console.streams import Streams

DESCRIPTION = """
The desk between messengers and a CRM. Send `Authorization: Bearer <token>`: an operator's token acts as that operator,
as far as his role and scope reach; the service token sees everything. Every error is a problem document (RFC 9457)
with a stable `reason`.
"""


def make_api(dependencies: Dependencies) -> FastAPI:
    """The operators' API, health and metrics. Opens nothing: the caller opens and closes the dependencies.

    `app.state.streams` is to be closed before the server waits for its connections: see `console.serving`.
    """
    broker = Broker(dependencies.hint, dependencies.depths)
    needs = replace(dependencies, hint=broker.hint, depths=broker.depths)
    app = FastAPI(title="openchannel", version="1", description=DESCRIPTION, redoc_url=None, redirect_slashes=False)
    app.state.needs = needs
    app.state.streams = Streams(needs.database)
    app.state.registry = metrics.registry_of(needs)
    app.add_middleware(BodyLimit)
    problems.install(app)
    refusals.install(app)
    for router in (
        lookups.router,
        tracker_routes.router,
        presence_routes.router,
        acts.router,
        replay_routes.router,  # before the letters, whose ids stand in the same place of a path
        letter_routes.router,
        event_routes.router,
        export_routes.router,
        health.router,
        metrics.router,
    ):
        app.include_router(router)
    return app

"""A small web process: verify and parse with the product's adapters, one insert and one commit per message."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from psycopg_pool import AsyncConnectionPool

from bench import desk
from ingest.adapters.base import SignatureError, WebhookRequest, parse
from ingest.adapters.registry import adapter_for
from tracker.messages import InboundMessage

Store = Callable[[AsyncConnectionPool, InboundMessage], Awaitable[int | None]]
"""Keep a message in a commit of its own; returns its id, or None if it was there before."""


def make_app(store: Store, stored: Callable[[int], object]) -> FastAPI:
    """stored: told of every message that is new, after its commit."""
    channels = {channel.key: channel for channel in desk.channels(int(os.environ["BENCH_SEED"]))}
    pool = AsyncConnectionPool(os.environ["BENCH_DATABASE_URL"], min_size=2, max_size=10, open=False)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"ok": True}

    @app.post("/webhooks/{key}")
    async def webhook(key: str, request: Request) -> Response:
        channel = channels.get(key)
        if channel is None:
            raise HTTPException(404)
        adapter = adapter_for(channel.kind)
        received = WebhookRequest(
            method="POST",
            url=str(request.url),
            headers=dict(request.headers),
            query=dict(request.query_params),
            body=await request.body(),
            received_at=datetime.now(UTC),
        )
        try:
            adapter.verify(received, channel)
        except SignatureError as error:
            raise HTTPException(401) from error
        for event in parse(adapter, received, channel):
            if event.message is not None and event.message.from_customer:
                message_id = await store(pool, event.message)
                if message_id is not None:
                    stored(message_id)
        return Response(status_code=200)

    return app


def serve(app: FastAPI) -> None:
    """Until SIGTERM."""
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), log_level="warning", access_log=False)

"""A limit for bodies, which are read before anybody has shown a token."""

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT = 64 * 1024
"""Bytes."""


class BodyLimit:
    """ASGI middleware: reading more than BODY_LIMIT bytes of a body is answered 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > BODY_LIMIT:
                raise HTTPException(413, f"a body may have {BODY_LIMIT} bytes")
            return message

        await self._app(scope, limited, send)

"""`openchannel parse`: what an adapter makes of webhook bodies in files, one JSON object per event.

No signature is checked and nothing is stored: it is for looking at a body that a provider sent.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from ingest.adapters.base import Adapter, ParsedEvent, WebhookRequest, parse
from ingest.adapters.registry import UnknownKindError, adapter_for
from tracker.channels import Channel
from tracker.identifiers import IdentifierKind
from tracker.messages import InboundMessage

CONTENT_TYPES = {".json": "application/json", ".form": "application/x-www-form-urlencoded"}


def parse_command(
    kind: Annotated[str, typer.Argument(help="Kind of the channel, e.g. telegram.")],
    files: Annotated[list[Path], typer.Argument(help="Bodies: .json, or .form for url-encoded forms.")],
) -> None:
    """Show what an adapter reads out of webhook bodies, without checking their signatures."""
    try:
        adapter = adapter_for(kind)
    except UnknownKindError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    for file in files:
        for line in _describe_file(adapter, file):
            typer.echo(orjson.dumps(line))


def _describe_file(adapter: Adapter, file: Path) -> Iterator[dict[str, object]]:
    try:
        body = file.read_bytes()
    except OSError as error:
        yield {"file": str(file), "error": str(error)}
        return
    stand_in = Channel(id=0, key=adapter.kind, kind=adapter.kind, name=adapter.kind, open_channel_id=0)
    request = WebhookRequest(
        method="POST",
        url="",
        headers={"content-type": CONTENT_TYPES.get(file.suffix, "application/json"), "webhook-id": file.stem},
        query={},
        body=body,
        received_at=datetime.now(UTC),
    )
    for event in parse(adapter, request, stand_in):
        yield {"file": str(file), **_describe(event)}


def _describe(event: ParsedEvent) -> dict[str, object]:
    message = event.message
    if message is None:
        return {"error": event.error}
    return {
        "from_customer": message.from_customer,
        "kind": message.kind,
        "account_id": message.account_id,
        "chat_id": message.chat_id,
        "customer_id": message.customer_id,
        "message_id": message.external_id,
        "text": message.text,
        "phone": _first(message, IdentifierKind.PHONE),
        "email": _first(message, IdentifierKind.EMAIL),
        "name": message.name,
        "sent_at": message.sent_at.astimezone(UTC).isoformat(),
    }


def _first(message: InboundMessage, kind: IdentifierKind) -> str:
    return next((identifier.value for identifier in message.identifiers if identifier.kind is kind), "")


if __name__ == "__main__":
    typer.run(parse_command)

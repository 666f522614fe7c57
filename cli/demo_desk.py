"""The demo's desk: `desks/demo.yaml`, with secrets that its synthetic customers and operators know.

Made anew or brought up to date at each run.
"""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from cli.desks.reading import parse_desk
from cli.desks.wishes import ChannelWish, DeskWish, Secrets
from cli.desks.writing import carry_out
from cli.desks.writing import plan_desk as plan_changes
from crm_store.database import Connection
from crm_store.secrets import SecretBox
from loadgen.operators import OperatorAccount
from tracker.channels import Channel

FILE = "demo.yaml"

_RESTLESS = frozenset({"Bruno (demo)", "Davor (demo)", "Freya (demo)"})


@dataclass(frozen=True, slots=True)
class DemoDesk:
    """What the synthetic customers and operators need to know."""

    channels: Sequence[Channel]
    operators: Sequence[OperatorAccount]


def plan_desk(secret_key: str) -> DemoDesk:
    """The desk, with secrets and tokens that are the same at each run on the same data, and a secret to others."""
    wish = _read()
    return DemoDesk(
        [_channel(secret_key, channel) for channel in wish.channels],
        [
            OperatorAccount(one.name, _secret(secret_key, f"operator {one.name}"), restless=one.name in _RESTLESS)
            for one in wish.operators
        ],
    )


def set_up_desk(connection: Connection, box: SecretBox, desk: DemoDesk, callback_url: str) -> None:
    """Write the desk down. callback_url: where answers to the custom channel go."""
    wish = _read()
    by_key = {channel.key: channel for channel in desk.channels}
    tokens = {operator.name: operator.token for operator in desk.operators}
    channels = []
    for one in wish.channels:
        channel = by_key[one.name]
        config = {"callback_url": callback_url} if channel.kind == "custom" else dict(channel.config)
        channels.append(replace(one, given={**one.given, "config": config}, secrets=Secrets(channel.secrets)))
    operators = [replace(one, token=tokens[one.name]) for one in wish.operators]
    wish = replace(wish, channels=tuple(channels), operators=tuple(operators))
    plan, known = plan_changes(connection, FILE, wish, lambda: box)
    carry_out(connection, plan, known)


def channel_of_kind(desk: DemoDesk, kind: str) -> Channel:
    """The desk's only channel of this kind."""
    return next(channel for channel in desk.channels if channel.kind == kind)


def _read() -> DeskWish:
    text = files("cli").joinpath("desks", FILE).read_text(encoding="utf-8")
    return parse_desk(FILE, text, Path(), {})


def _channel(secret_key: str, wish: ChannelWish) -> Channel:
    kind, key = wish.given["kind"], wish.name
    return Channel(
        id=0,
        key=key,
        kind=kind,
        name=wish.given["name"],
        open_channel_id=0,
        account_id=wish.given.get("account_id", ""),
        region=wish.given.get("region"),
        secrets=(_webhook_secret(secret_key, key) if kind == "custom" else _secret(secret_key, key),),
        config={"verify_token": _secret(secret_key, f"{key} verify")} if kind == "whatsapp" else {},
    )


def _digest(secret_key: str, purpose: str) -> bytes:
    return hmac.digest(secret_key.encode(), f"openchannel demo: {purpose}".encode(), "sha256")


def _secret(secret_key: str, purpose: str) -> str:
    return base64.urlsafe_b64encode(_digest(secret_key, purpose)).decode().rstrip("=")


def _webhook_secret(secret_key: str, purpose: str) -> str:
    return "whsec_" + base64.b64encode(_digest(secret_key, purpose)).decode()

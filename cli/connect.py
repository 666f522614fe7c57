"""`openchannel connect`: a channel with its open channel and operators, in one command.

It adds and never takes away: what is there by name stays as it is.
"""

import base64
import secrets
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from cli.composition import database_options, on_this_machine, secret_box
from config.settings import Settings, SettingsError, load_settings
from crm_store import desks
from crm_store.database import Connection, Session
from crm_store.desks import RosterMember
from crm_store.secrets import hash_token
from ingest.adapters.registry import UnknownKindError, adapter_for
from tracker.channels import Channel, OpenChannelSettings


def connect_command(
    kind: Annotated[str, typer.Argument(help="telegram, whatsapp, livechat, webform or custom")],
    key: Annotated[str, typer.Option(help="Name in the webhook's URL, e.g. my-bot.")],
    open_channel: Annotated[str, typer.Option(help="The desk behind it; made if missing.")],
    operator: Annotated[list[str] | None, typer.Option(help="Joins the roster; made if missing. Repeatable.")] = None,
    name: Annotated[str, typer.Option(help="Name of the channel; the key if not given.")] = "",
    region: Annotated[str | None, typer.Option(help="ISO code in which national phones are read, e.g. DE.")] = None,
    account_id: Annotated[str, typer.Option(help="The provider's id of the account, e.g. a phone_number_id.")] = "",
    secret: Annotated[
        str, typer.Option(envvar="CHANNEL_SECRET", help="The provider's secret; made up if not given.")
    ] = "",
    config: Annotated[list[str] | None, typer.Option(help="What the adapter needs besides: name=value.")] = None,
) -> None:
    """Connect a channel, and say what to tell its provider."""
    try:
        adapter_for(kind)
    except UnknownKindError as error:
        raise SettingsError(f"KIND: {error}") from error
    channel = Channel(
        id=0,
        key=_checked_key(key),
        kind=kind,
        name=name or key,
        open_channel_id=0,
        account_id=account_id,
        region=region.upper() if region else None,
        secrets=(secret or _new_secret(kind),),
        config=dict(_pair(given) for given in config or ()),
    )
    settings = on_this_machine(load_settings())
    session = Session(database_options(settings, "connect"))
    try:
        with session.transaction() as connection:
            tokens = _connect(connection, settings, channel, open_channel, operator or ())
    finally:
        session.close()
    sys.stdout.write(_instructions(settings, channel, tokens))


def _connect(
    connection: Connection, settings: Settings, channel: Channel, open_channel: str, operators: Sequence[str]
) -> dict[str, str]:
    """Write all down; returns the tokens of operators that were made."""
    open_channel_id = desks.find_open_channel(connection, open_channel)
    if open_channel_id is None:
        open_channel_id = desks.put_open_channel(connection, open_channel, OpenChannelSettings())
    tokens: dict[str, str] = {}
    roster = desks.roster_members(connection, open_channel_id)
    for name in operators:
        operator_id = desks.find_operator(connection, name)
        if operator_id is None:
            tokens[name] = secrets.token_urlsafe(24)
            operator_id = desks.put_operator(connection, name, hash_token(tokens[name]))
        if RosterMember(operator_id=operator_id) not in roster:
            roster.append(RosterMember(operator_id=operator_id))
    desks.put_roster(connection, open_channel_id, roster)
    desks.add_channel(connection, channel, open_channel_id, secret_box(settings))
    return tokens


def _checked_key(key: str) -> str:
    if not key or not all(character.isalnum() or character in "-_." for character in key) or len(key) > 100:
        raise SettingsError("--key: may hold letters, digits, `-`, `_` and `.`; it becomes a part of the URL")
    return key


def _pair(given: str) -> tuple[str, str]:
    name, found, value = given.partition("=")
    if not name or not found:
        raise SettingsError(f"--config: write name=value, not {given!r}")
    return name, value


def _new_secret(kind: str) -> str:
    if kind == "whatsapp":
        raise SettingsError("--secret: WhatsApp signs with the app's own secret; take it from the app's settings")
    if kind == "custom":
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(32)


def _instructions(settings: Settings, channel: Channel, tokens: dict[str, str]) -> str:
    base = settings.web.public_url.rstrip("/") or "https://YOUR-PUBLIC-ADDRESS"
    url = f"{base}/webhooks/{channel.key}"
    lines = [f"channel {channel.key} is connected; its webhook is {url}"]
    lines += [f"operator {name}: token {token} (shown only now)" for name, token in tokens.items()]
    match channel.kind:
        case "telegram":
            lines += [
                "tell Telegram where to send:",
                f"  curl 'https://api.telegram.org/bot<TOKEN>/setWebhook' -d url={url} \\",
                f"       -d secret_token={channel.secrets[0]}",
            ]
        case "whatsapp":
            lines.append("in the Meta app, subscribe to `messages` with this URL and your --config verify_token=...")
        case "custom":
            lines.append(f"sign with {channel.secrets[0]} (Standard Webhooks); see docs/adapters.md")
        case _:
            lines.append("see docs/adapters.md for what the page has to send")
    return "\n".join([*lines, ""])

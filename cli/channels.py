"""`openchannel channels`: what is connected, turning it off and on, and rotating secrets."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from cli.apply import administrative_transaction
from cli.composition import on_this_machine, secret_box
from cli.desks.problems import nearest
from cli.instructions import webhook_instructions
from cli.new_secrets import new_secret, wrong_secret
from cli.refusals import RefusedError
from config.settings import SettingsError, load_settings
from crm_store import administration
from crm_store.administration import KnownChannel
from crm_store.database import Connection
from crm_store.secrets import SecretBox, SecretKeyError

channels = typer.Typer(
    name="channels", help="Look at channels, switch them, rotate their secrets.", no_args_is_help=True
)

Key = Annotated[str, typer.Argument(help="The channel's key.")]


@channels.command("list")
def list_command() -> None:
    """List the channels, without their secrets."""
    settings = on_this_machine(load_settings())
    box = secret_box(settings)
    with administrative_transaction(settings, "channels") as connection:
        known = administration.read(connection)
    names = {one.id: one.name for one in known.open_channels.values()}
    rows = [
        (
            one.key,
            one.kind,
            one.name,
            names[one.open_channel_id],
            "active" if one.active else "disabled",
            _secrets(box, one),
        )
        for one in known.channels.values()
    ]
    sys.stdout.write(table(("key", "kind", "name", "open channel", "state", "secrets"), rows))


@channels.command("disable")
def disable_command(key: Key) -> None:
    """Answer a channel's webhooks as if it were not there; what it has stays."""
    _switch(key, active=False)


@channels.command("enable")
def enable_command(key: Key) -> None:
    """Take a channel's webhooks again."""
    _switch(key, active=True)


@channels.command("rotate-secret")
def rotate_secret_command(
    key: Key,
    secret_env: Annotated[
        str, typer.Option("--secret-env", metavar="NAME", help="The variable that holds the new secret; else made up.")
    ] = "",
    finish: Annotated[bool, typer.Option("--finish", help="The old secret is no longer valid from now on.")] = False,
) -> None:
    """Give a channel a new secret; the old one stays valid until --finish."""
    settings = on_this_machine(load_settings())
    box = secret_box(settings)
    if finish and secret_env:
        raise SettingsError("--finish takes no new secret; leave --secret-env out")
    with administrative_transaction(settings, "channels") as connection:
        channel = _find(connection, key)
        valid = box.open(channel.sealed)
        if finish:
            _finish(connection, box, channel, valid)
            return
        if len(valid) > 1:
            raise RefusedError(f"{key}: a rotation is under way; end it first, with --finish")
        secret = _given_secret(secret_env) if secret_env else new_secret(channel.kind)
        if secret is None:
            raise SettingsError(
                f"{key}: {channel.kind} signs with a secret of the provider's; name it with --secret-env"
            )
        if wrong := wrong_secret(channel.kind, secret):
            raise SettingsError(f"{key}: {wrong}")
        if secret in valid:
            raise SettingsError(f"{key}: that is the secret which it has")
        administration.write_secrets(connection, key, box.seal((secret, *valid)))
    lines = [f"{key}: the new secret and the old one are valid within seconds"]
    if not secret_env:
        lines += webhook_instructions(settings, channel.kind, key, secret)
    lines.append(f"when the other side uses the new one: openchannel channels rotate-secret {key} --finish")
    _say(lines)


@channels.command("reencrypt")
def reencrypt_command() -> None:
    """Encrypt all channels' secrets with the first key of OPENCHANNEL_SECRET_KEY."""
    settings = on_this_machine(load_settings())
    box = secret_box(settings)
    rewritten, unreadable = 0, []
    with administrative_transaction(settings, "channels") as connection:
        administration.take_turn(connection)
        for channel in administration.read(connection).channels.values():
            if box.sealed_with_first(channel.sealed):
                continue
            try:
                administration.write_secrets(connection, channel.key, box.seal(box.open(channel.sealed)))
                rewritten += 1
            except SecretKeyError:
                unreadable.append(channel.key)
    _say([f"{rewritten} rewritten with the first key"])
    if unreadable:
        sys.stderr.write(f"none of the keys opens the secrets of {', '.join(unreadable)}; add the key that they need\n")
        raise typer.Exit(1)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text."""
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in (titles, *rows)
    )


def _switch(key: str, *, active: bool) -> None:
    settings = on_this_machine(load_settings())
    with administrative_transaction(settings, "channels") as connection:
        changed = _find(connection, key).active is not active
        administration.set_channel_active(connection, key, active=active)
    state = "active" if active else "disabled"
    _say([f"{key} is {state} within seconds" if changed else f"{key} is {state} already"])


def _find(connection: Connection, key: str) -> KnownChannel:
    """The channel, while no other administrator changes anything. Raises RefusedError."""
    administration.take_turn(connection)
    known = administration.read(connection).channels
    if key not in known:
        raise RefusedError(f'there is no channel "{key}"{nearest(key, known) or "; see openchannel channels list"}')
    return known[key]


def _finish(connection: Connection, box: SecretBox, channel: KnownChannel, valid: tuple[str, ...]) -> None:
    if len(valid) < 2:
        _say([f"{channel.key}: no rotation is under way; nothing to finish"])
        return
    administration.write_secrets(connection, channel.key, box.seal(valid[:1]))
    _say([f"{channel.key}: only the new secret is valid within seconds"])


def _given_secret(name: str) -> str:
    secret = os.environ.get(name, "")
    if not secret:
        raise SettingsError(f"--secret-env: the variable {name} is not set, or empty")
    return secret


def _secrets(box: SecretBox, channel: KnownChannel) -> str:
    try:
        count = len(box.open(channel.sealed))
    except SecretKeyError:
        return "unreadable"
    return "rotating" if count > 1 else ("set" if count else "none")


def _say(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))

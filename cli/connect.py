"""`openchannel connect`: a channel with its open channel and operators, in one command.

It adds and never takes away: what is there by name stays as it is. It is a small desk file, written as options.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.apply import administrative_transaction
from cli.composition import on_this_machine, secret_box
from cli.desks.document import Node, Scalar
from cli.desks.plan import roster_names
from cli.desks.problems import DeskError, Place, Problem
from cli.desks.reading import desk_of
from cli.desks.wishes import DeskWish
from cli.desks.writing import carry_out, plan_desk
from cli.instructions import token_lines, webhook_instructions
from cli.new_secrets import new_secret
from config.settings import SettingsError, load_settings
from crm_store import administration
from crm_store.administration import Known

SOURCE = "connect"


def connect_command(
    kind: Annotated[str, typer.Argument(help="telegram, whatsapp, livechat, webform, custom, ...")],
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
    channel = {"--key": ("key", key), "--open-channel": ("open_channel", open_channel), "KIND": ("kind", kind)}
    optional = {
        "--name": ("name", name),
        "--region": ("region", region),
        "--account-id": ("account_id", account_id),
        "--secret": ("secrets", secret),
    }
    fields = {field: _text(option, value) for option, (field, value) in {**channel, **optional}.items() if value}
    if config:
        pairs = dict(map(_pair, config))
        fields["config"] = _mapping("--config", {one: _text("--config", value) for one, value in pairs.items()})
    settings = on_this_machine(load_settings())
    with administrative_transaction(settings, SOURCE) as connection:
        administration.take_turn(connection)
        known = administration.read(connection)
        wish = _wish(known, fields, open_channel, operator or ())
        _check(known, kind, key, secret)
        plan, known = plan_desk(connection, SOURCE, wish, lambda: secret_box(settings))
        carry_out(connection, plan, known)
    lines = [
        f"channel {key} is connected",
        *token_lines(plan.tokens),
        *webhook_instructions(settings, kind, key, secret or plan.secrets[key]),
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _wish(known: Known, channel: Mapping[str, Node], open_channel: str, operators: Iterable[str]) -> DeskWish:
    """The desk that the options describe: the roster as it is, and whoever joins it."""
    names = list(dict.fromkeys(operators))
    desk = {"name": _text("--open-channel", open_channel)}
    if names:
        there = known.open_channels.get(open_channel)
        roster = roster_names(known, there.roster) if there else []
        roster += [entry for name in names if (entry := ("operator", name)) not in roster]
        desk["roster"] = _list(
            "--operator", [_mapping("--operator", {of: _text("--operator", name)}) for of, name in roster]
        )
    root = _mapping(
        "",
        {
            "open_channels": _list("", [_mapping("--open-channel", desk)]),
            "operators": _list("", [_mapping("--operator", {"name": _text("--operator", name)}) for name in names]),
            "channels": _list("", [_mapping("", channel)]),
        },
    )
    return desk_of(SOURCE, root, Path(), {}, [])


def _check(known: Known, kind: str, key: str, secret: str) -> None:
    """What a file may say, but this command may not."""
    problems = []
    if key in known.channels:
        problems.append(Problem(Place("--key"), f'the key "{key}" is in use; choose another'))
    if not secret and new_secret(kind) is None:
        message = f"{kind} signs with a secret of the provider's; set it in CHANNEL_SECRET"
        problems.append(Problem(Place("--secret"), message))
    if problems:
        raise DeskError(SOURCE, problems)


def _pair(given: str) -> tuple[str, str]:
    name, found, value = given.partition("=")
    if not name or not found:
        raise SettingsError("--config: write name=value")
    return name, value


def _text(option: str, value: str | None) -> Node:
    return Node(Place(option), Scalar(value or "", plain=False))


def _list(option: str, items: list[Node]) -> Node:
    return Node(Place(option), items)


def _mapping(option: str, content: Mapping[str, Node]) -> Node:
    return Node(Place(option), dict(content))

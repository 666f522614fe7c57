"""The options that say which dead letters are meant: the same for all commands, which get them as one `Which`.

Write a command with `which: Which` as its first parameter and decorate it with `selecting` (it reads) or
`choosing` (it acts: without any option it wants `--all`). `selection_of` of the console makes a Selection of it.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, Concatenate, ParamSpec

import typer
from pydantic import ValidationError

from cli.times import read_time
from cli.tracker.opening import LARGEST_ID
from config.settings import SettingsError
from console.letter_selection import Which
from crm_store.dead_letters import STEPS

P = ParamSpec("P")

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_AGO = re.compile(r"(\d{1,5})([mhd])")
_WHEN = "2026-03-01T09:00Z, or 30m, 12h, 7d for so long ago."

_OPTIONS: dict[str, tuple[Any, Any]] = {
    "ids": (list[int], typer.Argument(min=1, max=LARGEST_ID, metavar="ID", help="Letters, by number.")),
    "group": (str, typer.Option("--group", metavar="GROUP", help="Of one cause, as `groups` names it.")),
    "reason": (str, typer.Option("--died-of", metavar="REASON", help="The stable reason, as unparsable.")),
    "step": (str, typer.Option("--step", help=f"Where: {', '.join(STEPS)}.")),
    "fingerprint": (str, typer.Option("--fingerprint", help="The cause: an error's type and place.")),
    "channel": (str, typer.Option("--channel", metavar="KEY", help="Came in by it, or was to go out by it.")),
    "since": (str, typer.Option("--since", metavar="TIME", help=f"Died then or later: {_WHEN}")),
    "until": (str, typer.Option("--until", metavar="TIME", help="Died before.")),
    "text": (str, typer.Option("--text", help="Occurs in the error or in what came in.")),
}
_ALL = (bool, typer.Option("--all", help="Everything; stands alone."))
_SHORTER = typer.Option("--died-of", "--reason", metavar="REASON", help="The stable reason, as unparsable.")
"""Where `--reason` does not say why somebody acts."""


def selecting(command: Callable[Concatenate[Which, P], None]) -> Callable[..., None]:
    """A command that reads: its options in place of its first parameter."""
    return _with_options(command, _OPTIONS)


def choosing(command: Callable[Concatenate[Which, P], None]) -> Callable[..., None]:
    """A command that acts: with `--all` besides."""
    return _with_options(command, {**_OPTIONS, "all": _ALL})


def _with_options(
    command: Callable[Concatenate[Which, P], None], options: dict[str, tuple[Any, Any]]
) -> Callable[..., None]:
    own = list(signature(command, eval_str=True).parameters.values())[1:]
    if not any(parameter.name == "reason" for parameter in own):
        options = {**options, "reason": (str, _SHORTER)}
    # An own `reason` says why; the filter's name must not be in its way.
    names = {f"of_{name}": name for name in options}

    @wraps(command)
    def with_options(**given: Any) -> None:
        said = {names[name]: given.pop(name) for name in names}
        command(_which(said), **given)  # type: ignore[call-arg]

    parameters = [
        Parameter(f"of_{name}", Parameter.KEYWORD_ONLY, annotation=Annotated[_optional(kind), info], default=None)
        for name, (kind, info) in options.items()
    ]
    own = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own]
    with_options.__signature__ = signature(command).replace(parameters=[*parameters, *own])  # type: ignore[attr-defined]
    with_options.__annotations__ = {one.name: one.annotation for one in [*parameters, *own]}
    del with_options.__wrapped__  # whoever looks at the signature must find this one
    return with_options


def _optional(kind: Any) -> Any:
    return kind | None


def _which(said: dict[str, Any]) -> Which:
    """Raises SettingsError, which names the option."""
    for name in ("since", "until"):
        if said[name]:
            said[name] = _time(f"--{name}", said[name])
    given = {name: value for name, value in said.items() if value}
    try:
        return Which.model_validate(given)
    except ValidationError as error:
        raise SettingsError(_told(error)) from error


def _time(option: str, text: str) -> datetime:
    if ago := _AGO.fullmatch(text.strip()):
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    return read_time(option, text)[0]


def _told(error: ValidationError) -> str:
    return "\n".join(
        f"{_named(found['loc'])}: {found['msg'].removeprefix('Value error, ')}" for found in error.errors()
    )


def _named(location: Sequence[object]) -> str:
    name = str(location[0]) if location else ""
    return {"ids": "ID", "reason": "--died-of"}.get(name, f"--{name}")

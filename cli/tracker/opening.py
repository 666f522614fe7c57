"""What the tracker's commands share: the database, who acts, and how a refusal is told."""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

from cli.composition import database_options, on_this_machine
from config.settings import SettingsError, load_settings
from console.problems import ProblemError
from crm_store.database import Database, DatabaseOptions, Session
from tracker.dialogs import ActRefusedError
from tracker.texts import clean

LARGEST_ID = 2**63 - 1

Json = Annotated[bool, typer.Option("--json", help="As the API answers, for programs.")]
Region = Annotated[
    str, typer.Option("--region", metavar="CC", help="The country in which a national phone is read, e.g. DE.")
]
REASON = "Why; it stays in the records."


@contextmanager
def customers(command: str) -> Iterator[Database]:
    """The database, for a command of the tracker's; see `opened`."""
    with opened(f"tracker {command}") as database:
        yield database


@contextmanager
def opened(command: str) -> Iterator[Database]:
    """The database. A refused act, or something that is not there, ends the command: one line, exit 1 (2: usage)."""
    options = database_options(on_this_machine(load_settings()), command)
    _try(options)
    with Database(options) as database:
        try:
            yield database
        except ActRefusedError as error:
            raise _refused(error.reason, str(error)) from error
        except ProblemError as error:
            if error.status == 422:
                raise SettingsError(error.detail) from error
            raise _refused(error.reason, error.detail) from error


def _try(options: DatabaseOptions) -> None:
    """One line if PostgreSQL is away; a pool would try again and again, and say so. Raises DatabaseAwayError."""
    session = Session(options)
    try:
        with session.transaction():
            pass
    finally:
        session.close()


def _refused(reason: str, detail: str) -> typer.Exit:
    sys.stderr.write(f"{detail} ({reason})\n")
    return typer.Exit(1)


def actor() -> str:
    """Who acts, for the audit: the user of the operating system."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def region_of(given: str) -> str | None:
    """Raises SettingsError."""
    if given and not (len(given) == 2 and given.isascii() and given.isalpha()):
        raise SettingsError(f"--region: {given!r} is no country of two letters, e.g. DE")
    return given.upper() or None


def reason_of(given: str, option: str = "--reason") -> str:
    """Raises SettingsError where nothing is said."""
    reason = clean(given).strip()
    if not reason:
        raise SettingsError(f"{option}: say why; it stays in the records")
    return reason


def show(document: Any, kind: Any, text: str, *, as_json: bool) -> None:
    """A document as the API shows it, or a text for people."""
    if as_json:
        sys.stdout.write(TypeAdapter(kind).dump_json(document, indent=2).decode() + "\n")
    else:
        sys.stdout.write(text)


def shown(text: object) -> str:
    """What a customer wrote, as a terminal may have it: without control characters."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(text))

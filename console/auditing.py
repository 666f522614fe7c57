"""Acts of persons, each a transaction that ends in an entry of the audit."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from config.masking import MASK, mask_text
from console.problems import ProblemError
from crm_store import audit
from crm_store.database import Connection, Database
from crm_store.errors import DeadlockError, RowRefusedError
from tracker.dialogs import ActRefusedError

MOST_TRIES = 5
"""How often an act is tried again that PostgreSQL has ended to break a circle of waits."""

P = ParamSpec("P")
R = TypeVar("R")


def repeated(act: Callable[P, R]) -> Callable[P, R]:
    """Try an act again after a deadlock, of which it is known that nothing happened, and nothing is in the audit.

    Raises DeadlockError after the last try.
    """

    @wraps(act)
    def tried(*arguments: P.args, **named: P.kwargs) -> R:
        for _ in range(MOST_TRIES - 1):
            try:
                return act(*arguments, **named)
            except DeadlockError:
                continue
        return act(*arguments, **named)

    return tried


Check = Callable[[Connection], object]
"""Whether the caller may act, asked in the act's own transaction. Raises ProblemError."""


def anybody(_connection: Connection) -> None:
    """The check of acts that do not come over HTTP."""


@contextmanager
def audited(
    database: Database, actor: str, act: str, details: Mapping[str, Any], check: Check = anybody
) -> Iterator[Connection]:
    """A transaction that ends in an entry of the audit, with the reason where the act is refused.

    details: ids, counts and reasons; may be added to in the block. Phones and e-mails in reasons are masked: the entry
    outlives an erase.
    """
    with refusals_audited(database, actor, act, details), database.transaction() as connection:
        check(connection)
        yield connection
        enter_done(connection, actor, act, details)


def enter_done(connection: Connection, actor: str, act: str, details: Mapping[str, Any]) -> None:
    """Enter an act that is done, as part of its transaction."""
    audit.enter(connection, actor, act, "done", _masked(details))


@contextmanager
def refusals_audited(database: Database, actor: str, act: str, details: Mapping[str, Any]) -> Iterator[None]:
    """An act that is refused in the block is entered with the reason, in a transaction of its own."""
    try:
        yield
    except (ActRefusedError, ProblemError, RowRefusedError) as refused:
        with database.transaction() as connection:
            audit.enter(connection, actor, act, refused.reason, _masked(details))
        if isinstance(refused, ProblemError):
            refused.audited = True
        raise


_NUMBER = re.compile(r"\+?\d(?:[^\w,;]{0,3}\d){6,}")
"""What may be a phone, however a person writes it; a log's mask knows fewer separators."""


def masked(text: str) -> str:
    """A reason as it may outlive its customer: without phones and e-mails, in whatever characters they are written."""
    return mask_text(_NUMBER.sub(MASK, unicodedata.normalize("NFKC", text)))


def _masked(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: masked(value) if isinstance(value, str) else value for name, value in details.items()}

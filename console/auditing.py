"""Acts of persons, each a transaction that ends in an entry of the audit."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from config.masking import MASK, mask_text
from console.problems import ProblemError
from crm_store import audit
from crm_store.database import Connection, Database
from tracker.dialogs import ActRefusedError


@contextmanager
def audited(database: Database, actor: str, act: str, details: Mapping[str, Any]) -> Iterator[Connection]:
    """A transaction that ends in an entry of the audit, with the reason where the act is refused.

    details: ids, counts and reasons; may be added to in the block. Phones and e-mails in reasons are masked: the entry
    outlives an erase.
    """
    try:
        with database.transaction() as connection:
            yield connection
            audit.enter(connection, actor, act, "done", _masked(details))
    except (ActRefusedError, ProblemError) as refused:
        with database.transaction() as connection:
            audit.enter(connection, actor, act, refused.reason, _masked(details))
        raise


_NUMBER = re.compile(r"\+?\d(?:[^\w,;]{0,3}\d){6,}")
"""What may be a phone, however a person writes it; a log's mask knows fewer separators."""


def _masked(details: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: mask_text(_NUMBER.sub(MASK, value)) if isinstance(value, str) else value
        for name, value in details.items()
    }

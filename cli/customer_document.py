"""The document of `openchannel customers export`: written record by record, given away only when it is whole."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

import orjson

from crm_store import customer_records
from crm_store.database import Connection

FORMAT = "openchannel customers 1"


class Destination:
    """A file that only its owner can read, or the standard output. Use it as a context; without `release` it is empty.

    The document is written aside first: a reader who takes his time must not hold up a transaction, and half a
    document would be taken for a whole one.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._aside: Path | None = None
        if path is None:  # has no name that could outlive the command
            self.file: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed at exit
        else:  # made with mode 0600, beside the file that it becomes
            number, aside = tempfile.mkstemp(prefix=".openchannel-", suffix=".part", dir=path.resolve().parent)
            self._aside = Path(aside)
            self.file = os.fdopen(number, "w+", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if self._aside is not None:
            self._aside.unlink(missing_ok=True)

    def release(self) -> None:
        """The document is whole."""
        self.file.flush()
        if self._path is not None and self._aside is not None:
            self._aside.replace(self._path)
        else:
            self.file.seek(0)
            shutil.copyfileobj(self.file, sys.stdout)
            sys.stdout.flush()


def write_document(destination: Destination, connection: Connection, live_ids: Iterable[int]) -> None:
    """Everything that is known of these customers. connection: in a transaction that `customer_records` has begun."""
    file = destination.file
    head = orjson.dumps({"format": FORMAT, "exported_at": datetime.now(UTC)}).decode()
    file.write(f'{head[:-1]},\n"customers": [')
    for number, live_id in enumerate(live_ids):
        file.write(f'{"," if number else ""}\n{{"card_id": {live_id}')
        for name, records in customer_records.sections(connection, live_id):
            file.write(f',\n"{name}": [')
            separator = "\n  "
            for record in records:
                file.write(f"{separator}{record}")
                separator = ",\n  "
            file.write("]")
        file.write("}")
    file.write("\n]}\n")

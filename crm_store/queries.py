"""SQL as source: `sql/*.sql` holds named, commented queries, one file per aggregate."""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class Queries:
    """The queries of one file, read at their first use."""

    def __init__(self, aggregate: str) -> None:
        self._aggregate = aggregate

    def __getitem__(self, name: str) -> LiteralString:
        """The text of a query. Raises KeyError that names the file and the query."""
        try:
            return _read(self._aggregate)[name]
        except KeyError:
            raise KeyError(f"no query {name!r} in crm_store/sql/{self._aggregate}.sql") from None


@cache
def _read(aggregate: str) -> dict[str, LiteralString]:
    text = files("crm_store").joinpath("sql", f"{aggregate}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    # The files are part of the package, as literal as if they stood in the code.
    return {name: cast(LiteralString, query.strip()) for name, query in zip(parts[1::2], parts[2::2], strict=True)}

"""Named statements of this package's .sql files, as crm_store has them in its own."""

import re
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def statements(file: str) -> dict[str, LiteralString]:
    """Those of one file, by name, in its order. All are written for client-side parameters: `%%` is one `%`."""
    parts = _NAME.split(files("bench.scale").joinpath(file).read_text(encoding="utf-8"))
    # The file is part of the package, as literal as if it stood in the code.
    return {name: cast(LiteralString, text.strip()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}

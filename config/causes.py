"""What groups failures of one cause: a stable reason, the error's type, and the place in our code where it came up."""

import re
import traceback
from pathlib import PurePath

OUR_PACKAGES = frozenset({"worker", "crm_store", "tracker", "ingest", "console", "config"})


def fingerprint(error: BaseException) -> str:
    """`Type@package/module.py:function` of the innermost frame of ours."""
    place = "unknown"
    for frame in traceback.extract_tb(error.__traceback__):
        path = PurePath(frame.filename)
        ours = [part for part in path.parts if part in OUR_PACKAGES]
        if ours:
            inside = path.parts[len(path.parts) - 1 - path.parts[::-1].index(ours[-1]) :]
            place = f"{'/'.join(inside)}:{frame.name}"
    return f"{type(error).__name__}@{place}"


def reason_of(error: BaseException) -> str:
    """The stable reason of an error: its own, or its type's name in words."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, str) and reason:
        return reason
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower().removesuffix("_error")

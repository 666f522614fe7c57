"""A wall clock that is off, for one process: nothing that the product decides may depend on it."""

import ctypes
import gc
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any


def shift(seconds: float) -> None:
    """From now on `time.time`, `time.time_ns`, `datetime.now` and `datetime.utcnow` are off by so many seconds.

    Modules that hold a function of `time` by then keep the true one, so this comes before their import. The methods
    of `datetime` are replaced in the type itself: a subclass would not be what the driver and pydantic know.
    """
    true_time, true_time_ns, true_now = time.time, time.time_ns, datetime.now
    off_by = timedelta(seconds=seconds)
    nanoseconds = round(seconds * 1e9)

    def now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:  # noqa: ARG001  as the method's
        return true_now(tz) + off_by

    def utcnow(cls: type[datetime]) -> datetime:
        return cls.fromtimestamp(true_time() + seconds, tz=_utc()).replace(tzinfo=None)

    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: true_time_ns() + nanoseconds
    _replace(datetime, {"now": now, "utcnow": utcnow})
    if abs((datetime.now(_utc()) - datetime.fromtimestamp(true_time(), _utc())) - off_by) > timedelta(seconds=1):
        raise RuntimeError("this Python's clocks cannot be shifted")


def _utc() -> tzinfo:
    from datetime import UTC

    return UTC


def _replace(owner: type, methods: dict[str, Callable[..., Any]]) -> None:
    """Replace class methods of a type that is written in C."""
    (names,) = (found for found in gc.get_referents(owner.__dict__) if isinstance(found, dict))
    for name, method in methods.items():
        names[name] = classmethod(method)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))

"""Trying again what others stand in the way of: a lock that was not had in time, a deadlock that was broken."""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from crm_store.errors import DatabaseAwayError

T = TypeVar("T")
P = ParamSpec("P")

TRIES = 8
FIRST_PAUSE = 0.05
"""Seconds; each further one is twice as long."""


def patiently(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do `work`, which consists of whole transactions, again while PostgreSQL cannot.

    Raises DatabaseAwayError after some seconds.
    """
    for n in range(TRIES):
        try:
            return work(*args, **kwargs)
        except DatabaseAwayError:
            if n == TRIES - 1:
                raise
            time.sleep(FIRST_PAUSE * 2**n)
    raise AssertionError("unreachable")

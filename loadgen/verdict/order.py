"""The order of a chat: m1 precedes m2 if m1 was answered before m2 was first sent."""

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

_N = TypeVar("_N")


def behind_their_successors(history: Iterable[tuple[_N, float, float | None]]) -> Iterator[_N]:
    """Those that stand behind one that was first sent after their answer.

    history: of one chat, in the desk's order: a name, when it was first sent, and when answered, if it was.
    """
    latest_sent = -math.inf
    for name, first_sent, answered in history:
        if answered is not None and answered < latest_sent:
            yield name
        latest_sent = max(latest_sent, first_sent)

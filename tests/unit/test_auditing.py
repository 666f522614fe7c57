"""Acts that PostgreSQL has ended to break a circle of waits are tried again, and only those."""

import psycopg
import pytest

from console.auditing import MOST_TRIES, repeated
from crm_store.errors import DatabaseAwayError, DeadlockError, translated

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "times", "tries"),
    [
        (DeadlockError("40P01"), MOST_TRIES - 1, MOST_TRIES),
        (DeadlockError("40P01"), MOST_TRIES, MOST_TRIES),
        (DatabaseAwayError("away"), 1, 1),
    ],
)
def test_an_act_is_tried_again_after_a_deadlock(error: Exception, times: int, tries: int) -> None:
    """A deadlock's victim has surely not happened; of a lost connection nobody knows."""
    tried = 0

    @repeated
    def act() -> str:
        nonlocal tried
        tried += 1
        if tried <= times:
            raise error
        return "done"

    if tries > times:
        assert act() == "done"
    else:
        with pytest.raises(type(error)):
            act()
    assert tried == tries


def test_a_deadlock_is_told_from_a_lost_connection() -> None:
    """Both say: try again later; of one it is known that nothing happened."""
    with pytest.raises(DeadlockError), translated():
        raise psycopg.errors.DeadlockDetected
    with pytest.raises(DatabaseAwayError) as away, translated():
        raise psycopg.errors.AdminShutdown
    assert not isinstance(away.value, DeadlockError)

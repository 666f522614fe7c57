"""The life of a dialog (S1, D4, D5): what follows, and what is refused."""

from collections.abc import Callable

import pytest

from tracker.access import Standing
from tracker.dialogs import (
    HELD,
    ActRefusedError,
    DialogStatus,
    after_customer_message,
    check_accept,
    check_answer,
    check_charge,
)

pytestmark = pytest.mark.unit

ME, OTHER = 1, 2


@pytest.mark.parametrize("status", list(DialogStatus))
def test_what_a_customers_message_changes(status):
    """S1, S4: after an answer he awaits the operator; in `closing` the same dialog goes on; else nothing changes."""
    expected = (
        DialogStatus.AWAITING_OPERATOR if status in (DialogStatus.AWAITING_CUSTOMER, DialogStatus.CLOSING) else status
    )
    assert after_customer_message(status) is expected


@pytest.mark.parametrize(
    ("status", "holder", "reason"),
    [
        (DialogStatus.OFFERED, None, None),
        (DialogStatus.ASSIGNED, ME, None),
        (DialogStatus.ASSIGNED, OTHER, "taken"),
        (DialogStatus.QUEUED, None, "not_assigned"),
        (DialogStatus.CLOSED, ME, "closed"),
        (DialogStatus.CLOSED, OTHER, "closed"),
        *((status, ME, "already_yours") for status in sorted(HELD)),
        *((status, OTHER, "taken") for status in sorted(HELD)),
    ],
)
def test_who_may_accept(status, holder, reason):
    """D4, D7: the first to accept has it; everybody else gets the reason."""
    assert _refused(lambda: check_accept(status, holder, ME)) == reason


@pytest.mark.parametrize("status", list(DialogStatus))
@pytest.mark.parametrize("holder", [None, ME, OTHER])
def test_who_may_answer_and_close(status, holder):
    """D5, S1: only who has it, and nobody once it is closed."""
    expected = "closed" if status is DialogStatus.CLOSED else None if holder == ME else "not_yours"
    closing = status is DialogStatus.CLOSING and holder == ME
    assert _refused(lambda: check_answer(status, holder, ME)) == ("closing" if closing else expected)
    assert _refused(lambda: check_charge(status, holder, Standing(ME))) == expected


def test_a_refusal_says_what_to_do():
    """The reason is stable, the detail is for people."""
    with pytest.raises(ActRefusedError, match="accept it first") as refused:
        check_answer(DialogStatus.QUEUED, None, ME)
    assert refused.value.reason == "not_yours"


def _refused(act: Callable[[], None]) -> str | None:
    try:
        act()
    except ActRefusedError as refused:
        return refused.reason
    return None

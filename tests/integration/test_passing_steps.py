"""Items go through the steps that have something to do for them, and past the others."""

from collections.abc import Iterator

import pytest

from config.topology import Step
from tests.pipeline import Desk, drain, text_message

pytestmark = pytest.mark.integration

STEPS = "SELECT carded_at IS NOT NULL, distributed_at IS NOT NULL, stage::text FROM inbox_state ORDER BY inbox_id"


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """A database; each test makes its own open channel."""
    with Desk(database_url) as made:
        yield made


def test_only_a_new_customer_needs_a_card(desk):
    """C1: the first message makes it, the second one finds it."""
    desk.open_channel("desk", ["telegram"], [desk.operator("ann")])
    desk.run_through(text_message("telegram", 1, "hello"))
    desk.run_through(text_message("telegram", 1, "and again"))
    assert desk.rows(STEPS) == [(True, True, "done"), (False, True, "done")]


def test_a_card_that_waits_for_details_is_looked_at_with_each_message(desk):
    """C3: any of them may bring what is missing."""
    desk.open_channel("desk", ["livechat"], [desk.operator("ann")])
    for text in ("hello", "are you there?", "+49 171 2345678", "thanks"):
        desk.run_through(text_message("livechat", 1, text))
    assert [carded for carded, _, _ in desk.rows(STEPS)] == [True, True, True, False]
    assert desk.value("SELECT type::text FROM cards") == "lead"


def test_deal_mode_looks_at_each_message(desk):
    """C1: a message may begin a new deal."""
    desk.open_channel("desk", ["telegram"], [desk.operator("ann")], mode="deal")
    for _ in range(2):
        desk.run_through(text_message("telegram", 1, "hello"))
    assert [carded for carded, _, _ in desk.rows(STEPS)] == [True, True]


@pytest.mark.parametrize("online", [True, False])
def test_only_who_waits_may_have_to_be_told_so(desk, online):
    """D8: with an operator there is nothing to be said."""
    desk.open_channel("desk", ["custom"], [desk.operator("ann", online=online)], nobody_available_text="nobody is here")
    ids = desk.accept(text_message("custom", 1, "hello"))
    worker = desk.worker()
    drain(desk, worker, [Step.CRM_LOOKUP, Step.BIND_CHAT, Step.ENSURE_CARD, Step.DISTRIBUTE])
    assert desk.stages() == {("done" if online else "respond"): 1}
    assert worker.hints.of(Step.RESPOND) == ([] if online else [ids])
    drain(desk, worker)
    assert desk.value("SELECT count(*) FROM outbox") == (0 if online else 1)
    assert desk.ledger().done == 1


def test_who_passes_a_step_stays_behind_who_does_not(desk):
    """A chat's order: the second message does not reach the operator before the first."""
    desk.open_channel("desk", ["telegram"], [desk.operator("ann")])
    first, second = desk.accept(text_message("telegram", 1, "hello"), text_message("telegram", 1, "again"))
    worker = desk.worker()
    drain(desk, worker, [Step.CRM_LOOKUP])
    worker.run(Step.BIND_CHAT, [first, second])
    desk.execute("UPDATE inbox_state SET stage = 'distribute' WHERE inbox_id = %s", second)
    worker.run(Step.DISTRIBUTE, [second])
    assert desk.stages() == {"ensure_card": 1, "distribute": 1}
    drain(desk, worker)
    assert desk.stages() == {"done": 2}

"""Where distribution is easily wrong: rosters read in part, slots that count elsewhere, settings that change."""

from collections.abc import Iterator

import psycopg
import pytest

from config.topology import Step
from crm_store import administration, desks, dialogs, presence, seats
from tests.dialogs import SERVICE, DialogDesk, desk
from tests.pipeline import Desk, text_message
from tracker.channels import OpenChannelSettings
from worker import distribution

pytestmark = pytest.mark.integration

__all__ = ["desk"]

LARGE = 150
"""Operators of a roster that is not read whole."""


@pytest.fixture
def pipeline(database_url: str) -> Iterator[Desk]:
    """A desk without an API."""
    with Desk(database_url) as made:
        yield made


def set_up(desk: DialogDesk, name: str, open_channel_id: int, **settings: object) -> None:
    """Apply other settings to an open channel, as an administrator does."""
    with desk._database.transaction() as connection:
        desks.lock_open_channels(connection, [open_channel_id])
        given = OpenChannelSettings.model_validate(settings)
        administration.write_open_channel(connection, name, given, active=True)
        administration.welcome(connection, [open_channel_id])


def prefer(desk: DialogDesk, dialog_id: int, operator_id: int) -> None:
    """The customer of a dialog is an operator's, who once accepted one of his (C4)."""
    desk.rows(
        "UPDATE cards SET responsible_id = %s, responsible_by = 'acceptor' FROM dialogs "
        "WHERE dialogs.id = %s AND cards.id = dialogs.card_id",
        operator_id,
        dialog_id,
    )


def test_who_fills_up_elsewhere_hides_nobody(pipeline: Desk) -> None:
    """D8: two open channels share a large roster with personal limits; one batch has a message for each."""
    crew = [pipeline.operator(f"operator {k}", personal_limit=1) for k in range(LARGE)]
    pipeline.open_channel("a", ["telegram"], crew, prefix="a-")
    pipeline.open_channel("b", ["telegram"], crew, prefix="b-")
    pipeline.run_through(text_message("a-telegram", 1, "hi"), text_message("b-telegram", 2, "hi"))
    pipeline.run_through(text_message("b-telegram", 3, "hi"))
    held = pipeline.rows("SELECT operator_id FROM dialogs WHERE status = 'assigned'")
    assert len(held) == len(set(held)) == 3


def test_offers_look_beyond_who_fills_up_elsewhere(pipeline: Desk) -> None:
    """D4, D8: the first of the roster are filled up by another open channel in the same batch; the others see it."""
    crew = [pipeline.operator(f"operator {k}", personal_limit=1) for k in range(LARGE)]
    pipeline.open_channel("a", ["telegram"], crew, prefix="a-")
    pipeline.open_channel("b", ["telegram"], crew, prefix="b-", distribution="all")
    pipeline.run_through(*(text_message(f"{key}-telegram", chat, "hi") for chat in range(3) for key in "ab"))
    pipeline.worker().run(Step.DISTRIBUTE)
    assert pipeline.rows("SELECT status::text FROM dialogs WHERE open_channel_id = 2") == [("offered",)] * 3


def test_the_busy_of_a_large_roster_rest_until_they_have_room(pipeline: Desk) -> None:
    """D8, D2: full, they are not looked at again; freed, the one who was first in turn has the next one."""
    crew = [pipeline.operator(f"operator {k}") for k in range(LARGE)]
    place = pipeline.open_channel("a", ["telegram"], crew, max_dialogs=1)
    pipeline.run_through(*(text_message("telegram", chat, "hi") for chat in range(LARGE + 2)))
    assert pipeline.value("SELECT count(*) FROM seats WHERE resting") == LARGE
    assert pipeline.value("SELECT count(*) FROM dialogs WHERE status = 'queued'") == 2
    second = pipeline.value("SELECT operator_id FROM seats ORDER BY turn OFFSET 1 LIMIT 1")
    closed = pipeline.value("SELECT id FROM dialogs WHERE operator_id = %s", second)
    with pipeline.session.transaction() as connection:
        dialogs.close(connection, [closed])
        seats.free_slots(connection, [(second, place)])
    with pipeline.session.transaction() as connection:
        distribution.lock_and_serve(connection, place)
    assert pipeline.value("SELECT operator_id FROM dialogs ORDER BY assigned_at DESC NULLS LAST, id LIMIT 1") == second
    assert pipeline.value("SELECT count(*) FROM dialogs WHERE status = 'queued'") == 1


def test_who_comes_to_a_large_roster_is_woken(pipeline: Desk) -> None:
    """D8, D6: where nobody is there, all rest; who comes is given what waits at once."""
    crew = [pipeline.operator(f"operator {k}", online=False) for k in range(LARGE)]
    pipeline.open_channel("a", ["telegram"], crew)
    pipeline.run_through(text_message("telegram", 1, "hi"))
    assert pipeline.value("SELECT count(*) FROM seats WHERE resting") == LARGE
    with pipeline.session.transaction() as connection:
        assert presence.lock(connection, crew[-1])
        desks.set_online(connection, crew[-1], online=True)
        presence.settle(connection, crew[-1], "test")
    pipeline.worker().run(Step.DISTRIBUTE)
    assert pipeline.rows("SELECT status::text, operator_id FROM dialogs") == [("assigned", crew[-1])]


def test_after_two_minutes_everybody_is_looked_at(pipeline: Desk) -> None:
    """D8: in any case, also if nobody has said that there is room."""
    crew = [pipeline.operator(f"operator {k}") for k in range(LARGE)]
    place = pipeline.open_channel("a", ["telegram"], crew, max_dialogs=1)
    pipeline.run_through(*(text_message("telegram", chat, "hi") for chat in range(LARGE + 1)))
    pipeline.execute("UPDATE dialogs SET status = 'closed', closed_at = now() WHERE id = 1")
    with pipeline.session.transaction() as connection:
        distribution.lock_and_serve(connection, place)
    assert pipeline.value("SELECT count(*) FROM dialogs WHERE status = 'queued'") == 1
    pipeline.execute("UPDATE open_channels SET woken_at = now() - interval '3 minutes'")
    with pipeline.session.transaction() as connection:
        distribution.lock_and_serve(connection, place)
    assert pipeline.value("SELECT count(*) FROM dialogs WHERE status = 'queued'") == 0


def test_the_end_of_the_day_takes_what_a_colleague_had_answered(desk: DialogDesk) -> None:
    """D11: the customer waits for him who has it now, whoever answered before."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.open_channel("desk", [ann, ben])
    dialog_id = desk.dialog("desk-telegram", "chat")
    desk.answer("ann", dialog_id)
    desk.dialog("desk-telegram", "chat", "and another thing")
    desk.do("ann", "transfer", dialog_id, operator=ben)
    desk.do("ben", "accept", dialog_id)
    desk.rows("UPDATE operators SET time_tracking = true, workday = 'ended' WHERE id = %s", ben)
    desk.watch()
    assert desk.holder(dialog_id) != "ben"


def test_offers_wait_where_nothing_is_offered_any_more(desk: DialogDesk) -> None:
    """D4, D2: the open channel distributes evenly from now on, also what was offered."""
    place = desk.open_channel("desk", [desk.operator("ann")], distribution="all")
    dialog_id = desk.dialog("desk-telegram", "chat")
    assert desk.status(dialog_id) == ("offered", None)
    set_up(desk, "desk", place, distribution="evenly")
    desk.drain()
    assert desk.status(dialog_id) == ("assigned", "ann")


def test_a_slot_of_somebody_off_the_roster(desk: DialogDesk) -> None:
    """D8, D9: he frees it where he sits, and a dialog waits for him where he does not."""
    ann = desk.operator("ann", personal_limit=1)
    desk.open_channel("a", [ann])
    desk.open_channel("b", [desk.operator("ben", online=False)], to_responsible=True)
    before = desk.dialog("b-telegram", "customer")
    prefer(desk, before, ann)
    desk.do(SERVICE, "close", before)
    held = desk.dialog("a-telegram", "another")
    waiting = desk.dialog("b-telegram", "customer")
    assert (desk.holder(held), desk.status(waiting)) == ("ann", ("queued", None))
    desk.do("ann", "close", held)
    desk.drain()
    assert desk.holder(waiting) == "ann"


def test_a_slot_that_somebody_leaves_counts_where_he_need_not_be_there(desk: DialogDesk) -> None:
    """D8, D11: offline he loses a dialog here, and may have one where availability is not checked."""
    ann = desk.operator("ann", personal_limit=1)
    desk.open_channel("a", [ann])
    desk.open_channel("b", [ann], check_availability=False)
    held = desk.dialog("a-telegram", "1")
    desk.do("ann", "accept", held)
    desk.act("ann", "/api/operator/offline")
    waiting = desk.dialog("b-telegram", "2")
    assert desk.status(waiting) == ("queued", None)
    desk.dialog("a-telegram", "1", "hello?")
    desk.drain()
    assert (desk.status(held), desk.holder(waiting)) == (("queued", None), "ann")


def test_a_setting_of_one_open_channel_counts_for_another(desk: DialogDesk) -> None:
    """D7, D8: what does not count here any more frees a personal slot there."""
    ann = desk.operator("ann", personal_limit=1)
    place = desk.open_channel("a", [ann])
    desk.open_channel("b", [ann])
    desk.answer("ann", desk.dialog("a-telegram", "1"))
    waiting = desk.dialog("b-telegram", "2")
    assert desk.status(waiting) == ("queued", None)
    set_up(desk, "a", place, counted="without_answered")
    desk.drain()
    assert desk.holder(waiting) == "ann"


def test_preferences_end_with_the_setting(desk: DialogDesk) -> None:
    """D9: it waited for the responsible person, and `to_responsible` was switched off."""
    ann, ben = desk.operator("ann", online=False), desk.operator("ben", online=False)
    place = desk.open_channel("desk", [ben, ann], to_responsible=True)
    before = desk.dialog("desk-telegram", "customer")
    prefer(desk, before, ann)
    desk.do(SERVICE, "close", before)
    waiting = desk.dialog("desk-telegram", "customer")
    set_up(desk, "desk", place, to_responsible=False)
    desk.act("ann", "/api/operator/online")
    desk.act("ben", "/api/operator/online")
    desk.drain()
    assert (desk.holder(waiting), desk.decisions(waiting)[-1].rule) == ("ben", "D2")


def test_what_nobody_can_have_does_not_hide_who_prefers(desk: DialogDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """D8, D9: more than a plan takes wait for the roster; who prefers somebody that has come is served, and no more."""
    monkeypatch.setattr(distribution, "MOST_AT_ONCE", 3)
    ben, ann = desk.operator("ben", personal_limit=1), desk.operator("ann", online=False)
    place = desk.open_channel("desk", [ben], to_responsible=True)
    desk.dialog("desk-telegram", "first")
    old = [desk.dialog("desk-telegram", f"old {k}") for k in range(4)]
    young = desk.dialog("desk-telegram", "young")
    desk.rows("UPDATE dialogs SET preferred_id = %s WHERE id = %s", ann, young)
    desk.act("ann", "/api/operator/online")
    desk.drain()
    assert desk.holder(young) == "ann"
    assert {desk.status(one) for one in old} == {("queued", None)}
    desk.drain()
    assert not desk.is_tried(place)


def test_an_open_channel_that_somebody_has_holds_up_no_other(desk: DialogDesk) -> None:
    """D5: the clocks of the next one go off."""
    crew = [desk.operator("ann"), desk.operator("ben")]
    first, second = desk.open_channel("a", crew), desk.open_channel("b", crew)
    here, there = desk.dialog("a-telegram", "1"), desk.dialog("b-telegram", "2")
    holders = [desk.holder(here), desk.holder(there)]
    with psycopg.connect(desk.url) as somebody:
        somebody.execute("SELECT FROM open_channels WHERE id = %s FOR UPDATE", [min(first, second)])
        desk.run_out(here, there)
        desk.work_off()
        assert desk.holder(here) == holders[0]
        assert desk.holder(there) != holders[1]


def test_an_accepted_offer_names_some_and_counts_the_rest(desk: DialogDesk) -> None:
    """D12, D4: of a large roster."""
    crew = [desk.operator(f"operator {k}", online=k < 60) for k in range(LARGE)]
    desk.open_channel("desk", crew, distribution="all")
    dialog_id = desk.dialog("desk-telegram", "chat")
    desk.do("operator 0", "accept", dialog_id)
    ((named, unnamed),) = desk.rows("SELECT candidates, unnamed FROM decisions ORDER BY id DESC LIMIT 1")
    assert sum(map(len, named.values())) + unnamed["not_reached"] == LARGE - 1
    assert unnamed["not_reached"] >= LARGE - 51

"""Which acts the rules refuse, by status and by who asks, each with its stable reason (D4, D5, D7, D10, S1, S4)."""

from typing import Any

import orjson
import pytest

from tests.dialogs import SERVICE, DialogDesk, desk
from tracker.access import Role

pytestmark = pytest.mark.integration

__all__ = ["desk"]

BODIES: dict[str, dict[str, Any]] = {"answer": {"text": "hello"}, "transfer": {"operator": 3}}
"""The rest has none. 3 is Dan."""

HELD = ("accepted", "awaiting_customer", "awaiting_operator")

TABLE = """
act       who      queued         offered        assigned       held           closing        closed
accept    ann      not_assigned   -              -              already_yours  already_yours  closed
accept    ben      not_assigned   -              taken          taken          taken          closed
accept    dan      not_assigned   not_on_roster  taken          taken          taken          closed
accept    sue      not_assigned   not_on_roster  taken          taken          taken          closed
accept    service  operator_only  operator_only  operator_only  operator_only  operator_only  operator_only
skip      ann      not_yours      not_yours      -              already_yours  already_yours  closed
skip      ben      not_yours      not_yours      not_yours      not_yours      not_yours      closed
skip      sue      not_yours      not_yours      not_yours      not_yours      not_yours      closed
skip      service  operator_only  operator_only  operator_only  operator_only  operator_only  operator_only
answer    ann      not_yours      not_yours      -              -              closing        closed
answer    ben      not_yours      not_yours      not_yours      not_yours      not_yours      closed
answer    sue      not_yours      not_yours      not_yours      not_yours      not_yours      closed
answer    service  operator_only  operator_only  operator_only  operator_only  operator_only  operator_only
take      ann      -              -              already_yours  already_yours  already_yours  closed
take      ben      -              -              taken          taken          taken          closed
take      dan      not_on_roster  not_on_roster  taken          taken          taken          closed
take      sue      -              -              -              -              -              closed
take      service  operator_only  operator_only  operator_only  operator_only  operator_only  operator_only
transfer  ann      not_yours      not_yours      -              -              closing        closed
transfer  ben      not_yours      not_yours      not_yours      not_yours      not_yours      closed
transfer  sue      -              -              -              -              closing        closed
transfer  service  -              -              -              -              closing        closed
close     ann      not_yours      not_yours      -              -              -              closed
close     ben      not_yours      not_yours      not_yours      not_yours      not_yours      closed
close     sue      -              -              -              -              -              closed
close     service  -              -              -              -              -              closed
spam      ann      not_yours      not_yours      -              -              -              closed
spam      ben      not_yours      not_yours      not_yours      not_yours      not_yours      closed
spam      sue      -              -              -              -              -              closed
spam      service  -              -              -              -              -              closed
reopen    ann      open           open           open           open           -              -
reopen    ben      open           open           open           open           not_yours      not_yours
reopen    sue      open           open           open           open           -              -
reopen    service  open           open           open           open           -              -
pin       ann      not_yours      not_yours      -              -              -              closed
pin       ben      not_yours      not_yours      not_yours      not_yours      not_yours      closed
pin       sue      nobodys        nobodys        -              -              -              closed
pin       service  nobodys        nobodys        -              -              -              closed
unpin     ann      not_yours      not_yours      -              -              -              closed
unpin     ben      not_yours      not_yours      not_yours      not_yours      not_yours      closed
unpin     sue      nobodys        nobodys        -              -              -              closed
unpin     service  nobodys        nobodys        -              -              -              closed
"""
"""`-` is done. In `queued` and `offered` nobody has the dialog; in the others Ann has it, or had it last."""

_HEAD, *_ROWS = (line.split() for line in TABLE.strip().splitlines())


def in_status(desk: DialogDesk, status: str) -> int:
    """A dialog that has come there by acts. Ann and Ben are on the roster, Dan is not, Sue supervises."""
    people = [desk.operator("ann"), desk.operator("ben", online=False)]
    desk.operator("dan")
    desk.operator("sue", role=Role.SUPERVISOR)
    distribution = "all" if status == "offered" else "evenly"
    window: dict[str, Any] = {"closing_text": "Bye", "full_close_after": 60} if status == "closing" else {}
    desk.open_channel("desk", people, distribution=distribution, **window)
    if status == "queued":
        desk.act("ann", "/api/operator/offline")
    dialog_id = desk.dialog("desk-telegram", "chat")
    if status == "accepted":
        desk.do("ann", "accept", dialog_id)
    if status.startswith("awaiting"):
        desk.answer("ann", dialog_id)
    if status == "awaiting_operator":
        desk.dialog("desk-telegram", "chat", "and?")
    if status.startswith("clos"):
        desk.do("ann", "close", dialog_id)
    assert desk.status(dialog_id) == (status, None if status in ("queued", "offered") else "ann")
    desk.act("ann", "/api/operator/online")
    desk.act("ben", "/api/operator/online")
    return dialog_id


@pytest.mark.parametrize("status", [*_HEAD[2:5], *HELD, *_HEAD[6:]])
def test_what_is_refused(desk: DialogDesk, status: str) -> None:
    """A refusal changes nothing, and is in the audit with its reason."""
    dialog_id = in_status(desk, status)
    column = _HEAD.index("held" if status in HELD else status)
    expected = {(row[0], row[1]): row[column] for row in _ROWS if row[column] != "-"}
    before = desk.value("SELECT count(*) FROM audit WHERE outcome = 'done'")
    got = {(act, who): desk.refused(who, act, dialog_id, **BODIES.get(act, {})) for act, who in expected}
    assert got == expected
    assert desk.value("SELECT count(*) FROM audit WHERE outcome = 'done'") == before
    refusals = sorted(why for (why,) in desk.rows("SELECT outcome FROM audit WHERE outcome <> 'done'"))
    assert refusals == sorted(expected.values())


@pytest.mark.parametrize("status", [*_HEAD[2:5], *HELD, *_HEAD[6:]])
@pytest.mark.parametrize("who", ["ann", "sue", SERVICE])
def test_what_is_done(desk: DialogDesk, status: str, who: str) -> None:
    """Each act that the table allows, one after the other from the same state."""
    dialog_id = in_status(desk, status)
    column = _HEAD.index("held" if status in HELD else status)
    row = desk.value("SELECT to_jsonb(dialogs) FROM dialogs WHERE id = %s", dialog_id)
    for act in (row[0] for row in _ROWS if row[1] == who and row[column] == "-"):
        response = desk.ask(who, act, dialog_id, **BODIES.get(act, {}))
        assert response.status_code == 200, (act, response.text)
        desk.rows("DELETE FROM timers")
        desk.rows(
            "UPDATE dialogs SET status = (was).status, operator_id = (was).operator_id, "
            "accepted_at = (was).accepted_at, closed_at = (was).closed_at, answered_at = (was).answered_at "
            "FROM (SELECT jsonb_populate_record(NULL::dialogs, %s::jsonb) AS was) AS given WHERE id = (was).id",
            orjson.dumps(row).decode(),
        )


@pytest.mark.parametrize("act", sorted({row[0] for row in _ROWS}))
@pytest.mark.parametrize("who", ["ann", SERVICE])
def test_unknown_dialogs(desk: DialogDesk, act: str, who: str) -> None:
    """404, also with a key; ids that are none are 422."""
    desk.operator("ann")
    expected = "operator_only" if who == SERVICE and act in ("accept", "skip", "answer", "take") else "unknown_dialog"
    assert desk.refused(who, act, 99, **BODIES.get(act, {})) == expected
    assert desk.ask(who, act, 99, "key", **BODIES.get(act, {})).json()["reason"] == expected


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE operators SET online = false WHERE name = 'ben'", "offline"),
        ("UPDATE operators SET away = true WHERE name = 'ben'", "away"),
        ("UPDATE operators SET time_tracking = true WHERE name = 'ben'", "workday_not_started"),
        ("UPDATE operators SET time_tracking = true, workday = 'paused' WHERE name = 'ben'", "workday_paused"),
        (
            "INSERT INTO leaves (operator_id, from_at, until_at) VALUES (2, now(), now() + interval '1 hour')",
            "on_leave",
        ),
        ("UPDATE operators SET dismissed_at = now() WHERE name = 'ben'", "dismissed"),
    ],
)
def test_to_whom_may_be_transferred(desk: DialogDesk, change: str, why: str) -> None:
    """D10, D6, D11: an operator's transfer needs somebody who may be given it; a supervisor's one who has not left."""
    dialog_id = in_status(desk, "accepted")
    desk.rows(change)
    assert desk.refused("ann", "transfer", dialog_id, operator=desk.id_of("ben")) == why
    assert desk.refused("ann", "transfer", dialog_id, operator=desk.id_of("ann")) == "has_it_already"
    for who in ("sue", SERVICE):
        if why in ("dismissed", "on_leave", "workday_not_started"):
            assert desk.refused(who, "transfer", dialog_id, operator=desk.id_of("ben")) == why
        else:
            assert desk.do(who, "transfer", dialog_id, operator=desk.id_of("ben")) == ("assigned", "ben")
            desk.do("sue", "take", dialog_id)


def test_an_operators_transfer_where_availability_is_not_checked(desk: DialogDesk) -> None:
    """D6, D10: only the dismissed are refused then."""
    dialog_id = in_status(desk, "accepted")
    desk.rows("UPDATE open_channels SET settings = settings || '{\"check_availability\": false}'")
    desk.act("ben", "/api/operator/offline")
    assert desk.do("ann", "transfer", dialog_id, operator=desk.id_of("ben")) == ("assigned", "ben")


def test_a_chat_has_one_open_dialog(desk: DialogDesk) -> None:
    """S1, S4: what was closed is not reopened beside another."""
    old = in_status(desk, "closed")
    desk.dialog("desk-telegram", "chat", "new")
    for who in ("ann", "sue", SERVICE):
        assert desk.refused(who, "reopen", old) == "chat_has_dialog"

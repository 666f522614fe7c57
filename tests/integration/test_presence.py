"""Away, workdays, leaves, dismissals, and what the clock finds: on real PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from config.topology import Step
from crm_store import presence
from crm_store.database import DatabaseOptions, Session
from tests.desks import SERVICE_TOKEN, Desk, problem_of
from tracker.access import Role
from worker.presence_watch import PresenceWatch

pytestmark = pytest.mark.integration

SILENT = "UPDATE operators SET seen_at = now() - interval '10 minutes' WHERE name = %s"
TRACKED = "UPDATE operators SET time_tracking = true WHERE name = %s"


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with the API in front of it."""
    with Desk(database_url) as made:
        yield made


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """The clock's."""
    made = Session(DatabaseOptions(database_url, "clock"))
    yield made
    made.close()


def status_of(desk: Desk, dialog_id: int) -> tuple[str, str | None]:
    """Status and holder."""
    dialog = desk.get(f"/api/dialogs/{dialog_id}")
    return dialog["status"], dialog["operator"] and dialog["operator"]["name"]


def said(desk: Desk, name: str) -> list[tuple[str, str]]:
    """What the log says of an operator's presence: who did it, and what he is since then."""
    return desk.rows(
        "SELECT actor, details ->> 'availability' FROM events JOIN operators ON operators.id = events.operator_id "
        "WHERE dialog_id IS NULL AND cause = 'presence' AND actor <> 'test' AND name = %s ORDER BY events.id",
        name,
    )


def leave(desk: Desk, who: str, operator_id: int, *hours: float) -> httpx.Response:
    """Somebody gives leave from and until so many hours from now."""
    client = desk.with_token(SERVICE_TOKEN) if who == "service" else desk.as_operator(who)
    start, end = ((datetime.now(UTC) + timedelta(hours=after)).isoformat() for after in hours)
    return client.post(f"/api/operators/{operator_id}/leaves", json={"from": start, "until": end})


def reason(response: httpx.Response, status: int) -> str:
    """The reason of a refusal."""
    assert response.status_code == status, response.text
    return str(problem_of(response)["reason"])


def three_dialogs(desk: Desk, name: str = "ann", key: str = "desk-telegram") -> dict[str, int]:
    """What he holds: one not accepted, one answered, one whose customer wrote after the answer."""
    made = {what: desk.dialog(key, f"{name} {what}") for what in ("assigned", "answered", "written")}
    for what in ("answered", "written"):
        desk.act(name, f"/api/dialogs/{made[what]}/answer", {"text": "hello"})
    desk.dialog(key, f"{name} written", "and?")
    return made


# Being there


def test_who_is_away_is_there_and_given_nothing(desk: Desk) -> None:
    """D6: away is neither offline nor available; online ends it, and what waits may be his (D8)."""
    ann = desk.operator("ann")
    desk.open_channel("desk", [ann])
    shown = desk.act("ann", "/api/operator/away")
    assert (shown["availability"], shown["online"], shown["away"]) == ("away", True, True)
    dialog_id = desk.dialog("desk-telegram", "1")
    assert status_of(desk, dialog_id) == ("queued", None)
    assert desk.act("ann", "/api/operator/heartbeat")["availability"] == "away"
    assert desk.hinted == []
    assert desk.act("ann", "/api/operator/online")["availability"] == "available"
    assert desk.was_hinted(Step.DISTRIBUTE)
    desk.drain()
    assert status_of(desk, dialog_id) == ("assigned", "ann")
    me = f"operator:{ann}"
    assert said(desk, "ann") == [(me, "away"), (me, "available")]


def test_presence_is_audited_and_done_once_under_a_key_but_heartbeats_are_neither(desk: Desk) -> None:
    """A heartbeat every few seconds would drown the audit."""
    ann = desk.operator("ann")
    desk.act("ann", "/api/operator/heartbeat")
    for _ in range(2):
        headers = {"idempotency-key": "k"}
        response = desk.as_operator("ann").post("/api/operator/offline", headers=headers)
        assert response.json()["availability"] == "offline"
    assert response.headers["idempotency-replayed"] == "true"
    assert desk.rows("SELECT actor, act, outcome FROM audit") == [(f"operator:{ann}", "offline", "done")]


def test_a_silence_that_nobody_noticed_is_in_the_log(desk: Desk) -> None:
    """D6, D8: he was offline and came back, although no clock looked in between; the backlog is tried."""
    ann = desk.operator("ann")
    desk.open_channel("desk", [ann])
    desk.rows(SILENT, "ann")
    dialog_id = desk.dialog("desk-telegram", "1")
    desk.act("ann", "/api/operator/heartbeat")
    assert said(desk, "ann") == [("system", "offline"), (f"operator:{ann}", "available")]
    desk.drain()
    assert status_of(desk, dialog_id) == ("assigned", "ann")


def test_where_time_is_tracked_the_workday_counts(desk: Desk) -> None:
    """D6: started he is available although offline; paused and ended he is not although online."""
    ann = desk.operator("ann")
    desk.open_channel("desk", [ann])
    assert desk.refusal("ann", "/api/operator/workday/start") == "time_not_tracked"
    desk.rows(TRACKED, "ann")
    assert desk.refusal("ann", "/api/operator/workday/pause") == "workday_not_started"
    desk.act("ann", "/api/operator/online")
    waiting = desk.dialog("desk-telegram", "1")
    assert status_of(desk, waiting) == ("queued", None)
    desk.act("ann", "/api/operator/offline")
    for turn, availability, workday in (
        ("start", "available", "started"),
        ("pause", "workday_paused", "paused"),
        ("start", "available", "started"),
        ("start", "available", "started"),
        ("end", "workday_not_started", "ended"),
        ("end", "workday_not_started", "ended"),
    ):
        shown = desk.act("ann", f"/api/operator/workday/{turn}")
        assert (shown["availability"], shown["workday"]) == (availability, workday), turn
        if turn == "start":
            desk.drain()
            assert status_of(desk, waiting) == ("assigned", "ann")
    assert [became for _, became in said(desk, "ann")][-4:] == [
        "available",
        "workday_paused",
        "available",
        "workday_not_started",
    ]


def test_the_end_of_the_workday_hands_back_what_is_not_answered(desk: Desk) -> None:
    """D11: to the backlog, by age; what waits for the customer stays his. A pause takes nothing away."""
    ann = desk.operator("ann")
    desk.rows(TRACKED, "ann")
    desk.open_channel("desk", [ann])
    desk.act("ann", "/api/operator/workday/start")
    held = three_dialogs(desk)
    desk.act("ann", "/api/operator/workday/pause")
    assert status_of(desk, held["assigned"]) == ("assigned", "ann")
    desk.act("ann", "/api/operator/workday/end")
    assert status_of(desk, held["assigned"]) == ("queued", None)
    assert status_of(desk, held["written"]) == ("queued", None)
    assert status_of(desk, held["answered"]) == ("awaiting_customer", "ann")
    assert desk.was_hinted(Step.DISTRIBUTE)
    details = desk.value("SELECT details FROM audit WHERE act = 'workday_end'")
    assert details == {"operator_id": ann, "handed_back": 2}
    causes = desk.rows("SELECT actor, cause FROM events WHERE dialog_id = %s ORDER BY id DESC LIMIT 1", held["written"])
    assert causes == [(f"operator:{ann}", "workday_ended")]


def test_being_offline_hands_nothing_back(desk: Desk) -> None:
    """D11: merely offline, his dialogs stay his."""
    desk.open_channel("desk", [desk.operator("ann")])
    held = three_dialogs(desk)
    desk.act("ann", "/api/operator/offline")
    assert {status_of(desk, dialog_id)[1] for dialog_id in held.values()} == {"ann"}


# Leaves


def test_who_may_give_and_end_leave(desk: Desk) -> None:
    """Administrators, the service, and supervisors to members of their departments; nobody below to himself."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    sue = desk.operator("sue", role=Role.SUPERVISOR)
    adm = desk.operator("adm", role=Role.ADMINISTRATOR)
    desk.department("team", [ann, sue], [sue])
    table = [
        ("ann", ann, "supervisors_only"),
        ("ben", ann, "supervisors_only"),
        ("sue", ann, ""),
        ("sue", ben, "out_of_scope"),
        ("sue", sue, "out_of_scope"),
        ("adm", ben, ""),
        ("adm", adm, ""),
        ("service", ben, ""),
    ]
    for who, whom, refused in table:
        given = leave(desk, who, whom, 1, 2)
        if refused:
            assert reason(given, 403) == refused, (who, whom)
            leave_id = leave(desk, "service", whom, 1, 2).json()["id"]
        else:
            assert given.status_code == 201, given.text
            leave_id = given.json()["id"]
        client = desk.with_token(SERVICE_TOKEN) if who == "service" else desk.as_operator(who)
        ended = client.post(f"/api/leaves/{leave_id}/end")
        seen = client.get(f"/api/operators/{whom}/leaves")
        if refused:
            assert reason(ended, 403) == refused
            himself = desk.value("SELECT id FROM operators WHERE name = %s", who) == whom
            assert seen.status_code == (200 if himself else 403)
        else:
            assert ended.json()["id"] == whom
            assert leave_id not in [one["id"] for one in seen.json()["items"]]
    refusals = desk.value("SELECT count(*) FROM audit WHERE outcome <> 'done'")
    assert refusals == 2 * sum(bool(refused) for *_, refused in table), "each is in the audit"


def test_on_leave_he_is_given_nothing(desk: Desk) -> None:
    """D6: from the first moment until the last, whatever he says; a future leave changes nothing yet."""
    ann = desk.operator("ann")
    desk.open_channel("desk", [ann])
    assert leave(desk, "service", ann, 1, 2).status_code == 201
    assert desk.get("/api/operators")["items"][0]["availability"] == "available"
    given = leave(desk, "service", ann, -1, 1).json()
    assert given["over"] is False
    assert desk.act("ann", "/api/operator/online")["availability"] == "on_leave"
    dialog_id = desk.dialog("desk-telegram", "1")
    assert status_of(desk, dialog_id) == ("queued", None)
    shown = desk.service.post(f"/api/leaves/{given['id']}/end").json()
    assert shown["availability"] == "available"
    assert desk.was_hinted(Step.DISTRIBUTE)
    desk.drain()
    assert status_of(desk, dialog_id) == ("assigned", "ann")
    assert [became for _, became in said(desk, "ann")] == ["on_leave", "available"]
    assert reason(desk.service.post(f"/api/leaves/{given['id']}/end"), 409) == "leave_over"


@pytest.mark.parametrize(("until", "handed_back"), [(2.0, False), (24.5, True)])
def test_a_leave_of_a_day_hands_back_what_is_not_answered(desk: Desk, until: float, handed_back: bool) -> None:
    """D11: a shorter one does not."""
    ann = desk.operator("ann")
    desk.open_channel("desk", [ann])
    held = three_dialogs(desk)
    leave(desk, "service", ann, -0.001, until)
    expected = ("queued", None) if handed_back else ("assigned", "ann")
    assert status_of(desk, held["assigned"]) == expected
    assert status_of(desk, held["answered"]) == ("awaiting_customer", "ann")


def test_leaves_that_make_no_sense_are_refused(desk: Desk) -> None:
    """The order, the past, the unknown, times without a zone."""
    ann = desk.operator("ann")
    assert reason(leave(desk, "service", ann, 2, 1), 422) == "invalid_request"
    assert reason(leave(desk, "service", ann, -3, -2), 409) == "leave_over"
    assert reason(leave(desk, "service", 99, 1, 2), 404) == "unknown_operator"
    assert reason(desk.service.post("/api/leaves/99/end"), 404) == "unknown_leave"
    assert reason(desk.service.get("/api/operators/99/leaves"), 404) == "unknown_operator"
    for body in (
        {"from": "2031-01-01T00:00:00", "until": "2031-01-02T00:00:00"},
        {"from": "2031-01-01T00:00:00Z"},
        {"from": "infinity", "until": "2031-01-02T00:00:00Z"},
    ):
        assert reason(desk.service.post(f"/api/operators/{ann}/leaves", json=body), 422) == "invalid_request"
    assert desk.value("SELECT count(*) FROM leaves") == 0


# Dismissal


def test_a_dismissal_hands_everything_back(desk: Desk) -> None:
    """D11, D6: what is answered too; his token is void at once, and he is dismissed once."""
    ann, ben = desk.operator("ann"), desk.operator("ben", online=False)
    adm = desk.operator("adm", role=Role.ADMINISTRATOR)
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.open_channel("desk", [ann, ben])
    held = three_dialogs(desk)
    path = f"/api/operators/{ann}/dismiss"
    for who in ("ann", "ben", "sue"):
        assert reason(desk.as_operator(who).post(path), 403) == "administrators_only"
    shown = desk.act("adm", path)
    assert (shown["availability"], shown["open"]) == ("dismissed", 0)
    assert {status_of(desk, dialog_id) for dialog_id in held.values()} == {("queued", None)}
    assert desk.as_operator("ann").get("/api/dialogs").status_code == 401
    assert said(desk, "ann") == [(f"operator:{adm}", "dismissed")]
    assert desk.refusal("adm", path) == "dismissed"
    assert desk.refusal("adm", f"/api/operators/{ann}/dismiss") == "dismissed"
    assert reason(desk.service.post("/api/operators/99/dismiss"), 404) == "unknown_operator"
    desk.act("ben", "/api/operator/online")
    desk.drain()
    assert {status_of(desk, dialog_id) for dialog_id in held.values()} == {("assigned", "ben")}


# What time alone changes


def test_the_clock_logs_what_time_changes(desk: Desk, session: Session) -> None:
    """D6: heartbeats that stopped, leaves that began and ended; each once, and never twice by two clocks."""
    for name in ("silent", "leaving", "back", "same"):
        desk.operator(name)
    desk.open_channel("desk", [desk.value("SELECT id FROM operators WHERE name = 'back'")])
    desk.rows("UPDATE operators SET logged_availability = 'on_leave' WHERE name = 'back'")
    desk.rows("DELETE FROM timers")
    desk.rows(SILENT, "silent")
    desk.rows(
        "INSERT INTO leaves (operator_id, from_at, until_at) "
        "SELECT id, now() - interval '1 minute', now() + interval '1 hour' FROM operators WHERE name = 'leaving'"
    )
    watches = [PresenceWatch(Session(DatabaseOptions(desk.url, f"clock {n}"))) for n in range(3)]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(PresenceWatch.look, watches))
    PresenceWatch(session).look()
    for watch in watches:
        watch._session.close()
    assert [said(desk, name) for name in ("silent", "leaving", "back", "same")] == [
        [("system", "offline")],
        [("system", "on_leave")],
        [("system", "available")],
        [],
    ]
    assert desk.value("SELECT count(*) FROM timers WHERE kind = 'backlog' AND due_at <= now()") == 1, "D8"


def test_changes_are_told_to_who_asked(desk: Desk, session: Session) -> None:
    """Who, what he was, and what he is."""
    ann = desk.operator("ann")
    desk.rows(SILENT, "ann")
    with session.transaction() as connection:
        (change,) = presence.note_changes(connection)
    assert (change.operator_id, change.was, change.became) == (ann, "available", "offline")
    with session.transaction() as connection:
        assert presence.note_changes(connection) == []


def test_an_operator_who_acts_is_left_to_his_act(desk: Desk, session: Session) -> None:
    """The clock waits for nobody."""
    ann, _ = desk.operator("ann"), desk.operator("ben")
    desk.rows(SILENT, "ann")
    desk.rows(SILENT, "ben")
    acting = Session(DatabaseOptions(desk.url, "act"))
    with acting.transaction() as held:
        held.execute("SELECT FROM operators WHERE id = %s FOR NO KEY UPDATE", [ann])
        PresenceWatch(session).look()
        assert (said(desk, "ann"), said(desk, "ben")) == ([], [("system", "offline")])
    acting.close()


def test_the_clock_finds_whoever_holds_what_he_should_not(desk: Desk, session: Session) -> None:
    """D11: dismissed, on a long leave, his workday over, however it came to that; nobody else loses anything."""
    held: dict[str, dict[str, int]] = {}
    for name in ("gone", "leaving", "ended", "short", "stays"):
        desk.open_channel(name, [desk.operator(name)])
        held[name] = three_dialogs(desk, name, f"{name}-telegram")
    ids = dict(desk.rows("SELECT name, id FROM operators"))
    desk.rows("UPDATE operators SET dismissed_at = now() WHERE name = 'gone'")
    desk.rows("UPDATE operators SET time_tracking = true WHERE name = 'ended'")
    for name, length in (("leaving", "1 day"), ("short", "23 hours")):
        desk.rows(
            "INSERT INTO leaves (operator_id, from_at, until_at) VALUES (%s, now(), now() + %s::interval)",
            ids[name],
            length,
        )
    PresenceWatch(session).look()
    back: Any = ("queued", None)
    for name, waiting, answered in (
        ("gone", back, back),
        ("leaving", back, ("awaiting_customer", "leaving")),
        ("ended", back, ("awaiting_customer", "ended")),
        ("short", ("assigned", "short"), ("awaiting_customer", "short")),
        ("stays", ("assigned", "stays"), ("awaiting_customer", "stays")),
    ):
        assert status_of(desk, held[name]["assigned"]) == waiting, name
        assert status_of(desk, held[name]["answered"]) == answered, name
    with session.transaction() as connection:
        assert presence.stranded(connection) == []


def test_one_who_cannot_be_relieved_holds_up_no_other(
    desk: Desk, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a transaction of his own; the next look tries him again."""
    for name in ("ann", "ben"):
        desk.open_channel(name, [desk.operator(name)])
    of_ann, of_ben = (desk.dialog(f"{name}-telegram", name) for name in ("ann", "ben"))
    desk.rows("UPDATE operators SET dismissed_at = now()")
    relieve = presence.relieve

    def fails(connection: Any, operator_id: int) -> int:
        if operator_id == 1:
            connection.execute("SELECT 1 / 0")
        return relieve(connection, operator_id)

    monkeypatch.setattr(presence, "relieve", fails)
    PresenceWatch(session).look()
    assert (status_of(desk, of_ann)[0], status_of(desk, of_ben)[0]) == ("assigned", "queued")
    monkeypatch.undo()
    PresenceWatch(session).look()
    assert status_of(desk, of_ann)[0] == "queued"

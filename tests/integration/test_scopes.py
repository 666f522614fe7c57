"""Roles and scopes, as somebody tries them who wants to see what is not his: on real PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from console import access, identifying, tracker_routes
from console.security import Caller, Operator, Service
from crm_store.database import Database, DatabaseOptions
from tests.desks import SERVICE_TOKEN, Desk, problem_of
from tracker.access import Role, Scope, Standing
from tracker.identifiers import IdentifierKind

pytestmark = pytest.mark.integration

OWN_ROLE = None
"""The default scope of the role."""


@dataclass
class Company:
    """Two teams. Ann and Ben answer for sales, Cem and Dan for support; Sue supervises the department of Ann and Ben.

    Every dialog is of a customer of his own. dialogs: ids by what is said of them.
    """

    desk: Desk
    dialogs: dict[str, int]
    operators: dict[str, int]

    def client(self, who: str) -> httpx.Client:
        """Calls as somebody; `service` is the service, nobody has no token."""
        if who in ("", "service"):
            return self.desk.with_token(SERVICE_TOKEN if who else "")
        return self.desk.as_operator(who)


@pytest.fixture
def company(database_url: str) -> Iterator[Company]:
    """See Company."""
    with Desk(database_url) as desk:
        ids = {
            "ann": desk.operator("ann", scope=OWN_ROLE),
            "ben": desk.operator("ben", scope=OWN_ROLE),
            "cem": desk.operator("cem", scope=OWN_ROLE),
            "dan": desk.operator("dan", scope=Scope.ANY),
            "sue": desk.operator("sue", role=Role.SUPERVISOR, scope=OWN_ROLE),
            "far": desk.operator("far", role=Role.SUPERVISOR, scope=OWN_ROLE),
            "meg": desk.operator("meg", role=Role.SUPERVISOR, scope=Scope.OWN),
            "adm": desk.operator("adm", role=Role.ADMINISTRATOR, scope=OWN_ROLE),
        }
        desk.department("sales people", [ids["ann"], ids["ben"]], [ids["sue"], ids["meg"]])
        desk.department("nobody's", [], [ids["far"]])
        desk.open_channel("sales", [ids["ann"]], max_dialogs=1)
        desk.open_channel("offers", [ids["ann"], ids["cem"]], distribution="all")
        desk.open_channel("support", [ids["cem"]], max_dialogs=1)
        dialogs = {
            "of ann": desk.dialog("sales-telegram", "1", name="Mr 1"),
            "waits for sales": desk.dialog("sales-telegram", "2", name="Mr 2"),
            "offered": desk.dialog("offers-telegram", "3", name="Mr 3"),
            "of cem": desk.dialog("support-telegram", "4", name="Mr 4"),
            "waits for support": desk.dialog("support-telegram", "5", name="Mr 5"),
            "ann had it": desk.dialog("support-telegram", "6", name="Mr 6"),
            "ben closed it": desk.dialog("support-telegram", "7", name="Mr 7"),
        }
        desk.rows(
            "UPDATE dialogs SET status = 'accepted', operator_id = %s WHERE id = %s", ids["cem"], dialogs["ann had it"]
        )
        desk.rows(
            "INSERT INTO events (dialog_id, actor, cause, became, operator_id) "
            "VALUES (%s, 'system', 'D2', 'assigned', %s)",
            dialogs["ann had it"],
            ids["ann"],
        )
        desk.rows(
            "UPDATE dialogs SET status = 'closed', operator_id = %s WHERE id = %s", ids["ben"], dialogs["ben closed it"]
        )
        yield Company(desk, dialogs, ids)


ALL = {
    "of ann", "waits for sales", "offered", "of cem", "waits for support", "ann had it", "ben closed it",
}  # fmt: skip

SEES = {
    # own: what he has and had, and what waits where he stands on the roster
    "ann": {"of ann", "waits for sales", "offered", "ann had it"},
    "ben": {"ben closed it"},
    "cem": {"of cem", "waits for support", "offered", "ann had it"},
    # any, by his own scope
    "dan": ALL,
    # department: what its members have or had last, and what waits where one of them stands
    "sue": {"of ann", "waits for sales", "offered", "ben closed it"},
    "far": set[str](),
    # a supervisor whose scope is own
    "meg": set[str](),
    "adm": ALL,
    "service": ALL,
}


@pytest.mark.parametrize("who", SEES)
def test_everybody_sees_what_is_in_his_scope_and_nothing_else(company: Company, who: str) -> None:
    """The list, each dialog, its chat, the chat's history and the card's history say the same."""
    client = company.client(who)
    listed = {dialog["id"] for dialog in client.get("/api/dialogs").json()["items"]}
    assert listed == {company.dialogs[each] for each in SEES[who]}
    for what, dialog_id in company.dialogs.items():
        dialog = company.desk.get(f"/api/dialogs/{dialog_id}")
        for path in (
            f"/api/dialogs/{dialog_id}",
            f"/api/chats/{dialog['chat_id']}",
            f"/api/chats/{dialog['chat_id']}/history",
            f"/api/cards/{dialog['card_id']}/history",
        ):
            response = client.get(path)
            if what in SEES[who]:
                assert response.status_code == 200, (what, path, response.text)
            else:
                assert (response.status_code, problem_of(response)["reason"]) == (403, "out_of_scope"), (what, path)
                assert "Mr " not in response.text
        assert client.get(f"/api/cards/{dialog['card_id']}").status_code == 200, "a card's fields are for all"


def test_filters_and_pages_open_nothing(company: Company) -> None:
    """Nobody gets beyond his scope by naming whose dialogs he wants, where, or by a cursor of another."""
    ann = company.client("ann")
    filters: list[dict[str, str | int]] = [
        {"operator": company.operators["cem"]},
        {"status": "closed"},
        {"status": "accepted", "open_channel": 3},
        {"limit": 1},
    ]
    for parameters in filters:
        shown = ann.get("/api/dialogs", params=parameters).json()["items"]
        assert {dialog["id"] for dialog in shown} <= {company.dialogs[each] for each in SEES["ann"]}, parameters
    page = company.desk.get("/api/dialogs", limit=1)
    walked = []
    while page["next"]:
        page = ann.get("/api/dialogs", params={"limit": 1, "cursor": page["next"]}).json()
        walked += [dialog["id"] for dialog in page["items"]]
    assert sorted(walked) == sorted(company.dialogs[each] for each in SEES["ann"])


def test_a_later_dialog_of_his_chat_is_in_his_scope(company: Company) -> None:
    """Own: the chat of a dialog that he once had, whoever has it now; before it, the other's dialog is not."""
    desk = company.desk
    dialog_id = company.dialogs["ben closed it"]
    later = desk.dialog("support-telegram", "7")
    desk.rows("UPDATE dialogs SET status = 'accepted', operator_id = %s WHERE id = %s", company.operators["cem"], later)
    assert later != dialog_id
    assert company.client("ben").get(f"/api/dialogs/{later}").status_code == 200
    assert company.client("cem").get(f"/api/dialogs/{later}").status_code == 200
    assert company.client("cem").get(f"/api/dialogs/{dialog_id}").status_code == 200, "it is the same chat"
    assert company.client("sue").get(f"/api/dialogs/{later}").status_code == 403, "cem is none of hers"


def test_one_chat_in_scope_opens_the_customers_history(company: Company) -> None:
    """T4: the whole history of a customer shows on his card, to whoever serves one of his chats."""
    desk = company.desk
    mine, other = (company.dialogs[each] for each in ("of ann", "of cem"))
    card_id, other_card_id = (desk.get(f"/api/dialogs/{each}")["card_id"] for each in (mine, other))
    ann = company.client("ann")
    assert ann.get(f"/api/cards/{other_card_id}/history").status_code == 403
    body = {"card_id": card_id, "other_id": other_card_id, "reason": "the same"}
    assert desk.service.post("/api/tracker/merges", json=body).status_code == 201
    shown = ann.get(f"/api/cards/{other_card_id}/history")
    my_chat, other_chat = (desk.get(f"/api/dialogs/{each}")["chat_id"] for each in (mine, other))
    assert {message["chat_id"] for message in shown.json()["items"]} == {my_chat, other_chat}
    assert ann.get(f"/api/chats/{other_chat}/history").status_code == 403, "the chat itself is not hers"


def test_what_waits_is_shown_to_whose_reach_it_is_in(company: Company) -> None:
    """D8: the backlog of an open channel, to a supervisor of one of its roster, and to nobody below."""
    seen = {"sue": 200, "adm": 200, "service": 200, "far": 403, "meg": 403, "ann": 403, "dan": 403}
    for who, status in seen.items():
        assert company.client(who).get("/api/open-channels/1/backlog").status_code == status, who
    assert company.client("sue").get("/api/open-channels/3/backlog").status_code == 403, "support is none of hers"


EDITS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("PATCH", "", {"name": "Mr Nobody"}),
    ("POST", "/identifiers", {"identifier": "+49 171 2345678"}),
    ("POST", "/identifiers/remove", {"identifier": "four@shop-mail.de"}),
)


@pytest.mark.parametrize(("method", "path", "body"), EDITS)
def test_a_card_is_edited_by_whoever_has_one_of_its_chats_in_scope(
    company: Company, method: str, path: str, body: dict[str, str]
) -> None:
    """An identifier on a foreign card would bind a chat of one's own to it, and open its customer's history."""
    desk = company.desk
    card_id = desk.get(f"/api/dialogs/{company.dialogs['of cem']}")["card_id"]
    entered = {"identifier": "four@shop-mail.de"}
    assert desk.service.post(f"/api/cards/{card_id}/identifiers", json=entered).status_code == 200
    before = desk.get(f"/api/cards/{card_id}")
    for who in ("ann", "ben", "sue", "far", "meg"):
        refused = company.client(who).request(method, f"/api/cards/{card_id}{path}", json=body)
        assert (refused.status_code, problem_of(refused)["reason"]) == (403, "out_of_scope"), who
    assert desk.get(f"/api/cards/{card_id}") == before
    assert [entry["outcome"] for entry in desk.get("/api/audit")["items"]] == [*["out_of_scope"] * 5, "done"]
    for who in ("cem", "adm"):
        done = company.client(who).request(method, f"/api/cards/{card_id}{path}", json=body)
        assert done.is_success or problem_of(done)["reason"] == "not_on_card", who
    assert desk.get(f"/api/cards/{card_id}") != before


def test_unknown_is_told_before_scope(company: Company) -> None:
    """What there is not is 404 for everybody."""
    for path in ("dialogs/999", "chats/999", "chats/999/history", "cards/999/history"):
        assert company.client("ann").get(f"/api/{path}").status_code == 404


def test_what_each_is_to_a_dialog(company: Company) -> None:
    """D7, D10: supervises is a supervisor's, an administrator's or the service's, as far as the scope reaches."""

    @dataclass(frozen=True)
    class Place:
        id: int
        open_channel_id: int

    def standing(who: str, what: str) -> Standing:
        row = company.desk.rows("SELECT id, open_channel_id FROM dialogs WHERE id = %s", company.dialogs[what])[0]
        with Database(DatabaseOptions(company.desk.url, "test")) as database, database.transaction() as connection:
            return access.standing(connection, callers[who], Place(*row))

    callers: dict[str, Caller] = {"service": Service()}
    for name, operator_id, role, scope in company.desk.rows("SELECT name, id, role, scope FROM operators"):
        callers[name] = Operator(operator_id, name, Role(role), scope and Scope(scope))
    ids = company.operators
    for who, what, on_roster, supervises in (
        ("ann", "of ann", True, False),
        ("ann", "of cem", False, False),
        ("dan", "of ann", False, False),  # sees everything, and supervises nobody
        ("sue", "of ann", False, True),
        ("sue", "waits for sales", False, True),
        ("sue", "of cem", False, False),
        ("meg", "of ann", False, False),
        ("far", "of ann", False, False),
        ("adm", "of cem", False, True),
    ):
        assert standing(who, what) == Standing(ids[who], on_roster, supervises), (who, what)
    assert standing("service", "of cem") == Standing(None, False, True)


@pytest.mark.parametrize("act", ["take", "transfer", "close", "spam", "pin"])
def test_who_once_had_a_dialog_does_not_supervise_it(company: Company, act: str) -> None:
    """D10: a supervisor who had a dialog of the chat may look at it; it is with one of another department by now."""
    desk, dialog_id = company.desk, company.dialogs["of cem"]
    desk.rows(
        "INSERT INTO events (dialog_id, actor, cause, became, operator_id) VALUES (%s, 'system', 'D2', 'assigned', %s)",
        dialog_id,
        company.operators["sue"],
    )
    sue = company.client("sue")
    assert sue.get(f"/api/dialogs/{dialog_id}").status_code == 200
    refused = sue.post(f"/api/dialogs/{dialog_id}/{act}", json={"backlog": True} if act == "transfer" else None)
    assert (refused.status_code, problem_of(refused)["reason"]) == (409, "taken" if act == "take" else "not_yours")
    assert desk.get(f"/api/dialogs/{dialog_id}")["operator"]["name"] == "cem"


def test_a_repeated_act_shows_nothing_that_is_out_of_scope_by_now(company: Company) -> None:
    """Under the key of an act that was done: to whom it has gone meanwhile is none of the caller's business."""
    desk, dialog_id = company.desk, company.dialogs["of ann"]
    sue, key = company.client("sue"), {"idempotency-key": "k-1"}
    assert sue.post(f"/api/dialogs/{dialog_id}/pin", headers=key).status_code == 200
    leave = f"/api/operators/{company.operators['ann']}/leaves"
    days = {"from": "2091-01-01T00:00:00Z", "until": "2091-01-02T00:00:00Z"}
    leave_id = sue.post(leave, headers=key | {"idempotency-key": "k-2"}, json=days).json()["id"]
    assert sue.post(f"/api/leaves/{leave_id}/end", headers={"idempotency-key": "k-3"}).status_code == 200
    desk.rows("DELETE FROM department_supervisors")
    for path, number, body in (
        (f"/api/dialogs/{dialog_id}/pin", "k-1", None),
        (leave, "k-2", days),
        (f"/api/leaves/{leave_id}/end", "k-3", None),
    ):
        refused = sue.post(path, headers={"idempotency-key": number}, json=body)
        assert (refused.status_code, problem_of(refused)["reason"]) == (403, "out_of_scope"), path
    assert desk.get("/api/audit")["items"][0]["outcome"] == "out_of_scope"


ACTS: dict[str, tuple[str, Any]] = {
    "accept": ("accept", None),
    "skip": ("skip", None),
    "answer": ("answer", {"text": "hello"}),
    "take": ("take", None),
    "transfer": ("transfer", {"operator": 2}),
    "to the backlog": ("transfer", {"backlog": True}),
    "to another open channel": ("transfer", {"open_channel": 1}),
    "close": ("close", None),
    "spam": ("spam", None),
    "reopen": ("reopen", None),
    "pin": ("pin", None),
    "unpin": ("unpin", None),
}

OUTSIDERS = ("ann", "ben", "dan", "sue", "far", "meg")
"""Dan sees the dialog, which gives him no right to act on it; Sue supervises others."""


@pytest.mark.parametrize("act", ACTS)
def test_nobody_acts_on_a_dialog_beyond_his_reach(company: Company, act: str) -> None:
    """D10: a foreign dialog, open and closed: refused, in the audit, and nothing is changed."""
    desk = company.desk
    path, body = ACTS[act]
    dialog_id = company.dialogs["of cem"]
    everything = "SELECT to_jsonb(dialogs) FROM dialogs ORDER BY id"
    for status in ("accepted", "closing", "closed"):
        desk.rows("UPDATE dialogs SET status = %s::dialog_status WHERE id = %s", status, dialog_id)
        before = desk.rows(everything)
        for who in OUTSIDERS:
            response = company.client(who).post(f"/api/dialogs/{dialog_id}/{path}", json=body)
            assert response.status_code in (403, 409), (who, status, response.text)
            assert "Mr 4" not in response.text
        assert desk.rows(everything) == before
    refusals = desk.value("SELECT count(*) FROM audit WHERE outcome <> 'done'")
    assert refusals == 3 * len(OUTSIDERS)
    assert desk.value("SELECT count(*) FROM messages WHERE direction = 'out'") == 0


@pytest.mark.parametrize("who", ["sue", "adm", "service"])
def test_a_supervisor_acts_on_what_is_within_his_reach(company: Company, who: str) -> None:
    """D10: closing stands for the acts that need no holder; it is his act in the log."""
    dialog_id = company.dialogs["of ann"]
    response = company.client(who).post(f"/api/dialogs/{dialog_id}/close")
    assert (response.status_code, response.json()["status"]) == (200, "closed")
    actor = "service" if who == "service" else f"operator:{company.operators[who]}"
    last = company.desk.rows("SELECT actor, cause FROM events WHERE dialog_id = %s ORDER BY id DESC LIMIT 1", dialog_id)
    assert last == [(actor, "close")]


# Roles

SUPERVISORS_LOOK_UPS = ("/api/operators", "/api/open-channels")
SERVICE_LOOK_UPS = ("/api/inbox/1", "/api/ledger")
ADMINISTRATORS_ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/api/tracker/reviews", None),
    ("GET", "/api/tracker/merges", None),
    ("GET", "/api/tracker/blocked", None),
    ("GET", "/api/audit", None),
    ("GET", "/api/exports/inbox", None),
    ("GET", "/api/exports/chats", None),
    ("GET", "/api/exports/messages", None),
    ("GET", "/api/exports/events", None),
    ("POST", "/api/tracker/merges", {"card_id": 1, "other_id": 1, "reason": "x"}),
    ("POST", "/api/tracker/merges/9/undo", {"reason": "x"}),
    ("POST", "/api/tracker/reviews/9/accept", {}),
    ("POST", "/api/tracker/reviews/9/reject", {"note": "x"}),
    ("POST", "/api/cards/1/detach", {"identifier": "a@b.de", "reason": "x"}),
    ("POST", "/api/chats/1/detach", {"reason": "x"}),
    ("POST", "/api/tracker/blocked", {"value": "a@b.de", "reason": "x"}),
    ("POST", "/api/tracker/blocked/remove", {"value": "a@b.de"}),
)


def test_every_route_of_the_desk_asks_for_the_role(company: Company) -> None:
    """Each with each role: refused for want of the role, or not for that."""
    table = [
        *(("GET", path, None, "supervisors_only", {"sue", "adm", "service"}) for path in SUPERVISORS_LOOK_UPS),
        *(("GET", path, None, "service_only", {"service"}) for path in SERVICE_LOOK_UPS),
        *((*route, "administrators_only", {"adm", "service"}) for route in ADMINISTRATORS_ROUTES),
    ]
    for method, path, body, reason, allowed in table:
        for who in ("ann", "dan", "sue", "adm", "service"):
            response = company.client(who).request(method, path, json=body)
            if who in allowed:
                assert response.status_code != 403, (who, path, response.text)
            else:
                assert (response.status_code, problem_of(response)["reason"]) == (403, reason), (who, path)


def test_an_administrator_decides_as_himself(company: Company) -> None:
    """The audit names him, and he acts for nobody else."""
    adm = company.client("adm")
    body = {"value": "spam@example.org", "reason": "a test"}
    refused = adm.post("/api/tracker/blocked", json={**body, "by": "Somebody"})
    assert (refused.status_code, problem_of(refused)["reason"]) == (422, "bad_by")
    assert adm.post("/api/tracker/blocked", json=body).status_code == 201
    entry = adm.get("/api/audit", params={"act": "block"}).json()["items"][0]
    assert entry["actor"] == f"operator:{company.operators['adm']}"


def test_a_role_that_is_taken_away_is_gone_at_once(company: Company) -> None:
    """It is read with every request."""
    assert company.client("adm").get("/api/audit").status_code == 200
    company.desk.rows("UPDATE operators SET role = 'operator' WHERE name = 'adm'")
    assert company.client("adm").get("/api/audit").status_code == 403
    assert company.client("adm").get("/api/dialogs").json()["items"] == []


def test_a_role_that_is_taken_away_while_an_act_is_on_its_way_is_gone(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He was let in as an administrator; the act's own transaction asks again."""
    read = identifying.listed

    def slow(written: str, region: str | None) -> tuple[IdentifierKind, str]:
        company.desk.rows("UPDATE operators SET role = 'operator' WHERE name = 'adm'")
        return read(written, region)

    monkeypatch.setattr(tracker_routes, "listed", slow)
    refused = company.client("adm").post("/api/tracker/blocked", json={"value": "spam@example.org", "reason": "a test"})
    assert (refused.status_code, problem_of(refused)["reason"]) == (403, "administrators_only")
    assert "spam@example.org" not in str(company.desk.get("/api/tracker/blocked"))
    (entry,) = company.desk.get("/api/audit")["items"]
    assert (entry["act"], entry["outcome"]) == ("block", "administrators_only")


def test_who_wants_to_do_what_he_may_not_is_in_the_audit_once(company: Company) -> None:
    """Whether he is stopped before the act has begun or in it; look-ups and strangers are not."""
    ids = company.operators
    merging = {"card_id": 1, "other_id": 2, "reason": "x"}
    blocking = {"value": "a@shop-mail.de", "reason": "x", "by": "Somebody"}
    by = {"by": "Somebody"}
    table: tuple[tuple[str, str, Any, str, str, dict[str, int]], ...] = (
        ("ann", "/api/tracker/merges", merging, "merge", "administrators_only", {}),
        (
            "sue",
            "/api/cards/1/detach",
            {"identifier": "x", "reason": "x"},
            "detach",
            "administrators_only",
            {"card_id": 1},
        ),
        ("service", "/api/dialogs/4/accept", None, "accept", "operator_only", {"dialog_id": 4}),
        ("service", "/api/operator/workday/start", None, "workday_start", "operator_only", {}),
        ("adm", "/api/tracker/blocked", blocking, "block", "bad_by", {}),
        ("adm", "/api/dialogs/4/close", by, "close", "bad_by", {"dialog_id": 4}),
        ("ann", "/api/dialogs/4/answer", {"text": "x", "by": "Somebody"}, "answer", "bad_by", {"dialog_id": 4}),
        *(("ann", f"/api/dialogs/4/{act}", by, act, "bad_by", {"dialog_id": 4}) for act in ("accept", "skip", "take")),
        ("ann", "/api/operator/online", by, "online", "bad_by", {}),
        ("ann", "/api/operators/2/dismiss", None, "dismiss", "administrators_only", {"operator_id": 2}),
    )
    for who, path, body, act, reason, details in table:
        refused = company.client(who).post(path, json=body)
        assert problem_of(refused)["reason"] == reason, path
        entries = company.desk.rows("DELETE FROM audit RETURNING actor, act, outcome, details")
        actor = "service" if who == "service" else f"operator:{ids[who]}"
        assert entries == [(actor, act, reason, details)], path
    assert company.client("ann").get("/api/audit").status_code == 403
    assert company.client("").request("POST", "/api/tracker/merges", json=merging).status_code == 401
    assert company.desk.value("SELECT count(*) FROM audit") == 0


def test_a_path_has_no_slash_at_its_end(company: Company) -> None:
    """It is no other path, to which a client might be sent with another host or scheme."""
    response = company.client("ann").get("/api/dialogs/")
    assert (response.status_code, problem_of(response)["reason"]) == (404, "not_found")

"""What operators do with dialogs over HTTP, on real PostgreSQL."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from config.topology import Step
from tests.desks import Desk, problem_of

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with the API in front of it."""
    with Desk(database_url) as made:
        yield made


def offered_to(desk: Desk, names: list[str]) -> int:
    """Operators under D4; returns a dialog that is offered to them."""
    desk.open_channel("desk", [desk.operator(name) for name in names], distribution="all")
    return desk.dialog("desk-telegram", "chat-1", name="Ann")


def test_fifty_who_accept_one_offer_make_one_holder(desk: Desk) -> None:
    """D4: of fifty at the same moment one has it, and the others get an error that names the reason."""
    names = [f"operator-{n}" for n in range(50)]
    dialog_id = offered_to(desk, names)

    def accept(name: str) -> httpx.Response:
        headers = {"authorization": f"Bearer token of {name}"}
        return httpx.post(f"{desk.base_url}/api/dialogs/{dialog_id}/accept", headers=headers, timeout=30)

    with ThreadPoolExecutor(50) as threads:
        responses = list(threads.map(accept, names))
    assert Counter(response.status_code for response in responses) == {200: 1, 409: 49}
    assert {problem_of(r)["reason"] for r in responses if r.status_code == 409} == {"taken"}
    (winner,) = [r.json()["operator"]["name"] for r in responses if r.status_code == 200]
    assert desk.get(f"/api/dialogs/{dialog_id}")["operator"]["name"] == winner
    accepts = desk.value("SELECT count(*) FROM events WHERE cause = 'accept'")
    assert accepts == 1, "S1: one change, one event"


def test_an_accepted_offer_is_explained(desk: Desk) -> None:
    """D12: a record for the offer, and one for the assignment that names why each other was passed over."""
    dialog_id = offered_to(desk, ["ann", "ben", "cem"])
    desk.act("cem", "/api/operator/offline")
    desk.act("ben", f"/api/dialogs/{dialog_id}/accept")
    offer, taken = desk.get(f"/api/dialogs/{dialog_id}")["decisions"]
    assert (offer["rule"], offer["chosen"]) == ("D4", None)
    assert (taken["rule"], taken["chosen"]["name"]) == ("D4", "ben")
    passed_over = {why: [who["name"] for who in whom] for why, whom in taken["passed_over"].items()}
    assert passed_over == {"not_first": ["ann"], "offline": ["cem"]}


def test_an_offer_is_refused_to_who_is_not_eligible(desk: Desk) -> None:
    """D4, D6, D7: offline, at his limit, at his personal limit, not on the roster; the limits let the free one in."""
    limited = desk.operator("limited", personal_limit=1)
    ann, gone = desk.operator("ann"), desk.operator("gone", online=False)
    desk.operator("stranger")
    desk.open_channel("desk", [limited, ann, gone], distribution="all", max_dialogs=1)
    desk.open_channel("other", [limited, ann])
    first, second = (desk.dialog("desk-telegram", chat) for chat in ("chat-1", "chat-2"))
    assert desk.refusal("gone", f"/api/dialogs/{first}/accept") == "offline"
    assert desk.refusal("stranger", f"/api/dialogs/{first}/accept") == "not_on_roster"
    desk.dialog("other-telegram", "chat-3")
    assert desk.value("SELECT operator_id FROM dialogs ORDER BY id DESC LIMIT 1") == limited
    assert desk.refusal("limited", f"/api/dialogs/{first}/accept") == "at_personal_limit"
    desk.act("ann", f"/api/dialogs/{first}/accept")
    assert desk.refusal("ann", f"/api/dialogs/{second}/accept") == "at_limit"
    assert desk.value("SELECT count(*) FROM decisions WHERE operator_id = %s", ann) == 1


def test_limits_hold_when_one_operator_accepts_everywhere_at_once(desk: Desk) -> None:
    """D7: offers of sixteen open channels, one personal limit of three, all accepted at the same moment."""
    ann = desk.operator("ann", personal_limit=3)
    ids = []
    for n in range(16):
        desk.open_channel(f"desk-{n}", [ann], distribution="all")
        ids.append(desk.dialog(f"desk-{n}-telegram", "chat"))

    def accept(dialog_id: int) -> int:
        headers = {"authorization": "Bearer token of ann"}
        return httpx.post(f"{desk.base_url}/api/dialogs/{dialog_id}/accept", headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(16) as threads:
        assert Counter(threads.map(accept, ids)) == {200: 3, 409: 13}


def test_acts_on_dialogs_that_are_not_his_are_refused(desk: Desk) -> None:
    """D4, D7, S1: every other refusal, by its reason."""
    ann = desk.operator("ann")
    desk.operator("ben")
    desk.open_channel("desk", [ann], max_dialogs=1)
    first, waiting = (desk.dialog("desk-telegram", chat) for chat in ("chat-1", "chat-2"))
    assert desk.refusal("ann", f"/api/dialogs/{waiting}/accept") == "not_assigned"
    assert desk.refusal("ann", f"/api/dialogs/{waiting}/close") == "not_yours"
    assert desk.refusal("ben", f"/api/dialogs/{first}/accept") == "taken"
    assert desk.refusal("ben", f"/api/dialogs/{first}/answer", {"text": "hello"}) == "not_yours"
    assert desk.refusal("ben", f"/api/dialogs/{first}/close") == "not_yours"
    desk.act("ann", f"/api/dialogs/{first}/accept")
    assert desk.refusal("ann", f"/api/dialogs/{first}/accept") == "already_yours"
    desk.act("ann", f"/api/dialogs/{first}/close")
    assert desk.refusal("ann", f"/api/dialogs/{first}/accept") == "closed"
    assert desk.refusal("ann", f"/api/dialogs/{first}/answer", {"text": "hello"}) == "closed"
    assert desk.refusal("ann", f"/api/dialogs/{first}/close") == "closed"
    for act in ("accept", "close"):
        response = desk.as_operator("ann").post(f"/api/dialogs/999/{act}")
        assert (response.status_code, problem_of(response)["reason"]) == (404, "unknown_dialog")
    response = desk.as_operator("ann").post("/api/dialogs/999/answer", json={"text": "hello"})
    assert (response.status_code, problem_of(response)["reason"]) == (404, "unknown_dialog")


def test_an_assigned_dialog_may_be_accepted_at_the_limit_and_offline(desk: Desk) -> None:
    """D7: it counts already."""
    desk.open_channel("desk", [desk.operator("ann")], max_dialogs=1)
    dialog_id = desk.dialog("desk-telegram", "chat-1")
    desk.act("ann", "/api/operator/offline")
    assert desk.act("ann", f"/api/dialogs/{dialog_id}/accept")["status"] == "accepted"


def test_the_first_acceptor_is_responsible_for_the_card(desk: Desk) -> None:
    """C4: until then the first of the roster; later acceptors change nothing; the deal follows as the contact does."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.open_channel("desk", [ann, ben], distribution="all", mode="deal")
    first = desk.dialog("desk-telegram", "chat-1", name="Customer")
    contact_id, deal_id = (desk.get(f"/api/dialogs/{first}")[name] for name in ("card_id", "deal_id"))
    for card_id in (contact_id, deal_id):
        card = desk.get(f"/api/cards/{card_id}")
        assert (card["responsible"]["name"], card["responsible_by"]) == ("ann", "roster")
    desk.act("ben", f"/api/dialogs/{first}/accept")
    desk.act("ben", f"/api/dialogs/{first}/close")
    desk.act("ann", f"/api/dialogs/{desk.dialog('desk-telegram', 'chat-1')}/accept")
    for card_id in (contact_id, deal_id):
        card = desk.get(f"/api/cards/{card_id}")
        assert (card["responsible"]["name"], card["responsible_by"]) == ("ben", "acceptor")


def test_who_accepted_before_there_was_a_card_stays_responsible(desk: Desk) -> None:
    """C4, C3: accepted while nothing was known; then a phone makes the contact and the deal."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.open_channel("desk", [ann, ben], distribution="all", mode="deal", create_when="contact_details")
    dialog_id = desk.dialog("desk-telegram", "chat-1", name="Customer")
    desk.act("ben", f"/api/dialogs/{dialog_id}/accept")
    assert desk.get(f"/api/dialogs/{dialog_id}")["card_id"] is None
    desk.dialog("desk-telegram", "chat-1", "+49 171 2345678")
    dialog = desk.get(f"/api/dialogs/{dialog_id}")
    for card_id in (dialog["card_id"], dialog["deal_id"]):
        card = desk.get(f"/api/cards/{card_id}")
        assert (card["responsible"]["name"], card["responsible_by"]) == ("ben", "acceptor")


def test_an_answer_goes_into_the_history_and_the_outbox(desk: Desk) -> None:
    """S5, S1: in the chat's order, sendable over the custom channel, held over others; delivery is hinted."""
    desk.open_channel("desk", [desk.operator("ann")], kinds=("custom", "telegram"))
    sent, held = desk.dialog("desk-custom", "chat-1"), desk.dialog("desk-telegram", "chat-2")
    desk.hinted.clear()
    answered = desk.act("ann", f"/api/dialogs/{sent}/answer", {"text": "  Good evening!\u0000 "})
    assert answered["status"] == "awaiting_customer"
    assert desk.was_hinted(Step.DELIVER)
    desk.act("ann", f"/api/dialogs/{held}/answer", {"text": "hello"})
    question, reply = desk.get(f"/api/chats/{answered['chat_id']}/history")["items"]
    assert (question["direction"], reply["direction"], reply["text"]) == ("in", "out", "Good evening!\ufffd")
    assert reply["seq"] > question["seq"]
    assert (reply["operator"]["name"], reply["delivery"]["state"]) == ("ann", "pending")
    other = desk.get(f"/api/chats/{desk.get(f'/api/dialogs/{held}')['chat_id']}/history", order="newest")["items"][0]
    assert (other["delivery"]["state"], other["delivery"]["error"]) == (
        "held",
        "sending over telegram is not built yet",
    )


def test_answering_an_assigned_dialog_accepts_it(desk: Desk) -> None:
    """D5, C4, S1: two events, and he is responsible."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.open_channel("desk", [ann, ben])
    desk.dialog("desk-telegram", "chat-1")
    dialog_id = desk.dialog("desk-telegram", "chat-2")
    desk.act("ben", f"/api/dialogs/{dialog_id}/answer", {"text": "hello"})
    dialog = desk.get(f"/api/dialogs/{dialog_id}")
    changes = [(event["actor"], event["cause"], event["was"], event["became"]) for event in dialog["events"]]
    assert changes == [
        ("customer", "message", None, "queued"),
        ("system", "D2", "queued", "assigned"),
        (f"operator:{ben}", "accept", "assigned", "accepted"),
        (f"operator:{ben}", "answer", "accepted", "awaiting_customer"),
    ]
    assert desk.get(f"/api/cards/{dialog['card_id']}")["responsible"]["name"] == "ben"
    desk.act("ben", f"/api/dialogs/{dialog_id}/answer", {"text": "one more thing"})
    assert len(desk.get(f"/api/dialogs/{dialog_id}")["events"]) == 5, "each answer is an event"


def test_closing_serves_the_backlog(desk: Desk) -> None:
    """D8: a slot is free, so what waits is tried at once; what could not be sent expires and says why."""
    desk.open_channel("desk", [desk.operator("ann")], max_dialogs=1)
    first, second = (desk.dialog("desk-telegram", chat) for chat in ("chat-1", "chat-2"))
    desk.act("ann", f"/api/dialogs/{first}/answer", {"text": "bye"})
    desk.hinted.clear()
    closed = desk.act("ann", f"/api/dialogs/{first}/close")
    assert closed["status"] == "closed"
    assert closed["closed_at"]
    assert desk.was_hinted(Step.DISTRIBUTE)
    assert desk.value("SELECT due_at <= now() FROM timers")
    assert desk.rows("SELECT state, error FROM outbox") == [("expired", "sending over telegram is not built yet")]
    desk.drain()
    assert desk.get(f"/api/dialogs/{second}")["operator"]["name"] == "ann"
    assert desk.dialog("desk-telegram", "chat-1") not in (first, second), "S4: after closed, another dialog"


def test_a_personal_slot_serves_the_backlogs_of_all_his_open_channels(desk: Desk) -> None:
    """D7, D8: the personal limit was what kept another open channel's dialog waiting."""
    ann = desk.operator("ann", personal_limit=1)
    desk.open_channel("one", [ann])
    desk.open_channel("two", [ann])
    first, second = desk.dialog("one-telegram", "chat-1"), desk.dialog("two-telegram", "chat-2")
    assert desk.get(f"/api/dialogs/{second}")["status"] == "queued"
    desk.act("ann", f"/api/dialogs/{first}/close")
    desk.drain()
    assert desk.get(f"/api/dialogs/{second}")["operator"]["id"] == ann


@pytest.mark.parametrize(
    ("counted", "frees"),
    [
        ("all", False),
        ("without_closing", False),
        ("without_answered", True),
        ("without_awaiting_customer", True),
    ],
)
def test_an_answer_frees_a_slot_if_the_setting_says_so(desk: Desk, counted: str, frees: bool) -> None:
    """D7, D8: which dialogs count is a setting; an assigned one always does."""
    desk.open_channel("desk", [desk.operator("ann")], max_dialogs=1, counted=counted)
    first, second = (desk.dialog("desk-telegram", chat) for chat in ("chat-1", "chat-2"))
    desk.act("ann", f"/api/dialogs/{first}/answer", {"text": "hello"})
    desk.drain()
    assert (desk.get(f"/api/dialogs/{second}")["status"] == "assigned") is frees


def test_acts_and_steps_in_the_same_chats_do_not_block_each_other_for_ever(desk: Desk) -> None:
    """DESIGN, lock order: answers, closings and customers' messages of the same chats at once; none deadlocks."""
    names = ["ann", "ben"]
    desk.open_channel("desk", [desk.operator(name, personal_limit=50) for name in names], mode="deal")
    for n in range(6):
        desk.say("desk-telegram", f"chat-{n}", "+49 171 2345678", name="Ann")
    desk.drain()

    def work(name: str) -> list[int]:
        statuses = []
        with httpx.Client(
            base_url=desk.base_url, headers={"authorization": f"Bearer token of {name}"}, timeout=30
        ) as client:
            for _ in range(6):
                for dialog in client.get("/api/operator/dialogs").json()["items"]:
                    path = f"/api/dialogs/{dialog['id']}"
                    statuses.append(client.post(f"{path}/answer", json={"text": "hello"}).status_code)
                    statuses.append(client.post(f"{path}/close").status_code)
        return statuses

    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(work, name) for name in names * 2]
        for _ in range(8):
            for n in range(6):
                desk.say("desk-telegram", f"chat-{n}", "again")
            desk.drain()
        statuses = [status for done in working for status in done.result()]
    assert set(statuses) <= {200, 409}
    desk.drain()
    ledger = desk.get("/api/ledger")
    assert (ledger["dead"], ledger["pending"], ledger["balances"]) == (0, 0, True)


def test_a_service_says_for_whom_it_acts(desk: Desk) -> None:
    """The person stands in the audit and in the events; he is part of what was asked for under a key."""
    desk.open_channel("desk", [desk.operator("ann")], closing_text="")
    dialog_id = desk.dialog("desk-telegram", "chat-1")
    path, key = f"/api/dialogs/{dialog_id}/close", {"idempotency-key": "k-1"}
    assert desk.service.post(path, json={"by": "Eve Smith"}, headers=key).status_code == 200
    assert desk.service.post(path, json={"by": "Eve Smith"}, headers=key).headers["idempotency-replayed"] == "true"
    other = desk.service.post(path, json={"by": "Ann Smith"}, headers=key)
    assert problem_of(other)["reason"] == "idempotency_key_reused"
    assert desk.get(f"/api/dialogs/{dialog_id}")["events"][-1]["actor"] == "service:Eve Smith"
    entries = [(one["actor"], one["act"], one["outcome"]) for one in desk.get("/api/audit")["items"]]
    assert entries == [
        ("service:Ann Smith", "close", "idempotency_key_reused"),
        ("service:Eve Smith", "close", "done"),
    ]
    pinned = f"/api/dialogs/{desk.dialog('desk-telegram', 'chat-2')}/pin"
    keyed = {"idempotency-key": "k-2"}
    answers = [desk.service.post(pinned, json=body, headers=keyed) for body in (None, {}, {"by": None})]
    assert ["idempotency-replayed" in answer.headers for answer in answers] == [False, True, True]
    for wrong in ({"by": "+49 171 2345678"}, {"by": ""}, {"more": 1}):
        assert problem_of(desk.service.post(pinned, json=wrong))["reason"] == "invalid_request", wrong
    refused = desk.as_operator("ann").post(pinned, json={"by": "Eve Smith"})
    assert (refused.status_code, problem_of(refused)["reason"]) == (422, "bad_by")


def test_a_service_says_for_whom_it_decides_about_operators(desk: Desk) -> None:
    """D11: leaves and dismissals."""
    ann = desk.operator("ann")
    by = {"by": "Eve Smith"}
    days = {"from": "2091-01-01T00:00:00Z", "until": "2091-01-02T00:00:00+02:00"}
    leave = desk.service.post(f"/api/operators/{ann}/leaves", json=days | by).json()
    assert desk.service.post(f"/api/leaves/{leave['id']}/end", json=by).status_code == 200
    assert desk.service.post(f"/api/operators/{ann}/dismiss", json=by).status_code == 200
    assert {one["actor"] for one in desk.get("/api/audit")["items"]} == {"service:Eve Smith"}


@pytest.mark.parametrize(
    "wrong",
    [3820694400, "3820694400", "2091-01-01", "2091-01-01T00:00:00", "2091-13-01T00:00:00Z", "2091-01-01 00:00Z"],
)
def test_a_leave_is_from_one_written_time_to_another(desk: Desk, wrong: object) -> None:
    """D6: with a zone; a number would be seconds or milliseconds, whichever fits."""
    path = f"/api/operators/{desk.operator('ann')}/leaves"
    refused = desk.service.post(path, json={"from": wrong, "until": "2092-01-01T00:00:00Z"})
    assert (refused.status_code, problem_of(refused)["reason"]) == (422, "invalid_request")
    assert desk.service.post(path, json={"from": "2091-01-01T00:00Z", "until": "2092-01-01T00:00:00.5+0200"}).is_success


def test_a_foreign_skip_waits_for_nobody(desk: Desk) -> None:
    """D5: it is refused before anything is locked, so it neither waits for the distribution nor holds it up."""
    desk.open_channel("desk", [desk.operator("ann"), desk.operator("ben", online=False)])
    dialog_id = desk.dialog("desk-telegram", "chat-1")
    with psycopg.connect(desk.url) as locking:
        locking.execute("SELECT FROM chats FOR UPDATE")
        locking.execute("SELECT FROM open_channels FOR UPDATE")
        assert desk.refusal("ben", f"/api/dialogs/{dialog_id}/skip") == "not_yours"

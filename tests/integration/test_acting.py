"""Acts over HTTP are done once under a key, and are all in the audit, on real PostgreSQL."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from config.topology import Step
from console import problems
from console.acting import REPLAYED, Asking, Done, carry_out
from console.dependencies import Dependencies, Needs
from console.security import Caller, Operator
from console.streams import Streams
from crm_store import desks, idempotency
from crm_store.database import Connection, Database, DatabaseOptions
from crm_store.errors import DeadlockError
from crm_store.secrets import hash_token
from tests.desks import SERVICE_TOKEN, problem_of, serving
from tests.processes import wait_for
from tracker.access import Role, Scope
from tracker.dialogs import ActRefusedError

pytestmark = pytest.mark.integration


class Named(BaseModel):
    """What the act of the tests is told."""

    name: str


@dataclass
class Acts:
    """An API with one act, which makes a department. The rest is what the test sees of it and does to it."""

    url: str
    base_url: str = ""
    hinted: list[Step] = field(default_factory=list)
    works: int = 0
    refusals: int = 0
    deadlocks: int = 0
    app: FastAPI = field(default_factory=FastAPI)
    callers: list[Caller] = field(default_factory=list)
    entered: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def make(self, needs: Dependencies, asking: Asking, desk_id: int, body: Named) -> dict[str, str]:
        """The act itself."""

        asked = asking.to("make", {"desk_id": desk_id}, body)

        def work(connection: Connection) -> Done:
            self.works += 1
            self.callers.append(asked.caller)
            made = connection.execute("INSERT INTO departments (name) VALUES (%s) RETURNING id", [body.name]).fetchone()
            self.entered.set()
            assert self.may_go_on.wait(20)
            if self.deadlocks:
                self.deadlocks -= 1
                raise DeadlockError("40P01")
            if self.refusals:
                self.refusals -= 1
                raise ActRefusedError("full", "there is no room")
            assert made
            return Done({"department_id": made[0]}, frozenset({Step.DISTRIBUTE}))

        def show(connection: Connection, ids: Mapping[str, int]) -> dict[str, str]:
            row = connection.execute("SELECT name FROM departments WHERE id = %s", [ids["department_id"]]).fetchone()
            assert row
            return {"name": row[0]}

        return carry_out(needs, asked, work, show)

    def post(self, name: str, key: str | None = None, token: str = SERVICE_TOKEN, desk_id: int = 1) -> httpx.Response:
        """Ask for the act."""
        headers = {"authorization": f"Bearer {token}"} | ({} if key is None else {"idempotency-key": key})
        path = f"{self.base_url}/desks/{desk_id}"
        return httpx.post(path, json={"name": name}, headers=headers, timeout=30, trust_env=False)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What the database says."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchall()

    def audit(self) -> list[tuple[object, ...]]:
        """Its entries."""
        return self.rows("SELECT actor, act, outcome, details FROM audit ORDER BY id")


@pytest.fixture
def acts(database_url: str) -> Iterator[Acts]:
    """See Acts; two operators have the tokens `ann` and `ben`."""
    made = Acts(database_url)
    made.may_go_on.set()
    app = made.app
    problems.install(app)

    @app.post("/desks/{desk_id}")
    def make(needs: Needs, asking: Asking, desk_id: int, body: Named) -> dict[str, str]:
        return made.make(needs, asking, desk_id, body)

    with Database(DatabaseOptions(database_url, "test", pool_size=10, lock_timeout=1.0)) as database:
        with database.transaction() as connection:
            for name in ("ann", "ben"):
                desks.put_operator(connection, name, hash_token(name))
        app.state.needs = Dependencies(database, made.hinted.append, dict, hash_token(SERVICE_TOKEN))
        app.state.streams = Streams(database)
        with serving(app) as made.base_url:
            yield made


def test_an_act_under_a_key_is_done_once(acts: Acts) -> None:
    """The second answer says what is so now, not what was said; it is no act, so neither audited nor hinted."""
    first = acts.post("front", "k-1")
    assert (first.status_code, first.json(), REPLAYED in first.headers) == (200, {"name": "front"}, False)
    assert acts.hinted == [Step.DISTRIBUTE]
    acts.rows("UPDATE departments SET name = 'renamed' RETURNING id")
    again = acts.post("front", "k-1")
    assert (again.status_code, again.json(), again.headers[REPLAYED]) == (200, {"name": "renamed"}, "true")
    assert acts.works == 1
    assert acts.hinted == [Step.DISTRIBUTE]
    assert acts.audit() == [("service", "make", "done", {"desk_id": 1, "department_id": 1})]


def test_without_a_key_every_request_is_an_act(acts: Acts) -> None:
    """Nothing is kept for them."""
    assert [acts.post(name).status_code for name in ("front", "back")] == [200, 200]
    assert acts.works == 2
    assert acts.rows("SELECT count(*) FROM idempotency_keys") == [(0,)]


def test_a_key_stands_for_one_act_on_one_target_with_one_body(acts: Acts) -> None:
    """Another body or target under it is refused, and that is in the audit; no words of the body are kept."""
    acts.post("front desk", "k-1")
    for refused in (acts.post("back desk", "k-1"), acts.post("front desk", "k-1", desk_id=2)):
        assert (refused.status_code, problem_of(refused)["reason"]) == (422, "idempotency_key_reused")
    assert acts.works == 1
    assert [entry[2] for entry in acts.audit()] == ["done", *["idempotency_key_reused"] * 2]
    ((kept,),) = acts.rows("SELECT idempotency_keys::text FROM idempotency_keys")
    assert "k-1" not in str(kept)
    assert "desk" not in str(kept).replace("department_id", "")


def test_a_key_is_its_callers_own(acts: Acts) -> None:
    """Whoever guesses another's key learns nothing by it."""
    responses = [acts.post(token, "k-1", token) for token in (SERVICE_TOKEN, "ann", "ben")]
    assert [response.json()["name"] for response in responses] == [SERVICE_TOKEN, "ann", "ben"]
    assert acts.rows("SELECT actor FROM idempotency_keys ORDER BY actor") == [
        ("operator:1",),
        ("operator:2",),
        ("service",),
    ]


def test_a_key_outlives_the_token(acts: Acts) -> None:
    """The service's token is replaced while the answer to an act is on its way."""
    acts.post("front", "k-1")
    acts.app.state.needs = replace(acts.app.state.needs, service_token_hash=hash_token("another"))
    again = acts.post("front", "k-1", "another")
    assert (again.status_code, again.headers[REPLAYED]) == (200, "true")
    assert problem_of(acts.post("back", "k-1", "another"))["reason"] == "idempotency_key_reused"


def test_what_postgresql_refuses_is_in_the_audit(acts: Acts) -> None:
    """As every other refusal."""
    refused = acts.post("fr\0nt")
    assert (refused.status_code, problem_of(refused)["reason"]) == (422, "refused_by_database")
    assert acts.audit() == [("service", "make", "refused_by_database", {"desk_id": 1})]


def test_a_refused_act_leaves_its_key_free(acts: Acts) -> None:
    """It is decided anew, and both decisions are in the audit."""
    acts.refusals = 1
    refused = acts.post("front", "k-1", "ann")
    assert (refused.status_code, problem_of(refused)["reason"]) == (409, "full")
    assert acts.rows("SELECT count(*) FROM departments") == [(0,)]
    done = acts.post("front", "k-1", "ann")
    assert (done.status_code, REPLAYED in done.headers) == (200, False)
    assert [entry[:3] for entry in acts.audit()] == [("operator:1", "make", "full"), ("operator:1", "make", "done")]


def test_of_many_at_once_under_one_key_one_acts(acts: Acts) -> None:
    """The others wait for it and answer as it does."""
    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda _: acts.post("front", "k-1"), range(8)))
    assert {response.status_code for response in responses} == {200}
    assert sum(REPLAYED in response.headers for response in responses) == 7
    assert acts.works == 1
    assert len(acts.audit()) == 1


def test_who_waits_for_the_same_key_too_long_comes_again(acts: Acts) -> None:
    """The lock timeout is the 503 of a database that is away: nothing is known of the act; its key says it later."""
    acts.may_go_on.clear()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(acts.post, "front", "k-1")
        assert acts.entered.wait(10)
        waited = acts.post("front", "k-1")
        assert (waited.status_code, problem_of(waited)["reason"]) == (503, "database_away")
        assert waited.headers["retry-after"]
        acts.may_go_on.set()
        assert slow.result().status_code == 200
    assert acts.post("front", "k-1").headers[REPLAYED] == "true"


def test_who_waits_for_a_key_whose_act_is_refused_acts_himself(acts: Acts) -> None:
    """The key was given up with everything else."""
    acts.may_go_on.clear()
    acts.refusals = 1
    with ThreadPoolExecutor(2) as threads:
        refused = threads.submit(acts.post, "front", "k-1")
        assert acts.entered.wait(10)
        waiting = threads.submit(acts.post, "front", "k-1")
        acts.may_go_on.set()
        assert sorted(response.result().status_code for response in (refused, waiting)) == [200, 409]
    assert acts.rows("SELECT count(*) FROM departments") == [(1,)]


def while_an_act_waits(acts: Acts, change: str) -> httpx.Response:
    """Ann's act waits for its key; what she is changes meanwhile; then the key is hers. Returns the answer."""
    acts.may_go_on.clear()
    acts.refusals = 1
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(acts.post, "front", "k-1", "ann")
        assert acts.entered.wait(10)
        waiting = threads.submit(acts.post, "front", "k-1", "ann")
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        assert wait_for(lambda: acts.rows(waits) == [(1,)])
        acts.rows(f"{change} WHERE name = 'ann' RETURNING id")
        acts.may_go_on.set()
        first.result()
        return waiting.result()


@pytest.mark.parametrize("change", ["dismissed_at = now()", "token_hash = 'another'"])
def test_whose_token_is_void_when_his_act_begins_does_nothing(acts: Acts, change: str) -> None:
    """D6: he was let in before, and has waited since; that he is refused is in the audit."""
    refused = while_an_act_waits(acts, f"UPDATE operators SET {change}")
    assert (refused.status_code, problem_of(refused)["reason"]) == (401, "unknown_token")
    assert refused.headers["www-authenticate"]
    assert acts.works == 1
    assert acts.rows("SELECT count(*) FROM departments") == [(0,)]
    decisions = {entry[:3] for entry in acts.audit()}
    assert decisions == {("operator:1", "make", "full"), ("operator:1", "make", "unknown_token")}


def test_who_acts_is_what_he_is_when_his_act_begins(acts: Acts) -> None:
    """Role and scope are those of the act's own transaction, not those with which he was let in."""
    done = while_an_act_waits(acts, "UPDATE operators SET role = 'supervisor', scope = 'any'")
    assert done.status_code == 200
    before, after = acts.callers
    assert before == Operator(1, "ann", Role.OPERATOR, None, hash_token("ann"))
    assert after == Operator(1, "ann", Role.SUPERVISOR, Scope.ANY, hash_token("ann"))


def test_an_act_is_repeated_after_a_deadlock(acts: Acts) -> None:
    """It has surely not happened; its key is taken anew, and it is entered and hinted once."""
    acts.deadlocks = 2
    assert acts.post("front", "k-1").status_code == 200
    assert acts.works == 3
    assert len(acts.audit()) == 1
    assert acts.hinted == [Step.DISTRIBUTE]


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\u00e9", "a\tb"])
def test_a_key_is_printable_ascii(acts: Acts, key: str) -> None:
    """1 to 255 characters of it."""
    headers = {b"authorization": f"Bearer {SERVICE_TOKEN}".encode(), b"idempotency-key": key.encode("latin-1")}
    refused = httpx.post(f"{acts.base_url}/desks/1", json={"name": "x"}, headers=headers, trust_env=False)
    assert (refused.status_code, problem_of(refused)["reason"]) == (422, "bad_idempotency_key")
    assert acts.works == 0


def test_the_longest_key_is_taken(acts: Acts) -> None:
    """With every printable character in it."""
    key = "".join(map(chr, range(0x21, 0x7F)))
    longest = key + "k" * (255 - len(key))
    assert [REPLAYED in acts.post("front", longest).headers for _ in range(2)] == [False, True]


def test_nobody_without_a_token_is_told_of_his_key(acts: Acts) -> None:
    """401 comes first."""
    assert acts.post("front", "", token="nobody's").status_code == 401


def test_keys_are_forgotten_after_a_day(acts: Acts) -> None:
    """The oldest first, some at a time; afterwards the key is free."""
    for number in range(4):
        acts.post(f"desk {number}", f"k-{number}")
    its_id = "(result ->> 'department_id')::int"
    old = f"UPDATE idempotency_keys SET at = now() - interval '25 hours' - {its_id} * interval '1 hour'"
    acts.rows(f"{old} WHERE {its_id} <> 1 RETURNING key")
    with Database(DatabaseOptions(acts.url, "test")) as database:
        forgotten = []
        for _ in range(3):
            with database.transaction() as connection:
                forgotten.append(idempotency.forget(connection, 24, 2))
    assert forgotten == [2, 1, 0]
    assert acts.rows("SELECT result FROM idempotency_keys") == [({"department_id": 1},)]
    assert REPLAYED in acts.post("desk 0", "k-0").headers
    assert REPLAYED not in acts.post("desk 9", "k-1").headers

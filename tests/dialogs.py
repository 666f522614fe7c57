"""A desk for tests of the life of dialogs: who does what over the API, and clocks that the test turns by hand."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import httpx
import pytest

from config.topology import Step
from crm_store import desks
from crm_store.database import DatabaseOptions, Session
from crm_store.desks import RosterMember
from tests.desks import SERVICE_TOKEN, Desk, problem_of
from worker.presence_watch import PresenceWatch
from worker.timers import work_off

SERVICE = "service"


class Logged(NamedTuple):
    """An event of a dialog; operators by name."""

    actor: str
    cause: str
    was: str | None
    became: str
    was_operator: str | None
    operator: str | None


class Decided(NamedTuple):
    """A decision record; the operator by name."""

    rule: str
    cause: str
    operator: str | None
    over_limit: bool


class DialogDesk(Desk):
    """See the module. Who acts is the name of an operator, or `service`."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.clock = Session(DatabaseOptions(self.url, "clock"))
        return self

    def __exit__(self, *_: object) -> None:
        self.clock.close()
        super().__exit__()

    # Acts

    def ask(self, who: str, act: str, dialog_id: int, key: str | None = None, **body: Any) -> httpx.Response:
        """Ask for an act."""
        client = self.with_token(SERVICE_TOKEN if who == SERVICE else f"token of {who}")
        headers = {} if key is None else {"idempotency-key": key}
        return client.post(f"/api/dialogs/{dialog_id}/{act}", json=body or None, headers=headers)

    def do(self, who: str, act: str, dialog_id: int, key: str | None = None, **body: Any) -> tuple[str, str | None]:
        """An act that is done; gives status and holder, as it answers."""
        response = self.ask(who, act, dialog_id, key, **body)
        assert response.status_code == 200, response.text
        shown = response.json()
        return shown["status"], shown["operator"] and shown["operator"]["name"]

    def refused(self, who: str, act: str, dialog_id: int, **body: Any) -> str:
        """The reason for which an act is refused; it has changed nothing."""
        before = self.rows("SELECT dialogs::text, (SELECT count(*) FROM events) FROM dialogs ORDER BY id")
        response = self.ask(who, act, dialog_id, **body)
        assert response.is_client_error, response.text
        assert self.rows("SELECT dialogs::text, (SELECT count(*) FROM events) FROM dialogs ORDER BY id") == before
        return str(problem_of(response)["reason"])

    def answer(self, who: str, dialog_id: int, text: str = "How can I help?") -> tuple[str, str | None]:
        """He answers the customer."""
        return self.do(who, "answer", dialog_id, text=text)

    # What is so

    def id_of(self, name: str) -> int:
        """An operator's."""
        return int(self.value("SELECT id FROM operators WHERE name = %s", name))

    def status(self, dialog_id: int) -> tuple[str, str | None]:
        """Status and holder."""
        found = self.rows(
            "SELECT status::text, name FROM dialogs LEFT JOIN operators ON operators.id = operator_id "
            "WHERE dialogs.id = %s",
            dialog_id,
        )
        return found[0][0], found[0][1]

    def holder(self, dialog_id: int) -> str | None:
        """Who has it."""
        return self.status(dialog_id)[1]

    def marks(self, dialog_id: int) -> set[str]:
        """S1, D7: those that it bears."""
        row = self.rows(
            "SELECT pinned, spam, over_limit, unanswered_at IS NOT NULL FROM dialogs WHERE id = %s", dialog_id
        )[0]
        return {mark for mark, there in zip(("pinned", "spam", "over_limit", "unanswered"), row, strict=True) if there}

    def log(self, dialog_id: int) -> list[Logged]:
        """Its events, in order. `operator:ID` is said by name."""
        rows = self.rows(
            "SELECT actor, cause, was::text, became::text, had.name, has.name FROM events "
            "LEFT JOIN operators AS had ON had.id = was_operator_id LEFT JOIN operators AS has ON has.id = operator_id "
            "WHERE dialog_id = %s ORDER BY events.id",
            dialog_id,
        )
        names = {f"operator:{operator_id}": name for operator_id, name in self.rows("SELECT id, name FROM operators")}
        return [Logged(names.get(actor, actor), *rest) for actor, *rest in rows]

    def causes(self, dialog_id: int) -> list[str]:
        """Of its events, in order."""
        return [event.cause for event in self.log(dialog_id)]

    def decisions(self, dialog_id: int) -> list[Decided]:
        """Its decision records, in order."""
        return [
            Decided(*row)
            for row in self.rows(
                "SELECT rule, cause, name, over_limit FROM decisions LEFT JOIN operators ON operators.id = operator_id "
                "WHERE dialog_id = %s ORDER BY decisions.id",
                dialog_id,
            )
        ]

    def told(self, dialog_id: int) -> list[str]:
        """What the system has told the customer in it, in order."""
        return [
            text
            for (text,) in self.rows(
                "SELECT text FROM messages WHERE dialog_id = %s AND direction = 'out' AND operator_id IS NULL "
                "ORDER BY seq",
                dialog_id,
            )
        ]

    def is_tried(self, open_channel_id: int) -> bool:
        """Whether its backlog is due (D8)."""
        query = "SELECT count(*) FROM timers WHERE kind = 'backlog' AND due_at <= now() AND open_channel_id = %s"
        return bool(self.value(query, open_channel_id))

    def responsible(self, dialog_id: int) -> str | None:
        """For the dialog's deal, or else its card."""
        return str(
            self.value(
                "SELECT operators.name FROM dialogs "
                "JOIN cards ON cards.id = coalesce(dialogs.deal_id, dialogs.card_id) "
                "LEFT JOIN operators ON operators.id = cards.responsible_id WHERE dialogs.id = %s",
                dialog_id,
            )
        )

    # Time, and what comes and goes

    def clocks(self, dialog_id: int) -> dict[str, int]:
        """Its clocks, and in how many seconds each is due."""
        return dict(
            self.rows(
                "SELECT kind, round(extract(epoch FROM due_at - now()), -1)::int FROM timers WHERE dialog_id = %s",
                dialog_id,
            )
        )

    def run_out(self, *dialog_ids: int) -> None:
        """Time passes for these dialogs: all their clocks are due."""
        self.rows("UPDATE timers SET due_at = now() - interval '1 second' WHERE dialog_id = ANY(%s)", [*dialog_ids])

    def work_off(self) -> set[Step]:
        """One look of the clock at what is due; returns what it hints."""
        return work_off(self.clock)

    def after(self, *dialog_ids: int) -> None:
        """The clocks of these dialogs run out and go off, and what is due then is distributed."""
        self.run_out(*dialog_ids)
        self.work_off()
        self.drain()

    def watch(self) -> None:
        """One look of the clock at who is there, and what is due then is distributed."""
        PresenceWatch(self.clock).look()
        self.drain()

    def come(self, name: str) -> None:
        """He goes online, and what waits is tried."""
        self.act(name, "/api/operator/online")
        self.drain()

    def roster(self, open_channel_id: int, *operator_ids: int) -> None:
        """Replace a roster, and try what waits."""
        with self._database.transaction() as connection:
            desks.put_roster(connection, open_channel_id, [RosterMember(operator_id=one) for one in operator_ids])
        self.drain()


@pytest.fixture
def desk(database_url: str) -> Iterator[DialogDesk]:
    """A desk with the API in front of it and a clock."""
    with DialogDesk(database_url) as made:
        yield made

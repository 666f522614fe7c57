"""The pipeline in this process: a desk, messages in its inbox, and the steps run by hand on a real PostgreSQL."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import psycopg

from config.topology import INBOX_STEPS, Step
from crm_store import desks, dialogs, inbox, ledger
from crm_store.database import DatabaseOptions, Session
from crm_store.desks import RosterMember
from crm_store.inbox import NewItem
from crm_store.ledger import Ledger
from crm_store.secrets import SecretBox, hash_token
from ingest.adapters.base import ParsedEvent
from ingest.items import as_item
from tests.webhooks import channel as test_channel
from tracker.channels import Channel, OpenChannelSettings
from tracker.identifiers import Identifier, messenger
from tracker.messages import InboundMessage, MessageKind
from worker.handlers import BESIDES, HANDLERS
from worker.hints import Hints
from worker.runner import Handler, Limits, StepRunner, Workplace, nothing_besides

BOX = SecretBox("b3BlbmNoYW5uZWwtdGVzdHMtMzItYnl0ZXMtbG9uZyE=")
MOST_ROUNDS = 10_000

_numbers = itertools.count(1)
_workers = itertools.count(1)


class RecordingHints(Hints):
    """Hints that reach no broker; `published` is what would have been sent, `queued` what the task queues hold."""

    def __init__(self) -> None:
        self.published: list[tuple[Step, list[Any], int]] = []
        self.queued: dict[Step, int] = {}

    def publish(self, step: Step, items: Sequence[Any] = (), tries: int = 0) -> bool:
        """Note it."""
        self.published.append((step, list(items), tries))
        return True

    def publish_news(self, step: Step, items: Sequence[int]) -> bool:
        """Note each, whatever is queued."""
        return self.publish(step, items)

    def depths(self, steps: Sequence[Step]) -> dict[Step, int]:
        """As the test has set them; empty by default."""
        return {step: self.queued.get(step, 0) for step in steps}

    def of(self, step: Step) -> list[list[Any]]:
        """The items of each hint for this step."""
        return [items for hinted, items, _ in self.published if hinted is step]


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker of a test: its sessions and its runners, driven by hand."""

    name: str
    session: Session
    witness: Session
    hints: RecordingHints
    runners: Mapping[Step, StepRunner]

    def run(self, step: Step, named: Collection[int] = (), carried: Mapping[int, str] | None = None) -> None:
        """One task of this step."""
        self.runners[step].run(named, carried or {})

    def backend_pid(self) -> int:
        """The server process of its working session."""
        with self.session.connection() as connection:
            return connection.info.backend_pid

    def close(self) -> None:
        """End both sessions, as the end of its process would."""
        self.session.close()
        self.witness.close()


class Desk:
    """Open channels, operators and messages in one database. Use it as a context."""

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self.options = DatabaseOptions(database_url, "test", by_index=True)
        self.session = Session(self.options)
        self.channels: dict[str, Channel] = {}
        self._workers: list[Worker] = []
        self._looking = psycopg.connect(database_url, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.close()
        self._looking.close()
        self.session.close()

    # What there is

    def open_channel(
        self,
        name: str,
        kinds: Iterable[str],
        operators: Sequence[int] = (),
        *,
        prefix: str = "",
        config: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> int:
        """Make an open channel with a roster, and channels of these kinds with `prefix + kind` as keys."""
        with self.session.transaction() as connection:
            open_channel_id = desks.put_open_channel(connection, name, OpenChannelSettings(**settings))
            for kind in kinds:
                made = test_channel(kind, open_channel_id, key=prefix + kind, config=config)
                desks.put_channel(connection, made, BOX)
            desks.put_roster(connection, open_channel_id, [RosterMember(operator_id=o) for o in operators])
            self.channels = {channel.key: channel for channel in desks.read_channels(connection, BOX)}
        return open_channel_id

    def operator(self, name: str, *, online: bool = True, personal_limit: int | None = None) -> int:
        """Make an operator."""
        with self.session.transaction() as connection:
            operator_id = desks.put_operator(connection, name, hash_token(name), personal_limit)
            desks.set_online(connection, operator_id, online=online)
        return operator_id

    def close_dialogs(self) -> None:
        """All open dialogs are over."""
        with self.session.transaction() as connection:
            for (dialog_id,) in connection.execute("SELECT id FROM dialogs WHERE status <> 'closed'").fetchall():
                dialogs.lock(connection, dialog_id)
                dialogs.close(connection, [dialog_id])

    # What comes in

    def item(self, message: InboundMessage) -> NewItem:
        """The inbox item of a message."""
        event = ParsedEvent(raw=message.key.encode(), message=message)
        return as_item(event, self.channels[message.channel], "{}", message.received_at, BOX)

    def accept(self, *messages: InboundMessage) -> list[int]:
        """Accept new messages in one commit; returns their inbox ids."""
        with self.session.transaction() as connection:
            ids = inbox.accept(connection, [self.item(message) for message in messages], datetime.now(UTC).date())
        assert None not in ids, "accepted before"
        return [inbox_id for inbox_id in ids if inbox_id is not None]

    # What works

    def worker(self, handlers: Mapping[Step, Handler] | None = None, limits: Limits | None = None) -> Worker:
        """A worker with all steps; `handlers` replaces some of them."""
        name = f"worker-{next(_workers)}"
        session, witness, hints = Session(self.options), Session(self.options), RecordingHints()
        workplace = Workplace(name, session, witness, hints, limits or Limits())
        runners = {
            step: StepRunner(step, handler, workplace, BESIDES.get(step, nothing_besides))
            for step, handler in {**HANDLERS, **(handlers or {})}.items()
        }
        worker = Worker(name, session, witness, hints, runners)
        self._workers.append(worker)
        return worker

    def run_through(self, *messages: InboundMessage, worker: Worker | None = None) -> list[int]:
        """Accept messages and take everything that is due through all steps; returns their inbox ids."""
        ids = self.accept(*messages) if messages else []
        drain(self, worker or self.worker())
        return ids

    # What is to be seen

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._looking.execute(query, parameters).fetchall()

    def value(self, query: str, *parameters: Any) -> Any:
        """The only value of a query."""
        ((value,),) = self.rows(query, *parameters)
        return value

    def execute(self, query: str, *parameters: Any) -> None:
        """Change something past the product."""
        self._looking.execute(query, parameters)

    def stages(self) -> dict[str, int]:
        """How many items stand where."""
        return dict(self.rows("SELECT stage::text, count(*) FROM inbox_state GROUP BY stage"))

    def blocked_sessions(self) -> int:
        """How many sessions wait for somebody's lock in this database."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return int(self.value(query))

    def ledger(self) -> Ledger:
        """The ledger, which balances."""
        with self.session.transaction() as connection:
            read = ledger.read(connection)
        assert read.balances, read
        return read

    def make_due(self) -> None:
        """Time passes: everything that waits for its time is due now."""
        self.execute("UPDATE inbox_state SET due_at = now() - interval '1 second' WHERE stage < 'done'")
        self.execute("UPDATE outbox SET due_at = now() - interval '1 second' WHERE state = 'pending'")
        self.execute("UPDATE timers SET due_at = now() - interval '1 second'")


def drain(desk: Desk, worker: Worker, steps: Sequence[Step] = INBOX_STEPS) -> None:
    """Run these steps until none of their due items moves any more."""
    for step in steps:
        for _ in range(MOST_ROUNDS):
            due = "SELECT count(*) FROM inbox_state WHERE stage = %s AND due_at <= clock_timestamp()"
            if desk.value(due, step.value) == 0:
                break
            worker.run(step)
        else:
            raise AssertionError(f"{step} does not come to an end")


def text_message(
    key: str,
    chat: int | str,
    text: str,
    *,
    name: str = "",
    kind: MessageKind = MessageKind.TEXT,
    identifiers: Sequence[Identifier] | None = None,
    **fields: Any,
) -> InboundMessage:
    """A message of the customer `chat` on the channel `key`; by default the channel proves his messenger id."""
    now = datetime.now(UTC)
    external_id = fields.pop("external_id", f"{next(_numbers)}")
    return InboundMessage(
        channel=key,
        kind=kind,
        external_id=external_id,
        key=fields.pop("dedup", f"{kind}:{external_id}"),
        chat_id=str(chat),
        customer_id=str(chat),
        name=name,
        text=text,
        identifiers=tuple([messenger(key, str(chat))] if identifiers is None else identifiers),
        sent_at=now,
        received_at=now,
        **fields,
    )

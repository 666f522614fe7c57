"""The product's own answer: messages accepted into an empty database and taken through its real steps, to the card."""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from config.topology import Step
from crm_store import desks, inbox, scratch
from crm_store.database import DatabaseOptions, Session
from crm_store.inbox import NewItem
from crm_store.secrets import SecretBox
from ingest.adapters.base import ParsedEvent
from ingest.items import as_item
from loadgen.evaluation.said import EVERYWHERE, WITHOUT_MESSENGER_ID, Given, Message, kind_of, region_of
from tracker.channels import Channel, OpenChannelSettings
from tracker.identifiers import Evidence, Identifier, email, messenger, phone, phone_from_digits
from tracker.messages import InboundMessage, MessageKind
from worker.handlers import HANDLERS
from worker.hints import Hints
from worker.runner import Limits, StepRunner, Workplace

STEPS = (Step.CRM_LOOKUP, Step.BIND_CHAT, Step.ENSURE_CARD)
BATCH = 500
STATISTICS_AFTER = (1_000, 10_000, 50_000)
"""Messages after which the database looks at its tables: it has grown tenfold."""

MOST_ROUNDS = 50
"""Of a step on one batch; each takes what the one before it left."""


class _NoHints(Hints):
    """The steps are run by hand, one after the other."""

    def __init__(self) -> None:
        """Nobody is told anything."""

    def publish(self, step: Step, items: Sequence[object] = (), tries: int = 0) -> bool:  # noqa: ARG002
        """As if the broker took it."""
        return True

    def publish_news(self, step: Step, items: Sequence[int]) -> bool:
        """The same."""
        return self.publish(step, items)

    def depths(self, steps: Sequence[Step]) -> dict[Step, int]:
        """As if something were queued, so that nothing more is."""
        return dict.fromkeys(steps, 1)


@dataclass(frozen=True, slots=True)
class _Desk:
    """channels: by the evaluation's name of them."""

    box: SecretBox
    channels: dict[str, Channel]


def cards_of(
    options: DatabaseOptions, messages: Sequence[Message], progress: Callable[[int], None], batch: int = BATCH
) -> dict[tuple[str, str], int]:
    """The live card of each chat, after all messages.

    options: of an empty, migrated database. progress: is told how many messages are through.
    Raises UnfinishedError if the steps do not take all of them.
    """
    session, witness = Session(options, asynchronous_commit=True), Session(options, asynchronous_commit=True)
    try:
        desk = _set_up(session, messages)
        workplace = Workplace("evaluation", session, witness, _NoHints(), Limits(batch=batch))
        runners = [(step, StepRunner(step, HANDLERS[step], workplace)) for step in STEPS]
        done = 0
        for part in _parts(messages, batch):
            ids = _accept(session, desk, part, done)
            for step, runner in runners:
                _run(session, step, runner, ids)
            if any(done < after <= done + len(part) for after in STATISTICS_AFTER):
                with session.connection() as connection:
                    scratch.refresh_statistics(connection)
            done += len(part)
            progress(done)
        return _answer(session, desk)
    finally:
        session.close()
        witness.close()


def _parts(messages: Sequence[Message], size: int) -> Iterator[Sequence[Message]]:
    return (messages[at : at + size] for at in range(0, len(messages), size))


def _set_up(session: Session, messages: Sequence[Message]) -> _Desk:
    """A channel for each that occurs. An open channel has one of a kind, so the n-th of each kind share the n-th."""
    box = SecretBox(urlsafe_b64encode(secrets.token_bytes(32)).decode())
    names = sorted({message.channel for message in messages})
    of_kind: dict[str, int] = {}
    with session.transaction() as connection:
        for name in names:
            kind = kind_of(name)
            of_kind[kind] = of_kind.get(kind, 0) + 1
            desk = desks.put_open_channel(connection, f"Evaluation {of_kind[kind]}", OpenChannelSettings())
            channel = Channel(0, _key(name), kind, name, desk, region=region_of(name))
            desks.put_channel(connection, channel, box)
        by_key = {channel.key: channel for channel in desks.read_channels(connection, box)}
    return _Desk(box, {name: by_key[_key(name)] for name in names})


def _key(channel: str) -> str:
    return channel.replace("/", "-")


def _accept(session: Session, desk: _Desk, messages: Sequence[Message], done: int) -> list[int]:
    items = [_item(desk, message, done + number) for number, message in enumerate(messages)]
    with session.transaction() as connection:
        ids = inbox.accept(connection, items, messages[0].sent_at.date())
    return [inbox_id for inbox_id in ids if inbox_id is not None]


def _item(desk: _Desk, message: Message, number: int) -> NewItem:
    channel = desk.channels[message.channel]
    inbound = InboundMessage(
        channel=channel.key,
        kind=MessageKind.TEXT,
        external_id=str(number),
        key=str(number),
        chat_id=message.chat,
        customer_id="" if message.kind in WITHOUT_MESSENGER_ID else message.chat,
        name=message.name,
        text=message.text,
        identifiers=tuple(_identifiers(message, channel)),
        sent_at=message.sent_at,
        received_at=message.sent_at,
    )
    return as_item(ParsedEvent(str(number).encode(), inbound), channel, "{}", message.sent_at, desk.box)


def _identifiers(message: Message, channel: Channel) -> Iterator[Identifier]:
    """What the adapters would have made of what the channel says."""
    if message.kind not in WITHOUT_MESSENGER_ID:
        yield messenger(message.kind if message.kind in EVERYWHERE else message.channel, message.chat)
    for given in message.identity:
        identifier = _identifier(given, channel.region)
        if identifier is not None:
            yield identifier


def _identifier(given: Given, region: str | None) -> Identifier | None:
    evidence = Evidence(given.evidence)
    if given.kind == "email":
        return email(given.value, evidence)
    if evidence is Evidence.PROVEN:
        return phone_from_digits(given.value, evidence)
    return phone(given.value, evidence, region)


def _run(session: Session, step: Step, runner: StepRunner, named: Sequence[int]) -> None:
    for _ in range(MOST_ROUNDS):
        runner.run(named, {})
        with session.connection() as connection:
            if step not in inbox.oldest_due(connection):
                scratch.check_passed(connection, step)
                return
            named = ()
    raise scratch.UnfinishedError(f"{step} does not come to an end")


def _answer(session: Session, desk: _Desk) -> dict[tuple[str, str], int]:
    names = {channel.key: name for name, channel in desk.channels.items()}
    with session.connection() as connection:
        cards = scratch.cards_of_chats(connection)
    return {(names[key], chat): card_id for (key, chat), card_id in cards.items()}

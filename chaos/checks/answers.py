"""Answers: each that was acknowledged is in the history once, and each in the history has arrived once in effect."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chaos.channel_api import Arrival, ChannelApi
from chaos.checks.seen import Rows, told
from chaos.people import Act

SENT = frozenset({"sent", "delivered", "read"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A message of ours. key, state: of the outbox, None where it is not there. operator: name, None for the system."""

    chat_id: int
    seq: int
    address: str
    text: str
    dialog_id: int | None
    operator: str | None
    key: str | None
    state: str | None


_ANSWERS = """
    SELECT
        messages.chat_id, messages.seq, chats.external_id, messages.text, messages.dialog_id, operators.name,
        outbox.idempotency_key::text, outbox.state
    FROM messages
    LEFT JOIN chats ON chats.id = messages.chat_id
    LEFT JOIN operators ON operators.id = messages.operator_id
    LEFT JOIN outbox ON outbox.chat_id = messages.chat_id AND outbox.seq = messages.seq
    WHERE messages.direction = 'out' ORDER BY messages.chat_id, messages.seq
"""

_WITHOUT_MESSAGE = """
    SELECT outbox.idempotency_key::text FROM outbox
    LEFT JOIN messages ON messages.chat_id = outbox.chat_id AND messages.seq = outbox.seq AND direction = 'out'
    WHERE messages.seq IS NULL
"""

_DONE = """
    SELECT operators.name, events.dialog_id, events.cause, count(*)
    FROM events JOIN operators ON events.actor = 'operator:' || operators.id
    WHERE events.cause IN ('accept', 'answer', 'close', 'skip') GROUP BY 1, 2, 3
"""


def read(rows: Rows) -> list[Answer]:
    """All messages of ours, by chat and in its order."""
    return [Answer(*row) for row in rows(_ANSWERS)]


def without_message(rows: Rows) -> Iterator[str]:
    """What is to be sent stands in a history."""
    yield from told("in the outbox, and in no history", [key for (key,) in rows(_WITHOUT_MESSAGE)])


def acknowledged(answers: Sequence[Answer], acts: Sequence[Act]) -> Iterator[str]:
    """An answer that was acknowledged is in its history once, another at most once, a refused one not at all."""
    found = Counter((one.operator, one.dialog_id, one.text) for one in answers if one.operator is not None)
    wanted = {(act.operator, act.dialog_id, act.text): act for act in acts if act.kind == "answer"}
    yield from told(
        "answers that were acknowledged, and are in no history",
        [act.text for its, act in wanted.items() if act.acknowledged and not found[its]],
    )
    yield from told(
        "answers that were refused at once, and are in a history",
        [act.text for its, act in wanted.items() if act.status >= 400 and act.tries == 1 and found[its]],
    )
    yield from told("answers more than once in the history", [text for (_, _, text), n in found.items() if n > 1])
    yield from told("answers that nobody wrote", [its for its in found if its not in wanted])
    odd = [f"{act.kind} in dialog {act.dialog_id}: {act.status}" for act in acts if act.status in (400, 401, 422)]
    yield from told("acts that were answered as if they were malformed", odd)
    silent = [f"{act.kind} in dialog {act.dialog_id}" for act in acts if act.status == 0]
    yield from told("acts that nobody has answered, although all was healed", silent)


def done_once(acts: Sequence[Act], rows: Rows) -> Iterator[str]:
    """Each act that was acknowledged has happened once, and as many more at most as nobody knows about."""
    done = Counter({(operator, dialog_id, kind): n for operator, dialog_id, kind, n in rows(_DONE)})
    least = Counter(_of(act) for act in acts if act.acknowledged)
    most = least + Counter(_of(act) for act in acts if act.is_uncertain)
    # Answering what was assigned accepts it (D5).
    most += Counter(
        (operator, dialog_id, "accept") for operator, dialog_id, kind in most.elements() if kind == "answer"
    )
    yield from told(
        "acts that were acknowledged, and have not happened", [of for of, n in least.items() if done[of] < n]
    )
    yield from told("acts that have happened more often than they were asked for", [*(done - most)])


def _of(act: Act) -> tuple[str, int, str]:
    return act.operator, act.dialog_id, act.kind


def sent(answers: Sequence[Answer], api: ChannelApi) -> Iterator[str]:
    """Each answer of the histories has reached the receiver under its id, with one body, and was taken there."""
    yield from told("answers that are in no outbox", [_place(one) for one in answers if one.key is None])
    unsent = [f"{one.key} ({one.state})" for one in answers if one.key is not None and one.state not in SENT]
    yield from told("answers that are not sent", unsent)
    keys = {one.key: one for one in answers if one.key is not None}
    arrivals = dict(api.arrivals)
    never = [key for key, one in keys.items() if one.state in SENT and not _taken(arrivals.get(key))]
    yield from told("answers that count as sent, and were never taken by the receiver", never)
    yield from told("arrived, and never written", [key for key in arrivals if key not in keys])
    yield from told("came again with another body", [key for key, arrival in arrivals.items() if arrival.changed])
    other = [
        key
        for key, one in keys.items()
        if key in arrivals and (arrivals[key].text, arrivals[key].chat) != (one.text, one.address)
    ]
    yield from told("arrived with another text, or in another chat, than was written", other)
    if api.unproved:
        yield f"deliveries whose signature is not ours: {api.unproved}"


def in_order(answers: Sequence[Answer], api: ChannelApi) -> Iterator[str]:
    """The answers of a chat have first arrived in the order of its history."""
    arrivals = dict(api.arrivals)
    places: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for one in answers:
        if one.key is not None and one.key in arrivals:
            places[one.chat_id].append((arrivals[one.key].place, one.key))
    overtaken = [key for chat in places.values() for (before, _), (place, key) in pairwise(chat) if place < before]
    yield from told("arrived before an answer that precedes it in its chat", overtaken)


def _taken(arrival: Arrival | None) -> bool:
    return arrival is not None and arrival.accepted > 0


def _place(answer: Answer) -> str:
    return f"{answer.address} {answer.seq}"

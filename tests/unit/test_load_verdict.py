"""The verdict: a desk that does all as it must is passed, and each thing that it can do wrong is found by name."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from loadgen.driving.driver import Sent
from loadgen.operators import Acts
from loadgen.streams.making import make_stream
from loadgen.streams.stream import Stream
from loadgen.verdict.judge import judge
from loadgen.verdict.seen import Event, Seen, SeenChat
from loadgen.verdict.truth import truth_of
from tests.loads import right, sent_at_once

pytestmark = pytest.mark.unit

STREAM = make_stream(5, "poison", 40, 14)
RIGHT = right(STREAM)
ACTS = Acts(accepted=2, answered=1, closed=1)


def findings(seen: Seen, sent: Sent | None = None, stream: Stream = STREAM) -> dict[str, int]:
    """How many were found of what was found at all."""
    verdict = judge(truth_of(stream, sent or sent_at_once(stream)), ACTS, seen)
    assert verdict.balances is not any(finding.n for finding in verdict.findings)
    for finding in verdict.findings:
        assert len(finding.examples) == min(finding.n, 5)
    return {finding.name: finding.n for finding in verdict.findings if finding.n}


@pytest.mark.parametrize("profile", ["steady", "poison", "hot-chat", "hot-open-channel", "retry-storm"])
def test_what_is_right_balances(profile: str) -> None:
    """Families are one card, edits are made, groups and bots make nothing, poison is dead: nothing is found."""
    stream = make_stream(7, profile, 30, 12)
    assert findings(right(stream), stream=stream) == {}


def test_what_was_looked_at_is_said() -> None:
    """A verdict over nothing would balance too: it says how many of each it has seen."""
    checked = judge(truth_of(STREAM, sent_at_once(STREAM)), ACTS, RIGHT).checked
    assert checked["messages"] == len(RIGHT.history)
    assert all(checked[name] > 0 for name in ("edits", "of groups and bots", "poison", "chats", "cards", "turns"))
    assert checked["cards"] < checked["chats"]


def an_item(seen: Seen, **fields: Any) -> int:
    """The place of an item of a customer's message, or of one with these fields."""
    wanted = {"stage": "done", "kind": "text", **fields}
    return next(at for at, one in enumerate(seen.items) if all(getattr(one, k) == v for k, v in wanted.items()))


def without(rows: Any, place: int) -> list[Any]:
    return [row for at, row in enumerate(rows) if at != place]


def changed(rows: Any, place: int, **fields: Any) -> list[Any]:
    return [replace(row, **fields) if at == place else row for at, row in enumerate(rows)]


def lose_item(seen: Seen) -> Seen:
    return replace(seen, items=without(seen.items, an_item(seen)))


def double_item(seen: Seen) -> Seen:
    return replace(seen, items=[*seen.items, replace(seen.items[an_item(seen)], id=999_999)])


def invent_item(seen: Seen) -> Seen:
    return replace(seen, items=[*seen.items, replace(seen.items[an_item(seen)], id=999_999, external_id="nobody's")])


def group_is_done(seen: Seen) -> Seen:
    return replace(seen, items=changed(seen.items, an_item(seen, stage="ignored"), stage="done"))


def message_is_pending(seen: Seen) -> Seen:
    ledger = {**seen.ledger, "pending": 1, "done": seen.ledger["done"] - 1}
    return replace(seen, items=changed(seen.items, an_item(seen), stage="bind_chat"), ledger=ledger)


def message_is_dead(seen: Seen) -> Seen:
    return replace(seen, items=changed(seen.items, an_item(seen), stage="dead"))


def poison_is_gone(seen: Seen) -> Seen:
    return replace(seen, items=without(seen.items, an_item(seen, stage="dead", kind=None)))


def ledger_forgets(seen: Seen) -> Seen:
    return replace(seen, ledger={**seen.ledger, "done": seen.ledger["done"] - 1})


def ledger_counts_twice(seen: Seen) -> Seen:
    more = {name: seen.ledger[name] + 1 for name in ("accepted", "done")}
    return replace(seen, ledger={**seen.ledger, **more})


def lose_entry(seen: Seen) -> Seen:
    return replace(seen, history=without(seen.history, 3))


def double_entry(seen: Seen) -> Seen:
    return replace(seen, history=[*seen.history, replace(seen.history[3], seq=999)])


def invent_entry(seen: Seen) -> Seen:
    return replace(seen, history=[*seen.history, replace(seen.history[3], seq=999, external_id="nobody's")])


def reorder(seen: Seen) -> Seen:
    """Two messages of a chat change places, the second of which was sent after the first was answered."""
    at = {name[1]: one.request.at for name, one in truth_of(STREAM, sent_at_once(STREAM)).readable.items()}
    place = next(
        n
        for n, (one, other) in enumerate(zip(seen.history, seen.history[1:], strict=False))
        if one.chat_id == other.chat_id and at[other.external_id] - at[one.external_id] > 0.1
    )
    history = list(seen.history)
    history[place], history[place + 1] = history[place + 1], history[place]
    return replace(seen, history=history)


def misplace_entry(seen: Seen) -> Seen:
    """A message is in another chat of the same channel."""
    key = seen.chats[seen.history[0].chat_id].channel_key
    other = next(c for c in seen.chats.values() if c.channel_key == key and c.id != seen.history[0].chat_id)
    return replace(seen, history=changed(seen.history, 0, chat_id=other.id))


def change_text(seen: Seen) -> Seen:
    return replace(seen, history=changed(seen.history, 3, text="something else"))


def forget_edit(seen: Seen) -> Seen:
    place = next(at for at, entry in enumerate(seen.history) if entry.edited)
    original = seen.history[place].text.removesuffix(" ✏️")
    return replace(seen, history=changed(seen.history, place, text=original, edited=False))


def of_two_cards(seen: Seen) -> tuple[SeenChat, SeenChat]:
    """Two chats that are on one card."""
    chats = list(seen.chats.values())
    return next((a, b) for a in chats for b in chats if a.id < b.id and a.card_id == b.card_id)


def split_card(seen: Seen) -> Seen:
    chat, _ = of_two_cards(seen)
    return replace(seen, chats={**seen.chats, chat.id: replace(chat, card_id=999_999)})


def merge_cards(seen: Seen) -> Seen:
    one, *others = seen.chats.values()
    other = next(chat for chat in others if chat.card_id != one.card_id)
    return replace(seen, chats={**seen.chats, other.id: replace(other, card_id=one.card_id)})


def forget_card(seen: Seen) -> Seen:
    chat = next(iter(seen.chats.values()))
    return replace(seen, chats={**seen.chats, chat.id: replace(chat, card_id=None)})


def chat_of_a_group(seen: Seen) -> Seen:
    return replace(seen, chats={**seen.chats, 999_999: SeenChat(999_999, "load-telegram", "-100500", 77_777)})


def forget_dialog(seen: Seen) -> Seen:
    return replace(seen, items=changed(seen.items, an_item(seen), dialog_id=None))


def give_two_more(seen: Seen) -> Seen:
    more = [Event(900_000 + n, 800_000 + n, 1, "D2", "assigned", None, 1) for n in range(2)]
    return replace(seen, events=[*seen.events, *more])


def pass_limit(seen: Seen) -> Seen:
    more = [Event(900_000 + n, 800_000 + n, 2, "D3", "assigned", None, 7) for n in range(9)]
    return replace(seen, events=[*seen.events, *more])


def forget_answer(seen: Seen) -> Seen:
    return replace(seen, events=[event for event in seen.events if event.cause != "answer"])


def answer_twice(seen: Seen) -> Seen:
    answers = [replace(event, id=900_000) for event in seen.events if event.cause == "answer"]
    return replace(seen, events=[*seen.events, *answers])


WRONG: tuple[tuple[Callable[[Seen], Seen], str], ...] = (
    (lose_item, "answered 2xx and not in the inbox"),
    (double_item, "more than once in the inbox"),
    (invent_item, "in the inbox and never sent"),
    (group_is_done, "not at its end, or at a wrong one"),
    (message_is_pending, "not at its end, or at a wrong one"),
    (message_is_pending, "the ledger does not balance"),
    (message_is_dead, "dead letters that are not the poison"),
    (poison_is_gone, "dead letters that are not the poison"),
    (ledger_forgets, "the ledger does not balance"),
    (ledger_counts_twice, "the ledger does not balance"),
    (lose_entry, "lost: answered 2xx and in no history"),
    (double_entry, "doubled: more than once in a history"),
    (invent_entry, "in a history and never sent"),
    (reorder, "reordered within a chat"),
    (misplace_entry, "in the history of another chat"),
    (change_text, "texts that are not as they were written"),
    (forget_edit, "texts that are not as they were written"),
    (split_card, "duplicate cards"),
    (merge_cards, "wrong merges"),
    (forget_card, "chats without a card"),
    (chat_of_a_group, "chats of bots, groups or nobody"),
    (forget_dialog, "messages without a dialog"),
    (give_two_more, "unfair: turns that differ by more than one"),
    (pass_limit, "limits that were passed"),
    (forget_answer, "operators' acts that were acknowledged and not done"),
    (answer_twice, "operators' answers that were given twice"),
)


@pytest.mark.parametrize(("spoil", "name"), WRONG, ids=[f"{spoil.__name__}-{name[:12]}" for spoil, name in WRONG])
def test_what_is_wrong_is_found(spoil: Callable[[Seen], Seen], name: str) -> None:
    """Each mutation of what the desk shows is found under its name."""
    assert findings(spoil(RIGHT))[name] >= 1


def test_each_finding_has_a_mutation() -> None:
    """Nothing is looked for that no test has seen found."""
    names = {finding.name for finding in judge(truth_of(STREAM, sent_at_once(STREAM)), ACTS, RIGHT).findings}
    assert names == {name for _, name in WRONG} | {"refused or never answered"}


def test_what_is_never_answered_is_found() -> None:
    """A refused request is no loss, as its provider knows; but a good one must not be refused."""
    sent = sent_at_once(STREAM)
    number = next(n for n, one in enumerate(STREAM.requests) if not one.trouble and n > 100)
    sent.status[number] = 401
    found = findings(RIGHT, sent)
    assert found["refused or never answered"] == 1


def test_an_edit_that_overtook_its_message_may_do_nothing() -> None:
    """Only where the message was answered before the edit was sent must the text be the new one."""
    sent = sent_at_once(STREAM)
    edits = next(entry.external_id for entry in RIGHT.history if entry.edited)
    sent.answered = [
        math.inf if one.meaning.message == edits and not one.meaning.edits else at
        for one, at in zip(STREAM.requests, sent.answered, strict=True)
    ]
    assert "texts that are not as they were written" not in findings(forget_edit(RIGHT), sent)


def test_messages_that_were_under_way_together_may_stand_in_any_order() -> None:
    """No answer preceded the other's sending: nobody can say which was first."""
    sent = sent_at_once(STREAM)
    sent.answered = [1e9] * len(sent.answered)
    assert findings(reorder(RIGHT), sent) == {}


def test_fairness_is_not_judged_where_somebody_came_or_went() -> None:
    """D13 speaks of the same people throughout; the verdict then says that it has seen no turns."""
    middle = RIGHT.events[len(RIGHT.events) // 2]
    gone = Event(middle.id, None, None, "presence", None, None, 2)
    seen = give_two_more(RIGHT)
    seen = replace(seen, events=[*seen.events[: middle.id], gone, *seen.events[middle.id :]])
    verdict = judge(truth_of(STREAM, sent_at_once(STREAM)), ACTS, seen)
    assert verdict.balances
    assert verdict.checked["turns"] == 0


def test_a_limit_may_be_passed_by_a_person() -> None:
    """D7: a take or a transfer may; a closed dialog counts no more."""
    taken = [replace(event, cause="take") for event in pass_limit(RIGHT).events[len(RIGHT.events) :]]
    assert findings(replace(RIGHT, events=[*RIGHT.events, *taken])) == {}
    held = [one for one in RIGHT.events if one.operator_id == 7 and one.cause == "D3"]
    closed = [Event(700_000 + n, one.dialog_id, 2, "close", "closed", 7, 7) for n, one in enumerate(held)]
    more = pass_limit(RIGHT).events[len(RIGHT.events) :][:8]
    assert findings(replace(RIGHT, events=[*RIGHT.events, *closed, *more])) == {}

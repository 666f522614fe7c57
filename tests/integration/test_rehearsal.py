"""Dry runs of replays: what they tell is what a replay then does, and they change nothing."""

from collections.abc import Iterator, Sequence

import pytest

from config.masking import MASK
from config.topology import Step
from crm_store.database import Connection, Database
from crm_store.inbox import ClaimedItem
from tests.pipeline import BOX, Desk, drain, text_message
from tests.replays import Broken, Engine, accept_event, ask, die, events_of, letters, slice_of, unreadable
from tracker.identifiers import Evidence, phone
from worker import rehearsal
from worker.handlers import HANDLERS
from worker.rehearsal import Ending, Rehearsed, rehearse
from worker.runner import Carried, Outcome

pytestmark = pytest.mark.integration

STEP = Step.BIND_CHAT
NOBODY = "nobody is there now"


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """An open channel with somebody to serve it."""
    with Desk(database_url) as made:
        operators = [made.operator("ann")]
        made.open_channel("desk", ["telegram", "whatsapp", "custom"], operators, nobody_available_text=NOBODY)
        yield made


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes its time: no letter is left out for that."""
    monkeypatch.setattr(rehearsal, "CHAT_SECONDS", 60.0)


def dry_run(desk: Desk, letter_ids: Sequence[int] | None = None) -> list[Rehearsed]:
    """A dry run of these letters, or of all; every row of every table is as before."""
    chosen = letters(desk) if letter_ids is None else letter_ids
    before = everything(desk)
    with Database(desk.options) as database:
        found = rehearse(database, BOX, chosen)
    assert everything(desk) == before
    assert [one.letter_id for one in found] == list(chosen)
    return found


def everything(desk: Desk) -> dict[str, str]:
    """A digest of each table's rows."""
    tables = [row[0] for row in desk.rows("SELECT relname FROM pg_stat_user_tables ORDER BY 1")]
    digest = "SELECT coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '') FROM {} AS t"
    assert len(tables) > 30
    return {table: desk.value(digest.format(f'"{table}"')) for table in tables}


def mended(desk: Desk, *chats: int | str) -> list[int]:
    """Letters that would go through now; returns their inbox ids."""
    return die(desk, Broken(STEP), *chats)


def test_it_tells_what_the_replay_then_does(desk: Desk) -> None:
    """A new card, a new dialog and its operator with the rule: as it comes, but for the numbers of what is new."""
    mended(desk, 1)
    (one,) = dry_run(desk)
    assert (one.ending, one.step, one.error) == (Ending.DONE, "", "")
    assert [(card.type, card.new) for card in one.cards] == [("lead", True)]
    assert one.dialog is not None
    assert one.dialog.operator is not None
    assert (one.dialog.status, one.dialog.operator.name, one.dialog.rule) == ("assigned", "ann", "D2")
    assert (one.dialog.new, one.dialog.open_channel.name, one.dialog.verdict) == (True, "desk", None)
    engine = Engine(desk)
    ask(desk)
    engine.finish(desk.worker())
    engine.close()
    told = "SELECT dialogs.status::text, operators.name FROM dialogs JOIN operators ON operators.id = operator_id"
    assert desk.rows(told) == [("assigned", "ann")]
    assert desk.rows("SELECT type::text FROM cards") == [("lead",)]


def test_a_known_customer_keeps_his_card_and_his_dialog(desk: Desk) -> None:
    """What is there is told from what would be made."""
    desk.run_through(text_message("telegram", 1, "hello"))
    mended(desk, 1)
    (one,) = dry_run(desk)
    assert one.dialog is not None
    assert [(card.id, card.new) for card in one.cards] == [(desk.value("SELECT id FROM cards"), False)]
    assert (one.dialog.id, one.dialog.new) == (desk.value("SELECT id FROM dialogs"), False)


def test_a_merge_is_told(desk: Desk) -> None:
    """T7: the younger card would point at the older one; now it does not."""
    proven = phone("+491712345678", Evidence.PROVEN)
    assert proven is not None
    desk.run_through(
        text_message("whatsapp", "491712345678", "hello", identifiers=[proven]), text_message("telegram", 1, "hi")
    )
    broken = Broken(STEP)
    desk.accept(text_message("telegram", 1, "poison, call +49 171 2345678"))
    drain(desk, broken.worker(desk, 0.0))
    (one,) = dry_run(desk)
    older, younger = (row[0] for row in desk.rows("SELECT id FROM cards ORDER BY id"))
    assert [(merge.loser_id, merge.survivor_id) for merge in one.merges] == [(younger, older)]
    assert [card.id for card in one.cards] == [older]


def test_without_anybody_it_says_why_and_what_the_customer_is_told(desk: Desk) -> None:
    """D8, A4: the backlog, who could not be given it, and the text that would go out."""
    desk.execute("UPDATE operators SET online = false")
    desk.execute("UPDATE timers SET due_at = now()")
    mended(desk, 1)
    (one,) = dry_run(desk)
    assert one.dialog is not None
    assert (one.dialog.status, one.dialog.operator) == ("queued", None)
    assert (one.dialog.verdict, one.dialog.obstacles) == ("nobody_available", {"offline": 1})
    assert one.texts == [NOBODY]
    assert desk.value("SELECT count(*) FROM outbox") == 0


@pytest.mark.parametrize("step", [Step.CRM_LOOKUP, Step.ENSURE_CARD, Step.DISTRIBUTE])
def test_what_would_fail_again_says_where_and_of_what(desk: Desk, monkeypatch: pytest.MonkeyPatch, step: Step) -> None:
    """Type and place of the error, without the customer's words; what earlier steps would do is told too."""
    mended(desk, 1)
    desk.execute("UPDATE inbox_state SET stage = 'dead'")
    desk.execute("UPDATE dead_letters SET step = 'crm_lookup'")

    def failing(_connection: Connection, *_: object) -> None:
        raise ValueError("'my secret wish', call +49 171 2345678")

    monkeypatch.setattr(rehearsal, "HANDLERS", {**HANDLERS, step: failing})
    (one,) = dry_run(desk)
    assert (one.ending, one.step, one.reason) == (Ending.FAILS, step, "value")
    assert one.error == f"ValueError: '{MASK}', call {MASK}"
    assert one.cause.startswith("ValueError@")
    assert bool(one.cards) is (step is Step.DISTRIBUTE), "ensure_card has made the card of it"


def test_what_has_killed_workers_is_not_tried_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the API this process serves all: it does not run what it would die of; what comes after it is told."""
    mended(desk, 1, 1)
    desk.execute("UPDATE dead_letters SET reason = 'worker_crashed' WHERE id = 1")
    ran: list[int] = []

    def deadly(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        ran.extend(item.inbox_id for item in items)
        return HANDLERS[STEP](connection, items, carried)

    monkeypatch.setattr(rehearsal, "HANDLERS", {**HANDLERS, STEP: deadly})
    deathly, other = dry_run(desk)
    assert (deathly.ending, deathly.step, deathly.reason) == (Ending.NOT_TRIED, STEP, "worker_crashed")
    assert other.ending is Ending.DONE
    assert ran == [2]


def test_letters_of_one_chat_see_each_others_effects(desk: Desk) -> None:
    """One card and one dialog for both, whose operator the second one finds already."""
    mended(desk, 1, 2, 1)
    first, other, second = dry_run(desk)
    assert first.dialog is not None
    assert second.dialog is not None
    assert other.dialog is not None
    assert (second.dialog.id, second.cards[0].id) == (first.dialog.id, first.cards[0].id)
    assert other.dialog.id != first.dialog.id
    assert second.dialog.new
    assert second.cards[0].new


def test_letters_that_were_never_read_are_grouped_by_their_chats(desk: Desk) -> None:
    """They have no chat yet, and yet they are of one; a known chat is locked as any other."""
    for text in ("one", "two"):
        unreadable(desk, slice_of(desk, "telegram", 7, text))
    unreadable(desk, b'{"no": "update"}')
    first, second, bad = dry_run(desk)
    assert first.dialog is not None
    assert second.dialog is not None
    assert first.dialog.id == second.dialog.id
    assert (bad.ending, bad.step, bad.reason) == (Ending.FAILS, "parse", "unparsable")
    assert "update_id" in bad.error


def test_what_was_done_in_fact_would_be_ignored(desk: Desk) -> None:
    """The unique key; and what is no dead letter any more is none."""
    event = events_of(desk, "telegram", 5, "hello")[0]
    unreadable(desk, event.raw)
    accept_event(desk, event, "telegram")
    drain(desk, desk.worker())
    (one,) = dry_run(desk)
    assert (one.ending, one.reason) == (Ending.IGNORED, "duplicate")
    assert [one.ending for one in dry_run(desk, [1, 99])] == [Ending.IGNORED, Ending.NOT_DEAD]


def test_a_delivery_is_told_without_its_words(desk: Desk) -> None:
    """By which channel; and how long the text is."""
    desk.run_through(text_message("custom", 1, "hello"))
    desk.execute(
        "INSERT INTO messages (chat_id, seq, direction, kind, text, dialog_id, sent_at, received_at) "
        "VALUES (1, 9, 'out', 'text', 'Dear Ann', 1, now(), now())"
    )
    desk.execute("INSERT INTO outbox (channel_id, chat_id, seq, state) SELECT channel_id, 1, 9, 'failed' FROM chats")
    desk.execute(
        "INSERT INTO dead_letters (outbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback) "
        "SELECT id, channel_id, 'deliver', 'timeout', 'timeout', 1, '', '' FROM outbox"
    )
    (one,) = dry_run(desk)
    assert (one.ending, one.channel_key, one.texts) == (Ending.SENT, "custom", [f"{MASK} (8 characters)"])


def test_what_others_have_at_the_moment_is_busy(desk: Desk) -> None:
    """A chat in a step's hands, an open channel in an act's: said so, and nobody is held up."""
    mended(desk, 1, 2)
    with desk.session.transaction() as connection:
        connection.execute("SELECT FROM chats WHERE external_id = '1' FOR NO KEY UPDATE")
        assert [one.ending for one in dry_run(desk)] == [Ending.BUSY, Ending.DONE]
    with desk.session.transaction() as connection:
        connection.execute("SELECT FROM open_channels FOR NO KEY UPDATE")
        found = dry_run(desk)
    assert [(one.ending, one.step) for one in found] == [(Ending.BUSY, "distribute")] * 2


def test_a_chat_is_not_held_for_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chat with many letters the first are shown, and the rest is left out."""
    mended(desk, 1, 1, 1, 2)
    monkeypatch.setattr(rehearsal, "CHAT_SECONDS", -1.0)
    assert [one.ending for one in dry_run(desk)] == [Ending.DONE, Ending.LEFT_OUT, Ending.LEFT_OUT, Ending.DONE]

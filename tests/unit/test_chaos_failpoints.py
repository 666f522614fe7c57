"""Pairs of adjacent side effects: how they are followed, written down and read."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from chaos.effects import writing_statements
from chaos.failpoints import Track, fired, pairs, read_pairs
from chaos.mutations import MUTATIONS

pytestmark = pytest.mark.unit


def followed(track: Track, scope: str, *effects: str) -> None:
    track.begin(scope)
    for effect in effects:
        track.effect(effect)


def test_a_pair_is_what_follows_in_one_flow_of_work(tmp_path: Path):
    """Each flow begins anew, threads do not mix, and what no flow has done is not said."""
    trace = tmp_path / "trace"
    track = Track("worker", trace=trace)
    track.effect("nobody's")
    followed(track, "bind_chat", "BEGIN", "COMMIT")
    other = threading.Thread(target=followed, args=(track, "sweep", "publish:deliver"))
    other.start()
    other.join()
    track.effect("ack")
    followed(track, "respond", "BEGIN")
    assert pairs([trace]) == [
        ("worker", "bind_chat/BEGIN", "bind_chat/COMMIT"),
        ("worker", "bind_chat/COMMIT", "bind_chat/ack"),
        ("worker", "bind_chat/start", "bind_chat/BEGIN"),
        ("worker", "respond/start", "respond/BEGIN"),
        ("worker", "sweep/start", "sweep/publish:deliver"),
    ]


def test_what_was_rolled_back_has_not_happened(tmp_path: Path):
    """After a rollback the flow stands where it stood before BEGIN."""
    trace = tmp_path / "trace"
    track = Track("worker", trace=trace)
    followed(track, "bind_chat", "BEGIN", "cards.promote")
    track.undone()
    track.effect("ack")
    assert ("worker", "bind_chat/start", "bind_chat/ack") in pairs([trace])


def test_a_flow_goes_on_where_another_thread_has_ended(tmp_path: Path):
    """The first hint and the answer to a webhook both follow the commit."""
    trace = tmp_path / "trace"
    track = Track("web", trace=trace)
    for effect in ("publish:crm_lookup", "answer:2xx"):
        track.begin("accept", "accept/COMMIT")
        track.effect(effect)
    assert {pair[1:] for pair in pairs([trace])} == {
        ("accept/COMMIT", "accept/publish:crm_lookup"),
        ("accept/COMMIT", "accept/answer:2xx"),
    }


def test_what_is_seen_often_comes_first(tmp_path: Path):
    """Over all processes; a file that is not there is passed by, and a line that was cut short says nothing."""
    first, second = tmp_path / "first", tmp_path / "second"
    for file, times in ((first, 1), (second, 9)):
        track = Track("clock", trace=file)
        for _ in range(times):
            followed(track, "sweep", "BEGIN")
    followed(track, "forget", "BEGIN")
    with second.open("a") as cut_short:
        cut_short.write("clock\tsweep/BE")
    assert pairs([first, tmp_path / "none", second]) == [
        ("clock", "sweep/start", "sweep/BEGIN"),
        ("clock", "forget/start", "forget/BEGIN"),
    ]
    assert second.read_text().count("\n") == 5, "1, 2, 4 and 8 times, and the other pair"


def test_deaths_are_counted(tmp_path: Path):
    """By process and pair, over several files."""
    file = tmp_path / "fired"
    file.write_text("web\ta/x\ta/y\t17\nweb\ta/x\ta/y\t18\nclock\tb/x\tb/y\t19\n")
    assert fired([file, tmp_path / "none"]) == Counter({("web", "a/x", "a/y"): 2, ("clock", "b/x", "b/y"): 1})


@pytest.mark.parametrize("text", [">", "a", "a>", ">b", "a>b c"])
def test_a_pair_has_two_sides(text: str):
    """Anything else is refused: it would never fire."""
    assert read_pairs("") == frozenset()
    assert read_pairs("a/x>a/y  b/x>b/y") == {("a/x", "a/y"), ("b/x", "b/y")}
    with pytest.raises(ValueError, match="not two side effects"):
        read_pairs(text)


def test_statements_that_write_are_known():
    """Locks and look-ups are none; an upsert, an update and a deletion with a WITH are."""
    names = writing_statements().values()
    assert len(names) == len(set(names))
    assert {"inbox.insert_keys", "inbox.move_items", "inbox.crashed_batches", "outbox.lease", "receipts.take"} <= {
        *names
    }
    assert not {"inbox.lock_chats", "chats.lock_one", "inbox.failing_item", "receipts.lock_named"} & {*names}
    assert not any(name.startswith("views.") for name in names)


def test_each_mutation_says_what_a_user_would_lose():
    """In its docstring."""
    assert len(MUTATIONS) >= 5
    assert all("A user " in (mutation.__doc__ or "") for mutation in MUTATIONS.values())

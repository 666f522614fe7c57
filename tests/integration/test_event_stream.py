"""GET /api/events: what happens, once each and in order, to whom it concerns, whatever goes away meanwhile (S1)."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from console import event_frames, event_routes, serving, streams
from crm_store import following
from crm_store.events import Event
from crm_store.following import Position
from crm_store.secrets import hash_token
from tests.desks import SERVICE_TOKEN
from tests.processes import wait_for
from tests.screens import Screen, StreamedDesk, message, uncommitted
from tracker.dialogs import DialogStatus
from tracker.events import EVERYTHING

pytestmark = pytest.mark.integration

ACCEPTED, ASSIGNED, OFFERED, QUEUED = (
    DialogStatus.ACCEPTED,
    DialogStatus.ASSIGNED,
    DialogStatus.OFFERED,
    DialogStatus.QUEUED,
)


@pytest.fixture
def desk(database_url: str) -> Iterator[StreamedDesk]:
    """A desk with one API."""
    with StreamedDesk(database_url) as made:
        yield made


# The log


def test_what_commits_late_is_not_passed_by(desk: StreamedDesk) -> None:
    """An event whose transaction began first and ends last holds up those after it, and comes before them."""
    with desk.database.transaction() as connection:
        begin, _ = following.present(connection)

    def dialogs() -> list[int | None]:
        with desk.database.transaction() as connection:
            page = following.read(connection, begin, 100)
        assert page.last
        return [logged.event.dialog_id for logged in page.events]

    with uncommitted(desk.url, message(1)):
        desk.log(message(2))
        assert dialogs() == []
    assert dialogs() == [1, 2]


def test_the_log_is_read_in_pages(desk: StreamedDesk) -> None:
    """Each begins after the end of the one before; the last one ends where nothing can come in any more."""
    desk.log(*(message(n) for n in range(5)))
    desk.log(message(5))
    found, position = [], Position(0, 0)
    for last in (False, False, False, True):
        with desk.database.transaction() as connection:
            page = following.read(connection, position, 2)
        assert page.last is last
        assert page.end > position
        found += [logged.event.dialog_id for logged in page.events]
        position = page.end
    assert found == [0, 1, 2, 3, 4, 5]


def test_the_log_is_read_along_its_index(desk: StreamedDesk) -> None:
    """However long it is."""
    desk.execute(
        "INSERT INTO events (dialog_id, actor, cause) SELECT n, 'system', 'kept' FROM generate_series(1, 20000) AS n"
    )
    desk.execute("ANALYZE events")
    parameters = {"xid": "1", "id": 0, "limit": 100}
    with desk.database.transaction() as connection:
        plan = connection.execute("EXPLAIN " + following._SQL["page"], parameters).fetchall()
    text = "\n".join(row[0] for row in plan)
    assert "events_in_order" in text
    assert "Seq Scan" not in text


# A stream


def test_a_stream_begins_with_hello_and_goes_on_with_what_happens(desk: StreamedDesk) -> None:
    """Nothing from before; never kept by a cache or a proxy; its id leads on from there."""
    desk.log(message(1))
    with desk.following() as screen:
        assert screen.headers["content-type"].startswith("text/event-stream")
        assert screen.headers["cache-control"] == "no-store"
        assert screen.headers["x-accel-buffering"] == "no"
        assert screen.retry == "2000"
        desk.log(Event(7, 3, "system", "evenly", QUEUED, ASSIGNED, None, 5, {"handover_at": "2026-01-01T00:00:00Z"}))
        assert screen.saw("hello", "assignment")
    data = screen.received[-1].data
    assert data.pop("at").endswith("Z")
    assert data == {
        "dialog_id": 7,
        "open_channel_id": 3,
        "actor": "system",
        "cause": "evenly",
        "was": "queued",
        "became": "assigned",
        "was_operator_id": None,
        "operator_id": 5,
        "details": {"handover_at": "2026-01-01T00:00:00Z"},
    }
    hello = screen.received[0].id
    desk.log(message(8))
    with desk.screen(last_id=hello) as again:
        assert again.saw("assignment", "message")


def test_who_comes_again_gets_what_he_has_missed(desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pages, without what he had, and then what happens."""
    monkeypatch.setattr(streams, "PAGE", 7)
    monkeypatch.setattr(streams, "RECENT", 0)
    with desk.following() as screen:
        desk.log(message(1))
        assert screen.saw("hello", "message")
    desk.log(*(message(n) for n in range(2, 40)))
    desk.log(message(40))
    with desk.screen(last_id=screen.last_id) as again:
        assert wait_for(lambda: len(again.received) == 39)
        desk.log(message(41))
        assert wait_for(lambda: again.dialogs() == list(range(2, 42)))


@pytest.mark.parametrize("remembered", [3, 100])
def test_the_tail_serves_as_much_as_it_remembers(
    desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    """Who was away for longer reads the log; who was not reads none of it."""
    monkeypatch.setattr(streams, "RECENT", remembered)
    pages: list[Position] = []
    page = streams.Streams.page

    async def counted(
        self: streams.Streams, after: Position, follower: streams.Follower
    ) -> tuple[following.Page, streams.Interest | None]:
        pages.append(after)
        return await page(self, after, follower)

    with desk.following() as keeper, desk.following() as screen:
        screen.close()
        desk.log(*(message(n) for n in range(10)))
        assert keeper.shows(9)
        monkeypatch.setattr(streams.Streams, "page", counted)
        with desk.screen(last_id=screen.last_id) as again:
            assert again.shows(9)
            desk.log(message(10))
            assert again.shows(10)
            assert again.dialogs() == list(range(11))
    assert bool(pages) is (remembered == 3)


def test_an_id_from_which_it_cannot_go_on_begins_with_reset(
    desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A malformed one, one of another log, of long ago, of somebody who saw other things: then from now on."""
    desk.operator("ann")
    mark = event_frames.mark_of(EVERYTHING)
    now = int(time.time())
    for last_id, reason in {
        "nonsense": "unknown_id",
        "1-2-3": "unknown_id",
        "²-1-1-1": "unknown_id",
        "1-1-1--1": "unknown_id",
        f"{2**64}-1-{now}-{mark}": "unknown_id",
        f"1-{2**63}-{now}-{mark}": "unknown_id",
        f"{2**62}-0-{now}-{mark}": "log_changed",
        f"1-0-{now - streams.MOST_AWAY - 60}-{mark}": "too_old",
        f"1-0-{now}-1": "scope_changed",
    }.items():
        desk.log(message(1))
        with desk.following(last_id=last_id) as screen:
            desk.log(message(2))
            assert screen.saw("reset", "message"), last_id
            assert screen.received[0].data == {"reason": reason}
            assert screen.dialogs() == [2]
        with desk.screen(last_id=screen.received[0].id) as again:
            assert again.saw("message"), "the id of a reset is a good one"
    with desk.screen(last_id=f"1-0-{10**18}-{mark}") as screen:
        assert wait_for(lambda: len(screen.received) > 0)
        assert "reset" not in screen.names()


def test_a_silent_stream_shows_that_it_lives(desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment, and an id that moves on with what others see, so that coming again reads none of it."""
    monkeypatch.setattr(event_routes, "HEARTBEAT", 0.05)
    desk.operator("ann")
    with desk.following("token of ann") as screen:
        begin = screen.last_id
        desk.log(*(message(n, operator_id=99) for n in range(50)))
        ((last,),) = desk.execute("SELECT max(xid::text::bigint) FROM events")
        desk.log(message(50, operator_id=99))
        assert wait_for(lambda: int((screen.last_id or "0").partition("-")[0]) > last)
        assert "alive" in screen.comments
        assert screen.names() == ["hello"]
        assert screen.last_id != begin


# Once each, and in order


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_lost_and_nothing_doubled(database_url: str, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Writers whose transactions overlap; screens that come and go between two processes: each sees the log, once."""
    monkeypatch.setattr(streams, "POLL", 0.01)
    monkeypatch.setattr(streams, "PAGE", 5)
    monkeypatch.setattr(streams, "RECENT", 12)
    monkeypatch.setattr(event_routes, "HEARTBEAT", 0.02)
    writers, each, mine = 6, 40, 1
    done = threading.Event()
    with StreamedDesk(database_url, instances=2) as desk:
        ann = desk.operator("ann")
        tokens = [SERVICE_TOKEN, "token of ann"]

        def write(number: int) -> None:
            rng = random.Random(seed * 100 + number)
            for turn in range(each):
                first = (number * each + turn) * 10
                with uncommitted(desk.url, *(message(first + n, rng.choice([ann, 999])) for n in range(3))):
                    time.sleep(rng.random() * 0.02)

        def follow(number: int) -> list[tuple[int, str]]:
            rng = random.Random(seed * 1000 + number)
            seen: list[tuple[int, str]] = []
            last_id = begins[number]
            while True:
                finished = done.is_set()
                with desk.screen(tokens[number % 2], last_id, rng.randrange(2)) as screen:
                    assert screen.status == 200, screen.body
                    wait = rng.randrange(1, 30)
                    screen.has(wait, rng.random() * 0.3)
                    if finished:
                        missing = len(expected(number)) - len(seen)
                        assert screen.has(missing)
                seen += [(one.data["dialog_id"], one.name) for one in screen.received]
                last_id = screen.last_id
                if finished:
                    return seen

        def expected(number: int) -> list[Any]:
            where = "" if number % 2 == 0 else f"WHERE operator_id = {ann}"
            return [row[0] for row in desk.execute(f"SELECT dialog_id FROM events {where} ORDER BY xid, id")]

        begins: list[str | None] = []
        for number in range(4):
            with desk.following(tokens[number % 2]) as screen:
                begins.append(screen.last_id)
        with ThreadPoolExecutor(writers + 4) as threads:
            follows = [threads.submit(follow, number) for number in range(4)]
            for written in [threads.submit(write, number) for number in range(writers)]:
                written.result()
            done.set()
            found = [each.result() for each in follows]
        for number, seen in enumerate(found):
            assert [dialog_id for dialog_id, _ in seen] == expected(number)
            assert {name for _, name in seen} == {"message"}
        assert len(found[0]) == writers * each * 3
        assert 0 < len(found[mine]) < len(found[0])


def test_a_screen_that_does_not_read_is_closed_and_loses_nothing(
    desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is bounded; coming again it gets the rest."""
    monkeypatch.setattr(streams, "BUFFER", 20)
    monkeypatch.setattr(streams, "PAGE", 20)
    monkeypatch.setattr(streams, "POLL", 0.001)
    wide = {"ids": list(range(20_000))}
    total = 200
    with desk.following() as slow, desk.following() as other:
        slow.reading.clear()
        for n in range(total):
            desk.log(Event(n, 1, "system", "kept", details=wide))
            # The other one goes on meanwhile.
            assert other.has(n + 2)
        slow.reading.set()
        assert wait_for(lambda: slow.ended)
        assert 0 < len(slow.dialogs()) < total
    with desk.screen(last_id=slow.last_id) as again:
        assert wait_for(lambda: slow.dialogs() + again.dialogs() == list(range(total)))


def test_the_connection_of_who_never_reads_is_given_up(desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written to it will never be read, so waiting for that before it is closed would be for ever."""
    monkeypatch.setattr(streams, "BUFFER", 20)
    monkeypatch.setattr(streams, "PAGE", 20)
    monkeypatch.setattr(streams, "POLL", 0.001)
    monkeypatch.setattr(serving, "LINGER", 0.2)
    lost: list[object] = []
    connection_lost = serving.ClosingProtocol.connection_lost

    def noted(self: serving.ClosingProtocol, error: Exception | None) -> None:
        lost.append(self.client)
        connection_lost(self, error)

    monkeypatch.setattr(serving.ClosingProtocol, "connection_lost", noted)
    wide = {"ids": list(range(20_000))}
    url = httpx.URL(desk.urls[0])
    request = f"GET /api/events HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {SERVICE_TOKEN}\r\n\r\n"
    with desk.following() as other, socket.create_connection((url.host, url.port)) as deaf:
        deaf.sendall(request.encode())
        deaf.recv(1)
        for n in range(200):
            desk.log(Event(n, 1, "system", "kept", details=wide))
            assert other.has(n + 2)
        assert wait_for(lambda: deaf.getsockname() in lost)
        assert not other.ended


def test_without_postgresql_it_stays_open_and_loses_nothing(
    desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comment says so; when PostgreSQL is back it goes on after what was seen last."""
    monkeypatch.setattr(event_routes, "HEARTBEAT", 0.05)
    monkeypatch.setattr(streams, "AWAY_PAUSE", 0.05)
    name = desk.url.rpartition("/")[2]
    server = desk.url.rpartition("/")[0] + "/template1"
    with desk.following() as screen:
        desk.log(message(1))
        assert screen.saw("hello", "message")
        forbid(server, name)
        try:
            assert wait_for(lambda: "PostgreSQL is away" in screen.comments, 30)
        finally:
            allow(server, name)
        desk.log(message(2))
        assert wait_for(lambda: screen.dialogs() == [1, 2], 30)
        assert not screen.ended


def forbid(server: str, name: str) -> None:
    """Nobody can connect to the database, and nobody is connected."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def allow(server: str, name: str) -> None:
    """As before."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


# Who sees what


def test_everybody_sees_what_is_in_his_reach(desk: StreamedDesk) -> None:
    """His own, and offers to him (D4); a supervisor his members' and what waits for them; administrators all."""
    ann, ben, eve = (desk.operator(name) for name in ("ann", "ben", "eve"))
    sam = desk.operator("sam", "supervisor")
    desk.operator("ada", "administrator")
    desk.operator("bob", "operator", "any")
    shop, yard = desk.open_channel(ann, ben), desk.open_channel(eve)
    desk.department([sam], [ann])
    logged = {
        "ann's": message(1, ann, shop),
        "taken from ann": Event(2, yard, "operator:9", "transfer", ACCEPTED, ASSIGNED, ann, eve),
        "eve's": message(3, eve, yard),
        "offered in the shop": Event(4, shop, "system", "all", QUEUED, OFFERED),
        "accepted by ben": Event(5, shop, "operator:2", "accept", OFFERED, ACCEPTED, None, ben),
        "waits in the shop": message(6, None, shop),
        "waits in the yard": message(7, None, yard),
        "offered in the yard": Event(8, yard, "system", "all", QUEUED, OFFERED),
        "ann comes": Event(None, None, f"operator:{ann}", "online", operator_id=ann),
        "eve comes": Event(None, None, f"operator:{eve}", "online", operator_id=eve),
        "ben's": message(9, ben, shop),
        "nobody's": Event(10, yard, "system", "close", ACCEPTED, DialogStatus.CLOSED),
    }
    end = Event(99, None, "system", "end", operator_id=ann, was_operator_id=sam)
    seen = {
        "token of ann": {"ann's", "taken from ann", "offered in the shop", "accepted by ben", "ann comes"},
        "token of sam": {
            "ann's", "taken from ann", "offered in the shop", "accepted by ben", "waits in the shop", "ann comes",
        },
        "token of ada": set(logged),
        "token of bob": set(logged),
        SERVICE_TOKEN: set(logged),
    }  # fmt: skip
    screens: dict[str, Screen] = {token: desk.screen(token).__enter__() for token in seen}
    for screen in screens.values():
        assert screen.saw("hello")
    desk.log(*logged.values(), end)
    for token, screen in screens.items():
        assert screen.shows(99)
        expected = [orjson.dumps(list(key_of(event))) for what, event in logged.items() if what in seen[token]]
        told = [orjson.dumps([one.data["dialog_id"], one.data["actor"]]) for one in screen.received[1:-1]]
        assert told == expected, token
        # Caught up from the database the same is seen.
        with desk.screen(token, screen.received[0].id) as again:
            assert again.shows(99)
            assert [one.data for one in again.received] == [one.data for one in screen.received[1:]]
        screen.close()


def key_of(event: Event) -> tuple[int | None, str]:
    """What tells the events of a test apart."""
    return event.dialog_id, event.actor


def test_who_comes_to_see_other_things_loads_afresh(desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """D1, D4: put on a roster, he is told to load what is offered there, and sees its offers from then on."""
    monkeypatch.setattr(streams, "REFRESH", 0.05)
    ann = desk.operator("ann")
    shop = desk.open_channel()
    with desk.following("token of ann") as screen:
        desk.seat(shop, ann)
        assert screen.saw("hello", "reset")
        assert screen.received[-1].data == {"reason": "scope_changed"}
        desk.log(Event(4, shop, "system", "all", QUEUED, OFFERED))
        assert screen.saw("hello", "reset", "offer")
    # Who was away while it changed is told so when he comes again.
    with desk.following("token of ann", screen.received[0].id) as again:
        assert again.saw("reset")


def test_a_token_that_is_void_loses_its_stream(desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an operator who was dismissed, or has another token by now; other streams go on."""
    monkeypatch.setattr(streams, "REFRESH", 0.05)
    desk.operator("ann")
    desk.operator("ben")
    with (
        desk.following("token of ann") as ann,
        desk.following("token of ben") as ben,
        desk.following() as service,
    ):
        desk.execute("UPDATE operators SET dismissed_at = now() WHERE name = 'ann'")
        assert ann.is_ended()
        desk.execute("UPDATE operators SET token_hash = %s WHERE name = 'ben'", hash_token("another"))
        assert ben.is_ended()
        desk.log(message(1))
        assert service.saw("hello", "message")
        for token in ("token of ann", "token of ben"):
            with desk.screen(token, ann.last_id) as refused:
                assert refused.status == 401


@pytest.mark.parametrize("change", ["dismissed", "another token", "put on a roster"])
def test_who_catches_up_is_asked_for_again_with_every_page(
    database_url: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Whoever is a long way behind sees nothing more once his token is void, or he sees other things."""
    monkeypatch.setattr(streams, "PAGE", 5)
    with StreamedDesk(database_url, instances=2) as desk:
        ann = desk.operator("ann")
        shop = desk.open_channel()
        with desk.following("token of ann") as screen:
            assert screen.saw("hello")
        desk.log(*(message(n, ann) for n in range(100)))
        page = streams.Streams.page
        pages = []

        async def slow(
            self: streams.Streams, after: Position, follower: streams.Follower
        ) -> tuple[following.Page, streams.Interest | None]:
            pages.append(after)
            if len(pages) == 3:
                if change == "dismissed":
                    desk.execute("UPDATE operators SET dismissed_at = now() WHERE name = 'ann'")
                elif change == "another token":
                    desk.execute("UPDATE operators SET token_hash = %s WHERE name = 'ann'", hash_token("another"))
                else:
                    desk.seat(shop, ann)
            return await page(self, after, follower)

        monkeypatch.setattr(streams.Streams, "page", slow)
        with desk.screen("token of ann", screen.last_id, instance=1) as behind:
            assert behind.is_ended()
            assert behind.dialogs() == list(range(10))
        with desk.screen("token of ann", behind.last_id, instance=1) as again:
            if change == "put on a roster":
                assert again.saw("reset")
            else:
                assert again.status == 401


@pytest.mark.parametrize("written", ["Bearer  {}", "bearer {}", "BEARER   {}"])
def test_a_token_is_read_as_everywhere(desk: StreamedDesk, written: str) -> None:
    """However many spaces stand before it: whoever is let in has a stream."""
    desk.operator("ann")
    for token in (SERVICE_TOKEN, "token of ann"):
        headers = {"authorization": written.format(token)}
        url = f"{desk.urls[0]}/api/events"
        with httpx.stream("GET", url, headers=headers, trust_env=False, timeout=10) as response:
            assert response.status_code == 200, written


# Limits, and the end


def test_streams_are_limited_for_a_token_and_for_a_process(desk: StreamedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """429 and 503, as problem documents; who goes away makes room."""
    monkeypatch.setattr(streams, "MOST_PER_TOKEN", 2)
    monkeypatch.setattr(streams, "MOST_PER_PROCESS", 3)
    desk.operator("ann")
    with desk.following() as first, desk.following(), desk.following("token of ann"):
        assert refusal(desk, SERVICE_TOKEN) == (429, "too_many_streams")
        assert refusal(desk, "token of ann") == (503, "no_stream_free")
        first.close()
        assert wait_for(lambda: refusal(desk, SERVICE_TOKEN)[0] == 200)


def refusal(desk: StreamedDesk, token: str) -> tuple[int, str]:
    """What a screen that comes is answered."""
    with desk.screen(token) as screen:
        if screen.status == 200:
            return 200, ""
    assert screen.headers["content-type"] == "application/problem+json"
    assert int(screen.headers["retry-after"]) > 0
    return screen.status, orjson.loads(screen.body)["reason"]


def test_without_a_token_there_is_no_stream(desk: StreamedDesk) -> None:
    """401."""
    assert httpx.get(f"{desk.urls[0]}/api/events").json()["reason"] == "no_token"
    with desk.screen("nobody's") as screen:
        assert screen.status == 401


def test_a_process_that_stops_ends_its_streams(database_url: str) -> None:
    """Cleanly, before its requests' time is over: a stream that were cut off would be a broken body."""
    with StreamedDesk(database_url) as desk:
        screens = [desk.screen().__enter__() for _ in range(3)]
        for screen in screens:
            assert screen.saw("hello")
    for screen in screens:
        assert screen.is_ended()

"""Reads over the HTTP API what the desk has done: the ledger, how far behind it is, and its exports."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, Self

import httpx

from loadgen.streams.desk import LoadDesk
from loadgen.verdict.seen import Entry, Event, Item, OpenChannel, Seen, SeenChat

PAGE = 5000
LAG = "openchannel_step_lag_seconds{"


class LoadError(Exception):
    """A load test cannot be made, or has broken off. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the desk stands: the newest ids, and the ledger. What comes later is of the test."""

    item: int
    chat: int
    event: int
    ledger: Mapping[str, int]


class DeskApi:
    """As a context. Raises LoadError where the desk does not answer as it should."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        """token: the service's; /api/ledger is for no other. transport: another way to the server than by TCP."""
        headers = {"authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ledger(self) -> dict[str, int]:
        """Where all accepted items are."""
        figures = self._get("/api/ledger")
        return {name: figures[name] for name in ("accepted", "done", "ignored", "dead", "discarded", "pending")}

    def lags(self) -> dict[str, float]:
        """Seconds since when the oldest due item of each step has waited."""
        text = self._response("/metrics").text
        lines = [line.removeprefix(LAG) for line in text.splitlines() if line.startswith(LAG)]
        return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}

    def knows(self, desk: LoadDesk) -> bool:
        """Whether the desk's signed channels are there: a webhook without a signature is refused, not unknown."""
        signed = [channel.key for channel in desk.channels if channel.kind in ("telegram", "whatsapp", "custom")]
        return all(self._status(f"/webhooks/{key}") == httpx.codes.UNAUTHORIZED for key in signed)

    def mark(self) -> Mark:
        """Where the desk stands now."""
        newest = [self._get(f"/api/exports/{what}", limit=1)["items"] for what in ("inbox", "chats", "events")]
        item, chat, event = (found[0]["id"] if found else 0 for found in newest)
        return Mark(item, chat, event, self.ledger())

    def seen(self, desk: LoadDesk, since: Mark) -> Seen:
        """What the desk has done since, on the channels of the test. Ask when nothing is pending.

        Of chats that were there before: those that were written into since, and what was written.
        """
        keys = {channel.key for channel in desk.channels}
        chats = {one["id"]: _chat(one) for one in self._newest("chats", since.chat) if one["channel_key"] in keys}
        items = [one for one in self._newest("inbox", since.item) if one["channel_key"] in keys]
        history = [
            _entry(one)
            for one in self._pages("messages", from_chat=since.chat + 1)
            if one["chat_id"] in chats and one["direction"] == "in"
        ]
        for chat_id in sorted({one["chat_id"] for one in items if 0 < (one["chat_id"] or 0) <= since.chat}):
            if entries := self._written_since(chat_id, since.item):
                chats[chat_id] = _chat(self._get(f"/api/chats/{chat_id}"))
                history += entries
        ledger = self.ledger()
        return Seen(
            items=[_item(one) for one in items],
            chats=chats,
            history=history,
            events=[_event(one) for one in reversed(list(self._newest("events", since.event)))],
            open_channels=[
                _open_channel(one)
                for one in self._get("/api/open-channels")["items"]
                if keys & {channel["key"] for channel in one["channels"]}
            ],
            ledger={name: number - (0 if name == "pending" else since.ledger[name]) for name, number in ledger.items()},
        )

    def _written_since(self, chat_id: int, item: int) -> list[Entry]:
        """What the customer of a chat wrote after an item."""
        history = takewhile(lambda one: one["chat_id"] == chat_id, self._pages("messages", from_chat=chat_id))
        return [_entry(one) for one in history if one["direction"] == "in" and (one["inbox_id"] or 0) > item]

    def _newest(self, what: str, after: int) -> Iterator[Mapping[str, Any]]:
        return takewhile(lambda one: one["id"] > after, self._pages(what))

    def _pages(self, what: str, **parameters: int) -> Iterator[Mapping[str, Any]]:
        cursor: dict[str, str] = {}
        while True:
            page = self._get(f"/api/exports/{what}", limit=PAGE, **parameters, **cursor)
            yield from page["items"]
            if page["next"] is None:
                return
            cursor = {"cursor": page["next"]}

    def _get(self, path: str, **parameters: int | str) -> Any:
        return self._response(path, parameters).json()

    def _response(self, path: str, parameters: Mapping[str, int | str] | None = None) -> httpx.Response:
        try:
            response = self._client.get(path, params=parameters)
        except httpx.HTTPError as error:
            raise LoadError(f"{self._client.base_url.join(path)} does not answer: {error!r}") from error
        if not response.is_success:
            raise LoadError(f"{response.url} answers {response.status_code}: {response.text[:300]}")
        return response

    def _status(self, path: str) -> int:
        """Of a webhook without a signature; 0 where there is no answer."""
        try:
            answer = self._client.post(path, content=b"{}", headers={"content-type": "application/json"})
        except httpx.HTTPError:
            return 0
        return answer.status_code


def _item(one: Mapping[str, Any]) -> Item:
    finished = one["finished_at"]
    return Item(
        one["id"],
        one["channel_key"],
        one["kind"],
        one["external_id"],
        one["stage"],
        one["dialog_id"],
        _unix(one["accepted_at"]),
        None if finished is None else _unix(finished),
    )


def _chat(one: Mapping[str, Any]) -> SeenChat:
    return SeenChat(one["id"], one["channel_key"], one["external_id"], one["card_id"])


def _entry(one: Mapping[str, Any]) -> Entry:
    edited = one["edited_at"] is not None
    return Entry(one["chat_id"], one["seq"], one["external_id"], one["text"], edited)


def _event(one: Mapping[str, Any]) -> Event:
    return Event(*(one[name] for name in Event.__dataclass_fields__))


def _open_channel(one: Mapping[str, Any]) -> OpenChannel:
    settings = one["settings"]
    roster = [place["operator"]["id"] for place in one["roster"] if not place["dismissed"]]
    return OpenChannel(one["id"], one["name"], settings["distribution"], settings["max_dialogs"], roster)


def _unix(written: str) -> float:
    return datetime.fromisoformat(written).timestamp()

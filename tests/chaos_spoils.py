"""What load, people and receiver may know otherwise than the database: how, and what the verdict must say of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from chaos.channel_api import Arrival
from chaos.people import Act
from chaos.record import Message, Poison
from tests.chaos_rounds import Round


def _answered_but_lost(spoilt: Round) -> None:
    lost = Message("chaos-all", "m-0", "c-0", "where am I?")
    spoilt.record.sending([lost], 1.0)
    spoilt.record.answered([lost], 200, 2.0)


def _planted_but_alive(spoilt: Round) -> None:
    sending = next(one for one in spoilt.record.sendings if one.message.poison is None)
    sending.message = replace(sending.message, poison=Poison.RAISES)


def _first_arrivals(spoilt: Round) -> tuple[Arrival, Arrival]:
    """Of a chat in which two answers have arrived."""
    by_chat: dict[str, Arrival] = {}
    for arrival in spoilt.api.arrivals.values():
        if arrival.chat in by_chat:
            return by_chat[arrival.chat], arrival
        by_chat[arrival.chat] = arrival
    raise AssertionError("no chat has two answers")


def _overtaken(spoilt: Round) -> None:
    one, other = _first_arrivals(spoilt)
    one.place, other.place = other.place, one.place


def _answer(spoilt: Round) -> Act:
    return next(act for act in spoilt.acts if act.kind == "answer" and act.acknowledged)


def _set(thing: object, **values: object) -> None:
    for name, value in values.items():
        setattr(thing, name, value)


PLANTED_IN_MEMORY: Mapping[str, tuple[Callable[[Round], None], str]] = {
    "answered 2xx and lost": (_answered_but_lost, "answered 2xx, and not in the inbox: 1 (m-0)"),
    "poison that was done": (_planted_but_alive, "poison, and not dead"),
    "a good request that was refused": (
        lambda spoilt: spoilt.record.statuses.update({401: 1}),
        "good requests were answered as if they were bad ones",
    ),
    "a webhook that met a defect": (
        lambda spoilt: spoilt.record.statuses.update({500: 1}),
        "webhooks were answered neither 2xx nor 503",
    ),
    "a message that nobody ever takes": (
        lambda spoilt: spoilt.record.sending([Message("chaos-all", "m-0", "c-0", "hello?")], 1.0),
        "never answered 2xx, although all was healed: 1 (m-0)",
    ),
    "an act that fails each time": (
        lambda spoilt: _set(_answer(spoilt), status=0, tries=40),
        "acts that nobody has answered",
    ),
    "an answer that never arrived": (
        lambda spoilt: _set(spoilt.api, arrivals=dict(list(spoilt.api.arrivals.items())[1:])),
        "never taken by the receiver",
    ),
    "an answer that was refused each time": (
        lambda spoilt: _set(next(iter(spoilt.api.arrivals.values())), accepted=0),
        "never taken by the receiver",
    ),
    "an arrival of nobody": (
        lambda spoilt: spoilt.api.arrivals.update({"no-id": Arrival(0, "c-0", "hello", b"")}),
        "arrived, and never written",
    ),
    "an answer that came as another": (
        lambda spoilt: _set(next(iter(spoilt.api.arrivals.values())), changed=True),
        "came again with another body",
    ),
    "an answer in another chat": (
        lambda spoilt: _set(next(iter(spoilt.api.arrivals.values())), chat="c-0"),
        "arrived with another text, or in another chat",
    ),
    "an answer that overtook another": (_overtaken, "arrived before an answer that precedes it"),
    "a forged answer": (lambda spoilt: _set(spoilt.api, unproved=1), "signature is not ours: 1"),
    "a refused answer that is there": (
        lambda spoilt: _set(_answer(spoilt), status=409),
        "answers that were refused at once, and are in a history",
    ),
    "an act that was malformed": (lambda spoilt: _set(_answer(spoilt), status=422), "as if they were malformed"),
}

"""The one way in which acts over HTTP are carried out: once under a key, in a transaction, and audited.

Lock order: the idempotency key, then what the act locks.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Header, Response
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders

from config.topology import Step
from console.access import check_target
from console.auditing import enter_done, refusals_audited, repeated
from console.dependencies import Dependencies
from console.problems import ProblemError
from console.security import AnyCaller, Caller, actor_for, actor_of, read_again
from console.tracker_bodies import Act
from crm_store import idempotency
from crm_store.database import Connection

REPLAYED = "Idempotency-Replayed"
"""Header of an answer to an act that was done before."""

_KEY = re.compile(r"[\x20-\x7e]{1,255}")

R = TypeVar("R")


@dataclass(slots=True)
class Asked:
    """An act that is asked for.

    caller: as he was let in; while the act works, as he is in its transaction. actor: as histories and the audit
    name him, with the person for whom a service acts. target: ids of what it is about. details: for the audit; ids,
    counts and reasons, never a customer's words. The act may add to them. key: of the caller, None if he gave none.
    fingerprint: the same for the same act on the same target with the same body. headers: of the response.
    """

    caller: Caller
    actor: str
    act: str
    target: Mapping[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    fingerprint: bytes = b""
    headers: MutableHeaders = field(default_factory=MutableHeaders)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an act. ids: all that is stored under the key. hints: steps that have work after the commit."""

    ids: Mapping[str, int] = field(default_factory=dict)
    hints: frozenset[Step] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, and under which key. A route's parameter is `Asking`."""

    caller: Caller
    key: str | None
    headers: MutableHeaders

    def to(self, act: str, target: Mapping[str, int] | None = None, body: BaseModel | None = None) -> Asked:
        """The act on a target. body: as validated, so that its layout does not count; it may say for whom.

        Nothing of the body is kept but its fingerprint, and that only under a key. Raises ProblemError (bad_by).
        """
        details = dict(target or {})
        said = body.model_dump(mode="json") if body is not None else None
        asked_for = orjson.dumps([act, details, said], option=orjson.OPT_SORT_KEYS)
        # By the caller's own key, of which nothing but a hash is kept: it outlives every token.
        fingerprint = b"" if self.key is None else hmac.digest(self.key.encode(), asked_for, "sha256")
        actor = actor_for(self.caller, body.by if isinstance(body, Act) else None)
        return Asked(self.caller, actor, act, target or {}, details, self.key, fingerprint, self.headers)


def _request(
    caller: AnyCaller,
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(description="1 to 255 printable ASCII characters. An act is done once under a key; see docs/api.md."),
    ] = None,
) -> Request:
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise ProblemError(422, "bad_idempotency_key", "`Idempotency-Key` has 1 to 255 printable ASCII characters")
    return Request(caller, idempotency_key, response.headers)


Asking = Annotated[Request, Depends(_request)]
"""A route's parameter. Raises ProblemError (bad_idempotency_key)."""


def carry_out(
    needs: Dependencies,
    asked: Asked,
    work: Callable[[Connection], Done],
    show: Callable[[Connection, Mapping[str, int]], R],
    may_see: Callable[[Connection, Mapping[str, int]], object] = lambda _connection, _ids: None,
) -> R:
    """Do an act, or find it done already under its key; returns what `show` gives for the ids of what came of it.

    The caller is read again after the key: who was dismissed meanwhile, or has another role, scope or token, acts as
    what he is by then, or not at all.

    work: locks, checks and changes. Raises ActRefusedError and ProblemError, upon which nothing is changed, the refusal
    is in the audit, and the key is free: the same act is decided anew. show: the thing as it is now, in the same
    transaction; an act that was done before changes nothing and is not audited again. Both are called again after a
    deadlock. may_see: for what was done before, and given its ids, besides the scope of a dialog or a chat: it may
    be none of the caller's business by now.

    Raises ProblemError (idempotency_key_reused) if something else was done under the key, and (unknown_token) if the
    caller's token is void.
    """
    shown, hints = _carry_out(needs, asked, work, show, may_see)
    for step in sorted(hints):
        needs.hint(step)
    return shown


@repeated
def _carry_out(
    needs: Dependencies,
    asked: Asked,
    work: Callable[[Connection], Done],
    show: Callable[[Connection, Mapping[str, int]], R],
    may_see: Callable[[Connection, Mapping[str, int]], object],
) -> tuple[R, frozenset[Step]]:
    with (
        refusals_audited(needs.database, asked.actor, asked.act, asked.details),
        needs.database.transaction() as connection,
    ):
        before = _done_before(connection, asked)
        asked.caller = read_again(connection, asked.caller)
        if before is not None:
            check_target(connection, asked.caller, asked.target)
            may_see(connection, before)
            shown = show(connection, before)
            asked.headers[REPLAYED] = "true"
            return shown, frozenset()
        done = work(connection)
        if asked.key is not None:
            idempotency.keep(connection, actor_of(asked.caller), asked.key, done.ids)
        enter_done(connection, asked.actor, asked.act, {**asked.details, **done.ids})
        return show(connection, done.ids), done.hints


def _done_before(connection: Connection, asked: Asked) -> Mapping[str, int] | None:
    """The ids of what came of it. Raises ProblemError."""
    if asked.key is None:
        return None
    done = idempotency.claim(connection, actor_of(asked.caller), asked.key, asked.act, asked.fingerprint)
    if done is None:
        return None
    if not hmac.compare_digest(done.fingerprint, asked.fingerprint):
        raise ProblemError(422, "idempotency_key_reused", "something else was done under this `Idempotency-Key`")
    return done.ids

"""Who calls: a bearer token is the service's, or one operator's.

Tokens are long and random and kept as hashes, which are compared; how long that takes tells nothing of a token.
"""

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from console.dependencies import Needs
from console.problems import ProblemError
from crm_store import desks
from crm_store.secrets import hash_token


@dataclass(frozen=True, slots=True)
class Service:
    """A program of the company: it may look at everything."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator, who acts as himself only, and may look at dialogs, chats and cards."""

    id: int
    name: str


Caller = Service | Operator


def actor_of(caller: Caller) -> str:
    """Who acts, as histories and the audit trail name him."""
    return f"operator:{caller.id}" if isinstance(caller, Operator) else "service"


_bearer = HTTPBearer(auto_error=False, description="The service token, or an operator's token.")


def _caller(needs: Needs, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Caller:
    if credentials is None:
        raise _unauthorized("no_token", "send `Authorization: Bearer <token>`", "Bearer")
    token_hash = hash_token(credentials.credentials)
    if hmac.compare_digest(token_hash, needs.service_token_hash):
        return Service()
    with needs.database.transaction() as connection:
        found = desks.operator_by_token(connection, token_hash)
    if found is None:
        raise _unauthorized("unknown_token", "nobody has this token", 'Bearer error="invalid_token"')
    return Operator(*found)


AnyCaller = Annotated[Caller, Depends(_caller)]


def _service(caller: AnyCaller) -> Service:
    if isinstance(caller, Service):
        return caller
    raise ProblemError(403, "service_only", "this needs the service token")


def _operator(caller: AnyCaller) -> Operator:
    if isinstance(caller, Operator):
        return caller
    raise ProblemError(403, "operator_only", "operators act by themselves: this needs an operator's token")


ServiceOnly = Annotated[Service, Depends(_service)]
OperatorOnly = Annotated[Operator, Depends(_operator)]


def _unauthorized(reason: str, detail: str, challenge: str) -> ProblemError:
    return ProblemError(401, reason, detail, {"www-authenticate": challenge})

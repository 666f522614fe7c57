"""Who calls: a bearer token is the service's, or one operator's.

Tokens are long and random and kept as hashes, which are compared; how long that takes tells nothing of a token.
"""

import hmac
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from console.dependencies import Dependencies, Needs
from console.problems import ProblemError
from crm_store import desks
from crm_store.database import Connection
from crm_store.secrets import hash_token
from tracker.access import DEFAULT_SCOPES, Role, Scope


@dataclass(frozen=True, slots=True)
class Service:
    """A program of the company: it sees everything, and may do all that an administrator may."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator, who acts as himself only. scope: None is the default of his role. token_hash: of his token."""

    id: int
    name: str
    role: Role = Role.OPERATOR
    scope: Scope | None = None
    token_hash: bytes = field(default=b"", repr=False)

    @property
    def reach(self) -> Scope:
        """Whose dialogs he sees."""
        return self.scope or DEFAULT_SCOPES[self.role]


Caller = Service | Operator


def actor_of(caller: Caller) -> str:
    """Who acts, as histories and the audit trail name him."""
    return f"operator:{caller.id}" if isinstance(caller, Operator) else "service"


def actor_for(caller: Caller, by: str | None) -> str:
    """Who acts for whom: a service may name the person. Raises ProblemError (bad_by)."""
    if by is None:
        return actor_of(caller)
    if isinstance(caller, Operator):
        raise ProblemError(422, "bad_by", "an operator acts as himself: leave `by` out")
    return f"{actor_of(caller)}:{by}"


def is_administrator(caller: Caller) -> bool:
    """Whether he may decide about customers and operators."""
    return isinstance(caller, Service) or caller.role is Role.ADMINISTRATOR


def is_supervisor(caller: Caller) -> bool:
    """Whether he may act on the dialogs of others, as far as his scope reaches."""
    return is_administrator(caller) or (isinstance(caller, Operator) and caller.role is Role.SUPERVISOR)


_bearer = HTTPBearer(auto_error=False, description="The service token, or an operator's token.")


def _caller(
    request: Request, needs: Needs, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    caller = _known(needs, credentials)
    request.state.actor = actor_of(caller)
    return caller


def _known(needs: Dependencies, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    if credentials is None:
        raise _unauthorized("no_token", "send `Authorization: Bearer <token>`", "Bearer")
    token_hash = hash_token(credentials.credentials)
    if hmac.compare_digest(token_hash, needs.service_token_hash):
        return Service()
    with needs.database.transaction() as connection:
        return _operator_with(connection, token_hash)


def _operator_with(connection: Connection, token_hash: bytes) -> Operator:
    found = desks.operator_by_token(connection, token_hash)
    if found is None:
        raise _unauthorized("unknown_token", "nobody has this token", 'Bearer error="invalid_token"')
    return Operator(found.id, found.name, found.role, found.scope, token_hash)


def read_again(connection: Connection, caller: Caller) -> Caller:
    """The caller as he is by now, for the transaction in which he acts: seconds may have passed since he was let in.

    Raises ProblemError (unknown_token).
    """
    return _operator_with(connection, caller.token_hash) if isinstance(caller, Operator) else caller


AnyCaller = Annotated[Caller, Depends(_caller)]


def _service(caller: AnyCaller) -> Service:
    if isinstance(caller, Service):
        return caller
    raise ProblemError(403, "service_only", "this needs the service token")


def _operator(caller: AnyCaller) -> Operator:
    if isinstance(caller, Operator):
        return caller
    raise ProblemError(403, "operator_only", "operators act by themselves: this needs an operator's token")


def check_administrator(caller: AnyCaller) -> Caller:
    """The caller, if he may decide about customers and operators. Raises ProblemError (administrators_only)."""
    if is_administrator(caller):
        return caller
    raise ProblemError(403, "administrators_only", "this needs an administrator's token, or the service token")


def _supervisor(caller: AnyCaller) -> Caller:
    if is_supervisor(caller):
        return caller
    raise ProblemError(403, "supervisors_only", "this needs a supervisor's token, or the service token")


ServiceOnly = Annotated[Service, Depends(_service)]
OperatorOnly = Annotated[Operator, Depends(_operator)]
AdministratorOnly = Annotated[Caller, Depends(check_administrator)]
"""An administrator, or the service."""
SupervisorOnly = Annotated[Caller, Depends(_supervisor)]
"""A supervisor, an administrator, or the service."""


def _unauthorized(reason: str, detail: str, challenge: str) -> ProblemError:
    return ProblemError(401, reason, detail, {"www-authenticate": challenge})

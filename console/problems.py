"""Errors as problem documents (RFC 9457), each with a stable `reason`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from crm_store.errors import DatabaseAwayError, RowRefusedError
from tracker.dialogs import ActRefusedError
from tracker.texts import clean

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER = "2"
"""Seconds after which a caller may come again when PostgreSQL is away."""

_REASONS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Problem(BaseModel):
    """A problem document. reason is stable and for programs, detail is for people; some reasons add members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    reason: str
    detail: str


class ProblemError(Exception):
    """The request is answered with this problem document. audited: it is in the audit already."""

    audited = False

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers
        self.members = members or {}


def unknown(what: str, row_id: int) -> ProblemError:
    """404: there is nothing of this kind with this id."""
    return ProblemError(404, f"unknown_{what}", f"there is no {what.replace('_', ' ')} {row_id}")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problem documents of a route, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem(
    status: int,
    reason: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """The response."""
    document = Problem(
        type=f"urn:openchannel:{reason}",
        title=reason.replace("_", " "),
        status=status,
        reason=reason,
        detail=detail,
        **(members or {}),
    )
    return JSONResponse(document.model_dump(), status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer all errors of an app with problem documents."""
    app.exception_handler(ProblemError)(problem_error)
    app.exception_handler(ActRefusedError)(_act_refused)
    app.exception_handler(DatabaseAwayError)(database_away)
    app.exception_handler(RowRefusedError)(_row_refused)
    app.exception_handler(RequestValidationError)(_invalid_request)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_internal)


async def problem_error(_request: Request, error: ProblemError) -> JSONResponse:
    """The answer."""
    return problem(error.status, error.reason, error.detail, error.headers, error.members)


async def _act_refused(_request: Request, error: ActRefusedError) -> JSONResponse:
    return problem(409, error.reason, str(error))


async def database_away(request: Request, error: DatabaseAwayError) -> JSONResponse:
    """The answer: come again."""
    log.warning("api_without_database", path=request.url.path, error=error)
    return problem(503, error.reason, "try again later", {"retry-after": RETRY_AFTER})


async def _row_refused(_request: Request, error: RowRefusedError) -> JSONResponse:
    return problem(422, error.reason, "PostgreSQL refuses a value of the request")


async def _invalid_request(_request: Request, error: RequestValidationError) -> JSONResponse:
    # What was sent is not repeated: it may be a customer's words.
    errors = [
        {"loc": [clean(str(part)) for part in found["loc"]], "type": found["type"], "msg": clean(found["msg"])}
        for found in error.errors()
    ]
    return problem(422, "invalid_request", "the request does not fit the API, see `errors`", None, {"errors": errors})


async def _http_error(_request: Request, error: HTTPException) -> JSONResponse:
    reason = _REASONS.get(error.status_code, f"http_{error.status_code}")
    return problem(error.status_code, reason, clean(str(error.detail)), error.headers)


async def _internal(request: Request, error: Exception) -> JSONResponse:
    log.error("api_failed", path=request.url.path, exc_info=error)
    return problem(500, "internal", "the request failed; the log says why")

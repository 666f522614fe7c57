"""Refusals for want of a right, in the audit: those that come before an act has begun; an act enters its own."""

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from console.dependencies import Dependencies
from console.problems import ProblemError, database_away, problem_error
from crm_store import audit
from crm_store.errors import DatabaseAwayError

_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})


def install(app: FastAPI) -> None:
    """After `problems.install`."""
    app.exception_handler(ProblemError)(_problem_error)


async def _problem_error(request: Request, error: ProblemError) -> JSONResponse:
    if not error.audited and _is_refused_act(request, error):
        try:
            await run_in_threadpool(_enter, request, error)
        except DatabaseAwayError as away:
            return await database_away(request, away)
    return await problem_error(request, error)


def _is_refused_act(request: Request, error: ProblemError) -> bool:
    """Whether somebody who is known wanted to do what he may not."""
    refused = error.status == 403 or error.reason == "bad_by"
    return refused and request.method not in _LOOKS and hasattr(request.state, "actor")


def _enter(request: Request, error: ProblemError) -> None:
    needs: Dependencies = request.app.state.needs
    target = {name: int(value) for name, value in request.path_params.items() if str(value).isdecimal()}
    with needs.database.transaction() as connection:
        audit.enter(connection, request.state.actor, request.scope["route"].name, error.reason, target)

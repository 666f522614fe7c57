"""Whether the process lives, and whether it can serve."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from config.topology import Step
from console.dependencies import Needs
from console.problems import ProblemError, documented
from crm_store import brakes
from crm_store.views import figures

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The database is there. The broker may be away, and steps paused: messages are accepted all the same."""

    database: Literal["ok"] = "ok"
    broker: Literal["ok", "away"]
    paused_steps: list[Step] = []


@router.get("/healthz")
async def healthz() -> Alive:
    """200 while the process lives; it asks nobody."""
    return Alive()


@router.get("/readyz", responses=documented(503))
def readyz(needs: Needs) -> Ready:
    """200 if PostgreSQL is reachable and migrated; the broker and paused steps are only reported."""
    with needs.database.transaction() as connection:
        missing = figures.missing_migrations(connection)
        paused = [] if missing else [brake.step for brake in brakes.on(connection)]
    if missing:
        raise ProblemError(
            503, "not_migrated", f"run `openchannel migrate`: {len(missing)} to apply", {"retry-after": "5"}
        )
    return Ready(broker="ok" if needs.depths() else "away", paused_steps=paused)

"""Presence, leaves and dismissals over HTTP: routes that translate only."""

import re
from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from console import presence
from console.acting import Asking
from console.dependencies import Needs
from console.pages import Page, RowId
from console.problems import documented
from console.security import AnyCaller, OperatorOnly
from console.tracker_bodies import Act
from crm_store.views import snapshot
from crm_store.views.desks import OperatorView
from tracker.presence import Workday

router = APIRouter(prefix="/api", tags=["operator"], responses=documented(401, 403, 404, 409, 422, 503))


_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})", re.ASCII)


def _written_time(value: object) -> object:
    """Numbers would be read as seconds or milliseconds, whichever fits: a leave in another year."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("a time is written in ISO 8601 with its zone, as 2031-05-20T00:00:00+02:00")
    return value


class WantedLeave(Act):
    """From when until when he is on leave."""

    from_at: Annotated[AwareDatetime, BeforeValidator(_written_time), Field(alias="from")]
    until_at: Annotated[AwareDatetime, BeforeValidator(_written_time), Field(alias="until")]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_at >= self.until_at:
            raise ValueError("`until` must be after `from`")
        return self


class LeaveView(BaseModel):
    """A leave. over: it has ended."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    operator_id: int
    from_at: Annotated[datetime, Field(serialization_alias="from")]
    until_at: Annotated[datetime, Field(serialization_alias="until")]
    over: bool


@router.post("/operator/online")
def online(needs: Needs, operator: OperatorOnly, asking: Asking, body: Act | None = None) -> OperatorView:
    """Be there, for new dialogs too. A heartbeat is due at least once a minute. Refused: dismissed."""
    return presence.go_online(needs, asking.to("online", None, body or Act()), operator.id)


@router.post("/operator/away")
def away(needs: Needs, operator: OperatorOnly, asking: Asking, body: Act | None = None) -> OperatorView:
    """Be there, for nothing new. Refused: dismissed."""
    return presence.go_away(needs, asking.to("away", None, body or Act()), operator.id)


@router.post("/operator/offline")
def offline(needs: Needs, operator: OperatorOnly, asking: Asking, body: Act | None = None) -> OperatorView:
    """Be gone. Refused: dismissed."""
    return presence.go_offline(needs, asking.to("offline", None, body or Act()), operator.id)


@router.post("/operator/heartbeat")
def heartbeat(needs: Needs, operator: OperatorOnly) -> OperatorView:
    """Still be there. Refused: not_online, dismissed."""
    return presence.heartbeat(needs, operator)


@router.post("/operator/workday/start", name="workday_start")
def start_workday(needs: Needs, operator: OperatorOnly, asking: Asking, body: Act | None = None) -> OperatorView:
    """Begin, or go on after a pause. Refused: time_not_tracked, dismissed."""
    return presence.turn_workday(needs, asking.to("workday_start", None, body or Act()), operator.id, Workday.STARTED)


@router.post("/operator/workday/pause", name="workday_pause")
def pause_workday(needs: Needs, operator: OperatorOnly, asking: Asking, body: Act | None = None) -> OperatorView:
    """Be given nothing for a while. Refused: time_not_tracked, workday_not_started, dismissed."""
    return presence.turn_workday(needs, asking.to("workday_pause", None, body or Act()), operator.id, Workday.PAUSED)


@router.post("/operator/workday/end", name="workday_end")
def end_workday(needs: Needs, operator: OperatorOnly, asking: Asking, body: Act | None = None) -> OperatorView:
    """Go home: what nobody has answered goes back to the backlog (D11). Refused: time_not_tracked, dismissed."""
    return presence.turn_workday(needs, asking.to("workday_end", None, body or Act()), operator.id, Workday.ENDED)


@router.post("/operators/{operator_id}/leaves", status_code=201, tags=["operators"])
def give_leave(needs: Needs, _caller: AnyCaller, asking: Asking, operator_id: RowId, body: WantedLeave) -> LeaveView:
    """Give leave: administrators, the service, and supervisors to members of their departments.

    Refused: dismissed, leave_over.
    """
    asked = asking.to("give_leave", {"operator_id": operator_id}, body)
    return LeaveView.model_validate(presence.give_leave(needs, asked, operator_id, body.from_at, body.until_at))


@router.get("/operators/{operator_id}/leaves", tags=["operators"])
def get_leaves(needs: Needs, caller: AnyCaller, operator_id: RowId) -> Page[LeaveView]:
    """Leaves that are not over: for himself, and for who may give them."""
    with snapshot(needs.database) as connection:
        found = presence.leaves_of(connection, caller, operator_id)
    return Page(items=[LeaveView.model_validate(leave) for leave in found], next=None)


@router.post("/leaves/{leave_id}/end", tags=["operators"])
def end_leave(
    needs: Needs, _caller: AnyCaller, asking: Asking, leave_id: RowId, body: Act | None = None
) -> OperatorView:
    """End it now, or call it off. Refused: dismissed, leave_over."""
    return presence.end_leave(needs, asking.to("end_leave", {"leave_id": leave_id}, body or Act()), leave_id)


@router.post("/operators/{operator_id}/dismiss", tags=["operators"])
def dismiss(
    needs: Needs, _caller: AnyCaller, asking: Asking, operator_id: RowId, body: Act | None = None
) -> OperatorView:
    """He has left the company: his token is void, and his dialogs go back (D11). Refused: dismissed."""
    return presence.dismiss(needs, asking.to("dismiss", {"operator_id": operator_id}, body or Act()), operator_id)

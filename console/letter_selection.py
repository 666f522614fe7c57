"""Which dead letters are meant: as the API takes it, and as the command line's options give it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from console.problems import ProblemError
from crm_store import dead_letters
from crm_store.database import Connection
from crm_store.dead_letters import STEPS, LetterState, Selection
from tracker.texts import clean

MOST_IDS = 3000
"""In one request, whose body is limited."""


def _step(step: str) -> str:
    if step not in STEPS:
        raise ValueError(f"a step is one of {', '.join(STEPS)}")
    return step


LetterStep = Annotated[str, AfterValidator(_step)]
Group = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{10}$")]
LetterReason = Annotated[str, StringConstraints(min_length=1, max_length=200)]
SearchText = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(clean)]


class Which(BaseModel):
    """Which letters; what is left out does not narrow.

    group: as `groups` names it. reason: of the death. channel: its key. since, until: died at or after, and before.
    text: occurs in the error or in what came in, in any case. all: an act on everything must say so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    ids: Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1)]] | None, Field(max_length=MOST_IDS)] = None
    group: Group | None = None
    step: LetterStep | None = None
    reason: LetterReason | None = None
    fingerprint: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    channel: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    text: SearchText | None = None
    all: Literal[True] | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything is said that leaves letters out."""
        return bool(self.model_dump(exclude_none=True, exclude={"all"}))


def selection_of(connection: Connection, which: Which, state: LetterState | None) -> Selection:
    """The letters of this state that are meant. Raises ProblemError (unknown_channel)."""
    channel_id = None
    if which.channel is not None:
        channel_id = dead_letters.channel_id(connection, which.channel)
        if channel_id is None:
            raise ProblemError(422, "unknown_channel", f"channel: there is no channel {which.channel!r}")
    return Selection(
        ids=which.ids,
        state=state,
        step=which.step,
        reason=which.reason,
        fingerprint=which.fingerprint,
        group=which.group,
        channel_id=channel_id,
        since=which.since,
        until=which.until,
        text=which.text,
    )


def check_narrow(which: Which) -> None:
    """That an act on everything was asked for as such. Raises ProblemError (nothing_selected)."""
    if not which.narrows and not which.all:
        detail = "say which: ids, a group or any other filter; or `all`"
        raise ProblemError(422, "nothing_selected", detail)
    if which.narrows and which.all:
        raise ProblemError(422, "nothing_selected", "`all` stands alone: a filter leaves letters out")

"""Under which configuration a period is simulated."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tracker.channels import OpenChannelSettings


@dataclass(frozen=True, slots=True)
class SimulatedOpenChannel:
    """An open channel. roster: operators in order, departments expanded (D1), each once."""

    id: int
    settings: OpenChannelSettings
    roster: tuple[int, ...]
    active: bool = True


@dataclass(frozen=True, slots=True)
class Configuration:
    """Open channels by id. personal_limits: of those who have one (D7). dismissed: are given nothing, and keep nothing.

    moved: channels that feed another open channel than in the record: channel id to open channel id.
    """

    open_channels: Mapping[int, SimulatedOpenChannel]
    personal_limits: Mapping[int, int] = field(default_factory=dict)
    dismissed: frozenset[int] = frozenset()
    moved: Mapping[int, int] = field(default_factory=dict)

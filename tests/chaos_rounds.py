"""A round of load on the real processes without any fault, kept for looking at it afterwards."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from chaos.balance import drained
from chaos.channel_api import ChannelApi, Mode
from chaos.conversations import Planted
from chaos.desk import set_up
from chaos.load import Load
from chaos.people import Act, People
from chaos.record import Record
from tests.acceptance.system import SECRET_KEY, System, wait_until

PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class Round:
    """A round that is over; its processes have ended, its database is still there."""

    url: str
    record: Record
    api: ChannelApi
    acts: list[Act]

    @contextmanager
    def copied(self) -> Iterator["Round"]:
        """The same with a record, a receiver and acts of its own, to be spoilt."""
        with ChannelApi() as api:
            api.arrivals = deepcopy(self.api.arrivals)
            yield Round(self.url, deepcopy(self.record), api, deepcopy(self.acts))


def calm_round(folder: Path, database_url: str, broker_url: str, enough: Callable[[Round], bool]) -> Round:
    """Load and people until it is enough, then until all is drained. The receiver fails in every way for a while."""
    system = System(folder, database_url, broker_url, workers=1)
    system.environment["OPENCHANNEL_WORKER__DELIVERY_TIMEOUT"] = "2"
    with ChannelApi() as api, system:
        desk = set_up(database_url, SECRET_KEY, api.url)
        load = Load(desk, [system.url], seed=7, rate=60, planted=Planted(raises=0, kills=0, unreadable=3))
        people = People(desk, [system.url], seed=7)
        made = Round(database_url, load.record, api, people.acts)
        load.start()
        people.start()
        for mode in (Mode.FAILING, Mode.SILENT, Mode.SLOW):
            wait_until(lambda: len(api.arrivals) > 3, "answers arrive", PATIENCE)
            api.mode = mode
            time.sleep(0.5)  # not waited for: the load is what it is meanwhile
        api.mode = Mode.OK
        wait_until(lambda: enough(made), "enough has happened", PATIENCE)
        load.stop()
        people.stop()
        wait_until(lambda: not drained(database_url), "all is drained", PATIENCE)
    return made

"""On which system a load test is made: one that runs, or a private one for the test alone."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from cli.composition import api_token, on_this_machine
from cli.load.embedded import embedded
from cli.refusals import RefusedError
from config.settings import SettingsError, load_settings
from loadgen.driving.api import DeskApi, LoadError
from loadgen.streams.desk import desk_of
from loadgen.trial import Target


@contextmanager
def target_of(url: str | None, desk: int, *, private: bool) -> Iterator[Target]:
    """url: of a running system. private: start one. desk: seed of the desk. Raises SettingsError and RefusedError."""
    if (url is not None) == private:
        raise SettingsError("name the system with --url http://..., or start a private one with --embedded")
    try:
        if url is None:
            with embedded(desk_of(desk)) as target:
                yield target
        else:
            yield _running(url, desk)
    except LoadError as error:
        raise RefusedError(str(error)) from error


def _running(url: str, desk: int) -> Target:
    target = Target(url.rstrip("/"), api_token(on_this_machine(load_settings())), desk_of(desk), time.sleep)
    with DeskApi(target.url, target.token) as api:
        if not api.knows(target.desk):
            raise LoadError(
                f"{target.url} has no load desk of seed {desk}: `openchannel load desk FOLDER --desk {desk}` writes "
                "its files, `openchannel apply FOLDER/desk.yaml` makes it; on a system for tests alone"
            )
    return target

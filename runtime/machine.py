"""One machine: its data folder, its servers, and the supervisor that keeps everything running on it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from runtime.folder import MachineSecrets, load_secrets, locked
from runtime.output import LogFiles, Output
from runtime.postgres import EmbeddedPostgres
from runtime.supervisor import Supervisor
from runtime.valkey import EmbeddedValkey

_T = TypeVar("_T")


class Machine:
    """`with Machine(...) as machine:` locks the folder, starts the servers, and at the end stops everything.

    A URL that is given wins: no server is started in its place, whether or not it answers. Children that are started
    through `supervisor` stop before the servers. Inside the context SIGINT, SIGTERM and SIGHUP set
    `supervisor.stop_requested`, so it belongs to the main thread.

        with Machine(Path(".data"), database_url=None, broker_url=None) as machine:
            machine.supervisor.start(Child("web", [sys.executable, "-m", "cli", "web"], env={...}))
            machine.supervisor.run()
    """

    def __init__(
        self, data_dir: Path, database_url: str | None, broker_url: str | None, output: Output | None = None
    ) -> None:
        """`output` takes what children write; by default one file each in `data_dir/logs`."""
        self.data_dir = data_dir.absolute()
        self.supervisor = Supervisor(output or LogFiles(self.data_dir / "logs"))
        self._database_url = database_url
        self._broker_url = broker_url
        self._secrets: MachineSecrets | None = None
        self._stack = ExitStack()

    @property
    def database_url(self) -> str:
        """Of the given or the started PostgreSQL."""
        return _available(self._database_url)

    @property
    def broker_url(self) -> str:
        """Of the given or the started Redis or Valkey."""
        return _available(self._broker_url)

    @property
    def secrets(self) -> MachineSecrets:
        """Of this data folder."""
        return _available(self._secrets)

    def __enter__(self) -> Self:
        """Raises a RuntimeModeError of the kind that says what is wrong; nothing is left running then."""
        with ExitStack() as stack:
            stack.enter_context(self.supervisor.handling_signals())
            stack.enter_context(locked(self.data_dir))
            self._secrets = load_secrets(self.data_dir)
            stack.callback(self.supervisor.stop_all)
            if self._database_url is None:
                postgres = EmbeddedPostgres(self.data_dir / "postgres")
                postgres.prepare()
                self.supervisor.start(postgres.child())
                self._database_url = postgres.url
            if self._broker_url is None:
                valkey = EmbeddedValkey(self.data_dir / "valkey")
                valkey.prepare()
                self.supervisor.start(valkey.child())
                self._broker_url = valkey.url
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()


def _available(value: _T | None) -> _T:
    if value is None:
        raise RuntimeError("only inside the machine's context")
    return value

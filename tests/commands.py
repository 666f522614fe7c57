"""The `openchannel` command, run within the test's process."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.main import main

SECRET_KEY = "b3BlbmNoYW5uZWwtdGVzdHMtMzItYnl0ZXMtbG9uZyE="


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    output: str
    errors: str


class CommandLine:
    """Runs commands with settings of their own, in an empty folder."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, database_url: str
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.folder = folder
        monkeypatch.chdir(folder)
        self.set("OPENCHANNEL_DATABASE__URL", database_url)
        self.set("OPENCHANNEL_SECRET_KEY", SECRET_KEY)

    def set(self, name: str, value: str | None) -> None:
        """Set a variable, or take it away."""
        if value is None:
            self._monkeypatch.delenv(name, raising=False)
        else:
            self._monkeypatch.setenv(name, value)

    def file(self, text: str, name: str = "desk.yaml") -> str:
        """Write a file; returns its name."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def __call__(self, *arguments: str) -> Ran:
        """Run a command."""
        self._monkeypatch.setattr("sys.argv", ["openchannel", *arguments])
        self._capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)

    def done(self, *arguments: str) -> str:
        """Run a command that succeeds; returns what it said."""
        ran = self(*arguments)
        assert ran.code == 0, ran
        return ran.output


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, database_url: str
) -> CommandLine:
    """Commands on a fresh database."""
    return CommandLine(monkeypatch, capsys, tmp_path, database_url)

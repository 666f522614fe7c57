"""The files that one machine keeps: secrets, the lock, PostgreSQL's pid file."""

import base64
import os
import stat
from pathlib import Path

import pytest

from runtime.errors import FolderInUseError, FolderUnusableError
from runtime.folder import load_secrets, locked
from runtime.postmaster import PidFile, end_leftover, read_pid_file
from runtime.private_files import read_or_make_secret, write_private

pytestmark = pytest.mark.unit


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    """The key is a Fernet key, the second call finds the first one's, and others cannot read the file."""
    made = load_secrets(tmp_path)
    assert len(base64.urlsafe_b64decode(made.secret_key)) == 32
    assert load_secrets(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_secrets_do_not_show_in_logs(tmp_path: Path) -> None:
    """A repr in a log or traceback gives nothing away."""
    made = load_secrets(tmp_path)
    assert made.secret_key not in repr(made)
    assert made.api_token not in repr(made)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"secret_key": "x"}'])
def test_broken_secrets_are_never_replaced(tmp_path: Path, text: str) -> None:
    """New secrets would make what was encrypted unreadable: the user is told instead."""
    path = tmp_path / "secrets.json"
    path.write_text(text)
    with pytest.raises(FolderUnusableError, match=r"secrets\.json"):
        load_secrets(tmp_path)
    assert path.read_text() == text


def test_a_secret_left_empty_is_made_again(tmp_path: Path) -> None:
    """A file cut short by a crash is no password."""
    (tmp_path / "password").touch()
    made = read_or_make_secret(tmp_path / "password")
    assert len(made) == 43
    assert read_or_make_secret(tmp_path / "password") == made


def test_private_files_leave_no_temporary_behind(tmp_path: Path) -> None:
    """Whole or not at all, and nothing beside it."""
    write_private(tmp_path / "file", "one")
    write_private(tmp_path / "file", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "two"


def test_the_second_supervisor_on_a_folder_is_refused(tmp_path: Path) -> None:
    """The message says which process holds it; after its end the folder is free."""
    refused = pytest.raises(FolderInUseError, match=rf"process {os.getpid()}\)")
    with locked(tmp_path / "data"), refused, locked(tmp_path / "data"):
        pass
    with locked(tmp_path / "data"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in its place, as after a slip of the hand."""
    (tmp_path / "data").touch()
    with pytest.raises(FolderUnusableError, match="data"), locked(tmp_path / "data"):
        pass


READY = "4242\n/data\n1700000000\n5555\n\n127.0.0.1\n  123  4\nready   \n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (READY, PidFile(4242, 5555, ready=True)),
        (READY.replace("ready   ", "starting"), PidFile(4242, 5555, ready=False)),
        ("4242\n/data\n", PidFile(4242, None, ready=False)),
        ("-4242\n/data\n", PidFile(4242, None, ready=False)),
        ("", None),
        ("rubbish\n", None),
        (None, None),
    ],
)
def test_reading_the_pid_file(tmp_path: Path, text: str | None, expected: PidFile | None) -> None:
    """As far as the server has written it; single-user servers note their number as negative."""
    if text is not None:
        (tmp_path / "postmaster.pid").write_text(text)
    assert read_pid_file(tmp_path) == expected


def test_a_pid_file_of_somebody_elses_number_is_removed(tmp_path: Path) -> None:
    """After a container's restart the number belongs to another process; PostgreSQL would refuse to start."""
    (tmp_path / "postmaster.pid").write_text(READY.replace("4242", str(os.getppid())))
    end_leftover(tmp_path)
    assert not (tmp_path / "postmaster.pid").exists()

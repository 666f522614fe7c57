"""Where children's output goes: a file each, or lines handed to a function, prefixed by the caller as it likes."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

TAIL_LINES = 30
ROTATE_AT_BYTES = 20 * 1024 * 1024


class Output(Protocol):
    """Takes what children write on stdout and stderr."""

    def sink(self, name: str) -> AbstractContextManager[int]:
        """A file descriptor for the next run of the child `name`, closed on our side when the context ends."""
        ...

    def tail(self, name: str) -> list[str]:
        """The last lines that the child wrote since its latest `sink`."""
        ...


class LogFiles:
    """`FOLDER/NAME.log` for each child, appended to; a file over 20 MiB is set aside as `NAME.log.1` at a start.

    Children write without us in between, so they can still write while and after we die.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._began: dict[str, int] = {}

    @contextmanager
    def sink(self, name: str) -> Iterator[int]:
        """See `Output`. Makes the folder when it is first needed."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(name)
        if path.exists() and path.stat().st_size > ROTATE_AT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._began[name] = os.fstat(descriptor).st_size
            yield descriptor
        finally:
            os.close(descriptor)

    def tail(self, name: str) -> list[str]:
        """See `Output`."""
        try:
            with self._path(name).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._began.get(name, 0), size - 64 * 1024))
                return file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
        except FileNotFoundError:
            return []

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.log"


class Lines:
    """Hands each line, with the child's name, to `write`, from one thread per running child."""

    def __init__(self, write: Callable[[str, str], None]) -> None:
        self._write = write
        self._tails: dict[str, deque[str]] = {}
        self._readers: dict[str, threading.Thread] = {}

    @contextmanager
    def sink(self, name: str) -> Iterator[int]:
        """See `Output`."""
        reading, writing = os.pipe()
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._tails[name] = tail
        # A daemon: a grandchild that keeps the pipe open must not keep us from ending.
        reader = threading.Thread(target=self._read, args=(name, reading, tail), name=f"output-{name}", daemon=True)
        self._readers[name] = reader
        reader.start()
        try:
            yield writing
        finally:
            os.close(writing)

    def tail(self, name: str) -> list[str]:
        """See `Output`. A child that has just ended is given a moment for its last lines to arrive."""
        reader = self._readers.get(name)
        if reader is not None:
            reader.join(timeout=0.2)
        return list(self._tails.get(name, ()))

    def _read(self, name: str, descriptor: int, tail: deque[str]) -> None:
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
            for raw in stream:
                line = raw.rstrip("\n")
                tail.append(line)
                self._write(name, line)

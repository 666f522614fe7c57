"""The small disk under PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

PROGRAM = """
import sys
from pathlib import Path
from chaos.disk import Disk

folder = Path(sys.argv[1])
disk = Disk.mount(folder, 8)
if disk is None:
    sys.exit("none")
(folder / "before").write_bytes(b"x" * 1_000_000)
assert disk.fill() > 6_000_000
try:
    (folder / "after").write_bytes(b"x" * 1_000_000)
except OSError as error:
    print(error.strerror)
disk.free()
(folder / "after").write_bytes(b"x" * 1_000_000)
print(len((folder / "before").read_bytes()))
"""


def test_it_is_full_and_free_again_and_nobody_else_sees_it(tmp_path: Path) -> None:
    """Where it can be had, which needs root, it is gone with the process that has made it."""
    folder = tmp_path / "small"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stderr.strip() == "none":
        if os.geteuid() != 0:
            assert not folder.exists()
        pytest.skip("a tmpfs is not to be had here")
    assert done.stdout.splitlines() == ["No space left on device", "1000000"], done.stderr
    assert list(folder.iterdir()) == []

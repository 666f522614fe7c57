"""What a process does before its work begins."""

import subprocess
import sys

import pytest

from cli.main import COMMANDS

pytestmark = pytest.mark.unit


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_a_process_imports_its_own_command_alone():
    """Each start costs what it imports: a worker needs no web framework."""
    loaded = run("import sys; from cli.main import make_app; make_app('worker'); print(*sys.modules)").split()
    assert "worker.process" in loaded
    assert not {"fastapi", "cli.web", "cli.demo", "loadgen"} & set(loaded)


def test_help_names_all_commands():
    """Whoever asks for no command, or for one that there is not, is shown all."""
    shown = run("from cli.main import make_app; make_app()(['--help'], standalone_mode=False)")
    assert all(f" {name} " in shown for name, _, _ in COMMANDS)


def test_the_collector_leaves_what_was_imported_alone():
    """It would be looked through with every full collection."""
    frozen, youngest = run(
        "import gc; from config.collector import calm_collector; calm_collector();"
        "print(gc.get_freeze_count(), gc.get_threshold()[0])"
    ).split()
    assert int(frozen) > 1000
    assert int(youngest) > 10_000

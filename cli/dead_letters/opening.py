"""What the commands of dead letters share: the store as the API has it, and who acts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cli.composition import on_this_machine, secret_key
from cli.tracker.opening import actor, opened
from config.settings import load_settings
from console.acting import Asked
from console.dependencies import Dependencies
from console.security import Service
from crm_store.secrets import SecretBox


@contextmanager
def letters(command: str) -> Iterator[Dependencies]:
    """As the API has it; see `opened`. Steps that have work afterwards are hinted by the clock."""
    with opened(f"dead-letters {command}") as database:
        yield Dependencies(database, hint=lambda _step: None, depths=dict, service_token_hash=b"")


def with_adapters(needs: Dependencies) -> Dependencies:
    """With the channels' secrets, if this machine can open them: some adapters read by them. Raises SecretKeyError."""
    key = secret_key(on_this_machine(load_settings()))
    return replace(needs, box=SecretBox(key) if key else None)


def asked(act: str, **target: int) -> Asked:
    """An act by who sits at the terminal, who may do all that the service may."""
    return Asked(Service(), actor(), act, target, dict(target))

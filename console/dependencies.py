"""What the API needs from the process that it runs in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from config.topology import Step
from crm_store.database import Database
from crm_store.secrets import SecretBox


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Opened and closed by the composition root.

    hint: publishes an empty hint; never raises. depths: messages in the task queues by name, nothing if the broker
    is away. Both may take long while the broker is away: the API never waits for them, see `console.broker`.
    service_token_hash: `crm_store.secrets.hash_token` of the service token. box: opens the channels' secrets; None
    where nothing reads what a channel sent.
    """

    database: Database
    hint: Callable[[Step], object]
    depths: Callable[[], Mapping[str, int]]
    service_token_hash: bytes
    box: SecretBox | None = None


async def _of_app(request: Request) -> Dependencies:
    needs: Dependencies = request.app.state.needs
    return needs


Needs = Annotated[Dependencies, Depends(_of_app)]
"""A route's parameter: the dependencies of its app."""

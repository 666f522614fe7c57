"""The desk of a load test: its channels, whose secrets follow from a seed, its open channels and its operators.

Whoever knows the seed can sign for these channels: such a desk is for tests, and never stands beside real customers.
"""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from loadgen.operators import OperatorAccount
from tracker.channels import Channel

EVENLY = "Load desk"
QUEUE = "Load queue"
QUEUE_LIMIT = 8
"""Dialogs that an operator of the queue has at a time: most of what comes there waits."""

HOT = "load-queue-custom"
"""The channel to which nearly everybody writes where one open channel is hot."""

_EVENLY_OPERATORS = 12
_QUEUE_OPERATORS = 4

_CHANNELS = (
    ("load-telegram", "telegram", EVENLY),
    ("load-whatsapp", "whatsapp", EVENLY),
    ("load-livechat", "livechat", EVENLY),
    ("load-webform", "webform", EVENLY),
    ("load-custom", "custom", EVENLY),
    (HOT, "custom", QUEUE),
    ("load-queue-livechat", "livechat", QUEUE),
)


@dataclass(frozen=True, slots=True)
class LoadDesk:
    """What its customers and operators need to know."""

    seed: int
    channels: Sequence[Channel]
    operators: Sequence[OperatorAccount]


def kinds_of_channels() -> dict[str, str]:
    """Of the channels of every such desk, by key."""
    return {key: kind for key, kind, _ in _CHANNELS}


def desk_of(seed: int) -> LoadDesk:
    """The desk of a seed."""
    return LoadDesk(
        seed,
        [_channel(seed, key, kind) for key, kind, _ in _CHANNELS],
        [OperatorAccount(name, _secret(seed, f"token of {name}")) for name in (*_names(EVENLY), *_names(QUEUE))],
    )


def yaml_of(desk: LoadDesk) -> str:
    """What `openchannel apply` takes. Operators' tokens are in files beside it, as `token_files` names them."""
    lines = [
        "# The desk of a load test. Whoever knows its seed can sign for its channels: never beside real customers.",
        "",
    ]
    lines.append("operators:")
    for name, file in zip([one.name for one in desk.operators], token_files(desk), strict=True):
        lines += [f"  - name: {name}", f"    token: {{ file: {file} }}"]
    lines += ["", "open_channels:"]
    # Nobody loses a dialog while it is measured, and every customer has a card that can be looked at.
    always = ["    create_when: first_message", "    handover_after: 43200"]
    lines += [f"  - name: {EVENLY}", "    distribution: evenly", *always, "    roster:"]
    lines += [f"      - {name}" for name in _names(EVENLY)]
    lines += [f"  - name: {QUEUE}", "    distribution: strictly", f"    max_dialogs: {QUEUE_LIMIT}", *always]
    lines += ["    roster:", *(f"      - {name}" for name in _names(QUEUE)), "", "channels:"]
    for channel, (_, _, open_channel) in zip(desk.channels, _CHANNELS, strict=True):
        lines += [f"  - key: {channel.key}", f"    kind: {channel.kind}", f"    open_channel: {open_channel}"]
        if channel.account_id:
            lines.append(f"    account_id: {channel.account_id}")
        lines.append(f'    secrets: "{channel.secrets[0]}"')
    return "\n".join([*lines, ""])


def token_files(desk: LoadDesk) -> list[str]:
    """Names of the files that hold the operators' tokens, in their order."""
    return [f"operator-{number:02d}.token" for number in range(1, len(desk.operators) + 1)]


def _names(open_channel: str) -> list[str]:
    if open_channel == EVENLY:
        return [f"Load operator {number:02d}" for number in range(1, _EVENLY_OPERATORS + 1)]
    return [f"Load queuer {number:02d}" for number in range(1, _QUEUE_OPERATORS + 1)]


def _channel(seed: int, key: str, kind: str) -> Channel:
    return Channel(
        id=0,
        key=key,
        kind=kind,
        name=key,
        open_channel_id=0,
        account_id="load-number" if kind == "whatsapp" else "",
        secrets=(_secret(seed, key) if kind != "custom" else f"whsec_{_base64(seed, key)}",),
    )


def _base64(seed: int, purpose: str) -> str:
    digest = hmac.digest(f"openchannel load {seed}".encode(), purpose.encode(), "sha256")
    return base64.b64encode(digest).decode()


def _secret(seed: int, purpose: str) -> str:
    return _base64(seed, purpose).translate(str.maketrans("+/", "-_")).rstrip("=")

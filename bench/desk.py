"""The desk of the benchmark: one open channel, five channels, fifty operators who are all there, no limits."""

import base64
import hmac

from tracker.channels import Channel, CreateWhen, Distribution, OpenChannelSettings

OPEN_CHANNEL = "Bench desk"
OPERATORS = tuple(f"Operator {number:02d} (bench)" for number in range(1, 51))

SETTINGS = OpenChannelSettings(
    distribution=Distribution.EVENLY, create_when=CreateWhen.FIRST_MESSAGE, handover_after=12 * 3600
)
"""All else as it is by default. Every customer gets a card at once: the other sides know no other way. Nor do they hand
over; so nothing is, though nobody accepts and a round may last longer than a minute."""

KINDS = ("telegram", "livechat", "custom", "whatsapp", "webform")


def channel_key(kind: str) -> str:
    """The key of the desk's only channel of a kind."""
    return f"bench-{kind}"


def channels(seed: int, open_channel_id: int = 0) -> list[Channel]:
    """The five channels, with secrets that follow from the seed."""
    return [
        Channel(
            id=0,
            key=channel_key(kind),
            kind=kind,
            name=f"Bench {kind}",
            open_channel_id=open_channel_id,
            account_id="bench-number" if kind == "whatsapp" else "",
            region="DE",
            secrets=(_secret(seed, kind),),
        )
        for kind in KINDS
    ]


def _secret(seed: int, kind: str) -> str:
    digest = hmac.digest(str(seed).encode(), kind.encode(), "sha256")
    return "whsec_" + base64.b64encode(digest).decode()

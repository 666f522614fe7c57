"""What becomes of a message of ours (S5): its state only moves forward, in whatever order the news comes in."""

from enum import StrEnum


class DeliveryState(StrEnum):
    """S5. held: sending over the channel's kind is not built yet; expired: it was held, and its dialog is over."""

    PENDING = "pending"
    HELD = "held"
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    EXPIRED = "expired"


FORWARD = (
    DeliveryState.PENDING,
    DeliveryState.SENT,
    DeliveryState.FAILED,
    DeliveryState.DELIVERED,
    DeliveryState.READ,
)
"""From back to front. What has failed may turn out to have arrived after all; what has arrived has not failed."""

REPORTED = frozenset(FORWARD[1:])
"""States that a channel's receipt may report."""


def after_receipt(state: DeliveryState, reported: DeliveryState) -> DeliveryState:
    """The state of a message once its channel has reported this: the one further on of the two (S5).

    So receipts may come doubled, late and in any order, also before our own note that the message was sent. What was
    never handed to a channel (held, expired) stays as it is.
    """
    if state not in FORWARD or reported not in REPORTED:
        return state
    return max(state, reported, key=FORWARD.index)

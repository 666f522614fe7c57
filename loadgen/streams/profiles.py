"""Profiles: how a load is spread over time, and over chats, channels and troubles."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Shape = Callable[[float], float]
"""The rate at a moment as a share of the mean; the moment is a share of the whole time, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Shares are of messages, those that come as extras left out.

    repeats: of webhooks that are sent again, up to most_repeats times. poison: of unreadable bodies. hot_chat: of one
    customer's. hot_channel: of the conversations that are begun on the channel of the queue. shape_peak: the largest
    value of the shape.
    """

    shape: Shape
    shape_peak: float = 1.0
    repeats: float = 0.02
    most_repeats: int = 1
    poison: float = 0.0
    hot_chat: float = 0.0
    hot_channel: float = 0.0


def _steady(_: float) -> float:
    return 1.0


def _ramp(at: float) -> float:
    return 2 * at


def _burst(at: float) -> float:
    """Five bursts; each is a tenth of its fifth, at six times the mean."""
    return 6.0 if at * 5 % 1 >= 0.9 else 4 / 9


def _day(at: float) -> float:
    """A day from midnight: quiet nights, a peak towards noon, a smaller one in the evening."""
    hour = 24 * at
    noon = math.exp(-(((hour - 11.5) / 2.8) ** 2))
    evening = 0.75 * math.exp(-(((hour - 19.5) / 2.2) ** 2))
    return (0.08 + noon + evening) / _DAY_MEAN


_DAY_MEAN = 0.08 + (2.8 + 0.75 * 2.2) * math.sqrt(math.pi) / 24
"""Of the curve before it is scaled; what lies outside the day is less than a thousandth."""

PROFILES: Mapping[str, Profile] = {
    "steady": Profile(_steady),
    "ramp": Profile(_ramp, shape_peak=2.0),
    "burst": Profile(_burst, shape_peak=6.0),
    "day": Profile(_day, shape_peak=1.1 / _DAY_MEAN),
    "hot-chat": Profile(_steady, hot_chat=0.3),
    "hot-open-channel": Profile(_steady, hot_channel=0.85),
    "retry-storm": Profile(_steady, repeats=0.6, most_repeats=4),
    "poison": Profile(_steady, poison=0.03),
}
"""By name."""


def planned_times(rng: random.Random, profile: Profile, rate: float, seconds: float) -> Iterator[float]:
    """Moments at which independent customers write, for so long. rate: the mean, per second."""
    peak, at = rate * profile.shape_peak, 0.0
    while True:
        at += rng.expovariate(peak)
        if at >= seconds:
            return
        # Thinning: what is drawn at the peak's rate is kept as often as the shape says.
        if profile.shape_peak == 1.0 or rng.random() * profile.shape_peak < profile.shape(at / seconds):
            yield at

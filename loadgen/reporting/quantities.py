"""Numbers and texts as people read them."""

import math


def duration(seconds: float | None) -> str:
    """`850 µs`, `23 ms`, `1.25 s`, `12 min`, `3 h`; a dash where nothing was measured."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds == 0:
        return "0 s"
    if abs(seconds) < 0.001:
        return f"{_three_digits(seconds * 1e6)} µs"
    if abs(seconds) < 0.9995:
        return f"{_three_digits(seconds * 1000)} ms"
    if abs(seconds) < 120:
        return f"{_three_digits(seconds)} s"
    if abs(seconds) < 7200:
        return f"{_three_digits(seconds / 60)} min"
    return f"{_three_digits(seconds / 3600)} h"


def amount(value: float | None) -> str:
    """`12,345`, `0.25`; a dash where nothing was measured."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else _three_digits(value)


def short_amount(value: float) -> str:
    """`12,345`, `250 k`, `2 M`: for the ticks of an axis."""
    for power, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(power, 1e5):
            return f"{_three_digits(value / power)} {unit}"
    return amount(value)


def size(value: float) -> str:
    """Bytes: `512 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{_three_digits(value)} {unit}"
        value /= 1024
    return f"{_three_digits(value)} TiB"


def printable(words: str) -> str:
    """On one line, and without the characters that neither XML nor HTML may hold."""
    return "".join(one if one.isprintable() else " " if one.isspace() else "\ufffd" for one in words)


def _three_digits(value: float) -> str:
    decimals = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    written = f"{value:,.{decimals}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written

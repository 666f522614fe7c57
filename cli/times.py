"""Times that people write as options."""

from datetime import UTC, datetime

from config.settings import SettingsError


def read_time(option: str, text: str) -> tuple[datetime, str]:
    """The time, and what has to be said of how it was read, if anything. Raises SettingsError."""
    try:
        read = datetime.fromisoformat(text.strip())
        at = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SettingsError(f"{option}: {text!r} is no time; write it as 2026-03-01T09:00Z or 2026-03-01") from error
    return at, "" if read.tzinfo else f"{option}: {text} has no time zone and is read as UTC"

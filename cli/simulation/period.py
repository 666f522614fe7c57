"""The period that is asked for."""

from datetime import UTC, datetime

from cli.refusals import RefusedError
from config.settings import SettingsError
from crm_store.recordings import Extent, Period


def period_of(since: datetime, until: datetime) -> Period:
    """Raises SettingsError."""
    if since >= until:
        raise SettingsError(f"--from: {shown(since)} is not before --to {shown(until)}")
    return Period(since, until)


def check_recorded(period: Period, extent: Extent) -> None:
    """Raises SettingsError where it does not lie in the past, and RefusedError where nothing can be recorded of it."""
    for option, at in (("--from", period.since), ("--to", period.until)):
        if at > extent.now:
            raise SettingsError(f"{option}: {shown(at)} is in the future; only what has happened can be replayed")
    if extent.first is None or extent.last is None:
        raise RefusedError("--from, --to: nothing is recorded; there is no dialog in the database")
    if period.until <= extent.first or period.since > extent.last:
        raise nothing_recorded(period, extent)


def nothing_recorded(period: Period, extent: Extent) -> RefusedError:
    """The error where no dialog began in the period."""
    reach = f"the records reach from {shown(extent.first)} to {shown(extent.last)}"
    return RefusedError(
        f"--from, --to: no dialog began between {shown(period.since)} and {shown(period.until)}; {reach}"
    )


def shown(at: datetime | None) -> str:
    """For people, to the second."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""The desk: can its channels be read, and is somebody there for its customers."""

from collections.abc import Iterable, Iterator, Mapping

from cli.diagnosis.findings import Finding, broken, ok, warning
from crm_store.administration import Known, KnownChannel, KnownOpenChannel
from crm_store.desks import RosterRow
from crm_store.secrets import SecretBox, SecretKeyError
from ingest.adapters.registry import UnknownKindError, adapter_for


def look_at_secrets(box: SecretBox, channels: Iterable[KnownChannel]) -> Iterator[Finding]:
    """Whether the present keys open every channel's secrets, and the first one alone."""
    unreadable, old = [], []
    for channel in channels:
        try:
            box.open(channel.sealed)
        except SecretKeyError:
            unreadable.append(channel.key)
        else:
            old += [] if box.sealed_with_first(channel.sealed) else [channel.key]
    if unreadable:
        yield broken(
            "secrets",
            f"the secrets of {', '.join(unreadable)} cannot be read: their webhooks are refused",
            "add the key with which they were encrypted to OPENCHANNEL_SECRET_KEY, or give the secrets anew with "
            "`openchannel apply`",
        )
    if old:
        yield warning(
            "secrets_key",
            f"the secrets of {', '.join(old)} are encrypted with an older key",
            "run `openchannel channels reencrypt`",
        )
    if not unreadable and not old:
        yield ok("secrets", "all channels' secrets can be read")


def look_at_channels(channels: Iterable[KnownChannel]) -> Iterator[Finding]:
    """Whether there is an adapter for each channel."""
    missing = []
    for channel in channels:
        try:
            adapter_for(channel.kind)
        except UnknownKindError:
            missing.append(channel)
    for channel in missing:
        said = f"there is no adapter for {channel.key}, a {channel.kind} channel"
        action = "install the package that brings it, or `openchannel channels disable`"
        yield broken("adapters", said, action) if channel.active else warning("adapters", said, action)
    if not missing:
        yield ok("adapters", "every channel has its adapter")


def look_at_rosters(
    known: Known, rosters: Mapping[int, Iterable[RosterRow]], waiting: Mapping[int, int]
) -> Iterator[Finding]:
    """Whether customers of active channels reach somebody. waiting: dialogs without an operator."""
    fed = {channel.open_channel_id for channel in known.channels.values() if channel.active}
    if not known.channels:
        yield warning("desk", "no channel is connected", "see `openchannel apply` and docs/desks.md")
    lonely = list(
        _lonely([one for one in known.open_channels.values() if one.active and one.id in fed], rosters, waiting)
    )
    yield from lonely
    if known.channels and not lonely:
        yield ok("rosters", "every open channel has somebody online")


def _lonely(
    desks: Iterable[KnownOpenChannel], rosters: Mapping[int, Iterable[RosterRow]], waiting: Mapping[int, int]
) -> Iterator[Finding]:
    for desk in desks:
        present = [row for row in rosters.get(desk.id, ()) if not row.dismissed]
        waits = f"; {waiting[desk.id]} dialogs wait" if waiting.get(desk.id) else ""
        if not present:
            yield warning(
                "rosters",
                f'the roster of "{desk.name}" is empty{waits}',
                "put operators on it, with `openchannel apply`",
            )
        elif desk.settings.check_availability and not any(row.online for row in present):
            yield warning("rosters", f'nobody of "{desk.name}" is online{waits}', "see `openchannel operators list`")

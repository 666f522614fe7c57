"""The demo's desk: three open channels, five channels, eight operators. Made anew or brought up to date at each run."""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crm_store import desks
from crm_store.database import Connection
from crm_store.desks import RosterMember
from crm_store.secrets import SecretBox, hash_token
from loadgen.operators import OperatorAccount
from tracker.channels import CardMode, Channel, CreateWhen, Distribution, OpenChannelSettings

SALES, SUPPORT, PARTNERS = "Demo sales", "Demo support", "Demo partners"

_NOBODY = "Thank you for writing! Everybody is busy right now; we answer as soon as somebody is free."

_OPEN_CHANNELS: Mapping[str, OpenChannelSettings] = {
    SALES: OpenChannelSettings(distribution=Distribution.EVENLY, max_dialogs=6, nobody_available_text=_NOBODY),
    SUPPORT: OpenChannelSettings(
        distribution=Distribution.STRICTLY, max_dialogs=5, mode=CardMode.DEAL, nobody_available_text=_NOBODY
    ),
    PARTNERS: OpenChannelSettings(
        distribution=Distribution.ALL,
        max_dialogs=8,
        create_when=CreateWhen.CONTACT_DETAILS,
        nobody_available_text=_NOBODY,
    ),
}

_CHANNELS = (
    ("demo-telegram", "telegram", "Demo bot", SALES, "RU"),
    ("demo-form", "webform", "Demo contact form", SALES, "DE"),
    ("demo-whatsapp", "whatsapp", "Demo WhatsApp number", SUPPORT, "BR"),
    ("demo-livechat", "livechat", "Demo site chat", SUPPORT, "GB"),
    ("demo-partners", "custom", "Demo partners' messenger", PARTNERS, None),
)
"""Key, kind, name, open channel, region."""

_DEPARTMENT = "Demo front desk"
_FRONT_DESK = ("Ada (demo)", "Bruno (demo)", "Chiara (demo)", "Davor (demo)")
_SINGLE = ("Emre (demo)", "Freya (demo)", "Goran (demo)", "Hana (demo)")
_RESTLESS = frozenset({"Bruno (demo)", "Davor (demo)", "Freya (demo)"})
_PERSONAL_LIMIT = {"Hana (demo)": 7}

_ROSTERS: Mapping[str, tuple[str, ...]] = {
    SALES: (_DEPARTMENT, "Emre (demo)"),
    SUPPORT: ("Freya (demo)", "Goran (demo)", _DEPARTMENT),
    PARTNERS: ("Hana (demo)", "Emre (demo)", "Goran (demo)"),
}


@dataclass(frozen=True, slots=True)
class DemoDesk:
    """What the synthetic customers and operators need to know."""

    channels: Sequence[Channel]
    operators: Sequence[OperatorAccount]


def plan_desk(secret_key: str) -> DemoDesk:
    """The desk, with secrets and tokens that are the same at each run on the same data, and a secret to others."""
    channels = [
        Channel(
            id=0,
            key=key,
            kind=kind,
            name=name,
            open_channel_id=0,
            account_id="demo-number" if kind == "whatsapp" else "",
            region=region,
            secrets=(_webhook_secret(secret_key, key) if kind == "custom" else _secret(secret_key, key),),
            config={"verify_token": _secret(secret_key, f"{key} verify")} if kind == "whatsapp" else {},
        )
        for key, kind, name, _, region in _CHANNELS
    ]
    operators = [
        OperatorAccount(name, _secret(secret_key, f"operator {name}"), restless=name in _RESTLESS)
        for name in (*_FRONT_DESK, *_SINGLE)
    ]
    return DemoDesk(channels, operators)


def set_up_desk(connection: Connection, box: SecretBox, desk: DemoDesk, callback_url: str) -> None:
    """Write the desk down. callback_url: where answers to the custom channel go."""
    ids = {
        operator.name: desks.put_operator(
            connection, operator.name, hash_token(operator.token), _PERSONAL_LIMIT.get(operator.name)
        )
        for operator in desk.operators
    }
    department = desks.put_department(connection, _DEPARTMENT, [ids[name] for name in _FRONT_DESK])
    open_channels = {}
    for name, settings in _OPEN_CHANNELS.items():
        open_channels[name] = desks.put_open_channel(connection, name, settings)
        desks.put_roster(
            connection,
            open_channels[name],
            [
                RosterMember(department_id=department) if member == _DEPARTMENT else RosterMember(ids[member])
                for member in _ROSTERS[name]
            ],
        )
    feeds = {key: open_channels[open_channel] for key, _, _, open_channel, _ in _CHANNELS}
    for channel in desk.channels:
        config = {"callback_url": callback_url} if channel.kind == "custom" else channel.config
        desks.put_channel(connection, replace(channel, open_channel_id=feeds[channel.key], config=config), box)


def channel_of_kind(desk: DemoDesk, kind: str) -> Channel:
    """The desk's only channel of this kind."""
    return next(channel for channel in desk.channels if channel.kind == kind)


def _digest(secret_key: str, purpose: str) -> bytes:
    return hmac.digest(secret_key.encode(), f"openchannel demo: {purpose}".encode(), "sha256")


def _secret(secret_key: str, purpose: str) -> str:
    return base64.urlsafe_b64encode(_digest(secret_key, purpose)).decode().rstrip("=")


def _webhook_secret(secret_key: str, purpose: str) -> str:
    return "whsec_" + base64.b64encode(_digest(secret_key, purpose)).decode()

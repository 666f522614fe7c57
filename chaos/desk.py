"""The desk of a round: three open channels, one for each way of distribution, fed by custom channels; and operators."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_store import desks
from crm_store.database import Connection, DatabaseOptions, Session
from crm_store.desks import RosterMember
from crm_store.secrets import SecretBox, hash_token
from loadgen.operators import OperatorAccount
from tracker.channels import Channel, Counted, Distribution, OpenChannelSettings

SECRET = "whsec_" + base64.b64encode(b"of a desk that lasts for a round").decode()
"""Of all channels of a round: their servers and the receiver of answers sign and check with it."""

OPERATORS = 8

OPEN_CHANNELS: Mapping[str, Mapping[str, Any]] = {
    "evenly": {
        "distribution": Distribution.EVENLY,
        "max_dialogs": 25,
        "nobody_available_text": "Nobody is here now; we write as soon as we can.",
        "mark_unanswered_after": 300,
        "unanswered_text": "We have not forgotten you.",
    },
    "strictly": {
        "distribution": Distribution.STRICTLY,
        "max_dialogs": 20,
        "counted": Counted.WITHOUT_CLOSING,
        "close_after": 60,
        "auto_close_text": "We close this; write whenever you like.",
        "closing_text": "Thank you, good-bye.",
        "full_close_after": 60,
    },
    "all": {
        "distribution": Distribution.ALL,
        "max_dialogs": 30,
        "counted": Counted.WITHOUT_ANSWERED,
        "close_after": 90,
        "mark_unanswered_after": 300,
    },
}
"""Settings by name. Limits are there to be reached: what waits for a free slot is lost first where slots are."""

PERSONAL_LIMITS = {0: 40, 1: 30}
"""Of some operators, over all open channels (D7)."""


@dataclass(frozen=True, slots=True)
class Desk:
    """channels: with their secrets. operators: everybody, all on every roster, with their tokens."""

    channels: tuple[Channel, ...]
    operators: tuple[OperatorAccount, ...]


def set_up(database_url: str, secret_key: str, callback_url: str) -> Desk:
    """Make the desk in a migrated database. secret_key: of the processes. callback_url: where answers go.

    Raises DatabaseAwayError.
    """
    session = Session(DatabaseOptions(database_url, "chaos"))
    try:
        with session.transaction() as connection:
            return _make(connection, SecretBox(secret_key), callback_url)
    finally:
        session.close()


def _make(connection: Connection, box: SecretBox, callback_url: str) -> Desk:
    accounts = [OperatorAccount(f"Operator {n}", f"token of operator {n}", n == 3) for n in range(OPERATORS)]
    operator_ids = [
        desks.put_operator(connection, account.name, hash_token(account.token), PERSONAL_LIMITS.get(n))
        for n, account in enumerate(accounts)
    ]
    for name, settings in OPEN_CHANNELS.items():
        open_channel_id = desks.put_open_channel(connection, name, OpenChannelSettings(**settings))
        desks.put_roster(connection, open_channel_id, [RosterMember(operator_id=one) for one in operator_ids])
        channel = Channel(
            id=0,
            key=f"chaos-{name}",
            kind="custom",
            name=f"Chaos {name}",
            open_channel_id=open_channel_id,
            secrets=(SECRET,),
            config={"callback_url": callback_url},
        )
        desks.put_channel(connection, channel, box)
    return Desk(tuple(desks.read_channels(connection, box)), tuple(accounts))

"""Secrets and tokens that are made up here, and what a given one must look like."""

import base64
import re
import secrets

from ingest.adapters.signatures import sign

SHORTEST_TOKEN = 20

_OURS = frozenset({"telegram", "livechat", "webform", "custom", "vk"})
"""Kinds whose secret we choose and tell the other side; of all others the provider signs with its own."""

_TELEGRAM = re.compile(r"[A-Za-z0-9_-]{1,256}")


def new_secret(kind: str) -> str | None:
    """A secret for a channel of this kind; None where only the provider can give it."""
    return any_secret(kind) if kind in _OURS else None


def any_secret(kind: str) -> str:
    """A secret that has the form of this kind's."""
    if kind == "custom":
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    if kind == "vk":
        return secrets.token_hex(20)  # letters and digits only, at most 50
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """An operator's token."""
    return secrets.token_urlsafe(24)


def wrong_secret(kind: str, secret: str) -> str:
    """Why this cannot be a secret of a channel of this kind; empty if it can."""
    if kind == "telegram" and not _TELEGRAM.fullmatch(secret):
        return "Telegram takes 1 to 256 letters, digits, `-` and `_`"
    if kind == "custom":
        try:
            sign(secret, "id", 0, b"")
        except ValueError:
            return "a secret of Standard Webhooks is `whsec_` and base64"
    return ""

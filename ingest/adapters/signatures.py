"""Proofs that a request is the provider's: over raw bytes, in constant time, with any of the valid secrets.

A missing, malformed or non-ASCII signature is a SignatureError like a wrong one, and so is a channel that has no
secret where the proof needs one: nothing is accepted unproved.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable

from ingest.adapters.base import SignatureError, WebhookRequest
from tracker.channels import Channel

TOLERANCE = 300
"""Seconds by which the time of a Standard Webhook may differ from ours."""

_VERSION = "v1"
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that all such secrets have


def check_token(given: str, valid: Iterable[str]) -> None:
    """`given` is one of the valid tokens, or SignatureError."""
    _check([given.encode("utf-8", "surrogatepass")], [token.encode("utf-8", "surrogatepass") for token in valid])


def check_hex_sha256(request: WebhookRequest, header: str, prefix: str, channel: Channel) -> None:
    """The header is `prefix` and the hex HMAC-SHA256 of the raw body under a secret, or SignatureError."""
    given = signature_header(request, header)
    if not given.startswith(prefix):
        raise SignatureError(f"{header} does not start with {prefix}")
    check_token(given.removeprefix(prefix).lower(), [digest.hex() for digest in _sha256_of_body(request, channel)])


def check_base64_sha256(request: WebhookRequest, header: str, channel: Channel) -> None:
    """The header is the base64 HMAC-SHA256 of the raw body under a secret, or SignatureError."""
    given = signature_header(request, header)
    check_token(given, [base64.b64encode(digest).decode() for digest in _sha256_of_body(request, channel)])


def check_standard_webhook(request: WebhookRequest, channel: Channel) -> None:
    """The request is signed as Standard Webhooks says (`webhook-id`, `-timestamp`, `-signature`), or SignatureError.

    Its timestamp may differ from `received_at` by TOLERANCE.
    """
    message_id = signature_header(request, "webhook-id")
    timestamp = _seconds(signature_header(request, "webhook-timestamp"))
    given = signature_header(request, "webhook-signature").split(" ")
    if abs(request.received_at.timestamp() - timestamp) > TOLERANCE:
        raise SignatureError("webhook-timestamp is too far from our time")
    try:
        valid = [sign(secret, message_id, timestamp, request.body) for secret in secrets_of(channel)]
    except ValueError as error:
        raise SignatureError("a secret of the channel is not base64") from error
    _check([signature.encode() for signature in given], [signature.encode() for signature in valid])


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a Standard Webhook: `v1,` and a base64 HMAC-SHA256 of `id.timestamp.body`.

    secret: base64, with or without `whsec_`. timestamp: Unix seconds. Raises ValueError for a secret that is none.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"


def signature_header(request: WebhookRequest, name: str) -> str:
    """A header that a proof needs. Raises SignatureError if it is missing, empty or not ASCII."""
    value = request.headers.get(name, "")
    if not value:
        raise SignatureError(f"{name} is missing")
    if not value.isascii():
        raise SignatureError(f"{name} is not ASCII")
    return value


def secrets_of(channel: Channel) -> tuple[str, ...]:
    """The channel's valid secrets. Raises SignatureError if there is none."""
    secrets = tuple(secret for secret in channel.secrets if secret)
    if not secrets:
        raise SignatureError("the channel has no secret")
    return secrets


def _sha256_of_body(request: WebhookRequest, channel: Channel) -> list[bytes]:
    return [hmac.digest(secret.encode(), request.body, hashlib.sha256) for secret in secrets_of(channel)]


def _check(given: list[bytes], valid: list[bytes]) -> None:
    # All pairs are compared, so that the time does not tell which of the secrets is the right one.
    matches = [hmac.compare_digest(one, other) for one in given for other in valid]
    if not any(matches):
        raise SignatureError("the signature does not match")


def _seconds(value: str) -> int:
    if not value.isdigit() or len(value) > 12:
        raise SignatureError("webhook-timestamp is not a time in seconds")
    return int(value)


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix(_SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError as error:
        raise ValueError("a Standard Webhooks secret is base64") from error
    if not key:
        raise ValueError("a Standard Webhooks secret must not be empty")
    return key

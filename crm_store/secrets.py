"""Channel secrets at rest, and the keyed hash of external ids."""

import hashlib
import hmac
import json
import re
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from crm_store.errors import StoreError

_BETWEEN_KEYS = re.compile(r"[,\s]+")


class SecretKeyError(StoreError):
    """The secret key is not one, or is not the one with which the secrets were encrypted."""

    reason = "secret_key"


class SecretBox:
    """Encrypts channel secrets (MultiFernet), and hashes external ids, which may contain a phone (keyed BLAKE2b).

    While keys are rotated there are several: the first one encrypts, each of them decrypts. The hash is keyed by the
    last, the oldest one: it has to stay what it was, or a webhook that is delivered again would not be recognised.
    """

    def __init__(self, secret_key: str) -> None:
        """secret_key: 32 bytes in urlsafe base64, or several of them between commas or on lines of their own.

        Raises SecretKeyError.
        """
        keys = _BETWEEN_KEYS.split(secret_key.strip())
        try:
            fernets = [Fernet(key) for key in keys]
        except ValueError as error:
            raise SecretKeyError(
                "OPENCHANNEL_SECRET_KEY: each key must be 32 bytes in urlsafe base64, several go between commas; make "
                "one with `python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'`"
            ) from error
        self._first, self._all = fernets[0], MultiFernet(fernets)
        self._hash_key = hmac.digest(keys[-1].encode(), b"openchannel external id", "sha256")

    def seal(self, secrets: Sequence[str]) -> bytes:
        """Encrypt the valid secrets of a channel, with the first key."""
        return self._all.encrypt(json.dumps(list(secrets)).encode())

    def open(self, sealed: bytes) -> tuple[str, ...]:
        """Decrypt the secrets of a channel, with whichever key it takes. Raises SecretKeyError."""
        try:
            return tuple(json.loads(self._all.decrypt(sealed)))
        except InvalidToken as error:
            raise SecretKeyError(
                "OPENCHANNEL_SECRET_KEY is not the key with which the channels' secrets were encrypted"
            ) from error

    def sealed_with_first(self, sealed: bytes) -> bool:
        """Whether the first key alone opens it: then the other keys are not needed for it."""
        try:
            self._first.decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def hash(self, external_id: str) -> bytes:
        """16 bytes by which an external id is recognised, and from which it cannot be told."""
        return hashlib.blake2b(external_id.encode(), digest_size=16, key=self._hash_key).digest()


def hash_token(token: str) -> bytes:
    """How an API token is kept. Tokens are long and random, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()

"""Channel secrets at rest, and the keyed hash of external ids."""

import hashlib
import hmac
import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken

from crm_store.errors import StoreError


class SecretKeyError(StoreError):
    """The secret key is not one, or is not the one with which the secrets were encrypted."""

    reason = "secret_key"


class SecretBox:
    """Encrypts channel secrets (Fernet), and hashes external ids, which may contain a phone (keyed BLAKE2b)."""

    def __init__(self, secret_key: str) -> None:
        """secret_key: 32 bytes in urlsafe base64. Raises SecretKeyError."""
        try:
            self._fernet = Fernet(secret_key)
        except ValueError as error:
            raise SecretKeyError(
                "OPENCHANNEL_SECRET_KEY: must be 32 bytes in urlsafe base64; make one with "
                "`python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'`"
            ) from error
        self._hash_key = hmac.digest(secret_key.encode(), b"openchannel external id", "sha256")

    def seal(self, secrets: Sequence[str]) -> bytes:
        """Encrypt the valid secrets of a channel."""
        return self._fernet.encrypt(json.dumps(list(secrets)).encode())

    def open(self, sealed: bytes) -> tuple[str, ...]:
        """Decrypt the secrets of a channel. Raises SecretKeyError."""
        try:
            return tuple(json.loads(self._fernet.decrypt(sealed)))
        except InvalidToken as error:
            raise SecretKeyError(
                "OPENCHANNEL_SECRET_KEY is not the key with which the channels' secrets were encrypted"
            ) from error

    def hash(self, external_id: str) -> bytes:
        """16 bytes by which an external id is recognised, and from which it cannot be told."""
        return hashlib.blake2b(external_id.encode(), digest_size=16, key=self._hash_key).digest()


def hash_token(token: str) -> bytes:
    """How an API token is kept. Tokens are long and random, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()

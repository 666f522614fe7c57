"""Channel secrets at rest, and the keyed hash of external ids."""

import base64

import pytest

from crm_store.secrets import SecretBox, SecretKeyError, hash_token

pytestmark = pytest.mark.unit

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
OTHER = base64.urlsafe_b64encode(b"o" * 32).decode()


def test_secrets_come_back_and_cannot_be_read_in_between():
    """All valid ones of a rotation, in their order."""
    box = SecretBox(KEY)
    sealed = box.seal(("newest secret", "gr\u00fc\u00dfe"))
    assert b"secret" not in sealed
    assert SecretBox(KEY).open(sealed) == ("newest secret", "gr\u00fc\u00dfe")
    assert box.seal(("x",)) != box.seal(("x",)), "equal secrets do not look equal"


def test_another_key_opens_nothing():
    """The error names the setting, and not the secret."""
    with pytest.raises(SecretKeyError, match="OPENCHANNEL_SECRET_KEY") as raised:
        SecretBox(OTHER).open(SecretBox(KEY).seal(("a secret",)))
    assert raised.value.reason == "secret_key"


def test_a_tampered_secret_is_noticed():
    """Encrypted and authenticated."""
    sealed = bytearray(SecretBox(KEY).seal(("a secret",)))
    sealed[20] ^= 1
    with pytest.raises(SecretKeyError):
        SecretBox(KEY).open(bytes(sealed))


@pytest.mark.parametrize("key", ["", "short", "not base64 !", base64.urlsafe_b64encode(b"k" * 31).decode()])
def test_a_bad_key_is_refused_with_how_to_make_one(key):
    """At start, not at the first webhook."""
    with pytest.raises(SecretKeyError, match="make one with") as raised:
        SecretBox(key)
    assert len(key) < 6 or key not in str(raised.value)


def test_external_ids_are_hashed_with_the_key():
    """Stable for one key, different for another; 16 bytes; an id may contain a phone."""
    box = SecretBox(KEY)
    assert box.hash("wamid.491712345678") == SecretBox(KEY).hash("wamid.491712345678")
    assert box.hash("wamid.491712345678") != SecretBox(OTHER).hash("wamid.491712345678")
    assert box.hash("a") != box.hash("b")
    assert len(box.hash("x" * 10_000)) == 16


def test_tokens_are_kept_hashed():
    """32 bytes, without the token in them."""
    assert hash_token("token") == hash_token("token") != hash_token("token2")
    assert len(hash_token("token")) == 32

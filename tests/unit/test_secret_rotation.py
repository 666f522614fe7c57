"""Several secret keys: the first encrypts, each decrypts, the last hashes."""

import base64

import pytest
from pydantic import SecretStr

from cli.composition import secret_box
from config.settings import Settings, SettingsError
from crm_store.secrets import SecretBox, SecretKeyError

pytestmark = pytest.mark.unit

OLD, NEW, NEWEST = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"o", b"n", b"m"))


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No settings of the machine."""
    monkeypatch.delenv("OPENCHANNEL_SECRET_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_first_key_encrypts_and_each_decrypts():
    """What was encrypted before the rotation is read, and can be told from what was encrypted after it."""
    old, both = SecretBox(OLD), SecretBox(f"{NEW},{OLD}")
    assert both.open(old.seal(("a", "b"))) == ("a", "b")
    assert SecretBox(NEW).open(both.seal(("c",))) == ("c",)
    with pytest.raises(SecretKeyError):
        old.open(both.seal(("c",)))
    assert not both.sealed_with_first(old.seal(("a",)))
    assert both.sealed_with_first(both.seal(("a",)))


def test_external_ids_are_hashed_with_the_oldest_key():
    """A webhook that is delivered again after the rotation is still recognised."""
    assert (
        SecretBox(f"{NEWEST},{NEW},{OLD}").hash("id")
        == SecretBox(f"{NEW}, {OLD}").hash("id")
        == SecretBox(OLD).hash("id")
    )
    assert SecretBox(NEW).hash("id") != SecretBox(OLD).hash("id")


@pytest.mark.parametrize("given", [f"{NEW},,x", f"{NEW},", f"{NEW} {OLD[:-2]}"])
def test_each_key_must_be_one(given):
    """A slip of the pen is told at start."""
    with pytest.raises(SecretKeyError, match="each key must be 32 bytes"):
        SecretBox(given)


def test_the_keys_may_stand_in_a_file(tmp_path):
    """One on each line, the first one first."""
    file = tmp_path / "keys"
    file.write_text(f"{NEW}\n{OLD}\n")
    box = secret_box(Settings(secret_key_file=file))
    assert box.open(SecretBox(OLD).seal(("a",))) == ("a",)
    assert SecretBox(NEW).open(box.seal(("b",))) == ("b",)


def test_the_file_is_the_only_source_if_it_is_named(tmp_path):
    """Nothing is fallen through to."""
    with pytest.raises(SettingsError, match=r"OPENCHANNEL_SECRET_KEY_FILE: .* cannot be read: No such file"):
        secret_box(Settings(secret_key_file=tmp_path / "nope"))
    with pytest.raises(SettingsError, match="are both set; keep one"):
        secret_box(Settings(secret_key_file=tmp_path / "nope", secret_key=SecretStr(OLD)))
    (tmp_path / "empty").write_text("")
    with pytest.raises(SecretKeyError, match="make one"):
        secret_box(Settings(secret_key_file=tmp_path / "empty"))
    with pytest.raises(SettingsError, match="OPENCHANNEL_SECRET_KEY: must be set"):
        secret_box(Settings())

"""Settings: all that is bad is named at once, and secrets are not shown."""

import os
from pathlib import Path

import pytest

from config.settings import SettingsError, describe_settings, load_settings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No settings of the machine, and no .env but the test's own."""
    for name in os.environ:
        if name.upper().startswith("OPENCHANNEL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_usable():
    """Without any variable the settings are those of the documentation."""
    settings = load_settings()
    assert (settings.web.host, settings.web.port, settings.worker.batch_limit) == ("127.0.0.1", 8080, 500)
    assert settings.database.url is None


def test_nested_settings_are_read_from_the_environment(monkeypatch):
    """`OPENCHANNEL_WEB__PORT`, in any case."""
    monkeypatch.setenv("OPENCHANNEL_WEB__PORT", "9000")
    monkeypatch.setenv("openchannel_worker__batch_limit", "7")
    monkeypatch.setenv("OPENCHANNEL_DATABASE__URL", "postgresql://desk:hunter2@host/name")
    settings = load_settings()
    assert (settings.web.port, settings.worker.batch_limit) == (9000, 7)
    assert settings.web.host == "127.0.0.1", "a part of a group leaves the rest as it is"
    assert settings.database.url is not None
    assert settings.database.url.get_secret_value().endswith("@host/name")


def test_a_dotenv_file_is_read_and_the_environment_goes_before(monkeypatch):
    """`.env` of the working directory."""
    Path(".env").write_text("OPENCHANNEL_WEB__PORT=9001\nOPENCHANNEL_LOG__LEVEL=DEBUG\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("OPENCHANNEL_WEB__PORT", "9002")
    settings = load_settings()
    assert (settings.web.port, settings.log.level) == (9002, "DEBUG")


def test_overrides_go_before_everything(monkeypatch):
    """What a command's option says."""
    monkeypatch.setenv("OPENCHANNEL_DATA_DIR", "elsewhere")
    assert load_settings(data_dir=Path("here")).data_dir == Path("here")


def test_all_bad_and_all_unknown_settings_are_named_at_once(monkeypatch):
    """One start shows all mistakes, those of `.env` included, by the names that the operator wrote."""
    Path(".env").write_text("OPENCHANNEL_WEB__HOSST=x\nOPENCHANNEL_CLOCK__INTERVAL=-1\n")
    monkeypatch.setenv("OPENCHANNEL_WEB__PORT", "99999999")
    monkeypatch.setenv("OPENCHANNEL_LOG__LEVEL", "LOUD")
    monkeypatch.setenv("OPENCHANNEL_WORKER__PROCESES", "2")
    monkeypatch.setenv("OPENCHANNEL_DATABSE__URL", "x")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    named = [line.partition(":")[0] for line in str(raised.value).splitlines()]
    assert named == [
        "OPENCHANNEL_CLOCK__INTERVAL",
        "OPENCHANNEL_DATABSE__URL",
        "OPENCHANNEL_LOG__LEVEL",
        "OPENCHANNEL_WEB__HOSST",
        "OPENCHANNEL_WEB__PORT",
        "OPENCHANNEL_WORKER__PROCESES",
    ]


@pytest.mark.parametrize("name", ["OPENCHANNEL_DATABASE__URL", "OPENCHANNEL_SECRET_KEY", "OPENCHANNEL_API_TOKEN"])
def test_secrets_are_not_shown(monkeypatch, name):
    """Neither by the settings themselves nor by an error about another one."""
    monkeypatch.setenv(name, "hunter2")
    settings = load_settings()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump_json())
    monkeypatch.setenv("OPENCHANNEL_WEB__PORT", "hunter3")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert "hunter" not in str(raised.value)


def test_the_test_suites_own_variables_are_no_mistake(monkeypatch):
    """They say where its servers are."""
    monkeypatch.setenv("OPENCHANNEL_TEST_DATABASE_URL", "x")
    load_settings()


def test_every_described_setting_can_be_given(monkeypatch):
    """The names of the documentation are the names that are read."""
    described = {name: default.strip("`") for name, default, _ in describe_settings()}
    assert {"OPENCHANNEL_WEB__PORT", "OPENCHANNEL_SECRET_KEY", "OPENCHANNEL_BROKER__URL"} <= described.keys()
    defaults = load_settings()
    for name, default in described.items():
        if default:
            monkeypatch.setenv(name, default)
    assert load_settings() == defaults
    assert all(meaning or name.endswith(("HOST", "LEVEL")) for name, _, meaning in describe_settings())


def test_a_whole_group_may_be_given_as_json(monkeypatch):
    """And what is wrong within it is named as well."""
    monkeypatch.setenv("OPENCHANNEL_WEB", '{"port": 9003}')
    assert load_settings().web.port == 9003
    monkeypatch.setenv("OPENCHANNEL_WEB", '{"hosst": "x"}')
    with pytest.raises(SettingsError, match="OPENCHANNEL_WEB__HOSST: not a setting"):
        load_settings()
    monkeypatch.setenv("OPENCHANNEL_WEB", "no json")
    with pytest.raises(SettingsError, match="web"):
        load_settings()


def test_settings_do_not_change():
    """Frozen: nobody changes them behind the others' backs."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings().web.port = 1  # type: ignore[misc]

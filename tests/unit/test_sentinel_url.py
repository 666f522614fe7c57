"""Sentinel by URL: what kombu is given of it."""

import pytest

from cli.composition import broker_url
from config.settings import Settings, SettingsError
from worker.app import make_app
from worker.sentinel import SentinelUrlError, split_sentinel_url

pytestmark = pytest.mark.unit

GIVEN = "sentinel://:secret@one:26379/3?master_name=desk;sentinel://two:26379;sentinel://three:26379"
TAKEN = "sentinel://:secret@one:26379/3;sentinel://two:26379;sentinel://three:26379"


def test_the_primary_is_named_in_the_url() -> None:
    """The name is an option of the transport; the rest stays as it was."""
    assert split_sentinel_url(GIVEN) == (TAKEN, {"master_name": "desk"})


@pytest.mark.parametrize("url", ["redis://:secret@one:6379/0?x=1", "amqp://one:5672//", "rediss://one"])
def test_other_brokers_are_left_alone(url: str) -> None:
    """Their URLs go to kombu as they are."""
    assert split_sentinel_url(url) == (url, {})


def test_the_app_is_made_of_it() -> None:
    """All Sentinels, Redis' own password and database, and the options that hold on Redis."""
    app = make_app(GIVEN)
    assert app.conf.broker_transport_options["master_name"] == "desk"
    assert app.conf.broker_transport_options["visibility_timeout"] == 60.0
    connection = app.connection_for_write()
    assert (connection.password, connection.virtual_host, connection.port) == ("secret", "3", 26379)
    assert connection.alt == TAKEN.split(";")
    assert "master_name" not in make_app("redis://one:6379/0").conf.broker_transport_options


def test_without_a_name_it_is_an_error_at_start() -> None:
    """Not one at the first hint, which nobody would see."""
    with pytest.raises(SentinelUrlError, match="master_name=NAME"):
        split_sentinel_url("sentinel://one:26379/0")
    settings = Settings(broker={"url": "sentinel://one:26379/0"})
    with pytest.raises(SettingsError, match="OPENCHANNEL_BROKER__URL: a Sentinel URL needs"):
        broker_url(settings)

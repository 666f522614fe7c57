"""Which URLs name a database."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from cli.composition import database_url
from config.settings import Settings, SettingsError

pytestmark = pytest.mark.unit

TWO_HOSTS = "postgresql://desk:secret@one:5432,two:5433/openchannel?target_session_attrs=read-write"


def test_several_hosts_and_the_one_that_takes_writes() -> None:
    """A failover needs no other setting: the driver tries the hosts in turn."""
    url = database_url(Settings(database={"url": TWO_HOSTS}))
    read = conninfo_to_dict(url)
    assert (read["host"], read["port"], read["target_session_attrs"]) == ("one,two", "5432,5433", "read-write")


@pytest.mark.parametrize("url", ["postgresql://desk:p@ss@one/openchannel", "postgresql://desk:a/b@one/openchannel"])
def test_a_password_that_is_not_escaped(url: str) -> None:
    """Parts of it would be taken for host or port, and stand in errors."""
    with pytest.raises(SettingsError, match="%40"):
        database_url(Settings(database={"url": url}))

"""Redis Sentinel by URL: which primary the Sentinels are asked for stands in the URL's query.

    sentinel://:PASSWORD@HOST:26379/0?master_name=NAME;sentinel://HOST:26379;sentinel://HOST:26379

User, password and database are those of Redis, and stand in the first URL. kombu asks the Sentinels in turn, and again
after a failover; the Sentinels themselves have no password.
"""

from urllib.parse import parse_qs, urlsplit, urlunsplit

SCHEME = "sentinel"
_NAME = "master_name"


class SentinelUrlError(ValueError):
    """A Sentinel URL that cannot be used. The message says why."""


def split_sentinel_url(broker_url: str) -> tuple[str, dict[str, str]]:
    """The URL as kombu takes it, and the transport options that it needs besides; none for any other broker.

    Raises SentinelUrlError if no primary is named.
    """
    if urlsplit(broker_url).scheme != SCHEME:
        return broker_url, {}
    parts = [urlsplit(url) for url in broker_url.split(";") if url]
    names = [name for part in parts for name in parse_qs(part.query).get(_NAME, [])]
    if not names:
        raise SentinelUrlError(f"a Sentinel URL needs the name of its primary: sentinel://HOST:26379/0?{_NAME}=NAME")
    return ";".join(urlunsplit(part._replace(query="")) for part in parts), {_NAME: names[0]}

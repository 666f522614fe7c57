"""Facebook Messenger: the messages of pages (https://developers.facebook.com/docs/messenger-platform/webhooks)."""

from typing import ClassVar

from ingest.adapters.meta_messaging import MetaMessaging


class Messenger(MetaMessaging):
    """One channel per page; its account is the page's id."""

    kind: ClassVar[str] = "messenger"

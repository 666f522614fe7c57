"""Instagram: direct messages of professional accounts (https://developers.facebook.com/docs/instagram-platform/webhooks)."""

from typing import ClassVar

from ingest.adapters.meta_messaging import MetaMessaging


class Instagram(MetaMessaging):
    """One channel per account; its account is the professional account's id."""

    kind: ClassVar[str] = "instagram"

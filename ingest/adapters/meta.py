"""What all webhooks of Meta have in common (https://developers.facebook.com/docs/graph-api/webhooks/getting-started)."""

from typing import ClassVar

from ingest.adapters.base import AdapterDefaults, Reply, SignatureError, WebhookRequest
from ingest.adapters.reading import text
from ingest.adapters.signatures import check_hex_sha256, check_token
from tracker.channels import Channel


class MetaWebhook(AdapterDefaults):
    """Set up by `GET` with the channel's `verify_token`, proved by `X-Hub-Signature-256` under the app's secret."""

    content_types: ClassVar[frozenset[str]] = frozenset({"application/json"})

    def handshake(self, request: WebhookRequest, channel: Channel) -> Reply | None:
        """Echo `hub.challenge` to who knows the channel's `verify_token`."""
        if request.method != "GET" or "hub.mode" not in request.query:
            return None
        token = text(channel.config.get("verify_token"))
        if not token or request.query["hub.mode"] != "subscribe":
            raise SignatureError("hub.mode is not subscribe, or the channel has no verify_token")
        check_token(request.query.get("hub.verify_token", ""), [token])
        return Reply(body=request.query.get("hub.challenge", ""))

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """`X-Hub-Signature-256: sha256=` and the hex HMAC of the raw body."""
        check_hex_sha256(request, "x-hub-signature-256", "sha256=", channel)

"""Headers that are kept with each item: what helps to find a cause, and no secret."""

import orjson
import pytest

from ingest.items import HEADERS_LENGTH, kept_headers


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "proxy-authorization", "x-auth", "x-api-key", "apikey", "ocp-apim-subscription-key", "cookie",
        "x-amz-security-token", "x-hub-signature-256", "x-telegram-bot-api-secret-token", "x-password", "x-credentials",
    ],
)  # fmt: skip
def test_secrets_are_not_kept(name: str) -> None:
    """They would stand in the inbox for a month, and in exports."""
    assert orjson.loads(kept_headers({name: "s3cret", "webhook-id": "7"})) == {"webhook-id": "7"}


def test_no_more_than_is_sensible() -> None:
    """Whoever sends long headers does not fill the inbox with them."""
    kept = kept_headers({"x-first": "1", "x-long": "x" * HEADERS_LENGTH})
    assert orjson.loads(kept) == {"x-first": "1"}

"""What is kept of a request besides its body."""

import json

from ingest.items import HEADERS_LENGTH, kept_headers

SECRETS = (
    "authorization",
    "Proxy-Authorization",
    "x-auth",
    "cookie",
    "x-telegram-bot-api-secret-token",
    "x-api-key",
    "apikey",
    "ocp-apim-subscription-key",
    "x-pigeon-signature",
    "x-password",
    "x-credentials",
)


def test_no_header_that_opens_something_is_kept():
    """They would be shown with the letter, and stand in every backup."""
    kept = json.loads(kept_headers(dict.fromkeys(SECRETS, "hush") | {"content-type": "application/json"}))
    assert kept == {"content-type": "application/json"}


def test_a_long_secret_takes_no_room_from_what_is_kept():
    """Some bodies are read by their headers, however long the others are."""
    kept = json.loads(kept_headers({"cookie": "c" * HEADERS_LENGTH, "content-type": "text/plain"}))
    assert kept == {"content-type": "text/plain"}


def test_headers_beyond_a_length_are_left_out():
    """Each item has them."""
    assert len(kept_headers({f"x-{n}": "v" * 100 for n in range(1000)})) < 2 * HEADERS_LENGTH

"""How Twilio signs its webhooks (https://www.twilio.com/docs/usage/webhooks/webhooks-security).

Signed are the URL as Twilio called it and, of a form, its parameters sorted by name, blank ones too. Of a JSON body the
URL carries the SHA-256. The algorithm is HMAC-SHA1 under the auth token, or as `X-Twilio-Webhooks-Signature-Settings`
says under a shared key.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from ingest.adapters.base import ParseError, SignatureError, WebhookRequest
from ingest.adapters.signatures import check_token, secrets_of, signature_header
from tracker.channels import Channel

MOST_PARAMETERS = 1000

_ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_PORTS = {"http": 80, "https": 443}


def check_twilio(request: WebhookRequest, channel: Channel) -> None:
    """`X-Twilio-Signature` is that of this URL and body under a secret, or SignatureError."""
    given = signature_header(request, "x-twilio-signature")
    signed = _check_hash(request) if is_json(request) else _parameters(request)
    algorithm = _algorithm(request)
    urls = list(_urls(request.url))
    valid = [
        base64.b64encode(hmac.digest(secret.encode(), url.encode("utf-8", "surrogatepass") + signed, algorithm))
        for secret in secrets_of(channel)
        for url in urls
    ]
    check_token(given, [digest.decode() for digest in valid])


def is_json(request: WebhookRequest) -> bool:
    """Whether the body is JSON; otherwise it is a form."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def parameters(body: bytes) -> list[tuple[bytes, bytes]]:
    """The parameters of a form, blank ones too, byte by byte. Raises ParseError if there are too many."""
    try:
        # In Latin-1 each byte is a character: what is signed stays as it was sent, in any encoding.
        pairs = parse_qsl(
            body.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=MOST_PARAMETERS
        )
    except ValueError as error:
        raise ParseError("the form has too many parameters") from error
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


def _parameters(request: WebhookRequest) -> bytes:
    try:
        return b"".join(name + value for name, value in sorted(set(parameters(request.body))))
    except ParseError as error:
        raise SignatureError(str(error)) from error


def _check_hash(request: WebhookRequest) -> bytes:
    """Without the hash in the URL nothing would prove a JSON body."""
    check_token(request.query.get("bodySHA256", "").lower(), [hashlib.sha256(request.body).hexdigest()])
    return b""


def _algorithm(request: WebhookRequest) -> str:
    settings = request.headers.get("x-twilio-webhooks-signature-settings", "")
    named = dict(part.strip().partition("=")[::2] for part in settings.split(",")).get("algorithm") or "HMAC_SHA1"
    try:
        return _ALGORITHMS[named.upper()]
    except KeyError:
        raise SignatureError("the signature's algorithm is not known") from None


def _urls(url: str) -> Iterator[str]:
    """The URLs that Twilio may have called where we were called by this one.

    A proxy that ends TLS makes https of Twilio's http of ours and another port; Twilio itself writes a default port or
    does not. Host, path and query stay as they are: a signature for another service of the same account proves
    nothing here. No header of the request is asked, as anybody can write those.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SignatureError("the URL cannot be read") from error
    host = parts.netloc.removesuffix(f":{port}")
    for scheme in dict.fromkeys((parts.scheme, "https")):
        default = _PORTS.get(scheme)
        for netloc in dict.fromkeys((parts.netloc, host, f"{host}:{default}")):
            yield url.replace(f"{parts.scheme}://{parts.netloc}", f"{scheme}://{netloc}", 1)

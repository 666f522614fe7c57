"""Identity tokens: how the company's own site says who a visitor of its live chat is (T3, `signed`).

A token is a JWT, HS256 under one of the channel's secrets, with `exp` and `sub`, the site's id of the customer, and
if it likes `name`, `email` and `phone`. docs/adapters.md shows how to make one.
"""

import jwt

from ingest.adapters.base import SignatureError
from ingest.adapters.reading import Json, number, text
from ingest.adapters.signatures import secrets_of
from tracker.channels import Channel

LENGTH = 4096
SUB_LENGTH = 128
_ALGORITHMS = ["HS256"]
_CHECKS = {
    "require": ["exp", "sub"],
    # Against the library's own clock a webhook could not be read again later, when an adapter was mended.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
}


def claims_of(token: object, channel: Channel, now: float) -> Json:
    """What a token says. now: Unix seconds of the request.

    Raises SignatureError for a token that is none, is not under a secret of the channel, or is not valid now.
    """
    if not isinstance(token, str) or len(token) > LENGTH or not token.isascii():
        raise SignatureError("the identity token is not a JWT")
    for secret in secrets_of(channel):
        if (claims := _decode(token, secret)) is not None:
            return _check(claims, now)
    raise SignatureError("the identity token is not signed with a secret of the channel")


def _decode(token: str, secret: str) -> Json | None:
    try:
        claims: Json = jwt.decode(token, secret, algorithms=_ALGORITHMS, options=_CHECKS)  # type: ignore[arg-type]
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return claims


def _check(claims: Json, now: float) -> Json:
    expires, starts = number(claims.get("exp")), number(claims.get("nbf", 0))
    if expires is None or expires <= now or starts is None or starts > now:
        raise SignatureError("the identity token is not valid now")
    if not 0 < len(text(claims.get("sub"))) <= SUB_LENGTH:
        raise SignatureError(f"the identity token's sub is not 1 to {SUB_LENGTH} characters")
    return claims

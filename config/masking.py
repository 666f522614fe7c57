"""Masking of what customers wrote and of secrets, for logs, tracebacks and dead letters."""

import re
import traceback
from collections.abc import Mapping
from typing import Any

from config.causes import OUR_PACKAGES

MASK = "***"

_SECRET_FIELDS = re.compile(
    r"(text|name|message|raw|body|phone|e?mail|token|secret|password|authorization|signature|identifiers?|written)$",
    re.IGNORECASE,
)
# Not the user and the masked password of a URL, nor a fingerprint, by which a cause is looked for.
_EMAIL = re.compile(
    r"[^\s@'\"<>]{1,64}(?<!\*\*\*)@"
    rf"(?!(?:{'|'.join(sorted(OUR_PACKAGES))})/[\w/]+\.py:)"
    r"[^\s@'\"<>]{1,255}"
)
_LONG_NUMBER = re.compile(r"\+?\d(?:[\s().\-]{0,2}\d){6,}")
_TOKEN = re.compile(r"(?i)\b(bearer\s+|bot\d*:|whsec_|eyJ)[\w.\-=+/]{8,}")
_URL_PASSWORD = re.compile(r"(\w{1,16}://[^\s:@/]*:)[^\s@/]+@")
# Closed or cut off; an apostrophe within a word opens nothing.
_QUOTED = re.compile(r"(?<!\w\w)'(?:[^'\\]|\\.)*(?:'|\Z)|\"(?:[^\"\\]|\\.)*(?:\"|\Z)", re.DOTALL)

ERROR_LENGTH = 2000


def mask_text(text: str) -> str:
    """Mask phones, e-mails, tokens and passwords of URLs within a text."""
    text = _URL_PASSWORD.sub(rf"\1{MASK}@", text)
    text = _TOKEN.sub(MASK, text)
    text = _EMAIL.sub(MASK, text)
    return _LONG_NUMBER.sub(MASK, text)


def mask_error(text: str) -> str:
    """Mask an error's message: what it quotes may be a customer's words, so no quoted value is kept."""
    text = text[: 4 * ERROR_LENGTH]  # a whole body may be quoted
    return mask_text(_QUOTED.sub(f"'{MASK}'", text))[:ERROR_LENGTH]


def masked_traceback(error: BaseException) -> str:
    """The traceback with its frames as they are and all messages masked, causes included."""
    chain = traceback.TracebackException.from_exception(error, capture_locals=False)
    return "".join(_masked_lines(chain))


def _masked_lines(chain: traceback.TracebackException) -> list[str]:
    lines: list[str] = []
    before = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    if before is not None:
        lines += [*_masked_lines(before), "\n"]
    lines += ["Traceback (most recent call last):\n", *chain.stack.format()]
    lines += [mask_error(line.rstrip("\n")) + "\n" for line in chain.format_exception_only()]
    return lines


def mask_value(value: Any) -> Any:
    """Mask a logged value, whatever is nested in it."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, bytes):
        return MASK
    if isinstance(value, Mapping):
        return mask_fields(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [mask_value(item) for item in value]
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {mask_error(str(value))}"
    return value


def mask_fields(fields: Mapping[Any, Any]) -> dict[Any, Any]:
    """Mask a mapping: fields with a telling name wholly, others where their values show something."""
    return {
        key: MASK if isinstance(key, str) and _SECRET_FIELDS.search(key) and value else mask_value(value)
        for key, value in fields.items()
    }

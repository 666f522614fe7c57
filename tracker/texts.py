"""Texts as PostgreSQL takes them: every string that a provider or a customer wrote passes here once."""

from typing import Annotated

from pydantic import BeforeValidator

NAME_LENGTH = 256

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\ufeff\uffa0"))
_INVISIBLE.update(dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]))


def clean_text(value: object) -> object:
    """Replace NUL and lone surrogates, which PostgreSQL refuses, by U+FFFD; the rest survives (CHANNELS).

    What is not a string is handed back as it is, for pydantic to judge.
    """
    return clean(value) if isinstance(value, str) else value


def clean(text: str) -> str:
    """The same for what is known to be a string."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def clean_name(value: object) -> object:
    """A name on one line. One that consists of invisible characters, as some messengers allow, is empty."""
    if not isinstance(value, str):
        return value
    name = " ".join(clean(value).split())[:NAME_LENGTH]
    if name.isascii() or name.translate(_INVISIBLE).strip():
        return name
    return ""


Text = Annotated[str, BeforeValidator(clean_text)]
Name = Annotated[str, BeforeValidator(clean_name)]

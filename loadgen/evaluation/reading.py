"""The oracle's own way of reading phones and e-mails: simple, and apart from the product's.

A value is brought to its *key*, by which it is compared: small letters for an e-mail, E.164 for a phone, and one key
for all numbers under which a subscriber is known (T12). What identifies nobody has no key (T9).
"""

import re
import unicodedata
from collections.abc import Iterator

import phonenumbers

from loadgen.evaluation.said import EVIDENCE, Given, Message, region_of

Key = tuple[str, str]
"""Kind (phone, email, messenger) and key."""


def identifiers(message: Message) -> list[tuple[Key, str]]:
    """What the message gives, each once with its strongest evidence, in its order: the channel's word first."""
    region = region_of(message.channel)
    found: dict[Key, str] = {}
    if message.messenger_id:
        found["messenger", message.messenger_id] = "proven"
    says = read_text(message.text, region) if message.says is None else message.says
    for given in (*message.identity, *says):
        key = key_of(given, region)
        if key is None:
            continue
        known = found.get(key)
        if known is None or EVIDENCE.index(given.evidence) < EVIDENCE.index(known):
            found[key] = given.evidence
    return list(found.items())


def key_of(given: Given, region: str | None) -> Key | None:
    """How an identifier is compared; None if it is none, or identifies nobody."""
    if given.kind == "email":
        address = given.value.casefold()
        if not _EMAIL.fullmatch(address) or (given.evidence != "proven" and _is_placeholder_email(address)):
            return None
        return "email", address
    if given.evidence == "proven":  # the messenger has reached it, whatever tables of numbers say
        return "phone", one_subscriber(given.value)
    phone = _valid_phone(given.value, region)
    return None if phone is None else ("phone", phone)


def one_subscriber(e164: str) -> str:
    """T12: Brazil's ninth digit, Mexico's 1 and Argentina's 9 are written or not; the key is without."""
    e164 = re.sub(r"^(\+55\d\d)9([6-9]\d{7})$", r"\1\2", e164)
    e164 = re.sub(r"^(\+52)1(\d{10})$", r"\1\2", e164)
    return re.sub(r"^(\+54)9(\d{10})$", r"\1\2", e164)


def _valid_phone(written: str, region: str | None) -> str | None:
    digits = re.sub(r"[^\d+]", "", written)
    # Tables of numbers have forgotten the 1 of Mexico, and that Brazil's mobiles once had eight digits.
    old = re.fullmatch(r"\+521\d{10}|\+55\d\d[6-9]\d{7}", digits)
    if old:
        written = one_subscriber(digits)
        national = written[3:]
    else:
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_valid_number(number):
            return None
        written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        national = phonenumbers.national_significant_number(number)
    return None if _is_placeholder_phone(national) else one_subscriber(written)


def _is_placeholder_phone(national: str) -> bool:
    """T9: a digit repeated or running."""
    running = national in "01234567890123456789" or national in "98765432109876543210"
    return running or len(set(national)) == 1


_PLACEHOLDER_DOMAINS = (
    "example.com",
    "example.net",
    "example.org",
    "test.com",
    "domain.com",
    "mail.mail",
    "email.email",
)
_PLACEHOLDER_NAMES = ("no", "none", "nomail", "noemail", "no-email", "noreply", "no-reply", "asdf", "qwerty")
_PLACEHOLDERS = (
    "a@a.com",
    "abc@abc.com",
    "test@gmail.com",
    "test@mail.com",
    "test@mail.ru",
    "test@test.ru",
    "email@email.com",
    "mail@mail.com",
    "mail@mail.ru",
)


def _is_placeholder_email(address: str) -> bool:
    name, _, domain = address.partition("@")
    return domain in _PLACEHOLDER_DOMAINS or name in _PLACEHOLDER_NAMES or address in _PLACEHOLDERS


# Texts

_EMAIL = re.compile(r"[a-z0-9_][a-z0-9_.+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}")
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_ACCOUNT = re.compile(r"\b[a-z]{2}\d\d(?: ?[a-z0-9]{4}){3,7}(?: ?[a-z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\d+])\d{4}(?:[ -]?\d{4}){3}(?!\d)")
_DATE = re.compile(r"\b(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2})\b")
_PRICE = re.compile(r"\d[\d .,]*\s?(?:[€$£¥₽₹₺%]|(?:eur|usd|rub|руб)\b)|[€$£¥₽₹₺]\s?\d[\d .,]*")
_NUMBERED = re.compile(r"(?:#|\b(?:order|invoice|ticket|tracking|id|no\.|nr\.|заказ\w?|сч[её]т))[.:]?\s?#?\s?\d[\d -]*")
_PHONE = re.compile(r"(?<![\d\w+])(?:\+|\()?\d[\d ()./\u2010-\u2015-]{5,24}\d(?![\d\w])")


def read_text(text: str, region: str | None) -> tuple[Given, ...]:
    """The phones and e-mails that somebody typed, in their order."""
    text = unicodedata.normalize("NFKC", text.replace("№", "#")).lower()
    return tuple(given for _, given in sorted(_found(text, region), key=lambda placed: placed[0]))


def _found(text: str, region: str | None) -> Iterator[tuple[int, Given]]:
    links = _LINK.sub(_blank, text)
    for match in _EMAIL.finditer(links):
        yield match.start(), Given("email", match.group(), "typed")
    for no_phone in (_LINK, _EMAIL, _ACCOUNT, _CARD, _DATE, _PRICE, _NUMBERED):
        text = no_phone.sub(_blank, text)
    for match in _PHONE.finditer(text):
        if _valid_phone(match.group(), region):
            yield match.start(), Given("phone", match.group(), "typed")


def _blank(match: re.Match[str]) -> str:
    return "|" * len(match.group())

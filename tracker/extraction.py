"""Phones and e-mails that a customer typed into a message (T3: typed evidence).

Order numbers, dates, prices, cards, bank accounts and links are left alone as far as they can be told apart.
"""

import re
from collections.abc import Collection, Iterator

import phonenumbers

from tracker.identifiers import Evidence, Identifier, email, parsed_phone
from tracker.texts import clean

SEARCHED_LENGTH = 4000
"""Characters of a text that are looked at: it bounds the time that a hostile text can take."""

MOST_FOUND = 10
_MOST_TRIES = 100


def extract(text: str, region: str | None, blocked: Collection[str] = ()) -> tuple[Identifier, ...]:
    """The phones and e-mails in `text`, in its order, each once, at most MOST_FOUND; evidence is `typed`.

    region: ISO 3166 code in which national numbers are read; without it only `+...` is a phone. blocked: as for
    `phone` and `email` (T9). Forwarded and quoted text is no evidence (T3): the caller leaves it out.
    """
    text = text[:SEARCHED_LENGTH]
    mailed, dialled = "@" in text, _ENOUGH_DIGITS.search(text) is not None
    if not (mailed or dialled):
        return ()
    found: dict[str, tuple[int, Identifier]] = {}
    text = clean(text)
    if mailed:
        _collect(found, _emails(text, blocked))
    if dialled:
        _collect(found, _phones(text, region, blocked))
    in_order = sorted(found.values(), key=lambda placed: placed[0])
    return tuple(identifier for _, identifier in in_order[:MOST_FOUND])


_Placed = tuple[int, Identifier]

_ENOUGH_DIGITS = re.compile(r"(?:\d[^\d\n]{0,5}){6}\d")
"""Seven digits near each other, the least that a phone has. Almost all messages end here."""


def _collect(found: dict[str, _Placed], placed: Iterator[_Placed]) -> None:
    for count, (start, identifier) in enumerate(placed, 1):
        found.setdefault(identifier.key, (start, identifier))
        if count == MOST_FOUND:
            return


# E-mails

_LOCAL = r"(?<![a-z0-9_.%+/@-])[a-z0-9_](?:[a-z0-9_.%+'-]{0,62}[a-z0-9_+-])?"
_ASCII_DOMAIN = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,24}(?![a-z0-9-])"
# Only letters of scripts that put spaces between words: in others the domain would run into the sentence.
_OTHER_DOMAIN = r"(?:[a-z0-9\u00df-\u05ff](?:[a-z0-9\u00df-\u05ff-]{0,61})\.){1,8}[a-z\u00df-\u05ff]{2,24}"
_EMAIL = re.compile(f"{_LOCAL}@(?:{_ASCII_DOMAIN}|{_OTHER_DOMAIN})", re.IGNORECASE)
_FILE_NAME = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|pdf)\Z", re.IGNORECASE)


def _emails(text: str, blocked: Collection[str]) -> Iterator[_Placed]:
    for match in _EMAIL.finditer(text):
        written = match.group()
        if _FILE_NAME.search(written) or _within_link(text, match.start()):
            continue
        if identifier := email(written, Evidence.TYPED, blocked):
            yield match.start(), identifier


def _within_link(text: str, start: int) -> bool:
    # https://user:password@host
    before = text[max(0, start - 100) : start]
    return "://" in before.rpartition(" ")[2]


# Phones

_CURRENCY = "$€£¥₽₴₸₹"
_NUMBERED = r"no\.|nr\.|(?:id|order|invoice|ticket|tracking)\b[.:]?|(?:заказ|сч[её]т)\w{0,2}\b[.:]?"
_DATE = r"(?:19|20)\d\d([./-])[01]?\d\1[0-3]?\d|[0-3]?\d([./-])[0-3]?\d\2(?:19|20)\d\d"
_NO_PHONE = re.compile(
    r"[a-z0-9_.%+-]{1,64}@[a-z0-9.-]{1,253}"  # e-mails: their names are often phones, of whomever
    r"|(?:https?://|www\.)\S+"
    r"|\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,4})?\b"  # bank accounts (IBAN)
    r"|(?<![\d+])\d{4}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?!\d)"  # payment cards
    rf"|(?<![\d./-])(?:{_DATE})(?![./-]?\d)"
    rf"|(?:[#№{_CURRENCY}]|\b(?:{_NUMBERED}))\s?[#№]?\s?\d[\d -]{{0,30}}"  # orders, prices
    rf"|(?<!\d)\d[\d .,]{{0,20}}(?:[{_CURRENCY}%]|\s?(?:usd|eur|gbp|rub|руб)\b)",  # prices
    re.IGNORECASE,
)
_PHONE_EDGE = "|"
"""Never a part of a phone, so that what stands left and right of it is not joined."""


def _phones(text: str, region: str | None, blocked: Collection[str]) -> Iterator[_Placed]:
    masked = _NO_PHONE.sub(lambda match: _PHONE_EDGE * len(match.group()), text)
    if not _ENOUGH_DIGITS.search(masked):
        return
    for match in phonenumbers.PhoneNumberMatcher(
        masked, region, leniency=phonenumbers.Leniency.VALID, max_tries=_MOST_TRIES
    ):
        if identifier := parsed_phone(match.number, match.raw_string, Evidence.TYPED, blocked):
            yield match.start, identifier

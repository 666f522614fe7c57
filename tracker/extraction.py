"""Phones and e-mails that a customer typed into a message (T3: typed evidence).

What he quotes or forwards is left out. Order numbers, dates, prices, cards, bank accounts and links are left alone as
far as they can be told apart.
"""

import re
from collections.abc import Collection, Iterator

import phonenumbers

from tracker.emails import may_be_spelled, spelled_emails, written_emails
from tracker.identifiers import Evidence, Identifier, email, parsed_phone
from tracker.other_numbers import EDGE, without_other_numbers
from tracker.quotes import own_words
from tracker.texts import clean

SEARCHED_LENGTH = 4000
"""Characters of a text that are looked at: it bounds the time that a hostile text can take."""

MOST_FOUND = 10
_MOST_TRIES = 100


def extract(text: str, region: str | None, blocked: Collection[str] = ()) -> tuple[Identifier, ...]:
    """The phones and e-mails in `text`, in its order, each once, at most MOST_FOUND; evidence is `typed`.

    region: ISO 3166 code in which national numbers are read; without it only `+...` and `00...` are phones. blocked:
    as for `phone` and `email` (T9). Quoted text is left out (T3); of a message that the channel calls forwarded the
    caller asks for nothing.
    """
    text = text[:SEARCHED_LENGTH]
    mailed, spelled = "@" in text or "\uff20" in text, may_be_spelled(text)
    if not (mailed or spelled or _ENOUGH_DIGITS.search(text)):
        return ()
    text = own_words(clean(text))
    plain = text.translate(_PLAIN)  # as long as the text, so that places in one are places in the other
    found: dict[str, tuple[int, Identifier]] = {}
    if mailed:
        _collect(found, _emails(text, written_emails(plain), blocked))
    if spelled:
        _collect(found, _emails(text, spelled_emails(plain), blocked))
    if _ENOUGH_DIGITS.search(plain):
        _collect(found, _phones(text, plain, region, blocked))
    in_order = sorted(found.values(), key=lambda placed: placed[0])
    return tuple(identifier for _, identifier in in_order[:MOST_FOUND])


_Placed = tuple[int, Identifier]

_ENOUGH_DIGITS = re.compile(r"(?:\d[^\d\n]{0,5}){6}\d")
"""Seven digits near each other, the least that a phone has. Almost all messages end here."""

_PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""One plain character for each full-width one, for the parts of emoji digits, and for the capital of Turkish i."""
_PLAIN.update({0x3000: 0x20, 0xFE0F: 0x20, 0x20E3: 0x20, 0x130: 0x49})


def _collect(found: dict[str, _Placed], placed: Iterator[_Placed]) -> None:
    for count, (start, identifier) in enumerate(placed, 1):
        known = found.get(identifier.key)
        if known is None or start < known[0]:
            found[identifier.key] = (start, identifier)
        if count == MOST_FOUND:
            return


def _as_written(identifier: Identifier, written: str) -> Identifier:
    if identifier.written == written:
        return identifier
    return identifier.model_copy(update={"written": written})


def _emails(text: str, places: Iterator[tuple[int, int, str]], blocked: Collection[str]) -> Iterator[_Placed]:
    for start, end, address in places:
        if identifier := email(address, Evidence.TYPED, blocked):
            yield start, _as_written(identifier, text[start:end])


# Phones


def _phones(text: str, plain: str, region: str | None, blocked: Collection[str]) -> Iterator[_Placed]:
    masked = without_other_numbers(plain)
    if not _ENOUGH_DIGITS.search(masked):
        return
    masked = _INTERNATIONAL_PREFIX.sub(" +", masked)
    masked = _OLD_MEXICAN.sub(r"\1 ", masked)
    rest = masked
    for start, end, number in (*_old_brazilian(masked), *_matched(masked, region)):
        rest = rest[:start] + EDGE * (end - start) + rest[end:]
        if identifier := parsed_phone(number, masked[start:end], Evidence.TYPED, blocked):
            yield start, _as_written(identifier, _written(text, start, end))
    for start, end, number in _matched_in_rows(rest, region):
        if identifier := parsed_phone(number, masked[start:end], Evidence.TYPED, blocked):
            yield start, _as_written(identifier, _written(text, start, end))


_Match = tuple[int, int, phonenumbers.PhoneNumber]

_INTERNATIONAL_PREFIX = re.compile(r"(?<![a-z0-9_\d+.,/)-])(?<![\d)][ .])00(?!11)(?=[ -]?[1-9])", re.IGNORECASE)
"""00 is understood everywhere, also where the country's own prefix is another (but for Australia's 0011)."""
_OLD_MEXICAN = re.compile(r"(\+52[ ().-]{0,3})1(?=(?:[ ().-]{0,2}\d){10}(?!\d))")
"""The 1 of Mexican mobiles (T12), which the library has forgotten and people have not."""
_OLD_BRAZILIAN = re.compile(r"\+55[ ().-]{0,3}[1-9]\d[ ().-]{0,3}[6-9]\d{3}[ .-]?\d{4}(?![ .-]?\d)")
"""Brazil's mobiles before their ninth digit (T12), which the library has forgotten too."""


def _written(text: str, start: int, end: int) -> str:
    # A + that the text does not have: the second 0 of 00, or the last character of a link before the number.
    if text[start] == "0" and text[start - 1 : start] == "0":
        return text[start - 1 : end]
    return text[start:end] if text[start] not in "/=" else text[start + 1 : end]


def _old_brazilian(masked: str) -> Iterator[_Match]:
    for match in _OLD_BRAZILIAN.finditer(masked):
        yield match.start(), match.end(), phonenumbers.parse(match.group(), None)


def _matched(masked: str, region: str | None) -> Iterator[_Match]:
    for match in phonenumbers.PhoneNumberMatcher(
        masked, region, leniency=phonenumbers.Leniency.VALID, max_tries=_MOST_TRIES
    ):
        yield match.start, match.end, match.number


_ROW = re.compile(r"(?<![\w.,/+-])[+(]?\d{1,8}\)?(?: [+(]?\d{1,8}\)?){3,14}(?![\d,.])")
_GROUPS = re.compile(r"\S+")
_MOST_GROUPS = 7
_MOST_ROWS = 3
_PHONE_DIGITS = range(8, 16)


def _matched_in_rows(rest: str, region: str | None) -> Iterator[_Match]:
    """Phones that run into other numbers with nothing but spaces between them: "06 12 34 56 01 18h".

    They have to be grouped as is usual in their country and to begin with its prefix, and of the row hardly anything
    may be left: otherwise it is a list of numbers.
    """
    prefix = (phonenumbers.ndd_prefix_for_region(region, True) if region else None) or "0"
    for _, row in zip(range(_MOST_ROWS), _ROW.finditer(rest), strict=False):
        groups = [(row.start() + each.start(), row.start() + each.end()) for each in _GROUPS.finditer(row.group())]
        matches: list[_Match] = []
        first = left = 0
        while first < len(groups):
            match = None
            if rest.startswith(("+", "(", prefix), groups[first][0]):
                match = _longest(rest, groups[first : first + _MOST_GROUPS], region)
            if match is None:
                first, left = first + 1, left + 1
            else:
                matches.append(match)
                first += sum(start < match[1] for start, _ in groups[first:])
        if left <= 1:
            yield from matches


def _longest(rest: str, groups: list[tuple[int, int]], region: str | None) -> _Match | None:
    start = groups[0][0]
    for _, end in reversed(groups[1:]):
        written = rest[start:end]
        if sum(map(str.isdigit, written)) in _PHONE_DIGITS and (number := _as_usual(written, region)):
            return start, end, number
    return None


def _as_usual(written: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    """The number, if it is valid and grouped as its country's numbers usually are."""
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    formats = (phonenumbers.PhoneNumberFormat.NATIONAL, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    usual = [re.findall(r"\d+", phonenumbers.format_number(number, wanted)) for wanted in formats]
    return number if re.findall(r"\d+", written) in usual else None

"""Traces: where a text holds one of a customer's phones or e-mails, in whatever writing, and the text without them.

For an erase (T5), which searches everything that others wrote too. A phone is its digits, whatever stands between
them, with or without its country code, in the digits of any script, and as WhatsApp hides it in message ids (base64).
"""

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import phonenumbers

from tracker.identifiers import phone_key

ERASED = "[erased]"

SHORTEST_PHONE = 7
"""Digits. A shorter number is in half of all texts."""

_SURE_LENGTH = 9
"""Digits from which a number is found within a longer one too; a shorter one has to stand for itself."""

_BETWEEN = r"[\W_\u30fc]{0,6}"
"""A few characters that are neither letters nor digits; the Japanese long sound serves as a dash."""

_NO_LETTERS_OR_DIGITS = bytes(code for code in range(256) if code > 0x7F or not chr(code).isalnum())


class Traces:
    """Finds and erases phones and e-mails. Immutable; safe for several threads."""

    def __init__(self, phones: Collection[str], emails: Collection[str]) -> None:
        """phones: E.164, or keys of identifiers; all writings of the subscriber are found (T12). emails: normalised."""
        numbers = sorted({number for phone in phones for number in _numbers(phone)})
        addresses = sorted({writing for email in emails for writing in _addresses(email)})
        self._halves = [(local, domain.partition(".")[0]) for local, _, domain in map(_parted, addresses)]
        self._encoded = sorted({text for code, national in numbers for text in _in_base64(code + national)})
        self._nationals = sorted({national.encode() for _, national in numbers})
        self._digits = _compiled(_least(code, national) for code, national in numbers)
        self._whole_phones = _compiled(_most(code, national) for code, national in numbers)
        self._emails = _compiled((_address_pattern(address) for address in addresses), re.IGNORECASE)

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return self._digits is not None or self._emails is not None

    def found_in(self, text: str) -> bool:
        """Whether the text, or JSON as text, holds any of them."""
        text = _unified(text)
        if self._digits is not None and self._may_hold_digits(text) and self._digits.search(text):
            return True
        for encoded in self._encoded:
            if encoded in text:
                return True
        return self._emails is not None and self._may_hold_address(text) and bool(self._emails.search(text))

    def redact(self, text: str) -> str:
        """The text with ERASED in place of each."""
        if not self.found_in(text):
            return text
        unified = _unified(text)
        parts: list[str] = []
        end = 0
        for start, stop in _joined(sorted(self._spans(unified))):
            parts += [text[end:start], ERASED]
            end = stop
        return "".join([*parts, text[end:]])

    def redact_json(self, text: str) -> str:
        """JSON with ERASED in its strings, keys and large numbers; identifiers that hold one are left out."""
        return json.dumps(self._redacted(json.loads(text)), ensure_ascii=False) if self.found_in(text) else text

    def redact_bytes(self, raw: bytes) -> bytes:
        """Bytes as a provider sent them; nothing is left of those in which a trace cannot be cut out by itself."""
        text = raw.decode("utf-8", "replace")
        if not any(self.found_in(writing) for writing in _writings(text)):
            return raw
        redacted = self.redact(text)
        if "\ufffd" in redacted or any(self.found_in(writing) for writing in _writings(redacted)):
            return ERASED.encode()
        return redacted.encode()

    def found_in_bytes(self, raw: bytes) -> bool:
        """Whether bytes hold any: as UTF-8, escaped as JSON or URLs are."""
        return any(self.found_in(writing) for writing in _writings(raw.decode("utf-8", "replace")))

    def _may_hold_digits(self, text: str) -> bool:
        # Several times faster than the pattern, and almost always the end of it.
        packed = text.encode(errors="replace").translate(None, _NO_LETTERS_OR_DIGITS)
        for national in self._nationals:  # noqa: SIM110  `any` takes twice as long
            if national in packed:
                return True
        return False

    def _may_hold_address(self, text: str) -> bool:
        lowered = text.lower()
        for local, label in self._halves:  # noqa: SIM110  as above
            if local in lowered and label in lowered:
                return True
        return False

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        for pattern in (self._whole_phones, self._digits, self._emails):
            if pattern is not None:
                yield from (match.span() for match in pattern.finditer(text))
        for encoded in self._encoded:
            start = text.find(encoded)
            while start >= 0:
                yield start, start + len(encoded)
                start = text.find(encoded, start + 1)

    def _redacted(self, value: Any) -> Any:
        match value:
            case str():
                return self.redact(value)
            case Mapping():
                return {self.redact(str(name)): self._redacted(inner) for name, inner in value.items()}
            case list():
                return [self._redacted(item) for item in value if not self._is_its_identifier(item)]
            case int() if value >= _LEAST_NUMBER and self.found_in(str(value)):
                return ERASED
            case _:
                return value

    def _is_its_identifier(self, item: Any) -> bool:
        # Half an identifier would be taken for one.
        return (
            isinstance(item, Mapping)
            and {"kind", "key", "value"} <= item.keys()
            and self.found_in(f"{item['key']} {item['value']} {item.get('written', '')}")
        )


_LEAST_NUMBER = 10 ** (_SURE_LENGTH - 1)
"""A smaller one is an id or a size that happens to have the digits of a short phone."""


# Writings of phones


def _numbers(phone: str) -> Iterator[tuple[str, str]]:
    """Country code and national number of all writings of a subscriber's phone (T12)."""
    for e164 in {phone, phone_key(phone), *_older_and_newer(phone_key(phone))}:
        digits = e164.removeprefix("+")
        try:
            number = phonenumbers.parse("+" + digits, None)
        except phonenumbers.NumberParseException:
            if len(digits) >= SHORTEST_PHONE:
                yield "", digits
            continue
        code = str(number.country_code)
        yield code, digits.removeprefix(code)


def _older_and_newer(key: str) -> Iterator[str]:
    """What `phone_key` makes one key of, the other way round."""
    for pattern, inserted in _INSERTED:
        if match := pattern.fullmatch(key):
            yield f"{match[1]}{inserted}{match[2]}"


_INSERTED = (
    (re.compile(r"(\+55[0-9]{2})([6-9][0-9]{7})"), "9"),
    (re.compile(r"(\+52)([0-9]{10})"), "1"),
    (re.compile(r"(\+54)([0-9]{10})"), "9"),
    # Within Argentina 15 stands between the area code, of two to four digits, and the number.
    (re.compile(r"(\+54[0-9]{2})([0-9]{8})"), "15"),
    (re.compile(r"(\+54[0-9]{3})([0-9]{7})"), "15"),
    (re.compile(r"(\+54[0-9]{4})([0-9]{6})"), "15"),
)


def _least(code: str, national: str) -> str:
    """What every writing of the number has in common."""
    return _BETWEEN.join(national) if len(national) >= _SURE_LENGTH else _most(code, national)


def _most(code: str, national: str) -> str:
    """The number with what may stand before it. A short one without any prefix has to stand for itself."""
    spaced = _BETWEEN.join(national)
    prefix = rf"[08]{_BETWEEN}"
    if code:
        prefix = rf"(?:(?:\+|00)?{_BETWEEN.join(code)}{_BETWEEN}(?:0{_BETWEEN})?|{prefix})"
    if len(national) >= _SURE_LENGTH:
        return rf"(?:{prefix})?{spaced}"
    optional = "?" if len(national) >= SHORTEST_PHONE else ""
    return rf"(?<![0-9])(?:{prefix}){optional}{spaced}(?![0-9])"


def _in_base64(digits: str) -> Iterator[str]:
    """The characters that surely stand for these digits in the base64 of a text that holds them somewhere."""
    if len(digits) < SHORTEST_PHONE:
        return
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + digits.encode()).decode()
        yield encoded[-(-8 * before // 6) : 8 * (before + len(digits)) // 6]


# Writings of e-mails


def _addresses(email: str) -> Iterator[str]:
    yield email.lower()
    local, _, domain = email.rpartition("@")
    if "xn--" in domain:
        try:
            yield f"{local}@{domain.encode('ascii').decode('idna')}".lower()
        except UnicodeError:
            return


def _parted(address: str) -> tuple[str, str, str]:
    return address.rpartition("@")


def _address_pattern(address: str) -> str:
    local, _, domain = _parted(address)
    labels = _DOT.join(_folded(label) for label in domain.split("."))
    return rf"{_START}{_folded(local)}{_AT}{labels}{_END}"


def _folded(part: str) -> str:
    """An address is kept with its case folded, which makes ss of \u00df."""
    return re.escape(part).replace("ss", "(?:ss|\u00df)")


# No letters before or after that could belong to it: then it is somebody else's. Chinese, Japanese and Arabic texts may
# stand directly beside it, and a new sentence behind its dot.
# A single `_` at either end is a messenger's italics.
_START = r"(?:(?<![a-z0-9_\u00c0-\u05ff])(?<![a-z0-9][.%+-])|(?<=%[0-9a-f]{2})|(?<![a-z0-9_])(?<=_))"
_END = r"(?![a-z0-9\u00c0-\u05ff-])(?!_[a-z0-9_])(?!\.(?-i:[a-z0-9]))"

# Spelled out: any word in brackets or between spaces, whatever the language.
_WORD = r"(?:\s?[(\[{]\s?[^\W\d_]{2,10}\s?[)\]}]\s?|\s[^\W\d_]{2,10}\s)"
_AT = rf"(?:@|%40|{_WORD})"
_DOT = rf"(?:\.|{_WORD})"


# Texts


def _compiled(patterns: Iterable[str], flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str] | None:
    alternatives = sorted(set(patterns), key=len, reverse=True)
    return re.compile("|".join(alternatives), flags) if alternatives else None


def _unified(text: str) -> str:
    """The same text, character by character: digits and signs of all scripts in ASCII, JSON's line ends as spaces."""
    if "\\" in text:
        text = _ESCAPED_SPACE.sub("  ", text)
    if text.isascii():
        return text
    odd, plain = _plain_characters()
    return text.translate(plain) if odd.search(text) else text


_ESCAPED_SPACE = re.compile(r"\\[nrt]")


@cache
def _plain_characters() -> tuple[re.Pattern[str], Mapping[int, str]]:
    plain: dict[int, str] = {}
    for code in range(0x80, 0x20000):
        character = chr(code)
        digit = unicodedata.decimal(character, None)
        written = str(digit) if digit is not None else unicodedata.normalize("NFKC", character)
        if len(written) == 1 and written.isascii():
            plain[code] = written
    plain[0x130] = "I"  # of Turkish; its small form would be two characters
    # All of the higher planes: one by one they would make the search slow.
    signs = "".join(re.escape(chr(code)) for code in plain if code < 0x10000)
    return re.compile(f"[{signs}\U00010000-\U0001ffff]"), plain


def _writings(text: str) -> Iterator[str]:
    """A text as it is, and as it reads once the escapes of JSON and of URLs are undone."""
    yield text
    for undo in _UNDO:
        undone = undo(text)
        if undone != text:
            yield undone


_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "\\u" in text else text


def _unquote(text: str) -> str:
    return unquote_plus(text, errors="replace") if "%" in text else text


_UNDO: tuple[Callable[[str], str], ...] = (_unescape, _unquote, lambda text: _unescape(_unquote(text)))


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in order, those that overlap as one."""
    current: tuple[int, int] | None = None
    for start, stop in spans:
        if current is not None and start <= current[1]:
            current = (current[0], max(current[1], stop))
        else:
            if current is not None:
                yield current
            current = (start, stop)
    if current is not None:
        yield current

"""Phones, e-mails and messenger ids: how they are normalised, and which writings are of one subscriber.

Rules: T2 (what matches), T3 (evidence, E.164 with the text as written), T9 (blocked values), T12 (variants).
"""

import re
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from typing import Annotated

import phonenumbers
from pydantic import BaseModel, ConfigDict, StringConstraints

from tracker.placeholders import PLACEHOLDER_EMAILS, is_placeholder_number, matches_email
from tracker.texts import Text, clean

WRITTEN_LENGTH = 512
EMAIL_LENGTH = 254
"""Octets of an address (RFC 5321)."""


class IdentifierKind(StrEnum):
    """What an identifier is, in the order in which they match (T2)."""

    PHONE = "phone"
    EMAIL = "email"
    MESSENGER = "messenger"


class Evidence(StrEnum):
    """Who says so (T3), the strongest first."""

    PROVEN = "proven"
    SIGNED = "signed"
    TYPED = "typed"


EVIDENCE_RANK = {evidence: rank for rank, evidence in enumerate(Evidence)}
"""0 for the strongest evidence."""

KIND_RANK = {kind: rank for rank, kind in enumerate(IdentifierKind)}
"""0 for the kind that matches first (T2)."""


class Identifier(BaseModel):
    """Something by which a customer can be known again.

    value: E.164 for a phone, the normalised address for an e-mail, `namespace/id` for a messenger id.
    key: what is compared; the same for all writings of one subscriber (T12).
    written: the text as the customer or the provider wrote it.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    kind: IdentifierKind
    value: Annotated[Text, StringConstraints(min_length=1, max_length=512)]
    key: Annotated[Text, StringConstraints(min_length=1, max_length=512)]
    written: Annotated[Text, StringConstraints(max_length=WRITTEN_LENGTH)]
    evidence: Evidence


def is_blocked(identifier: Identifier, blocked: Collection[str]) -> bool:
    """Whether a block list covers an identifier (T9): keys of phones; addresses, `@domain` or `name@`."""
    if identifier.kind is IdentifierKind.PHONE:
        return identifier.key in blocked
    return identifier.kind is IdentifierKind.EMAIL and matches_email(identifier.key, blocked)


# Phones

PHONE_LENGTH = 250
"""Characters in which a phone may be written; the library reads no more either."""


def phone(
    written: str, evidence: Evidence, region: str | None = None, blocked: Collection[str] = ()
) -> Identifier | None:
    """A phone from `written`, or None if it is none or its value is blocked (T9).

    region: ISO 3166 code that a national number is read in; without it only `+...`, `00...` and bare international
    digits are understood. blocked: keys of phones that identify nobody, as the company's own.
    A placeholder (T9) is refused too, unless it is proven: then somebody really has that number.
    """
    number = _read_phone(written, region)
    return None if number is None else parsed_phone(number, written, evidence, blocked)


def parsed_phone(
    number: phonenumbers.PhoneNumber, written: str, evidence: Evidence, blocked: Collection[str] = ()
) -> Identifier | None:
    """The same from a number that the library has parsed already."""
    if evidence is not Evidence.PROVEN and is_placeholder_number(phonenumbers.national_significant_number(number)):
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return _phone(e164, written, evidence, blocked)


def phone_from_digits(digits: str, evidence: Evidence, blocked: Collection[str] = ()) -> Identifier | None:
    """A phone that a messenger gives as international digits, with or without `+` (WhatsApp's `wa_id`), or None.

    It is not held against the numbering plans: the messenger has reached it, and plans change faster than tables
    of them (Mexico's 521 is in no table any more).
    """
    if not _INTERNATIONAL_DIGITS.fullmatch(digits):
        return None
    return _phone("+" + digits.removeprefix("+"), digits, evidence, blocked)


def phone_key(e164: str) -> str:
    """What is compared: one key for all numbers under which one subscriber is known (T12).

    Brazil's ninth digit is dropped only from mobiles that had eight digits before it came (area code, 9, then 6 to
    9); Mexico's mobile 1 and Argentina's mobile 9 always.
    """
    for pattern in _VARIANTS:
        if match := pattern.fullmatch(e164):
            return "".join(match.groups())
    return e164


_INTERNATIONAL_DIGITS = re.compile(r"\+?[1-9][0-9]{6,14}")
_VARIANTS = (
    re.compile(r"(\+55[0-9]{2})9([6-9][0-9]{7})"),
    re.compile(r"(\+52)1([0-9]{10})"),
    re.compile(r"(\+54)9([0-9]{10})"),
)
_OLD_MEXICAN_MOBILES = range(10**10, 2 * 10**10)
_MEXICO = 52
_SEPARATORS = re.compile(r"[\s().\-\u2010-\u2015]+")


def _phone(e164: str, written: str, evidence: Evidence, blocked: Collection[str]) -> Identifier | None:
    key = phone_key(e164)
    if key in blocked:
        return None
    return Identifier(
        kind=IdentifierKind.PHONE, value=e164, key=key, written=written[:WRITTEN_LENGTH], evidence=evidence
    )


def _read_phone(written: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    if len(written) > PHONE_LENGTH:  # nobody's phone, and normalising it would take quadratic time
        return None
    if region and (national := _parse(written, region)) and _is_complete(national):
        return national
    compact = _SEPARATORS.sub("", unicodedata.normalize("NFKC", written)).removeprefix("tel:")
    number = _parse(compact if compact.startswith("+") else "+" + compact.removeprefix("00"), None)
    if number is None or not _is_complete(number):
        return None
    # Digits without + or 00 are a guess, so they have to be right, not only of the right length.
    guessed = not compact.startswith(("+", "00")) and not _is_old_mexican(number)
    return None if guessed and not phonenumbers.is_valid_number(number) else number


def _parse(written: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None


def _is_complete(number: phonenumbers.PhoneNumber) -> bool:
    # Not is_possible_number: that one takes numbers without their area code, which E.164 cannot express.
    length = phonenumbers.is_possible_number_with_reason(number)
    return length == phonenumbers.ValidationResult.IS_POSSIBLE or _is_old_mexican(number)


def _is_old_mexican(number: phonenumbers.PhoneNumber) -> bool:
    # T12. The library has forgotten the 1 of Mexican mobiles; people's address books have not.
    return number.country_code == _MEXICO and number.national_number in _OLD_MEXICAN_MOBILES


# E-mails

_DECORATION = " \t\r\n\"'`<>()[]{},;:.!?\u00ab\u00bb\u201c\u201d\u2018\u2019\u200b\u200e\u200f\u2060\ufeff"
_LOCAL = re.compile(r"[^\W_](?:[\w.!#$%&'*+/=?^`{|}~-]{0,62}[\w!#$%&'*+/=?^`{|}~-])?|_[\w.+-]{0,63}")
_DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})")


def email(written: str, evidence: Evidence, blocked: Collection[str] = ()) -> Identifier | None:
    """An e-mail from `written`, or None if it is none or its value is blocked (T9).

    The address is case-folded and its domain in ASCII (IDNA); `mailto:`, brackets, quotes and final dots are left
    away. blocked: addresses that identify nobody, written as PLACEHOLDER_EMAILS is. A placeholder (T9) is refused
    too, unless it is proven: then somebody really has that address.
    """
    address = _normalise_email(written)
    if address is None or matches_email(address, blocked):
        return None
    if evidence is not Evidence.PROVEN and matches_email(address, PLACEHOLDER_EMAILS):
        return None
    return Identifier(
        kind=IdentifierKind.EMAIL, value=address, key=address, written=written[:WRITTEN_LENGTH], evidence=evidence
    )


def _normalise_email(written: str) -> str | None:
    if len(written) > 2 * EMAIL_LENGTH:
        return None
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", written).casefold())
    bare = folded.strip(_DECORATION).removeprefix("mailto:").partition("?")[0].strip(_DECORATION)
    local, _, domain = bare.rpartition("@")
    ascii_domain = _to_ascii(domain)
    if not _LOCAL.fullmatch(local) or ".." in local or not _DOMAIN.fullmatch(ascii_domain):
        return None
    address = f"{local}@{ascii_domain}"
    return address if len(address.encode()) <= EMAIL_LENGTH else None


def _to_ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


# Messenger ids


def messenger(namespace: str, external_id: str) -> Identifier:
    """The sender's id within a messenger, which proves it (T3). namespace: where the id is unique (T2).

    Raises ValueError (pydantic's) for an empty or over-long id.
    """
    if not external_id:
        raise ValueError("a messenger id must not be empty")
    value = f"{namespace}/{clean(external_id)}"
    return Identifier(
        kind=IdentifierKind.MESSENGER,
        value=value,
        key=value,
        written=external_id[:WRITTEN_LENGTH],
        evidence=Evidence.PROVEN,
    )

"""Identifiers as callers write them, read as the tracker reads a customer's (T2, T9, T12)."""

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from console.auditing import Check, anybody, audited
from console.problems import ProblemError
from crm_store.database import Database
from crm_store.views import cards, snapshot
from tracker.customers import IdentifierKey
from tracker.dialogs import ActRefusedError
from tracker.identifiers import Evidence, Identifier, IdentifierKind, email, phone, phone_from_digits
from tracker.texts import clean

REGION_PATTERN = "^[A-Za-z]{2}$"

Region = Annotated[str, StringConstraints(pattern=REGION_PATTERN), AfterValidator(str.upper)]
"""The country in which a national phone is read."""


def keys_of(written: str, region: str | None, kinds: Collection[IdentifierKind] = ()) -> list[IdentifierKey]:
    """All that the value may mean, or all of these kinds.

    Placeholders too: one may be looked for that a channel proved (T9).
    """
    value = clean(written).strip()
    phones = (phone(value, Evidence.PROVEN, region), phone_from_digits(value, Evidence.PROVEN))
    found = [*phones, email(value, Evidence.PROVEN)]
    keys = {(identifier.kind, identifier.key) for identifier in found if identifier is not None}
    return sorted(key for key in {*keys, (IdentifierKind.MESSENGER, value)} if not kinds or key[0] in kinds)


def key_on_card(
    database: Database, actor: str, act: str, card_id: int, keys: Collection[IdentifierKey], check: Check = anybody
) -> IdentifierKey:
    """The one of these that the card's customer has; any, where he has none of them: the act is refused then.

    actor, act: who wants to do what with it, for the audit. check: whether he may. Raises ActRefusedError (ambiguous).
    """
    with snapshot(database) as connection:
        found = cards.held(connection, card_id, keys)
    if len(found) > 1:
        with audited(database, actor, act, {"card_id": card_id}, check):
            raise ActRefusedError(
                "ambiguous", "the card has several identifiers that are written so; begin with + and the country"
            )
    return found[0] if found else next(iter(keys))


def entered(written: str, region: str | None) -> Identifier:
    """A phone or an e-mail that a person enters on a card. Raises ProblemError (bad_identifier)."""
    value = clean(written).strip()
    identifier = phone(value, Evidence.TYPED, region) or email(value, Evidence.TYPED)
    if identifier is None:
        raise _bad("is neither a phone (with + and country, or with `region`) nor an e-mail, or is a placeholder (T9)")
    return identifier


def listed(written: str, region: str | None) -> tuple[IdentifierKind, str]:
    """A value as the block list has it (T9): a phone's key, an address, `@domain` or `name@`.

    Raises ProblemError (bad_identifier).
    """
    value = clean(written).strip()
    name, at, domain = value.rpartition("@")
    if at and (name or domain):
        address = email(f"{name or 'name'}@{domain or 'domain.org'}", Evidence.PROVEN)
        if address is not None:
            known_name, _, known_domain = address.key.partition("@")
            return IdentifierKind.EMAIL, f"{known_name if name else ''}@{known_domain if domain else ''}"
    elif not at and (number := phone(value, Evidence.PROVEN, region) or _unlisted_phone(value)):
        return IdentifierKind.PHONE, number.key
    raise _bad("is no phone (with + and country, or with `region`), e-mail, `@domain` or `name@`")


def _unlisted_phone(value: str) -> Identifier | None:
    """Of a plan that the library does not know, as a messenger proves it; the + says that it is meant so."""
    return phone_from_digits(value, Evidence.PROVEN) if value.startswith("+") else None


def _bad(what: str) -> ProblemError:
    return ProblemError(422, "bad_identifier", f"the value {what}")

"""Customers whom an oracle can tell apart: no two have an id in common, and what they give is found in their texts."""

import random
from collections.abc import Iterator
from dataclasses import replace

from loadgen.people import Person, new_person
from loadgen.phrases import PHRASES
from tracker.extraction import extract
from tracker.identifiers import phone_key


def people(rng: random.Random, count: int, taken: set[object] | None = None) -> Iterator[Person]:
    """Customers of whom no two have an id in common, and whose phones and e-mails are found where they are written.

    taken: ids that others have already; those of the new ones are added.
    """
    taken = set() if taken is None else taken
    made = 0
    while made < count:
        person = replace(new_person(rng, ("any",)), signs_in=False)
        ids = {person.code, person.messenger_id, phone_key(person.phone), person.email}
        if ids & taken or not _is_found(person):
            continue
        taken |= ids
        made += 1
        yield person


def _is_found(person: Person) -> bool:
    """Dice make placeholders and numbers outside the numbering plans, too."""
    phrases = PHRASES[person.country.language]
    phones = extract(phrases.phone[0].format(person.written_phone), None)
    emails = extract(phrases.email[0].format(person.email), None)
    return [i.key for i in phones] == [phone_key(person.phone)] and [i.key for i in emails] == [person.email]

"""Values that people type where they do not want to be known, and that identify nobody (T9)."""

from collections.abc import Collection

PLACEHOLDER_EMAILS = frozenset(
    {
        "@example.com",
        "@example.net",
        "@example.org",
        "@test.com",
        "@domain.com",
        "@mail.mail",
        "@email.email",
        "no@",
        "none@",
        "nomail@",
        "noemail@",
        "no-email@",
        "noreply@",
        "no-reply@",
        "asdf@",
        "qwerty@",
        "a@a.com",
        "abc@abc.com",
        "test@gmail.com",
        "test@mail.com",
        "test@mail.ru",
        "test@test.ru",
        "email@email.com",
        "mail@mail.com",
        "mail@mail.ru",
    }
)
"""Blocked e-mails (T9): a whole address, `@domain` for all of a domain, or `name@` at any domain."""

_RUNS = ("01234567890123456789", "98765432109876543210")
_SHORTEST_RUN = 7


def is_placeholder_number(national: str) -> bool:
    """Whether a national number is one repeated digit (all zeros too) or digits that run up or down (T9)."""
    if len(national) < _SHORTEST_RUN:
        return False
    return len(set(national)) == 1 or any(national in run for run in _RUNS)


def matches_email(address: str, listed: Collection[str]) -> bool:
    """Whether `listed`, written as PLACEHOLDER_EMAILS is, covers the normalised address."""
    name, _, domain = address.partition("@")
    return address in listed or f"@{domain}" in listed or f"{name}@" in listed

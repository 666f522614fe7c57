"""E-mail addresses in free text, with their usual decorations, in any alphabet, also as people spell them out (T3)."""

import re
from collections.abc import Iterator

# An address begins where no letter that could belong to it stands before: of `сergey@...` with a Cyrillic first
# letter nothing is taken, rather than somebody else's address. CJK and Arabic text may stand directly before.
_START = r"(?<![a-z0-9_\u00c0-\u05ff])(?<![a-z0-9][.%+@-])"
_LOCAL = rf"{_START}[a-z0-9_](?:[a-z0-9_.%+'-]{{0,62}}[a-z0-9_+-])?"
_CYRILLIC_LOCAL = r"(?<![\w.-])[\u0430-\u045f\u0491][\u0430-\u045f\u04910-9._-]{0,63}"

_ASCII_DOMAIN = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}(?:xn--[a-z0-9-]{2,40}|[a-z]{2,24})(?![a-z0-9-])"
# Scripts that put spaces between words: in others the domain would run into the sentence.
_SPACED = r"\u00df-\u05ff\u0620-\u0669\u066e-\u06d3\u0900-\u097f"
_OTHER_DOMAIN = rf"(?:[a-z0-9{_SPACED}][a-z0-9{_SPACED}-]{{0,61}}\.){{1,8}}[a-z{_SPACED}]{{2,24}}"
# Chinese, Japanese, Korean: only before an ending that is known, for that is where the domain stops.
_CJK_DOMAIN = (
    r"[a-z0-9\u3005\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3-]{1,63}\."
    r"(?:[a-z]{2,24}(?:\.[a-z]{2})?(?![a-z0-9-])|中国|中國|公司|网络|網路|香港|台湾|台灣|みんな|コム|한국)"
)
_WRITTEN = re.compile(
    rf"{_LOCAL}@(?:{_ASCII_DOMAIN}|{_OTHER_DOMAIN}|{_CJK_DOMAIN})|{_CYRILLIC_LOCAL}@{_OTHER_DOMAIN}", re.IGNORECASE
)

# Spelled out. In brackets any word will do; bare words only where they mean nothing else between two Latin words,
# and with a word for the dot. English has none such: "look at amazon dot com".
_AT_WORDS = ("собака", "песик", "равлик", "arroba", "arobase", "arrobase", "chiocciola", "małpa")
_AT_IN_BRACKETS = (
    "(at", "[at", "{at", "( at", "[ at", "(собака", "[собака", "(arroba", "[arroba",
    "（at", "［at",
)  # fmt: skip
_BRACKETS = "([{（［"
_DOT_WORDS = r"точка|крапка|punto|ponto|point|kropka"
_BRACKETED_AT = r"\s?[(\[{]\s?(?:at|собака|arroba|arobase|małpa|chiocciola)\s?[)\]}]\s?"
_BRACKETED_DOT = rf"\s?[(\[{{]\s?(?:dot|punkt|{_DOT_WORDS})\s?[)\]}}]\s?"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SPELLED = re.compile(
    rf"({_LOCAL})(?:{_BRACKETED_AT}({_LABEL}(?:(?:\.|{_BRACKETED_DOT}){_LABEL}){{0,4}}(?:\.|{_BRACKETED_DOT})[a-z]{{2,24}})"
    rf"|\s(?:{'|'.join(_AT_WORDS)})\s({_LABEL}(?:\s(?:{_DOT_WORDS})\s{_LABEL}){{0,3}}\s(?:{_DOT_WORDS})\s[a-z]{{2,24}}))"
    r"(?![a-z0-9-])",
    re.IGNORECASE,
)
_DOT = re.compile(rf"{_BRACKETED_DOT}|\s(?:{_DOT_WORDS})\s", re.IGNORECASE)

_FILE_NAME = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|heic|pdf|docx?|xlsx?|html?|css|js|txt|csv)\Z", re.IGNORECASE)
_LINK = re.compile(r"\S*://|www\.|[\w.-]+\.[a-z]{2,24}/", re.IGNORECASE)
_LINK_LENGTH = 100


def may_be_spelled(text: str) -> bool:
    """Whether it is worth while to look for addresses without `@`."""
    lowered = text.lower()
    if any(map(lowered.__contains__, _AT_WORDS)):
        return True
    return any(map(text.__contains__, _BRACKETS)) and any(map(lowered.__contains__, _AT_IN_BRACKETS))


def written_emails(text: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of what may be an address, and the address."""
    for match in _WRITTEN.finditer(text):
        written = _without_next_sentence(match.group())
        if not _FILE_NAME.search(written) and not _within_link(text, match.start()):
            yield match.start(), match.start() + len(written), _without_italics(written, text[match.end() :][:1])


def spelled_emails(text: str) -> Iterator[tuple[int, int, str]]:
    """The same for addresses whose `@` is written as a word."""
    for match in _SPELLED.finditer(text):
        domain = _DOT.sub(".", match.group(2) or match.group(3))
        yield match.start(), match.end(), f"{match.group(1)}@{domain}"


def _without_next_sentence(written: str) -> str:
    # "a@shop.com.Thanks": nobody writes an address in small letters and its ending with a capital.
    address, _, last = written.rpartition(".")
    cut = last.istitle() and "." in address.partition("@")[2] and address.islower()
    return address if cut else written


def _without_italics(written: str, following: str) -> str:
    return written[1:] if following == "_" and written.startswith("_") else written


def _within_link(text: str, start: int) -> bool:
    # https://user:password@host, shop.com/?user=a@b.com; but a@b.com/c@d.com are two addresses
    words = text[max(0, start - _LINK_LENGTH) : start].split()
    before = words[-1] if words and not text[start - 1].isspace() else ""
    return _LINK.match(before) is not None

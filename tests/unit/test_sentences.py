"""What customers write, sentence by sentence, in many languages (T3): `sentences/<language>.yaml`.

A sentence has a text, the identifiers to be found in it (none, if none are listed), and, where it differs from that
of its file, the region of the channel.
"""

from dataclasses import dataclass
from pathlib import Path

import phonenumbers
import pytest
import yaml

from tracker.extraction import extract
from tracker.identifiers import Evidence, email

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).parent / "sentences"


@dataclass(frozen=True)
class Sentence:
    language: str
    region: str
    text: str
    found: tuple[str, ...]


def _read(path: Path) -> list[Sentence]:
    # The base loader leaves +49... a text.
    page = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return [
        Sentence(path.stem, each.get("region", page["region"]), each["text"], tuple(each.get("found", ())))
        for each in page["sentences"]
    ]


SENTENCES = [sentence for path in sorted(FOLDER.glob("*.yaml")) for sentence in _read(path)]


def _normalised(identifier: str) -> str:
    """E-mails are listed as they are read; their domains are kept in ASCII."""
    name, _, domain = identifier.partition("@")
    return f"{name}@{domain.encode('idna').decode()}" if domain else identifier


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda s: f"{s.language}: {s.text[:60]}")
def test_a_sentence_gives_its_identifiers(sentence):
    """T3: all that the customer gives is found, in his order, and nothing else; quotes are no evidence."""
    identifiers = extract(sentence.text, sentence.region)
    assert [i.value for i in identifiers] == [_normalised(i) for i in sentence.found], (
        f"in {sentence.region}: {sentence.text}"
    )
    assert all(i.evidence is Evidence.TYPED and i.written in sentence.text for i in identifiers)


def test_there_are_enough_sentences():
    """At least 300 sentences in 12 languages, 25 in each, each once; a third and more have nothing to be found."""
    assert len({sentence.text for sentence in SENTENCES}) == len(SENTENCES) >= 300
    counts = {path.stem: len(_read(path)) for path in FOLDER.glob("*.yaml")}
    assert len(counts) >= 12
    assert min(counts.values()) >= 25
    assert len(SENTENCES) / 3 < sum(not sentence.found for sentence in SENTENCES) < len(SENTENCES) * 2 / 3


def test_the_identifiers_of_the_sentences_are_valid():
    """A sentence never asks for what cannot be: every phone is valid, and every e-mail one that may match."""
    for identifier in {identifier for sentence in SENTENCES for identifier in sentence.found}:
        if identifier.startswith("+"):
            assert phonenumbers.is_valid_number(phonenumbers.parse(identifier)), identifier
        else:
            assert email(identifier, Evidence.TYPED) is not None, identifier

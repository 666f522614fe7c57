"""Dead letters as they are shown: the structure of what came in without anybody's words; or everything."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.letter_advice import advice
from console.letter_documents import Letter, masked, revealed
from crm_store.dead_letters import STEPS, LetterState
from crm_store.views.dead_letters import Attempt, DeadDelivery, DeadItem, KeptLetter, LetterAct, LetterSummary

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
SECRET = "Zwitscher"
PHONE = "+491712345678"


def letter(raw: Any = b"{}", message: Any = None, headers: Any = None, **more: Any) -> KeptLetter:
    """A letter of this content. more: of its summary."""
    summary = LetterSummary(
        id=7, state=LetterState.DEAD, step="parse", reason="unparsable", group="0123456789", fingerprint="f",
        channel="c", channel_kind="telegram", deaths=1, attempts=1, first_died_at=NOW, died_at=NOW, inbox_id=3,
        delivery_id=None, chat_id=None, error=f"KeyError: '{SECRET}' of {PHONE}",
    )  # fmt: skip
    item = DeadItem(
        stage="dead",
        received_at=NOW,
        chat_seq=None,
        card_id=None,
        dialog_id=None,
        message=None if message is None else orjson.dumps(message).decode(),
        headers=None if headers is None else orjson.dumps(headers).decode(),
        raw=raw if isinstance(raw, bytes) else orjson.dumps(raw),
    )
    attempt = Attempt("parse", 1, NOW, "w", "unparsable", f"KeyError: '{SECRET}' of {PHONE}", "tb")
    change = {"path": "text", "was": {"text": SECRET}, "became": [PHONE]}
    act = LetterAct(NOW, "service", "edit", f"he said {PHONE}", {"of": "raw", "changes": [change]})
    return KeptLetter(replace(summary, **more), "tb", item, None, [attempt], [act])


def dumped(shown: Letter) -> str:
    """Everything that is shown."""
    return orjson.dumps(shown, default=str, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode()


def raw_of(shown: Letter) -> Any:
    """What came in, as it is shown."""
    assert shown.item is not None
    return shown.item.raw.content


def test_nobodys_words_are_shown() -> None:
    """Neither of the slice, the message, the headers, the errors, nor of what was edited and why."""
    raw = {"text": SECRET, PHONE: [SECRET], "n": 491712345678, "kind": f"{SECRET} x"}
    message = {"kind": "text", "text": SECRET, "chat_id": PHONE, "identifiers": [{"kind": "phone", "value": PHONE}]}
    shown = masked(letter(raw, message, {"x-from": PHONE, "user-agent": SECRET, "content-type": "application/json"}))
    assert SECRET not in dumped(shown)
    assert PHONE[1:] not in dumped(shown)
    assert shown.item is not None
    assert shown.item.message == {
        "kind": "text",
        "text": "*** (9 characters)",
        "chat_id": "*** (13 characters)",
        "identifiers": [{"kind": "phone", "value": "*** (13 characters)"}],
    }
    assert shown.item.headers == {"x-from": "***", "user-agent": "***", "content-type": "application/json"}
    everything = dumped(revealed(letter(raw, message)))
    assert SECRET in everything
    assert PHONE in everything


def test_the_structure_can_be_seen() -> None:
    """Names, kinds, truth values and nulls; what a provider calls its events, where it has that form."""
    raw = {
        "type": "message_new",
        "object": "page",
        "event": "Hello there",
        "b": True,
        "none": None,
        "empty": "",
        "l": [],
    }
    assert raw_of(masked(letter(raw))) == {
        "type": "message_new", "object": "page", "event": "*** (11 characters)", "b": True, "none": None, "empty": "",
        "l": [],
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["webform", "livechat", "custom", None])
def test_fields_that_a_company_has_named_show_nothing(kind: str | None) -> None:
    """There `type` is whatever a visitor wrote; so it may be where the channel is gone."""
    assert raw_of(masked(letter({"fields": {"type": "pregnant"}}, channel_kind=kind))) == {
        "fields": {"type": "*** (8 characters)"}
    }


@pytest.mark.parametrize(
    ("raw", "form", "content"),
    [
        (b'{"a": 1}', "json", {"a": 1}),
        (b"name=Ann", "text", "name=Ann"),
        (b"\xff\xfe", "base64", "//4="),
        (b'{"a": "\\ud800"}', "json", {"a": "\ufffd"}),
        (b"[" * 100, "text", "[" * 100),
        (b"", "text", ""),
    ],
)
def test_whatever_came_in_can_be_shown(raw: bytes, form: str, content: Any) -> None:
    """As JSON, as text, or in base64; masked, what has no structure has no content."""
    open_ = revealed(letter(raw)).item
    hidden = masked(letter(raw)).item
    assert open_ is not None
    assert hidden is not None
    assert (open_.raw.form, open_.raw.content, open_.raw.size) == (form, content, len(raw))
    assert hidden.raw.form == form
    assert form == "json" or hidden.raw.content is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["text", "type", "field", "a"]), inner),
    max_leaves=20,
)


def leaves(document: Any) -> list[Any]:
    """Every value that is neither a list nor a mapping."""
    if isinstance(document, dict):
        return [leaf for value in document.values() for leaf in leaves(value)]
    if isinstance(document, list):
        return [leaf for value in document for leaf in leaves(value)]
    return [document]


@given(JSON)
def test_a_mask_keeps_the_shape_and_no_value(document: Any) -> None:
    """Whatever it is: as many leaves, and each a mask, a truth value, null, empty, or a provider's word."""
    shown = raw_of(masked(letter(orjson.dumps(document, default=str) if _is_small(document) else b"null")))
    document = document if _is_small(document) else None
    assert len(leaves(shown)) == len(leaves(document))
    for was, now in zip(leaves(document), leaves(shown), strict=True):
        said = isinstance(was, str) and was == now and was.replace("_", "").replace(".", "").isalnum() and was.islower()
        assert said or now in {None, ""} or isinstance(now, bool) or str(now).startswith("*** ("), (was, now)


def _is_small(document: Any) -> bool:
    return all(not isinstance(leaf, int) or -(2**63) <= leaf < 2**63 for leaf in leaves(document))


def test_a_delivery_is_masked_but_for_its_place() -> None:
    """What an operator wrote is the customer's matter too."""
    delivery = DeadDelivery("failed", "key", 5, 2, SECRET, NOW, 1)
    kept = KeptLetter(
        replace(letter().summary, delivery_id=4, inbox_id=None, step="deliver"), "", None, delivery, [], []
    )
    hidden, open_ = masked(kept).delivery, revealed(kept).delivery
    assert hidden is not None
    assert open_ == delivery
    assert (hidden.text, hidden.key, hidden.seq) == ("***", "key", 5)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", LetterState)
def test_there_is_advice_for_every_letter(step: str, state: LetterState) -> None:
    """One line, with every name filled in, wherever it died and wherever it stands."""
    said = advice(letter(step=step, state=state, reason="boom"))
    assert said
    assert "\n" not in said
    assert "{" not in said


def test_what_was_edited_and_can_be_read_is_to_be_replayed() -> None:
    """Not edited once more."""
    assert "edit the slice" in advice(letter())
    assert advice(letter(message={"text": "x"})).startswith("it was edited")
    assert "connect the account" in advice(letter(reason="unknown_account"))

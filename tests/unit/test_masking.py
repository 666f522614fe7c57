"""Customers' words, identifiers and secrets stay out of logs, tracebacks and dead letters."""

import io
import json
import logging
import sys

import pytest
import structlog

from config.causes import fingerprint
from config.logging import configure_logging
from config.masking import MASK, mask_error, mask_fields, mask_text, mask_value, masked_traceback

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "secret",
    [
        "+49 171 2345678",
        "+491712345678",
        "8 (912) 345-67-89",
        "491712345678",
        "555.123.4567",
        "ann.smith@shop-mail.de",
        "ann+tag@xn--bcher-kva.example",
        "Bearer abcdefgh12345",
        "bot123456789:AAF-abcdefgh_ijk",
        "whsec_c2VjcmV0c2VjcmV0",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    ],
)
def test_phones_mails_and_tokens_are_masked_within_a_text(secret):
    """Wherever they stand, and what stands around them stays readable."""
    masked = mask_text(f"before {secret} after")
    assert masked == f"before {MASK} after"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://desk:pa:ss/w@host:5432/name", None),
        ("postgresql://desk:hunter2@host:5432/name", "postgresql://desk:***@host:5432/name"),
        ("redis://:hunter2@host/0", "redis://:***@host/0"),
    ],
)
def test_passwords_of_urls_are_masked(url, expected):
    """The rest of the URL says which server is meant."""
    masked = mask_text(f"no connection to {url}!")
    assert "hunter2" not in masked
    assert "pa:ss" not in masked
    if expected:
        assert masked == f"no connection to {expected}!"


@pytest.mark.parametrize("text", ["item 12345 of 500", "took 0.0123 s", "D8", "chat 42, seq 7"])
def test_what_is_no_secret_stays(text):
    """Ids, times and counts are what logs are for."""
    assert mask_text(text) == text


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        ("invalid literal: 'my secret wish'", "invalid literal: '***'"),
        ('cannot read "my secret wish"', "cannot read '***'"),
        (r"bad 'it\'s my secret wish' here", "bad '***' here"),
        ("can't read 'my secret wish', isn't that bad", "can't read '***', isn't that bad"),
        ("got b'my secret wish'", "got b'***'"),
        ("cut off: 'my secret wi", "cut off: '***'"),
        ("two 'my\nsecret' lines", "two '***' lines"),
    ],
)
def test_what_an_error_quotes_is_masked(error, kept):
    """It may be a customer's words."""
    assert mask_error(error) == kept


@pytest.mark.parametrize("filler", ["x", "1", "a@", "'", "\\'", '"', "a://", "a://b:", "bot1", "bearer ", "+1 "])
def test_a_huge_error_is_bounded_in_length_and_work(filler):
    """An error that carries a whole body neither fills the dead letter nor holds up the worker."""
    assert len(mask_error(filler * 1_000_000)) <= 2000


@pytest.mark.timeout(60)
@pytest.mark.parametrize("filler", ["x", "1", "a@", "a://", "a://b:", "a://b:c", "bot1", "bearer ", "+1 "])
def test_masking_takes_time_in_proportion_to_the_text(filler):
    """No text that a customer can write makes the work grow faster than itself: a square would take hours."""
    mask_text(filler * (300_000 // len(filler)))


def _read(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise KeyError(text) from error


def _fail(text: str) -> None:
    try:
        _read(text)
    except KeyError:
        raise RuntimeError(f"for ann@shop-mail.de {text!r}")  # noqa: B904  the implicit context is what is tested


def _fail_from_nothing(text: str) -> None:
    try:
        _read(text)
    except KeyError:
        raise RuntimeError(f"no number: {text!r}") from None


def test_a_traceback_keeps_frames_and_no_words():
    """All messages of the chain are masked, of causes and contexts too; places and types are kept, in order."""
    with pytest.raises(RuntimeError) as raised:
        _fail("my secret wish")
    shown = masked_traceback(raised.value)
    assert "in _read" in shown
    assert "in _fail" in shown
    assert shown.index("ValueError: ") < shown.index("KeyError: ") < shown.index("RuntimeError: ")
    assert "secret" not in shown.replace('_fail("my secret wish")', "")
    assert f"RuntimeError: for {MASK} '{MASK}'" in shown


def test_a_suppressed_context_is_not_shown():
    """`raise ... from None` hides what it hides elsewhere too."""
    with pytest.raises(RuntimeError) as raised:
        _fail_from_nothing("my secret wish")
    assert "KeyError: " not in masked_traceback(raised.value)


def test_nested_values_are_masked():
    """Fields with telling names wholly, others where their values show something, however deep."""
    masked = mask_fields(
        {
            "text": "hello",
            "customer_name": "Ann",
            "api_token": "short",
            "items": [{"phone": "123", "chat": 5}, ("ann@shop-mail.de", 7)],
            "error": ValueError("bad 'wish'"),
            "raw_bytes": b"\x00hello",
            "step": "bind_chat",
            "body": "",
            "seconds": 0.25,
            3: "+49 171 2345678",
        }
    )
    assert masked == {
        "text": MASK,
        "customer_name": MASK,
        "api_token": MASK,
        "items": [{"phone": MASK, "chat": 5}, [MASK, 7]],
        "error": "ValueError: bad '***'",
        "raw_bytes": MASK,
        "step": "bind_chat",
        "body": "",
        "seconds": 0.25,
        3: MASK,
    }
    assert mask_value({"x": {"password": "p"}}) == {"x": {"password": MASK}}


@pytest.fixture
def json_log(monkeypatch):
    """What a process logs in production; logging is as it was afterwards."""
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = root.handlers[:]
    noisy = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("json", "INFO", "test")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, former in noisy.items():
        logging.getLogger(name).setLevel(former)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_show_no_customer(json_log):
    """Real output: an exception that quotes a customer's text, fields, bound context and the event itself."""
    words = "please deliver to Sesame Street"
    log = structlog.get_logger("worker.test")
    with structlog.contextvars.bound_contextvars(step="bind_chat", customer_email="ann@shop-mail.de"):
        try:
            int(words)
        except ValueError:
            log.exception("failed for +49 171 2345678", text=words, url="redis://:hunter2@host/0", items=3)
    (line,) = _lines(json_log)
    assert line["event"] == f"failed for {MASK}"
    assert (line["level"], line["step"], line["items"], line["process"]) == ("error", "bind_chat", 3, "test")
    assert (line["text"], line["customer_email"]) == (MASK, MASK)
    assert line["url"] == f"redis://:{MASK}@host/0"
    assert "ValueError" in str(line["exception"])
    assert "Sesame" not in json_log.getvalue()
    assert "hunter2" not in json_log.getvalue()
    assert "2345678" not in json_log.getvalue()


def test_the_standard_librarys_log_is_masked_too(json_log):
    """Libraries log through logging: same format, same masks, tracebacks included."""
    words = "Sesame Street"
    try:
        int(words)
    except ValueError:
        logging.getLogger("some.library").exception("cannot send to %s", "ann@shop-mail.de")
    (line,) = _lines(json_log)
    assert line["event"] == f"cannot send to {MASK}"
    assert "ValueError" in json_log.getvalue()
    assert "Sesame" not in json_log.getvalue()


def test_levels_are_kept(json_log):
    """DEBUG lines of each message are not written at INFO, and noisy libraries speak at WARNING only."""
    structlog.get_logger("x").debug("each_message")
    logging.getLogger("celery").info("chatter")
    logging.getLogger("celery").warning("trouble")
    assert [line["event"] for line in _lines(json_log)] == ["trouble"]


def test_a_fingerprint_is_no_address():
    """The log names the cause of a dead letter as the table does; what only looks like one is masked."""
    try:
        mask_text(None)  # type: ignore[arg-type]
    except TypeError as error:
        cause = fingerprint(error)
    assert cause.endswith("@config/masking.py:mask_text")
    assert mask_fields({"fingerprint": cause})["fingerprint"] == cause
    assert mask_text("ann@worker.example") == MASK
    assert mask_text("ann@elsewhere/x.py:y") == MASK

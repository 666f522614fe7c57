"""What holds for every adapter: proofs, isolation of slices, texts that can be stored."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.adapters.base import JSON_DEPTH_LIMIT, ParsedEvent, ParseError, SignatureError, load_json, parse
from ingest.adapters.registry import ADAPTERS, UnknownKindError, adapter_for
from tests.contract.adapter_requests import CASES, NEW, OLD, SIGNED_CASES, WRONG, Case, as_json, with_headers
from tests.contract.odd_bodies import odd, places, replaced
from tracker.messages import CUSTOMER_KINDS

pytestmark = pytest.mark.contract

every_kind = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
every_signed_kind = pytest.mark.parametrize("case", SIGNED_CASES, ids=lambda case: case.kind)


def read(case: Case, body: object = None) -> list[ParsedEvent]:
    return parse(adapter_for(case.kind), case.request(body=body), case.channel())


def refused(case: Case, request, *secrets: str) -> None:
    with pytest.raises(SignatureError):
        adapter_for(case.kind).verify(request, case.channel(*secrets))


def test_every_adapter_is_in_this_suite():
    """A new kind of channel has to be added to the cases."""
    assert {case.kind for case in CASES} == set(ADAPTERS)


def test_an_unknown_kind_is_named_with_those_that_there_are():
    """The error tells what could have been meant."""
    with pytest.raises(UnknownKindError, match=r"'fax'.*telegram"):
        adapter_for("fax")


# Proofs


@every_kind
def test_a_valid_request_is_verified_and_read(case):
    """The provider's own signature is accepted, and one customer's message comes out."""
    adapter_for(case.kind).verify(case.request(), case.channel())
    (event,) = read(case)
    assert event.error == ""
    assert event.message is not None
    assert event.message.kind in CUSTOMER_KINDS
    assert event.message.text.endswith("Hello")


@every_signed_kind
def test_both_secrets_of_a_rotation_are_valid(case):
    """Old and new secret verify; one that is neither does not."""
    adapter = adapter_for(case.kind)
    adapter.verify(case.request(NEW), case.channel(NEW, OLD))
    adapter.verify(case.request(OLD), case.channel(NEW, OLD))
    refused(case, case.request(WRONG), NEW, OLD)


@every_signed_kind
def test_a_missing_proof_never_skips_the_check(case):
    """No proof, or an empty one, is a wrong signature."""
    refused(case, case.with_proof(case.request(), None))
    refused(case, case.with_proof(case.request(), ""))


@every_signed_kind
@pytest.mark.parametrize("secrets", [(), ("",)], ids=["none", "empty"])
def test_a_channel_without_a_secret_refuses_everything(case, secrets):
    """An unfinished channel does not stand open; an empty secret is none."""
    with pytest.raises(SignatureError):
        adapter_for(case.kind).verify(case.request(), replace(case.channel(), secrets=secrets))


@every_signed_kind
@pytest.mark.parametrize(
    "change",
    [
        lambda value: "ключ",
        lambda value: value + "é",
        lambda value: "\udcff" + value,
        lambda value: value[:-1],
        lambda value: value[1:],
        lambda value: "v1," + "=" * 99,
        lambda value: "sha256=",
        lambda value: "v1",
        lambda value: " ",
        lambda value: ",,, ,",
    ],
)
def test_a_malformed_signature_is_wrong_and_nothing_else(case, change):
    """Non-ASCII, truncated and senseless headers are a SignatureError, never another exception."""
    request = case.request()
    refused(case, case.with_proof(request, change(case.proof(request))))


@every_signed_kind
def test_the_raw_bytes_are_what_is_signed(case):
    """The same body, written otherwise, has another signature."""
    if not case.covers_body:
        pytest.skip("the token does not cover the body")
    request = case.request()
    if case.encode is as_json:
        refused(case, replace(request, body=json.dumps(json.loads(request.body), indent=1).encode()))
    refused(case, replace(request, body=request.body + b" "))


headers = st.text(max_size=80) | st.sampled_from(["sha256=", "v1,", "v0=", "=", "whsec_", "\udcff"])


@every_signed_kind
@settings(max_examples=100, deadline=None)
@given(proof=headers, body=st.binary(max_size=200), content_type=headers | st.sampled_from(["application/json"]))
def test_no_request_makes_the_proof_raise_anything_else(case, proof, body, content_type):
    """Whatever a stranger sends is a wrong signature, which is 401, and nothing that could be 5xx."""
    own = {case.header: proof} if case.header else {}
    refused(case, replace(case.request(body=body), headers={"content-type": content_type, **own}))


@every_kind
@settings(max_examples=50, deadline=None)
@given(method=st.sampled_from(["GET", "POST"]), body=st.binary(max_size=50), mode=st.text(max_size=10))
def test_no_request_makes_the_set_up_raise_anything_else(case, method, body, mode):
    """A set-up call is answered, refused, or none; whatever a stranger sends."""
    query = {"hub.mode": mode, "hub.verify_token": mode, "type": mode}
    for sent in (body, b'{"type": "confirmation"' + body, b'{"type": "confirmation", "secret": 7}'):
        request = replace(case.request(body=sent), method=method, query=query)
        with contextlib.suppress(SignatureError):
            adapter_for(case.kind).handshake(request, case.channel())


@every_kind
def test_a_message_is_no_set_up_call(case):
    """An ordinary webhook goes on to the proof."""
    assert adapter_for(case.kind).handshake(case.request(), case.channel()) is None


def test_a_second_signature_in_the_list_counts():
    """Standard Webhooks: the sender signs with two secrets during its own rotation; other versions are passed over."""
    case = next(case for case in CASES if case.kind == "custom")
    request = case.request()
    signatures = f"v1a,{NEW} v1,{WRONG} {request.headers['webhook-signature']}"
    adapter_for("custom").verify(with_headers(request, webhook_signature=signatures), case.channel())


@pytest.mark.parametrize("timestamp", ["1", "99999999999", "soon", "1e9", "-5", "9" * 400, "١٧٩"])
def test_a_standard_webhook_has_the_right_time(timestamp):
    """Standard Webhooks: a replayed or senseless timestamp is refused, within five minutes of the reception."""
    case = next(case for case in CASES if case.kind == "custom")
    refused(case, with_headers(case.request(), webhook_timestamp=timestamp))


# Isolation


@every_kind
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"not json",
        b"{",
        b'{"a":',
        b"\xff\xfe",
        b"null",
        b"7",
        b'"text"',
        b"[" * 100_000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b"9" * 10_000,
        '{"a": 1}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:8]),
)
def test_a_body_that_cannot_be_read_is_kept_with_its_error(case, body):
    """It is one event without message, whose bytes are the body's, to be read again when the adapter is mended."""
    (event,) = read(case, body)
    assert event.message is None
    assert event.error
    assert event.raw == body


def test_brackets_in_strings_do_not_hide_the_depth():
    """A nesting beyond the limit is refused also where strings hold the matching brackets."""
    levels = JSON_DEPTH_LIMIT + 200
    body = '["]",' * levels + "1" + ',"["]' * levels
    with pytest.raises(ParseError, match="deeper"):
        load_json(body.encode())
    assert load_json(json.dumps(["[" * 500, "\\", '"[[']).encode())[0] == "[" * 500


@every_kind
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_wrong_types_lose_nothing(case, data):
    """Whatever stands anywhere in a body: reading raises nothing, and every slice comes back with its bytes."""
    body: object = case.body
    for _ in range(data.draw(st.integers(1, 3))):
        body = replaced(body, data.draw(st.sampled_from(list(places(body)))), data.draw(odd))
    request = case.request(body=case.encode(body))
    try:
        slices = len(list(adapter_for(case.kind).slices(request)))
    except ParseError:
        slices = 1
    events = parse(adapter_for(case.kind), request, case.channel())
    assert len(events) == slices
    for event in events:
        assert (event.message is None) == bool(event.error)
        assert event.raw == request.body or json.loads(event.raw) is not None
        event.error.encode()
        if event.message:
            event.message.model_dump_json().encode()


@every_kind
@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200))
def test_no_bytes_make_reading_raise(case, body):
    """Any body at all is read or kept with its error."""
    assert all(event.message or event.error for event in read(case, body))


@every_kind
def test_what_postgresql_refuses_is_replaced(case):
    """NUL and lone surrogates in every string of a body: no field of the message holds them."""
    body = case.body
    for path in places(case.body):
        at = case.body
        for name in path:
            at = at[name]
        if isinstance(at, str) and path[-1] in {"text", "body", "Body", "name", "first_name", "message"}:
            body = replaced(body, path, at + "\x00\ud800")
    (event,) = read(case, body)
    assert event.message is not None
    stored = event.message.model_dump_json()
    assert "\\u0000" not in stored
    assert "\ufffd\ufffd" in stored


@every_kind
def test_reading_twice_gives_the_same(case):
    """A repeated delivery has the same key, and another body another."""
    (once,), (again,) = read(case), read(case)
    assert once.message is not None
    assert again.message is not None
    assert once.message.key == again.message.key
    assert once.message == again.message


@every_kind
def test_an_absurd_time_falls_back_to_ours(case):
    """CHANNELS: a provider's clock in 1970 or next century does not sort the history."""
    for absurd in (0, "0", 99999999999, "1970-01-01T00:00:00Z", "soon", -5, 1e300):
        body = case.body
        for path in places(case.body):
            if path and path[-1] in {"date", "timestamp"}:
                body = replaced(body, path, absurd)
        if body is case.body and isinstance(body, dict):
            body = {**body, "sent_at": absurd}
        (event,) = read(case, body)
        assert event.message is not None
        assert event.message.sent_at == event.message.received_at

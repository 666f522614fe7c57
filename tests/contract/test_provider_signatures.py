"""Each signature against the provider's own library: what it accepts, we accept, and nothing else."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linebot.v3.webhook import SignatureValidator
from pywa.utils import webhook_updates_validator
from standardwebhooks import Webhook
from twilio.request_validator import RequestValidator
from viberbot import Api, BotConfiguration

from ingest.adapters.base import SignatureError, WebhookRequest
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import CASES, NEW, NOW, OLD, TWILIO, URL, WRONG, Case, with_headers

pytestmark = pytest.mark.contract

Oracle = Callable[[WebhookRequest, str], bool]


def by_meta(request: WebhookRequest, secret: str) -> bool:
    return webhook_updates_validator(secret, request.body, request.headers["x-hub-signature-256"])


def by_viber(request: WebhookRequest, secret: str) -> bool:
    api = Api(BotConfiguration(auth_token=secret, name="Desk", avatar=""))
    return bool(api.verify_signature(request.body, request.headers["x-viber-content-signature"]))


def by_line(request: WebhookRequest, secret: str) -> bool:
    return bool(SignatureValidator(secret).validate(request.body.decode(), request.headers["x-line-signature"]))


def by_twilio(request: WebhookRequest, secret: str) -> bool:
    parameters = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    return bool(RequestValidator(secret).validate(request.url, parameters, request.headers["x-twilio-signature"]))


def by_standard_webhooks(request: WebhookRequest, secret: str) -> bool:
    webhook = Webhook(secret)
    signature = webhook.sign(request.headers["webhook-id"], NOW, request.body.decode())
    return signature == request.headers["webhook-signature"]


ORACLES: dict[str, Oracle] = {
    "whatsapp": by_meta,
    "messenger": by_meta,
    "instagram": by_meta,
    "viber": by_viber,
    "line": by_line,
    "twilio": by_twilio,
    "custom": by_standard_webhooks,
}
every_oracle = pytest.mark.parametrize("case", [one for one in CASES if one.kind in ORACLES], ids=lambda one: one.kind)


def accepted(case: Case, request: WebhookRequest, *secrets: str) -> bool:
    try:
        adapter_for(case.kind).verify(request, case.channel(*secrets))
    except SignatureError:
        return False
    return True


def test_every_signature_has_an_oracle():
    """A token in a header or in the body is no signature; every signature is held against the provider's library."""
    assert {case.kind for case in CASES if case.header and case.covers_body} == set(ORACLES)


@every_oracle
def test_we_accept_what_the_provider_accepts_and_nothing_else(case):
    """The library and we agree on the right signature, one of another secret, one of another body, and a broken one."""
    right = case.request()
    other_body = replace(right, body=right.body.replace(b"Hello", b"Hallo"))
    broken = case.with_proof(right, case.proof(right)[:-2] + "AA")
    agreed = [
        (ORACLES[case.kind](request, NEW), accepted(case, request, NEW))
        for request in (right, case.request(OLD), case.request(WRONG), other_body, broken)
    ]
    assert agreed == [(True, True), (False, False), (False, False), (False, False), (False, False)]


# Twilio signs what it has made of the request; its library says how.

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def signed_by_twilio(
    parameters: dict[str, str], url: str = URL, secret: str = NEW, called: str = "", body: bytes | None = None
) -> WebhookRequest:
    """called: the URL that Twilio has called, where ours is another one."""
    signature = RequestValidator(secret).compute_signature(called or url, parameters)
    request = replace(TWILIO.request(body=urlencode(parameters).encode() if body is None else body), url=url)
    return with_headers(request, x_twilio_signature=signature)


@settings(max_examples=200, deadline=None)
@given(parameters=st.dictionaries(names, values, max_size=6))
def test_twilio_signs_every_parameter(parameters):
    """Blank ones, NUL, spaces and all letters, in any order."""
    assert accepted(TWILIO, signed_by_twilio(parameters))
    backwards = urlencode(dict(reversed(parameters.items()))).encode()
    assert accepted(TWILIO, signed_by_twilio(parameters, body=backwards))


def test_a_blank_parameter_is_part_of_the_signature():
    """Without `FromCity=` the signature is another one."""
    parameters = {"MessageSid": "SM1", "Body": "", "FromCity": ""}
    assert accepted(TWILIO, signed_by_twilio(parameters))
    assert not accepted(TWILIO, signed_by_twilio(parameters, body=b"MessageSid=SM1&FromCity="))


def test_the_example_of_twilios_library():
    """A known answer: the URL has a query, which is signed as it stands."""
    number = "+14158675309"
    parameters = {"CallSid": "CA1234567890ABCDE", "Digits": "1234", "From": number, "To": "+18005551212"}
    request = replace(
        TWILIO.request(body=urlencode({**parameters, "Caller": number}).encode()),
        url="https://mycompany.com/myapp.php?foo=1&bar=2",
    )
    assert accepted(TWILIO, with_headers(request, x_twilio_signature="RSOYDt4T1cUTdK1PDd93/VVr8B8="), "12345")


@pytest.mark.parametrize(
    ("called", "ours"),
    [
        ("https://desk.example/webhooks/a?b=c", "http://desk.example/webhooks/a?b=c"),
        ("https://desk.example/webhooks/a", "http://desk.example:8080/webhooks/a"),
        ("https://desk.example:443/webhooks/a", "https://desk.example/webhooks/a"),
        ("https://desk.example/webhooks/a", "https://desk.example:443/webhooks/a"),
        ("http://desk.example:80/webhooks/a", "http://desk.example/webhooks/a"),
        ("https://desk.example:8443/webhooks/a", "https://desk.example:8443/webhooks/a"),
        ("https://[2001:db8::1]/webhooks/a", "http://[2001:db8::1]:8080/webhooks/a"),
    ],
)
def test_a_proxy_may_change_scheme_and_port(called, ours):
    """TLS ends at the proxy, so we see http and its port; Twilio writes a default port or does not."""
    assert accepted(TWILIO, signed_by_twilio({"MessageSid": "SM1"}, url=ours, called=called))


@pytest.mark.parametrize(
    ("called", "ours"),
    [
        ("https://other.example/webhooks/a", "https://desk.example/webhooks/a"),
        ("https://desk.example/webhooks/b", "https://desk.example/webhooks/a"),
        ("https://desk.example/webhooks/a?b=c", "https://desk.example/webhooks/a"),
        ("http://desk.example/webhooks/a", "https://desk.example/webhooks/a"),
        ("https://desk.example:9/webhooks/a", "https://desk.example/webhooks/a"),
        ("https://desk.example/webhooks/a", "https://desk.example:x/webhooks/a"),
        ("https://desk.example/webhooks/a", ""),
        ("https://desk.example/webhooks/a", "https://[desk.example/webhooks/a"),
    ],
)
def test_nothing_else_of_the_url_may_differ(called, ours):
    """A signature for another service, path or query of the same account proves nothing here, whatever headers say."""
    request = signed_by_twilio({"MessageSid": "SM1"}, url=ours, called=called)
    forwarded = with_headers(request, x_forwarded_host="other.example", x_forwarded_proto="http")
    assert not accepted(TWILIO, request)
    assert not accepted(TWILIO, forwarded)


def json_from_twilio(body: bytes, digest: str) -> WebhookRequest:
    url = f"{URL}?bodySHA256={digest}"
    request = signed_by_twilio({}, url=url, body=body)
    return replace(with_headers(request, content_type="application/json"), query={"bodySHA256": digest})


def test_json_is_proved_by_its_hash_in_the_url():
    """The URL is signed, and the URL carries the body's SHA-256: another body, or none in the URL, is refused."""
    body = '[{"text": "é"}]'.encode()
    digest = hashlib.sha256(body).hexdigest()
    request = json_from_twilio(body, digest)
    signature = request.headers["x-twilio-signature"]
    assert RequestValidator(NEW).validate(request.url, body.decode(), signature)
    assert accepted(TWILIO, request)
    assert not accepted(TWILIO, replace(request, body=body + b" "))
    assert not accepted(TWILIO, replace(request, body=b""))
    bare = replace(signed_by_twilio({}, body=body), query={})
    assert not accepted(TWILIO, with_headers(bare, content_type="application/json"))
    assert not accepted(TWILIO, with_headers(request, content_type="application/x-www-form-urlencoded"))


@pytest.mark.parametrize(
    ("algorithm", "known"), [("HMAC_SHA256", True), ("hmac_sha256", True), ("HMAC_SHA1", True), ("NONE", False)]
)
def test_a_shared_key_names_its_algorithm(algorithm, known):
    """`X-Twilio-Webhooks-Signature-Settings`; an algorithm that nobody knows proves nothing."""
    parameters = {"MessageSid": "SM1"}
    signature = RequestValidator(NEW).compute_signature(URL, parameters, algorithm if known else "HMAC_SHA1")
    request = with_headers(
        TWILIO.request(body=urlencode(parameters).encode()),
        x_twilio_signature=signature,
        x_twilio_webhooks_signature_settings=f"key=webhooks_sharedkey_1, algorithm={algorithm}",
    )
    assert accepted(TWILIO, request) is known


def test_too_many_parameters_prove_nothing():
    """A form that nobody could read is refused before it costs anything."""
    assert not accepted(TWILIO, signed_by_twilio({}, body=b"&".join(b"a=1" for _ in range(5000))))


@pytest.mark.parametrize("body", [b"a=%ff%fe", b"\xff\xfe=1", b"a=%", b"=&&=;"])
def test_bytes_that_are_no_utf8_are_signed_as_they_are(body):
    """They are no reason to raise."""
    assert not accepted(TWILIO, signed_by_twilio({}, body=body))

"""From a desk's file and what there is to what is done: mistakes that only show together with the database."""

import base64
from pathlib import Path

import pytest

from cli.desks.difference import describe
from cli.desks.plan import Plan, make_plan
from cli.desks.problems import Problem
from cli.desks.reading import parse_desk
from crm_store.administration import Known, KnownChannel, KnownDepartment, KnownOpenChannel, KnownOperator
from crm_store.desks import RosterMember
from crm_store.secrets import SecretBox, hash_token
from tracker.channels import OpenChannelSettings

pytestmark = pytest.mark.unit

BOX = SecretBox(base64.urlsafe_b64encode(b"k" * 32).decode())
TOKEN = "a-token-of-anns-own-that-is-long"

ANN = KnownOperator(1, "Ann", None, hash_token(TOKEN), dismissed=False)
BOB = KnownOperator(2, "Bob", 3, None, dismissed=False)
GONE = KnownOperator(3, "Gone", None, None, dismissed=True)
DESK = KnownDepartment(1, "Front desk", (1, 2))
SALES = KnownOpenChannel(
    1,
    "Sales",
    active=True,
    settings=OpenChannelSettings(max_dialogs=6),
    roster=(RosterMember(1), RosterMember(None, 1)),
)
BOT = KnownChannel(1, "bot", "telegram", "Bot", 1, "", "DE", BOX.seal(("old",)), {"shown": "hidden"}, active=True)
KNOWN = Known({"Sales": SALES}, {"Front desk": DESK}, {"Ann": ANN, "Bob": BOB, "Gone": GONE}, {"bot": BOT})


def planned(text: str, known: Known = KNOWN) -> tuple[Plan, list[Problem]]:
    wish = parse_desk("desk.yaml", text, Path(), {"TOKEN": TOKEN, "NEW": "a-new-token-that-is-long-enough"})
    return make_plan(wish, known, lambda: BOX)


MISTAKES = {
    "an unknown operator": (
        "open_channels: [{name: Sales, roster: [Anne]}]",
        'there is no operator or department "Anne"; did you mean "Ann"?',
    ),
    "an unknown department": (
        "open_channels: [{name: Sales, roster: [{department: Ann}]}]",
        'there is no department "Ann"; add it to the file',
    ),
    "an unknown member": (
        "departments: [{name: Front desk, members: [Zoe]}]",
        'there is no operator "Zoe"; add it to the file',
    ),
    "a name of two things": (
        "operators: [{name: Front desk}]\nopen_channels: [{name: Sales, roster: [Front desk]}]",
        '"Front desk" is an operator and a department; write `operator: ` or `department: ` before it',
    ),
    "one entry in two forms": (
        "open_channels: [{name: Sales, roster: [Ann, {operator: Ann}]}]",
        '"Ann" stands in this list already; keep one',
    ),
    "a second channel of a kind": (
        "channels: [{key: other, kind: telegram, open_channel: Sales}]",
        (
            'open channel "Sales" has the telegram channel "bot" already, and an open channel has at most one channel '
            "of a kind; give this one an open channel of its own"
        ),
    ),
    "two channels of a kind": (
        "channels: [{key: a, kind: webform, open_channel: Sales}, {key: b, kind: webform, open_channel: Sales}]",
        (
            'open channel "Sales" has the webform channel "a" already, and an open channel has at most one channel '
            "of a kind; give this one an open channel of its own"
        ),
    ),
    "another kind": (
        "channels: [{key: bot, kind: webform}]",
        "this is a telegram channel, and its chats are; give a webform channel a key of its own",
    ),
    "an unknown kind": (
        "channels: [{key: new, kind: telegran, open_channel: Sales}]",
        'there is no kind of channel "telegran"; did you mean "telegram"?',
    ),
    "no kind": ("channels: [{key: new, open_channel: Sales}]", "`kind` is missing"),
    "no open channel": ("channels: [{key: new, kind: webform}]", "`open_channel` is missing"),
    "an unknown open channel": (
        "channels: [{key: bot, open_channel: Sale}]",
        'there is no open channel "Sale"; did you mean "Sales"?',
    ),
    "no secret of the provider's": (
        "channels: [{key: new, kind: whatsapp, open_channel: Sales}]",
        "whatsapp signs with a secret of the provider's; write `secrets:` with `env: NAME` or `file: PATH`",
    ),
    "a secret that Telegram does not take": (
        "channels: [{key: bot, secrets: 'white space'}]",
        "Telegram takes 1 to 256 letters, digits, `-` and `_`",
    ),
    "a secret that is no base64": (
        "channels: [{key: new, kind: custom, open_channel: Sales, secrets: 'ä'}]",
        "a secret of Standard Webhooks is `whsec_` and base64",
    ),
    "the token of another": (
        "operators: [{name: Bob, token: {env: TOKEN}}]",
        "this is the token of Ann, Bob too",
    ),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_is_refused_with_the_reason(text, message):
    """Once, and where it stands."""
    _, problems = planned(text)
    assert [problem.message for problem in problems] == [message]
    assert problems[0].place.line > 0
    assert problems[0].place.field


def test_what_is_there_already_changes_nothing():
    """Whether it is said in whole or in part."""
    plan, problems = planned(
        "operators: [{name: Ann, token: {env: TOKEN}}, {name: Gone, dismissed: true}, {name: Bob}]\n"
        "departments: [{name: Front desk, members: [Ann, Bob]}]\n"
        "open_channels: [{name: Sales, max_dialogs: 6, roster: [Ann, {department: Front desk}]}]\n"
        "channels: [{key: bot, kind: telegram, secrets: old, region: de}]\n"
    )
    assert (plan, problems) == (Plan(), [])


def test_the_difference_is_told_field_by_field_and_shows_no_secret():
    """Who comes, who goes, what becomes of a field; of `config` only names."""
    plan, problems = planned(
        "operators: [{name: Bob, personal_limit: null, token: {env: NEW}}, {name: Eve}]\n"
        "departments: [{name: Front desk, members: [Bob, Ann]}]\n"
        "open_channels: [{name: Sales, distribution: all, roster: [{department: Front desk}, Eve]}]\n"
        "channels: [{key: bot, secrets: [new-secret, old], config: {added: hush}}]\n"
    )
    assert not problems
    assert describe(plan.changes) == (
        'operator "Bob": changed\n  personal_limit: 3 -> null\n  token: set\n'
        'operator "Eve": added\n  token: made up\n'
        'department "Front desk": changed\n  members: in the order Bob, Ann\n'
        'open channel "Sales": changed\n  distribution: "evenly" -> "all"\n  roster: + Eve, - Ann\n'
        'channel "bot": changed\n  config: + added, - shown\n  secrets: 2 set, the first is the new one\n'
    )
    assert set(plan.tokens) == {"Eve"}
    assert plan.tokens["Eve"] not in repr(plan)


def test_channels_of_a_kind_may_change_places():
    """What counts is how it is in the end."""
    support = KnownOpenChannel(2, "Support", active=True, settings=OpenChannelSettings(), roster=())
    other = KnownChannel(2, "other", "telegram", "Other", 2, "", None, BOX.seal(("x",)), {}, active=True)
    known = Known({"Sales": SALES, "Support": support}, {}, {}, {"bot": BOT, "other": other})
    _, problems = planned("channels: [{key: bot, open_channel: Support}, {key: other, open_channel: Sales}]", known)
    assert not problems
    _, problems = planned("channels: [{key: bot, open_channel: Support}]", known)
    assert len(problems) == 1


def test_a_dismissed_operator_who_comes_back_gets_a_token():
    """His old one stopped working when he was dismissed."""
    plan, _ = planned("operators: [{name: Gone, dismissed: false}]")
    assert set(plan.tokens) == {"Gone"}
    assert plan.operators["Gone"].token_hash == hash_token(plan.tokens["Gone"])
    plan, _ = planned("operators: [{name: Ann, dismissed: true}]")
    assert plan.operators["Ann"].token_hash is None


def test_a_secret_can_be_made_up_for_tests_whatever_the_kind():
    """`generated` says so."""
    plan, problems = planned("channels: [{key: new, kind: whatsapp, open_channel: Sales, secrets: generated}]")
    assert not problems
    assert BOX.open(plan.channels["new"].row.sealed) == (plan.secrets["new"],)


def test_secrets_that_nobody_can_read_can_be_given_anew():
    """The key was lost: what is in the file replaces them, and what is not stays as it is."""
    known = Known({"Sales": SALES}, {}, {}, {"bot": BOT})
    lost = SecretBox(base64.urlsafe_b64encode(b"x" * 32).decode())
    wish = parse_desk("desk.yaml", "channels: [{key: bot, secrets: fresh}]", Path(), {})
    plan, problems = make_plan(wish, known, lambda: lost)
    assert not problems
    assert lost.open(plan.channels["bot"].row.sealed) == ("fresh",)
    assert make_plan(parse_desk("", "channels: [{key: bot}]", Path(), {}), known, lambda: lost)[0] == Plan()

"""Every mistake in a desk's file is told with line, column and field, all at once, and what to do about it."""

from pathlib import Path

import pytest

from cli.desks.problems import DeskError
from cli.desks.reading import parse_desk

pytestmark = pytest.mark.unit

FILE = "desk.yaml"
ENVIRONMENT = {"EMPTY": "", "SHORT": "short"}


def refused(text: str, folder: Path = Path("/nonexistent")) -> list[str]:
    """What is said of a file, one line for each problem."""
    with pytest.raises(DeskError) as raised:
        parse_desk(FILE, text, folder, ENVIRONMENT)
    return str(raised.value).splitlines()


HOSTILE = {
    "nothing": ("", "1:1: the file is empty; it needs at least one of the lists of docs/desks.md"),
    "only a comment": ("# later\n", "1:1: the file is empty; it needs at least one of the lists of docs/desks.md"),
    "a text": (
        "hello",
        "1:1: must be a mapping with the lists open_channels, departments, operators, channels",
    ),
    "a list": (
        "- a\n",
        "1:1: must be a mapping with the lists open_channels, departments, operators, channels",
    ),
    "an unknown list": ("chanels: []\n", '1:1: chanels: there is no such list; did you mean "channels"?'),
    "an unknown list, far off": (
        "xyzzy: []\n",
        "1:1: xyzzy: there is no such list; there are open_channels, departments, operators, channels",
    ),
    "a merge key": (
        "<<: {operators: []}\n",
        "1:1: <<: there is no such list; there are open_channels, departments, operators, channels",
    ),
    "no list": ("operators: Ann\n", "1:12: operators: must be a list of items, each after `- `"),
    "no mapping": (
        "operators:\n  - Ann\n",
        "2:5: operators[0]: must be a mapping of fields, `name: value` on each line",
    ),
    "an unknown field": (
        "open_channels:\n  - name: Sales\n    distributon: evenly\n",
        '3:5: open_channels[0].distributon: there is no such field; did you mean "distribution"?',
    ),
    "a missing name": ("operators:\n  - personal_limit: 3\n", "2:5: operators[0]: `name` is missing; write it"),
    "no number": (
        "open_channels:\n  - {name: Sales, max_dialogs: six}\n",
        '2:32: open_channels[0].max_dialogs: must be a whole number; it is "six"',
    ),
    "half a number": (
        "open_channels:\n  - {name: Sales, max_dialogs: 1.5}\n",
        "2:32: open_channels[0].max_dialogs: must be a whole number; it is 1.5",
    ),
    "too small": (
        "operators:\n  - {name: Ann, personal_limit: 0}\n",
        "2:33: operators[0].personal_limit: must be at least 1; it is 0",
    ),
    "no truth": (
        "open_channels:\n  - {name: Sales, active: yes}\n",
        '2:27: open_channels[0].active: must be true or false; it is "yes"',
    ),
    "no such choice": (
        "open_channels:\n  - {name: Sales, distribution: evenley}\n",
        (
            "2:33: open_channels[0].distribution: must be one of evenly, strictly, all; "
            'it is "evenley"; did you mean "evenly"?'
        ),
    ),
    "a list for a text": (
        "channels:\n  - {key: bot, account_id: [1]}\n",
        "2:28: channels[0].account_id: must be a text",
    ),
    "a text for a mapping": (
        "channels:\n  - {key: bot, config: 5}\n",
        "2:24: channels[0].config: must be a mapping, `name: value` on each line",
    ),
    "a long text": (
        f"channels:\n  - {{key: bot, account_id: {'x' * 201}}}\n",
        "2:28: channels[0].account_id: must have at most 200 characters",
    ),
    "an empty name": ("operators:\n  - name: ''\n", "2:11: operators[0].name: must not be empty"),
    "a name of two lines": (
        'operators:\n  - name: "Ann\\nLee"\n',
        "2:11: operators[0].name: a name is one line of printable characters without spaces around it",
    ),
    "a key that is no part of a URL": (
        "channels:\n  - key: my bot\n",
        (
            "2:10: channels[0].key: may hold letters, digits, `-`, `_` and `.`, at most 100; it is a part of the URL; "
            'it is "my bot"'
        ),
    ),
    "no region": (
        "channels:\n  - {key: bot, region: UK}\n",
        '2:24: channels[0].region: "UK" is no region; write the ISO 3166 code of the country, e.g. DE, GB, BR',
    ),
    "a name twice": (
        "operators:\n  - name: Ann\n  - name: Ann\n",
        '3:5: operators[1]: "Ann" stands on line 2 already; keep one',
    ),
    "a key twice": (
        "channels:\n  - key: bot\n  - key: bot\n",
        '3:5: channels[1]: "bot" stands on line 2 already; keep one',
    ),
    "a field twice": (
        "operators:\n  - name: Ann\n    name: Bea\n",
        "3:5: operators[0].name: stands on line 2 already; keep one of the two",
    ),
    "a member twice": (
        "departments:\n  - {name: Desk, members: [Ann, Ann]}\n",
        '2:33: departments[0].members[1]: "Ann" stands in this list already; keep one',
    ),
    "a department in a department": (
        "departments:\n  - {name: Desk, members: [{department: Desk}]}\n",
        "2:28: departments[0].members[0]: must be a name, or `operator: NAME`",
    ),
    "a roster entry of two": (
        "open_channels:\n  - name: Sales\n    roster: [{operator: Ann, department: Desk}]\n",
        "3:14: open_channels[0].roster[0]: must be a name, or `operator: NAME`, `department: NAME`",
    ),
    "a variable that is not set": (
        "channels:\n  - {key: bot, secrets: {env: NOPE}}\n",
        "2:31: channels[0].secrets.env: the variable NOPE is not set, or empty; set it where `openchannel apply` runs",
    ),
    "a variable that is empty": (
        "channels:\n  - {key: bot, secrets: {env: EMPTY}}\n",
        "2:31: channels[0].secrets.env: the variable EMPTY is not set, or empty; set it where `openchannel apply` runs",
    ),
    "a secret's file that is not there": (
        "channels:\n  - {key: bot, secrets: {file: nope}}\n",
        "2:32: channels[0].secrets.file: the file /nonexistent/nope cannot be read: No such file or directory",
    ),
    "a secret from elsewhere": (
        "channels:\n  - {key: bot, secrets: {vault: nope}}\n",
        "2:25: channels[0].secrets: must be a text, `env: NAME` or `file: PATH`",
    ),
    "no secret": (
        "channels:\n  - {key: bot, secrets: []}\n",
        "2:25: channels[0].secrets: holds no secret; leave the field out to keep those that there are",
    ),
    "three secrets": (
        "channels:\n  - {key: bot, secrets: [a, b, c]}\n",
        "2:25: channels[0].secrets: two secrets are valid at the most, the new one first",
    ),
    "a token in the file": (
        "operators:\n  - {name: Ann, token: abcdefghijklmnopqrstuvwxyz}\n",
        "2:24: operators[0].token: a token stands outside this file; write `env: NAME` or `file: PATH`",
    ),
    "a short token": (
        "operators:\n  - {name: Ann, token: {env: SHORT}}\n",
        "2:24: operators[0].token: the token has fewer than 20 characters; it could be guessed",
    ),
    "an alias": (
        "operators: &all [{name: Ann}]\ndepartments: *all\n",
        "1:12: operators: `&all`: anchors are not read; remove it",
    ),
    "a bomb": (
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
        "2:8: b[0]: `*a`: aliases are not read; write the value out",
    ),
    "a tag": (
        "operators: !!python/object/apply:os.system ['true']\n",
        "1:12: operators: `!!python/object/apply:os.system`: tags are not read; remove it, the field says what it is",
    ),
    "a tab": ("operators:\n\t- name: Ann\n", "2:1: a tab; YAML is indented with spaces"),
    "no YAML": ("operators: [\n", "2:1: this is not YAML: expected the node content, but found '<stream end>'"),
    "a colon too many": ("operators: a: b\n", "1:13: this is not YAML: mapping values are not allowed here"),
    "a key that is none": ("? [a]\n: 1\n", "1:3: a key must be a name"),
    "two documents": ("operators: []\n---\noperators: []\n", "2:1: a second document begins here; write one document"),
    "a control character": ("operators: \x01\n", "1:12: the character U+0001 is not allowed in YAML; remove it"),
    "a NUL by escape": (
        'operators:\n  - name: "A\\0"\n',
        "2:11: operators[0].name: holds a NUL or half of a surrogate pair, which no text may hold; remove it",
    ),
    "half a character": (
        'operators:\n  - name: "A\\ud800"\n',
        "2:11: operators[0].name: holds a NUL or half of a surrogate pair, which no text may hold; remove it",
    ),
    "depth": (
        "a: " + "[" * 50_000,
        "1:24: a[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: is nested deeper",
    ),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE)
def test_every_mistake_says_where_it_is_and_what_to_do(text, message):
    """With file, line, column and field."""
    assert any(line.startswith(f"{FILE}:{message}") for line in refused(text)), refused(text)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file():
    """One run shows all of them."""
    said = refused(
        "open_channels:\n  - {name: Sales, mode: lied, sources: x}\n  - {name: 'Sales', counted: 3}\n"
        "operators:\n  - {nam: Ann}\nchannels:\n  - {key: a b, region: XX, secrets: {env: NOPE}}\n"
    )
    assert [line.split(": ")[1] for line in said] == [
        "open_channels[0].mode",
        "open_channels[0].sources",
        "open_channels[1]",
        "open_channels[1].counted",
        "operators[0]",
        "operators[0].nam",
        "channels[0].key",
        "channels[0].region",
        "channels[0].secrets.env",
    ]


def test_a_thousand_mistakes_fit_on_a_screen():
    """The first fifty, and how many more there are."""
    said = refused("operators:\n" + "  - {nam: x}\n" * 1000)
    assert len(said) == 51
    assert said[-1] == f"{FILE}: and 1950 more problems"

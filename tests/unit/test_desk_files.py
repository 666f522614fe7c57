"""Desks as files: what is read out of them, and files that are none."""

from pathlib import Path

import pytest

from cli.desks.document import LARGEST, read_file
from cli.desks.fields import ChannelFields, OpenChannelFields
from cli.desks.problems import DeskError, nearest
from cli.desks.reading import parse_desk, read_desk
from cli.desks.wishes import Secrets, SecretSource
from tracker.channels import OpenChannelSettings

pytestmark = pytest.mark.unit

FILE = "desk.yaml"
ENVIRONMENT = {"BOT_SECRET": "from-the-environment", "TOKEN": "a-token-of-twenty-six-chars"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"operators:\n  - name: J\xf6rg\n", ":2:12: is not UTF-8; save it as UTF-8"),
        ("operators: []".encode("utf-16"), ":1:1: is not UTF-8; save it as UTF-8"),
        (b"#" * (LARGEST + 1), "is larger than 1 MiB; a desk's file is not, split it if it really is one"),
    ],
    ids=["absent", "latin-1", "utf-16", "huge"],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, body, message):
    """Before anything is parsed."""
    file = tmp_path / FILE
    if body is not None:
        file.write_bytes(body)
    with pytest.raises(DeskError) as raised:
        read_desk(file, {})
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(file))


def test_a_folder_is_no_file(tmp_path):
    """Said in one line."""
    with pytest.raises(DeskError, match="cannot be read: Is a directory"):
        read_desk(tmp_path, {})


def test_a_mark_of_utf_8_is_no_mistake(tmp_path):
    """Some editors write one."""
    file = tmp_path / FILE
    file.write_bytes(b"\xef\xbb\xbfoperators: []\n")
    assert read_file(file) == "operators: []\n"


def test_values_are_what_their_fields_say():
    """`NO` is Norway, an account's leading zeros stay, and quotes make no difference to a text."""
    desk = parse_desk(
        FILE,
        "channels:\n  - {key: 007, region: no, account_id: 00123, name: true, config: {a: 1, b: ~, c: '1', d: [1.5]}}\n"
        "open_channels:\n  - {name: 12, max_dialogs: null, roster: [12, {department: '12'}]}\n",
        Path(),
        {},
    )
    (channel,), (open_channel,) = desk.channels, desk.open_channels
    assert channel.name == "007"
    assert channel.given == {
        "region": "NO",
        "account_id": "00123",
        "name": "true",
        "config": {"a": 1, "b": None, "c": "1", "d": [1.5]},
    }
    assert (open_channel.name, open_channel.given) == ("12", {"max_dialogs": None})
    assert [(member.kind, member.name) for member in open_channel.roster or ()] == [("", "12"), ("department", "12")]


def test_what_is_not_said_is_not_given():
    """So that it can be left as it is; an empty roster is one."""
    desk = parse_desk(FILE, "open_channels:\n  - name: A\n  - {name: B, roster: []}\noperators:\n", Path(), {})
    assert [(one.given, one.roster) for one in desk.open_channels] == [({}, None), ({}, ())]
    assert not desk.operators
    assert not desk.channels


def test_secrets_come_from_where_they_are(tmp_path):
    """Literally, from the environment, from a file beside the desk's; two of them while they are rotated."""
    (tmp_path / "old").write_text("from a file\n")
    desk = parse_desk(
        FILE,
        "channels:\n  - {key: a, secrets: literal}\n  - {key: b, secrets: [{env: BOT_SECRET}, {file: old}]}\n"
        "  - {key: c, secrets: kept}\n  - {key: d}\n  - {key: e, secrets: generated}\n  - {key: f, secrets: 'kept'}\n"
        "operators:\n  - {name: Ann, token: {env: TOKEN}}\n  - {name: Bea, token: kept}\n",
        tmp_path,
        ENVIRONMENT,
    )
    assert [channel.secrets for channel in desk.channels] == [
        Secrets(("literal",)),
        Secrets(("from-the-environment", "from a file")),
        SecretSource.KEPT,
        SecretSource.KEPT,
        SecretSource.GENERATED,
        Secrets(("kept",)),
    ]
    assert [operator.token for operator in desk.operators] == [ENVIRONMENT["TOKEN"], None]
    assert "environment" not in repr(desk)
    assert ENVIRONMENT["TOKEN"] not in repr(desk)


def test_every_setting_can_be_said():
    """None of them has the name of a field of the file's own, and all have the meaning that the rules give them."""
    assert OpenChannelSettings.model_fields.keys() <= OpenChannelFields.model_fields.keys()
    assert not {"name", "active", "roster"} & OpenChannelSettings.model_fields.keys()
    assert "secrets" not in ChannelFields.model_fields


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [("ann", '; did you mean "Ann Lee"?'), ("An Lee", '; did you mean "Ann Lee"?'), ("Zoe", ""), ("", "")],
)
def test_the_nearest_name_is_offered(wrong, hint):
    """Whatever the case, by its beginning too; nothing where nothing is near."""
    assert nearest(wrong, ["Ann Lee", "Bob"]) == hint

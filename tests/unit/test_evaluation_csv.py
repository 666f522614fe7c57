"""CSV files of messages: what can be read, and what an error says."""

import io

import pytest

from loadgen.evaluation.csv_file import COLUMNS, FileMistakeError, parse_messages, read_messages
from loadgen.evaluation.said import Given

pytestmark = pytest.mark.unit

HEADER = ",".join(COLUMNS)
ROW = "ann,livechat/de,v-1,2026-03-01T09:30:00Z,Ann,hello,"


def parsed(*lines: str):
    """The messages of these lines."""
    return list(parse_messages(io.StringIO("\n".join(lines), newline=""), "world.csv"))


def test_a_message():
    """All columns, and what follows from the channel."""
    (message,) = parsed(HEADER, 'ann,telegram/de,7,2026-03-01T10:30:00+01:00,Ann,"hello, ""you""",proven:+491711234567')
    assert (message.customer, message.channel, message.kind, message.chat) == ("ann", "telegram/de", "telegram", "7")
    assert message.sent_at.isoformat() == "2026-03-01T09:30:00+00:00"
    assert message.text == 'hello, "you"'
    assert message.identity == (Given("phone", "+491711234567", "proven"),)
    assert message.messenger_id == "telegram/7"
    assert message.says is None


def test_several_identifiers():
    """Separated by spaces."""
    (message,) = parsed(HEADER, f"{ROW}signed:ann@firm.example  typed:0171-1234567")
    assert message.identity == (Given("email", "ann@firm.example", "signed"), Given("phone", "0171-1234567", "typed"))


def test_the_trap_is_optional():
    """A written world has it."""
    (message,) = parsed(f"{HEADER},trap", f"{ROW},family")
    assert message.trap == "family"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([""], "line 1: the columns must be customer,channel"),
        (["who,channel"], "line 1: the columns must be"),
        ([HEADER], "no messages"),
        ([HEADER, "ann,livechat,v-1"], "line 2: it has 3 columns instead of 7"),
        ([HEADER, ROW, ROW.replace("ann,", ",")], "line 3, column customer: it is empty"),
        ([HEADER, ROW.replace("livechat/de", "Live Chat")], "line 2, column channel: 'Live Chat' is no channel"),
        ([HEADER, ROW.replace("livechat/de", "livechat/")], "column channel"),
        ([HEADER, ROW.replace("v-1", "")], "line 2, column chat: it is empty"),
        ([HEADER, ROW.replace("v-1", "v" * 513)], "column chat: it is longer than 512"),
        ([HEADER, ROW.replace("2026-03-01T09:30:00Z", "yesterday")], "column sent_at: 'yesterday' is no time"),
        ([HEADER, ROW.replace("00Z", "00")], "has no time zone; add Z"),
        ([HEADER, ROW.replace("2026", "1970")], "not between 2005 and 2100"),
        ([HEADER, f"{ROW}+491711234567"], "column identity: '+491711234567' cannot be read; write proven:"),
        ([HEADER, f"{ROW}sworn:+491711234567"], "column identity"),
        ([HEADER, f"{ROW}proven:01711234567"], "a proven phone is + and 7 to 15 digits"),
        ([HEADER, f"{ROW}proven:"], "column identity"),
        ([HEADER, ROW.replace("hello", '"hello" you')], "line 2: "),
        ([HEADER, ROW.replace("hello", "hel\x00lo")], "line 2"),
    ],
)
def test_mistakes(lines, told):
    """Each names the line, the column, and what to do."""
    with pytest.raises(FileMistakeError) as caught:
        parsed(*lines)
    assert told in str(caught.value)
    assert str(caught.value).startswith("world.csv")


def test_messages_are_sorted_by_time(tmp_path):
    """Those of one moment stay in the file's order; a byte order mark does not matter."""
    path = tmp_path / "world.csv"
    later, same = ROW.replace("T09", "T10"), ROW.replace("ann,", "ben,")
    path.write_text("\n".join([HEADER, later, ROW, same]), encoding="utf-8-sig")
    assert [message.customer for message in read_messages(path)] == ["ann", "ben", "ann"]


def test_no_such_file(tmp_path):
    """One clear message."""
    with pytest.raises(FileMistakeError, match="it cannot be read: No such file"):
        read_messages(tmp_path / "none.csv")


def test_another_encoding(tmp_path):
    """What it should be."""
    path = tmp_path / "world.csv"
    path.write_bytes(f"{HEADER}\n{ROW}".replace("Ann", "Änne").encode("latin-1"))
    with pytest.raises(FileMistakeError, match="save it as UTF-8"):
        read_messages(path)

"""What becomes of Telegram's updates (T3, C5, CHANNELS)."""

import pytest

from ingest.adapters.base import parse
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import TELEGRAM
from tracker.identifiers import Evidence, IdentifierKind
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

USER = {"id": 5, "is_bot": False, "first_name": "Anna", "last_name": "Lee"}
PRIVATE = {"id": 5, "type": "private", "first_name": "Anna"}
DATE = 1790000000


def read_all(update: dict[str, object]) -> list[InboundMessage]:
    events = parse(adapter_for("telegram"), TELEGRAM.request(body={"update_id": 7, **update}), TELEGRAM.channel())
    assert [event.error for event in events if event.error] == []
    return [event.message for event in events if event.message]


def read(update: dict[str, object]) -> InboundMessage:
    (message,) = read_all(update)
    return message


def message(**fields: object) -> dict[str, object]:
    return {"message_id": 3, "date": DATE, "from": USER, "chat": PRIVATE, **fields}


def test_a_text():
    """Ids, name, time, and the sender's messenger id, which is the same for all bots (T2)."""
    found = read({"message": message(text="Hello", reply_to_message={"message_id": 2})})
    assert (found.kind, found.text, found.name) == (MessageKind.TEXT, "Hello", "Anna Lee")
    assert (found.external_id, found.key, found.chat_id, found.customer_id) == ("3", "update:7", "5", "5")
    assert (found.reply_to, found.sent_at.timestamp()) == ("2", DATE)
    assert [identifier.value for identifier in found.identifiers] == ["telegram/5"]


@pytest.mark.parametrize("kind", ["group", "supergroup", "channel", None, 5])
def test_groups_never_make_a_customer(kind):
    """C5: only `chat.type == private` is a customer's chat."""
    found = read({"message": message(text="Hello", chat={"id": -100, "type": kind})})
    assert (found.kind, found.from_customer, found.identifiers) == (MessageKind.GROUP, False, ())


def test_who_writes_as_a_channel_is_no_customer():
    """C5: `sender_chat` is not a person."""
    assert read({"message": message(text="Hi", sender_chat={"id": -1, "type": "channel"})}).kind is MessageKind.GROUP


@pytest.mark.parametrize("field", ["channel_post", "edited_channel_post", "chat_join_request", "chat_member"])
def test_what_happens_in_channels_and_groups_is_kept(field):
    """C5: a channel post has no sender, and does not break the adapter."""
    assert read({field: {"chat": {"id": -1, "type": "channel"}, "text": "x"}}).kind is MessageKind.GROUP


@pytest.mark.parametrize("update", [{}, {"poll": {"id": "1"}}, {"chat_boost": {}}, {"something_new": [1]}])
def test_an_unknown_update_is_ignored(update):
    """Kept, not dead: Telegram adds kinds of updates every other month."""
    assert read(update).kind is MessageKind.IGNORED


def contact(user_id: object, **fields: object) -> dict[str, object]:
    card = {"phone_number": "79123456789", "first_name": "Boris", "user_id": user_id}
    return {"message": message(contact=card, **fields)}


def test_the_senders_own_card_proves_his_phone():
    """T3: `contact.user_id` is the sender's."""
    found = read(contact(5))
    phone = found.identifiers[1]
    assert (phone.kind, phone.value, phone.evidence) == (IdentifierKind.PHONE, "+79123456789", Evidence.PROVEN)
    assert (found.kind, found.attachments[0].name) == (MessageKind.CONTACT, "Boris ")


@pytest.mark.parametrize("update", [contact(6), contact(None), contact(5, forward_origin={"type": "user"})])
def test_another_persons_card_proves_nothing(update):
    """T3: it is an attachment, and no evidence of any kind."""
    found = read(update)
    assert [identifier.kind for identifier in found.identifiers] == [IdentifierKind.MESSENGER]
    assert found.attachments[0].url == "tel:79123456789"


def test_files_and_captions():
    """A caption is the text; of a photo's sizes the largest is taken; an animation is one file, not two."""
    photo = read({"message": message(caption="Look", photo=[{"file_id": "s"}, {"file_id": "l", "file_size": 9}])})
    assert (photo.kind, photo.text) == (MessageKind.MEDIA, "Look")
    assert [(file.kind, file.id, file.size) for file in photo.attachments] == [("image", "l", 9)]
    animation = read({"message": message(animation={"file_id": "a"}, document={"file_id": "a"})})
    assert [file.kind for file in animation.attachments] == ["video"]
    sticker = read({"message": message(sticker={"file_id": "s", "emoji": "👍"})})
    assert (sticker.kind, sticker.text) == (MessageKind.STICKER, "👍")


def test_albums_are_separate_messages_of_one_chat():
    """Two updates of one `media_group_id` have one chat and two keys."""
    one = read({"message": message(message_id=3, media_group_id="g", photo=[{"file_id": "1"}])})
    two = read({"update_id": 8, "message": message(message_id=4, media_group_id="g", photo=[{"file_id": "2"}])})
    assert one.chat_id == two.chat_id
    assert one.key != two.key


def test_places():
    """A location, and a venue, which has a name."""
    place = {"latitude": 1.5, "longitude": -2}
    (location,) = read({"message": message(location=place)}).attachments
    assert (location.latitude, location.longitude) == (1.5, -2.0)
    (venue,) = read({"message": message(location=place, venue={"location": place, "title": "Cafe"})}).attachments
    assert (venue.name, venue.latitude) == ("Cafe", 1.5)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({}, MessageKind.UNSUPPORTED),
        ({"dice": {"value": 2}}, MessageKind.UNSUPPORTED),
        ({"pinned_message": {"message_id": 1}}, MessageKind.SYSTEM),
        ({"web_app_data": {"data": "7", "button_text": "Send"}}, MessageKind.BUTTON),
    ],
)
def test_what_is_not_a_text(content, kind):
    """A new kind of content is still the customer's message; a note of Telegram's is not (C5)."""
    assert read({"message": message(**content)}).kind is kind


def test_a_message_without_sender_is_the_chats():
    """Telegram leaves `from` away where it has nothing to say."""
    assert read({"message": {"message_id": 3, "date": 0, "chat": PRIVATE, "text": "x"}}).customer_id == "5"


@pytest.mark.parametrize("name", ["", " ", "\u3164", None, 5.5])
def test_blank_names_are_empty(name):
    """T6: a name that nobody can see is none, and can be filled later (T4)."""
    assert read({"message": message(text="x", **{"from": {"id": 5, "first_name": name}})}).name == ""


def test_a_start_link_is_a_referral():
    """What brought the customer: the parameter of the bot's link."""
    assert read({"message": message(text="/start spring_ad")}).referral == "spring_ad"
    assert read({"message": message(text="/start")}).referral == ""


def test_an_edit_changes_its_message():
    """C5: an edit makes nothing; its key differs from the message's own."""
    found = read({"edited_message": message(text="Better", edit_date=DATE + 60)})
    assert (found.kind, found.target, found.external_id, found.text) == (MessageKind.EDIT, "3", "3", "Better")
    assert (found.key, found.sent_at.timestamp(), found.identifiers) == ("update:7", DATE + 60, ())


def test_a_button():
    """A click is a customer's message in the chat of its keyboard, or in the sender's where none is told."""
    query = {"id": "q", "from": USER, "data": "yes", "message": {"message_id": 2, "chat": PRIVATE}}
    found = read({"callback_query": query})
    assert (found.kind, found.text, found.external_id, found.reply_to) == (MessageKind.BUTTON, "yes", "q", "2")
    assert found.sent_at == found.received_at
    assert read({"callback_query": {"id": "q", "from": USER, "inline_message_id": "i"}}).chat_id == "5"
    grouped = {**query, "message": {"message_id": 2, "chat": {"id": -1, "type": "group"}}}
    assert read({"callback_query": grouped}).kind is MessageKind.GROUP


def test_blocking_the_bot_is_kept():
    """C5: a change of membership is an event of the chat's life, and no message."""
    change = {"chat": PRIVATE, "from": USER, "date": DATE, "new_chat_member": {"status": "kicked"}}
    found = read({"my_chat_member": change})
    assert (found.kind, found.text, found.chat_id) == (MessageKind.LIFECYCLE, "kicked", "5")


def test_a_reaction_is_about_its_message():
    """C5: it changes what is there; none left means that it was taken back."""
    reaction = {"chat": PRIVATE, "user": USER, "message_id": 3, "date": DATE, "new_reaction": [{"emoji": "🔥"}]}
    found = read({"message_reaction": reaction})
    assert (found.kind, found.target, found.text) == (MessageKind.REACTION, "3", "🔥")
    assert read({"message_reaction": {**reaction, "new_reaction": []}}).text == ""


def test_both_sides_of_a_business_chat():
    """C5: a connected business account's own messages are echoes, in the customer's chat."""
    theirs = read({"business_message": message(text="Hello", business_connection_id="b1")})
    assert (theirs.kind, theirs.chat_id) == (MessageKind.TEXT, "5")
    ours = message(text="Hi", business_connection_id="b1", **{"from": {"id": 99, "first_name": "Shop"}})
    echo = read({"business_message": ours})
    assert (echo.kind, echo.chat_id, echo.identifiers) == (MessageKind.ECHO, "5", ())


def test_deleted_business_messages_come_one_by_one():
    """Each deletion is an event of its own, with a key of its own."""
    deletion = {"business_connection_id": "b1", "chat": PRIVATE, "message_ids": [1, 2, 3]}
    found = read_all({"deleted_business_messages": deletion})
    assert [(one.kind, one.target) for one in found] == [(MessageKind.DELETE, str(n)) for n in (1, 2, 3)]
    assert len({one.key for one in found}) == 3


def test_a_bot_is_no_customer():
    """C5: what a machine sends is no message of a customer."""
    robot = {"id": 5, "is_bot": True, "first_name": "Robot"}
    assert read({"message": message(text="x", **{"from": robot})}).kind is MessageKind.AUTOMATIC

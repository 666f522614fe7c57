"""What a customer wrote himself, without what he quotes or forwards (T3).

Mail programs mark quoted text in three ways: a `>` before each line; a line such as "On 11 May Ann wrote:" above it;
the headings of the old message. What stands below one of the last two is quoted to the end of the text, unless the
quoted lines have their `>`.
"""

import re

_MARKS = (">", "\uff1e")
_LONGEST_HEADING = 300
_HEADERS_WITHIN = 6

# How a mail program says who wrote; in some languages the verb stands before the name.
_WROTE = re.compile(
    r"wrote|schrieb|a écrit|escribió|escreveu|ha scritto|написа|пишет|пише\b|napisa|pisze|yazdı|كتب|ने लिखा|書きました"
    r"|のメッセージ|写道|寫道|schreef|skrev|napsal|a scris|kirjoitti|έγραψε|đã viết",
    re.IGNORECASE,
)
_MOMENT = re.compile(r"\d{1,2}[:.h]\d{2}|\b(?:19|20)\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2}")
_ADDRESS_LAST = re.compile(r"@[^\s@<>]{3,100}>?\s?[:\uff1a]\Z")

_OLD_MESSAGE = re.compile(
    r"(?:begin )?forwarded (?:e-?mail|message)|original (?:e-?mail|message)"
    r"|ursprüngliche nachricht|original-?nachricht|weitergeleitete (?:e-?mail|nachricht)"
    r"|message (?:d'origine|d’origine|original|transféré)|mensaje (?:original|reenviado)"
    r"|mensagem (?:original|encaminhada|reencaminhada)|messaggio (?:originale|inoltrato)"
    r"|(?:исходное|пересл?анное|пересылаемое|оригинальное) (?:сообщение|письмо)"
    r"|(?:початкове|вихідне|переслане|оригінальне) повідомлення"
    r"|(?:oryginalna|przekazana|przesłana) wiadomość|wiadomość (?:oryginalna|przekazana)"
    r"|(?:orijinal|özgün|yönlendirilen|iletilen) (?:ileti|mesaj|e-?posta)"
    r"|الرسالة الأصلية|رسالة معاد توجيهها|रीडायरेक्ट|अग्रेषित संदेश|मूल संदेश"
    r"|元のメッセージ|転送(?:された)?メッセージ|原始邮件|原始郵件|转发(?:的)?邮件|轉寄郵件|转发(?:的)?消息",
    re.IGNORECASE,
)
# Alone on its line, so that "my original message" in a sentence is none; some programs put dashes around it.
_LINE_ENDS = " \t-_\u2013\u2014:\uff1a*"

_FROM = re.compile(r"(?:from|von|de|da|от(?: кого)?|від|od|kimden|من|差出人|发件人|寄件者)\s?[:\uff1a]", re.IGNORECASE)
_SUBJECT = re.compile(
    r"(?:subject|betreff|objet|asunto|assunto|oggetto|тема|temat|konu|الموضوع|विषय|件名|主题|主題)\s?[:\uff1a]",
    re.IGNORECASE,
)
_SENT = re.compile(
    r"(?:sent|date|to|gesendet|datum|an|envoyé|date|à|enviado|fecha|para|data|inviato|a|дата|отправлено|кому|надіслано"
    r"|wysłano|do|gönderilme|tarih|kime|تاريخ|إلى|送信日時|日付|宛先|发送时间|收件人)\s?[:\uff1a]",
    re.IGNORECASE,
)
_DAY = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
# What a messenger puts above a message that is copied: "Ann Lee, [11.05.2026 09:12]", "[09:12, 11.05.2026] Ann:".
_COPIED = re.compile(rf"[^\n\[]{{0,64}}\[(?:{_DAY},? \d{{1,2}}:\d\d|\d{{1,2}}:\d\d(?: [ap]m)?, {_DAY})", re.IGNORECASE)


def own_words(text: str) -> str:
    """`text` without its quoted lines (T3)."""
    if "\n" not in text and not text.lstrip().startswith(_MARKS):
        return text
    lines = text.splitlines()
    own: list[str] = []
    index = 0
    while index < len(lines):
        taken = _heading(lines, index)
        if taken and not _marked_below(lines, index + taken):
            break
        if not taken and not lines[index].lstrip().startswith(_MARKS):
            own.append(lines[index])
        index += taken or 1
    return "\n".join(own)


def _marked_below(lines: list[str], index: int) -> bool:
    """Whether the next line that is not empty has its `>`."""
    following = next((line for line in lines[index:] if line.strip()), "")
    return following.lstrip().startswith(_MARKS)


def _heading(lines: list[str], index: int) -> int:
    """How many lines from `index` on say that an old message follows; 0 if they do not."""
    line = lines[index].strip()
    if not line:
        return 0
    if _COPIED.match(line) or _OLD_MESSAGE.fullmatch(line.strip(_LINE_ENDS)):
        return 1
    if _FROM.match(line) and _are_headers(lines[index + 1 : index + _HEADERS_WITHIN]):
        return 1
    if _says_who_wrote(line):
        return 1
    # Long ones are broken after the address.
    following = lines[index + 1].strip() if index + 1 < len(lines) else ""
    if (
        _MOMENT.search(line[:_LONGEST_HEADING])
        and following
        and len(following) < 100
        and _says_who_wrote(f"{line} {following}")
    ):
        return 2
    return 0


def _are_headers(lines: list[str]) -> bool:
    stripped = [line.strip() for line in lines]
    return any(map(_SUBJECT.match, stripped)) and any(map(_SENT.match, stripped))


def _says_who_wrote(line: str) -> bool:
    if not line.endswith((":", "\uff1a")) or len(line) > _LONGEST_HEADING:
        return False
    when = _MOMENT.search(line) is not None
    if _WROTE.search(line):
        return when or "@" in line
    # "11 May 2026, 09:12, Ann <ann@...>:" in some languages has no verb.
    return when and _ADDRESS_LAST.search(line) is not None

"""Numbers in a text that are no phones, as far as what stands around them, or their shape, tells (T3).

Only numbers with words before them ("order no. 2025550142") can be told from phones of the same length; a bare one
that is valid as a phone is taken for one.
"""

import re

EDGE = "|"
"""Never a part of a phone, so that what stands left and right of it is not joined."""

# Words for what is numbered, by language. A word may go on (`order's`, `Bestellnummer`, `заказа`).
_NUMBERED = "|".join((
    r"order|invoice|ticket|tracking|parcel|shipment|receipt|customer|account|reference|ref\b|item\b|sku\b|ean|isbn|upc|awb",
    r"barcode|id\b|passport|tax\b|vat\b|protocol|policy|contract|upi\b|gstin|booking|reservation|case\b|serial|imei",
    r"bestell|auftrag|rechnung|kunden|sendung|artikel|steuer|vertrag|beleg|vorgang",
    r"commande|facture|colis|suivi|réf|siret|siren|dossier|client\b|contrat",
    r"pedido|factura|orden\b|seguimiento|envío|guía|referencia|dni\b|nif\b|cif\b|nie\b|rfc\b|cédula",
    r"nota fiscal|fatura|rastreio|rastreamento|cpf|cnpj|protocolo|boleto|encomenda|nif\b",
    r"ordine|fattura|spedizione|codice|partita iva|p\.\s?iva|tracciamento|pratica",
    r"заказ|сч[её]т\b|накладн|трек|инн\b|кпп\b|огрн|снилс|паспорт|артикул|арт\b|договор|заявк|квитанци|штрихкод|чек\b",
    r"замовлен|рахун|ттн\b|іпн\b|єдрпоу|рнокпп|накладна|договір|посилк",
    r"zam[óo]wieni|faktur|przesyłk|paczk|konto|nip\b|regon|pesel|dow[óo]d|reklamacj",
    r"sipariş|takip|kargo|kimlik|vergi|barkod|müşteri|seri no",
    r"(?:ال)?طلب|(?:ال)?فاتورة|(?:ال)?شحنة|(?:ال)?تتبع|الرقم القومي|الهوية|كود|(?:لل)?طلبية|طلبي",
    r"ऑर्डर|इनवॉइस|बिल|आधार|ट्रैकिंग|कोड",
))  # fmt: skip
_NUMBERED_UNSPACED = (
    r"注文|伝票|追跡|請求書|会員|予約|商品|送り状|问い合わせ|订单|訂單|单号|單號|快递|快遞|运单|运單|发票|發票|身份证|身分證|会员|會員"
    r"|卡号|卡號|条码|編號|编号|账号"
)
_NUMBER = (
    r"n[°ºo]\b|n(?:[ru]m?)?\b|numbers?|num[eé]ros?|nummer|número|numero|numer|numara\w*|номер\w{0,3}|номером|under|под"
    r"|رقم|رقمه|नंबर|संख्या|番号|号码|號碼|编号|編號|号|號"
)
_IS = r"is|was|ist|lautet|est|es|é|è|to|—|–|は|是|है|это|це|id"
_JOINED = rf"(?:[\s.:#№=()\[\]\uff1a-]|(?:{_NUMBER})|(?:{_IS})(?=[\s:\d])){{0,8}}"
# The first group alone: a phone may follow. Of `order 202 555 0142` too little is left to be one.
_VALUE = r"(?<!\d)\d[\d/.,-]{0,40}"

_PHONE_WORD = (
    r"(?:tele?|phone|fono?|mobile?|móvil|handy|cell?|cel|моб\w*|тел\w*|сотов\w*|whats\w*|вайбер|вотсап|вацап"
    r"|номер\w{0,3} тел\w*|my|mein\w?|mon|mi|meu|mio|mój|мой|мій"
    r"|جوال|هاتف|موبايل|cep|फ़ोन|फोन|मोबाइल|電話|携帯|电话|電話|手机)"
)
_FOR = r"(?:for|für|pour|para|per|для|по) (?:(?:my|the|die|la|le|mi|il|o|a) )?\w{1,20}[\s:]{1,2}"
_CURRENCY = r"[$€£¥₽₴₸₹₺₪₫₩￥]"
_MONEY_BEFORE = r"(?:rs\.?|inr|usd|eur|gbp|r\$|try|pln|uah|rub|aed|sar|egp)"
_MONEY_AFTER = (
    r"(?:usd|eur|euros?|gbp|pounds?|dollars?|rub|руб\w*|р\.|грн|гривень|kzt|тенге|zł|pln|tl\b|try\b|lira|pesos?|reais"
    r"|inr|rupees|रुपये|रुपए|جنيه|ريال|درهم|uah|chf|mxn|ars|cop|brl|sek|nok|dkk|czk|jpy|cny|sar|aed|egp)"
)
# Atomic, or a row of numbers would be tried over and over.
_AMOUNT = r"(?>(?:\d{1,3}(?:[ .,]\d{3}|,\d\d(?=,)){1,5}|\d{1,20})(?:[.,]\d\d?)? ?)"
_DATE = r"(?:19|20)\d\d(?P<ymd>[./-])[01]?\d(?P=ymd)[0-3]?\d|[0-3]?\d(?P<dmy>[./-])[0-3]?\d(?P=dmy)(?:19|20)?\d\d"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_FILE = r"png|jpe?g|gif|svg|webp|heic|pdf|docx?|xlsx?|csv|txt|zip|mp[34]|mov"

_OTHER = re.compile(
    # "Tel. no. 202..." is a phone in spite of its "no."; the group is left as it is.
    rf"(?P<phone>\b{_PHONE_WORD}[\s.:-]{{0,3}}(?:(?:(?:{_NUMBER}|№|#)[\s.:]{{0,3}}){{1,2}}|{_FOR})(?=[\d(+]))"
    r"|[a-z0-9_.%+-]{1,64}@[a-z0-9.-]{1,253}"  # e-mails: their names are often phones, of whomever
    r"|(?:https?://|www\.)\S+|(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,4}[a-z]{2,24}/\S*"  # links
    rf"|(?<!\S)\S{{1,100}}\.(?:{_FILE})\b"
    r"|(?<![\w.])@\w[\w.-]*"  # mentions
    r"|\b[a-z]{2}\d{2} ?[a-z0-9]{4}(?: ?\d{4}){2,6}(?: ?[\da-z]{1,3})?\b"  # bank accounts (IBAN)
    r"|\b[a-z]{2}\d{2}[a-z0-9]{11,30}\b"
    r"|(?<![\d+])(?:\d\d[ -])?\d{4}(?:[ -]\d{4}){3,}(?:[ -]\d{1,4})?(?!\d)"  # payment cards, parcels
    r"|(?<![\d+])3[47]\d\d[ -]?\d{6}[ -]?\d{5}(?!\d)"
    r"|(?<![\d+])(?!00)\d{16,}"
    rf"|(?<![\d./-])(?:{_DATE})(?![./-]?\d)(?:[ t]\d\d:\d\d)?"
    r"|(?<!\d)\d{3}\.\d{3}\.\d{3}-\d\d(?!\d)|(?<!\d)\d\d\.\d{3}\.\d{3}/\d{4}-\d\d"  # Brazil's CPF and CNPJ
    r"|(?<!\d)\d{3}-\d{3}-\d{3}[ -]\d\d(?!\d)|(?<!\d)\d{3}-\d\d-\d\d-\d{3}(?!\d)"  # SNILS, NIP
    rf"|(?<![\d.])(?!\d\d(?:\.\d\d){{3}}(?!\d))(?:{_OCTET}\.){{3}}{_OCTET}(?![\d.])"  # IP addresses; pairs are a phone
    r"|(?<![\d.])-?(?:1[0-7]\d|[1-9]?\d)\.\d{3,8}[,;\s]\s?-?(?:1[0-7]\d|[1-9]?\d)\.\d{3,8}"  # places
    rf"|(?:(?<![^\W\d_])(?:{_NUMBERED})\w{{0,10}}|(?:{_NUMBERED_UNSPACED}))(?:{_JOINED}){_VALUE}"
    rf"|(?:[#№]|\bn[°º]|(?<![^\W\d_])(?:no|nr)\.)\s?[#№]?\s?{_VALUE}"
    rf"|(?:{_CURRENCY}|\b{_MONEY_BEFORE})\s?\d[\d .,]{{0,30}}"
    rf"|(?<!\d){_AMOUNT}(?:{_CURRENCY}|[%円元块塊원]|{_MONEY_AFTER}(?!\w))"
    # "... is my order number", "... numaralı siparişim"
    rf"|(?<![\d+])\d[\d-]{{5,20}}(?= (?:is|was) (?:my|the|our) (?:{_NUMBERED})"
    rf"| (?:numaralı|nolu|no'lu) (?:{_NUMBERED}|kart)|の注文| ?[-—–]? ?(?:это )?номер заказа)",
    re.IGNORECASE,
)

# Links that are made of a phone: it stands in the only group.
_PHONE_LINK = re.compile(
    r"(?:https?://)?(?:wa\.me|t\.me|(?:api|web)\.whatsapp\.com/send/?\?phone)[/=](?:\+|%2b)?(?=(\d{8,15})(?!\w))",
    re.IGNORECASE,
)
_WORD_AT_DIGIT = re.compile(r"\b(?:tel|phone|mob|cell|cel|fon|whatsapp|tlf|gsm)(?=\d)", re.IGNORECASE)


def without_other_numbers(text: str) -> str:
    """`text`, as long as before, with EDGE in place of all that is told to be no phone."""
    if "wa.me" in text or "t.me" in text or "whatsapp" in text:
        text = _PHONE_LINK.sub(lambda match: EDGE * (len(match.group()) - 1) + "+", text)
    text = _WORD_AT_DIGIT.sub(_edges, text)
    return _OTHER.sub(_edges, text)


def _edges(match: re.Match[str]) -> str:
    if match.lastgroup == "phone":
        return match.group()
    return EDGE * len(match.group())

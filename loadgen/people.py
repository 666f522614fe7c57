"""Plausible customers of several countries. Nobody real: e-mails are under `.example`, numbers are dice."""

import random
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Country:
    """Where a customer lives. mobile: digits of a number after the country's code, `x` for a random one."""

    language: str
    code: str
    mobile: str
    given: tuple[str, ...]
    family: tuple[str, ...]


COUNTRIES: tuple[Country, ...] = (
    Country(
        "ru", "7", "912xxxxxxx", ("Анна", "Иван", "Ольга", "Пётр", "Алия"), ("Кузнецова", "Орлов", "Белых", "Юсупова")
    ),
    Country("de", "49", "1512xxxxxxx", ("Jürgen", "Lena", "Max", "Sofie"), ("Krüger", "Weiß", "Sommer", "Yılmaz")),
    Country(
        "pt", "55", "119[6-9]xxxxxxx", ("João", "Beatriz", "Luís", "Inês"), ("Araújo", "Simões", "da Silva", "Prado")
    ),
    Country("es", "52", "555xxxxxxx", ("Lucía", "Íñigo", "Marisol", "Diego"), ("Muñoz", "Ibáñez", "Ortega", "Peña")),
    Country("es", "54", "9114xxxxxxx", ("Candela", "Bautista", "Rocío", "Tomás"), ("Gómez", "Ferreyra", "Sosa")),
    Country("fr", "33", "612xxxxxx", ("Zoé", "Théo", "Hélène", "Noël"), ("Lefèvre", "Garçon", "Moreau", "Bès")),
    Country("en", "44", "7400xxxxxx", ("Oliver", "Isla", "Ruby", "Kwame"), ("Hughes", "O'Connor", "Patel", "Mensah")),
    Country("en", "91", "98xxxxxxxx", ("Aarav", "Priya", "Rohan", "Ananya"), ("Sharma", "Iyer", "Das", "Khan")),
    Country("tr", "90", "532xxxxxxx", ("Ayşe", "Çağlar", "Elif", "Oğuz"), ("Şahin", "Öztürk", "Kılıç", "Aydın")),
    Country("ja", "81", "906xxxxxxx", ("陽菜", "蓮", "結衣", "大翔"), ("佐藤", "鈴木", "田中", "伊藤")),
)

_DOMAINS = ("kontor.example", "mail.blumen.example", "fjord.example", "casa-azul.example", "studio9.example")


@dataclass(frozen=True, slots=True)
class Person:
    """A customer. code: unique text of this person. messenger_id: what messengers call him.

    phone: E.164. email: normalised. signs_in: whether the shop's own site knows him (T3, signed).
    """

    code: str
    messenger_id: int
    given: str
    family: str
    country: Country
    phone: str
    email: str
    channels: tuple[str, ...]
    signs_in: bool

    @property
    def name(self) -> str:
        """Given name and family name."""
        return f"{self.given} {self.family}"

    @property
    def written_phone(self) -> str:
        """The phone as people write it: in groups."""
        code, national = self.country.code, self.phone[1 + len(self.country.code) :]
        cut = len(national) % 2 + 2
        groups = [national[:cut], *(national[at : at + 2] for at in range(cut, len(national), 2))]
        return f"+{code} {' '.join(groups)}"

    @property
    def whatsapp_id(self) -> str:
        """The number as WhatsApp writes it: Brazil without the ninth digit, Mexico with the old 1 (T12)."""
        digits = self.phone.removeprefix("+")
        if self.country.code == "55":
            return digits[:4] + digits[5:]
        return f"521{digits.removeprefix('52')}" if self.country.code == "52" else digits


def new_person(rng: random.Random, channels: tuple[str, ...]) -> Person:
    """The next customer; he writes over one to three of these channels (by key)."""
    country = rng.choice(COUNTRIES)
    given, family = rng.choice(country.given), rng.choice(country.family)
    used = min(len(channels), rng.choices((1, 2, 3), weights=(45, 40, 15))[0])
    code = f"{rng.getrandbits(64):016x}"
    return Person(
        code=code,
        messenger_id=rng.randrange(10**8, 10**10),
        given=given,
        family=family,
        country=country,
        phone=f"+{country.code}{_digits(rng, country.mobile)}",
        email=f"{ascii_name(rng, given)}.{ascii_name(rng, family)}.{code[:6]}@{rng.choice(_DOMAINS)}",
        channels=tuple(rng.sample(channels, used)),
        signs_in=rng.random() < 0.3,
    )


def _digits(rng: random.Random, pattern: str) -> str:
    pattern = pattern.replace("[6-9]", str(rng.randint(6, 9)))
    return "".join(str(rng.randrange(10)) if one == "x" else one for one in pattern)


_NICKNAMES = ("mika", "sora", "lisa", "west", "kit", "nova", "juno", "taro")


def ascii_name(rng: random.Random, name: str) -> str:
    """A name as it stands in e-mail addresses: without accents, or a nickname."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("ı", "i").replace("ß", "ss"))
    return "".join(one for one in plain if one.isascii() and one.isalnum()) or rng.choice(_NICKNAMES)

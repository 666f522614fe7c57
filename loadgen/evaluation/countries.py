"""Countries of the world: their numbers, the ways in which people there write them, and their names.

Written out rather than taken from a library, so that a seed gives the same world whatever version is installed.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

Writer = Callable[[str], str]
"""From the national digits to a writing of them."""


@dataclass(frozen=True, slots=True)
class Country:
    """region: of the channels. mobile, landline: national digits, `x` for a random one. home: how people at home write.

    whatsapp: from the national digits to those that WhatsApp uses (T12).
    """

    region: str
    language: str
    code: str
    mobile: tuple[str, ...]
    landline: str
    home: tuple[Writer, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]
    abroad: tuple[Writer, ...] = ()
    whatsapp: Writer = str

    def number(self, rng: random.Random) -> str:
        """National digits of a mobile."""
        return _digits(rng, rng.choice(self.mobile))

    def office(self, rng: random.Random) -> str:
        """National digits of a company's number."""
        return _digits(rng, self.landline)

    def write(self, rng: random.Random, national: str, *, at_home: bool) -> str:
        """One of the writings, as somebody types it. at_home: the reader knows the country."""
        ways = [*(lambda digits, way=way: f"+{self.code}{way(digits)}" for way in _ABROAD), *self.abroad]
        if at_home:
            ways += [*self.home, *self.home]
        return rng.choice(ways)(national)


def _digits(rng: random.Random, pattern: str) -> str:
    return "".join(rng.choice("0123456789") if one == "x" else one for one in pattern)


def _in_groups(*sizes: int, by: str = " ", before: str = "") -> Writer:
    """Groups of these sizes; the last size is repeated."""

    def write(digits: str) -> str:
        groups: list[str] = []
        at = 0
        while at < len(digits):
            size = sizes[min(len(groups), len(sizes) - 1)]
            groups.append(digits[at : at + size])
            at += size
        return before + by.join(groups)

    return write


_ABROAD: tuple[Writer, ...] = (
    str,
    _in_groups(3, before=" "),
    _in_groups(3, 2, before=" "),
    _in_groups(2, 4, before=" "),
    _in_groups(3, 3, 2, by="-", before="-"),
    lambda digits: f" ({digits[:3]}) {digits[3:6]}-{digits[6:]}",
)


def _argentine(before: str) -> Writer:
    """Area code and local number; the 9 of mobiles is a matter of what stands before."""

    def write(digits: str) -> str:
        local = digits[-8:]
        return f"{before}{local[:4]}-{local[4:]}"

    return write


def _brazilian_whatsapp(national: str) -> str:
    """Without the ninth digit, as accounts are that are older than it."""
    return national[:2] + national[3:]


COUNTRIES: tuple[Country, ...] = (
    Country(
        "ru", "ru", "7", ("912xxxxxxx", "926xxxxxxx", "903xxxxxxx"), "495xxxxxxx",
        (
            _in_groups(3, 3, 2, before="8 "),
            lambda digits: f"8 ({digits[:3]}) {digits[3:6]}-{digits[6:8]}-{digits[8:]}",
            _in_groups(3, 3, 2, by="-", before="8-"),
            lambda digits: f"8{digits}",
        ),
        ("Анна", "Иван", "Ольга", "Пётр", "Алия", "Дмитрий", "Мария", "Тимур", "Софья", "Егор"),
        ("Кузнецова", "Орлов", "Белых", "Юсупова", "Соколов", "Маркова", "Ким", "Зайцев"),
    ),
    Country(
        "de", "de", "49", ("1512xxxxxxx", "1709xxxxxx", "1577xxxxxxx"), "302xxxxxxx",
        (
            _in_groups(4, 7, before="0"),
            lambda digits: f"0{digits[:3]}/{digits[3:]}",
            lambda digits: f"0{digits}",
            _in_groups(3, 3, 2, before="0049 "),
        ),
        ("Jürgen", "Lena", "Max", "Sofie", "Emre", "Clara", "Björn", "Mia", "Paul", "Heike"),
        ("Krüger", "Weiß", "Sommer", "Yılmaz", "Vogt", "Brandt", "Jansen", "Lindner"),
        abroad=(lambda digits: f"+49 (0) {digits[:3]} {digits[3:]}",),
    ),
    Country(
        "br", "pt", "55", ("1196xxxxxxx", "1197xxxxxxx", "2198xxxxxxx", "3199xxxxxxx"), "113xxxxxxx",
        (
            lambda digits: f"({digits[:2]}) {digits[2:7]}-{digits[7:]}",
            lambda digits: digits,
            lambda digits: f"{digits[:2]} {digits[2:7]} {digits[7:]}",
            lambda digits: f"0{digits[:2]} {digits[2:7]}-{digits[7:]}",
        ),
        ("João", "Beatriz", "Luís", "Inês", "Thiago", "Larissa", "Caio", "Ana", "Vitor", "Sônia"),
        ("Araújo", "Simões", "da Silva", "Prado", "Teixeira", "Nunes", "Barros", "Queiroz"),
        whatsapp=_brazilian_whatsapp,
    ),
    Country(
        "mx", "es", "52", ("555xxxxxxx", "811xxxxxxx", "331xxxxxxx"), "555xxxxxxx",
        (_in_groups(2, 4), lambda digits: digits, _in_groups(2, 4, by="-"), _in_groups(3, 3, 4)),
        ("Lucía", "Íñigo", "Marisol", "Diego", "Ximena", "Héctor", "Paola", "Raúl"),
        ("Muñoz", "Ibáñez", "Ortega", "Peña", "Rosales", "Cárdenas", "Luna", "Vega"),
        abroad=(lambda digits: f"+52 1 {digits[:2]} {digits[2:6]} {digits[6:]}",),
        whatsapp=lambda national: f"1{national}",
    ),
    Country(
        "ar", "es", "54", ("9114xxxxxxx", "9115xxxxxxx", "9116xxxxxxx"), "114xxxxxxx",
        (
            _argentine("011 15 "),
            _argentine("011 "),
            _argentine("(011) "),
        ),
        ("Candela", "Bautista", "Rocío", "Tomás", "Agustina", "Facundo", "Milagros", "Gonzalo"),
        ("Gómez", "Ferreyra", "Sosa", "Acosta", "Benítez", "Molina", "Paz", "Quiroga"),
        abroad=(_argentine("+54 9 11 "), _argentine("+54 11 ")),
    ),
    Country(
        "fr", "fr", "33", ("612xxxxxx", "768xxxxxx", "623xxxxxx"), "142xxxxxx",
        (
            _in_groups(1, 2, before="0"), _in_groups(1, 2, by=".", before="0"), lambda digits: f"0{digits}",
            _in_groups(1, 2, before="0033 "),
        ),
        ("Zoé", "Théo", "Hélène", "Noël", "Camille", "Yanis", "Manon", "Rémi"),
        ("Lefèvre", "Garçon", "Moreau", "Bès", "Fontaine", "Diallo", "Roux", "Chevalier"),
    ),
    Country(
        "gb", "en", "44", ("7400xxxxxx", "7845xxxxxx", "7960xxxxxx"), "2079xxxxxx",
        (_in_groups(4, 6, before="0"), lambda digits: f"0{digits}", _in_groups(4, 3, before="0")),
        ("Oliver", "Isla", "Ruby", "Kwame", "Amelia", "Callum", "Priya", "George"),
        ("Hughes", "O'Connor", "Patel", "Mensah", "Whitfield", "Baker", "Singh", "Clarke"),
    ),
    Country(
        "in", "en", "91", ("98xxxxxxxx", "70xxxxxxxx", "99xxxxxxxx"), "2266xxxxxx",
        (_in_groups(5), lambda digits: f"0{digits}", lambda digits: digits, _in_groups(5, by="-")),
        ("Aarav", "Ananya", "Rohan", "Meera", "Kabir", "Ishita", "Arjun", "Divya"),
        ("Sharma", "Iyer", "Das", "Khan", "Reddy", "Banerjee", "Kulkarni", "Gill"),
    ),
    Country(
        "tr", "tr", "90", ("532xxxxxxx", "505xxxxxxx", "544xxxxxxx"), "212xxxxxxx",
        (
            _in_groups(3, 3, 2, before="0"),
            lambda digits: f"0 ({digits[:3]}) {digits[3:6]} {digits[6:8]} {digits[8:]}",
            lambda digits: f"0{digits}",
        ),
        ("Ayşe", "Çağlar", "Elif", "Oğuz", "Zeynep", "Mert", "Derya", "Kaan"),
        ("Şahin", "Öztürk", "Kılıç", "Aydın", "Demir", "Arslan", "Koç", "Polat"),
    ),
    Country(
        "jp", "ja", "81", ("906xxxxxxx", "803xxxxxxx", "702xxxxxxx"), "335xxxxxx",
        (lambda digits: f"0{digits[:2]}-{digits[2:6]}-{digits[6:]}", lambda digits: f"0{digits}"),
        ("陽菜", "蓮", "結衣", "大翔", "葵", "湊", "美咲", "悠真"),
        ("佐藤", "鈴木", "田中", "伊藤", "渡辺", "山本", "小林", "加藤"),
    ),
)  # fmt: skip

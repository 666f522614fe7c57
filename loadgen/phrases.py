"""What customers and operators say, in several languages."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """Of one language. `{}` in phone and email stands for the value; follow_ups fit after anything."""

    openings: tuple[str, ...]
    follow_ups: tuple[str, ...]
    phone: tuple[str, ...]
    email: tuple[str, ...]
    thanks: tuple[str, ...]
    answers: tuple[str, ...]


PHRASES: Mapping[str, Phrases] = {
    "en": Phrases(
        ("Hi! Is the blue one still in stock?", "Hello, my parcel has not arrived 📦", "Do you ship to Leeds?"),
        (
            "And what about size 42?",
            "Anyone there?",
            "Here is the order: A-1043",
            "ok 👍",
            "Take your time 🙂",
            "Price?",
        ),
        ("Call me on {} please", "My number: {}", "Best reach me at {} after six"),
        ("Send it to {} please", "My e-mail is {}", "You can write to {}"),
        ("Thank you! 🎉", "Perfect, thanks", "Cheers 👋"),
        ("Let me check that for you.", "It is on its way.", "Yes, we have it in stock.", "Anything else?"),
    ),
    "ru": Phrases(
        ("Здравствуйте! Сколько стоит доставка?", "Добрый день, заказ так и не пришёл 😕", "А синий есть?"),
        ("Номер заказа А-1043", "Алло?", "А в субботу работаете?", "понял 👍", "Жду ответа", "И ещё вопрос…"),
        ("Мой телефон {}", "Перезвоните, пожалуйста: {}", "Лучше звоните на {}"),
        ("Пришлите на {} пожалуйста", "Моя почта {}", "Пишите на {} если удобнее"),
        ("Спасибо! 🙏", "Отлично, спасибо", "Благодарю 🌷"),
        ("Сейчас проверю.", "Заказ уже в пути.", "Да, есть в наличии.", "Могу ещё чем-то помочь?"),
    ),
    "de": Phrases(
        ("Hallo, ist die Größe 38 noch da?", "Guten Tag, mein Paket fehlt 😟", "Liefern Sie nach Österreich?"),
        ("Bestellnummer A-1043", "Hallo?", "Und in Grün?", "alles klar 👍", "Eilt nicht", "Was kostet der Versand?"),
        ("Meine Nummer ist {}", "Rufen Sie mich an: {}", "Erreichbar unter {} ab 18 Uhr"),
        ("Bitte an {} schicken", "Meine E-Mail: {}", "Schreiben Sie an {} wenn es geht"),
        ("Danke schön! 🌻", "Super, danke", "Vielen Dank 🙏"),
        ("Ich sehe gleich nach.", "Es ist unterwegs.", "Ja, ist auf Lager.", "Noch etwas?"),
    ),
    "pt": Phrases(
        ("Oi! Vocês entregam em Santos?", "Bom dia, meu pedido não chegou 😢", "Ainda tem o azul?"),
        ("Pedido A-1043", "Alô?", "E o tamanho M?", "beleza 👍", "Sem pressa", "Quanto custa o frete?"),
        ("Meu número é {}", "Me liga no {} por favor", "WhatsApp {} 📱"),
        ("Manda para {} por favor", "Meu e-mail é {}", "Pode escrever para {}"),
        ("Obrigado! 💛", "Perfeito, valeu", "Muito obrigada 🙏"),
        ("Vou verificar.", "Já está a caminho.", "Sim, temos em estoque.", "Mais alguma coisa?"),
    ),
    "es": Phrases(
        ("¡Hola! ¿Tienen la talla 40?", "Buenas, no llegó mi paquete 😩", "¿Hacen envíos a Rosario?"),
        ("Pedido A-1043", "¿Hola?", "¿Y en rojo?", "dale 👍", "Sin apuro", "¿Cuánto sale?"),
        ("Mi número es {}", "Llámenme al {} por favor", "Mejor al {} por la tarde"),
        ("Mándenlo a {} por favor", "Mi correo es {}", "Escríbanme a {} si pueden"),
        ("¡Gracias! 🎊", "Perfecto, gracias", "Mil gracias 🙌"),
        ("Déjeme revisar.", "Ya va en camino.", "Sí, hay en existencia.", "¿Algo más?"),
    ),
    "fr": Phrases(
        ("Bonjour, livrez-vous à Lille ?", "Bonsoir, mon colis n'est pas là 😕", "Le bleu est-il disponible ?"),
        ("Commande A-1043", "Il y a quelqu'un ?", "Et en taille 38 ?", "d'accord 👍", "Rien d'urgent", "Quel prix ?"),
        ("Mon numéro : {}", "Appelez-moi au {} svp", "Joignable au {} le soir"),
        ("Envoyez-le à {} svp", "Mon adresse : {}", "Écrivez-moi à {} plutôt"),
        ("Merci ! 🌸", "Parfait, merci", "Merci beaucoup 🙏"),
        ("Je vérifie.", "Il est en route.", "Oui, en stock.", "Autre chose ?"),
    ),
    "tr": Phrases(
        ("Merhaba, İzmir'e kargo var mı?", "Selam, paketim gelmedi 😔", "Mavi olan duruyor mu?"),
        ("Sipariş A-1043", "Kimse var mı?", "Peki M beden?", "tamam 👍", "Acele yok", "Fiyatı ne kadar?"),
        ("Numaram {}", "Beni arayın: {}", "Şu numaradan ulaşın {} lütfen"),
        ("Şuraya gönderin {} lütfen", "E-postam {}", "Bana {} adresinden yazın"),
        ("Teşekkürler! 🌷", "Süper, sağ olun", "Çok teşekkürler 🙏"),
        ("Hemen bakıyorum.", "Yolda.", "Evet, stokta var.", "Başka bir şey?"),
    ),
    "ja": Phrases(
        ("こんにちは。青はまだありますか?", "荷物が届きません 😢", "大阪まで送れますか?"),
        ("注文番号 A-1043", "すみません?", "Mサイズは?", "了解です 👍", "急ぎません", "送料はいくらですか"),
        ("電話番号は {} です", "こちらへ電話ください: {}", "連絡先 {} (夜)"),
        ("メールは {} です", "{} へ送ってください", "こちらへ: {}"),
        ("ありがとうございます 🙇", "助かりました", "どうも 🌸"),
        ("確認いたします。", "発送済みです。", "在庫がございます。", "ほかにございますか?"),
    ),
}
"""By language."""

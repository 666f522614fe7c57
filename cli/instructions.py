"""What to tell a channel's provider, and secrets that are shown once."""

from collections.abc import Mapping

from config.settings import Settings


def webhook_instructions(settings: Settings, kind: str, key: str, secret: str) -> list[str]:
    """Lines that say where the provider has to send, and with which secret."""
    base = settings.web.public_url.rstrip("/") or "https://YOUR-PUBLIC-ADDRESS"
    url = f"{base}/webhooks/{key}"
    lines = [f"channel {key}: its webhook is {url}"]
    match kind:
        case "telegram":
            lines += [
                "tell Telegram where to send:",
                f"  curl 'https://api.telegram.org/bot<TOKEN>/setWebhook' -d url={url} \\",
                f"       -d secret_token={secret}",
            ]
        case "whatsapp" | "messenger" | "instagram":
            lines.append("in the Meta app, subscribe to `messages` with this URL and the channel's verify_token")
        case "vk":
            lines.append(f"in the community's Callback API settings, give this URL and the secret key {secret}")
        case "custom":
            lines.append(f"sign with {secret} (Standard Webhooks); see docs/adapters.md")
        case "livechat":
            lines.append(f"sign identity tokens with {secret}; see docs/adapters.md for what the page has to send")
        case _:
            lines.append("see docs/adapters.md for what has to be sent")
    return lines


def token_lines(tokens: Mapping[str, str]) -> list[str]:
    """Lines with operators' new tokens."""
    return [f"operator {name}: token {token} (shown only now)" for name, token in tokens.items()]

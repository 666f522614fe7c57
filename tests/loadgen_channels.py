"""One channel of each kind over which synthetic customers write."""

import base64

from tracker.channels import Channel

KINDS = ("telegram", "whatsapp", "livechat", "webform", "custom")

CHANNELS = tuple(
    Channel(
        id=number,
        key=f"the-{kind}",
        kind=kind,
        name=kind.title(),
        open_channel_id=1,
        account_id="number-1" if kind == "whatsapp" else "",
        region="RU",
        secrets=(
            "whsec_" + base64.b64encode(b"s" * 32).decode() if kind == "custom" else f"secret-of-{kind}-" + "s" * 32,
        ),
    )
    for number, kind in enumerate(KINDS, 1)
)

"""The loop's web process: insert and commit. The chat comes first, because the worker locks it."""

from psycopg_pool import AsyncConnectionPool

from bench.plain.web import make_app, serve
from tracker.messages import InboundMessage


async def store(pool: AsyncConnectionPool, message: InboundMessage) -> int | None:
    """The chat and the message in one commit; a repeat is left out."""
    async with pool.connection() as connection:
        where = [message.channel, message.chat_id]
        await connection.execute(
            "INSERT INTO chats (channel, external_id) VALUES (%s, %s) ON CONFLICT DO NOTHING", where
        )
        cursor = await connection.execute(
            "INSERT INTO inbox (channel, external_id, chat_id, message) "
            "SELECT %s, %s, id, %s FROM chats WHERE channel = %s AND external_id = %s "
            "ON CONFLICT DO NOTHING RETURNING id",
            [message.channel, message.key, message.model_dump_json(exclude_defaults=True), *where],
        )
        row = await cursor.fetchone()
    return row[0] if row else None


if __name__ == "__main__":
    serve(make_app(store, lambda _: None))

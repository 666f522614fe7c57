"""The naive side's web process: insert, commit, `.delay(id)`."""

from psycopg_pool import AsyncConnectionPool

from bench.naive.tasks import lookup
from bench.plain.web import make_app, serve
from tracker.messages import InboundMessage


async def store(pool: AsyncConnectionPool, message: InboundMessage) -> int | None:
    """One row; a repeat is left out."""
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "INSERT INTO inbox (channel, external_id, message) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
            [message.channel, message.key, message.model_dump_json(exclude_defaults=True)],
        )
        row = await cursor.fetchone()
    return row[0] if row else None


if __name__ == "__main__":
    serve(make_app(store, lookup.delay))

"""One process of the product as chaos runs it: the real command, with what the environment asks for wrapped around it.

    python -m chaos.process web|worker|clock [arguments of that command]

    CHAOS_TRACE=file              append the pairs of adjacent side effects that occur
    CHAOS_KILL_BETWEEN="a>b c>d"  die by SIGKILL the moment before b follows a, or d follows c
    CHAOS_STOP_BETWEEN="a>b c>d"  stop by SIGSTOP at the first of them, once
    CHAOS_FIRED=file              where either is written down before
    CHAOS_CLOCK_OFFSET=seconds    this process's wall clock is off by so much; the database's is not
    CHAOS_POISON=1                messages with the texts of `chaos.poison` do what they say
    CHAOS_MUTATION=name           one guarantee is broken on purpose (`chaos.mutations`)

The product's own code knows nothing of it.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

PROCESSES = ("web", "worker", "clock")


def main() -> None:
    """Wrap what is asked for, then be the command."""
    process = sys.argv[1] if len(sys.argv) > 1 else ""
    if process not in PROCESSES:
        sys.exit(f"usage: python -m chaos.process {'|'.join(PROCESSES)} [arguments]")
    prepare(process, os.environ)
    _command(process)()


def _command(process: str) -> Callable[[], None]:
    """The command alone: the others would take most of a start, and processes are started hundreds of times."""
    import typer

    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    match process:
        case "web":
            from cli.web import web_command as command
        case "worker":
            from cli.worker import worker_command as command
        case _:
            from cli.clock import clock_command as command
    app.command()(command)
    return lambda: app(sys.argv[2:], prog_name=f"openchannel {process}")


def prepare(process: str, environment: Mapping[str, str]) -> None:
    """Wrap what the environment asks for. Must come before the product is imported: it keeps what it imports."""
    if offset := environment.get("CHAOS_CLOCK_OFFSET"):
        from chaos.clock_offset import shift

        shift(float(offset))
    if environment.get("CHAOS_POISON") == "1" and process == "worker":
        from chaos import poisoned

        poisoned.install()
    if mutation := environment.get("CHAOS_MUTATION"):
        from chaos.mutations import MUTATIONS

        if mutation not in MUTATIONS:
            sys.exit(f"CHAOS_MUTATION: there is no {mutation!r}, but {', '.join(MUTATIONS)}")
        MUTATIONS[mutation]()
    trace, fired = environment.get("CHAOS_TRACE"), environment.get("CHAOS_FIRED")
    kill, stop = environment.get("CHAOS_KILL_BETWEEN", ""), environment.get("CHAOS_STOP_BETWEEN", "")
    if trace or kill or stop:
        from chaos import effects
        from chaos.failpoints import Track, read_pairs

        effects.install(
            Track(
                process,
                trace=Path(trace) if trace else None,
                kill_between=read_pairs(kill),
                stop_between=read_pairs(stop),
                fired=Path(fired) if fired else None,
            ),
            [process],
        )


if __name__ == "__main__":
    main()

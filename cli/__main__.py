"""`python -m cli` is `openchannel`."""

from cli.main import main

main()

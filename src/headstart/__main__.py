"""`headstart` and `python -m headstart`."""

import sys


def main() -> None:
    """Start the command line; an interrupt while it is still being imported is no traceback either."""
    try:
        from headstart.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()

"""``python -m kldanneal``, and the command ``kldanneal``."""

import sys


def main() -> int:
    try:
        from kldanneal.lab.cli import main
    except ModuleNotFoundError as error:  # kldanneal.lab says which extra to install
        print(f"kldanneal: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted before anything was read or written.", file=sys.stderr)
        return 130
    return main()


if __name__ == "__main__":
    status = main()
    # Python ends by SIGINT, whatever the status, if it was executing a string when Ctrl-C came, as imports do.
    exec("")  # now it was another string
    sys.exit(status)

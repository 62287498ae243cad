"""`python3 -m shorty`: serve until told to stop."""

import argparse
import logging
import signal
import sys

from shorty.store import Links
from shorty.web import serve


def main() -> int:
    """Serve links from a file; the first line on standard output says where."""
    parser = argparse.ArgumentParser(prog="shorty")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--db", default="links.db", help="the file that keeps the links")
    arguments = parser.parse_args()
    # An answer is logged with the line of source that gave it.
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(filename)s:%(lineno)d %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = serve(Links(arguments.db), arguments.port)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Print a text once the review app answers: ``python ready.py PROCESS PORT TEXT``.

``launch`` starts it just before its own process becomes the server, which says nothing by itself.
"""

from __future__ import annotations

import http.client
import os
import sys
import time

_EVERY_S = 0.1


def main() -> None:
    """Wait until the server answers or its process, the parent of this one, has ended."""
    server, port, text = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    while os.getppid() == server:
        if _answers(port):
            sys.stdout.write(f"{text}\n")
            return
        time.sleep(_EVERY_S)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    main()

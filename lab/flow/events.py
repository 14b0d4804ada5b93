"""What runners tell the driver while they work: one small message per event, lost without harm if nobody listens."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

ADDRESS = "VIDLAB_EVENTS"


def tell(task: str, event: str, **facts: Any) -> None:
    """Send one event to the driver named in ``VIDLAB_EVENTS``; do nothing if there is none.

    Args:
        task: name of the task, as in the plan.
        event: ``start``, ``line`` (newest output), ``done`` or ``failed``.
    """
    address = os.environ.get(ADDRESS)
    if not address or not task:
        return
    message = json.dumps({"task": task, "event": event, **facts}).encode()[:60_000]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(message, address)
        except OSError:
            return


class Listener:
    """The driver's end. ``read()`` returns what has arrived since the last call."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)

    def read(self) -> list[dict[str, Any]]:
        events = []
        while True:
            try:
                events.append(json.loads(self.socket.recv(65_536)))
            except BlockingIOError:
                return events
            except ValueError:
                continue  # cut off at the size limit

    def close(self) -> None:
        self.socket.close()
        self.path.unlink(missing_ok=True)

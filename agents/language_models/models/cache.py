"""Answers on disk by the content of their requests.

A run that was killed resumes from them without sending a request again, and a complete run can be
repeated exactly without the server. Prompts that were too long are the exception: the limit is the
server's, which may be started again with a larger one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

import msgspec

from clipnav.agents.language_models.models.replies import Reply
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError


class ReplyCache:
    """Cache of replies: one file for each request, written beside and renamed.

    Args:
        folder: Folder of the cache.

    Attributes:
        hits: Number of replies that were read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits = 0
        self._pending: dict[str, Lock] = {}
        self._lock = Lock()

    def get(self, keys: Sequence[str], ask: Callable[[], tuple[Reply, str]]) -> Reply:
        """Return the reply to a request, which is asked for only if it is not in the cache.

        Threads that ask for the same request wait for the first one.

        Args:
            keys: Keys under which the reply may be, in the order in which they are read.
            ask: Function that returns the reply and the key under which it is written.
        """
        with self._lock:
            pending = self._pending.setdefault(keys[0], Lock())
        with pending:
            for key in keys:
                if (reply := self.read(key)) is not None:
                    return reply
            reply, key = ask()
            self.write(key, reply)
        return reply

    def read(self, key: str) -> Reply | None:
        """Return a reply from the cache, or None.

        Raises:
            UserError: The file is damaged; the message names the file.
        """
        path = self._path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            reply = msgspec.json.decode(data, type=Reply)
        except msgspec.MsgspecError as error:
            raise UserError(f"{path}: not a cached answer ({error}); delete the file") from error
        with self._lock:
            self.hits += 1
        return reply

    def write(self, key: str, reply: Reply) -> None:
        """Write a reply, unless the prompt was too long."""
        if reply.finish == "too_long":
            return
        path = self._path(key)
        with self._lock, atomic_write(path) as beside:
            beside.write_bytes(msgspec.json.encode(reply) + b"\n")

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

"""The listening side of the Engine API: its sockets, and every connection that is open on them."""

from __future__ import annotations

import asyncio
import socket

from rundlet.api.connection import Application, Connection

BACKLOG = 4096
"""As Go's servers have it (the kernel's somaxconn may be less). A client with a timeout does not wait for a place
in the queue of a Unix socket, it fails: a burst of clients must fit."""


class ApiServer:
    """Serves applications on the sockets that it is told to :meth:`listen` to, until :meth:`close`."""

    def __init__(self) -> None:
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, sock: socket.socket, application: Application) -> None:
        """Serve on a bound stream socket; it is the server's from now on."""

        def new_connection() -> Connection:
            return Connection(application, self._connections)

        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(new_connection, sock=sock, backlog=BACKLOG))

    async def close(self, grace_s: float) -> None:
        """Refuse new connections, end waits and streams, and give work under way ``grace_s`` seconds."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        tasks = [task for each in list(self._connections) if (task := each.shut_down()) is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

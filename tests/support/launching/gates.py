"""Gates: where attempts wait until a case lets them through, wherever they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """One of them. What has come there runs, and goes on when the gate is opened."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.comings = 0
        self._came = asyncio.Event()
        self._open = asyncio.Event()

    async def until_somebody_waits(self) -> None:
        await self._came.wait()

    def open(self) -> None:
        self._open.set()

    async def pass_through(self) -> None:
        self.comings += 1
        self._came.set()
        await self._open.wait()


class Gates:
    """The server that attempts talk to."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._port = 0
        self._gates: list[Gate] = []
        self._standing: set[asyncio.Task[None]] = set()

    def gate(self) -> Gate:
        """A new gate, which is shut."""
        made = Gate(f"{self._host}:{self._port}:{len(self._gates)}")
        self._gates.append(made)
        return made

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Gates]:
        """Open to attempts until the block ends."""
        server = await asyncio.start_server(self._comes, self._host, 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            async with server:
                yield self
        finally:
            for task in self._standing:
                task.cancel()
            await asyncio.gather(*self._standing, return_exceptions=True)

    def _comes(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._stands(reader, writer))
        self._standing.add(task)
        task.add_done_callback(self._standing.discard)

    async def _stands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            number = (await reader.readline()).decode()
            if not number.endswith("\n"):
                return  # it was ended on its way
            gone = asyncio.ensure_future(reader.read())
            through = asyncio.ensure_future(self._gates[int(number)].pass_through())
            await asyncio.wait([gone, through], return_when=asyncio.FIRST_COMPLETED)
            for waiting in (gone, through):
                waiting.cancel()
            await asyncio.gather(gone, through, return_exceptions=True)
        finally:
            writer.close()

"""Asynchronous iterators, looked at step by step in tests that are not asynchronous themselves."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


def run_apart(work):
    """Return what a coroutine returns, run in a thread of its own: Playwright leaves a loop running in the tests'."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class Watching:
    """An iterator over an asynchronous one, on an event loop and in a thread of its own."""

    def __init__(self, source):
        self.source, self.loop, self.thread = source, asyncio.new_event_loop(), ThreadPoolExecutor(1)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self._run(self.source.__anext__)
        except StopAsyncIteration:
            self.close()
            raise StopIteration from None
        except Exception:
            self.close()
            raise

    def close(self):
        if not self.loop.is_closed():
            self._run(self.source.aclose)
            self.loop.close()
            self.thread.shutdown()

    def _run(self, begin):
        async def step():
            return await begin()

        try:
            return self.thread.submit(self.loop.run_until_complete, step()).result()
        except RuntimeError as error:  # what a coroutine makes of a StopAsyncIteration
            if isinstance(error.__cause__, StopAsyncIteration):
                raise error.__cause__ from None
            raise

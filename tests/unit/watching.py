"""Asynchronous iterators, looked at step by step in tests that are not asynchronous themselves."""

import asyncio


class Watching:
    """An iterator over an asynchronous one, on an event loop of its own."""

    def __init__(self, source):
        self.source, self.loop = source, asyncio.new_event_loop()

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.loop.run_until_complete(anext(self.source))
        except StopAsyncIteration:
            self.close()
            raise StopIteration from None
        except Exception:
            self.close()
            raise

    def close(self):
        if not self.loop.is_closed():
            self.loop.run_until_complete(self.source.aclose())
            self.loop.close()

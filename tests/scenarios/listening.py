"""alpaca-py's own trading stream in a thread, and what it heard."""

from threading import Condition, Event, Thread

from alpaca.trading.stream import TradingStream

WAIT_SECONDS = 10


class Connected(TradingStream):
    """Tells when the server has confirmed what is listened to, which alpaca-py does not show."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.listening = Event()

    async def _dispatch(self, msg):
        if msg.get("stream") == "listening":
            self.listening.set()
        await super()._dispatch(msg)


class Ears:
    """Listens from entering to leaving the context; `updates` is what came, whole."""

    def __init__(self, key_id, secret, url):
        self.updates = []
        self._changed = Condition()
        self._stream = Connected(key_id, secret, url_override=url)
        self._thread = Thread(target=self._run, name="ears")

    @property
    def heard(self):
        return [(str(getattr(each.event, "value", each.event)), each.order.client_order_id) for each in self.updates]

    def events_of(self, client_order_id):
        return [event for event, of in self.heard if of == client_order_id]

    def wait_for(self, event, client_order_id):
        """Return the first update of that kind, waiting for it."""
        wanted = (event, client_order_id)
        with self._changed:
            assert self._changed.wait_for(lambda: wanted in self.heard, WAIT_SECONDS), f"{wanted}: {self.heard}"
            return self.updates[self.heard.index(wanted)]

    def __enter__(self):
        self._thread.start()
        assert self._stream.listening.wait(WAIT_SECONDS), "the server did not confirm what is listened to"
        return self

    def __exit__(self, *_):
        self._stream.stop()
        self._thread.join()

    def _run(self):
        self._stream.subscribe_trade_updates(self._hear)
        self._stream.run()

    async def _hear(self, update):
        with self._changed:
            self.updates.append(update)
            self._changed.notify_all()

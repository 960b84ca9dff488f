"""The live market of a desk: from the source's stream into the feed's quotes, halts, bands, gaps and state.

```python
market = live_market(feed=feed, clock=wall_now, on_quotes=publish)   # from the settings; publish(quotes, market_at)
market.start()          # two threads: one for the network, one that stores every 100 ms
market.check()          # call it now and then: raises what ended one of them
market.stop()           # both end; the feed is down, and a gap is open

poll_latest_quotes(feed, symbols, wall_now)    # one answer by REST, stored and returned; needs no market
```

It follows `marketdata.services.subscriptions`: what is subscribed there for the feed is streamed within a second. It
owns `Feed.state`, `source`, `problem`, `problem_at` and `last_tick_at`: nobody else should write them while it runs.
Times of quotes are the source's (market time); `on_quotes` is called on the storing thread, after the commit.
"""

from marketdata.services.live.buffer import Batch, LiveBuffer
from marketdata.services.live.market import LiveMarket, LiveMarketBroken, live_market
from marketdata.services.live.poll import poll_latest_quotes

__all__ = ["Batch", "LiveBuffer", "LiveMarket", "LiveMarketBroken", "live_market", "poll_latest_quotes"]

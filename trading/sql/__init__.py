"""SQL over the lake and over exports of the book: read only, without files, without network, within limits.

The engine (DuckDB) runs in a process of its own that is given nothing but the names of the files behind the tables
which a query names; no connection of it ever reaches PostgreSQL. See `docs/data.md` for the guards.

```python
answer = run_query("SELECT symbol, max(close) FROM bars GROUP BY symbol", now=wall_now(), asked_by="ann")
```
"""

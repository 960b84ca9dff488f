"""The three statements of the order path.

The lock comes alone and first: a statement that locks and reads at once would read the snapshot from before the wait,
and a limit could be passed by two. The read that follows sees everything committed by whoever held the lock before.
"""

from collections.abc import Iterable

from execution.states import OPEN, RESTING, OrderStatus


def listed(statuses: Iterable[OrderStatus]) -> str:
    """Write statuses as literals, so that the planner sees which partial index they fit."""
    return ", ".join(f"'{status.value}'" for status in sorted(statuses))


LOCK_ACCOUNT = """
SELECT a.id, a.name, a.cash, a.starting_cash, a.margin_multiplier, a.reconciliation, a.rate_window_at,
       a.rate_window_count, a.feed_id, a.kind,
       f.kind, f.start_at, f.end_at, f.speed, f.anchor_at, f.paused_at, f.market_at
FROM execution_account a JOIN marketdata_feed f ON f.id = a.feed_id
WHERE a.id = %(account)s
FOR NO KEY UPDATE OF a
"""

# The same row without the lock, for a preview that stores nothing.
READ_ACCOUNT = LOCK_ACCOUNT.replace("FOR NO KEY UPDATE OF a", "")

READ_CASE = """
WITH item AS (
    SELECT * FROM unnest(%(symbols)s::text[], %(strategies)s::text[], %(sides)s::text[], %(client_ids)s::text[],
                         %(idempotency_keys)s::text[], %(intent_keys)s::text[], %(parents)s::bigint[])
           WITH ORDINALITY AS t(symbol, strategy, side, client_id, idempotency_key, intent_key, parent_id, position)
), line AS MATERIALIZED (
    SELECT p.strategy_id, p.instrument_id, p.quantity, p.open_buy_quantity, p.open_sell_quantity, p.open_buy_notional,
           p.open_sell_notional, p.open_order_count, p.reserved_loss, p.last_order_at, h.sector, v.held,
           greatest(abs(v.held), abs(v.held + p.open_buy_notional), abs(v.held - p.open_sell_notional)) AS worst,
           CASE WHEN p.turnover_on = %(day)s::date THEN p.turnover ELSE 0 END AS turnover,
           CASE WHEN p.message_minute >= %(minute)s THEN p.message_count ELSE 0 END AS messages,
           CASE WHEN p.buy_run_until > %(market_at)s THEN p.buy_run_count ELSE 0 END AS buy_run,
           CASE WHEN p.sell_run_until > %(market_at)s THEN p.sell_run_count ELSE 0 END AS sell_run
    FROM execution_position p
    JOIN marketdata_instrument h ON h.id = p.instrument_id
    LEFT JOIN marketdata_quote q ON q.feed_id = %(feed)s AND q.instrument_id = p.instrument_id
    CROSS JOIN LATERAL (SELECT p.quantity * coalesce(q.last, p.current_price) AS held) v
    WHERE p.account_id = %(account)s
), total AS MATERIALIZED (
    SELECT strategy_id, grouping(strategy_id) AS of_account, coalesce(sum(held), 0) AS net,
           coalesce(sum(worst), 0) AS gross, coalesce(sum(turnover), 0) AS turnover,
           coalesce(sum(messages), 0) AS messages,
           coalesce(sum(open_buy_notional), 0) AS open_buy_notional,
           coalesce(sum(open_sell_notional), 0) AS open_sell_notional,
           count(DISTINCT instrument_id) FILTER (
               WHERE quantity <> 0 OR open_buy_quantity <> 0 OR open_sell_quantity <> 0) AS names,
           coalesce(sum(open_order_count), 0) AS open_orders, coalesce(sum(reserved_loss), 0) AS reserved_loss
    FROM line GROUP BY GROUPING SETS ((strategy_id), ())
), trading_state AS MATERIALIZED (
    SELECT array(SELECT e.level || ' ' || e.scope FROM unnest(%(scopes)s::text[]) s(scope)
                 CROSS JOIN LATERAL (
                     SELECT coalesce(max(coalesce(r.releases, r.id)), 0) AS upto FROM risk_killswitchevent r
                     WHERE r.scope = s.scope AND NOT r.engaged) released
                 JOIN risk_killswitchevent e ON e.scope = s.scope AND e.engaged AND e.id > released.upto) AS engaged,
           EXISTS (SELECT 1 FROM risk_killswitchevent WHERE scope = 'global') AS has_global,
           (SELECT coalesce(max(id), 0) FROM risk_limitchange) AS limits_version,
           (SELECT d.equity + coalesce((
                SELECT sum(coalesce(c.base_amount, c.amount)) FROM execution_cashentry c
                WHERE c.account_id = %(account)s AND c.kind IN ('deposit', 'withdrawal')
                  AND c.trading_date > d.date), 0)
            FROM execution_accountday d WHERE d.account_id = %(account)s AND d.date < %(day)s::date
            ORDER BY d.date DESC LIMIT 1) AS day_base,
           (SELECT d.equity + coalesce((
                SELECT sum(coalesce(c.base_amount, c.amount)) FROM execution_cashentry c
                WHERE c.account_id = %(account)s AND c.kind IN ('deposit', 'withdrawal')
                  AND c.trading_date > d.date), 0)
            FROM execution_accountday d WHERE d.account_id = %(account)s AND d.date < %(week)s::date
            ORDER BY d.date DESC LIMIT 1) AS week_base,
           (SELECT clock_skew_milliseconds FROM execution_brokerlink WHERE account_id = %(account)s) AS clock_skew,
           (SELECT version FROM risk_release ORDER BY id DESC LIMIT 1) AS release
), breaker AS MATERIALIZED (
    SELECT state, quiet_until FROM risk_breakerevent WHERE scope = %(account_scope)s ORDER BY id DESC LIMIT 1
)
SELECT t.engaged, t.has_global, t.limits_version, t.day_base, t.week_base, b.state, b.quiet_until,
       s.id, s.enabled,
       i.id, i.tick_size, i.lot_size, i.tradable, i.shortable, i.fractionable,
       coalesce(q.average_daily_volume, i.average_daily_volume),
       (SELECT r.reason FROM risk_restrictedinstrument r WHERE r.instrument_id = i.id AND r.lifted_at IS NULL LIMIT 1),
       q.last, q.bid, q.ask, q.at,
       l.quantity, l.held, l.open_buy_quantity, l.open_sell_quantity, l.open_buy_notional, l.open_sell_notional,
       l.open_order_count, l.last_order_at,
       c.quantity, c.held, c.open_buy_quantity, c.open_sell_quantity, c.open_buy_notional, c.open_sell_notional,
       c.open_order_count,
       ta.gross, ta.net, ta.open_buy_notional, ta.open_sell_notional, ta.names, ta.open_orders, ta.reserved_loss,
       ts.gross, ts.net, ts.open_buy_notional, ts.open_sell_notional, ts.names, ts.open_orders, ts.reserved_loss,
       by_client.id, by_key.id, by_intent.id, by_intent.attempt, by_intent.status, by_intent.filled_quantity,
       m.halted, m.reason_text, m.limit_down, m.limit_up, m.bands_at,
       i.sector, ta.turnover, ta.messages, ts.turnover, ts.messages, sector.of_account, sector.of_strategy,
       CASE item.side WHEN 'buy' THEN l.buy_run ELSE l.sell_run END,
       CASE WHEN by_intent.attempt > 0 THEN (
           SELECT array_agg(o.market_at) FROM (
               SELECT o.market_at FROM execution_order o WHERE o.account_id = %(account)s
               AND o.intent_key = item.intent_key AND o.status <> 'denied' ORDER BY o.attempt DESC LIMIT 100) o) END,
       CASE WHEN item.side = 'buy' AND c.open_sell_quantity > 0 THEN (
           SELECT min(o.limit_price) FROM execution_order o WHERE o.account_id = %(account)s
           AND o.instrument_id = i.id AND o.side = 'sell' AND o.order_type = 'limit' AND o.status IN (RESTING))
       WHEN item.side = 'sell' AND c.open_buy_quantity > 0 THEN (
           SELECT max(o.limit_price) FROM execution_order o WHERE o.account_id = %(account)s
           AND o.instrument_id = i.id AND o.side = 'buy' AND o.order_type = 'limit' AND o.status IN (RESTING)) END,
       reading.session_peak_equity, reading.peak_equity, reading.trading_date, t.clock_skew, t.release,
       CASE WHEN item.parent_id IS NOT NULL THEN (
           SELECT whole.quantity - coalesce((
               SELECT sum(CASE WHEN o.status IN (COUNTED) THEN o.quantity ELSE o.filled_quantity END)
               FROM execution_order o WHERE o.parent_id = whole.id), 0)
           FROM execution_parentorder whole WHERE whole.id = item.parent_id AND whole.account_id = %(account)s
           AND whole.instrument_id = i.id AND whole.strategy_id = s.id AND whole.side = item.side) END
FROM item
CROSS JOIN trading_state t
LEFT JOIN breaker b ON true
LEFT JOIN execution_strategy s ON s.name = item.strategy
LEFT JOIN marketdata_instrument i ON i.symbol = item.symbol
LEFT JOIN marketdata_quote q ON q.feed_id = %(feed)s AND q.instrument_id = i.id
LEFT JOIN marketdata_tradingstatus m ON m.feed_id = %(feed)s AND m.instrument_id = i.id
LEFT JOIN line l ON l.strategy_id = s.id AND l.instrument_id = i.id
LEFT JOIN LATERAL (
    SELECT sum(quantity) AS quantity, sum(held) AS held, sum(open_buy_quantity) AS open_buy_quantity,
           sum(open_sell_quantity) AS open_sell_quantity, sum(open_buy_notional) AS open_buy_notional,
           sum(open_sell_notional) AS open_sell_notional, sum(open_order_count) AS open_order_count
    FROM line WHERE line.instrument_id = i.id) c ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(worst), 0) AS of_account,
           coalesce(sum(worst) FILTER (WHERE line.strategy_id = s.id), 0) AS of_strategy
    FROM line WHERE line.sector = i.sector) sector ON true
LEFT JOIN risk_riskreading reading ON reading.scope = %(account_scope)s
LEFT JOIN total ta ON ta.of_account = 1
LEFT JOIN total ts ON ts.of_account = 0 AND ts.strategy_id = s.id
LEFT JOIN LATERAL (
    SELECT o.id FROM execution_order o WHERE o.account_id = %(account)s
    AND o.client_order_id = nullif(item.client_id, '') LIMIT 1) by_client ON true
LEFT JOIN LATERAL (
    SELECT o.id FROM execution_order o WHERE o.account_id = %(account)s AND o.idempotency_key <> ''
    AND o.idempotency_key = nullif(item.idempotency_key, '') LIMIT 1) by_key ON true
LEFT JOIN LATERAL (
    SELECT o.id, o.attempt, o.status, o.filled_quantity FROM execution_order o
    WHERE o.account_id = %(account)s AND o.intent_key = item.intent_key ORDER BY o.attempt DESC
    LIMIT 1) by_intent ON true
ORDER BY item.position
""".replace("RESTING", listed(RESTING)).replace("COUNTED", listed(OPEN - {OrderStatus.PENDING_REPLACE}))

# One statement writes decision, order, first event, reservation and rate counter, so that one flush makes all durable.
# Position rows are taken in the order in which everybody locks them. The row that is proposed for insertion has to pass
# the CHECK of the caps even when it becomes an update of a row that is held, hence caps of its own.
WRITE_ORDERS = """
WITH input AS MATERIALIZED (
    SELECT r.*, nextval('risk_decision_id_seq') AS decision_id,
           CASE WHEN r.strategy_id IS NULL OR r.instrument_id IS NULL OR NOT r.storable THEN NULL
                ELSE nextval('execution_order_id_seq') END AS order_id
    FROM jsonb_to_recordset(%(orders)s::jsonb) AS r(
        position int, strategy text, symbol text, strategy_id bigint, instrument_id bigint, storable boolean,
        outcome text, codes text, denials jsonb, decided jsonb, status text, client_order_id text, intent_key text,
        attempt int, idempotency_key text, side text, quantity numeric, order_type text, time_in_force text,
        limit_price numeric, stop_price numeric, extended_hours boolean, reduce_only boolean, origin text,
        source_ref text, parent_id bigint, slice_number int, reserve_price numeric, loss_per_share numeric,
        reference_price numeric, reference_at timestamptz, error_code text, error_message text,
        buy_quantity numeric, sell_quantity numeric, buy_notional numeric, sell_notional numeric, loss numeric,
        cap numeric, order_class text, leg_role text, entry_position int, replaces_id bigint, cover_quantity numeric,
        total_quantity numeric, warnings jsonb, turnover numeric, buy_run int, sell_run int, run_until timestamptz)
), decision AS (
    INSERT INTO risk_decision (id, account, strategy, symbol, outcome, codes, denials, warnings, "case", market_at)
    SELECT decision_id, %(account_name)s, strategy, symbol, outcome, codes, denials, warnings, decided, %(market_at)s
    FROM input
), stored AS (
    INSERT INTO execution_order (
        id, account_id, strategy_id, instrument_id, client_order_id, intent_key, attempt, idempotency_key,
        broker_order_id, side, quantity, order_type, time_in_force, limit_price, stop_price, extended_hours,
        reduce_only, origin, source_ref, parent_id, slice_number, status, filled_quantity, reserve_price,
        loss_per_share, reference_price, event_count, error_code, error_message, decision_id, trading_date,
        market_at, closed_at, order_class, leg_role, entry_id, replaces_id, cover_quantity, total_quantity)
    SELECT order_id, %(account)s, strategy_id, instrument_id, client_order_id, intent_key, attempt, idempotency_key,
           '', side, quantity, order_type, time_in_force, limit_price, stop_price, extended_hours, reduce_only,
           origin, source_ref, parent_id, slice_number, status, 0, reserve_price, loss_per_share,
           reference_price, 1, error_code, error_message, decision_id, %(day)s::date, %(market_at)s,
           CASE WHEN status = 'denied' THEN now() END, order_class, leg_role,
           CASE WHEN entry_position IS NOT NULL THEN (
               SELECT entry.order_id FROM input entry WHERE entry.position = input.entry_position) END,
           replaces_id, cover_quantity, total_quantity
    FROM input WHERE order_id IS NOT NULL
), event AS (
    INSERT INTO execution_orderevent (
        order_id, sequence, from_status, to_status, source, actor, filled_quantity, detail, market_at)
    SELECT order_id, 1, '', status, 'gate', source_ref, 0, jsonb_build_object('codes', codes), %(market_at)s
    FROM input WHERE order_id IS NOT NULL
), reserved AS (
    INSERT INTO execution_position AS p (
        account_id, strategy_id, instrument_id, open_buy_quantity, open_sell_quantity, open_buy_notional,
        open_sell_notional, reserved_loss, open_order_count, long_cap, short_cap, current_price, current_price_at,
        last_order_at, turnover_on, turnover, message_minute, message_count, buy_run_until, buy_run_count,
        sell_run_until, sell_run_count)
    SELECT %(account)s, strategy_id, instrument_id, sum(buy_quantity), sum(sell_quantity), sum(buy_notional),
           sum(sell_notional), sum(loss), count(*), greatest(max(cap), sum(buy_quantity)),
           greatest(max(cap), sum(sell_quantity)), max(reference_price), max(reference_at), %(market_at)s,
           %(day)s::date, sum(turnover), %(minute)s, count(*),
           max(run_until) FILTER (WHERE buy_run > 0), sum(buy_run),
           max(run_until) FILTER (WHERE sell_run > 0), sum(sell_run)
    FROM input WHERE status = 'pending' GROUP BY strategy_id, instrument_id
    ORDER BY (SELECT e.id FROM execution_position e WHERE e.account_id = %(account)s
              AND e.strategy_id = input.strategy_id AND e.instrument_id = input.instrument_id)
    ON CONFLICT (account_id, strategy_id, instrument_id) DO UPDATE SET
        open_buy_quantity = p.open_buy_quantity + EXCLUDED.open_buy_quantity,
        open_sell_quantity = p.open_sell_quantity + EXCLUDED.open_sell_quantity,
        open_buy_notional = p.open_buy_notional + EXCLUDED.open_buy_notional,
        open_sell_notional = p.open_sell_notional + EXCLUDED.open_sell_notional,
        reserved_loss = p.reserved_loss + EXCLUDED.reserved_loss,
        open_order_count = p.open_order_count + EXCLUDED.open_order_count,
        long_cap = CASE WHEN EXCLUDED.open_buy_quantity = 0 THEN p.long_cap ELSE (
            SELECT max(i.cap) FROM input i
            WHERE i.strategy_id = p.strategy_id AND i.instrument_id = p.instrument_id) END,
        short_cap = CASE WHEN EXCLUDED.open_sell_quantity = 0 THEN p.short_cap ELSE (
            SELECT max(i.cap) FROM input i
            WHERE i.strategy_id = p.strategy_id AND i.instrument_id = p.instrument_id) END,
        last_order_at = EXCLUDED.last_order_at, updated_at = now(),
        turnover = EXCLUDED.turnover + CASE WHEN p.turnover_on = EXCLUDED.turnover_on THEN p.turnover ELSE 0 END,
        turnover_on = EXCLUDED.turnover_on,
        message_count = EXCLUDED.message_count
            + CASE WHEN p.message_minute >= EXCLUDED.message_minute THEN p.message_count ELSE 0 END,
        message_minute = greatest(p.message_minute, EXCLUDED.message_minute),
        buy_run_count = EXCLUDED.buy_run_count
            + CASE WHEN p.buy_run_until > %(market_at)s THEN p.buy_run_count ELSE 0 END,
        buy_run_until = CASE WHEN p.buy_run_until > %(market_at)s OR EXCLUDED.buy_run_count = 0 THEN p.buy_run_until
            ELSE EXCLUDED.buy_run_until END,
        sell_run_count = EXCLUDED.sell_run_count
            + CASE WHEN p.sell_run_until > %(market_at)s THEN p.sell_run_count ELSE 0 END,
        sell_run_until = CASE WHEN p.sell_run_until > %(market_at)s OR EXCLUDED.sell_run_count = 0
            THEN p.sell_run_until ELSE EXCLUDED.sell_run_until END
), counted AS (
    UPDATE execution_account SET rate_window_at = %(minute)s, rate_window_count = %(rate_count)s WHERE id = %(account)s
), woken AS (
    SELECT pg_notify('portcullis_dispatch', %(account)s::text)
    FROM (SELECT 1 FROM input WHERE status = 'pending' LIMIT 1) w
)
SELECT position, order_id, decision_id, statement_timestamp(), (SELECT count(*) FROM woken) FROM input ORDER BY position
"""

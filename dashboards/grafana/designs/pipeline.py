"""Pipeline: do records flow, how fast, and what stops them."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.panels import ANY_IS_BAD, BAD, GOOD, WARN, figure, heat, lines, rows
from dashboards.grafana.queries import buckets, over_time, promql, quantile, rate, rise, sql

BOARD = Board(
    uid="ql-pipeline",
    title="Pipeline",
    description="Rate, errors and duration of every room and door; lag, recovery, dead letters; objectives.",
    since="now-6h",
    sections=(
        Section(
            "Health",
            (
                figure(
                    "Processes that answer", "Scraped processes that are up.", "percentunit",
                    promql("avg(up{job=\"quantumleap\"})", now=True), thresholds=((None, BAD), (1, GOOD)),
                ),
                figure(
                    "Not ready", "Reasons that hold processes back now.", "none",
                    promql("count(quantumleap_ready{env} == 0) or vector(0)", now=True), thresholds=ANY_IS_BAD,
                ),
                figure(
                    "Parked partitions", "Stopped by a fold that raised; they wait for a person.", "none",
                    promql("sum(quantumleap_partitions_parked{env})", now=True), thresholds=ANY_IS_BAD,
                ),
                figure(
                    "Oldest record waiting", "Age of the oldest record not yet folded.", "s",
                    promql("max(quantumleap_lag_seconds{env})", now=True), thresholds=((None, GOOD), (10, WARN), (60,
                    BAD)),
                ),
                figure(
                    "Clock tick", "Age of the newest clock tick; above 3 s execution sends nothing that adds risk.",
                    "s",
                    promql("max(quantumleap_clock_tick_age_seconds{env})", now=True), thresholds=((None, GOOD), (2,
                    WARN), (3, BAD)),
                ),
                figure(
                    "Sink", "Age of the oldest record not yet in ClickHouse.", "s",
                    promql("max(quantumleap_sink_lag_seconds{env})", now=True), thresholds=((None, GOOD), (30, WARN),
                    (300, BAD)),
                ),
            ),
        ),
        Section(
            "Objectives",
            (
                lines(
                    "Budget burnt: signal to socket",
                    "Speed at which the error budget of 0.1 % burns; 1 lasts exactly 30 days.", "none",
                    promql("quantumleap:signal_to_order:burn{env, window=\"1h\"}", "1 h"),
                    promql("quantumleap:signal_to_order:burn{env, window=\"6h\"}", "6 h", "B"),
                    promql("quantumleap:signal_to_order:burn{env, window=\"3d\"}", "3 d", "C"),
                    thresholds=((None, GOOD), (1, WARN), (14.4, BAD)), width=8,
                ),
                lines(
                    "Budget burnt: order state known",
                    "Share of time with an order of unknown fate, over its budget of 0.1 %.", "none",
                    promql("quantumleap:orders_known:burn{env, window=\"1h\"}", "1 h"),
                    promql("quantumleap:orders_known:burn{env, window=\"6h\"}", "6 h", "B"),
                    promql("quantumleap:orders_known:burn{env, window=\"3d\"}", "3 d", "C"),
                    thresholds=((None, GOOD), (1, WARN), (14.4, BAD)), width=8,
                ),
                lines(
                    "Budget burnt: fresh in ClickHouse",
                    "Share of time with rows more than 30 s late, over its budget of 0.5 %.", "none",
                    promql("quantumleap:sink_fresh:burn{env, window=\"1h\"}", "1 h"),
                    promql("quantumleap:sink_fresh:burn{env, window=\"6h\"}", "6 h", "B"),
                    promql("quantumleap:sink_fresh:burn{env, window=\"3d\"}", "3 d", "C"),
                    thresholds=((None, GOOD), (1, WARN), (14.4, BAD)), width=8,
                ),
            ),
        ),
        Section(
            "Rate",
            (
                lines(
                    "Records read", "Folded each second, by topic.", "reqps",
                    promql(rate("quantumleap_read_records_total", "topic"), "{{topic}}"), stacked=True,
                ),
                lines(
                    "Records written", "Committed each second, by topic.", "reqps",
                    promql(rate("quantumleap_written_records_total", "topic"), "{{topic}}"), stacked=True,
                ),
                lines(
                    "Records in a batch", "Median and 99th percentile; a batch grows with the backlog.", "short",
                    promql(quantile(0.5, "quantumleap_batch_records", "room"), "{{room}} p50"),
                    promql(quantile(0.99, "quantumleap_batch_records", "room"), "{{room}} p99", "B"), width=8,
                ),
                lines(
                    "Partitions owned", "By room and process.", "short",
                    promql("sum by (room, instance) (quantumleap_partitions_owned{env})", "{{room}} {{instance}}"),
                    width=8,
                ),
                lines(
                    "State", "Encoded size of the states that rooms keep.", "bytes",
                    promql("sum by (room) (quantumleap_state_bytes{env})", "{{room}}"), stacked=True, width=8,
                ),
            ),
        ),
        Section(
            "Errors",
            (
                lines(
                    "Dead letters", "Records that a door could not let through.", "short",
                    promql(rise("quantumleap_dead_letters_records_total", "topic", "reason"), "{{topic}} {{reason}}"),
                    bars=True, stacked=True, width=8,
                ),
                lines(
                    "Aborted transactions", "Transactions each second that did not commit.", "reqps",
                    promql(rate("quantumleap_transactions_aborted_total", "room", "cause"), "{{room}} {{cause}}"),
                    width=8,
                ),
                lines(
                    "Rebalances", "Assignments that changed.", "short",
                    promql(rise("quantumleap_rebalances_total", "room"), "{{room}}"),
                    bars=True, stacked=True, width=8,
                ),
                rows(
                    "Dead letters in detail", "Where each lies and why. Look with `quantumleap deadletters`.", "none",
                    sql("""
                        SELECT event_time, source_topic, source_partition, source_offset, room, reason, detail, author
                        FROM {dead_letter} WHERE {during} ORDER BY event_time DESC LIMIT 200
                    """),
                ),
            ),
        ),
        Section(
            "Duration",
            (
                lines(
                    "A hop", "From a record's append on Kafka to the commit of what it caused, by room.", "s",
                    promql(quantile(0.5, "quantumleap_hop_seconds", "room"), "{{room}} p50"),
                    promql(quantile(0.99, "quantumleap_hop_seconds", "room"), "{{room}} p99", "B"),
                ),
                heat(
                    "From end to end", "Signal's making to its order at the socket.", "s",
                    buckets(rise("quantumleap_signal_to_order_seconds_bucket", "le")),
                ),
                lines(
                    "A batch", "From having a batch to its committed transaction, 99th percentile.", "s",
                    promql(quantile(0.99, "quantumleap_batch_seconds", "room"), "{{room}}"), width=8,
                ),
                lines(
                    "Folds", "Time of a batch that is spent in folds, 99th percentile.", "s",
                    promql(quantile(0.99, "quantumleap_fold_seconds", "room"), "{{room}}"), width=8,
                ),
                lines(
                    "Recovery", "Time to read a partition's state, and partitions that are being read now.", "s",
                    promql(quantile(0.99, "quantumleap_recovery_seconds", "room"), "{{room}} p99"),
                    promql("sum by (room) (quantumleap_partitions_recovering{env})", "{{room}} now", "B"), width=8,
                ),
            ),
        ),
        Section(
            "Lag",
            (
                lines(
                    "Oldest record of each partition", "Age by room and partition.", "s",
                    promql("max by (room, partition) (quantumleap_lag_seconds{env})", "{{room}} {{partition}}"),
                    thresholds=((None, GOOD), (10, WARN), (60, BAD)),
                ),
                lines(
                    "Records waiting", "Not yet folded, by room and partition.", "short",
                    promql("max by (room, partition) (quantumleap_lag_records{env})", "{{room}} {{partition}}"),
                ),
                lines(
                    "Records in ClickHouse", "Rows that arrived, by topic and by the time at which Kafka took them.",
                    "short",
                    over_time("""
                        SELECT toStartOfInterval(toDateTime(written_at), INTERVAL $__interval_s second) AS time,
                            topic, count() AS records
                        FROM {events} WHERE $__timeFilter(written_at) GROUP BY time, topic ORDER BY time
                    """),
                    width=24, bars=True, stacked=True,
                ),
            ),
        ),
    ),
)  # fmt: skip

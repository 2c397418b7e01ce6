"""ClickHouse: do rows arrive, how fresh, and how does the server bear it."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.panels import ANY_IS_BAD, BAD, GOOD, WARN, figure, lines, ranks, rows
from dashboards.grafana.queries import over_time, promql, quantile, rate, sql

BOARD = Board(
    uid="ql-clickhouse",
    title="ClickHouse",
    description="Rows in, freshness, parts and merges, disk and slow questions.",
    since="now-6h",
    sections=(
        Section(
            "Rows in",
            (
                lines(
                    "Rows each second", "Acknowledged, by table.", "reqps",
                    promql(rate("quantumleap_sink_rows_total", "table"), "{{table}}"), stacked=True, width=8,
                ),
                lines(
                    "Inserts", "Median and 99th percentile of the time of an insert.", "s",
                    promql(quantile(0.5, "quantumleap_sink_insert_seconds"), "p50"),
                    promql(quantile(0.99, "quantumleap_sink_insert_seconds"), "p99", "B"),
                    width=8,
                ),
                lines(
                    "Inserts by outcome", "Each second; what failed is tried again with the same token.", "reqps",
                    promql(rate("quantumleap_sink_insert_seconds_count", "outcome"), "{{outcome}}"), width=8,
                ),
                lines(
                    "Age of the oldest record not in yet", "By topic; the objective is 30 s for 99.5 % of the time.",
                    "s",
                    promql("max by (topic) (quantumleap_sink_lag_seconds{env})", "{{topic}}"),
                    thresholds=((None, GOOD), (30, WARN), (300, BAD)),
                ),
                lines(
                    "Rows by topic", "Rows that arrived, by the time at which Kafka took them.", "short",
                    over_time("""
                        SELECT toStartOfInterval(toDateTime(written_at), INTERVAL $__interval_s second) AS time,
                            topic, count() AS records
                        FROM {events} WHERE $__timeFilter(written_at) GROUP BY time, topic ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                rows(
                    "Freshness", "Newest row of each topic.", "none",
                    sql("""
                        SELECT topic, count() AS records, max(written_at) AS newest, dateDiff('second',
                            max(written_at), now64(3)) AS age
                        FROM {events} GROUP BY topic ORDER BY topic
                    """),
                    units={"records": "short", "age": "s", "newest": "dateTimeAsIso"}, width=10,
                ),
                figure(
                    "Unreadable", "Records without a row in the table of their type, in the time shown.", "none",
                    sql("SELECT count() AS records FROM {unreadable} AS v WHERE {view_during}"),
                    thresholds=ANY_IS_BAD, height=8,
                ),
                rows(
                    "Unreadable records", "Why each has no row; its bytes are in `events`.", "none",
                    sql("""
                        SELECT v.time AS time, v.topic AS topic, v.partition AS partition,
                            v.`offset` AS kafka_offset, v.record AS record,
                            v.problem AS problem, v.bytes AS bytes
                        FROM {unreadable} AS v WHERE {view_during} ORDER BY v.time DESC LIMIT 100
                    """),
                    units={"bytes": "bytes"}, width=10,
                ),
            ),
        ),
        Section(
            "Storage",
            (
                figure(
                    "On disk", "Compressed size of this environment's tables.", "bytes",
                    sql("SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND {here}"), height=8,
                ),
                figure(
                    "Most parts in one table", "Active parts of one partition; from 300 on inserts are slowed down.",
                    "short",
                    sql("""
                        SELECT max(parts) AS parts FROM (
                            SELECT count() AS parts FROM system.parts WHERE active AND {here} GROUP BY table, partition
                        )
                    """),
                    thresholds=((None, GOOD), (150, WARN), (300, BAD)), height=8,
                ),
                rows(
                    "Tables", "Rows, parts and size. Compression is plain size over size on disk.", "short",
                    sql("""
                        SELECT table, sum(rows) AS rows, count() AS parts, sum(bytes_on_disk) AS on_disk,
                            sum(data_uncompressed_bytes) / greatest(sum(data_compressed_bytes), 1) AS compression,
                                max(modification_time) AS changed
                        FROM system.parts WHERE active AND {here} GROUP BY table ORDER BY on_disk DESC
                    """),
                    units={"on_disk": "bytes", "compression": "none", "changed": "dateTimeAsIso"}, width=16,
                ),
                ranks(
                    "Disk in use", "Of each disk that ClickHouse writes to.", "percentunit",
                    sql("""
                        SELECT name, 1 - free_space / greatest(total_space, 1) AS used
                        FROM system.disks ORDER BY used DESC
                    """),
                    thresholds=((None, GOOD), (0.75, WARN), (0.9, BAD)), least=0, most=1,
                ),
                rows(
                    "Merges", "That run now.", "short",
                    sql("""
                        SELECT table, elapsed, progress, num_parts AS parts, total_size_bytes_compressed AS size
                        FROM system.merges WHERE {here} ORDER BY elapsed DESC LIMIT 50
                    """),
                    units={"elapsed": "s", "progress": "percentunit", "size": "bytes"}, width=8,
                ),
                rows(
                    "Mutations", "Not done yet, or failing.", "short",
                    sql("""
                        SELECT table, command, create_time, parts_to_do, latest_fail_reason
                        FROM system.mutations WHERE NOT is_done AND {here} ORDER BY create_time LIMIT 50
                    """),
                    width=8,
                ),
            ),
        ),
        Section(
            "Questions and replicas",
            (
                rows(
                    "Questions that run now", "Longest first.", "short",
                    sql("""
                        SELECT elapsed, user, read_rows, memory_usage, substring(query, 1, 200) AS question
                        FROM system.processes ORDER BY elapsed DESC LIMIT 25
                    """),
                    units={"elapsed": "s", "memory_usage": "bytes"}, width=12,
                ),
                rows(
                    "Replicas", "Behind or read-only replicas; none where tables have no replicas.", "short",
                    sql("""
                        SELECT table, is_readonly, absolute_delay, queue_size, active_replicas, total_replicas
                        FROM system.replicas WHERE {here} ORDER BY absolute_delay DESC LIMIT 50
                    """),
                    units={"absolute_delay": "s"}, width=12,
                ),
                rows(
                    "What went wrong", "Errors that the server counted since it started, most frequent first.", "short",
                    sql("""
                        SELECT name, code, value AS times, last_error_time, substring(last_error_message, 1,
                            200) AS message
                        FROM system.errors ORDER BY times DESC LIMIT 25
                    """),
                ),
            ),
        ),
    ),
)  # fmt: skip

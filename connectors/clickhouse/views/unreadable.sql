-- Records that have no row in the table of their type, with the reason; the bytes are in events.
SELECT written_at AS time, topic, partition, `offset`, record, key, problem, length(value) AS bytes
FROM `{database}`.events FINAL
-- What lies twice cannot be read twice, so the few are chosen before they are compared.
PREWHERE problem != ''

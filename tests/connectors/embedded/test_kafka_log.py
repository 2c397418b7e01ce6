"""What a person is shown of the log of a Kafka that ended."""

from connectors.embedded.kafka_process import last_meaningful_line

WARNING = "2026-01-01T00:00:00,000 WARN QuorumController: Performing controller activation."
FIRST = "2026-01-01T00:00:01,000 ERROR LogManager: There was an error in one of the threads during logs loading"
LAST = "2026-01-01T00:00:02,000 ERROR Kafka$: Exiting Kafka due to fatal exception"
TRACE = """\
java.lang.RuntimeException: Unable to start
\tat kafka.server.KafkaRaftServer$.initializeLogDirs(KafkaRaftServer.scala:114)
Caused by: java.io.IOException: Malformed line in checkpoint file
\tat org.apache.kafka.server.common.CheckpointFile.read(CheckpointFile.java:151)
\t... 3 more"""


def test_the_last_error_is_shown_with_its_innermost_cause() -> None:
    log = "\n".join([WARNING, FIRST, LAST, TRACE, WARNING])
    assert last_meaningful_line(log) == f"{LAST} Caused by: java.io.IOException: Malformed line in checkpoint file"


def test_an_error_without_a_cause_is_shown_alone_and_takes_no_cause_from_an_earlier_one() -> None:
    assert last_meaningful_line("\n".join([FIRST, TRACE, LAST])) == LAST


def test_where_nothing_is_an_error_the_last_line_is_shown() -> None:
    assert last_meaningful_line(f"{WARNING}\nKilled\n\n  \n") == "Killed"


def test_a_server_that_wrote_nothing_is_said_to_have_written_nothing() -> None:
    assert last_meaningful_line("\n \n") == "it wrote nothing"

"""A real Apache Kafka on this machine, from its own jars, without Docker, Java or configuration.

    with KafkaServer.start(Path("run/kafka")) as kafka:        # port 19092, or another where that is taken
        producer = Producer(kafka.client_config())

`start` returns when the server answers. The server runs on in a session of its own when this process ends, unless it
is used as a context manager: leaving the block stops it. Starting on a folder where a server runs returns that one.

    KafkaServer.start(folder, port=None, kafka_dir=None, cache=None, java=None, admin=None, say=..., timeout_s=60)
    KafkaServer.attach(folder, admin=None)        the server that runs on the folder, or NotRunning
    server.bootstrap_servers .port .pid .folder .cluster_id .is_running .client_config(user=None)
    server.stop(timeout_s=30) .kill() .pause() .resume() .restart(timeout_s=60)

`port=None` is the folder's last one or 19092; where that is taken, it is named through `say` and another is chosen,
which `server.port` tells. `port=0` is any free one; another number is that port or PortTaken.

    KafkaCluster.start(folder)                    three servers that keep three copies, two of which acknowledge
    cluster.servers[i]                            each a KafkaServer
    cluster.bootstrap_servers .client_config() .wait_until_in_sync() .restart() .stop() .kill()

All errors are `connectors.embedded.errors.EmbeddedError`, with what happened, why, and the next step.
"""

from connectors.embedded.kafka_cluster import KafkaCluster
from connectors.embedded.kafka_properties import ScramUser
from connectors.embedded.kafka_server import DEFAULT_PORT, KafkaServer

__all__ = ["DEFAULT_PORT", "KafkaCluster", "KafkaServer", "ScramUser"]

"""Real processes on real Kafka, killed, paused, added, removed and restarted; judged by the topics alone."""

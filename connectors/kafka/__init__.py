"""Kafka as an administrator sees it: topics, permissions, the environment's mode, and documents drawn from the map."""

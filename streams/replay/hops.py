"""Hops of a worker, from what it tells Prometheus."""

from prometheus_client.parser import text_string_to_metric_families

from schemas.metrics import HOP_SECONDS


def hops(metrics: str) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of each hop, in milliseconds: the ends of the buckets in which they lie."""
    counts: dict[str, list[tuple[float, float]]] = {}
    for family in text_string_to_metric_families(metrics):
        if family.name == HOP_SECONDS.name:
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    counts.setdefault(sample.labels["room"], []).append((float(sample.labels["le"]), sample.value))
    return {
        room: {"p50": _quantile_ms(buckets, 0.5), "p99": _quantile_ms(buckets, 0.99)}
        for room, buckets in counts.items()
        if max(count for _, count in buckets)
    }


def _quantile_ms(buckets: list[tuple[float, float]], share: float) -> float:
    ordered = sorted(buckets)
    wanted = share * ordered[-1][1]
    finite = [end for end, _ in ordered if end < float("inf")]
    return round(1000 * min(next(end for end, count in ordered if count >= wanted), finite[-1]), 2)

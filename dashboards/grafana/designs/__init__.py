"""The boards, in the order in which people go through them."""

from dashboards.grafana.board import Board
from dashboards.grafana.designs import (
    clickhouse,
    execution,
    orders,
    overview,
    pipeline,
    pnl,
    positions,
    quality,
    risk,
    signals,
)

BOARDS: tuple[Board, ...] = tuple(
    module.BOARD
    for module in (overview, signals, risk, orders, execution, positions, pnl, quality, pipeline, clickhouse)
)

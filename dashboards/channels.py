"""Who is told of an alert, and over which channels: for alerts that Grafana manages and for those of Prometheus.

A page goes to everybody who can wake somebody; a ticket to those who can wait. Secrets are in no file of ours: Grafana
takes them from its environment, Alertmanager from files that whoever runs it puts beside it.
"""

from typing import Any

PAGE, TICKET, HEARTBEAT = "trading-page", "trading-ticket", "heartbeat"
REPEAT = {PAGE: "1h", TICKET: "12h"}
SECRETS = "/run/secrets"
"""Where Alertmanager finds its files."""
FROM, TO = "quantumleap@example.invalid", "trading@example.invalid"
"""Addresses for Alertmanager, which reads none from its surroundings; change them where it runs."""
SMARTHOST = "localhost:25"

VARIABLES: dict[str, tuple[str, str]] = {
    "ALERT_EMAIL": ("addresses, separated by commas", TO),
    "SLACK_WEBHOOK_URL": ("incoming webhook of a channel", "https://slack.example.invalid"),
    "PAGERDUTY_KEY": ("integration key of Events API v2", "unset"),
    "ALERT_WEBHOOK_URL": ("anything that takes a POST of JSON", "https://webhook.example.invalid"),
}
"""What Grafana takes from its environment: its meaning, and what stands there until somebody says otherwise."""

FILES = ("slack_webhook_url", "pagerduty_key", "alert_webhook_url", "heartbeat_url")
"""What Alertmanager reads below `SECRETS`."""

_TITLE = "{{ .CommonLabels.alertname }}"


def contact_points() -> dict[str, Any]:
    """Contact points of Grafana, as a provisioning file holds them."""
    pager = _receiver(PAGE, "pagerduty", integrationKey="${PAGERDUTY_KEY}", severity="critical")
    points = {PAGE: [pager, *_everybody(PAGE)], TICKET: _everybody(TICKET)}
    return {
        "apiVersion": 1,
        "contactPoints": [{"orgId": 1, "name": name, "receivers": receivers} for name, receivers in points.items()],
    }


def policies() -> dict[str, Any]:
    """Which contact point hears what, as a provisioning file of Grafana holds it."""
    route = {"receiver": PAGE, "object_matchers": [["severity", "=", "page"]], "repeat_interval": REPEAT[PAGE]}
    tree = {"orgId": 1, "receiver": TICKET, **_grouping("alertname", "account_id"), "routes": [route]}
    return {"apiVersion": 1, "policies": [tree | {"repeat_interval": REPEAT[TICKET]}]}


def alertmanager() -> dict[str, Any]:
    """The configuration of Alertmanager."""
    everybody: dict[str, Any] = {
        "email_configs": [{"to": TO, "send_resolved": True}],
        "slack_configs": [{"api_url_file": f"{SECRETS}/slack_webhook_url", "send_resolved": True, "title": _TITLE}],
        "webhook_configs": [{"url_file": f"{SECRETS}/alert_webhook_url", "send_resolved": True}],
    }
    pager = {"pagerduty_configs": [{"routing_key_file": f"{SECRETS}/pagerduty_key", "severity": "critical"}]}
    alive = {"webhook_configs": [{"url_file": f"{SECRETS}/heartbeat_url", "send_resolved": False}]}
    beat = {"group_wait": "0s", "group_interval": "1m", "repeat_interval": "1m"}
    return {
        "global": {"smtp_from": FROM, "smtp_smarthost": SMARTHOST, "smtp_require_tls": False},
        "route": {
            "receiver": TICKET,
            **_grouping("alertname", "environment"),
            "repeat_interval": REPEAT[TICKET],
            "routes": [
                {"receiver": HEARTBEAT, "matchers": ['alertname = "Watchdog"'], **beat},
                {"receiver": PAGE, "matchers": ['severity = "page"'], "repeat_interval": REPEAT[PAGE]},
            ],
        },
        # Where a page says that nothing answers, tickets about its parts say no more.
        "inhibit_rules": [
            {
                "source_matchers": ['alertname = "NothingAnswers"'],
                "target_matchers": ['severity = "ticket"'],
                "equal": ["team"],
            }
        ],
        "receivers": [
            {"name": PAGE, **everybody, **pager},
            {"name": TICKET, **everybody},
            {"name": HEARTBEAT, **alive},
        ],
    }


def _everybody(name: str) -> list[dict[str, Any]]:
    return [
        _receiver(name, "email", addresses="${ALERT_EMAIL}", singleEmail=True),
        _receiver(name, "slack", url="${SLACK_WEBHOOK_URL}", title=_TITLE),
        _receiver(name, "webhook", url="${ALERT_WEBHOOK_URL}", httpMethod="POST"),
    ]


def _receiver(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"uid": f"ql-{name}-{kind}", "type": kind, "settings": settings, "disableResolveMessage": False}


def _grouping(*labels: str) -> dict[str, Any]:
    return {"group_by": list(labels), "group_wait": "10s", "group_interval": "5m"}

"""ConfigMaps for a cluster: boards and alerts as Grafana's sidecar finds them, by label, and Prometheus' rules.

They are plain manifests: apply them, or let a Helm chart include the file with `.Files.Get`. It must not lie among a
chart's templates, because legends of panels contain `{{ }}`, which Helm would take for its own.
"""

import json
from collections.abc import Mapping

FOLDER_ANNOTATION = "grafana_folder"
LABELS = {"app.kubernetes.io/name": "quantumleap", "app.kubernetes.io/component": "monitoring"}
SIDECAR = {
    "grafana/boards/": "grafana_dashboard",
    "grafana/provisioning/alerting/": "grafana_alert",
    "prometheus/rules/": "prometheus_rules",
}
"""The label by which each kind of file is found, by where the file lies."""


def config_maps(texts: Mapping[str, str], folder: str) -> str:
    """One ConfigMap for each of these files, by path; as JSON lines between YAML's separators."""
    found = []
    for path, text in sorted(texts.items()):
        label = next((label for prefix, label in SIDECAR.items() if path.startswith(prefix)), None)
        if label is None:
            continue
        file = path.rpartition("/")[2]
        name = f"quantumleap-{label}-{file.partition('.')[0]}".replace("_", "-")
        metadata = {"name": name, "labels": {**LABELS, label: "1"}, "annotations": {FOLDER_ANNOTATION: folder}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {file: text}}
        found.append(json.dumps(body, ensure_ascii=False, sort_keys=True))
    return "---\n" + "\n---\n".join(found) + "\n"

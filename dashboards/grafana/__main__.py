"""Write the files that Grafana reads: `python -m dashboards.grafana`."""

from dashboards.grafana.files import write

for changed in write():
    print(changed)

"""What people look at: boards and alerts as code, pushed to Grafana or read by it from files."""

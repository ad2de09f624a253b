#!/usr/bin/env bash
# Checks Prometheus' configuration, and that each alert is raised when it should be. Needs promtool.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
prometheus=../components/prometheus
command -v promtool >/dev/null || {
    echo "alerts: promtool is missing" >&2
    exit 69
}
promtool check rules "$prometheus/rules.yaml" >/dev/null
promtool check config --syntax-only "$prometheus/prometheus.yaml" >/dev/null
promtool test rules rules-test.yaml

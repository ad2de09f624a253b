# Each alert is raised when it should be.
{
  runCommand,
  prometheus,
  source,
}:
runCommand "alerts" { nativeBuildInputs = [ prometheus.cli ]; } ''
  bash ${source.manifests}/k8s/tests/alerts.sh
  touch $out
''

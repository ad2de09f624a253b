# Grafana with the plugins that our dashboards want, by hash: nothing is fetched at a start. It wants a configuration at
# /etc/grafana/grafana.ini, and may write to /var/lib/grafana and /tmp alone.
{
  lib,
  dockerTools,
  grafana,
  grafanaPlugins,
  linkFarm,
  tzdata,
  image,
  version,
}:
let
  plugins = [
    grafanaPlugins.redis-datasource
    grafanaPlugins.yesoreyeram-infinity-datasource
  ]
  # A plugin since then, which the makers' own image has inside.
  ++ lib.optional (lib.versionAtLeast grafana.version "13.2") grafanaPlugins.prometheus;
  # As they were signed, and each in a folder of its name.
  folder = linkFarm "grafana-plugins" (
    map (plugin: {
      name = plugin.pname;
      path = plugin;
    }) plugins
  );
in
image {
  inherit version;
  name = "grafana";
  description = "Grafana ${grafana.version} with ${lib.concatMapStringsSep ", " (plugin: plugin.pname) plugins}";
  license = "AGPL-3.0-only";
  contents = [
    grafana
    dockerTools.caCertificates
  ];
  entrypoint = [
    "/bin/grafana"
    "server"
    "--homepath"
    "${grafana}/share/grafana"
    "--config"
    "/etc/grafana/grafana.ini"
  ];
  env = {
    GF_PATHS_DATA = "/var/lib/grafana";
    GF_PATHS_LOGS = "/var/lib/grafana/log";
    GF_PATHS_PLUGINS = "${folder}";
    GF_PATHS_PROVISIONING = "/etc/grafana/provisioning";
    GF_PLUGINS_PREINSTALL_DISABLED = "true";
    GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED = "true";
    ZONEINFO = "${tzdata}/share/zoneinfo";
  };
  ports = [ 3000 ];
}

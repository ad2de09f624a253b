# Locust with our locustfile, as master, worker or alone.
{
  lib,
  cacert,
  locust,
  runCommand,
  image,
  version,
}:
let
  files = runCommand "locustfile" { } ''
    install -D -m 444 ${../../locust/locustfile.py} $out/locustfile.py
    install -m 444 ${../../locust/workload.py} $out/workload.py
    install -m 444 ${../../crates/workload/assets/black-friday.toml} $out/black-friday.toml
  '';
in
image {
  inherit version;
  name = "locust";
  description = "Locust with the traffic of a black friday";
  license = "MIT AND Apache-2.0";
  contents = [ locust ];
  # For a workload out of a registry that a public authority vouches for.
  env.SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
  entrypoint = [
    (lib.getExe locust)
    "--locustfile"
    "${files}/locustfile.py"
  ];
  ports = [
    8089
    5557
  ];
}

# One program of ours. `ports` are the variables that say where it listens: on every address, since the network of a
# container is its own.
{
  lib,
  dockerTools,
  image,
  name,
  program,
  ports,
}:
image {
  inherit name;
  inherit (program) version;
  inherit (program.meta) description;
  contents = [
    program
    # For TLS to Kafka, Valkey, collectors and registries with public certificates.
    dockerTools.caCertificates
  ];
  entrypoint = [ "/bin/${program.meta.mainProgram}" ];
  env = lib.mapAttrs (_: port: "0.0.0.0:${toString port}") ports;
  ports = lib.attrValues ports;
}

# The disk as KubeVirt takes it: an image with nothing but /disk/disk.raw, owned by the user that runs QEMU there.
{
  dockerTools,
  disk,
  version,
}:
let
  qemu = 107;
in
dockerTools.buildImage {
  name = "blackfriday/valkey-disk";
  tag = version;
  uid = qemu;
  gid = qemu;
  extraCommands = ''
    mkdir -p disk
    cp --sparse=always ${disk}/disk.raw disk/disk.raw
    chmod 755 disk
    chmod 444 disk/disk.raw
  '';
  config.Labels = {
    "org.opencontainers.image.title" = "blackfriday valkey-disk";
    "org.opencontainers.image.description" = "Disk of a KubeVirt VM that runs Valkey on Alpine Linux";
    "org.opencontainers.image.version" = version;
    "org.opencontainers.image.licenses" = "Apache-2.0";
  };
}

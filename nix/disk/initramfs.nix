# The root file system, as the archive that the kernel unpacks.
{
  lib,
  runCommand,
  cpio,
  zstd,
  e2fsprogs,
  glibc,
  minirootfs,
  kernel,
  valkey,
  valkeyConfig,
}:
runCommand "valkey-vm-initramfs"
  {
    nativeBuildInputs = [
      cpio
      zstd
      # ldd
      (lib.getBin glibc)
    ];
    inherit minirootfs;
    modules = "${kernel}/modules";
    wanted = ./modules;
    files = ./root;
    programs = [
      "${lib.getBin valkey}/bin/valkey-server"
      (lib.getExe valkeyConfig)
      "${lib.getBin e2fsprogs}/bin/mke2fs"
      "${lib.getBin e2fsprogs}/bin/e2fsck"
    ];
    # The archive is for another machine: what it holds is no dependency of ours.
    allowedReferences = [ ];
  }
  ''
    bash ${./initramfs.sh}
  ''

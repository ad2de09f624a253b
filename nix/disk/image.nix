# The bootable disk, raw.
{
  lib,
  runCommand,
  mtools,
  dosfstools,
  util-linux,
  systemd,
  kernel,
  initramfs,
}:
runCommand "valkey-vm-disk"
  {
    nativeBuildInputs = [
      mtools
      dosfstools
      util-linux
    ];
    inherit initramfs;
    kernel = "${kernel}/vmlinuz";
    boot = "${systemd}/lib/systemd/boot/efi/systemd-bootx64.efi";
    efi_name = "BOOTX64.EFI";
    console = "ttyS0";
    allowedReferences = [ ];
    meta = {
      description = "Bootable disk of a virtual machine that runs Valkey on Alpine Linux";
      license = lib.licenses.asl20;
      platforms = [ "x86_64-linux" ];
    };
  }
  ''
    mkdir $out
    out=$out/disk.raw bash ${./image.sh}
  ''

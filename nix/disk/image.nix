# The bootable disk, raw.
{
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
  }
  ''
    mkdir $out
    out=$out/disk.raw bash ${./image.sh}
  ''

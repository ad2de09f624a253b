# Alpine's kernel for virtual machines: $out/vmlinuz and $out/modules, with modules.dep and all.
{
  runCommand,
  netboot,
  # Null only where a package set has none; then this cannot be built, but all the rest can.
  squashfsTools,
}:
runCommand "valkey-vm-kernel" { nativeBuildInputs = [ squashfsTools ]; } ''
  tar -xzf ${netboot} --wildcards '*/vmlinuz-virt' '*/modloop-virt'
  unsquashfs -quiet -no-progress -dest modloop "$(find . -name modloop-virt)"
  found=$(find modloop -name modules.dep)
  install -D -m 644 "$(find . -name vmlinuz-virt)" $out/vmlinuz
  cp -r "$(dirname "$found")" $out/modules
''

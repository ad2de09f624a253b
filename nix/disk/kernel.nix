# Alpine's kernel for virtual machines: $out/vmlinuz and $out/modules.
{
  runCommand,
  netboot,
  # Null only where a package set has none; then this cannot be built, but all the rest can.
  squashfsTools,
}:
runCommand "valkey-vm-kernel"
  {
    nativeBuildInputs = [ squashfsTools ];
    inherit netboot;
  }
  ''
    bash ${./kernel.sh}
  ''

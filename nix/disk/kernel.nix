# Alpine's kernel for virtual machines: $out/vmlinuz and $out/modules.
{
  runCommand,
  netboot,
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

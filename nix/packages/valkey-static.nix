# Valkey linked with nothing shared, for the image and the disk. No binary cache has it, so each user builds it: without
# upstream's tests, which take long and fail at random on a busy machine.
{ pkgsStatic }: pkgsStatic.valkey.overrideAttrs { doCheck = false; }

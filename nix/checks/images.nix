# Each image holds its program and what that needs, and nothing that a visitor could use.
{
  lib,
  runCommand,
  jq,
  images,
}:
let
  ours = lib.removeAttrs images [
    "grafana"
    "kafka"
    "locust"
    "rabbitmq"
    "redis"
    "valkey"
  ];
  look = name: image: ''
    echo "${name}: $(stat -L -c %s ${image}) bytes"
    mkdir ${name}
    tar -xf ${image} -C ${name}
    for layer in $(jq -r '.[0].Layers[]' ${name}/manifest.json); do tar -tf ${name}/$layer; done | sort -u > ${name}.files
    config=${name}/$(jq -r '.[0].Config' ${name}/manifest.json)
    jq -e '.config.User == "65532:65532"' $config
    jq -e '.created == "1970-01-01T00:00:01Z" or .created == "1970-01-01T00:00:01+00:00"' $config
    jq -e '.config.Labels["org.opencontainers.image.version"] != null' $config
    jq -e '.config.Labels["org.opencontainers.image.source"] != null' $config
    entrypoint=$(jq -r '.config.Entrypoint[0]' $config)
    grep -qx ".\?$entrypoint" ${name}.files || { echo "${name}: no $entrypoint"; exit 1; }
    if grep -aq '/build/source' ${name}/*/layer.tar; then echo "${name}: build paths"; exit 1; fi
  '';
  bare = name: ''
    if grep -E '/bin/(sh|bash|dash|busybox|nix|nix-store|apk|apt|dpkg|curl|perl|python3?)$' ${name}.files; then
      echo "${name}: holds what it should not"; exit 1
    fi
  '';
in
runCommand "images" { nativeBuildInputs = [ jq ]; } ''
  ${lib.concatStrings (lib.mapAttrsToList look images)}
  ${lib.concatMapStrings bare (lib.attrNames ours)}
  mkdir $out
  cp *.files $out/
''

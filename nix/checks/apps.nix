# Each command brings along what it starts, and nothing else.
{
  runCommand,
  apps,
}:
runCommand "apps" { } ''
  names() { grep -o '/nix/store/[^/"}]*' "$1" | sed 's/^[^-]*-//; s/-[0-9].*//' | sort -u; }
  brings() {
    names "$1" | grep -vE '^(bash(-interactive)?|blackfriday)$' >found || true
    sort -u >wanted
    diff wanted found || { echo "$1 brings along other than it starts"; exit 1; }
  }
  brings ${apps.load.program} </dev/null
  brings ${apps.verify.program} </dev/null
  brings ${apps.zot.program} <<<zot
  names ${apps.demo.program} >found
  for server in kafka-home valkey redis rabbitmq-server; do
    grep -qx "$server" found || { echo "demo does not bring $server along, but:"; cat found; exit 1; }
  done
  if grep -qx zot found; then echo "demo brings a registry along"; exit 1; fi
  touch $out
''

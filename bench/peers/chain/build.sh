#!/usr/bin/env bash
# Builds the chain's four programs into target/release. Needs Rust, Go and protoc, or the one that `./dev setup` leaves.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD/../../..
tools=$PWD/target/tools
protoc=$(command -v protoc || echo "$root/.tools/clients/py/bin/python-grpc-tools-protoc")

# The generators are tools of the Go module: its go.sum holds them.
go -C go build -o "$tools/" tool
PATH=$tools:$PATH "$protoc" --go_out=go --go-grpc_out=go --proto_path="$root/proto" blackfriday.proto
go -C go build -o "$PWD/target/release/" ./cmd/...
cargo build --release --locked --manifest-path api/Cargo.toml --target-dir target

# nix develop: what the packages are built with, what the tests start, and what the guides in docs/ call.
{
  craneLib,
  workspace,
  # Variables that say where Kafka, Java, RabbitMQ, Valkey and Redis are.
  servers,
  # The product's own.
  programs,
  locust,
  zot,
  cargo-deny,
  cargo-nextest,
  cargo-shear,
  curl,
  grpcurl,
  jq,
  k9s,
  kind,
  kubectl,
  kubernetes-helm,
  kubevirt,
  kustomize,
  minikube,
  nixfmt,
  openssl,
  prometheus,
  python3,
  ruff,
  shellcheck,
  shfmt,
  skopeo,
  valkey,
}:
craneLib.devShell (
  servers
  // {
    # Compiler, CMake, pkg-config and the libraries, from the build itself.
    inputsFrom = [ workspace ];
    packages = programs ++ [
      cargo-deny
      cargo-nextest
      cargo-shear
      nixfmt
      # promtool
      prometheus.cli
      (python3.withPackages (python: [ python.pyyaml ]))
      ruff
      shellcheck
      shfmt

      curl
      grpcurl
      jq
      openssl
      valkey

      k9s
      kind
      kubectl
      kubernetes-helm
      # virtctl
      kubevirt
      kustomize
      locust
      minikube
      skopeo
      zot
    ];
  }
)

# nix develop: what the packages are built with, what the tests start, and what the deployment is done with.
{
  lib,
  craneLib,
  workspace,
  apacheKafka,
  cargo-deny,
  cargo-nextest,
  grpcurl,
  jre_headless,
  k9s,
  kubectl,
  kubernetes-helm,
  kustomize,
  locust,
  minikube,
  nixfmt,
  python3,
  shellcheck,
  skopeo,
  valkey,
  zot,
}:
craneLib.devShell {
  # Compiler, CMake, pkg-config and the libraries, from the build itself.
  inputsFrom = [ workspace ];
  packages = [
    cargo-deny
    cargo-nextest
    nixfmt
    shellcheck
    (python3.withPackages (python: [ python.pyyaml ]))

    apacheKafka
    jre_headless
    valkey
    grpcurl

    k9s
    kubectl
    kubernetes-helm
    kustomize
    locust
    minikube
    skopeo
    zot
  ];

  # By these, demo and tests find the servers.
  BLACKFRIDAY_KAFKA_HOME = apacheKafka;
  BLACKFRIDAY_VALKEY_SERVER = lib.getExe' valkey "valkey-server";
  JAVA_HOME = jre_headless.home or jre_headless;
}

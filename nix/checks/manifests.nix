# Every overlay and combination of k8s/ renders, and what is rendered keeps the rules of k8s/tests/rules.py.
{
  runCommand,
  curl,
  kustomize,
  openssl,
  python3,
  source,
}:
runCommand "manifests"
  {
    nativeBuildInputs = [
      curl
      kustomize
      openssl
      (python3.withPackages (python: [ python.pyyaml ]))
    ];
  }
  ''
    cp -r ${source.manifests} tree
    chmod -R u+w tree
    patchShebangs tree/k8s
    tree/k8s/tests/render.sh --out $out
  ''

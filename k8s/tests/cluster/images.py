"""Prints the Kustomize component that gives our images the names and tags which archives carry. usage: images.py DIRECTORY"""

import json
import sys
import tarfile
from pathlib import Path

print("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages:")
for archive in sorted(Path(sys.argv[1]).glob("*.tar*")):
    with tarfile.open(archive) as tar:
        (manifest,) = json.load(tar.extractfile("manifest.json"))
    name, tag = manifest["RepoTags"][0].rsplit(":", 1)
    print(f'  - name: "blackfriday/{name.rsplit("/", 1)[-1]}"\n    newName: "{name}"\n    newTag: "{tag}"')

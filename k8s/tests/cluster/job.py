"""Reads a Job and prints it with the given arguments for its container, a limit, and the claim `receipts` at /receipts."""

import json
import sys

job = json.load(sys.stdin)
job["spec"]["activeDeadlineSeconds"] = 300
pod = job["spec"]["template"]["spec"]
container = pod["containers"][0]
container["args"] = sys.argv[1:]
container.setdefault("volumeMounts", []).append({"name": "receipts", "mountPath": "/receipts"})
pod.setdefault("volumes", []).append({"name": "receipts", "persistentVolumeClaim": {"claimName": "receipts"}})
json.dump(job, sys.stdout)

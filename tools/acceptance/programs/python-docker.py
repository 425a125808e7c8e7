"""What somebody would do with Debian's python3-docker: secrets, a service that has one, a command in its
container, its logs. Usage: python3 python-docker.py SOCKET < VALUE; prints JSON."""

import json
import sys
import time

import docker
from docker.types import SecretReference

client = docker.DockerClient(base_url="unix://" + sys.argv[1], version="auto")
value = sys.stdin.buffer.read()
seen = {}


def until(attempt):
    while True:
        answer = attempt()
        if answer:
            return answer
        time.sleep(0.05)


created = client.secrets.create(name="python_secret", data=value, labels={"client": "python"})
secret = client.secrets.get(created.id)
seen["secret"] = secret.attrs["Spec"]
seen["listed"] = [one.name for one in client.secrets.list(filters={"name": "python_secret"})]

service = client.services.create(
    "alpine:latest",
    command=["sh", "-c", "echo to out; echo to err >&2; exec sleep 100000"],
    name="python_app",
    secrets=[SecretReference(secret.id, "python_secret", filename="password", mode=0o400)],
)
tasks = until(lambda: [one for one in service.tasks() if one["Status"]["State"] == "running"])
container = client.containers.get(tasks[0]["Status"]["ContainerStatus"]["ContainerID"])
seen["container"] = [container.name.rsplit(".", 1)[0], container.status]
seen["ps"] = [one.id == container.id for one in client.containers.list(filters={"name": "python_app"})]

code, (out, err) = container.exec_run(
    ["sh", "-c", "cat /run/secrets/password; echo complaint >&2; exit 7"], demux=True
)
seen["exec"] = {"isValue": out == value, "stderr": err.decode(), "exitCode": code}
code, out = container.exec_run(["cat", "/run/secrets/password"], tty=True)
seen["tty"] = {"isValue": out.replace(b"\r\n", b"\n").strip() == value.strip(), "exitCode": code}

seen["logs"] = [
    until(lambda: container.logs(stdout=True, stderr=False)).decode(),
    until(lambda: container.logs(stdout=False, stderr=True)).decode(),
]
seen["serviceLogs"] = until(lambda: b"to out" in b"".join(service.logs(stdout=True, stderr=True)))

try:
    secret.remove()
    seen["refused"] = "removed"
except docker.errors.APIError as refusal:
    seen["refused"] = [refusal.status_code, refusal.explanation]
service.remove()
until(lambda: not client.containers.list(filters={"name": "python_app"}))
secret.remove()
try:
    client.secrets.get(created.id)
    seen["gone"] = "still there"
except docker.errors.NotFound as gone:
    seen["gone"] = gone.status_code
print(json.dumps(seen))

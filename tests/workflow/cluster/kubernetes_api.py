"""A stand-in for the API of a Kubernetes cluster: the command of each pod runs on this machine.

    python kubernetes_api.py FOLDER

writes FOLDER/kubeconfig, then answers until its standard input is closed. Of each job: its object as
`N.json`, what its pod says as `N.log`.
"""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LONGEST_S = 120


class Cluster:
    """The jobs that were created, and where their traces are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pods: dict[str, subprocess.Popen] = {}

    def create(self, job: dict) -> None:
        number = len(self.pods)
        (self.folder / f"{number}.json").write_text(json.dumps(job, indent=1))
        (container,) = job["spec"]["template"]["spec"]["containers"]
        work = self.folder / f"work-{number}"
        work.mkdir()
        with (self.folder / f"{number}.log").open("w") as said:
            self.pods[job["metadata"]["name"]] = subprocess.Popen(
                [
                    *("timeout", "-k", "5", str(LONGEST_S)),
                    *container["command"],
                    *container["args"],
                ],
                cwd=work,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def status(self, name: str) -> dict:
        code = self.pods[name].poll()
        return {} if code is None else {"succeeded": 1} if code == 0 else {"failed": 1}


class Handler(BaseHTTPRequestHandler):
    """Secrets are taken and forgotten, and there are no pods to list."""

    cluster: Cluster

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/jobs"):
            self.cluster.create(content)
        self.answer(content, 201)

    def do_GET(self) -> None:
        *_, kind, name, _ = ["", "", *self.path.partition("?")[0].split("/")]
        if kind == "jobs":
            self.answer({"metadata": {"name": name}, "status": self.cluster.status(name)})
        else:
            self.answer({"items": []})

    def do_DELETE(self) -> None:
        self.answer({"status": "Success"})

    def answer(self, content: dict, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def kubeconfig(port: int) -> dict:
    """How a client finds the cluster; JSON is YAML."""
    server = {"server": f"http://127.0.0.1:{port}"}
    context = {"cluster": "tests", "user": "tests"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": server}],
        "contexts": [{"name": "tests", "context": context}],
        "users": [{"name": "tests", "user": {}}],
    }


def end_with_parent() -> None:
    """Whoever started it holds the other end of standard input."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    folder = Path(sys.argv[1])
    Handler.cluster = Cluster(folder)
    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    (folder / "partial").write_text(json.dumps(kubeconfig(service.server_port)))
    (folder / "partial").rename(folder / "kubeconfig")
    service.serve_forever()

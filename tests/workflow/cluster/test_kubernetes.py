"""The Kubernetes profile, planned at every scale and run against a stand-in for the cluster's API;
and the pod that runs the whole workflow."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PROFILES = ROOT / "workflow/profiles"
pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def plan(environment, new_tree, tmp_path_factory):
    """What Snakemake says it would do at a scale, each training with so many GPUs."""
    tree = new_tree(tmp_path_factory.mktemp("kubernetes") / "clone")

    def make(scale: str, gpus: int) -> str:
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--verbose"]
        command += ["--workflow-profile", "workflow/profiles/kubernetes"]
        done = subprocess.run(
            command,
            cwd=tree,
            env=environment(tree, SCALE=scale, GPUS=str(gpus)),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return make


@pytest.mark.parametrize("scale", ["smoke", "laptop", "paper"])
def test_every_scale_can_be_planned_on_a_volume(plan, scale):
    """Results go to the volume; the ledger and the shipped weights come with the code."""
    told = plan(scale, 1)
    assert "This was a dry-run" in told
    assert f"/results/results/{scale}/verdict.json (in storage)" in told


def test_all_profiles_ask_for_what_the_rules_know():
    rules = set()
    for path in (ROOT / "workflow").glob("*.smk"):
        rules |= set(re.findall(r"(?m)^rule (\w+):", path.read_text()))
    for name in ("slurm", "kubernetes"):
        profile = yaml.safe_load((PROFILES / name / "profile.v9+.yaml").read_text())
        assert set(profile["set-resources"]) <= rules, name


def test_both_clusters_give_the_same_memory():
    slurm, kubernetes = (
        yaml.safe_load((PROFILES / name / "profile.v9+.yaml").read_text())["set-resources"]
        for name in ("slurm", "kubernetes")
    )
    assert {rule: asked["mem_mb"] for rule, asked in slurm.items()} == {
        rule: asked["mem_mb"] for rule, asked in kubernetes.items()
    }


def test_every_training_may_have_a_gpu_and_nothing_else():
    """Those rules that say `gpu` themselves, so that a machine's own limit counts them."""
    trainings = set()
    for path in (ROOT / "workflow").glob("*.smk"):
        bodies = re.split(r"(?m)^rule (\w+):", path.read_text())[1:]
        pairs = zip(bodies[::2], bodies[1::2], strict=True)
        trainings |= {name for name, body in pairs if "gpu=" in body}
    for name in ("slurm", "kubernetes"):
        profile = yaml.safe_load((PROFILES / name / "profile.v9+.yaml").read_text())
        given = {rule for rule, asked in profile["set-resources"].items() if "gpu" in asked}
        assert given == trainings, name


@pytest.fixture(scope="module")
def submitted(environment, new_tree, tmp_path_factory):
    """(job object, volume, what Snakemake said) of one rule, sent to the stand-in.

    As from a pod of the image: the code has its place, `pip` has nothing to install.
    """
    if shutil.which("rsync") is None:
        pytest.skip("Storage on a shared volume needs rsync: see .ci/apt-packages.")
    folder = tmp_path_factory.mktemp("api")
    tree = new_tree(tmp_path_factory.mktemp("kubernetes") / "clone")
    volume, programs = folder / "volume", folder / "programs"
    volume.mkdir()
    programs.mkdir()
    (programs / "pip").write_text("#!/bin/sh\n")
    (programs / "pip").chmod(0o755)
    variables = environment(tree, GPUS="1", EMERGENCE_HOUSE=str(tree))
    variables["PATH"] = f"{programs}:{variables['PATH']}"
    variables["KUBECONFIG"] = str(folder / "kubeconfig")
    api = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("kubernetes_api.py"), folder],
        env=variables,
        stdin=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 30
        while not (folder / "kubeconfig").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        command = ["timeout", "-k", "10", "150", sys.executable, "-m", "snakemake"]
        command += ["--workflow-profile", "workflow/profiles/kubernetes", "--retries", "0"]
        command += ["--default-storage-prefix", volume, "--seconds-between-status-checks", "1"]
        command += ["--config", f"settings={tree}/config/smoke.yaml"]
        command += ["--set-resources", "introspection_data:gpu=1", "introspection_data:mem_mb=700"]
        done = subprocess.run(
            [*command, "--", "results/smoke/introspection/data/strong.npz"],
            cwd=tree,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        api.stdin.close()
        api.wait(timeout=20)
    told = done.stdout + "".join(log.read_text() for log in folder.glob("*.log"))
    assert done.returncode == 0, told[-4000:]
    return json.loads((folder / "0.json").read_text()), volume, told


@pytest.mark.slow
class TestJob:
    def test_its_result_is_on_the_volume(self, submitted):
        _, volume, told = submitted
        assert (volume / "results/smoke/introspection/data/strong.npz").exists(), told[-4000:]

    def test_runs_in_the_image_with_the_volume_mounted(self, submitted):
        job, _, _ = submitted
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == "emergence:cuda"
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        (claimed,) = [v for v in pod["volumes"] if v["name"] == mounts["/results"]]
        assert claimed["persistentVolumeClaim"]["claimName"] == "emergence"

    def test_what_it_asks_for_is_a_limit_too(self, submitted):
        """A cluster refuses a GPU that is requested without one."""
        (container,) = submitted[0]["spec"]["template"]["spec"]["containers"]
        for kind in ("requests", "limits"):
            assert container["resources"][kind]["nvidia.com/gpu"] == "1"
            assert container["resources"][kind]["memory"] == "700M"
            assert container["resources"][kind]["ephemeral-storage"] == "2000M"


class TestPod:
    claim, job = yaml.safe_load_all((PROFILES / "kubernetes/job.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]

    def test_mounts_the_claim_where_the_image_works(self):
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        mounts = {mount["mountPath"]: mount["name"] for mount in self.container["volumeMounts"]}
        name = volumes[mounts["/results"]]["persistentVolumeClaim"]["claimName"]
        assert name == self.claim["metadata"]["name"]
        dockerfile = (ROOT / "Dockerfile").read_text()
        assert "WORKDIR /results" in dockerfile
        assert volumes[mounts["/tmp"]] == {"name": "scratch", "emptyDir": {}}

    def test_runs_as_the_user_of_the_image_on_a_read_only_root(self):
        user, group = re.search(
            r"(?m)^USER (\d+):(\d+)", (ROOT / "Dockerfile").read_text()
        ).groups()
        security = self.pod["securityContext"]
        assert security["runAsNonRoot"]
        assert (security["runAsUser"], security["runAsGroup"]) == (int(user), int(group))
        assert security["fsGroup"] == int(group)
        assert self.container["securityContext"]["readOnlyRootFilesystem"]

    def test_has_a_limit_for_its_gpu(self):
        """A GPU is given by the limit; a request alone is refused."""
        assert self.container["resources"]["limits"]["nvidia.com/gpu"] == 1

"""The Dockerfile and the Kubernetes manifests, checked without an engine or a cluster."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from api.cli import cli
from api.serve import PARTS
from api.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
OVERLAYS = ("single", "postgres")
VERSIONS = ("1.28", "1.32")
kustomize = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl, which builds overlays, is not here")


@lru_cache
def built(overlay: str) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    command = ["kubectl", "kustomize", str(DEPLOY / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def by_hand(overlay: str) -> list[dict[str, Any]]:
    """What a person applies beside the overlay."""
    names = ("first-key.yaml", "secret.example.yaml")
    files = [DEPLOY / "overlays" / overlay / name for name in names]
    return [yaml.safe_load(file.read_text()) for file in files if file.exists()]


def pods(overlay: str) -> Iterator[dict[str, Any]]:
    for one in (*built(overlay), *by_hand(overlay)):
        if one["kind"] == "Pod":
            yield one
        elif "template" in one.get("spec", {}):
            yield one["spec"]["template"]


@kustomize
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_manifest_is_what_kubernetes_takes(overlay: str, version: str) -> None:
    for one in (*built(overlay), *by_hand(overlay)):
        kubernetes_validate.validate(one, version, strict=True)


@kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_may_do_more_than_it_must(overlay: str) -> None:
    for pod in pods(overlay):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        for container in spec["containers"]:
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"] is True
            assert allowed["allowPrivilegeEscalation"] is False
            assert allowed["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert not container["image"].endswith(":latest")
            assert ":" in container["image"]


@kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_volumes_are_there_and_tmp_can_be_written(overlay: str) -> None:
    claims = {one["metadata"]["name"] for one in built(overlay) if one["kind"] == "PersistentVolumeClaim"}
    templates = {
        template["metadata"]["name"]
        for one in built(overlay)
        if one["kind"] == "StatefulSet"
        for template in one["spec"].get("volumeClaimTemplates", [])
    }
    for pod in pods(overlay):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounts = {mount["mountPath"]: mount for mount in pod["spec"]["containers"][0]["volumeMounts"]}
        assert {mount["name"] for mount in mounts.values()} <= volumes.keys() | templates
        assert mounts.keys() >= {"/tmp", "/var/lib/groundswell"}
        used = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if len(volume) > 1
                and "persistentVolumeClaim" in volume}  # fmt: skip
        assert used <= claims


@kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_variables_are_settings_and_arguments_are_commands(overlay: str) -> None:
    named = set()
    for one in (*built(overlay), *by_hand(overlay)):
        named |= set(one.get("data", {})) | set(one.get("stringData", {}))
    for pod in pods(overlay):
        container = pod["spec"]["containers"][0]
        named |= {variable["name"] for variable in container.get("env", [])}
        if "args" in container:
            command, *arguments = container["args"]
            cli.commands[command].make_context(command, arguments).close()
    assert named <= {PREFIX + name.upper() for name in Settings.model_fields}


@kustomize
def test_each_part_runs_somewhere() -> None:
    given = [word for pod in pods("postgres") for word in pod["spec"]["containers"][0].get("args", [])]
    assert sorted(word for word in given if word in PARTS) == sorted(PARTS)
    one = [pod for pod in pods("single") if "args" in pod["spec"]["containers"][0]]
    assert [pod["spec"]["containers"][0]["args"] for pod in one] == [["serve"]]


@kustomize
def test_one_owner_of_the_store_and_a_name_for_each_job_worker() -> None:
    named = {(one["kind"], one["metadata"]["name"]): one for one in built("postgres")}
    store, jobs = named["StatefulSet", "groundswell-store"], named["StatefulSet", "groundswell-jobs"]
    assert store["spec"]["replicas"] == 1
    assert jobs["spec"]["template"]["spec"]["containers"][0]["env"] == [
        {"name": "GROUNDSWELL_EXECUTOR", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    ]
    deployment = next(one for one in built("single") if one["kind"] == "Deployment")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert deployment["spec"]["replicas"] == 1


@kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_their_pods(overlay: str) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(overlay)]
    for one in built(overlay):
        selector = one.get("spec", {}).get("selector", {})
        selector = selector.get("matchLabels", selector)
        if one["kind"] in ("Service", "PodDisruptionBudget", "Deployment", "StatefulSet"):
            assert any(selector.items() <= found.items() for found in labels), one["metadata"]["name"]
    scaler = [one for one in built(overlay) if one["kind"] == "HorizontalPodAutoscaler"]
    deployments = {one["metadata"]["name"] for one in built(overlay) if one["kind"] == "Deployment"}
    assert {one["spec"]["scaleTargetRef"]["name"] for one in scaler} <= deployments
    assert len(scaler) == (overlay == "postgres")


@kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_has_time_to_end(overlay: str) -> None:
    settings = next(one["data"] for one in built(overlay) if one["kind"] == "ConfigMap")
    seconds = int(settings["GROUNDSWELL_SHUTDOWN_SECONDS"])
    for pod in pods(overlay):
        container = pod["spec"]["containers"][0]
        if "args" in container:
            pause = int(
                container.get("lifecycle", {}).get("preStop", {"exec": {"command": ["0"]}})["exec"]["command"][-1]
            )
            rounds = 2 if container["args"] == ["serve"] or "ingest" in container["args"] else 1
            assert pod["spec"]["terminationGracePeriodSeconds"] >= pause + rounds * (seconds + 5)


@kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_is_in_what_is_applied(overlay: str) -> None:
    assert not [one for one in built(overlay) if one["kind"] == "Secret"]


def test_a_mistake_in_a_manifest_is_found() -> None:
    one = yaml.safe_load((DEPLOY / "base" / "service.yaml").read_text())
    one["spec"]["ports"][0]["prot"] = 80
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(one, VERSIONS[-1], strict=True)


def test_the_dockerfile_is_in_order() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    command = [str(hadolint), "--failure-threshold", "style", str(DEPLOY / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_copies_what_its_context_has() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for name in line.split()}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    variables = set(re.findall(rf"({PREFIX}\w+)=", text))
    assert variables <= {PREFIX + name.upper() for name in Settings.model_fields}

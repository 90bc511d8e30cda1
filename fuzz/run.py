"""Fuzzes the API of a demo of its own from its OpenAPI document: free ports, a scratch folder, gone afterwards.

script/fuzz-api builds the program and calls this: run.py PROGRAM [--examples N] [--seconds N] [--seed N]
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Whoever drives schemathesis is in the same folder as the Python that runs this.
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
# Nobody with a session reads about the key that they did not send.
KEYS_ONLY = ["api_keys_own"]
# Their answers end when the caller goes away: each case would take as long as it is waited for. crates/testkit/tests/it holds them.
ENDLESS = ["events_stream"]


def ask(url, body, token=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        return json.load(urllib.request.urlopen(request, timeout=30))
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url} answered {error.code}: {error.read().decode()}") from error


SCRATCH = "entrepot-fuzz-"


def clear_up():
    """Removes the folders of those of us who were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*-*"):
        pid = folder.name.removeprefix(SCRATCH).split("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


def ends_with_us(command):
    """A command that is killed when we have ended without ending it: when we were killed ourselves. The database of a demo that is
    killed ends with it."""
    return ["setpriv", "--pdeathsig", "KILL", *map(str, command)]


class Demo:
    """A demo that runs until it is closed, or until we end."""

    def __init__(self, program):
        clear_up()
        self.scratch = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{os.getpid()}-"))
        # PostgreSQL runs as another user under root, and must get through.
        self.scratch.chmod(0o711)
        self.log = self.scratch / "log"
        # The limit is for callers; this one would only be told so.
        environment = os.environ | {"ENTREPOT_LIVE_REQUESTS_PER_MINUTE": "100000000", "RUST_LOG": "warn"}
        command = [program, "demo", "--free-ports", "--data-dir", self.scratch / "demo"]
        with self.log.open("wb") as log:
            command = ends_with_us(command)
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=environment)
        self.facts = self._facts()
        self.url = self.facts["url"].rstrip("/")

    def _facts(self):
        running = self.scratch / "demo" / "running.json"
        for _ in range(1200):
            if self.process.poll() is not None:
                break
            try:
                return json.loads(running.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                time.sleep(0.05)  # Not there yet, or half written.
        text = self.log.read_text()
        self.close()
        raise SystemExit(f"the demo did not start:\n{text}")

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def metrics(self):
        return urllib.request.urlopen(f"{self.url}/metrics", timeout=10).read().decode()

    def answered(self):
        """How often which status was answered."""
        counts = Counter()
        for status, count in re.findall(r'^entrepot_requests_total\{[^}]*status="(\d+)"[^}]*\} (\d+)$', self.metrics(), re.M):
            counts[status] += int(count)
        return counts

    def complaints(self):
        """What the log and the counters must not hold after fuzzing."""
        found = []
        if self.process.poll() is not None:
            found.append(f"the program ended with status {self.process.returncode}")
        else:
            metrics = self.metrics()
            found += re.findall(r"^entrepot_panics_total.*$", metrics, re.M)
            found += re.findall(r'^entrepot_requests_total\{[^}]*result="internal".*$', metrics, re.M)
        bad = re.compile(r"panicked|internal error|\"ERROR\"")
        found += [line for line in self.log.read_text().splitlines() if bad.search(line)]
        return found


def people(demo):
    """The caller, and those who may lose what they have (see hooks.py)."""
    login = {"email": demo.facts["demo"]["email"], "password": demo.facts["demo"]["password"]}
    owner = ask(f"{demo.url}/api/login", login)["session_token"]

    def sign_up(name):
        person = {"email": f"{name}@fuzz.example", "password": "a password of some length"}
        form = person | {"name": name, "organization_name": name}
        return person, ask(f"{demo.url}/api/sign-up", form)["session_token"]

    leaver, _ = sign_up("leaver")
    _, spender = sign_up("spender")
    keys = demo.facts["unconnected"]["woocommerce"]
    form = {
        "provider_key": "woocommerce",
        "config": {"shop_url": keys["shop_url"]},
        "credential": {"consumer_key": keys["consumer_key"], "consumer_secret": keys["consumer_secret"]},
    }
    ask(f"{demo.url}/api/integrations/connections/", form, spender)
    as_owner = {"caller": owner, "leaver": leaver, "spender": spender}
    as_key = {"caller": demo.facts["demo"]["api_key"], "leaver": None, "spender": None}
    return as_owner, as_key


def fuzz(demo, name, callers, options, phases, without):
    environment = os.environ | {
        "FUZZ_FACTS": json.dumps({"url": demo.url} | callers),
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [SCHEMATHESIS, "--no-color", "--config-file", HERE / "schemathesis.toml", "run", f"{demo.url}/openapi.json"]
    # One worker: what generates cases is not safe for threads.
    command += ["--workers", "1", "--warnings", "off", "--phases", phases, "--max-examples", str(options.examples)]
    command += ["--max-time", str(options.seconds)] if options.seconds else []
    command += ["--seed", str(options.seed)] if options.seed is not None else []
    for operation in [*without, *ENDLESS]:
        command += ["--exclude-operation-id", operation]
    started = time.monotonic()
    command = ends_with_us(command)
    ran = subprocess.run(command, env=environment, cwd=demo.scratch, capture_output=True, text=True)
    took = time.monotonic() - started
    counted = re.findall(r"^\s+(\d+ generated.*)$", ran.stdout, re.M)
    seed = re.findall(r"^Seed: (\d+)$", ran.stdout, re.M)
    print(f"{name}: {'; '.join(counted) or 'nothing'}; {took:.0f} s, seed {' '.join(seed)}", flush=True)
    if ran.returncode != 0 or not counted:
        print(ran.stdout, ran.stderr, sep="\n", flush=True)
        return False
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--examples", type=int, default=6, help="cases of each operation, besides those at its limits")
    parser.add_argument("--seconds", type=int, help="go on until so much time has passed")
    parser.add_argument("--seed", type=int, help="the same cases again")
    options = parser.parse_args()
    # So that whoever stops us stops the demo too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    demo = Demo(options.program)
    try:
        as_owner, as_key = people(demo)
        phases = {"as an owner": "examples,coverage,fuzzing,stateful", "with an API key": "examples,fuzzing,stateful"}
        with ThreadPoolExecutor() as pool:
            runs = [
                pool.submit(fuzz, demo, name, callers, options, phases[name], without)
                for name, callers, without in [
                    ("as an owner", as_owner, KEYS_ONLY),
                    ("with an API key", as_key, []),
                ]
            ]
        good = all([run.result() for run in runs])
        complaints = demo.complaints()
        if demo.process.poll() is None:
            answered = demo.answered()
            print("answers:", ", ".join(f"{count} × {status}" for status, count in sorted(answered.items())))
        for complaint in complaints:
            print(f"the program complained: {complaint}")
        return 0 if good and not complaints else 1
    finally:
        demo.close()


if __name__ == "__main__":
    sys.exit(main())

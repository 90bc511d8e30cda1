"""Who calls what, and what every refusal must say. Read by schemathesis, which fuzz/run.py starts."""

import json
import os

import requests
import schemathesis

FACTS = json.loads(os.environ["FUZZ_FACTS"])

# These end the session that they are called with, or the organization: each call has a session of its own, of somebody who is
# needed for nothing else.
ENDING = {"sessions_log_out", "sessions_end_others", "sessions_end", "organizations_delete"}
# These take away what other operations need to have something to answer: somebody else's shop and keys are for them.
SPENDING = {
    "api_keys_revoke",
    "api_keys_rotate",
    "connections_delete",
    "connections_disable",
    "connections_edit",
    "connections_revoke_credential",
    "connections_set_credential",
    "sessions_change_password",
    "stores_set",
}


@schemathesis.auth(refresh_interval=None)
class Caller:
    def get(self, case, context):
        operation = case.operation.definition.raw["operationId"]
        if FACTS["leaver"] and operation in ENDING:
            answer = requests.post(f"{FACTS['url']}/api/login", json=FACTS["leaver"], timeout=30)
            answer.raise_for_status()
            return answer.json()["session_token"]
        if FACTS["spender"] and operation in SPENDING:
            return FACTS["spender"]
        return FACTS["caller"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.check
def refusals_say_where(context, response, case):
    """A request that fits the document and is refused all the same is told which part of it broke which rule."""
    if response.status_code != 400:
        return
    problem = response.json()
    assert problem["detail"].strip() and problem["title"].strip(), "a refusal without words"
    is_meant_well = case.meta is not None and case.meta.generation.mode.is_positive
    if problem["code"] == "invalid_request" and is_meant_well:
        places = [error["pointer"] for error in problem["errors"] if error["detail"].strip()]
        assert any(places), f"a refusal that does not say where: {problem['detail']}"


@schemathesis.check
def failures_are_problems(context, response, case):
    """RFC 9457 for every failure, whichever it is, and a request id to ask about it."""
    if response.status_code < 400:
        return
    kind = (response.headers.get("content-type") or [""])[0]
    assert kind == "application/problem+json", f"a failure of the type {kind}"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"] == f"/docs/errors/{problem['code']}"
    assert problem["request_id"] == response.headers["x-request-id"][0]

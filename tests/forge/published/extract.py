"""Takes the few operations that are used out of GitHub's published API description (npm package `@octokit/openapi`).

npm pack @octokit/openapi @octokit/webhooks-examples
python tests/forge/published/extract.py DESCRIPTION.deref.json WEBHOOKS/index.json
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPO = "/repos/{owner}/{repo}"
USED = {
    "/app": ["get"], "/user": ["get"], "/users/{username}": ["get"],
    "/app/installations/{installation_id}/access_tokens": ["post"], f"{REPO}/installation": ["get"], REPO: ["get"],
    f"{REPO}/collaborators/{{username}}/permission": ["get"], f"{REPO}/issues/{{issue_number}}": ["get"],
    f"{REPO}/issues/{{issue_number}}/comments": ["get", "post"], f"{REPO}/issues/comments/{{comment_id}}": ["patch"],
    f"{REPO}/pulls": ["get", "post"], f"{REPO}/pulls/{{pull_number}}": ["get", "patch"],
    f"{REPO}/pulls/{{pull_number}}/files": ["get"], f"{REPO}/pulls/{{pull_number}}/comments": ["get"],
    f"{REPO}/pulls/{{pull_number}}/reviews": ["post"], f"{REPO}/pulls/comments/{{comment_id}}": ["patch"],
    f"{REPO}/branches/{{branch}}": ["get"], f"{REPO}/commits/{{ref}}/check-runs": ["get"],
    f"{REPO}/commits/{{ref}}/status": ["get"], f"{REPO}/check-runs": ["post"],
    f"{REPO}/check-runs/{{check_run_id}}": ["patch"],
}  # fmt: skip
WORDS = {"description", "example", "examples", "title", "x-github", "externalDocs"}


def bare(schema: Any, named: bool = False) -> Any:
    """Leave out what only people read."""
    if isinstance(schema, dict):
        return {k: bare(v, k == "properties") for k, v in schema.items() if named or k not in WORDS}
    return [bare(item) for item in schema] if isinstance(schema, list) else schema


def operation(found: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": p["name"], "in": p["in"], "required": p.get("required", False), "schema": bare(p["schema"])}
        for p in found.get("parameters", [])
    ]
    body = found.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    status, answer = next((s, a) for s, a in found["responses"].items() if s.startswith("2"))
    content = answer.get("content", {}).get("application/json", {})
    examples = [example["value"] for example in content.get("examples", {}).values()]
    return {"parameters": parameters, "body": bare(body), "status": int(status), "examples": examples}


def pack(path: Path, data: object) -> None:
    # The same bytes for the same data, whenever it is made.
    path.write_bytes(gzip.compress(json.dumps(data, separators=(",", ":"), sort_keys=True).encode(), 9, mtime=0))


def main(description: str, webhooks: str) -> None:
    whole = json.loads(Path(description).read_bytes())
    api = {path: {m: operation(whole["paths"][path][m]) for m in methods} for path, methods in USED.items()}
    pack(HERE / "api.json.gz", api)
    pack(HERE / "webhooks.json.gz", json.loads(Path(webhooks).read_bytes()))


if __name__ == "__main__":
    main(*sys.argv[1:])

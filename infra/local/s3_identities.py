"""Who may do what in S3, as IAM policies: the same documents are for SeaweedFS' identities and for the roles of AWS.

`python -m infra.local.s3_identities api|media` prints one, for whoever sets up AWS; `store` makes
`infra/docker/s3/s3.json`. The api may bring uploads into the
quarantine and hand out what is published; it can neither read, list nor delete there. The media worker reads and clears
the quarantine and keeps what is published. Nobody but the provisioning may change a bucket.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

QUARANTINE: Final = "petfolio-quarantine"
MEDIA: Final = "petfolio-media"
BUCKETS: Final = (MEDIA, QUARANTINE, "petfolio-exports")
ADMIN: Final = "petfolio"
_ERASE: Final = "GetObject GetObjectVersion DeleteObject DeleteObjectVersion AbortMultipartUpload"
_LIST: Final = "ListBucket ListBucketVersions ListBucketMultipartUploads"


def _allow(actions: str, *resources: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": [f"s3:{action}" for action in actions.split()],
        "Resource": [f"arn:aws:s3:::{resource}" for resource in resources],
    }


POLICIES: Final[Mapping[str, dict[str, Any]]] = {
    name: {"Version": "2012-10-17", "Statement": list(statements)}
    for name, statements in {
        "api": (
            _allow("PutObject ListMultipartUploadParts", f"{QUARANTINE}/uploads/*"),
            _allow("GetObject", f"{MEDIA}/media/*"),
        ),
        "media": (
            _allow(_LIST, QUARANTINE, MEDIA),
            _allow(_ERASE, f"{QUARANTINE}/*", f"{MEDIA}/*"),
            _allow("PutObject", f"{MEDIA}/media/*"),
        ),
    }.items()
}
"""By process. With KMS each also needs `kms:GenerateDataKey` and `kms:Decrypt` on the key."""

# SeaweedFS asks for this besides the policy before it takes a form, which then decides about the key (4.48, measured).
_ALSO: Final = {"api": [f"Write:{QUARANTINE}"]}


def configuration(secrets: Mapping[str, str]) -> str:
    """SeaweedFS' `s3.json`; `secrets` as `credentials_of` names them."""
    admin = {"actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    rights = {ADMIN: admin, **{name: {"policyNames": [name], "actions": _ALSO.get(name, [])} for name in POLICIES}}
    identities = [{"name": name, "credentials": [_pair(secrets, name)], **may} for name, may in rights.items()]
    policies = [{"name": name, "content": json.dumps(policy)} for name, policy in POLICIES.items()]
    return json.dumps({"identities": identities, "policies": policies})


def credentials_of(name: str) -> tuple[str, str]:
    """Under which names the stack's secrets hold its key id and its secret."""
    who = "" if name == ADMIN else f"{name}_"
    return f"s3_{who}access_key_id", f"s3_{who}secret_access_key"


SECRETS: Final = tuple(secret for name in (ADMIN, *POLICIES) for secret in credentials_of(name))


def _pair(secrets: Mapping[str, str], name: str) -> dict[str, str]:
    key_id, secret = credentials_of(name)
    return {"accessKey": secrets[key_id], "secretKey": secrets[secret]}


def printed(about: str) -> str:
    """A policy, or with `store` all of SeaweedFS' identities, with variables of the environment for secrets."""
    if about == "store":
        return configuration({secret: f"${{{secret.upper()}}}" for secret in SECRETS}) + "\n"
    return json.dumps(POLICIES[about], indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(printed(sys.argv[1]))

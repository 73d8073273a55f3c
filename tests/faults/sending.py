"""A client that sends a file in parts, in a process of its own: `python -m tests.faults.sending UPLOAD FILE`.

It knows the address of the api and a token (`API_URL`, `TOKEN`), the id of the upload and the file; what has arrived it
asks. It says the number of each part that it has sent, and completes.
"""

import os
import sys
from pathlib import Path

import httpx

from domain.media.limits import PART_BYTES


def main(upload_id: str, path: Path) -> None:
    """Send what is missing, one part after the other."""
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    with httpx.Client(base_url=os.environ["API_URL"], headers=headers, timeout=60) as api:
        here = f"/api/v1/media/uploads/{upload_id}"
        for number in api.get(f"{here}/parts").raise_for_status().json()["missing"]:
            signed = api.post(f"{here}/parts", json={"numbers": [number]}).raise_for_status()
            (part,) = signed.json()["items"]
            with path.open("rb") as file:
                file.seek((number - 1) * PART_BYTES)
                httpx.put(part["url"], content=file.read(part["size"]), timeout=60).raise_for_status()
            print(number, flush=True)
        api.post(f"{here}/complete").raise_for_status()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

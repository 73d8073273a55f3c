"""Makes the S3 buckets: versions, CORS for our own pages only, and a lifecycle. Run once per data folder.

`python -m infra.local.buckets http://localhost:8000`, with the S3 settings in the environment.
"""

import os
import sys

import boto3
from botocore.config import Config

from infra.local.launchers.seaweedfs import BUCKETS


def provision(origin: str) -> None:
    """May run again. Unfinished uploads are dropped after a day; old versions of media stay for recovery."""
    s3 = boto3.client(
        "s3",
        endpoint_url=os.environ["PETFOLIO_S3_ENDPOINT"],
        aws_access_key_id=os.environ["PETFOLIO_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["PETFOLIO_S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    present = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for bucket in BUCKETS:
        if bucket not in present:
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_cors(
            Bucket=bucket,
            CORSConfiguration={
                "CORSRules": [
                    {
                        "AllowedOrigins": [origin],
                        "AllowedMethods": ["GET", "HEAD", "POST", "PUT"],
                        "AllowedHeaders": ["*"],
                        "ExposeHeaders": ["ETag"],
                        "MaxAgeSeconds": 3600,
                    }
                ]
            },
        )
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "unfinished-uploads",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                    }
                ]
            },
        )


if __name__ == "__main__":
    provision(sys.argv[1])

"""How a server of S3's interface is reached: as users have it in their environment."""

S3 = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-the-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
}

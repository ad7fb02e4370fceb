"""An S3 server on the loopback, which may fail every n-th request."""

import itertools
import logging
import threading
from contextlib import contextmanager

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from s3fs import S3FileSystem
from werkzeug.serving import make_server

BUCKET = "bucket"


class Failing:
    """A WSGI application that answers every `every`-th request with status 500."""

    def __init__(self, app, every):
        self.app, self.every, self.count, self.failed = app, every, itertools.count(1), 0

    def __call__(self, environ, start_response):
        if self.every and next(self.count) % self.every == 0:
            self.failed += 1
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        return self.app(environ, start_response)


@contextmanager
def s3_server(every=None):
    """The application. The environment, which child processes get too, says where it is."""
    app = Failing(DomainDispatcherApplication(create_backend_app), None)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    said = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**said, "AWS_DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        if BUCKET in [each["Name"] for each in client.list_buckets()["Buckets"]]:
            for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
                client.delete_object(Bucket=BUCKET, Key=each["Key"])
        else:
            client.create_bucket(Bucket=BUCKET)
        app.every = every
        S3FileSystem.clear_instance_cache()  # an instance remembers the server before this one
        try:
            yield app
        finally:
            server.shutdown()
            S3FileSystem.clear_instance_cache()

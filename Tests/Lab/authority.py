# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test's own."""

from lab import run

NAME = "www.example.com"


class Authority:
    """Files in a directory: the authority's certificate, and one for a server with its key."""

    def __init__(self, directory):
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self.certificate, self._key = directory / "ca.pem", directory / "ca.key"
        self._openssl(
            "req", "-x509", *self._new_key(self._key), "-days", 2, "-subj", "/CN=lab authority", "-out",
            self.certificate)

    def issue(self, name=NAME):
        """Certificate and key for a server of this name."""
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        self._openssl(
            "req", "-x509", *self._new_key(key), "-days", 1, "-subj", f"/CN={name}", "-addext",
            f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:false", "-CA", self.certificate,
            "-CAkey", self._key, "-out", certificate)
        return certificate, key

    @staticmethod
    def _new_key(path):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path

    @staticmethod
    def _openssl(*arguments):
        run(["openssl", *arguments])

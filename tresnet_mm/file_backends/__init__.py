"""Files that lie elsewhere: mmengine's file backends for HTTP and S3, with an end to waiting."""

from .http_backend import PatientHTTPBackend
from .s3_backend import S3Backend
from .web_file import read_web_file, with_retries

__all__ = ['PatientHTTPBackend', 'S3Backend', 'read_web_file', 'with_retries']

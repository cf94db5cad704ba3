"""Stores of objects, for what is too large for the database."""

from .s3_options import S3Options

__all__ = ["S3Options"]

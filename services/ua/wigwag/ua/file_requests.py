"""What applications say of files, looked at before anything is done."""

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import InvalidRequestError

from .texts import checked_labels, checked_text, checked_types

_EXCLUSIVE = ("session_id", "resume_session_id")
_SELECTORS = ("name", "content_type", "size", "sha256", "sha1")


def checked_file(file: ua_pb2.FileDescription) -> None:
    """Check the description of a file that is to be sent.

    Raises:
        InvalidRequestError: A field is malformed, or excludes another; names it.
    """
    checked_text("name", file.name)
    checked_labels("labels", dict(file.labels))
    given = [field for field in _EXCLUSIVE if getattr(file, field)]
    if len(given) > 1:
        raise InvalidRequestError("session_id: not together with resume_session_id")
    if given and (file.to_uri or file.from_uri):
        raise InvalidRequestError(f"to_uri: not with {given[0]}, which says whose the file is")
    if file.resume_session_id and file.size:
        raise InvalidRequestError("resume_session_id: without data, which is here")
    if file.resume_session_id and file.blob_id:
        raise InvalidRequestError("blob_id: not with resume_session_id, which has one")
    if file.offset and (given or file.blob_id):
        raise InvalidRequestError("offset: only with data under an idempotency_key")
    if file.blob_id and (file.size or file.sha256):
        raise InvalidRequestError("blob_id: size and sha256 are those of the blob")


def checked_fetch(request: ua_pb2.FetchFileRequest) -> None:
    """Check what is said of a file that is asked for; errors as ``checked_file``."""
    checked_text("name", request.name)
    if request.content_type:
        checked_types("content_type", [request.content_type])
    given = [field for field in _SELECTORS if getattr(request, field)]
    if request.resume_session_id:
        if given or request.to_uri:
            raise InvalidRequestError(f"{(given or ['to_uri'])[0]}: not with resume_session_id, which says it")
    elif not given:
        raise InvalidRequestError("name: one of name, content_type, size, sha256 and sha1 is needed")

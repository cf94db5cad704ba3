"""HTTP Digest access authentication (RFC 2617, RFC 7616) as MSRP and SIP use it, sans-IO."""

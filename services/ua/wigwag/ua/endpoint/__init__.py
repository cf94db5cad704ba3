"""Sessions over SIP and MSRP, as one user agent has them: no stores, ledgers or applications."""

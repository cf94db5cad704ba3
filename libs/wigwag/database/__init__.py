"""SQL: tables (with OpenSIPS names where it has them), sessions, migrations."""

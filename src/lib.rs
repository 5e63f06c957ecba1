//! pgcopydb: moves a PostgreSQL database to another server.

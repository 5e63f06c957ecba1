//! The PostgreSQL frontend/backend protocol as values, without I/O.

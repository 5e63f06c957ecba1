//! Throwaway PostgreSQL clusters and the tools that judge a migration between them.

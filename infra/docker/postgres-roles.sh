#!/bin/sh
# Runs once, on an empty data folder: the schema owner, the application that may touch rows only, Temporal's databases.
set -eu
psql -v ON_ERROR_STOP=1 -v app="$POSTGRES_APP_PASSWORD" -v owner="$POSTGRES_OWNER_PASSWORD" \
  -v temporal="$POSTGRES_TEMPORAL_PASSWORD" -U "$POSTGRES_USER" -d postgres <<'SQL'
CREATE ROLE petfolio_owner LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'owner';
CREATE ROLE petfolio LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'app';
CREATE ROLE temporal LOGIN NOSUPERUSER PASSWORD :'temporal';
CREATE DATABASE petfolio OWNER petfolio_owner;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
\connect petfolio
ALTER SCHEMA public OWNER TO petfolio_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
\connect temporal_visibility
CREATE EXTENSION IF NOT EXISTS btree_gin;
SQL

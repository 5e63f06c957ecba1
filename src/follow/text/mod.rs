//! Changes as SQL text: printed for people and other programs, and read back.
//!
//! ```text
//!  BEGIN; -- {"xid":731,"lsn":"0/1566D10","timestamp":"2026-01-31 12:00:00.000001+00"}
//!  INSERT INTO "public"."t" ("id", "v") OVERRIDING SYSTEM VALUE VALUES ('1', 'it''s');
//!  UPDATE "public"."t" SET "v" = NULL WHERE "id" = '1';
//!  TRUNCATE ONLY "public"."t" RESTART IDENTITY;
//!  COMMIT; -- {"xid":731,"lsn":"0/1566D48","timestamp":"2026-01-31 12:00:00.000001+00"}
//!  KEEPALIVE; -- {"lsn":"0/1566E00"}
//! ```
//!
//! One statement per line: a line break inside a value is written `E'\n'`. The position of a commit is
//! its end, which names the transaction; that of a begin is where the plugin says that the commit starts.

mod print;
mod read;

pub use print::SqlPrinter;
pub use read::{Line, parse_line};

//! The program as people meet it: run as a process, without any server.

mod ends;
mod help;
mod logging;
mod refusals;
mod sentinel;
mod settings;
mod support;

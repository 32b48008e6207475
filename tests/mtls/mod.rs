//! Client certificates, good and bad, as a client of the running server finds out: each case makes its own certificates,
//! byte by byte where no tool would make them, and has an answer, a line in the log and a count that are the right ones.
//! `docs/mtls.md` has the rules.

mod bounds;
mod case;
mod chains;
mod client;
mod der;
mod encoding;
mod keys;
mod keys_and_signatures;
mod lists;
mod makers;
mod names;
mod revocation;
mod time;
mod usage;
mod validity;

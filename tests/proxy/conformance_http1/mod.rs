//! HTTP/1.1 by its own words: RFC 9112 (framing) and RFC 9110 (fields), towards clients and towards upstreams.
//! Where it is not followed to the letter stands in `docs/hardening.md`.

mod answers;
mod fields;
mod messages;

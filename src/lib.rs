//! Portcullis puts authentication, authorization and rate limits in front of any HTTP service.
//!
//! # Life of a request
//!
//! ```text
//!  TCP/TLS ── edge       accept, caps, TLS (SNI, client certificate), HTTP/1.1 and HTTP/2, timeouts;
//!     │                  what two parsers could read differently is refused with a named reason
//!     ▼
//!  proxy::handle ──────► gate::check(&CheckRequest) -> Result<Permit, Denial>
//!     │                     1 route        host + decoded segments + method → one immutable route
//!     │                                    (a CORS preflight goes no further than stage 2)
//!     │                     2 limit        before authentication, by client address
//!     │                     3 credential   extract what the route accepts
//!     │                     4 identity     verify: cache → keys or store
//!     │                     5 revocation   in-memory set, fed by the revocation log
//!     │                     6 csrf         ambient credentials on unsafe methods and upgrades
//!     │                     7 limit        by identity and credential
//!     │                     8 policy       deny rules, then allow rules
//!     ▼
//!  strip hop-by-hop and spoofable headers, inject identity
//!     ▼
//!  upstream ── pool, stream both ways; the answer is hardened, logged and counted
//! ```
//!
//! # The rooms
//!
//! Modules stand in layers; each imports from lower layers only, and siblings do not import each other
//! (`tests/layers.rs` reads the sources and enforces it). Bottom to top:

// 0: nouns without I/O
pub mod model;

// 1: configuration, keys, shared state, and what the process tells
pub mod config;
pub mod crypto;
pub mod store;
pub mod telemetry;

// 2: where clients connect; who may do what
pub mod edge;
pub mod gate;

// 3: what is behind (from here on, nothing that `fuzz/` calls: its builds are short)
#[cfg(not(fuzzing))]
pub mod upstream;

// 4: enforcing, and operating
#[cfg(not(fuzzing))]
pub mod admin;
#[cfg(not(fuzzing))]
pub mod proxy;

// 5: the only place that wires
#[cfg(not(fuzzing))]
pub mod app;

// 6: one file per verb
#[cfg(not(fuzzing))]
pub mod cli;
